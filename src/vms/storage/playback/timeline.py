"""What was recorded of a camera, and what was not.

    Span   a stretch without interruption: files that touch are one, a recorded gap parts them
    Gap    what is missing: as the recorder told it, else a hole between files, of unknown reason

Every moment between two recordings is in a span or in a gap; in both where packets were lost, for
recording goes on then. Nothing is a gap before the first recording of a camera, nor after its last unless
that was recorded as one.

Belongs here: arithmetic on intervals of wall-clock time, without I/O.
Does not: finding files (ports), choosing which file to show where two overlap (cutlist).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from vms.common.clock import NS
from vms.media import Gap, GapReason
from vms.storage.segment import Segment

TOUCH_NS = NS // 2
"""Files less than this apart are one recording: the last picture's duration is a guess, clocks are adjusted."""


@dataclass(frozen=True, slots=True)
class Span:
    """Recorded without interruption from `start_ns` up to, not including, `end_ns` (wall clock, UTC)."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """One camera's recordings in a range.

    spans, gaps: clipped to the range, oldest first; a gap that lasts still has no end.
    segments: the files that overlap the range, whole, oldest first.
    """

    spans: list[Span]
    segments: list[Segment]
    gaps: list[Gap]


def build_timeline(
    segments: Iterable[Segment],
    gaps: Iterable[Gap],
    start_ns: int,
    end_ns: int,
    *,
    recorded_before: bool,
    recorded_after: bool,
) -> Timeline:
    """The timeline of [start_ns, end_ns) out of the files and recorded gaps that overlap it.

    recorded_before, recorded_after: something was recorded earlier, later than the range; only then is
    its empty beginning, its empty end, missing.
    """
    files = sorted(segments, key=lambda segment: (segment.start_ns, segment.end_ns))
    recorded = sorted(gaps, key=lambda gap: gap.start_ns)
    spans = _clip(_merge(files, recorded), start_ns, end_ns)
    found = [clipped for gap in recorded if (clipped := _clip_gap(gap, start_ns, end_ns))]
    holes = _holes(spans, start_ns, end_ns, recorded_before, recorded_after)
    missing = _without(holes, [Span(gap.start_ns, _end(gap)) for gap in found])
    found += [
        Gap(hole.start_ns, hole.end_ns, GapReason.UNKNOWN)
        for hole in missing
        if hole.end_ns - hole.start_ns > TOUCH_NS
    ]
    return Timeline(spans, files, sorted(found, key=lambda gap: gap.start_ns))


def _merge(files: Sequence[Segment], gaps: Sequence[Gap]) -> list[Span]:
    """Files as spans; `gaps` sorted by start."""
    gaps = [gap for gap in gaps if gap.reason is not GapReason.PACKET_LOSS]
    spans: list[Span] = []
    starts = [gap.start_ns for gap in gaps]
    last: Segment | None = None
    for file in files:
        if last is not None and file.start_ns <= spans[-1].end_ns + TOUCH_NS:
            between = gaps[bisect_left(starts, last.start_ns) : bisect_right(starts, file.start_ns)]
            if not _parted(between, spans[-1].end_ns, file):
                spans[-1] = Span(spans[-1].start_ns, max(spans[-1].end_ns, file.end_ns))
                last = file
                continue
        spans.append(Span(file.start_ns, file.end_ns))
        last = file
    return spans


def _parted(gaps: Sequence[Gap], recorded_until_ns: int, file: Segment) -> bool:
    """Whether one of `gaps` lies between what was recorded so far and `file`, which touches it."""
    if file.start_ns < recorded_until_ns:
        return False
    return any(recorded_until_ns <= _end(gap) <= file.end_ns for gap in gaps)


def _holes(
    spans: Sequence[Span], start_ns: int, end_ns: int, recorded_before: bool, recorded_after: bool
) -> list[Span]:
    """Stretches of the range between recordings."""
    edges = [start_ns if recorded_before else None]
    for span in spans:
        edges += [span.start_ns, span.end_ns]
    edges.append(end_ns if recorded_after else None)
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [Span(left, right) for left, right in pairs if left is not None and right is not None]


def _without(spans: Sequence[Span], holes: Iterable[Span]) -> list[Span]:
    """`spans` (sorted, disjoint) less `holes` (sorted by start)."""
    rest: list[Span] = []
    cuts = sorted(holes, key=lambda hole: hole.start_ns)
    first = 0
    for span in spans:
        left_ns = span.start_ns
        while first < len(cuts) and cuts[first].end_ns <= left_ns:
            first += 1
        for cut in islice(cuts, first, None):
            if cut.start_ns >= span.end_ns:
                break
            if cut.start_ns > left_ns:
                rest.append(Span(left_ns, cut.start_ns))
            left_ns = max(left_ns, cut.end_ns)
        if left_ns < span.end_ns:
            rest.append(Span(left_ns, span.end_ns))
    return rest


def _clip(spans: Iterable[Span], start_ns: int, end_ns: int) -> list[Span]:
    clipped = (Span(max(span.start_ns, start_ns), min(span.end_ns, end_ns)) for span in spans)
    return [span for span in clipped if span.start_ns < span.end_ns]


def _clip_gap(gap: Gap, start_ns: int, end_ns: int) -> Gap | None:
    left_ns = max(gap.start_ns, start_ns)
    right_ns = None if gap.end_ns is None else min(gap.end_ns, end_ns)
    if left_ns >= end_ns or (right_ns is not None and right_ns < left_ns):
        return None
    return Gap(left_ns, right_ns, gap.reason, gap.detail)


def _end(gap: Gap) -> int:
    return gap.end_ns if gap.end_ns is not None else _FOREVER_NS


_FOREVER_NS = 1 << 63
