"""What a watcher of a bucket is told, and when.

Changes are handed over once per turn of the event loop, the newest value of each key. A bucket that was read anew is
compared with what was told before.

Belongs here: coalescing, comparing. Does not: where changes come from (memory_kv, nats_kv).
"""

import asyncio
from collections.abc import Mapping, Set

from vms.bus.contract import Entry, RelistHandler, WatchHandler
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


class Watcher:
    """Tells `handler` of one bucket. For one event loop."""

    def __init__(
        self, handler: WatchHandler, relisted: RelistHandler | None, *, missing_is_gone: bool
    ) -> None:
        """missing_is_gone: a key that is not there any more when the bucket is read anew has expired."""
        self._handler = handler
        self._relisted = relisted
        self._missing_is_gone = missing_is_gone
        self._told: dict[str, Entry] = {}
        self._changes: dict[str, Entry | None] = {}
        self._handing_over: asyncio.Handle | None = None
        self._closed = False
        self.failures = 0  # of the handlers

    def relist(self, listing: Mapping[str, Entry], deleted: Set[str]) -> None:
        """The whole bucket, read anew; `deleted`: keys whose delete marker is there."""
        self._hand_over()
        gone = set(deleted)
        if self._missing_is_gone:
            gone |= self._told.keys() - listing.keys()
        for key in gone - listing.keys():
            self._tell(key, None)
        for key, entry in listing.items():
            self._tell(key, entry)
        if self._relisted is not None and not self._closed:
            try:
                self._relisted(listing)
            except Exception as error:
                self.failures += 1
                log.error("a watcher of a bucket failed", exc_info=error)

    def change(self, key: str, entry: Entry | None) -> None:
        """One key's new value, or None."""
        self._changes[key] = entry
        if self._handing_over is None and not self._closed:
            self._handing_over = asyncio.get_running_loop().call_soon(self._hand_over)

    def close(self) -> None:
        """Tell nothing more."""
        self._closed = True
        if self._handing_over is not None:
            self._handing_over.cancel()

    def _hand_over(self) -> None:
        if self._handing_over is not None:
            self._handing_over.cancel()
            self._handing_over = None
        changes, self._changes = self._changes, {}
        for key, entry in changes.items():
            self._tell(key, entry)

    def _tell(self, key: str, entry: Entry | None) -> None:
        if self._closed or self._told.get(key) == entry:
            return
        if entry is None:
            del self._told[key]
        else:
            self._told[key] = entry
        try:
            self._handler(key, entry)
        except Exception as error:
            self.failures += 1
            log.error("a watcher of a bucket failed", key=key, exc_info=error)
