"""Thumbnails that were made: the newest in memory, many on disk, none of footage that is no longer there.

Belongs here: both places as one, and what must leave them. Does not: making thumbnails (thumbnails), rows (thumbnail_store).
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.search import DAY_NS
from vms.storage.render.thumbnail_store import MOST_BYTES, Name, Origin, ThumbnailStore
from vms.storage.render.values import Thumbnail
from vms.storage.segment import Segment

MEMORY_BYTES = 32 << 20
MOST_DAYS_ASKED = (
    300  # a round, about recordings whose files moved; the rest of them is made again when asked for
)

_Result = TypeVar("_Result")


class ThumbnailCache:
    """Counters: hits_memory, hits_disk, misses, purged (recordings that were gone), memory_bytes."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        may_keep: Callable[[Segment], bool],
        *,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """path: of the file. may_keep: whether pictures of a recording may lie on disk as they are."""
        self.hits_memory = self.hits_disk = self.misses = self.purged = self.memory_bytes = 0
        self._clock = clock
        self._may_keep = may_keep
        self._store = ThumbnailStore(path, most_bytes)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="thumbnail-cache")
        self._memory: OrderedDict[Name, tuple[Thumbnail, Origin]] = OrderedDict()

    @property
    def disk_bytes(self) -> int:
        return self._store.kept_bytes

    async def start(self) -> None:
        await self._run(self._store.open)

    async def stop(self) -> None:
        self._executor.submit(self._store.close)
        self._executor.shutdown(wait=False)

    async def get(self, name: Name, segment: Segment) -> Thumbnail | None:
        """`segment`: the recording that it is of."""
        found = self._memory.get(name)
        if found is not None:
            self._memory.move_to_end(name)
            self.hits_memory += 1
            return found[0]
        if self._may_keep(segment):
            kept = await self._run(lambda: self._store.get(name, self._clock.wall_ns()))
            if kept is not None:
                self.hits_disk += 1
                self._remember(name, kept, _origin(segment))
                return kept
        self.misses += 1
        return None

    async def put(self, name: Name, segment: Segment, thumbnail: Thumbnail) -> None:
        origin = _origin(segment)
        self._remember(name, thumbnail, origin)
        if self._may_keep(segment):
            now_ns = self._clock.wall_ns()
            await self._run(lambda: self._store.put(name, origin, thumbnail, now_ns))

    async def purge(self, recordings: RecordingStore) -> None:
        """Forget the pictures of recordings that are gone; whether they are is asked of disk and catalog."""
        origins = {origin.segment_id: origin for _, origin in self._memory.values()}
        origins |= {each.segment_id: each for each in await self._run(self._store.origins)}
        missing = await self._run(lambda: [each for each in origins.values() if not each.path.exists()])
        gone = await _gone(recordings, missing)
        if not gone:
            return
        for name in [name for name in self._memory if name.segment_id in gone]:
            thumbnail, _ = self._memory.pop(name)
            self.memory_bytes -= len(thumbnail.jpeg)
        await self._run(lambda: self._store.forget(gone))
        self.purged += len(gone)

    def _remember(self, name: Name, thumbnail: Thumbnail, origin: Origin) -> None:
        if name in self._memory:
            return
        self._memory[name] = thumbnail, origin
        self.memory_bytes += len(thumbnail.jpeg)
        while self.memory_bytes > MEMORY_BYTES:
            _, (oldest, _) = self._memory.popitem(last=False)
            self.memory_bytes -= len(oldest.jpeg)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _origin(segment: Segment) -> Origin:
    return Origin(segment.id, segment.camera_id, segment.path, segment.start_ns, segment.end_ns)


async def _gone(recordings: RecordingStore, missing: Iterable[Origin]) -> set[UUID]:
    """Those that no longer exist, of recordings whose files are not where they were: some may have moved to a tier."""
    days: defaultdict[tuple[CameraId, int], list[Origin]] = defaultdict(list)
    for origin in missing:
        days[origin.camera_id, origin.start_ns // DAY_NS].append(origin)
    gone: set[UUID] = set()
    for asked, ((camera_id, _), origins) in enumerate(days.items()):
        known: set[UUID] = set()
        if asked < MOST_DAYS_ASKED:
            first_ns = min(origin.start_ns for origin in origins)
            last_ns = max(origin.end_ns for origin in origins)
            known = {each.id for each in await recordings.segments(camera_id, first_ns, last_ns)}
        gone |= {origin.segment_id for origin in origins} - known
    return gone
