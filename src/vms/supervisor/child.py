"""What makes a program a process of the system: its place, its descriptors, when it is to end, and in which turn.

The supervisor tells it by its environment. A process that has lost its launcher ends by itself, after those that are
to end before it: the supervisor would keep the same order, and may be gone too.

Belongs here: what a worker's main needs. Does not: the worker's services (vms.app), starting processes (worker).
"""

import asyncio
import os
import select
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vms.launcher import LIFELINE_VARIABLE
from vms.supervisor import records
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

ROLE_VARIABLE = "VMS_ROLE"
WORKER_VARIABLE = "VMS_WORKER"
RUN_DIR_VARIABLE = "VMS_RUN_DIR"
FD_PREFIX = "VMS_FD_"

TURN_S = 45.0  # longer than all those before it may take to end
_POLL_S = 0.1
_OVERRUN_STATUS = 70  # EX_SOFTWARE of sysexits.h


def environment(
    role: str, worker: str, run_dir: Path, *, lifeline: int | None, fds: Mapping[str, int]
) -> dict[str, str]:
    """What `Seat.from_environment` reads in the process that gets it."""
    names = {ROLE_VARIABLE: role, WORKER_VARIABLE: worker, RUN_DIR_VARIABLE: str(run_dir)}
    passed = {FD_PREFIX + _variable(name): str(number) for name, number in fds.items()}
    return names | passed | ({} if lifeline is None else {LIFELINE_VARIABLE: str(lifeline)})


@dataclass(frozen=True, slots=True)
class Seat:
    """This process's place in the system. lifeline: None when there is no launcher."""

    role: str
    worker: str
    run_dir: Path
    lifeline: int | None
    fds: Mapping[str, int]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Raises KeyError in a process that no supervisor started. What was inherited goes to no child of ours."""
        fds = {
            name.removeprefix(FD_PREFIX): int(value)
            for name, value in environ.items()
            if name.startswith(FD_PREFIX) and value.isdigit()
        }
        lifeline = int(environ[LIFELINE_VARIABLE]) if LIFELINE_VARIABLE in environ else None
        for number in (*fds.values(), *(() if lifeline is None else (lifeline,))):
            os.set_inheritable(number, False)
        return cls(
            environ[ROLE_VARIABLE],
            environ[WORKER_VARIABLE],
            Path(environ[RUN_DIR_VARIABLE]),
            lifeline,
            fds,
        )

    @property
    def control(self) -> Path:
        """Where this worker's control socket belongs."""
        return self.run_dir / f"{self.worker}.sock"

    def descriptor(self, name: str) -> int | None:
        """The descriptor that the plan passed under `name`."""
        return self.fds.get(_variable(name))

    def listener(self, name: str) -> socket.socket | None:
        """A socket of our own for what the plan passed under `name`: closing it leaves the supervisor's open."""
        number = self.descriptor(name)
        if number is None:
            return None
        listener = socket.socket(fileno=os.dup(number))
        listener.setblocking(False)
        return listener


class Lifeline:
    """Calls `gone` once when the launcher is no more. Without a launcher (None) it never does."""

    def __init__(self, descriptor: int | None, gone: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._gone = gone

    def start(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().add_reader(self._descriptor, self._readable)

    def stop(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._descriptor = None

    def _readable(self) -> None:
        self.stop()  # nothing is ever written: it is the end
        self._gone()


def is_cut(lifeline: int | None) -> bool:
    """Whether the launcher has gone already."""
    return lifeline is not None and bool(select.select([lifeline], [], [], 0)[0])


class StopSignal:
    """Set when this process is to end: by SIGTERM, SIGINT or SIGHUP, or because its launcher has gone.

    SIGHUP ends a worker as the others do; the supervisor starts it again with its new configuration.
    Make it before anything else, or a signal meanwhile kills the process.
    """

    def __init__(self, seat: Seat) -> None:
        self.reason = ""
        self._seat = seat
        self._set = asyncio.Event()
        self._turn: asyncio.Task[None] | None = None
        self._lifeline = Lifeline(seat.lifeline, self._launcher_gone)
        self._lifeline.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop, number.name)

    def is_set(self) -> bool:
        return self._set.is_set()

    async def wait(self) -> None:
        await self._set.wait()

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._set.set()
        self._lifeline.stop()

    def _launcher_gone(self) -> None:
        log.warning("the launcher has gone; ending in turn", worker=self._seat.worker)
        self._turn = asyncio.create_task(self._await_turn(), name="turn to end")

    async def _await_turn(self) -> None:
        try:
            async with asyncio.timeout(TURN_S):
                while earlier_ones(self._seat.run_dir, self._seat.worker):  # noqa: ASYNC110 - others' ends
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            log.error("those that end first do not end; waiting no longer", worker=self._seat.worker)
        finally:
            self._stop("the launcher has gone")


def earlier_ones(run_dir: Path, worker: str) -> list[str]:
    """The processes that are to end before `worker` and still run."""
    known = records.read(run_dir)
    order = next((record.stop_order for record in known if record.worker == worker), None)
    return [
        record.worker for record in known if order is not None and record.stop_order < order and record.runs()
    ]


async def end_within(limit_s: float, stop: Awaitable[None]) -> None:
    """Await `stop`; a process that has not stopped within `limit_s` leaves at once, with status 70, and says so."""
    stopping = asyncio.ensure_future(stop)
    done, _ = await asyncio.wait([stopping], timeout=limit_s)
    if not done:
        log.critical("not stopped in time; leaving", limit_s=limit_s)
        os._exit(_OVERRUN_STATUS)
    await stopping


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
