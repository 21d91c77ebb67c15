"""What a camera's settings mean for its recorder.

Belongs here: from a camera to a plan. Does not: following it (camera_recorder), schedules themselves (schedule).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from vms.common.camera import Camera, RecordMode, Schedule, ScheduledMode
from vms.common.clock import NS
from vms.storage.schedule import InForce, Timetable

_CONTINUOUS = InForce(ScheduledMode.CONTINUOUS, None)
_EVENTS = InForce(ScheduledMode.EVENTS, None)


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """in_force: what is recorded at a wall-clock time (ns), and until when. pre_roll_ns, post_roll_ns: around events."""

    in_force: Callable[[int], InForce]
    pre_roll_ns: int
    post_roll_ns: int


def recording_plan(camera: Camera, site_time_zone: str) -> RecordingPlan:
    """The plan of a camera that is not off."""
    pre_ns, post_ns = round(camera.events.pre_roll * NS), round(camera.events.post_roll * NS)
    if camera.record is RecordMode.SCHEDULE:
        assert camera.schedule is not None, "a camera says so when it is made"
        return RecordingPlan(_timetable(camera.schedule, site_time_zone).in_force, pre_ns, post_ns)
    always = _EVENTS if camera.record is RecordMode.EVENTS else _CONTINUOUS
    return RecordingPlan(lambda at_ns: always, pre_ns, post_ns)


@lru_cache(maxsize=256)  # many cameras share a schedule
def _timetable(schedule: Schedule, site_time_zone: str) -> Timetable:
    return Timetable(schedule, site_time_zone)
