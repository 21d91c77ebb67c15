"""The samples of a cut: those between its key picture and the end that is wanted.

Belongs here: from wall-clock time to samples of a file. Does not: files (cutlist), boxes (vms.format).
"""

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
