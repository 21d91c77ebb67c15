"""Run a role: its services, its status on the bus, its control socket.

Belongs here: the order of starting and stopping. Does not: any role, processes (vms.supervisor).
"""

from contextlib import AsyncExitStack
from pathlib import Path

from vms.app.convert import metrics_message
from vms.app.role import Around, Role
from vms.app.worker_status import StatusTeller
from vms.bus.local import LocalServer
from vms.telemetry.loop_lag import LoopLag
from vms.telemetry.metrics import MetricSource, ProcessMetrics, read
from vms.telemetry.process import ProcessUsage


class RunningRole:
    """A role under the name of its worker. control: where its control socket is to be; None: it needs none."""

    def __init__(self, name: str, around: Around, role: Role, *, control: Path | None = None) -> None:
        self.name = name
        self.worker = around.worker
        self.role = role
        self._loop_lag = LoopLag()
        self._usage = ProcessUsage()
        self._alone = control is not None
        self.teller = StatusTeller(name, around, self._loop_lag, role.describe)
        role.on_change = self.teller.changed
        methods = {"status": self._status, "metrics": self._metrics, **role.methods}
        self._control = LocalServer(control, methods) if control is not None else None
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start the role, then let others see it. What a failed start began is undone."""
        async with AsyncExitStack() as stack:
            await self._loop_lag.start()
            stack.push_async_callback(self._loop_lag.stop)
            if self._control is not None:
                await self._control.start()
                stack.push_async_callback(self._control.stop)
            await self.role.start()
            stack.push_async_callback(self.role.stop)
            await self.teller.start()
            stack.push_async_callback(self.teller.stop)
            self.teller.ready = True
            self.teller.changed()
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Stop in reverse."""
        self.teller.ready = False
        await self._stack.aclose()

    def metrics(self) -> ProcessMetrics:
        """What the role counts and, where it has a process to itself, what that costs."""
        own: list[MetricSource] = [self._loop_lag, self._usage] if self._alone else []
        return read(self.name, self.worker, [*self.role.sources, *own])

    async def _status(self, _: bytes) -> bytes:
        return self.teller.status().SerializeToString()

    async def _metrics(self, _: bytes) -> bytes:
        return metrics_message(self.metrics()).SerializeToString()
