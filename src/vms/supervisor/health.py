"""Whether a worker is well: asked once a second over its control socket, killed when it is silent for too long.

Silence is counted in our own turns: when the supervisor itself, or the whole machine, stands still, that is nobody's
silence.

Belongs here: asking. Does not: what follows from it (worker).
"""

import asyncio
import contextlib

from google.protobuf.message import DecodeError

from vms.bus.local import LocalClient
from vms.common.clock import NS, Clock
from vms.common.errors import VmsError
from vms.proto import worker_pb2
from vms.supervisor.plan import Timings
from vms.supervisor.process import Process
from vms.supervisor.worker import State, Worker
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_BEGINNING_S = 0.1  # between two questions to one that has just been started
_BEGINS_FOR_S = 10.0  # one that speaks and is not ready for longer waits for something else
_TURNS = 3  # a question and its wait take up to two


class HealthCheck:
    """Asks one worker, through all its lives, until cancelled."""

    def __init__(self, worker: Worker, clock: Clock, timings: Timings) -> None:
        self._worker = worker
        self._clock = clock
        self._timings = timings
        self._client: LocalClient | None = None
        self._process: Process | None = None  # the one that the following is about
        self._silent_s = 0.0
        self._spoke = False
        self._look = asyncio.Event()

    def look(self) -> None:
        """Ask now: its life has changed."""
        self._look.set()

    async def run(self) -> None:
        asked_ns = self._clock.monotonic_ns()
        try:
            while True:
                now_ns = self._clock.monotonic_ns()
                passed_s = min((now_ns - asked_ns) / NS, _TURNS * self._timings.poll_s)
                asked_ns = now_ns
                await self._turn(passed_s)
                self._look.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BEGINNING_S if self._begins() else self._timings.poll_s):
                        await self._look.wait()
        finally:
            self._forget()

    def _begins(self) -> bool:
        """Whether it may be ready any moment."""
        if self._worker.state is not State.STARTING:
            return False
        return not self._spoke or (self._process is not None and self._process.age_s() < _BEGINS_FOR_S)

    async def _turn(self, passed_s: float) -> None:
        process = self._worker.process
        if process is not self._process:
            self._forget()
            self._process = process
            self._silent_s = 0.0
            self._spoke = process is not None and process.age_s() > self._timings.start_s
        if process is None or self._worker.state is State.STOPPING:
            return
        heard = await self._ask(process)
        if self._worker.process is not process:
            return  # it ended meanwhile
        if heard:
            self._silent_s, self._spoke = 0.0, True
            return
        self._silent_s += passed_s
        if self._silent_s > (self._timings.watchdog_s if self._spoke else self._timings.start_s):
            self._worker.kill_hung(self._silent_s)

    async def _ask(self, process: Process) -> bool:
        """Whether it has spoken."""
        plan = self._worker.plan
        if plan.control is not None:
            status = await self._ask_status(process)
            if status is not None and self._worker.process is process:
                self._worker.answered(status, ready=status.ready)
            return status is not None
        if plan.ready is None:
            return True
        try:
            async with asyncio.timeout(self._timings.poll_s):
                ready = await plan.ready()
        except (VmsError, OSError):  # time-outs too
            return False
        except Exception as error:
            log.error("asking whether a process works failed", worker=plan.worker, exc_info=error)
            return False
        if ready and self._worker.process is process:
            self._worker.answered(None, ready=True)
        return ready

    async def _ask_status(self, process: Process) -> worker_pb2.WorkerStatus | None:
        control = self._worker.plan.control
        assert control is not None
        if self._client is None:
            self._client = LocalClient(control)
        try:
            answer = await self._client.call("status", timeout_s=self._timings.poll_s)
            status = worker_pb2.WorkerStatus.FromString(answer)
        except (VmsError, DecodeError):
            return None
        # Another process behind its socket says nothing about it
        return status if status.pid in (0, process.pid) else None

    def _forget(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
