"""Recordings from a time on, piece by piece as they are watched, up to what is being recorded now.

    Init     an init segment; what comes behind it needs it
    Media    one fragment as it is in its file
    Missing  nothing is recorded between two times

Files are looked for some minutes at a time and opened one ahead, so that a viewer of a whole day costs no more than one
of a minute. At the end of what there is, more of the open recording is waited for.

Belongs here: going on from file to file, gaps between them, what browsers take of a file. Does not: choosing files
(cutlist), the pace (whoever iterates), messages (vms.stream).
"""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import UUID

from vms.common.clock import NS, Clock
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.format.codecs import codec_string
from vms.format.errors import FormatError
from vms.format.hybrid import Fragment, SegmentFile, hide_tracks
from vms.media import Gap, GapReason, MediaKind, Track
from vms.storage.playback.cutlist import Cut, cut_list, leading_track, of_track
from vms.storage.playback.download import read_parts
from vms.storage.playback.errors import RecordingDamaged, RecordingGone
from vms.storage.playback.hls import playable_sound
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.search import nothing_recorded, oldest_after
from vms.storage.playback.timeline import TOUCH_NS
from vms.storage.segment import OpenFile

STRETCH_NS = 600 * NS
EDGE_NS = 15 * NS
"""What ended so long ago or less may go on: a camera's next fragment is on its way to the disk."""
READ_THREADS = 4
READ_TIMEOUT_S = 15.0
_LOOK_AGAIN_S = 0.5
_JITTER_NS = NS // 20


@dataclass(frozen=True, slots=True)
class Init:
    """Of all tracks that browsers play; the others are hidden in it. mime: for addSourceBuffer."""

    mime: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """Between two wall-clock times (UTC). media_s: where it begins on the timeline of its recording."""

    start_ns: int
    end_ns: int
    media_s: float
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Missing:
    """Between two wall-clock times (UTC)."""

    start_ns: int
    end_ns: int
    reason: GapReason


Watched = Init | Media | Missing


