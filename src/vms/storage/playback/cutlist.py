"""Which pieces of which files show a stretch of time: the cut list that playlist and export share.

A cut is a run of fragments of one file that plays without a break and begins with a key picture. Cuts
come in order of time; `joined` tells whether one carries on where the cut before it ended (the next file
of the same recording) or time, timeline or encoding jump in between.

Where two recordings cover the same time, the one being shown goes on to its end and the other takes over
at its last key picture before that, so that nothing is shown twice; less than a fragment is left out.

Belongs here: choosing and trimming. Does not: playlists (hls), samples and bytes (export).
"""

from bisect import bisect_left
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from vms.common.clock import NS
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.format.hybrid import Fragment, FragmentTrack, SegmentFile
from vms.media import Gap, MediaKind, Track
from vms.storage.playback.ports import RecordingStore
from vms.storage.playback.search import check_range
from vms.storage.playback.timeline import TOUCH_NS
from vms.storage.segment import OpenSegment, Segment
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_JITTER_NS = NS // 20
_STEP_S = 0.25  # a smaller step of the timeline may be the guessed duration of a file's last picture
_FROZEN_S = 1.0  # players get over a smaller hole between two pictures that belong together


@dataclass(frozen=True, slots=True)
class Cut:
    """Fragments `first` up to, not including, `last` of an open file.

    until_ns: samples presented from this wall-clock time on are not wanted.
    joined: carries on where the cut before it ended.
    """

    opened: OpenSegment
    first: int
    last: int
    until_ns: int
    joined: bool

    @property
    def file(self) -> SegmentFile:
        return self.opened.file

    @property
    def fragments(self) -> Sequence[Fragment]:
        return self.opened.file.fragments[self.first : self.last]

    @property
    def start_ns(self) -> int:
        return self.file.fragments[self.first].start_ns

    @property
    def end_ns(self) -> int:
        return self.file.fragments[self.last - 1].end_ns


async def cut_list(
    store: RecordingStore, camera_id: CameraId, start_ns: int, end_ns: int, *, skip_unreadable: bool = False
) -> AsyncGenerator[list[Cut], None]:
    """What shows [start_ns, end_ns): the cuts of one file after the other, never an empty list.

    Begins with the key picture at or before `start_ns` when that is recorded. Whoever iterates closes
    `opened` of the cuts it gets. A file that retention deletes meanwhile is left out. One that cannot be
    read raises Unavailable, unless `skip_unreadable` and others can.
    """
    check_range(start_ns, end_ns)
    gaps = _GapIndex(await store.gaps(camera_id, start_ns - TOUCH_NS, end_ns))
    held: list[Cut] = []
    unreadable: Unavailable | None = None
    shown = False
    try:
        for segment in choose(await store.segments(camera_id, start_ns, end_ns), start_ns):
            try:
                opened = await store.open(segment.id)
            except NotFound:  # deleted by retention since it was listed
                continue
            except Unavailable as error:
                if not skip_unreadable:
                    raise
                unreadable = error
                log.warning("a recording is left out of playback", camera=camera_id, reason=str(error))
                continue
            cuts = _follow(held, opened, gaps, start_ns, end_ns)
            if not cuts:
                opened.close()
                continue
            if held:
                cuts[0] = replace(cuts[0], joined=_is_joined(held[-1], cuts[0], gaps))
            ready, held = held, cuts
            shown = True
            if ready:
                yield ready
        if held:
            ready, held = held, []
            yield ready
        if unreadable is not None and not shown:
            raise unreadable
    finally:
        for cut in held:
            cut.opened.close()


def choose(segments: Sequence[Segment], start_ns: int) -> list[Segment]:
    """The files to show, in order, out of files that may overlap.

    The first is one that covers `start_ns`, also when it ends soon after. At the end of each, the file that begins
    there carries on; else the one that covers that moment and reaches furthest; else the next to begin.
    """
    chosen: list[Segment] = []
    waiting = sorted(segments, key=lambda segment: (segment.start_ns, -segment.end_ns))
    until_ns = start_ns
    index = 0
    covering: list[Segment] = []
    while True:
        while index < len(waiting) and waiting[index].start_ns <= until_ns + TOUCH_NS:
            covering.append(waiting[index])
            index += 1
        covering = [segment for segment in covering if segment.end_ns > until_ns]
        if covering:
            if chosen:
                preferred = [s for s in covering if abs(s.start_ns - until_ns) <= TOUCH_NS]
            else:
                preferred = [s for s in covering if s.start_ns <= start_ns]
            best = max(preferred or covering, key=lambda segment: segment.end_ns)
            covering.remove(best)
        elif index < len(waiting):
            best = waiting[index]
            index += 1
        else:
            return chosen
        chosen.append(best)
        until_ns = max(until_ns, best.end_ns)


