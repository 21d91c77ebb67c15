"""What a camera's lines send over its loops, on a clock that the test moves: nothing may jump."""

import asyncio
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from vms.common.clock import NS, ManualClock
from vms.virtual_camera.feeds import FootageFeed, PatternFeed
from vms.virtual_camera.footage import Footage, LoopLine, LoopUnit, load
from vms.virtual_camera.options import PatternAudio
from vms.virtual_camera.pacing import Pace, Pacer, Player
from vms.virtual_camera.pattern import PatternOptions, PatternSource
from vms.virtual_camera.tone import tone_loop
from vms.wire.rtsp.server_feed import RtpRun

STEP_NS = 4_000_000


class Packet:
    def __init__(self, data: bytes, now_ns: int, starts: bool) -> None:
        self.sequence_number = int.from_bytes(data[2:4])
        self.timestamp = int.from_bytes(data[4:8])
        self.payload = data[12:]
        self.marker = bool(data[1] & 0x80)
        self.now_ns = now_ns
        self.starts = starts


class Recorded:
    """A sink that keeps packets by line."""

    def __init__(self, clock: ManualClock) -> None:
        self.lines: dict[int, list[Packet]] = {0: [], 1: []}
        self._clock = clock

    def send(self, run: RtpRun) -> None:
        for index, data in enumerate(run.datagrams()):
            starts = run.starts and index == 0
            self.lines[run.line].append(Packet(data, self._clock.monotonic_ns(), starts))


