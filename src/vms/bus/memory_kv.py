"""A bucket of the bus within one process.

Belongs here: values, revisions, times to live, in memory. Does not: what watchers are told (watcher).
"""

import asyncio
from collections.abc import Callable

from vms.bus.contract import Entry, RelistHandler, WatchHandler, check_data, check_key
from vms.bus.watcher import Watcher
from vms.common.clock import NS, Clock
from vms.common.errors import Conflict

_SWEEP_S = 0.1  # how late watchers may learn that a value expired


class MemoryKeyValue:
    """One bucket; made by MemoryBus."""

    def __init__(
        self, name: str, ttl_s: float | None, clock: Clock, check_connected: Callable[[], None]
    ) -> None:
        """check_connected: raises BusUnavailable while the bus is stopped."""
        self._name = name
        self.ttl_s = ttl_s
        self._clock = clock
        self._check_connected = check_connected
        self._revision = 0
        self._entries: dict[str, Entry] = {}
        self._expires_ns: dict[str, int] = {}  # monotonic; in the order of writing, so also of expiry
        self._watchers: list[Watcher] = []
        self._sweeping: asyncio.TimerHandle | None = None

    async def get(self, key: str) -> Entry | None:
        check_key(key)
        self._refresh()
        return self._entries.get(key)

    async def put(self, key: str, value: bytes) -> int:
        check_key(key)
        check_data(value)
        self._refresh()
        return self._write(key, value)

    async def create(self, key: str, value: bytes) -> int:
        check_key(key)
        check_data(value)
        self._refresh()
        if key in self._entries:
            raise Conflict(f"{self._name}/{key} exists already; read it, then update")
        return self._write(key, value)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        check_key(key)
        check_data(value)
        self._refresh()
        entry = self._entries.get(key)
        if entry is None or entry.revision != revision:
            raise Conflict(f"{self._name}/{key} was changed meanwhile; read it, then try again")
        return self._write(key, value)

    async def delete(self, key: str) -> None:
        check_key(key)
        self._refresh()
        self._remove(key)

    async def list(self) -> dict[str, Entry]:
        self._refresh()
        return dict(self._entries)

    def watch(self, handler: WatchHandler, *, relisted: RelistHandler | None = None) -> "_Watch":
        watcher = Watcher(handler, relisted, missing_is_gone=self.ttl_s is not None)
        asyncio.get_running_loop().call_soon(self._begin, watcher)
        return _Watch(watcher, lambda: self._end(watcher))

    def close(self) -> None:
        """Tell watchers nothing more."""
        for watcher in list(self._watchers):
            watcher.close()
            self._end(watcher)

    def _begin(self, watcher: Watcher) -> None:
        self._expire()
        self._watchers.append(watcher)
        watcher.relist(dict(self._entries), frozenset())
        if self._sweeping is None and self.ttl_s is not None:
            self._sweep()

    def _end(self, watcher: Watcher) -> None:
        if watcher in self._watchers:
            self._watchers.remove(watcher)
        if not self._watchers and self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    def _write(self, key: str, value: bytes) -> int:
        self._revision += 1
        entry = self._entries[key] = Entry(key, value, self._revision)
        if self.ttl_s is not None:
            self._expires_ns.pop(key, None)
            self._expires_ns[key] = self._clock.monotonic_ns() + round(self.ttl_s * NS)
        for watcher in self._watchers:
            watcher.change(key, entry)
        return self._revision

    def _remove(self, key: str) -> None:
        self._expires_ns.pop(key, None)
        if self._entries.pop(key, None) is not None:
            self._revision += 1  # a delete marker has one too
            for watcher in self._watchers:
                watcher.change(key, None)

    def _refresh(self) -> None:
        self._check_connected()
        self._expire()

    def _expire(self) -> None:
        now_ns = self._clock.monotonic_ns()
        while self._expires_ns:
            key, expires_ns = next(iter(self._expires_ns.items()))
            if expires_ns > now_ns:
                return
            self._remove(key)

    def _sweep(self) -> None:
        self._expire()
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)


class _Watch:
    def __init__(self, watcher: Watcher, end: Callable[[], None]) -> None:
        self._watcher = watcher
        self._end = end

    def close(self) -> None:
        self._watcher.close()
        self._end()
