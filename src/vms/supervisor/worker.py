"""Keep one process running: spawn, wait for its end, spawn again; end it in order when asked.

    starting ─ready─▶ running ─┐
       ▲                       ├─ends─▶ waiting ─▶ starting …
       └───────────────────────┘
    any ─asked─▶ stopping ─▶ starting (restart) or stopped

Belongs here: the life of one process. Does not: whether it is well (health), the others (supervisor).
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from vms.common.errors import VmsError
from vms.proto import worker_pb2
from vms.supervisor.pacing import RestartPace
from vms.supervisor.plan import Timings, WorkerPlan
from vms.supervisor.process import Process, describe
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_KILLED_S = 5.0  # for the kernel; longer only for one that hangs in a system call


class State(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerChange:
    """For events. kind: started, ended, hung. exit_status: minus a signal's number; None when it is not known."""

    kind: str
    role: str
    worker: str
    pid: int
    exit_status: int | None = None
    asked: bool = False
    detail: str = ""


OnChange = Callable[[WorkerChange], None]
Spawn = Callable[[WorkerPlan], Process]


class Worker:
    """Runs `plan` until stopped. Counters: restarts (all), failures (ends that nobody asked for), killed."""

    def __init__(self, plan: WorkerPlan, timings: Timings, spawn: Spawn, on_change: OnChange) -> None:
        self.plan = plan
        self.state = State.STOPPED
        self.detail = ""
        self.process: Process | None = None
        self.fingerprint = ""  # of what `process` was started from
        self.status: worker_pb2.WorkerStatus | None = None
        self.restarts = 0
        self.failures = 0
        self.killed = 0
        self._timings = timings
        self._spawn_plan = spawn
        self._on_change = on_change
        self._pace = RestartPace(timings)
        self._leaving = False
        self._asked = False  # the end that comes next was
        self._wake = asyncio.Event()  # ends the wait before the next life
        self._born = asyncio.Event()  # the next life has begun
        self._outcome: asyncio.Future[bool] = (
            asyncio.get_running_loop().create_future()
        )  # this life was ready once
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Spawn it, and keep it running."""
        self._spawn()
        self._task = asyncio.create_task(self._keep_running(), name=f"worker {self.plan.worker}")

    def adopt(self, process: Process, fingerprint: str, restarts: int) -> None:
        """Take on a process that an earlier supervisor has started, and keep it running."""
        self.process, self.fingerprint, self.restarts = process, fingerprint, restarts
        self.state = State.RUNNING
        self._outcome.set_result(True)
        self._task = asyncio.create_task(self._keep_running(), name=f"worker {self.plan.worker}")

    def hold(self) -> None:
        """Let it run, but start it no more: the system is stopping."""
        self._leaving = True
        self._wake.set()
        self._born.set()

    async def stop(self) -> None:
        """End it in order, kill it when it does not. Returns when it has gone."""
        self.hold()
        await self._drain()
        if self._task is not None:
            _, stuck = await asyncio.wait([self._task], timeout=_KILLED_S)
            if stuck:
                self._task.cancel()
        self.state = State.STOPPED

    async def restart(self, plan: WorkerPlan | None = None) -> bool:
        """End it in order and start it anew, from `plan` when given. Returns whether it was ready in time."""
        self.plan = plan or self.plan
        self._asked = True
        self._pace.reset()
        self._wake.set()
        born = self._born
        await self._drain()
        await born.wait()
        if self._leaving:
            return False
        outcome = self._outcome
        await asyncio.wait([outcome], timeout=self._timings.ready_s)
        return outcome.done() and outcome.result()

    def answered(self, status: worker_pb2.WorkerStatus | None, *, ready: bool) -> None:
        """It has spoken. status: None for a program without a control socket."""
        self.status = status
        if ready and self.state is State.STARTING:
            self.state = State.RUNNING
            self.detail = ""
            if not self._outcome.done():
                self._outcome.set_result(True)

    def kill_hung(self, silent_s: float) -> None:
        """The watchdog's: no answer for so long, though it is alive."""
        if self.process is None:
            return
        plan = self.plan
        detail = f"no answer for {silent_s:.0f} s"
        log.critical("a worker hangs; killing it", worker=plan.worker, pid=self.process.pid, reason=detail)
        self.killed += 1
        self._on_change(WorkerChange("hung", plan.role, plan.worker, self.process.pid, detail=detail))
        self.process.send(signal.SIGKILL)

    def _spawn(self) -> None:
        plan = self.plan
        self.state = State.STARTING
        self.status = None
        self._asked = False
        self._wake.clear()
        self._outcome = asyncio.get_running_loop().create_future()
        try:
            self.fingerprint = plan.fingerprint()
            self.process = self._spawn_plan(plan)
        except (OSError, VmsError) as error:
            self.detail = f"cannot be started: {getattr(error, 'strerror', None) or error}"
            self._outcome.set_result(False)
        else:
            if plan.control is None and plan.ready is None:
                self.answered(None, ready=True)
            self._on_change(WorkerChange("started", plan.role, plan.worker, self.process.pid))
        born, self._born = self._born, asyncio.Event()
        born.set()

    async def _keep_running(self) -> None:
        while True:
            lived_s, ordered = 0.0, False
            if self.process is not None:
                process = self.process
                status = await asyncio.shield(process.ended)
                lived_s, ordered = process.age_s(), status == 0
                self._ended(process, status, lived_s)
            if self._leaving:
                return
            if not self._asked and not await self._pause(self._pace.delay_s(lived_s, ordered=ordered)):
                return
            self.restarts += 1
            self._spawn()

    def _ended(self, process: Process, status: int | None, lived_s: float) -> None:
        plan = self.plan
        asked = self._asked or self._leaving
        self.process = None
        self.status = None
        self.detail = f"{describe(status)} after {lived_s:.1f} s"
        if not self._outcome.done():
            self._outcome.set_result(False)
        say = log.info
        if not asked and status != 0:
            self.failures += 1
            say = log.error
        say("a worker ended", worker=plan.worker, pid=process.pid, reason=self.detail, asked=asked)
        self._on_change(
            WorkerChange("ended", plan.role, plan.worker, process.pid, status, asked, self.detail)
        )

    async def _pause(self, delay_s: float) -> bool:
        """Returns whether another life is to follow."""
        self.state = State.WAITING
        ended = self.detail
        if delay_s > self._timings.again_s:
            log.warning(
                "a worker keeps dying", worker=self.plan.worker, reason=ended, after_s=round(delay_s, 1)
            )
            self.detail = f"{ended}; started again in {delay_s:.1f} s"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        self.detail = ended
        return not self._leaving

    async def _drain(self) -> None:
        process, plan = self.process, self.plan
        if process is None:
            return
        self.state = State.STOPPING
        process.send(signal.SIGTERM)
        if await process.wait(plan.stop_s):
            return
        log.critical(
            "a worker does not end; killing it",
            worker=plan.worker,
            pid=process.pid,
            limit_s=plan.stop_s,
        )
        self.killed += 1
        process.send(signal.SIGKILL)
        if not await process.wait(_KILLED_S):
            log.critical("a killed worker hangs in the kernel", worker=plan.worker, pid=process.pid)
