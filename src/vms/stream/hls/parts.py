"""How long parts are: as short as may be, and so that those of a segment are about equally long, its last one too.

hls.js 1.7 takes a segment for loaded of which up to 0.2 s are missing at the end. When the playlist that completes a
segment comes while the part before its last is being read in, it never asks for a last part shorter than that, and
stands still until the segment's parts have left the playlist. So no part may be that short.

Belongs here: lengths. Does not: cutting (rendition).
"""

from itertools import pairwise

from vms.common.clock import NS
from vms.stream.hls.timeline import SLOT_NS

SHORTEST_NS = 220_000_000
UNKNOWN_TARGET_NS = 340_000_000
_LEAST_SHARE = 0.85  # of the target; the last of a segment excepted (RFC 8216bis §4.4.4.9)
_SLACK = 1.007  # for timestamps that were rounded
AAC_FRAME_SAMPLES = 1024


def part_target_ns(frame_ns: float | None) -> int:
    """PART-TARGET for pictures, or frames of sound, that last so long; None: unknown."""
    if frame_ns is None:
        return UNKNOWN_TARGET_NS
    for count in range(SLOT_NS // SHORTEST_NS, 0, -1):
        shortest, longest, last = _sizes(SLOT_NS / frame_ns, count)
        if min(shortest, last) * frame_ns >= SHORTEST_NS and shortest >= longest * _SLACK * _LEAST_SHARE:
            return int(longest * frame_ns * _SLACK)
    return int(frame_ns * 1.05)  # a picture is longer than a segment


def step_ns(begun_ns: int, every_ns: int, frame_ns: int, target_ns: int) -> int:
    """How far apart parts should end in the segment that begins at `begun_ns`: so that its last is as long as others.

    every_ns: from its key picture to the one before; 0: there was none, or it begins with no key picture. It is one of
    the things that every worker knows, as all here, so that all cut the same parts.
    """
    most_ns = max((target_ns + frame_ns // 4) // frame_ns, 1) * frame_ns
    least_ns = max(SHORTEST_NS, int(target_ns * _LEAST_SHARE))
    group = _share(every_ns, most_ns, frame_ns)
    if every_ns <= SLOT_NS and (group + frame_ns // 4) // frame_ns * frame_ns >= least_ns - frame_ns // 4:
        return group  # wherever the segment ends, it ends with a group of pictures
    span_ns = _span_ns(begun_ns, every_ns, frame_ns)
    last_ns = (span_ns - frame_ns // 4) % most_ns
    return most_ns if last_ns >= SHORTEST_NS else _share(span_ns, most_ns, frame_ns)


def _span_ns(begun_ns: int, every_ns: int, frame_ns: int) -> int:
    """How long the segment will be if key pictures go on to come every so often."""
    if not every_ns:
        return SLOT_NS
    left_ns = SLOT_NS - begun_ns % SLOT_NS
    span_ns = -(-left_ns // every_ns) * every_ns
    # Where a slot has no key picture, its last picture begins the next segment
    return span_ns if span_ns < left_ns + SLOT_NS else (left_ns + SLOT_NS - 1) // frame_ns * frame_ns


def _share(span_ns: int, most_ns: int, frame_ns: int) -> int:
    """The largest equal share of it that is not above `most_ns`, as far as whole frames go."""
    return span_ns // max(-(-(span_ns - frame_ns // 4) // most_ns), 1)


def aac_frame_ns(clock_rate: int) -> float:
    return AAC_FRAME_SAMPLES * NS / clock_rate


def _sizes(frames: float, count: int) -> tuple[int, int, int]:
    """Of `frames` in `count` parts: the fewest and the most that one has, the fewest that the last has."""
    ends = [round(frames * part / count) for part in range(count)]
    last = frames - ends[-1]
    sizes = [after - before for before, after in pairwise(ends)] or [int(last)]
    return min(sizes), max(*sizes, int(-(-last // 1))), int(last)