class StepPacer(Pacer):
    """A pacer whose ticks are made by the test."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self._manual = clock
        self._players: dict[Player, int] = {}

    def add(self, player: Player, due_ns: int) -> None:
        self._players[player] = due_ns

    def remove(self, player: Player) -> None:
        self._players.pop(player, None)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * NS) // STEP_NS):
            now_ns = self._manual.monotonic_ns()
            for player, due_ns in list(self._players.items()):
                if due_ns <= now_ns:
                    next_ns = player.advance(now_ns)
                    if next_ns is None:
                        del self._players[player]
                    else:
                        assert next_ns > now_ns
                        self._players[player] = next_ns
            self._manual.advance(STEP_NS / NS)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(monotonic_ns=123_456_789_012)


@pytest.fixture
def pacer(clock: ManualClock) -> StepPacer:
    return StepPacer(clock)


def a_feed(footage: Footage, pacer: StepPacer, clock: ManualClock, phase: float = 0.0) -> FootageFeed:
    return FootageFeed(footage, pacer, Pace((8_000_000, 30_000_000), 0, Random(5)), clock, phase)


def deltas(packets: list[Packet]) -> list[int]:
    """From timestamp to timestamp, without repetitions, over the wrap."""
    return [
        (b.timestamp - a.timestamp + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        for a, b in pairwise(packets)
        if a.timestamp != b.timestamp
    ]


def numbered_without_gaps(packets: list[Packet]) -> bool:
    return all((b.sequence_number - a.sequence_number) & 0xFFFF == 1 for a, b in pairwise(packets))


def test_timestamps_and_sequence_numbers_go_on_over_the_loop(
    clips: dict[str, Path], pacer: StepPacer, clock: ManualClock
) -> None:
    sink = Recorded(clock)
    feed = a_feed(load(clips["plain"]), pacer, clock)
    feed.start(sink)
    pacer.run(7)
    packets = sink.lines[0]
    assert numbered_without_gaps(packets)
    assert set(deltas(packets)) == {3600}
    assert len(deltas(packets)) >= 7 * 25 - 2
    keys = [packet for packet in packets if packet.starts]
    assert keys[0].payload == keys[1].payload == keys[2].payload


def test_presentation_times_of_b_frames_go_on_over_the_loop(
    clips: dict[str, Path], pacer: StepPacer, clock: ManualClock
) -> None:
    sink = Recorded(clock)
    feed = a_feed(load(clips["b_frames"]), pacer, clock)
    feed.start(sink)
    pacer.run(7)
    first = sink.lines[0][0].timestamp
    shown = sorted({(packet.timestamp - first) & 0xFFFFFFFF for packet in sink.lines[0]})
    assert shown[:150] == [number * 3600 for number in range(150)]


def test_the_sender_clock_says_when_a_picture_was_captured(
    clips: dict[str, Path], pacer: StepPacer, clock: ManualClock
) -> None:
    for name in ("plain", "b_frames"):
        sink = Recorded(clock)
        footage = load(clips[name])
        feed = a_feed(footage, pacer, clock)
        feed.start(sink)
        pacer.run(5)
        feed.stop()
        for packet in sink.lines[0]:
            age = (feed.rtp_timestamp(0, packet.now_ns) - packet.timestamp) & 0xFFFFFFFF
            # Never before its capture; after it by the encoder's delay and the spreading of its packets.
            assert age / 90_000 <= footage.reorder_s + 0.04


def test_after_a_pause_footage_begins_anew_but_clock_and_numbers_go_on(
    clips: dict[str, Path], pacer: StepPacer, clock: ManualClock
) -> None:
    sink = Recorded(clock)
    feed = a_feed(load(clips["plain"]), pacer, clock)
    feed.start(sink)
    pacer.run(1)
    feed.stop()
    count = len(sink.lines[0])
    pacer.run(10)
    assert len(sink.lines[0]) == count
    feed.start(sink)
    pacer.run(1)
    before, after = sink.lines[0][count - 1], sink.lines[0][count]
    assert after.starts
    assert after.payload == sink.lines[0][0].payload
    assert numbered_without_gaps(sink.lines[0])
    elapsed = (after.timestamp - before.timestamp) & 0xFFFFFFFF
    assert elapsed == pytest.approx(10 * 90_000, abs=4000)


@pytest.mark.parametrize("after_s", [0, 0.5, 1.99, 2.0, 3.3])
def test_a_client_is_told_the_packet_that_it_will_begin_with(
    clips: dict[str, Path], pacer: StepPacer, clock: ManualClock, after_s: float
) -> None:
    sink = Recorded(clock)
    feed = a_feed(load(clips["plain"]), pacer, clock)
    feed.start(sink)
    pacer.run(after_s)
    point = feed.join()[0]
    count = len(sink.lines[0])
    pacer.run(3)
    begins = next(packet for packet in sink.lines[0][count:] if packet.starts)
    assert (point.sequence_number, point.rtp_timestamp) == (begins.sequence_number, begins.timestamp)


def test_cameras_of_the_same_footage_are_in_different_places_of_it(
    clips: dict[str, Path], pacer: StepPacer, clock: ManualClock
) -> None:
    sink = Recorded(clock)
    footage = load(clips["plain"])
    feed = a_feed(footage, pacer, clock, phase=0.5)
    feed.start(sink)
    pacer.run(1.5)
    assert not sink.lines[0][0].starts
    (key,) = [packet for packet in sink.lines[0] if packet.starts]
    assert key.now_ns - sink.lines[0][0].now_ns == pytest.approx(NS, abs=50_000_000)
    assert numbered_without_gaps(sink.lines[0])


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize(("name", "frame"), [("aac", 1024), ("opus", 960), ("pcmu", 160)])
def test_sound_is_continuous_and_begins_anew_with_its_picture(
    with_audio: dict[str, Path], pacer: StepPacer, clock: ManualClock, name: str, frame: int
) -> None:
    sink = Recorded(clock)
    footage = load(with_audio[name])
    feed = a_feed(footage, pacer, clock)
    feed.start(sink)
    pacer.run(9)
    sound = sink.lines[1]
    assert numbered_without_gaps(sound)
    assert set(deltas(sound)) == {frame}
    first = footage.lines[1].units[0].payloads[0]
    rate = footage.lines[1].track.clock_rate
    restarts = [(packet.timestamp - sound[0].timestamp) / rate for packet in sound if packet.payload == first]
    for begins_s in (2, 4, 6):
        assert min(abs(begins_s - restart_s) for restart_s in restarts) < 0.05


@pytest.mark.needs("ffmpeg")
def test_sound_is_never_sent_before_it_was_captured(
    with_audio: dict[str, Path], pacer: StepPacer, clock: ManualClock
) -> None:
    sink = Recorded(clock)
    feed = a_feed(load(with_audio["pcmu"]), pacer, clock)
    feed.start(sink)
    pacer.run(5)
    for packet in sink.lines[1]:
        age = (feed.rtp_timestamp(1, packet.now_ns) - packet.timestamp) & 0xFFFFFFFF
        assert 159 <= age < 8000


def test_a_loop_of_one_unit_is_enough(pacer: StepPacer, clock: ManualClock, clips: dict[str, Path]) -> None:
    track = load(clips["plain"]).lines[0].track
    loop = LoopLine(track, [LoopUnit(0, 0, True, (b"only",), 0)], 9000)
    sink = Recorded(clock)
    feed = a_feed(Footage((loop,), 0), pacer, clock)  # type: ignore[arg-type]
    feed.start(sink)
    pacer.run(1)
    assert set(deltas(sink.lines[0])) == {9000}
    assert all(packet.starts and packet.marker for packet in sink.lines[0])


async def test_the_tone_keeps_to_the_wall_clock_and_to_its_picture(pacer: StepPacer) -> None:
    clock = ManualClock(wall_ns=1_800_000_000 * NS + 250_000_000, monotonic_ns=77 * NS)
    tone = tone_loop(PatternAudio.PCMU)
    source = PatternSource(PatternOptions(320, 180, 25, 100_000, "camera 1", 1), clock)
    pacer = StepPacer(clock)
    feed = PatternFeed(source, tone, pacer, Pace((0, 0), 0, Random(1)), clock)
    sink = Recorded(clock)
    feed.start(sink)
    pacer.run(3)
    feed.stop()
    await asyncio.sleep(0)
    assert tone is not None
    loud = tone.units[0].payloads[0]
    begins = [packet for packet in sink.lines[1] if packet.payload == loud]
    assert len(begins) >= 2
    for packet in begins:
        captured_ns = packet.now_ns - (
            (feed.rtp_timestamp(1, packet.now_ns) - packet.timestamp & 0xFFFFFFFF) * NS // 8000
        )
        wall_ns = captured_ns - 77 * NS + 1_800_000_000 * NS + 250_000_000
        assert min(wall_ns % NS, NS - wall_ns % NS) < 1_000_000
