"""Long views of what is recorded: many cameras, up to 400 days, as JSON that is built as fast as it can be.

Belongs here: the bounds, cutting to the range, the text. Does not: finding what is recorded (ports.CoverageSource).
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vms.api.ports import CoverageSource
from vms.api.problems import InvalidParameter
from vms.api.times import TimeRange
from vms.common.clock import NS
from vms.common.ids import CameraId

SPANS_MAX = 60_000
"""In one answer: about 4 MB of JSON."""
CAMERAS_MAX = 200
STEPS_MAX = 100_000
"""The range is at most so many times the resolution: of one camera no more spans are ever in memory."""
DEFAULT_STEPS = 2_000
EVENTS_MAX_NS = 400 * 86_400 * NS
"""Event footage is looked up range by range, so it is left out of what asks for more days of cameras."""
_AT_ONCE = 4

Spans = Sequence[tuple[int, int]]


class TooFine(InvalidParameter):
    """More spans than one answer holds; the text names a resolution at which it fits."""

    reason = "too_fine"


@dataclass(frozen=True, slots=True)
class CameraCoverage:
    """spans: what is recorded. event_spans: of it, around events. locked: under evidence locks."""

    camera_id: CameraId
    spans: Spans
    event_spans: Spans
    locked: Spans


def resolution_ns(seconds: float | None, wanted: TimeRange) -> int:
    """The resolution asked for, or one that suits the range. Raises TooFine."""
    length_ns = wanted.end_ns - wanted.start_ns
    if seconds is None:
        return max(NS, -(-length_ns // DEFAULT_STEPS))
    finest_ns = -(-length_ns // STEPS_MAX)
    if seconds * NS < finest_ns:
        raise TooFine(
            "query.resolution", f"is too fine for this range; ask for {_seconds(finest_ns)} or more"
        )
    return round(seconds * NS)


async def coverage(
    source: CoverageSource,
    cameras: Sequence[CameraId],
    wanted: TimeRange,
    step_ns: int,
    locked: Mapping[CameraId, Spans],
) -> Sequence[CameraCoverage]:
    """What is recorded of the cameras, holes shorter than `step_ns` closed. Raises TooFine."""
    events = has_events(cameras, wanted)
    found: list[CameraCoverage] = []
    count = 0
    for first in range(0, len(cameras), _AT_ONCE):
        some = cameras[first : first + _AT_ONCE]
        found += await asyncio.gather(
            *(_of_camera(source, each, wanted, step_ns, locked.get(each, ()), events=events) for each in some)
        )
        count += sum(len(each.spans) + len(each.event_spans) + len(each.locked) for each in found[first:])
        if count > SPANS_MAX:
            share = len(cameras) / len(found)
            fitting_ns = round(step_ns * max(2.0, 1.5 * count * share / SPANS_MAX))
            raise TooFine(
                "query.resolution",
                f"gives more than {SPANS_MAX} spans; ask for {_seconds(fitting_ns)}, fewer cameras or a shorter range",
            )
    return found


def has_events(cameras: Sequence[CameraId], wanted: TimeRange) -> bool:
    """Whether event footage is in the answer."""
    return len(cameras) * (wanted.end_ns - wanted.start_ns) <= EVENTS_MAX_NS


def merged(spans: Iterable[tuple[int, int]], wanted: TimeRange, step_ns: int) -> list[tuple[int, int]]:
    """Spans cut to the range, by start, holes shorter than `step_ns` closed."""
    result: list[tuple[int, int]] = []
    last_ns = -1
    for start_ns, end_ns in sorted(spans):
        start_ns, end_ns = max(start_ns, wanted.start_ns), min(end_ns, wanted.end_ns)
        if start_ns >= end_ns:
            continue
        if result and start_ns - last_ns < step_ns:
            if end_ns > last_ns:
                result[-1] = result[-1][0], end_ns
        else:
            result.append((start_ns, end_ns))
        last_ns = max(last_ns, end_ns)
    return result


def coverage_json(
    found: Iterable[CameraCoverage], wanted: TimeRange, step_ns: int, *, events: bool, locks: bool
) -> bytes:
    """The answer. events, locks: whether these are known. Blocks for as long as a large one takes: a thread's."""
    cameras = ",".join(
        f'{{"id":{json.dumps(each.camera_id)},"spans":[{_spans(each.spans)}],'
        f'"event_spans":[{_spans(each.event_spans)}],"locked":[{_spans(each.locked)}]}}'
        for each in found
    )
    start, end = _time(wanted.start_ns), _time(wanted.end_ns)
    about = {"resolution": step_ns / NS, "events_known": events, "locks_known": locks}
    return f'{{"start":"{start}","end":"{end}",{json.dumps(about)[1:-1]},"cameras":[{cameras}]}}'.encode()


async def _of_camera(
    source: CoverageSource,
    camera_id: CameraId,
    wanted: TimeRange,
    step_ns: int,
    locked: Spans,
    *,
    events: bool,
) -> CameraCoverage:
    runs = await source.coverage(camera_id, wanted.start_ns, wanted.end_ns, step_ns)
    ranges = await source.event_ranges(camera_id, wanted.start_ns, wanted.end_ns) if events else ()
    locks = merged(locked, wanted, 1)
    return CameraCoverage(camera_id, merged(runs, wanted, step_ns), merged(ranges, wanted, step_ns), locks)


def _spans(spans: Spans) -> str:
    return ",".join([f'{{"start":"{_time(first)}","end":"{_time(last)}"}}' for first, last in spans])


def _time(wall_ns: int) -> str:
    """As vms.common.clock.rfc3339, in a third of the time."""
    seconds, ns = divmod(wall_ns, NS)
    text = datetime.fromtimestamp(seconds, UTC).isoformat()
    return f"{text[:19]}.{ns // 1_000_000:03d}Z"


def _seconds(step_ns: int) -> str:
    return f"resolution={-(-step_ns // NS)}"
