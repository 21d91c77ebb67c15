"""Reading one object of a bucket by range, in few requests.

Reads are cut into blocks that are remembered. What is missing of a read is asked for at once, and a reader that goes on
where it was gets more than it asked for.

Belongs here: which ranges are asked for. Does not: how (object).
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from vms.storage.tiers.blocks import BLOCK_BYTES, BlockCache, Head

AHEAD_BLOCKS = 16  # 4 MiB
MOST_BLOCKS = 32  # of one request; it has to end within a reader's patience
FRESH_S = 60.0
"""How long a look at an object is believed."""


class Range(NamedTuple):
    """What one request gave: the bytes, and size and entity tag of the object they are of."""

    data: bytes
    size_bytes: int
    e_tag: str


Fetch = Callable[[int, int, str | None], Range]
"""``fetch(start, end, e_tag)``: bytes up to, not including, `end`; of that version alone when it is told.

Raises FileNotFoundError, TierUnavailable.
"""


class ObjectBody:
    """Implements Body over one object, as it was when it was opened."""

    def __init__(self, key: str, fetch: Fetch, cache: BlockCache) -> None:
        """key: names the object in the cache. Asks for its first block, unless that is remembered.

        Raises FileNotFoundError, TierUnavailable.
        """
        self._key = key
        self._fetch = fetch
        self._cache = cache
        self._lock = threading.Lock()
        self._next = 0  # the block after the last one that was asked for
        head = cache.head(key)
        if head is None or time.monotonic() - head.seen_s > FRESH_S:
            first = fetch(0, BLOCK_BYTES, None)
            head = Head(first.size_bytes, first.e_tag, time.monotonic())
            cache.put(key, head.e_tag, 0, first.data)
            cache.put_head(key, head)
        self._head = head

    @property
    def size_bytes(self) -> int:
        return self._head.size_bytes

    def read_at(self, offset: int, size: int) -> bytes:
        """See Body. Raises FileNotFoundError when the object was deleted, TierUnavailable."""
        end = min(offset + size, self.size_bytes)
        if offset >= end:
            return b""
        first, last = offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        with self._lock:  # one request for what two threads want
            blocks = self._blocks(first, last)
        data = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        skipped = offset - first * BLOCK_BYTES
        return data[skipped : skipped + end - offset]

    def close(self) -> None:
        """See Body; there is nothing to let go of."""

    def _blocks(self, first: int, last: int) -> list[bytes]:
        found = {number: self._remembered(number) for number in range(first, last + 1)}
        number = first
        while number <= last:
            if found[number] is not None:
                number += 1
                continue
            until = number
            while until <= last and found[until] is None and until - number < MOST_BLOCKS:
                until += 1
            found.update(self._ask(number, until))
            number = until
        return [block for number in range(first, last + 1) if (block := found[number]) is not None]

    def _ask(self, first: int, until: int) -> dict[int, bytes]:
        """Blocks `first` up to, not including, `until`, in one request; more of them when that goes on."""
        if first == self._next and first > 0:
            until = max(until, first + AHEAD_BLOCKS)
        until = min(until, -(-self.size_bytes // BLOCK_BYTES))
        start, end = first * BLOCK_BYTES, min(until * BLOCK_BYTES, self.size_bytes)
        data = self._fetch(start, end, self._head.e_tag).data
        self._next = until
        asked = {}
        for number in range(first, until):
            at = number * BLOCK_BYTES - start
            asked[number] = data[at : at + BLOCK_BYTES]
            self._cache.put(self._key, self._head.e_tag, number, asked[number])
        return asked

    def _remembered(self, number: int) -> bytes | None:
        return self._cache.get(self._key, self._head.e_tag, number)
