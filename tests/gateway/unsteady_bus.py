"""The bus within a process, made to go away, come back and lose its store as NATS can."""

import asyncio

from vms.bus.errors import BusUnavailable
from vms.bus.memory import MemoryBus
from vms.bus.memory_kv import MemoryKeyValue


class UnsteadyBus(MemoryBus):
    """full_store: buckets take and give nothing, while messages still travel."""

    full_store = False

    def go_away(self) -> None:
        self._connected = False

    def lose_store(self) -> None:
        for bucket in self._buckets.values():
            bucket._entries.clear()
            bucket._revision = 0

    def come_back(self) -> None:
        self._connected = True
        for bucket in self._buckets.values():
            for watcher in list(bucket._watchers):
                watcher.relist(dict(bucket._entries), frozenset())
        for callback in list(self._callbacks):
            asyncio.get_running_loop().call_soon(callback)

    def bucket(self, name: str, *, ttl_s: float | None = None) -> MemoryKeyValue:
        bucket = MemoryKeyValue(name, ttl_s, self._clock, self._check_store)
        return self._buckets.setdefault(name, bucket)

    def _check_store(self) -> None:
        if not self._connected or self.full_store:
            raise BusUnavailable("the store does not answer")
