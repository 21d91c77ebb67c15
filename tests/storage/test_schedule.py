"""Which mode a schedule puts in force, over changes of clocks in several time zones."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vms.common.camera import Schedule, ScheduledMode, ScheduleEntry, Weekday
from vms.common.clock import NS
from vms.storage.schedule import Timetable

CONTINUOUS, EVENTS = ScheduledMode.CONTINUOUS, ScheduledMode.EVENTS
MINUTE_NS = 60 * NS
CLOCK_CHANGES = [
    ("America/Sao_Paulo", "2018-11-04T03:00:00+00:00"),  # midnight is left out
    ("America/Sao_Paulo", "2019-02-17T02:00:00+00:00"),  # the last hour of Saturday comes twice
    ("America/Sao_Paulo", "2026-11-23T12:00:00+00:00"),  # no changes any more
    ("Europe/Lisbon", "2026-03-29T01:00:00+00:00"),
    ("Europe/Lisbon", "2026-10-25T01:00:00+00:00"),
    ("America/New_York", "2026-03-08T07:00:00+00:00"),
    ("America/New_York", "2026-11-01T06:00:00+00:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00+00:00"),  # by half an hour
    ("Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
    ("UTC", "2026-06-15T00:00:00+00:00"),
    ("Pacific/Apia", "2011-12-30T10:00:00+00:00"),  # a whole Friday is left out
]


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * NS


def entry(start: str, end: str, *days: Weekday, record: ScheduledMode = CONTINUOUS) -> ScheduleEntry:
    return ScheduleEntry(start=start, end=end, days=days or tuple(Weekday), record=record)


def modelled(schedule: Schedule, zone: ZoneInfo, wall_ns: int) -> ScheduledMode | None:
    """What the words of ScheduleEntry say of one minute, told in another way than the code: text by text."""
    local = datetime.fromtimestamp(wall_ns // NS, zone)
    clock, today = local.strftime("%H:%M"), list(Weekday)[local.weekday()]
    yesterday = list(Weekday)[local.weekday() - 1]
    holding = set()
    for each in schedule.entries:
        if each.end > each.start:
            holds = today in each.days and each.start <= clock < each.end
        else:
            holds = (today in each.days and clock >= each.start) or (
                yesterday in each.days and clock < each.end
            )
        if holds:
            holding.add(each.record)
    return CONTINUOUS if CONTINUOUS in holding else EVENTS if holding else None


times = st.builds(
    "{:02d}:{:02d}".format,
    st.integers(0, 23) | st.sampled_from([0, 1, 2, 23]),
    st.sampled_from([0, 1, 15, 30, 59]),
)
entries = st.builds(
    ScheduleEntry,
    days=st.sets(st.sampled_from(list(Weekday)), min_size=1).map(tuple),
    start=times,
    end=times | st.just("24:00"),
    record=st.sampled_from(list(ScheduledMode)),
)
schedules = st.builds(Schedule, entries=st.lists(entries, min_size=1, max_size=4).map(tuple))


@settings(max_examples=120, deadline=None)
@given(schedule=schedules, place=st.sampled_from(CLOCK_CHANGES), offset_min=st.integers(-1500, 600))
def test_every_minute_around_a_change_of_clocks_is_as_its_local_time_says(
    schedule: Schedule, place: tuple[str, str], offset_min: int
) -> None:
    name, change = place
    zone, table = ZoneInfo(name), Timetable(schedule, name)
    start_ns = ns(change) + offset_min * MINUTE_NS
    expected_until_ns: int | None = None
    mode = modelled(schedule, zone, start_ns)
    for minute in range(24 * 60):
        at_ns = start_ns + minute * MINUTE_NS
        expected = modelled(schedule, zone, at_ns)
        assert table.mode(at_ns) is expected, f"{name} {at_ns}"
        if expected is not mode and expected_until_ns is None:
            expected_until_ns = at_ns
    found = table.in_force(start_ns)
    assert found.mode is mode
    if expected_until_ns is not None:
        assert found.until_ns == expected_until_ns
    else:
        assert found.until_ns is None or found.until_ns >= start_ns + 24 * 60 * MINUTE_NS


@settings(max_examples=40, deadline=None)
@given(schedule=schedules, place=st.sampled_from(CLOCK_CHANGES), offset_min=st.integers(-3000, 3000))
def test_following_the_next_change_again_and_again_misses_none(
    schedule: Schedule, place: tuple[str, str], offset_min: int
) -> None:
    name, change = place
    zone, table = ZoneInfo(name), Timetable(schedule, name)
    at_ns = ns(change) + offset_min * MINUTE_NS
    end_ns = at_ns + 8 * 86_400 * NS
    changes = []
    following = table.in_force(at_ns)
    while following.until_ns is not None and following.until_ns < end_ns:
        changes.append(following.until_ns)
        following = table.in_force(following.until_ns)
    modes = [modelled(schedule, zone, each) for each in range(at_ns, end_ns, MINUTE_NS)]
    expected = [
        at_ns + index * MINUTE_NS for index in range(1, len(modes)) if modes[index] is not modes[index - 1]
    ]
    assert changes == expected


def test_an_hour_that_comes_twice_is_recorded_twice() -> None:
    table = Timetable(Schedule(entries=(entry("01:00", "02:00"),), time_zone="America/New_York"))
    first_ns = ns("2026-11-01T05:00:00+00:00")
    assert table.in_force(first_ns - 1) == table.in_force(first_ns - MINUTE_NS)
    assert table.in_force(first_ns - MINUTE_NS).until_ns == first_ns
    assert table.in_force(first_ns).until_ns == first_ns + 2 * 3600 * NS


def test_an_hour_that_is_left_out_is_nobodys() -> None:
    table = Timetable(Schedule(entries=(entry("02:00", "03:00"),), time_zone="America/New_York"))
    before_ns = ns("2026-03-08T06:00:00+00:00")  # 01:00 of that Sunday
    found = table.in_force(before_ns)
    assert found.mode is None
    assert found.until_ns == ns("2026-03-09T06:00:00+00:00"), "the hour of Monday"


def test_an_entry_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    table = Timetable(Schedule(entries=(entry("22:00", "06:00", Weekday.FRIDAY),), time_zone="UTC"))
    friday = datetime(2026, 11, 27, tzinfo=UTC)

    def mode(hours: float) -> ScheduledMode | None:
        return table.mode(int((friday + timedelta(hours=hours)).timestamp()) * NS)

    assert [mode(hours) for hours in (5.99, 21.99, 22, 29.99, 30)] == [
        None,
        None,
        CONTINUOUS,
        CONTINUOUS,
        None,
    ]


def test_sunday_nights_go_on_into_monday() -> None:
    table = Timetable(Schedule(entries=(entry("22:00", "02:00", Weekday.SUNDAY),), time_zone="UTC"))
    assert table.mode(ns("2026-11-30T01:59:00+00:00")) is CONTINUOUS, "a Monday"
    assert table.mode(ns("2026-11-24T01:00:00+00:00")) is None, "a Tuesday"


def test_where_entries_meet_continuous_wins_in_any_order() -> None:
    both = (entry("00:00", "24:00", record=EVENTS), entry("08:00", "18:00"))
    for entries in (both, both[::-1]):
        table = Timetable(Schedule(entries=entries, time_zone="UTC"))
        found = table.in_force(ns("2026-11-23T07:00:00+00:00"))
        assert (found.mode, found.until_ns) == (EVENTS, ns("2026-11-23T08:00:00+00:00"))
        assert table.mode(ns("2026-11-23T12:00:00+00:00")) is CONTINUOUS


def test_a_schedule_of_the_whole_week_never_changes() -> None:
    table = Timetable(Schedule(entries=(ScheduleEntry(),)), "Europe/Lisbon")
    found = table.in_force(ns("2026-03-28T12:00:00+00:00"))
    assert (found.mode, found.until_ns) == (CONTINUOUS, None)


@pytest.mark.parametrize(("own", "expected"), [(None, CONTINUOUS), ("UTC", None)])
def test_the_time_zone_of_the_site_counts_where_a_schedule_names_none(
    own: str | None, expected: ScheduledMode | None
) -> None:
    schedule = Schedule(entries=(entry("08:00", "09:00"),), time_zone=own)
    assert Timetable(schedule, "America/Sao_Paulo").mode(ns("2026-11-23T11:30:00+00:00")) is expected
