"""How late the event loop runs what was due: the health of everything that shares it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable

from vms.telemetry.metrics import MetricFamily, MetricKind

PERIOD_S = 0.05
WINDOW = 1200  # a minute


class LoopLag:
    """Asks to be woken 20 times a second and keeps how late that was, for the last minute."""

    def __init__(self) -> None:
        self._lags_s: deque[float] = deque(maxlen=WINDOW)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._measure(), name="loop lag")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def quantile_s(self, quantile: float) -> float:
        """Lag in seconds at a quantile of 0..1 over the last minute; 0 before the first measurement."""
        lags = sorted(self._lags_s)
        return lags[min(int(len(lags) * quantile), len(lags) - 1)] if lags else 0.0

    def metrics(self) -> Iterable[MetricFamily]:
        quantiles = (0.5, 0.95, 0.99, 1.0)
        yield MetricFamily(
            "vms_event_loop_lag_seconds",
            MetricKind.GAUGE,
            "how late the event loop ran what was due, over the last minute",
            ("quantile",),
            [((str(q),), self.quantile_s(q)) for q in quantiles],
        )

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + PERIOD_S
            await asyncio.sleep(PERIOD_S)
            self._lags_s.append(max(loop.time() - due, 0.0))
