"""What a process says of itself: a heartbeat on the bus, and the answer to ``status`` on its control socket.

Belongs here: putting it together, and when it is told. Does not: listening (directory).
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable

from vms.app.role import Around, nobody_told
from vms.proto import subjects, worker_pb2
from vms.telemetry.loop_lag import LoopLag
from vms.telemetry.process import ProcessUsage

HEARTBEAT_S = 1.0
PAUSE_S = 0.02  # between two tellings: changes that come together are told together …
PAUSE_SHARE = 20  # … and a telling that costs much is followed by a pause so many times as long

Describe = Callable[[worker_pb2.WorkerStatus], None]
"""Puts what a role has to say into the status."""


class StatusTeller:
    """Tells the status of one worker every second, and soon after something changed."""

    def __init__(self, role: str, around: Around, loop_lag: LoopLag, describe: Describe) -> None:
        self.role = role
        self.worker = around.worker
        self.ready = False
        self._bus = around.bus
        self._node = around.places.node()
        self._loop_lag = loop_lag
        self._describe = describe
        self._usage = ProcessUsage()
        self._started_ns = around.clock.wall_ns()
        self._changed = asyncio.Event()
        self._next_telling: asyncio.Future[None] | None = None  # what waits for it
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._bus.on_connect(self._changed.set)
        self._task = asyncio.create_task(self._tell(), name="status")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._end_waiting(self._next_telling)

    def changed(self) -> Awaitable[None]:
        """Something worth telling happened. Gives what is done once it was told, or nobody can be told."""
        self._changed.set()
        if self._task is None or not self._bus.connected:
            return nobody_told()
        if self._next_telling is None:
            self._next_telling = asyncio.get_running_loop().create_future()
        return asyncio.shield(self._next_telling)  # who waits may be cancelled alone

    def status(self) -> worker_pb2.WorkerStatus:
        """The worker as it stands now."""
        status = worker_pb2.WorkerStatus(
            worker=self.worker,
            role=self.role,
            node=self._node,
            pid=os.getpid(),
            started_ns=self._started_ns,
            ready=self.ready,
            loop_lag_s=self._loop_lag.quantile_s(0.99),
            bus_connected=self._bus.connected,
            cpu_share=self._usage.cpu_share(),
        )
        self._describe(status)
        return status

    async def _tell(self) -> None:
        subject = subjects.worker_status(self.worker)
        while True:
            self._changed.clear()
            waiting, self._next_telling = self._next_telling, None
            began_s = time.perf_counter()
            try:
                if self._bus.connected:
                    self._bus.publish(subject, self.status().SerializeToString())
            finally:
                self._end_waiting(waiting)
            await asyncio.sleep(max(PAUSE_S, PAUSE_SHARE * (time.perf_counter() - began_s)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), HEARTBEAT_S)

    @staticmethod
    def _end_waiting(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
