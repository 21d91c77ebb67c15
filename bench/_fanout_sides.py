"""The servers of the WebRTC fan-out bench, each in a process of its own, with its pictures' source.

Ours and aiortc are pushed their pictures in their own process, so making them counts as theirs; Janus takes
RTP over UDP from a process that is not counted.

Belongs here: starting, feeding and ending a server. Does not: viewers, figures.
"""

import asyncio
import multiprocessing
import sys
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, Self

import uvloop

from bench._fanout_feeder import run_feeder
from bench._fanout_pictures import CLOCK_RATE, TICKS, Load, pace_until, picture
from bench._fanout_signalling import OfferPipe, Signalling
from bench._janus import Janus, JanusSignalling
from vms.common.clock import SystemClock
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.config import WebRtcConfig
from vms.media import AccessUnit, Codec, Hub, Track
from vms.stream import StreamService, own_hubs
from vms.telemetry.logs import configure_logs

CAMERA = CameraId("bench")
START_S, END_S = 30.0, 10.0
RETRY_S = 0.1  # of an offer that the server has no room for at the moment
_CONTEXT = multiprocessing.get_context("spawn")
Answer = Callable[[str], Awaitable[str]]


class Side(Protocol):
    """A server that is running and sends pictures. It ends with the context."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    @property
    def pid(self) -> int: ...
    def stop(self) -> list[int]:
        """Stop sending; when each picture was pushed, wall clock, by number."""


class WebRtcSide(Side, Protocol):
    @property
    def signalling(self) -> Signalling: ...


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


class OwnProcess:
    """A server in Python that answers offers: `target` is `run_ours` or _fanout_aiortc's `run_aiortc`."""

    def __init__(self, target: Callable[..., None], load: Load) -> None:
        ours, theirs = _CONTEXT.Pipe()
        self.signalling: Signalling = OfferPipe(ours)
        self._server = BenchProcess(target, theirs, load)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.end()

    @property
    def pid(self) -> int:
        return self._server.process.pid or 0

    def stop(self) -> list[int]:
        return self._server.stop()


class JanusSide:
    """Janus and what feeds it."""

    def __init__(self, host: str, load: Load, event_loops: int) -> None:
        self._janus = Janus(host, event_loops=event_loops)
        self._load = load
        self._feeder: BenchProcess | None = None

    def __enter__(self) -> Self:
        self._janus.__enter__()
        try:
            self.signalling: Signalling = JanusSignalling(self._janus.api)
            self._feeder = BenchProcess(run_feeder, self._janus.port, self._load.frame_bytes)
            self._feeder.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._feeder is not None:
            self._feeder.end()
        self._janus.__exit__()

    @property
    def pid(self) -> int:
        return self._janus.pid

    def stop(self) -> list[int]:
        assert self._feeder is not None
        return self._feeder.stop()


def run_ours(pipe: Connection, offers: Connection, load: Load) -> None:
    configure_logs(json=False, level="warning")
    uvloop.run(_ours(pipe, offers, load))


async def _ours(pipe: Connection, offers: Connection, load: Load) -> None:
    hub = Hub(CAMERA)
    track = Track(1, Codec.H264, CLOCK_RATE)
    hub.announce([track])
    clock = SystemClock()
    service = StreamService(WebRtcConfig(port=0), own_hubs(lambda *_: hub), clock)
    await service.start()

    async def answer(offer: str) -> str:
        while True:
            try:
                return (await service.offer(CAMERA, offer)).sdp
            except Unavailable:  # at once: a browser asks again too
                await asyncio.sleep(RETRY_S)

    def push(number: int) -> None:
        data, key = picture(load.frame_bytes, number)
        pts = number * TICKS
        hub.push(AccessUnit(track, data, pts, pts, key, False, clock.wall_ns(), clock.monotonic_ns()))

    await serve(pipe, offers, answer, push)


async def serve(pipe: Connection, offers: Connection, answer: Answer, push: Callable[[int], None]) -> None:
    """Answer offers and push pictures until the bench says to stop."""
    loop = asyncio.get_running_loop()
    answering: set[asyncio.Task[None]] = set()

    async def reply(number: int, offer: str) -> None:
        offers.send((number, await answer(offer)))

    def take() -> None:
        while offers.poll():
            task = asyncio.create_task(reply(*offers.recv()))
            answering.add(task)
            task.add_done_callback(_ended)
            task.add_done_callback(answering.discard)

    def _ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler({"message": "an offer failed", "exception": task.exception()})

    loop.add_reader(offers.fileno(), take)
    await pace_until(pipe, push)
