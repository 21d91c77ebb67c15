import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.common.clock import NS, ManualClock, parse_rfc3339, rfc3339


@given(st.integers(0, 4_000_000_000_000))
def test_rfc3339_text_reads_back_as_the_same_millisecond(wall_ms: int) -> None:
    assert parse_rfc3339(rfc3339(wall_ms * 1_000_000)) == wall_ms * 1_000_000


def test_rfc3339_accepts_any_offset() -> None:
    assert parse_rfc3339("2026-11-23T11:05:00-03:00") == parse_rfc3339("2026-11-23T14:05:00Z")


def test_rfc3339_refuses_a_time_without_zone() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse_rfc3339("2026-11-23T14:05:00")


def test_manual_clock_steps_the_wall_without_the_monotonic() -> None:
    clock = ManualClock()
    before = clock.wall_ns(), clock.monotonic_ns()
    clock.step_wall(-3600)
    clock.advance(1)
    assert clock.wall_ns() == before[0] - 3599 * NS
    assert clock.monotonic_ns() == before[1] + NS
