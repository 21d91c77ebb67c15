"""The newest footage of a camera in memory: what is recorded of the time before an event.

Whole groups of pictures, oldest first, with what was lost between them. Bounded in time by whoever keeps it, in bytes
for each camera and for the process: what does not fit goes, the oldest first, and is counted.

Belongs here: remembering and letting go. Does not: deciding what is recorded (camera_recorder).
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from vms.common.clock import NS
from vms.media import AccessUnit, Gap, MediaKind, Track

CAMERA_LIMIT_BYTES = 64 << 20  # a minute at 8 Mb/s
PROCESS_LIMIT_BYTES = 2 << 30  # 200 cameras of 4 Mb/s with 14 s each need 1.4 GB …
MEMORY_SHARE = 8  # … and the machine has to have this many times what they may take
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")  # cgroup v2
_SOUND_GROUP_NS = NS  # sound alone could begin a group with every frame
_UNIT_BYTES = 350  # what Python keeps for a unit beside its data


def default_limit_bytes() -> int:
    """What the cameras of a process may remember together on this machine."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # "max", or not in a container
        memory_bytes = min(memory_bytes, int(CONTAINER_LIMIT.read_text()))
    return min(PROCESS_LIMIT_BYTES, memory_bytes // MEMORY_SHARE)


class MemoryBudget:
    """What all cameras of a process may remember together."""

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = default_limit_bytes() if limit_bytes is None else limit_bytes
        self.used_bytes = 0


class Group:
    """From a key picture up to the next; items: units, and losses between them. tracks: what the stream consisted of then.

    start_ns: wall-clock time of its first capture.
    """

    __slots__ = ("items", "size_bytes", "start_ns", "tracks")

    def __init__(self, first: AccessUnit, tracks: Sequence[Track]) -> None:
        self.items: list[AccessUnit | Gap] = [first]
        self.tracks = tuple(tracks)
        self.start_ns = first.capture_ns
        self.size_bytes = len(first.data) + _UNIT_BYTES


class PreRoll:
    """A queue of groups and of the gaps between them.

    on_discarded: told of everything that goes without having been taken. Counter: shortened (groups that went for memory).
    """

    def __init__(
        self,
        budget: MemoryBudget,
        on_discarded: Callable[[Group | Gap], None],
        limit_bytes: int = CAMERA_LIMIT_BYTES,
    ) -> None:
        self.size_bytes = 0
        self.shortened = 0
        self._budget = budget
        self._limit_bytes = limit_bytes
        self._on_discarded = on_discarded
        self._items: deque[Group | Gap] = deque()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def head(self) -> Group | Gap | None:
        return self._items[0] if self._items else None

    @property
    def too_large(self) -> bool:
        """Whether something has to go for memory."""
        return self.size_bytes > self._limit_bytes or self._budget.used_bytes > self._budget.limit_bytes

    def push(self, unit: AccessUnit, tracks: Sequence[Track]) -> bool:
        """Remember a unit; whether a group begins with it. One that no group begins with and none is open for goes."""
        last = self._items[-1] if self._items else None
        group = last if isinstance(last, Group) else None
        if self._begins(unit, group, tracks):
            group = Group(unit, tracks)
            self._items.append(group)
            self._grow(group.size_bytes)
            return True
        if group is not None:
            size_bytes = len(unit.data) + _UNIT_BYTES
            group.items.append(unit)
            group.size_bytes += size_bytes
            self._grow(size_bytes)
        return False

    def mark(self, gap: Gap) -> None:
        """Remember that something was lost here. A gap that lasts ends the group."""
        last = self._items[-1] if self._items else None
        if gap.end_ns is not None:
            if isinstance(last, Group):
                last.items.append(gap)
        elif not isinstance(last, Gap) or last.reason is not gap.reason:
            self._items.append(gap)

    def pop(self) -> Group | Gap:
        """Take the oldest."""
        item = self._items.popleft()
        if isinstance(item, Group):
            self._grow(-item.size_bytes)
        return item

    def let_go(self, before_ns: int) -> None:
        """Discard what is not needed to show what came from `before_ns` on."""
        while self._items:
            if isinstance(self._items[0], Group) and (
                len(self._items) < 2 or self._items[1].start_ns > before_ns
            ):
                return
            self._on_discarded(self.pop())

    def shorten(self) -> None:
        """Discard the oldest groups, the newest as well, until what is left may be remembered."""
        while self.too_large and any(isinstance(item, Group) for item in self._items):
            item = self.pop()
            self.shortened += isinstance(item, Group)
            self._on_discarded(item)

    def clear(self) -> None:
        """Discard everything."""
        while self._items:
            self._on_discarded(self.pop())

    def _begins(self, unit: AccessUnit, group: Group | None, tracks: Sequence[Track]) -> bool:
        if not unit.key:
            return False
        if unit.track.kind is MediaKind.VIDEO:
            return True
        if any(track.kind is MediaKind.VIDEO for track in tracks):
            return False
        return group is None or unit.capture_ns - group.start_ns >= _SOUND_GROUP_NS

    def _grow(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        self._budget.used_bytes += size_bytes
