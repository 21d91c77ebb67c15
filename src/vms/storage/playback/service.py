"""Playback of recordings: what the API asks for.

Belongs here: limits, and which part answers what. Does not: how (timeline, hls, export, snapshot).
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from uuid import UUID

from vms.common.clock import NS, rfc3339
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.media import Gap
from vms.storage.playback import hls
from vms.storage.playback.cutlist import cut_list
from vms.storage.playback.download import SegmentDownload
from vms.storage.playback.errors import RangeTooLong, TooManyExports
from vms.storage.playback.export import Export, assemble
from vms.storage.playback.files import HeldFiles
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.search import (
    DAY_NS,
    HOUR_NS,
    check_range,
    newest_before,
    nothing_recorded,
    oldest_after,
    segments_in,
)
from vms.storage.playback.snapshot import Snapshots
from vms.storage.playback.timeline import TOUCH_NS, Timeline, build_timeline
from vms.storage.segment import Segment
from vms.telemetry.metrics import MetricFamily, MetricKind

MAX_PLAYED_NS = DAY_NS + HOUR_NS  # a day, also the one on which clocks are set back
MAX_EXPORTS = 4
READ_THREADS = 2
MS_NS = NS // 1000


class Playback:
    """Reads what a RecordingStore holds. Ranges are half open, wall-clock ns (UTC).

    Counters: exports (begun), exports_active, exports_refused, and those of `snapshots`.
    """

    def __init__(self, recordings: RecordingStore) -> None:
        self.exports = 0
        self.exports_refused = 0
        self.exports_active = 0
        self._store = recordings
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="playback")
        self.snapshots = Snapshots()

    async def stop(self) -> None:
        """End the threads; what is still being sent fails."""
        self.snapshots.close()
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def timeline(self, camera_id: CameraId, start_ns: int, end_ns: int) -> Timeline:
        """What is recorded in the range and what is missing. Raises RangeInvalid, RangeTooLong."""
        segments = await segments_in(self._store, camera_id, start_ns, end_ns)
        gaps = await self._store.gaps(camera_id, start_ns, end_ns)
        return build_timeline(
            segments,
            gaps,
            start_ns,
            end_ns,
            recorded_before=await newest_before(self._store, camera_id, start_ns) is not None,
            recorded_after=await oldest_after(self._store, camera_id, end_ns) is not None,
        )

    async def playlist(
        self,
        camera_id: CameraId,
        start_ns: int,
        end_ns: int,
        *,
        segment_url: Callable[[UUID], str],
        init_url: Callable[[UUID], str],
    ) -> str:
        """HLS playlist of the range (VOD, fragmented MP4).

        segment_url: the address of a recording file. init_url: that of its `init_segment`.
        Files that cannot be read are left out while others can. Raises Unavailable, RangeInvalid,
        RangeTooLong, NothingRecorded.
        """
        _check_played(start_ns, end_ns)
        listing = cut_list(self._store, camera_id, start_ns, end_ns, skip_unreadable=True)
        async with aclosing(listing) as cuts:
            text = await hls.playlist(cuts, segment_url, init_url)
        if text is None:
            raise await nothing_recorded(self._store, camera_id, start_ns, end_ns)
        return text

    async def export(self, camera_id: CameraId, start_ns: int, end_ns: int, *, exact: bool = False) -> Export:
        """One MP4 of the range, to be sent and then closed; until then it counts against MAX_EXPORTS.

        It begins with the key picture at or before `start_ns`; exact: with the picture shown then, in players that
        obey edit lists, as nearly all do. It ends at `end_ns` in the same players, in others at most a fragment later.
        Raises RangeInvalid, RangeTooLong, NothingRecorded, TooManyExports.
        """
        _check_played(start_ns, end_ns)
        if self.exports_active >= MAX_EXPORTS:
            self.exports_refused += 1
            raise TooManyExports(f"{MAX_EXPORTS} exports are being sent; try again when one has ended")
        self.exports_active += 1
        files = HeldFiles(self._store)
        try:
            async with aclosing(cut_list(self._store, camera_id, start_ns, end_ns)) as cuts:
                exact_ns = _moment_ns(start_ns) if exact else None
                parts = await assemble(cuts, files, self._readers, exact_ns=exact_ns)
            if parts is None:
                raise await nothing_recorded(self._store, camera_id, start_ns, end_ns)
        except BaseException:
            files.close()
            self._export_ended()
            raise
        self.exports += 1
        return Export(*parts, files=files, executor=self._readers, released=self._export_ended)

    async def snapshot(self, camera_id: CameraId, at_ns: int) -> bytes:
        """JPEG of the picture shown at that time. Raises NothingRecorded, PictureUnavailable, Unavailable.

        Times are printed in whole milliseconds, rounded down: a whole millisecond means all of it, so that
        the printed start of a recording finds its first picture.
        """
        end_ns = _moment_ns(at_ns) + 1
        check_range(at_ns, end_ns)
        segments = await self._store.segments(camera_id, max(at_ns - TOUCH_NS, 0), end_ns)
        for segment in sorted(segments, key=lambda segment: segment.end_ns, reverse=True):
            shown_ns = max(at_ns, segment.start_ns)
            gaps = await self._store.gaps(camera_id, shown_ns, shown_ns + 1)
            if _shows(segment, gaps, shown_ns):
                return await self.snapshots.picture(await self._store.open(segment.id), shown_ns)
        raise await nothing_recorded(self._store, camera_id, at_ns, end_ns)

    async def segment_bytes(self, camera_id: CameraId, segment_id: UUID) -> SegmentDownload:
        """One recording file up to its last whole fragment. Raises NotFound, also for another camera's."""
        opened = await self._store.open_file(segment_id)
        if opened.segment.camera_id != camera_id:
            opened.close()
            raise _not_theirs(camera_id, segment_id)
        return SegmentDownload(opened, HeldFiles(self._store), self._readers)

    async def init_segment(self, camera_id: CameraId, segment_id: UUID) -> bytes:
        """The init segment of a recording file with its sound hidden, for players that cannot take it.

        Raises NotFound, also for another camera's, and Unavailable for a damaged file.
        """
        opened = await self._store.open(segment_id)
        if opened.segment.camera_id != camera_id:
            opened.close()
            raise _not_theirs(camera_id, segment_id)
        job = self._readers.submit(hls.silent_init, opened)
        job.add_done_callback(lambda _: opened.close())  # also when it is cancelled before it ran
        return await asyncio.wrap_future(job)

    def metrics(self) -> Iterable[MetricFamily]:
        """The counters as they stand."""
        snapshots = self.snapshots
        counters = (
            ("vms_playback_exports", "Exports begun", self.exports),
            (
                "vms_playback_exports_refused",
                "Exports refused because too many were active",
                self.exports_refused,
            ),
            ("vms_playback_snapshots_decoded", "Pictures decoded out of recordings", snapshots.decoded),
            ("vms_playback_snapshots_cached", "Pictures answered from memory", snapshots.cached),
        )
        for name, text, value in counters:
            yield MetricFamily(name, MetricKind.COUNTER, text, (), [((), value)])
        yield MetricFamily(
            "vms_playback_exports_active",
            MetricKind.GAUGE,
            "Exports being sent now",
            (),
            [((), self.exports_active)],
        )

    def _export_ended(self) -> None:
        self.exports_active -= 1


def _moment_ns(at_ns: int) -> int:
    """The last moment that a time means: of a whole millisecond, as times are printed, all of it."""
    return at_ns if at_ns % MS_NS else at_ns + MS_NS - 1


def _not_theirs(camera_id: CameraId, segment_id: UUID) -> NotFound:
    return NotFound(f"{camera_id} has no recording {segment_id}; list them with /recordings")


def _check_played(start_ns: int, end_ns: int) -> None:
    check_range(start_ns, end_ns)
    if end_ns - start_ns > MAX_PLAYED_NS:
        raise RangeTooLong(
            f"the range is longer than {MAX_PLAYED_NS // HOUR_NS} h; ask for it in parts, the first up to "
            f"{rfc3339(start_ns + DAY_NS)}"
        )


def _shows(segment: Segment, gaps: list[Gap], at_ns: int) -> bool:
    """Whether a file covers the moment, or ended so shortly before that nothing is missing in between."""
    if not segment.start_ns <= at_ns < segment.end_ns + TOUCH_NS:
        return False
    return at_ns < segment.end_ns or not gaps
