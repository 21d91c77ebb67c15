"""Which volume a segment goes to."""

from collections import Counter
from dataclasses import dataclass

import pytest

from vms.storage.disk_load import PRIOR_BYTES_PER_S, WINDOW_S, DiskLoad
from vms.storage.volume_choice import ROOM_S, choose, should_move

RATE = 0.5e6  # of a camera of 4 Mb/s
AMPLE_BYTES = 1 << 40


@dataclass
class Disk:
    """What a volume says of itself."""

    name: str = "disk"
    free_bytes_per_s: float = 100e6
    spare_bytes: int = AMPLE_BYTES
    ready: bool = True
    stalled: bool = False


class Moment:
    """A clock that the test moves, in seconds."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_segment_goes_where_most_bandwidth_is_free() -> None:
    busy, idle = Disk("busy", 5e6), Disk("idle", 90e6)
    assert choose([busy, idle], RATE) is idle


def test_a_volume_with_hardly_any_room_is_not_chosen_however_idle_it_is() -> None:
    full, busy = Disk("full", 500e6, spare_bytes=round(RATE * ROOM_S / 2)), Disk("busy", 3e6)
    assert choose([full, busy], RATE) is busy
    narrow = Disk("narrow", 100e6, spare_bytes=round(RATE * ROOM_S * 2))
    assert choose([narrow, Disk("wide", 50e6)], RATE).name == "wide"  # type: ignore[union-attr]


def test_a_quarter_of_the_room_needs_twice_the_bandwidth() -> None:
    large = Disk("large", 50e6)
    assert choose([Disk("small", 99e6, AMPLE_BYTES // 4), large], RATE) is large
    small = Disk("small", 101e6, AMPLE_BYTES // 4)
    assert choose([small, large], RATE) is small
    large.free_bytes_per_s = -1e6
    small.free_bytes_per_s = 1.0
    assert choose([small, large], RATE) is small, "a disk that is given too much already has none free"


def test_where_there_is_no_room_anywhere_the_most_room_decides() -> None:
    less, more = Disk("less", 500e6, spare_bytes=1000), Disk("more", 1e6, spare_bytes=2000)
    assert choose([less, more], RATE) is more


def test_of_two_that_are_alike_the_one_with_more_room_is_chosen() -> None:
    small, large = Disk("small", spare_bytes=AMPLE_BYTES), Disk("large", spare_bytes=2 * AMPLE_BYTES)
    assert choose([small, large], RATE) is large
    assert choose([large, small], RATE) is large


def test_a_stalled_volume_is_chosen_only_when_there_is_no_other() -> None:
    stalled, other = Disk("stalled", 500e6, stalled=True), Disk("other", 1e6)
    assert choose([stalled, other], RATE) is other
    assert choose([stalled], RATE) is stalled
    other.ready = False
    assert choose([stalled, other], RATE) is stalled
    assert choose([other], RATE) is None
    assert choose([], RATE) is None


def test_what_is_on_a_stalled_volume_moves_only_where_another_answers() -> None:
    stalled, other = Disk(stalled=True), Disk()
    assert should_move(stalled, [stalled, other])
    assert not should_move(stalled, [stalled])
    assert not should_move(stalled, [stalled, Disk(stalled=True)])
    assert not should_move(stalled, [stalled, Disk(ready=False)])
    assert not should_move(other, [stalled, other])


class _Measured(Disk):
    """One whose free bandwidth is measured."""

    def __init__(self, name: str, now: Moment) -> None:
        self.load = DiskLoad(now)
        super().__init__(name)

    @property  # type: ignore[override]
    def free_bytes_per_s(self) -> float:
        return self.load.free_bytes_per_s

    @free_bytes_per_s.setter
    def free_bytes_per_s(self, value: float) -> None:
        pass


@pytest.mark.parametrize("cameras", [200, 2000])
def test_cameras_that_start_at_once_spread_over_the_volumes(cameras: int) -> None:
    now = Moment()
    disks = [_Measured(name, now) for name in ("a", "b", "c", "d")]
    chosen: Counter[str] = Counter()
    for _ in range(cameras):
        disk = choose(disks, RATE)
        assert disk is not None
        disk.load.expect(RATE)
        chosen[disk.name] += 1
    assert max(chosen.values()) - min(chosen.values()) <= 1, chosen


def test_a_disk_that_is_busy_with_little_has_less_to_give_than_one_that_is_idle_with_much() -> None:
    now = Moment()
    slow, fast = DiskLoad(now), DiskLoad(now)
    for _ in range(60):
        with slow.working(5_000_000):
            now.now_s += 0.8
        with fast.working(50_000_000):
            now.now_s += 0.2
        assert slow.busy >= 0
        assert fast.busy >= 0
    assert slow.busy == pytest.approx(0.8, abs=0.1)
    assert fast.busy == pytest.approx(0.2, abs=0.1)
    assert fast.bytes_per_s == pytest.approx(50e6, rel=0.1)
    assert fast.free_bytes_per_s > 10 * slow.free_bytes_per_s
    assert slow.free_bytes_per_s < 10e6


def test_an_idle_disk_is_taken_for_a_usual_one_and_expectations_fade_as_the_rate_shows_them() -> None:
    now = Moment()
    load = DiskLoad(now)
    assert load.free_bytes_per_s == PRIOR_BYTES_PER_S
    load.expect(100e6)
    assert load.free_bytes_per_s == pytest.approx(PRIOR_BYTES_PER_S - 100e6)
    now.now_s += 5 * WINDOW_S
    assert load.free_bytes_per_s == pytest.approx(PRIOR_BYTES_PER_S, rel=0.01)


def test_a_write_that_hangs_counts_as_busy_while_it_hangs() -> None:
    now = Moment()
    load = DiskLoad(now)
    with load.working(1000):
        for _ in range(60):
            now.now_s += 1
            busy = load.busy
    assert busy > 0.95
    assert load.free_bytes_per_s < 0.05 * PRIOR_BYTES_PER_S


def test_operations_at_the_same_time_are_one_busy_disk() -> None:
    now = Moment()
    load = DiskLoad(now)
    for _ in range(60):
        with load.working(), load.working():
            now.now_s += 0.5
        now.now_s += 0.5
        assert load.busy <= 1
    assert load.busy == pytest.approx(0.5, abs=0.05)
