"""The gaps of a camera: at most one lasts, and losses do not flood."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.common.clock import NS
from vms.media import Gap, GapReason
from vms.storage.gaps import RESTARTED, GapLog, merge_gaps

LASTING = st.sampled_from([GapReason.CAMERA_LOST, GapReason.NO_FRAMES, GapReason.DISK_ERROR])


class Rows:
    def __init__(self) -> None:
        self.rows: dict[tuple[int, GapReason], Gap] = {}
        self.log = GapLog(lambda gap: self.rows.__setitem__((gap.start_ns, gap.reason), gap))


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans(), LASTING), max_size=30))
def test_at_most_one_gap_lasts_and_none_ends_before_it_begins(
    script: list[tuple[int, bool, GapReason]],
) -> None:
    kept, now_ns = Rows(), 0
    for step, opens, reason in script:
        now_ns += step
        if opens:
            kept.log.open(now_ns, reason)
        else:
            kept.log.close(now_ns)
        lasting = [gap for gap in kept.rows.values() if gap.end_ns is None]
        assert lasting == ([kept.log.lasting] if kept.log.lasting is not None else [])
    ended = sorted((gap.start_ns, gap.end_ns) for gap in kept.rows.values() if gap.end_ns is not None)
    assert all(start <= end for start, end in ended)
    for (_, before), (after, _) in itertools.pairwise(ended):
        assert before <= after


@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 3_000)), min_size=1, max_size=400))
def test_losses_are_covered_by_a_bounded_number_of_rows(script: list[tuple[int, int]]) -> None:
    kept, now_ns, lost = Rows(), 0, []
    for wait_ms, length_ms in script:
        start_ns = now_ns + wait_ms * NS // 1000
        now_ns = start_ns + length_ms * NS // 1000
        lost.append((start_ns, now_ns))
        kept.log.loss(Gap(start_ns, now_ns, GapReason.PACKET_LOSS))
    rows = [(gap.start_ns, gap.end_ns or 0) for gap in kept.rows.values()]
    for start_ns, end_ns in lost:
        assert any(first <= start_ns and end_ns <= last for first, last in rows)
    hours = now_ns // (3600 * NS) + 1
    assert len(rows) <= 61 * hours


def test_a_new_reason_ends_the_gap_before_it() -> None:
    kept = Rows()
    kept.log.open(10, GapReason.SYSTEM_STOPPED)
    kept.log.open(30, GapReason.CAMERA_LOST, "no answer")
    kept.log.open(20, GapReason.CAMERA_LOST, "again")
    kept.log.close(50)
    assert list(kept.rows.values()) == [
        Gap(10, 30, GapReason.SYSTEM_STOPPED),
        Gap(30, 50, GapReason.CAMERA_LOST, "no answer"),
    ]


def test_what_lasted_before_ends_with_the_first_thing_of_this_run() -> None:
    kept = Rows()
    kept.log.open(30, GapReason.CAMERA_LOST)
    kept.log.close(50)
    kept.log.precede(Gap(10, None, GapReason.SYSTEM_STOPPED), 60)
    assert kept.rows[10, GapReason.SYSTEM_STOPPED] == Gap(10, 30, GapReason.SYSTEM_STOPPED)
    fresh = Rows()
    fresh.log.precede(Gap(10, None, GapReason.SYSTEM_STOPPED), 15)
    fresh.log.close(20)
    assert fresh.rows[10, GapReason.SYSTEM_STOPPED].end_ns == 20


@pytest.mark.parametrize("reason", [GapReason.NO_EVENT, GapReason.NOT_SCHEDULED])
def test_what_was_intended_before_a_restart_ends_with_it_and_says_that_nobody_knows(
    reason: GapReason,
) -> None:
    fresh = Rows()
    fresh.log.precede(Gap(10, None, reason), 30)
    assert fresh.log.lasting is None
    assert fresh.rows[10, reason] == Gap(10, 30, reason, RESTARTED)
    begun = Rows()
    begun.log.open(20, reason)
    begun.log.precede(Gap(10, None, reason), 30)
    assert begun.rows[10, reason] == Gap(10, 20, reason, RESTARTED)
    assert begun.rows[20, reason].end_ns is None


def test_a_gap_without_length_between_intended_recordings_is_none() -> None:
    gaps = [Gap(10, 10, GapReason.NO_EVENT), Gap(10, 10, GapReason.CLOCK_JUMP)]
    assert merge_gaps([gaps], 0, 100) == gaps[1:]
