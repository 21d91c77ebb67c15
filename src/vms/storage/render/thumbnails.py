"""Thumbnails under the pointer: whoever asks gets one soon, or learns that newer questions came first.

Belongs here: limits, sharing of work between those who ask for the same. Does not: finding and decoding
(key_pictures), keeping (thumbnail_cache), the order in which they are made (turns).
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

from vms.common.errors import InvalidInput, Unavailable
from vms.common.ids import CameraId
from vms.storage.playback.errors import NothingRecorded, PictureUnavailable
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.search import check_range
from vms.storage.render.key_pictures import KeyPicture, KeyPictures, decode_key_picture
from vms.storage.render.priority import be_nice
from vms.storage.render.strip import put_together
from vms.storage.render.thumbnail_cache import ThumbnailCache
from vms.storage.render.thumbnail_store import Name
from vms.storage.render.turns import Turns
from vms.storage.render.values import Strip, Thumbnail

MIN_WIDTH, MAX_WIDTH, WIDTH_STEP = 80, 640, 16
MOST_IN_STRIP = 100
STRIPS_AT_ONCE = 4


class Thumbnails:
    """Counters: decoded, failed, strips, and those of `cache` and `turns`."""

    def __init__(self, recordings: RecordingStore, cache: ThumbnailCache, threads: int) -> None:
        """threads: how many are decoded at once."""
        self.decoded = self.failed = self.strips = 0
        self.cache = cache
        self.turns = Turns(threads)
        self._pictures = KeyPictures(recordings)
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="thumbnail", initializer=be_nice)
        self._making: dict[Name, _Shared] = {}
        self._strips = 0

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def thumbnail(self, camera_id: CameraId, at_ns: int, width: int) -> Thumbnail:
        """See values.Rendering. Widths are rounded up to multiples of WIDTH_STEP, so that more is answered from memory."""
        width = _checked_width(width)
        picture = await self._pictures.find(camera_id, at_ns)
        name = Name(picture.segment.id, picture.offset, width)
        found = await self.cache.get(name, picture.segment)
        if found is not None:
            return found
        shared = self._making.get(name)
        if shared is None:
            shared = _Shared(self._make(name, picture))
            shared.ended = lambda: self._drop(name, shared)
            self._making[name] = shared
        return await shared.wait()

    async def strip(self, camera_id: CameraId, start_ns: int, end_ns: int, count: int, width: int) -> Strip:
        """See values.Rendering. Its pictures are made one or a few at a time: a pointer elsewhere goes first."""
        width = _checked_width(width)
        check_range(start_ns, end_ns)
        if not 1 <= count <= MOST_IN_STRIP:
            raise InvalidInput(f"count: 1 to {MOST_IN_STRIP} thumbnails can be in one strip")
        if self._strips >= STRIPS_AT_ONCE:
            raise Unavailable(f"{STRIPS_AT_ONCE} strips are being made already; try again in a few seconds")
        self._strips += 1
        try:
            step_ns = (end_ns - start_ns) / count
            moments = [start_ns + int(step_ns * (index + 0.5)) for index in range(count)]
            cells = await self._cells(camera_id, moments, width, int(step_ns))
            loop = asyncio.get_running_loop()
            self.strips += 1
            return await loop.run_in_executor(self._executor, put_together, cells, width)
        finally:
            self._strips -= 1

    async def _cells(
        self, camera_id: CameraId, moments: list[int], width: int, step_ns: int
    ) -> list[Thumbnail | None]:
        at_once = asyncio.Semaphore(self._threads)

        async def cell(at_ns: int) -> Thumbnail | None:
            async with at_once:
                try:
                    return await self.thumbnail(camera_id, at_ns, width)
                except (NothingRecorded, PictureUnavailable):
                    return None

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(cell(at_ns)) for at_ns in moments]
        return [task.result() for task in tasks]

    async def _make(self, name: Name, picture: KeyPicture) -> Thumbnail:
        async with self.turns.turn():
            opened = await self._pictures.open(picture)
            job = self._executor.submit(decode_key_picture, opened, picture, name.width)
            job.add_done_callback(lambda _: opened.close())  # also when it is cancelled before it ran
            try:
                jpeg = await asyncio.wrap_future(job)
            except PictureUnavailable:
                self.failed += 1
                raise
        self.decoded += 1
        thumbnail = Thumbnail(jpeg, picture.time_ns)
        await self.cache.put(name, picture.segment, thumbnail)
        return thumbnail

    def _drop(self, name: Name, shared: "_Shared | None") -> None:
        if self._making.get(name) is shared:
            del self._making[name]


class _Shared:
    """One piece of work for all who wait for it; given up when nobody does any more.

    ended: called when nobody can join any more.
    """

    def __init__(self, work: Coroutine[None, None, Thumbnail]) -> None:
        self.ended: Callable[[], None] = lambda: None
        self._task = asyncio.create_task(work)
        self._waiting = 0
        self._task.add_done_callback(lambda _: self.ended())

    async def wait(self) -> Thumbnail:
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self.ended()  # at once: who asks now must not join what is being given up
                self._task.cancel()


def _checked_width(width: int) -> int:
    if not MIN_WIDTH <= width <= MAX_WIDTH:
        raise InvalidInput(f"width: {MIN_WIDTH} to {MAX_WIDTH} pixels")
    return -(-width // WIDTH_STEP) * WIDTH_STEP
