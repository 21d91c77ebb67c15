"""When a viewer gets the smaller stream, and when it gets the larger one back."""

import pytest

from vms.common.clock import NS
from vms.common.stream_name import StreamName
from vms.stream.webrtc.quality import MOST_QUIET_NS, QualityPolicy

MAIN, SUB = StreamName.MAIN, StreamName.SUB


class Clocked:
    """A policy that is asked once a second."""

    def __init__(self) -> None:
        self.policy = QualityPolicy()
        self.now_s = 1000
        self.skipped = 0

    def after(self, seconds: int, lost: float | None = 0.0) -> StreamName:
        choice = MAIN
        for _ in range(seconds):
            self.now_s += 1
            choice = self.policy.step(self.now_s * NS, lost, self.skipped)
        return choice

    def seconds_until(self, wanted: StreamName, lost: float = 0.0) -> int:
        for seconds in range(1, 2000):
            if self.after(1, lost) is wanted:
                return seconds
        raise AssertionError(f"{wanted} is never chosen")


@pytest.fixture
def clocked() -> Clocked:
    return Clocked()


def test_a_viewer_that_reports_no_or_little_loss_keeps_the_main_stream(clocked: Clocked) -> None:
    assert clocked.after(20, None) is MAIN
    assert clocked.after(200, 0.1) is MAIN


def test_five_seconds_of_loss_bring_the_sub_stream_and_a_shorter_burst_does_not(clocked: Clocked) -> None:
    assert clocked.after(4, 0.3) is MAIN
    assert clocked.after(1) is MAIN
    assert clocked.after(5, 0.3) is MAIN
    assert clocked.after(1, 0.3) is SUB


def test_an_overrun_queue_brings_the_sub_stream_at_once(clocked: Clocked) -> None:
    clocked.after(3)
    clocked.skipped += 10
    assert clocked.after(1) is SUB
    assert clocked.after(5) is SUB


def test_the_main_stream_comes_back_after_half_a_minute_of_quiet_counted_from_the_last_loss(
    clocked: Clocked,
) -> None:
    clocked.skipped = 1
    assert clocked.after(1) is SUB
    assert clocked.after(20) is SUB
    assert clocked.after(1, 0.2) is SUB
    assert clocked.after(29) is SUB
    assert clocked.after(1) is MAIN


def test_every_attempt_that_fails_doubles_the_wait_up_to_a_bound_and_one_that_holds_resets_it(
    clocked: Clocked,
) -> None:
    clocked.skipped += 1
    clocked.after(1)
    waits = []
    for _ in range(7):
        waits.append(clocked.seconds_until(MAIN))
        clocked.skipped += 1
        assert clocked.after(1) is SUB
    assert waits[:5] == [30, 60, 120, 240, 480]
    assert set(waits[5:]) == {MOST_QUIET_NS // NS}
    assert clocked.seconds_until(MAIN) == MOST_QUIET_NS // NS
    assert clocked.after(MOST_QUIET_NS // NS + 1) is MAIN
    clocked.skipped += 1
    assert clocked.after(1) is SUB
    assert clocked.seconds_until(MAIN) == 30


def test_main_that_is_wished_for_comes_at_once_and_counts_as_an_attempt(clocked: Clocked) -> None:
    clocked.skipped += 1
    assert clocked.after(1) is SUB
    clocked.policy.retry(clocked.now_s * NS)
    assert clocked.after(1) is MAIN
    clocked.skipped += 1
    assert clocked.after(1) is SUB
    assert clocked.seconds_until(MAIN) == 60
