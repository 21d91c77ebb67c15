"""The picture that was shown at a moment, as JPEG.

Belongs here: finding the samples from a key picture to the one shown, and keeping the newest pictures.
Does not: choosing the file (service), decoding (vms.format.picture).
"""

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from vms.common.clock import NS, rfc3339
from vms.common.errors import Unavailable
from vms.format.errors import FormatError
from vms.format.hybrid import SampleTable, read_samples
from vms.format.picture import decode_jpeg
from vms.media import MediaKind
from vms.storage.playback.cutlist import newest_key
from vms.storage.playback.errors import PictureUnavailable
from vms.storage.segment import OpenSegment

THREADS = 2
MAX_WAITING = 64
CACHED_BYTES = 16 << 20
MAX_GROUP_BYTES = 128 << 20


class Snapshots:
    """Decodes in THREADS threads, keeps the newest CACHED_BYTES of pictures.

    Counters: decoded, cached (answered from memory), refused (too many were waiting), cached_bytes.
    """

    def __init__(self) -> None:
        self.decoded = 0
        self.cached = 0
        self.refused = 0
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="snapshot")
        self._waiting = 0
        self._lock = threading.Lock()  # the cache is the threads' own
        self._cache: OrderedDict[tuple[UUID, int], bytes] = OrderedDict()
        self.cached_bytes = 0

    async def picture(self, opened: OpenSegment, at_ns: int) -> bytes:
        """JPEG of what `opened` showed at `at_ns`; closes it. Raises PictureUnavailable, Unavailable."""
        if self._waiting >= MAX_WAITING:
            opened.close()
            self.refused += 1
            raise Unavailable(f"{MAX_WAITING} pictures are being decoded already; try again in a few seconds")
        self._waiting += 1
        try:
            job = self._executor.submit(self._picture, opened, at_ns)
            job.add_done_callback(lambda _: opened.close())  # also when it is cancelled before it ran
            return await asyncio.wrap_future(job)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    # -- the threads ------------------------------------------------------------------------------------

    def _picture(self, opened: OpenSegment, at_ns: int) -> bytes:
        try:
            return self._find_or_decode(opened, at_ns)
        except (FormatError, OSError) as error:
            raise PictureUnavailable(
                f"the picture of {rfc3339(at_ns)} in recording {opened.segment.id} cannot be decoded: {error}"
            ) from error

    def _find_or_decode(self, opened: OpenSegment, at_ns: int) -> bytes:
        table, shown = _samples_up_to(opened, at_ns)
        name = (opened.segment.id, table.offsets[shown])
        with self._lock:
            if name in self._cache:
                self.cached += 1
                self._cache.move_to_end(name)
                return self._cache[name]
        picture = decode_jpeg(table.track, _read_units(opened, table, shown))
        with self._lock:
            self.decoded += 1
            if name not in self._cache:
                self._cache[name] = picture
                self.cached_bytes += len(picture)
            while self.cached_bytes > CACHED_BYTES:
                _, oldest = self._cache.popitem(last=False)
                self.cached_bytes -= len(oldest)
        return picture


def _samples_up_to(opened: OpenSegment, at_ns: int) -> tuple[SampleTable, int]:
    """Samples from a key picture on, and the index of the one that is shown at `at_ns`."""
    file = opened.file
    video = next((track for track in file.tracks if track.kind is MediaKind.VIDEO), None)
    first = newest_key(file.fragments, at_ns)
    if video is None or first is None:
        raise FormatError("it holds no pictures")
    last = first + 1
    while (
        last < len(file.fragments)
        and not file.fragments[last].key
        and file.fragments[last - 1].end_ns <= at_ns
    ):
        last += 1
    if last < len(file.fragments) and not file.fragments[last].key and video.max_reorder:
        last += 1  # a picture may be stored behind others that are shown after it
    table = read_samples(opened.read_at, file, first, last).get(video.id)
    if table is None:
        raise FormatError("its key fragment holds no pictures")
    return table, _shown(table, file.fragments[first].start_ns, at_ns)


def _shown(table: SampleTable, start_ns: int, at_ns: int) -> int:
    """Index of the sample with the newest presentation time at or before `at_ns`; `start_ns`: of the first."""
    dts = table.first_dts
    at_pts = dts + table.composition_offsets[0] + (at_ns - start_ns) * table.track.clock_rate // NS
    shown, shown_pts = 0, -1
    for index, (duration, offset) in enumerate(zip(table.durations, table.composition_offsets, strict=True)):
        if shown_pts < dts + offset <= at_pts:
            shown, shown_pts = index, dts + offset
        dts += duration
    return shown


def _read_units(opened: OpenSegment, table: SampleTable, shown: int) -> list[bytes]:
    """Access units from the key picture to the one shown, in decoding order."""
    if sum(table.sizes[: shown + 1]) > MAX_GROUP_BYTES:
        raise FormatError(f"its group of pictures is larger than {MAX_GROUP_BYTES >> 20} MiB")
    units = []
    for offset, size in zip(table.offsets[: shown + 1], table.sizes, strict=False):
        unit = opened.read_at(offset, size)
        if len(unit) != size:
            raise FormatError("it was cut short")
        units.append(unit)
    return units
