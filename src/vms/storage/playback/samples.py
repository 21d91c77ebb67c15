"""The samples of a cut: those between its key picture and the end that is wanted, or all of its fragments.

Belongs here: from wall-clock time to samples of a file. Does not: files (cutlist), boxes (vms.format).
"""

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from vms.common.clock import NS
from vms.format.hybrid import Fragment, SampleTable, read_samples
from vms.media import MediaKind
from vms.storage.playback.cutlist import Cut, of_track


def read_cut(cut: Cut) -> dict[int, SampleTable]:
    """Samples by track id of what a cut shows; reads the file, so call it in a thread.

    Pictures: from the key picture that the cut begins with, in decoding order, to the last one that is
    presented before `cut.until_ns` (pictures that this one needs come with it). Sound: what is heard
    meanwhile; where the cut carries on from another, from the first frame in the file on, so that none
    is lost between two files. No table is empty.
    """
    last = _last_with_reordered(cut)
    tables = read_samples(cut.opened.read_at, cut.file, cut.first, last)
    filled = [table for table in tables.values() if len(table)]
    leading = next((table for table in filled if table.track.kind is MediaKind.VIDEO), None)
    if leading is None:
        return {table.track.id: table for table in filled}
    clock = _TrackClock(leading, cut.file.fragments[cut.first : last])
    pictures = leading.slice(0, _presented_before(leading, clock.ticks(cut.until_ns)))
    wanted = {leading.track.id: pictures}
    from_s = None if cut.joined else _pts(leading, 0) / leading.track.clock_rate
    to_s = clock.ticks(cut.until_ns) / leading.track.clock_rate
    for table in filled:
        if table.track.kind is MediaKind.AUDIO and len(heard := _heard(table, from_s, to_s)):
            wanted[table.track.id] = heard
    return wanted


@dataclass(frozen=True, slots=True)
class WholeCut:
    """Fragments `first` up to, not including, `last` of a cut's file, and what of them is to be seen.

    tables: all of their samples, by track id. from_s: when the picture that is shown at the start asked for is
    presented; None: nothing before it. until_s: what is presented from then on is not wanted; None: all of it is.
    Both in seconds of the stream's timeline. from_ns: wall clock of `from_s`, or of the first picture.
    """

    first: int
    last: int
    tables: dict[int, SampleTable]
    from_s: Fraction | None
    until_s: Fraction | None
    from_ns: int

    def ended(self) -> dict[int, SampleTable]:
        """Of the tables, up to the samples that the last moment before `until_s` needs; of each at least one."""
        if self.until_s is None:
            return self.tables
        ended = {}
        for track_id, table in self.tables.items():
            if table.track.kind is MediaKind.VIDEO:
                until = floor(self.until_s * table.track.clock_rate)
                ended[track_id] = table.slice(0, _presented_before(table, until))
            else:
                heard = _heard(table, None, float(self.until_s))
                ended[track_id] = heard if len(heard) else table.slice(0, 1)
        return ended


def read_whole(cut: Cut, start_ns: int | None = None) -> WholeCut:
    """The whole fragments that it takes to show a cut; reads the file, so call it in a thread.

    start_ns: begin with the picture shown then; None: with the key picture.
    """
    last = _last_with_reordered(cut)
    fragments = cut.file.fragments[cut.first : last]
    tables = read_samples(cut.opened.read_at, cut.file, cut.first, last)
    filled = {track_id: table for track_id, table in tables.items() if len(table)}
    pictures = (table for table in filled.values() if table.track.kind is MediaKind.VIDEO)
    leader = next(pictures, next(iter(filled.values()), None))
    from_s = until_s = None
    from_ns = cut.start_ns
    if leader is not None and fragments[-1].end_ns > cut.until_ns:
        until_s = _seconds(leader, _TrackClock(leader, fragments).ticks(cut.until_ns))
    if leader is not None and start_ns is not None and start_ns > cut.start_ns:
        rate, first = leader.track.clock_rate, _pts(leader, 0)
        shown = _shown_at(leader, first + (start_ns - cut.start_ns) * rate // NS)
        if shown > first:
            from_s = _seconds(leader, shown)
            from_ns = cut.start_ns + (shown - first) * NS // rate
    return WholeCut(cut.first, last, filled, from_s, until_s, from_ns)


def _seconds(table: SampleTable, ticks: int) -> Fraction:
    return Fraction(ticks, table.track.clock_rate)


def _shown_at(table: SampleTable, at_pts: int) -> int:
    """Presentation time of the sample that is shown at a time: of the last that is presented at or before it."""
    shown, dts = _pts(table, 0), table.first_dts
    for duration, offset in zip(table.durations, table.composition_offsets, strict=True):
        if dts > at_pts + table.track.clock_rate:  # offsets are smaller, also where they are negative
            break
        if shown < dts + offset <= at_pts:
            shown = dts + offset
        dts += duration
    return shown


class _TrackClock:
    """Wall-clock time ↔ ticks of a track, from the newest key picture: its capture time is exact.

    Capture times of pictures between key pictures may stand still where pictures are reordered.
    """

    def __init__(self, table: SampleTable, fragments: list[Fragment]) -> None:
        self._rate = table.track.clock_rate
        samples_after = 0
        self._pts, self._wall_ns = _pts(table, 0), fragments[0].start_ns
        for fragment in reversed(fragments):
            part = of_track(fragment, table.track.id)
            samples_after += part.samples if part else 0
            if fragment.key and part and samples_after <= len(table):
                self._pts = _pts(table, len(table) - samples_after)
                self._wall_ns = fragment.start_ns
                break

    def ticks(self, wall_ns: int) -> int:
        return self._pts + (wall_ns - self._wall_ns) * self._rate // NS


def _pts(table: SampleTable, index: int) -> int:
    return table.first_dts + sum(table.durations[:index]) + table.composition_offsets[index]


def _presented_before(table: SampleTable, end_pts: int) -> int:
    """How many samples, in decoding order, it takes to present all before `end_pts`; at least one."""
    dts = table.end_dts
    for index in range(len(table) - 1, 0, -1):
        dts -= table.durations[index]
        if dts + table.composition_offsets[index] < end_pts:
            return index + 1
    return 1


def _heard(table: SampleTable, from_s: float | None, to_s: float) -> SampleTable:
    """Frames of sound that begin from half a frame before `from_s` (None: all) up to `to_s`."""
    rate = table.track.clock_rate
    first, last = 0, len(table)
    if from_s is not None:
        dts = table.first_dts
        while first < last and (dts + table.durations[first] / 2) / rate < from_s:
            dts += table.durations[first]
            first += 1
    dts = table.end_dts
    while last > first and (dts - table.durations[last - 1]) / rate >= to_s:
        last -= 1
        dts -= table.durations[last]
    return table.slice(first, last)


def _last_with_reordered(cut: Cut) -> int:
    """`cut.last`, or one more where pictures before the end may be stored behind one that is not."""
    fragments = cut.file.fragments
    if cut.last == len(fragments) or not any(track.max_reorder for track in cut.file.tracks):
        return cut.last
    before, after = fragments[cut.last - 1], fragments[cut.last]
    if after.key or after.start_ns < cut.until_ns or after.start_ns > before.end_ns + NS:
        return cut.last
    return cut.last + 1
