"""Recordings near a time, by queries that stay small however much is recorded.

Belongs here: asking the store in bounded steps, and saying what is near when nothing is there.
Does not: arithmetic on what was found (timeline), reading files (cutlist).
"""

from vms.common.clock import NS, rfc3339
from vms.common.ids import CameraId
from vms.media import Gap, GapReason
from vms.storage.playback.errors import NothingRecorded, RangeInvalid, RangeTooLong
from vms.storage.playback.ports import RecordingStore
from vms.storage.segment import Segment

HOUR_NS = 3600 * NS
DAY_NS = 24 * HOUR_NS
MAX_RANGE_DAYS = 366
MAX_SEGMENTS = 20_000
_NEAR_NS = HOUR_NS
_FAR_NS = 20 * 366 * DAY_NS

_REASONS = {
    GapReason.CAMERA_LOST: "the camera was not reachable",
    GapReason.NO_FRAMES: "the camera sent no pictures",
    GapReason.PACKET_LOSS: "packets from the camera were lost",
    GapReason.CLOCK_JUMP: "a clock was set",
    GapReason.OVERRUN: "the disk was too slow",
    GapReason.DISK_ERROR: "the disk refused to write",
    GapReason.RECORDING_OFF: "recording was off",
    GapReason.SYSTEM_STOPPED: "the system was not running",
    GapReason.UNKNOWN: "the reason is not known",
}


async def segments_in(
    store: RecordingStore, camera_id: CameraId, start_ns: int, end_ns: int
) -> list[Segment]:
    """Recordings that overlap the range, oldest first, asked for a day at a time.

    Raises RangeInvalid, or RangeTooLong for more than a year or more than MAX_SEGMENTS files.
    """
    check_range(start_ns, end_ns)
    if end_ns - start_ns > MAX_RANGE_DAYS * DAY_NS:
        raise RangeTooLong(f"the range is longer than {MAX_RANGE_DAYS} days; ask for a shorter one")
    found: dict[object, Segment] = {}
    for day_ns in range(start_ns, end_ns, DAY_NS):
        for segment in await store.segments(camera_id, day_ns, min(day_ns + DAY_NS, end_ns)):
            found[segment.id] = segment
        if len(found) > MAX_SEGMENTS:
            raise RangeTooLong(
                f"{camera_id} has more than {MAX_SEGMENTS:,} recordings from {rfc3339(start_ns)} to "
                f"{rfc3339(end_ns)}; ask for a range that ends by {rfc3339(day_ns)}"
            )
    return sorted(found.values(), key=lambda segment: segment.start_ns)


def check_range(start_ns: int, end_ns: int) -> None:
    """RangeInvalid unless the range holds something and begins at or after 1970."""
    if start_ns < 0 or end_ns <= start_ns:
        raise RangeInvalid("the range is empty; `end` must be later than `start`, and both after 1970")


async def newest_before(store: RecordingStore, camera_id: CameraId, at_ns: int) -> Segment | None:
    """The recording that reaches furthest before `at_ns`; None when nothing older exists."""
    reach_ns, until_ns = _NEAR_NS, at_ns
    while until_ns > 0 and at_ns - until_ns < _FAR_NS:
        from_ns = max(at_ns - reach_ns, 0)
        if found := await store.segments(camera_id, from_ns, until_ns):
            return max(found, key=lambda segment: segment.end_ns)
        until_ns, reach_ns = from_ns, reach_ns * 4
    return None


async def oldest_after(store: RecordingStore, camera_id: CameraId, at_ns: int) -> Segment | None:
    """The recording that begins first at or after `at_ns`; None when nothing newer exists."""
    reach_ns, from_ns = _NEAR_NS, at_ns
    while from_ns - at_ns < _FAR_NS:
        until_ns = at_ns + reach_ns
        found = await store.segments(camera_id, from_ns, until_ns)
        if later := [segment for segment in found if segment.start_ns >= at_ns]:
            return min(later, key=lambda segment: segment.start_ns)
        from_ns, reach_ns = until_ns, reach_ns * 4
    return None


async def nothing_recorded(
    store: RecordingStore, camera_id: CameraId, start_ns: int, end_ns: int
) -> NothingRecorded:
    """The error for a range without footage: why there is none, and what is nearest."""
    before = await newest_before(store, camera_id, start_ns + 1)
    after = await oldest_after(store, camera_id, start_ns)
    near = []
    if before is not None:
        near.append(f"the recording before it ends at {rfc3339(before.end_ns)}")
    if after is not None:
        near.append(f"the next one begins at {rfc3339(after.start_ns)}")
    gap = max(
        await store.gaps(camera_id, start_ns, end_ns),
        key=lambda gap: _overlap_ns(gap, start_ns, end_ns),
        default=None,
    )
    why = f" ({explain(gap)})" if gap is not None else ""
    what = (
        f"nothing of {camera_id} is recorded at {rfc3339(start_ns)}"
        if end_ns - start_ns <= NS
        else f"nothing of {camera_id} is recorded from {rfc3339(start_ns)} to {rfc3339(end_ns)}"
    )
    return NothingRecorded(f"{what}{why}; {', '.join(near) or 'the camera has no recordings'}")


def explain(gap: Gap) -> str:
    """Why a gap exists, in words for a person."""
    return gap.detail or _REASONS[gap.reason]


def _overlap_ns(gap: Gap, start_ns: int, end_ns: int) -> int:
    gap_end_ns = end_ns if gap.end_ns is None else gap.end_ns
    return min(gap_end_ns, end_ns) - max(gap.start_ns, start_ns)
