"""Access units → frames: RTP time, numbering, what cannot be sent."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stream.scripted_stream import h264_pictures, track_of

from vms.common.clock import NS
from vms.format import nal
from vms.format.codecs import audio_track
from vms.media import AccessUnit, Codec, Track
from vms.stream.webrtc.packetizer import TrackPacketizer
from vms.wire.rtcp import unix_ns_to_ntp
from vms.wire.rtp_clock import RtpClock

VIDEO = track_of(h264_pictures())
START_NS = 1_700_000_000 * NS


def unit(
    pts: int, capture_ns: int, *, discontinuity: bool = False, track: Track = VIDEO, data: bytes = b""
) -> AccessUnit:
    data = data or nal.join([b"\x41abc"])
    return AccessUnit(track, data, pts, pts, False, discontinuity, capture_ns, 0)


def step(earlier: AccessUnit, later: AccessUnit) -> int:
    clock = RtpClock(90_000)
    first = clock.timestamp(earlier)
    return clock.timestamp(later) - first


def test_rtp_time_follows_presentation_time_whatever_the_clocks_say() -> None:
    assert step(unit(90_000, START_NS), unit(93_600, START_NS + 7 * NS)) == 3600


def test_rtp_time_goes_on_by_capture_time_when_the_timeline_starts_over() -> None:
    earlier, later = unit(900_000, START_NS), unit(0, START_NS + 5 * NS, discontinuity=True)
    assert step(earlier, later) == 5 * 90_000


def test_rtp_time_keeps_the_timeline_over_a_loss_that_did_not_change_it() -> None:
    later = unit(90_000 + 18_001, START_NS + NS // 5, discontinuity=True)
    assert step(unit(90_000, START_NS), later) == 18_001


def test_an_absence_of_hours_moves_rtp_time_by_a_minute_so_that_it_never_seems_to_go_back() -> None:
    earlier, later = unit(900_000, START_NS), unit(0, START_NS + 50_000 * NS, discontinuity=True)
    assert step(earlier, later) == 60 * 90_000


def test_a_wall_clock_that_was_set_back_still_moves_rtp_time_forward() -> None:
    earlier, later = unit(900_000, START_NS), unit(0, START_NS - 3600 * NS, discontinuity=True)
    assert 0 < step(earlier, later) <= 900


@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 62), st.booleans()), max_size=30))
def test_rtp_time_never_goes_back(moments: list[tuple[int, int, bool]]) -> None:
    clock = RtpClock(90_000)
    times = [clock.timestamp(unit(pts, ns, discontinuity=gap)) for pts, ns, gap in moments]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_packets_are_numbered_without_a_break_and_captures_are_kept() -> None:
    packetizer = TrackPacketizer(Codec.H264, 90_000)
    frames = [
        frame
        for number, (data, _) in enumerate(h264_pictures(10))
        for frame in packetizer.frames(unit(number * 3600, START_NS + number, data=data), number)
    ]
    assert all(later.index == earlier.index + len(earlier.payloads) for earlier, later in pairwise(frames))
    assert frames[3].capture_ntp == unix_ns_to_ntp(START_NS + 3)
    assert frames[3].pushed_ns == 3


@pytest.mark.parametrize("data", [b"\0\0\0\x09\x65", b"\0\0"])
def test_a_broken_unit_is_left_out_and_counted(data: bytes) -> None:
    packetizer = TrackPacketizer(Codec.H264, 90_000)
    assert packetizer.frames(unit(0, START_NS, data=data), 0) == []
    assert packetizer.units_refused == 1


def test_long_g711_frames_are_cut_with_their_times() -> None:
    track = audio_track(2, Codec.PCMA, sample_rate=8000, channels=1)
    sound = bytes(range(256)) * 10
    frames = TrackPacketizer(Codec.PCMA, 8000).frames(unit(0, START_NS, track=track, data=sound), 0)
    assert b"".join(frame.payloads[0] for frame in frames) == sound
    assert [b.timestamp - a.timestamp for a, b in pairwise(frames)] == [960, 960]
    assert not any(frame.marker or frame.video for frame in frames)


def test_an_opus_frame_that_fits_no_packet_is_left_out() -> None:
    track = audio_track(2, Codec.OPUS, sample_rate=48_000, channels=2)
    packetizer = TrackPacketizer(Codec.OPUS, 48_000)
    assert packetizer.frames(unit(0, START_NS, track=track, data=bytes(1275)), 0) == []
    assert len(packetizer.frames(unit(0, START_NS, track=track, data=bytes(300)), 0)) == 1


def test_a_track_of_another_codec_or_rate_does_not_fit() -> None:
    packetizer = TrackPacketizer(Codec.PCMA, 8000)
    assert packetizer.fits(audio_track(2, Codec.PCMA, sample_rate=8000, channels=1))
    assert not packetizer.fits(audio_track(2, Codec.PCMA, sample_rate=16_000, channels=1))
    assert not packetizer.fits(audio_track(2, Codec.PCMU, sample_rate=8000, channels=1))