class Onward:
    """Plays what a RecordingStore holds. Disks and networks are read in threads."""

    def __init__(self, store: RecordingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="watch")

    async def stop(self) -> None:
        """End the threads; what is being watched fails."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def play(self, camera_id: CameraId, from_ns: int) -> AsyncGenerator[Watched, None]:
        """From the key picture at or before a time (wall clock, UTC) on; an Init before the Media that needs it.

        Ends when the camera is recorded no more. Raises NothingRecorded, and Unavailable when a disk or tier refuses.
        """
        place = _Place(from_ns, from_ns)
        while True:
            place.moved = False
            async with aclosing(self._stretch(camera_id, place)) as stretch:
                async for each in stretch:
                    yield each
            if not place.moved and not await self._is_more(camera_id, place):
                break
        if place.segment_id is None:
            raise await nothing_recorded(self._store, camera_id, from_ns, from_ns + 1)
        lasting = await self._lasting_gap(camera_id, place.reached_ns)
        if lasting is not None:
            yield Missing(place.reached_ns, max(self._clock.wall_ns(), place.reached_ns), lasting.reason)

    async def _stretch(self, camera_id: CameraId, place: "_Place") -> AsyncGenerator[Watched, None]:
        """What of the next minutes was not given yet."""
        start_ns = place.look_ns
        listing = cut_list(self._store, camera_id, start_ns, start_ns + STRETCH_NS, skip_unreadable=True)
        async with aclosing(listing) as files:
            async for cuts in files:
                reading = _Reading(cuts[0].opened, self._store, self._readers)
                try:
                    sound = playable_sound(cuts)
                    for cut in cuts:
                        first = place.first_new(cut)
                        if first is None:
                            continue
                        missing = await self._missing(
                            camera_id, place.reached_ns, cut.file.fragments[first].start_ns
                        )
                        if missing is not None:
                            yield missing
                        if not place.continues(cut, first):
                            init = await _init(reading, cut.file, sound)
                            if not cut.joined or init.mime != place.mime:  # every file's init names its file
                                place.mime = init.mime
                                yield init
                        for index in range(first, cut.last):
                            fragment = cut.file.fragments[index]
                            data = await reading.read(fragment.offset, fragment.size)
                            place.take(cut, index)
                            yield Media(
                                fragment.start_ns, fragment.end_ns, _media_s(cut.file, fragment), data
                            )
                finally:
                    reading.close()

    async def _is_more(self, camera_id: CameraId, place: "_Place") -> bool:
        """Whether it is worth looking on at `place.look_ns`; waits where the present may bring more."""
        look_ns, reached_ns, now_ns = place.look_ns, place.reached_ns, self._clock.wall_ns()
        if abs(now_ns - reached_ns) < EDGE_NS and await self._lasting_gap(camera_id, reached_ns) is None:
            recent = await self._store.segments(camera_id, max(reached_ns - EDGE_NS, 0), now_ns + EDGE_NS)
            if recent:
                await asyncio.sleep(_LOOK_AGAIN_S)
                return True
        if look_ns + STRETCH_NS >= now_ns:
            return False
        later = await oldest_after(self._store, camera_id, look_ns + STRETCH_NS)
        if later is not None:
            place.look_ns = later.start_ns
        return later is not None

    async def _lasting_gap(self, camera_id: CameraId, at_ns: int) -> Gap | None:
        gaps = await self._store.gaps(camera_id, at_ns, max(self._clock.wall_ns(), at_ns) + 1)
        lasting = (gap for gap in gaps if gap.end_ns is None and gap.reason is not GapReason.PACKET_LOSS)
        return next(lasting, None)

    async def _missing(self, camera_id: CameraId, reached_ns: int, start_ns: int) -> Missing | None:
        """What to say of the time between two fragments."""
        if start_ns - reached_ns <= _JITTER_NS:
            return None
        recorded = await self._store.gaps(camera_id, reached_ns, start_ns)
        if recorded:
            longest = max(recorded, key=lambda gap: _within(gap, reached_ns, start_ns))
            return Missing(reached_ns, start_ns, longest.reason)
        return Missing(reached_ns, start_ns, GapReason.UNKNOWN) if start_ns - reached_ns > TOUCH_NS else None


@dataclass(slots=True)
class _Place:
    """Up to where footage was given, and where to look for more (wall clock): where the last fragment given began, so
    that the cut list tells how the next one carries on from it.

    segment_id, index: of the last fragment given. moved: one was given since it was last set.
    """

    look_ns: int
    reached_ns: int
    segment_id: UUID | None = None
    index: int = -1
    mime: str = ""
    moved: bool = False

    def first_new(self, cut: Cut) -> int | None:
        """The first fragment of a cut that was not given and can be: the next of its file, or a key picture."""
        if cut.opened.segment.id == self.segment_id:
            first = max(cut.first, self.index + 1)
            return first if first < cut.last else None
        if self.segment_id is None or cut.joined:
            return cut.first
        fragments = cut.file.fragments
        keys = (index for index in range(cut.first, cut.last) if fragments[index].key)
        return next((i for i in keys if fragments[i].start_ns >= self.reached_ns - TOUCH_NS), None)

    def continues(self, cut: Cut, first: int) -> bool:
        """Whether a decoder that has what was given goes on at once: in the middle of a cut."""
        return cut.opened.segment.id == self.segment_id and first > cut.first and first == self.index + 1

    def take(self, cut: Cut, index: int) -> None:
        self.segment_id, self.index, self.moved = cut.opened.segment.id, index, True
        fragment = cut.file.fragments[index]
        self.look_ns = max(self.look_ns, fragment.start_ns)
        self.reached_ns = max(self.reached_ns, fragment.end_ns)


class _Reading:
    """One open file, read in threads. It is closed when no thread is in it any more, whoever is cancelled."""

    def __init__(self, opened: OpenFile, store: RecordingStore, threads: ThreadPoolExecutor) -> None:
        self._opened = opened
        self._store = store
        self._threads = threads
        self._job: Future[bytes] | None = None

    async def read(self, offset: int, size: int) -> bytes:
        """Raises RecordingGone, Unavailable."""
        try:
            return await self._read(offset, size)
        except (RecordingGone, Unavailable):
            if not self._opened.segment.closed:
                raise  # it grows where it is
        again = await self._store.open_file(self._opened.segment.id)  # it may have been moved to a tier
        self.close()
        self._opened = again
        return await self._read(offset, size)

    def close(self) -> None:
        """Harmless when done before."""
        opened = self._opened
        if self._job is None:
            opened.close()
        else:
            self._job.add_done_callback(lambda _: opened.close())

    async def _read(self, offset: int, size: int) -> bytes:
        self._job = self._threads.submit(read_parts, self._opened, [(offset, size)])
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                return await asyncio.wrap_future(self._job)
        except TimeoutError:
            raise Unavailable(
                f"recording {self._opened.segment.id} was not read in {READ_TIMEOUT_S:g} s; check its disk"
            ) from None


async def _init(reading: _Reading, file: SegmentFile, sound: Track | None) -> Init:
    """What browsers are told of a file. Raises RecordingDamaged, and as `_Reading.read`."""
    data = await reading.read(*file.init)
    shown = [track for track in file.tracks if track.kind is MediaKind.VIDEO or track is sound]
    hidden = {track.id for track in file.tracks} - {track.id for track in shown}
    if hidden and shown:
        try:
            data = hide_tracks(data, hidden)
        except FormatError as error:
            raise RecordingDamaged(f"the init segment of a recording cannot be read: {error}") from error
    named_tracks = sorted(shown or file.tracks, key=lambda track: track.kind is not MediaKind.VIDEO)
    named = [codec_string(track, in_band=track.id in file.in_band) for track in named_tracks]
    kind = named_tracks[0].kind
    return Init(f'{kind.value}/mp4; codecs="{",".join(named)}"', data)


def _media_s(file: SegmentFile, fragment: Fragment) -> float:
    leader = leading_track(file.tracks)
    part = of_track(fragment, leader.id)
    if part is not None:
        return part.first_dts / leader.clock_rate
    other = fragment.tracks[0]
    rate = next(track.clock_rate for track in file.tracks if track.id == other.track_id)
    return other.first_dts / rate


def _within(gap: Gap, start_ns: int, end_ns: int) -> int:
    return min(end_ns if gap.end_ns is None else gap.end_ns, end_ns) - max(gap.start_ns, start_ns)
