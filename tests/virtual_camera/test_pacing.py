"""When packets leave, on a clock that the test moves."""

import asyncio
from random import Random

import pytest

from vms.common.clock import ManualClock, SystemClock
from vms.media import Codec, Track
from vms.virtual_camera.pacing import Pace, Pacer
from vms.virtual_camera.players import LivePlayer
from vms.wire.rtsp.server_feed import FeedLine, RtpRun

MS = 1_000_000
LINE = FeedLine(Track(1, Codec.H264, 90_000, (b"sps", b"pps")), 96, 7)


class Recorded:
    """A sink that keeps when packets came: (time in ms, packets, whether a client could begin)."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.sent: list[tuple[float, int, bool]] = []
        self.packets: list[bytes] = []

    def send(self, run: RtpRun) -> None:
        self.sent.append((self.now_ns / MS, run.packet_count, run.starts))
        self.packets += run.datagrams()


def play(player: LivePlayer, sink: Recorded, until_ms: int, step_ms: int = 1) -> None:
    """Let time pass in steps, as a pacer's ticks do."""
    for now_ms in range(0, until_ms, step_ms):
        sink.now_ns = now_ms * MS
        player.advance(sink.now_ns)


def a_player(jitter_ms: float = 0, spread_ms: tuple[int, int] = (8, 30)) -> tuple[LivePlayer, Recorded]:
    pace = Pace((spread_ms[0] * MS, spread_ms[1] * MS), round(jitter_ms * MS), Random(1))
    player, sink = LivePlayer(0, LINE, pace, 40 * MS), Recorded()
    player.begin(sink)
    return player, sink


def test_the_packets_of_a_picture_are_spread_evenly() -> None:
    player, sink = a_player()
    player.offer(0, 5, tuple([b"x"] * 20), key=True)
    play(player, sink, 40)
    assert sink.sent[0] == (0, 1, True)
    assert [starts for _, _, starts in sink.sent[1:]] == [False] * (len(sink.sent) - 1)
    assert 12 <= sink.sent[-1][0] <= 16  # 8 ms, and 20/64 of the way to 30
    assert {count for _, count, _ in sink.sent} <= {1, 2}
    assert sum(count for _, count, _ in sink.sent) == 20


def test_only_the_last_packet_of_a_picture_has_the_marker() -> None:
    player, sink = a_player()
    player.offer(0, 5, (b"a", b"b", b"c"), key=True)
    play(player, sink, 40)
    assert [packet[1] >> 7 for packet in sink.packets] == [0, 0, 1]


@pytest.mark.parametrize(("packets", "spread_ms"), [(1, 8), (64, 30), (1000, 30)])
def test_large_pictures_take_longer_within_bounds(packets: int, spread_ms: int) -> None:
    pace = Pace((8 * MS, 30 * MS), 0, Random(1))
    assert pace.spread_of(packets, 100 * MS) == pytest.approx(spread_ms * MS, rel=0.05)


def test_a_picture_has_left_before_the_next_comes() -> None:
    assert Pace((8 * MS, 30 * MS), 0, Random(1)).spread_of(500, 20 * MS) == 18 * MS


def test_what_is_overdue_leaves_at_once() -> None:
    player, sink = a_player()
    player.offer(0, 5, tuple([b"x"] * 20), key=True)
    sink.now_ns = 500 * MS
    assert player.advance(sink.now_ns) is None
    assert sink.sent == [(500, 20, True)]


def test_jitter_delays_pictures_but_keeps_their_order_and_timestamps() -> None:
    player, sink = a_player(jitter_ms=100)
    for number in range(10):
        player.offer(number * 40 * MS, number * 3600, (b"x", b"y"), key=True)
    play(player, sink, 1000)
    timestamps = [int.from_bytes(packet[4:8]) for packet in sink.packets]
    assert timestamps == sorted(timestamps)
    sequence_numbers = [int.from_bytes(packet[2:4]) for packet in sink.packets]
    assert [(n - sequence_numbers[0]) & 0xFFFF for n in sequence_numbers] == list(range(20))
    starts_ms = [time_ms for time_ms, _, starts in sink.sent if starts]
    late_ms = [start_ms - number * 40 for number, start_ms in enumerate(starts_ms)]
    assert max(late_ms) > 40
    assert min(late_ms) >= 0


class Counted:
    """A player that wants to be called at the given times."""

    def __init__(self, *due_ns: int) -> None:
        self.due_ns = list(due_ns)
        self.called_ns: list[int] = []

    def advance(self, now_ns: int) -> int | None:
        self.called_ns.append(now_ns)
        return self.due_ns.pop(0) if self.due_ns else None


async def test_a_pacer_calls_each_player_once_a_tick_and_forgets_those_that_are_done() -> None:
    clock = SystemClock()
    pacer = Pacer(clock, tick_s=0.01)
    start_ns = clock.monotonic_ns()
    busy = Counted(*[start_ns + number * 100_000 for number in range(3)])
    late = Counted()
    pacer.add(late, start_ns + 1000 * MS)
    pacer.add(busy, start_ns)
    async with asyncio.timeout(20):
        while not late.called_ns or len(busy.called_ns) < 4:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)  # both are done
    assert len(busy.called_ns) == 4
    assert len(late.called_ns) == 1
    assert late.called_ns[0] >= start_ns + 1000 * MS
    assert busy.called_ns[0] < late.called_ns[0]  # a timer set for later did not hold it up
    assert all(b - a >= 10 * MS for a, b in zip(busy.called_ns, busy.called_ns[1:], strict=False) if a != b)
    pacer.close()


async def test_a_player_that_is_removed_is_not_called() -> None:
    clock = ManualClock()
    pacer = Pacer(clock)
    gone, stays = Counted(), Counted()
    pacer.add(gone, 0)
    pacer.add(stays, 0)
    pacer.remove(gone)
    async with asyncio.timeout(20):
        while not stays.called_ns:
            await asyncio.sleep(0.005)
    assert (gone.called_ns, stays.called_ns) == ([], [0])
    pacer.close()
