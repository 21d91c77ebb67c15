"""The stream timeline, with a scripted camera on a manual clock."""

import itertools
from dataclasses import dataclass, field

import pytest

from vms.common.clock import NS, ManualClock
from vms.ingest.feed import Feed
from vms.ingest.track_feed import TrackFeed
from vms.media import AccessUnit, Codec, Gap, GapReason, Hub, Track

VIDEO = Track(1, Codec.H264, 90_000, (b"\x67", b"\x68"), width=640, height=360)
AUDIO = Track(2, Codec.PCMU, 8_000, sample_rate=8_000, channels=1)


@dataclass(eq=False)
class Sink:
    units: list[AccessUnit] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def push(self, unit: AccessUnit) -> None:
        self.units.append(unit)

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)


class Session:
    """A feed into a hub with a recording sink, and a camera that sends 25 pictures a second."""

    def __init__(self, *tracks: Track) -> None:
        self.clock = ManualClock()
        self.hub = Hub("a")
        self.sink = Sink()
        self.hub.attach(self.sink)
        self.feed = Feed(self.hub, self.clock)
        self.tracks = [self.feed.add(track) for track in tracks]

    def send(self, track: TrackFeed, rtp: int, *, key: bool = False, lost: bool = False) -> AccessUnit | None:
        before = len(self.sink.units)
        track.access_unit(b"\0\0\0\1\x65", rtp, key, lost, self.clock.monotonic_ns())
        return self.sink.units[-1] if len(self.sink.units) > before else None

    def pictures(self, track: TrackFeed, rtp: int, count: int) -> None:
        for number in range(count):
            self.send(track, rtp + number * 3600, key=number % 10 == 0)
            self.clock.advance(0.04)


def test_nothing_is_pushed_before_the_first_key_picture() -> None:
    session = Session(VIDEO, AUDIO)
    video, audio = session.tracks
    assert session.send(audio, 5_000) is None
    assert session.send(video, 1_000_000) is None
    assert session.hub.tracks == ()
    unit = session.send(video, 1_003_600, key=True)
    assert unit is not None
    assert unit.discontinuity
    assert session.send(audio, 5_400) is not None
    assert session.hub.tracks == (VIDEO, AUDIO)


def test_the_timeline_follows_the_cameras_clock_and_not_arrival() -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    for number, jitter_s in enumerate((0.04, 0.07, 0.01, 0.04)):
        session.send(video, 77 + number * 3600, key=number == 0)
        session.clock.advance(jitter_s)
    assert [unit.dts for unit in session.sink.units] == [90_000 + n * 3600 for n in range(4)]
    assert [unit.discontinuity for unit in session.sink.units] == [True, False, False, False]


def test_sound_and_picture_share_one_zero() -> None:
    session = Session(VIDEO, AUDIO)
    video, audio = session.tracks
    first = session.send(video, 123_456, key=True)
    session.clock.advance(0.5)
    sound = session.send(audio, 999)
    assert first is not None and sound is not None
    assert sound.pts / 8_000 - first.pts / 90_000 == pytest.approx(0.5)


def test_capture_time_follows_the_cameras_sender_reports() -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    session.pictures(video, 0, 2)
    captured_ns = session.clock.wall_ns() - NS // 4  # a quarter of a second under way
    video.sender_report(captured_ns, 7200, session.clock.monotonic_ns())
    unit = session.send(video, 7200)
    assert unit is not None
    assert unit.capture_ns == max(captured_ns, session.sink.units[-2].capture_ns)
    session.clock.advance(1)
    later = session.send(video, 97_200)
    assert later is not None
    assert later.capture_ns == captured_ns + NS


def test_a_camera_with_a_wrong_clock_is_recorded_with_ours() -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    session.pictures(video, 0, 1)
    video.sender_report(0, 3600, session.clock.monotonic_ns())
    unit = session.send(video, 3600)
    assert unit is not None
    assert abs(unit.capture_ns - session.clock.wall_ns()) < NS // 10
    assert session.feed.clock_offset_ns == -session.clock.wall_ns()


