"""What the servers of the fan-out benches have in common: a process each, its pictures, its end.

Ours are pushed their pictures in their own process, so making them counts as theirs; what is not ours is fed by a
process that is not counted.

Belongs here: starting, feeding and ending a server. Does not: protocols, players, figures.
"""

import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, Self

from bench._fanout_pictures import CLOCK_RATE, PARAMETER_SETS, TICKS, allow_many_files, picture
from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.media import AccessUnit, Codec, Hub, Track

CAMERA = CameraId("bench")
START_S, END_S = 90.0, 60.0  # which only what failed reaches
_CONTEXT = multiprocessing.get_context("spawn")


class Side(Protocol):
    """A server that is running and sends pictures. It ends with the context."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    @property
    def pid(self) -> int: ...
    def stop(self) -> list[int]:
        """Stop sending; when each picture was pushed, wall clock, by number."""


class BenchProcess:
    """A process of ours that says "ready", works until it is told something, and then says when it pushed."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self.process: BaseProcess = _CONTEXT.Process(target=target, args=(theirs, *arguments))

    def start(self) -> None:
        self.process.start()
        self._receive(START_S)

    def stop(self) -> list[int]:
        self._pipe.send("stop")
        pushed_ns: list[int] = self._receive(END_S)
        return pushed_ns

    def end(self) -> None:
        if self.process.pid is not None:
            self.process.join(0.5)
            self.process.kill()
            self.process.join()

    def _receive(self, timeout_s: float) -> Any:
        if not self._pipe.poll(timeout_s):
            sys.exit("bench fanout: a process of the bench does not answer")
        return self._pipe.recv()


class ProcessSide:
    """A server in Python with its pictures, in a process of its own. Implements Side."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        self._server = BenchProcess(target, *arguments)

    def __enter__(self) -> Self:
        allow_many_files()  # which it inherits
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.end()

    @property
    def pid(self) -> int:
        return self._server.process.pid or 0

    def stop(self) -> list[int]:
        return self._server.stop()


class FedSide:
    """A server that is not ours, and the process that gives it the pictures. Implements Side, but for `start`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._feeder: BenchProcess | None = None

    def __enter__(self) -> Self:
        allow_many_files()  # which it inherits
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._feeder is not None:
            self._feeder.end()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start the server and what feeds it, with the two below."""
        raise NotImplementedError

    def stop(self) -> list[int]:
        assert self._feeder is not None
        return self._feeder.stop()

    def _run(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
        """Start the server; the first line that it prints. name: for a person."""
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout is not None
        told = self._process.stdout.readline().strip()
        if not told:
            sys.exit(f"bench: {name} does not start; its message is above")
        return told

    def _feed(self, target: Callable[..., None], *arguments: object) -> None:
        self._feeder = BenchProcess(target, *arguments)
        self._feeder.start()


class PushedStream:
    """A hub, and the bench's pictures for it."""

    def __init__(self, frame_bytes: int) -> None:
        self.hub = Hub(CAMERA)
        self.clock = SystemClock()
        self._frame_bytes = frame_bytes
        self._track = Track(1, Codec.H264, CLOCK_RATE, PARAMETER_SETS, width=1920, height=1080)
        self.hub.announce([self._track])

    def push(self, number: int) -> None:
        data, key = picture(self._frame_bytes, number)
        pts = number * TICKS
        now = self.clock.wall_ns(), self.clock.monotonic_ns()
        self.hub.push(AccessUnit(self._track, data, pts, pts, key, False, *now))
