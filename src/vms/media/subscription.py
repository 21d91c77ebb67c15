"""A bounded, numbered cursor on a hub for consumers that await.

An overrun yields the Gap and resumes at the newest key frame: a slow consumer sees less, and never
makes another see less.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

from vms.media.gap import Gap, GapReason
from vms.media.hub import Hub
from vms.media.track import MediaKind
from vms.media.unit import AccessUnit


class Subscription:
    """``async for item in subscription``: access units and gaps in order, each once.

    max_units: how many units may wait before the consumer counts as too slow.
    burst: begin with the hub's current group of pictures.
    `sequence` numbers what was delivered, `dropped` counts what was not. Use as a context manager, or
    call `close`; iteration ends then.
    """

    def __init__(self, hub: Hub, *, max_units: int = 500, burst: bool = True) -> None:
        self.sequence = 0
        self.dropped = 0
        self._hub = hub
        self._max_units = max_units
        self._queue: deque[AccessUnit | Gap] = deque()
        self._ready = asyncio.Event()
        self._overrun_since_ns: int | None = None
        self._closed = False
        if burst:
            self._queue.extend(hub.gop)
            self._ready.set()
        hub.attach(self)

    def push(self, unit: AccessUnit) -> None:
        if self._overrun_since_ns is not None and not self._resume(unit):
            self.dropped += 1
            return
        if len(self._queue) >= self._max_units:
            self._overrun(unit)
            return
        self._queue.append(unit)
        self._ready.set()

    def gap(self, gap: Gap) -> None:
        if self._overrun_since_ns is None:
            self._queue.append(gap)
            self._ready.set()

    def close(self) -> None:
        self._closed = True
        self._hub.detach(self)
        self._ready.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AccessUnit | Gap:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        self.sequence += 1
        return self._queue.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _overrun(self, unit: AccessUnit) -> None:
        waiting = [item for item in self._queue if isinstance(item, AccessUnit)]
        self.dropped += len(waiting) + 1
        self._queue.clear()
        self._overrun_since_ns = waiting[0].capture_ns if waiting else unit.capture_ns

    def _resume(self, unit: AccessUnit) -> bool:
        if not unit.key or unit.track.kind is not MediaKind.VIDEO:
            return False
        assert self._overrun_since_ns is not None
        self._queue.append(
            Gap(self._overrun_since_ns, unit.capture_ns, GapReason.OVERRUN, "the consumer was too slow")
        )
        self._overrun_since_ns = None
        return True
