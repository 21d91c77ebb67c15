"""When a camera's schedule records, and when that changes next.

A schedule is one of local time: what holds depends on the day of the week and the time of day that a clock at the site
shows, and on nothing else. So where clocks are set back, both passes of an hour belong to an entry, and what a change
leaves out is nobody's.

Pure: no clock, no disk but for the time zone database. Belongs here: from a schedule and a time to a mode. Does not:
following it (camera_recorder).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from vms.common.camera import Schedule, ScheduledMode, ScheduleEntry, Weekday
from vms.common.clock import NS

_DAY_MIN = 24 * 60
_WEEK_MIN = 7 * _DAY_MIN
_DAY_S = 86_400
_LOOK_AHEAD_DAYS = (2, 22)  # nearly always soon; what a change of clocks leaves out comes a week later
_STEP_S = 3 * 3600  # no zone changed its clocks twice within it
_DAYS = tuple(Weekday)


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds at a time: a mode, None for no recording; until_ns: when that changes (Unix ns), None for never."""

    mode: ScheduledMode | None
    until_ns: int | None


class Timetable:
    """A schedule in its time zone."""

    def __init__(self, schedule: Schedule, site_time_zone: str = "UTC") -> None:
        """site_time_zone: for a schedule that names none. Raises ZoneInfoNotFoundError."""
        self._zone = ZoneInfo(schedule.time_zone or site_time_zone)
        self._week: list[ScheduledMode | None] = [None] * _WEEK_MIN
        for mode in (ScheduledMode.EVENTS, ScheduledMode.CONTINUOUS):  # which wins comes last
            for entry in schedule.entries:
                if entry.record is mode:
                    self._fill(entry)
        self._changes: list[list[int]] = [[] for _ in _DAYS]  # minutes of each day at which the mode changes
        for minute in range(_WEEK_MIN):
            if self._week[minute] is not self._week[minute - 1]:
                self._changes[minute // _DAY_MIN].append(minute % _DAY_MIN)

    def _fill(self, entry: ScheduleEntry) -> None:
        start, end = _minute_of_day(entry.start), _minute_of_day(entry.end)
        length = end - start if end > start else end + _DAY_MIN - start
        for day in entry.days:
            first = _DAYS.index(day) * _DAY_MIN + start
            last = first + length
            self._week[first:last] = [entry.record] * (min(last, _WEEK_MIN) - first)
            if last > _WEEK_MIN:  # from Sunday into Monday
                self._week[: last - _WEEK_MIN] = [entry.record] * (last - _WEEK_MIN)

    def mode(self, wall_ns: int) -> ScheduledMode | None:
        """What is recorded at a time; None for nothing."""
        return self._mode_at(wall_ns // NS)

    def in_force(self, wall_ns: int) -> InForce:
        """What is recorded at a time, and when that changes next."""
        now_s = wall_ns // NS
        mode = self._mode_at(now_s)
        for days in _LOOK_AHEAD_DAYS:
            for at_s in self._candidates(now_s, now_s + days * _DAY_S):
                if self._mode_at(at_s) is not mode:
                    return InForce(mode, at_s * NS)
        return InForce(mode, None)

    def _mode_at(self, at_s: int) -> ScheduledMode | None:
        local = datetime.fromtimestamp(at_s, self._zone)
        return self._week[local.weekday() * _DAY_MIN + local.hour * 60 + local.minute]

    def _candidates(self, after_s: int, until_s: int) -> list[int]:
        """Every time after one and up to another at which the mode may change, in order."""
        found = set(self._clock_changes(after_s, until_s))
        day = datetime.fromtimestamp(after_s, UTC).date() - timedelta(
            days=1
        )  # a day on both sides: no zone is further off
        last = datetime.fromtimestamp(until_s, UTC).date() + timedelta(days=1)
        while day <= last:
            for minute in self._changes[day.weekday()]:
                for fold in (0, 1):
                    at = datetime.combine(day, time(minute // 60, minute % 60, fold=fold), self._zone)
                    found.add(int(at.timestamp()))
            day += timedelta(days=1)
        return sorted(at_s for at_s in found if after_s < at_s <= until_s)

    def _clock_changes(self, start_s: int, end_s: int) -> Iterator[int]:
        """Times in a range at which the offset from UTC changes."""
        for low_s, high_s in pairwise([*range(start_s, end_s, _STEP_S), end_s]):
            before = self._offset(low_s)
            if self._offset(high_s) == before:
                continue
            while high_s - low_s > 1:
                middle_s = (low_s + high_s) // 2
                if self._offset(middle_s) == before:
                    low_s = middle_s
                else:
                    high_s = middle_s
            yield high_s

    def _offset(self, at_s: int) -> timedelta | None:
        return datetime.fromtimestamp(at_s, self._zone).utcoffset()


def _minute_of_day(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)
