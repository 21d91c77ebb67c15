"""Pieces of objects that were read lately, shared by all readers of a process.

Belongs here: remembering within a bound. Does not: reading (object_body).
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

BLOCK_BYTES = 256 << 10
CACHE_BYTES = 64 << 20
_HEADS = 4096


@dataclass(frozen=True, slots=True)
class Head:
    """What an object was when it was looked at. seen_s: monotonic time of that."""

    size_bytes: int
    e_tag: str
    seen_s: float


class BlockCache:
    """Blocks by object and number, those not asked for the longest time forgotten first. Any thread may call.

    An object is named by where it is, and a block also by the object's entity tag: one that was replaced is another.
    """

    def __init__(self, size_bytes: int = CACHE_BYTES) -> None:
        self._most = size_bytes // BLOCK_BYTES
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()
        self._heads: OrderedDict[str, Head] = OrderedDict()

    def get(self, key: str, e_tag: str, number: int) -> bytes | None:
        with self._lock:
            block = self._blocks.get((key, e_tag, number))
            if block is not None:
                self._blocks.move_to_end((key, e_tag, number))
            return block

    def put(self, key: str, e_tag: str, number: int, block: bytes) -> None:
        with self._lock:
            self._blocks[key, e_tag, number] = block
            self._blocks.move_to_end((key, e_tag, number))
            while len(self._blocks) > self._most:
                self._blocks.popitem(last=False)

    def head(self, key: str) -> Head | None:
        with self._lock:
            return self._heads.get(key)

    def put_head(self, key: str, head: Head) -> None:
        with self._lock:
            self._heads[key] = head
            self._heads.move_to_end(key)
            while len(self._heads) > _HEADS:
                self._heads.popitem(last=False)

    def forget(self, key: str) -> None:
        """An object that was deleted or replaced; its blocks fall out by themselves."""
        with self._lock:
            self._heads.pop(key, None)


SHARED = BlockCache()
