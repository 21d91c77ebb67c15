"""How late the event loop runs what was due: the health of everything that shares it."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterable

from vms.telemetry.metrics import MetricFamily, MetricKind

PERIOD_S = 0.25  # each look wakes the process, which is most of what an idle one costs
WINDOW = 240  # a minute


class LoopLag:
    """Asks to be woken 4 times a second and keeps how late that was, for the last minute."""

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
        while True:
            due = time.monotonic() + PERIOD_S  # finer than uvloop's own time, which has milliseconds
            await asyncio.sleep(PERIOD_S)
            self._lags_s.append(max(time.monotonic() - due, 0.0))