def test_sound_is_moved_to_the_picture_once_both_have_sender_reports() -> None:
    session = Session(VIDEO, AUDIO)
    video, audio = session.tracks
    session.send(video, 0, key=True)
    session.send(audio, 0)
    wall_ns = session.clock.wall_ns()
    video.sender_report(wall_ns, 0, session.clock.monotonic_ns())
    audio.sender_report(wall_ns + NS // 2, 0, session.clock.monotonic_ns())  # sound was captured later
    session.clock.advance(1)
    picture, sound = session.send(video, 90_000), session.send(audio, 8_000)
    assert picture is not None and sound is not None
    assert sound.pts / 8_000 - picture.pts / 90_000 == pytest.approx(0.5, abs=0.001)


def test_lost_packets_are_told_as_a_gap_and_the_next_picture_is_marked() -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    session.pictures(video, 0, 3)
    last = session.sink.units[-1]
    unit = session.send(video, 4 * 3600, lost=True)
    assert unit is not None
    assert unit.discontinuity
    (gap,) = session.sink.gaps
    assert (gap.start_ns, gap.end_ns, gap.reason) == (last.capture_ns, unit.capture_ns, GapReason.PACKET_LOSS)


@pytest.mark.parametrize("jump_s", [-4000, -20, 5, 86_400])
def test_a_jump_of_the_cameras_clock_starts_a_new_stretch_of_timeline(jump_s: int) -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    session.pictures(video, 0, 25)
    session.pictures(video, 25 * 3600 + jump_s * 90_000, 25)
    units = session.sink.units
    assert [gap.reason for gap in session.sink.gaps] == [GapReason.CLOCK_JUMP]
    assert [n for n, unit in enumerate(units) if unit.discontinuity] == [0, 25]
    assert all(b.dts > a.dts for a, b in itertools.pairwise(units))
    assert units[-1].dts - units[0].dts == pytest.approx(49 * 3600, abs=7200)
    assert abs(units[-1].capture_ns - session.clock.wall_ns()) < NS // 5


def test_a_stall_of_the_network_is_no_jump() -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    session.pictures(video, 0, 25)
    session.clock.advance(8)
    for number in range(25, 225):  # everything arrives at once
        session.send(video, number * 3600)
    assert session.sink.gaps == []
    assert session.sink.units[-1].dts - session.sink.units[0].dts == 224 * 3600


def test_setting_this_machines_clock_is_told_and_capture_times_follow() -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    session.pictures(video, 0, 25)
    session.clock.step_wall(-3600)
    session.feed.tick()
    session.pictures(video, 25 * 3600, 25)
    assert [gap.reason for gap in session.sink.gaps] == [GapReason.CLOCK_JUMP]
    assert session.sink.units[25].discontinuity
    assert abs(session.sink.units[-1].capture_ns - session.clock.wall_ns()) < NS // 5


def test_capture_times_never_fall() -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    for number in range(200):
        if number % 40 == 20:
            late_ns = (number % 3) * NS // 10
            video.sender_report(
                session.clock.wall_ns() - late_ns, number * 3600, session.clock.monotonic_ns()
            )
        session.send(video, number * 3600, key=number == 0)
        session.clock.advance(0.04)
    captures = [unit.capture_ns for unit in session.sink.units]
    assert captures == sorted(captures)


def test_a_stream_that_reorders_without_saying_so_keeps_every_picture_in_its_order() -> None:
    session = Session(VIDEO)
    (video,) = session.tracks
    shown = [0, 4, 1, 2, 3, 8, 5, 6, 7, 9]
    for number, place in enumerate(shown * 2):
        session.send(video, (place + 10 * (number // 10)) * 3600, key=place == 0)
        session.clock.advance(0.04)
    units = session.sink.units
    assert [(unit.pts - units[0].pts) // 3600 for unit in units] == [*shown, *(place + 10 for place in shown)]
    assert {unit.track.max_reorder for unit in units[:10]} == {0}
    assert {unit.track.max_reorder for unit in units[10:]} == {1}
    assert session.hub.tracks[0].max_reorder == 1
    assert session.sink.gaps == []


def test_the_timeline_goes_on_over_a_reconnection() -> None:
    session = Session(VIDEO)
    session.pictures(session.tracks[0], 0, 25)
    session.clock.advance(30)
    again = Feed(session.hub, session.clock)
    again.add(VIDEO).access_unit(b"\0\0\0\1\x65", 5, True, False, session.clock.monotonic_ns())
    before, after = session.sink.units[-2:]
    assert after.discontinuity
    assert (after.dts - before.dts) / 90_000 == pytest.approx(30, abs=0.1)


def test_what_was_reported_of_a_track_that_is_gone_moves_no_later_one() -> None:
    session = Session(VIDEO, AUDIO)
    video, audio = session.tracks
    session.send(video, 0, key=True)
    session.send(audio, 0)
    session.feed.align(audio, 1_000 * NS, 0)
    session.feed.remove(audio)
    later = session.feed.add(AUDIO)
    session.send(later, 0)
    before = later.timeline_ns(0)

    session.feed.align(video, 999 * NS, 0)

    assert later.timeline_ns(0) == before