def _follow(
    shown: list[Cut], opened: OpenSegment, gaps: "_GapIndex", start_ns: int, end_ns: int
) -> list[Cut]:
    """The cuts of a file that is shown after `shown`; shortens `shown` where the file takes over earlier."""
    fragments = opened.file.fragments
    reached_ns = shown[-1].end_ns if shown else start_ns
    overlap = bool(shown) and bool(fragments) and fragments[0].start_ns < reached_ns - TOUCH_NS
    first = newest_key(fragments, reached_ns if overlap or not shown else 0)
    if first is None:
        return []
    if overlap:
        takes_over_ns = fragments[first].start_ns
        if takes_over_ns < shown[0].fragments[0].end_ns:  # nothing of `shown` would be left
            first = next((i for i, f in enumerate(fragments) if f.key and f.start_ns >= reached_ns), None)
            if first is None:
                return []
        else:
            _shorten(shown, takes_over_ns)
    last = next((i for i in range(first, len(fragments)) if fragments[i].start_ns >= end_ns), len(fragments))
    return _split(opened, first, last, end_ns, gaps)


def newest_key(fragments: Sequence[Fragment], at_ns: int) -> int | None:
    """Index of the newest key fragment that begins at or before `at_ns`, else of the first one."""
    keys = [index for index, fragment in enumerate(fragments) if fragment.key]
    earlier = [index for index in keys if fragments[index].start_ns <= at_ns]
    if earlier:
        return earlier[-1]
    return keys[0] if keys else None


def _shorten(cuts: list[Cut], until_ns: int) -> None:
    """Leave out of `cuts` the fragments that reach beyond `until_ns`; the very first one does not."""
    while cuts[-1].file.fragments[cuts[-1].first].end_ns > until_ns + _JITTER_NS:
        cuts.pop()
    cut = cuts[-1]
    within = (i for i in range(cut.first, cut.last) if cut.file.fragments[i].end_ns > until_ns + _JITTER_NS)
    cuts[-1] = replace(cut, last=next(within, cut.last))


def _split(opened: OpenSegment, first: int, last: int, end_ns: int, gaps: "_GapIndex") -> list[Cut]:
    """Fragments `first` to `last` as cuts.

    A break parts them at the next key picture. Pictures between a small break and that are kept, damaged
    as they may be: they can be what somebody is looking for. Those behind a long one are left out.
    """
    fragments = opened.file.fragments
    leader = leading_track(opened.file.tracks)
    cuts: list[Cut] = []
    begin: int | None = first
    broken = False
    for index in range(first + 1, last):
        before, after = fragments[index - 1], fragments[index]
        step_s = _step_s(before, after, leader)
        broken = broken or abs(step_s) > _STEP_S or (step_s != 0 and gaps.between(before, after))
        ends = begin is not None and ((broken and after.key) or abs(step_s) > _FROZEN_S)
        if ends and begin is not None:
            cuts.append(Cut(opened, begin, index, end_ns, joined=False))
            begin = None
        if begin is None and after.key:
            begin, broken = index, False
    if begin is not None and begin < last:
        cuts.append(Cut(opened, begin, last, end_ns, joined=False))
    return cuts


def _is_joined(left: Cut, right: Cut, gaps: "_GapIndex") -> bool:
    """Whether `right`, of the next file, carries on where `left` ends."""
    if [_encoding(track) for track in left.file.tracks] != [_encoding(track) for track in right.file.tracks]:
        return False
    if left.last != len(left.file.fragments) or right.first != 0:
        return False
    before, after = left.file.fragments[left.last - 1], right.file.fragments[0]
    if abs(after.start_ns - before.end_ns) > TOUCH_NS or gaps.between(before, after):
        return False
    leader = leading_track(left.file.tracks)
    part = of_track(before, leader.id)
    picture_s = part.duration / max(part.samples, 1) / leader.clock_rate if part else 0.0
    return abs(_step_s(before, after, leader)) <= max(_STEP_S, 2 * picture_s)


def _step_s(before: Fragment, after: Fragment, leader: Track) -> float:
    """How far the timeline jumps between two fragments; 0 where one carries on from the other."""
    left, right = of_track(before, leader.id), of_track(after, leader.id)
    if left is None or right is None:
        return (after.start_ns - before.end_ns) / NS
    return (right.first_dts - left.first_dts - left.duration) / leader.clock_rate


def leading_track(tracks: Sequence[Track]) -> Track:
    """The track that a file's time is told by: video when there is any."""
    return next((track for track in tracks if track.kind is MediaKind.VIDEO), tracks[0])


def of_track(fragment: Fragment, track_id: int) -> FragmentTrack | None:
    """What a fragment holds of a track, if anything."""
    return next((track for track in fragment.tracks if track.track_id == track_id), None)


def _encoding(track: Track) -> tuple[object, ...]:
    """What decides whether a decoder can go on without a new start; not the count of versions."""
    return (
        track.id,
        track.codec,
        track.clock_rate,
        track.parameter_sets,
        track.sample_rate,
        track.channels,
    )


class _GapIndex:
    """Recorded gaps, to be asked what lies between two fragments."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        ended = sorted((gap.end_ns, gap.start_ns) for gap in gaps if gap.end_ns is not None)
        self._ends = [end_ns for end_ns, _ in ended]
        self._earliest = list(accumulate((start_ns for _, start_ns in reversed(ended)), min))[::-1]

    def between(self, before: Fragment, after: Fragment) -> bool:
        """Whether something is missing where `before` ends and `after` begins."""
        from_ns = min(before.end_ns, after.start_ns) - _JITTER_NS
        index = bisect_left(self._ends, from_ns)
        return index < len(self._ends) and self._earliest[index] <= after.start_ns + _JITTER_NS
