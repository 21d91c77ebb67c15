"""Transport streams into a hub: tracks, times, changes, and streams that are none."""

import subprocess
from itertools import pairwise
from pathlib import Path
from random import Random

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.format.format_material import encoded_audio, encoded_video, interleave
from tests.ingest.publishing import Kept

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.format import h264, h265, nal
from vms.format.codecs import audio_track
from vms.format.mpegts import TsMuxer
from vms.format.mpegts.adts import adts_header
from vms.format.mpegts.tables import PACKET_BYTES, Elementary, pat_section, pmt_section
from vms.ingest.errors import SourceError, SourceProtocolError, SourceUnsupported
from vms.ingest.feed import Feed
from vms.ingest.srt import ts_feed
from vms.ingest.srt.ts_feed import TsFeed
from vms.media import AccessUnit, Codec, GapReason, Hub, MediaKind

CAMERA = CameraId("stage")
MESSAGE = 7 * PACKET_BYTES


class Session:
    """One connection's stream into a hub, a message a millisecond."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.hub = Hub("stage")
        self.kept = Kept()
        self.hub.attach(self.kept)
        self.feed = Feed(self.hub, self.clock)
        self.stream = TsFeed(self.feed, CAMERA)

    def send(self, data: bytes, *, message: int = MESSAGE, each_s: float = 0.001) -> None:
        for at in range(0, len(data), message):
            self.stream.data(data[at : at + message], self.clock.monotonic_ns())
            self.clock.advance(each_s)

    def play(self, units: list[AccessUnit], muxer: TsMuxer, *, sound_late_s: float = 0) -> None:
        """Each unit when it is due, sound so much later."""

        def due_of(unit: AccessUnit) -> float:
            late_s = sound_late_s if unit.track.kind is MediaKind.AUDIO else 0
            return unit.dts / unit.track.clock_rate + late_s

        begin_s = None
        for unit in sorted(units, key=due_of):
            due_s = due_of(unit)
            begin_s = due_s - self.clock.monotonic_ns() / NS if begin_s is None else begin_s
            self.clock.advance(max(due_s - begin_s - self.clock.monotonic_ns() / NS, 0))
            self.stream.data(muxer.packets(unit), self.clock.monotonic_ns())


def bare(data: bytes, codec: Codec) -> bytes:
    """A picture without what senders put in at will: delimiters and parameter sets."""
    its = h264 if codec is Codec.H264 else h265
    left_out = {its.ACCESS_UNIT_DELIMITER, its.SPS, its.PPS, *([h265.VPS] if its is h265 else [])}
    return nal.join(each for each in nal.split(data) if its.nal_type(each) not in left_out)


def _stream(*tracks: tuple[AccessUnit, ...]) -> tuple[list[AccessUnit], TsMuxer]:
    return interleave(*tracks), TsMuxer([each[0].track for each in tracks])


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_what_ffmpeg_makes_of_footage_comes_out_as_the_very_pictures_and_sounds(
    codec: Codec, tmp_path: Path, footage: dict[str, Path]
) -> None:
    source = footage["vtest"] if codec is Codec.H264 else tmp_path / "h265.mp4"
    if codec is Codec.H265:
        encode = ["-t", "3", "-c:v", "libx265", "-x265-params", "log-level=error:info=0:bframes=2:keyint=20"]
        _ffmpeg("-i", str(footage["vtest"]), *encode, str(source))
    path, sound = tmp_path / "theirs.ts", ["-f", "lavfi", "-i", "sine=sample_rate=44100:duration=8"]
    copied = ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-ac", "2", "-shortest"]
    _ffmpeg("-i", str(source), *sound, *copied, str(path))
    session = Session()

    session.send(path.read_bytes())

    came = session.kept.pictures()
    with av.open(source) as container:
        sent = [(bytes(each), each.is_keyframe) for each in container.demux(video=0) if each.size]
    assert len(came) > 25
    assert [(bare(unit.data, codec), unit.key) for unit in came] == [
        (bare(data, codec), key) for data, key in sent[: len(came)]
    ]
    steps = {later.pts - unit.pts for unit, later in pairwise(session.kept.sounds())}
    assert steps == {1024}, "sound is rounded in the stream, and follows exactly all the same"
    assert session.kept.gaps == []
    assert session.stream.reception().pictures_broken == 0
    assert {(t.kind, t.sample_rate, t.channels) for t in session.hub.tracks} == {
        (MediaKind.VIDEO, 0, 0),
        (MediaKind.AUDIO, 44_100, 2),
    }
    _rises(session.kept.units)


@pytest.mark.parametrize("sound_begins_s", [1.1, 0.7])
def test_pictures_and_sound_stay_as_far_apart_as_they_were_sent(sound_begins_s: float) -> None:
    units, muxer = _stream(
        encoded_video(Codec.H264, 60, b_frames=2), encoded_audio(Codec.AAC, 2.4, start_s=sound_begins_s)
    )
    session = Session()

    session.play(units, muxer)

    offsets_ns = []
    for kept in (session.kept.pictures(), session.kept.sounds()):
        sent = {each.data[-8:]: _at(each) for each in units if each.track.kind is kept[0].track.kind}
        offsets_ns.append(_at(kept[0]) - sent[kept[0].data[-8:]])
    assert offsets_ns[0] == pytest.approx(offsets_ns[1], abs=NS // 1000)
    assert _at(session.kept.sounds()[0]) >= _at(session.kept.pictures()[0])
    first, last = session.kept.pictures()[0], session.kept.pictures()[-1]
    assert last.capture_ns - first.capture_ns == pytest.approx(_at(last) - _at(first), abs=NS // 10)


def test_what_the_transport_holds_back_on_purpose_is_not_part_of_the_capture_time() -> None:
    units, muxer = _stream(encoded_video(Codec.H264, 50))
    plain, delayed = Session(), Session()
    delayed.feed.delay_ns = 2 * NS

    plain.play(units, muxer)
    delayed.play(units, TsMuxer([units[0].track]))

    for one, other in zip(plain.kept.pictures(), delayed.kept.pictures(), strict=True):
        assert one.capture_ns - other.capture_ns == 2 * NS
        assert one.arrival_ns == other.arrival_ns


def test_sound_that_is_announced_and_never_comes_does_not_hold_up_the_pictures() -> None:
    video, sound = encoded_video(Codec.H264, 80), encoded_audio(Codec.AAC, 0.1)
    _, muxer = _stream(video, sound)
    session = Session()

    session.play(list(video), muxer)

    assert len(session.kept.pictures()) == len(video)
    assert [track.kind for track in session.hub.tracks] == [MediaKind.VIDEO]


def test_sound_that_comes_late_becomes_a_track_beside_the_pictures() -> None:
    units, muxer = _stream(encoded_video(Codec.H264, 100), encoded_audio(Codec.AAC, 1.0, start_s=4.0))
    session = Session()

    session.play(units, muxer)

    assert session.kept.sounds()
    assert _at(session.kept.sounds()[0]) - _at(session.kept.pictures()[0]) == pytest.approx(
        3 * NS, abs=NS // 20
    )
    assert [track.kind for track in session.hub.tracks] == [MediaKind.VIDEO, MediaKind.AUDIO]


def test_a_program_that_changes_changes_the_tracks() -> None:
    session = Session()
    first = _stream(encoded_video(Codec.H264, 50), encoded_audio(Codec.AAC, 2.0))
    second = _stream(encoded_video(Codec.H265, 50, b_frames=2))
    third = _stream(encoded_video(Codec.H264, 50), encoded_audio(Codec.OPUS, 2.0))
    fourth = _stream(encoded_video(Codec.H264, 50))

    for number, (units, muxer) in enumerate((first, second, third, fourth)):
        later = [
            unit._replace(
                dts=unit.dts + number * 2 * unit.track.clock_rate,
                pts=unit.pts + number * 2 * unit.track.clock_rate,
            )
            for unit in units
        ]
        session.stream._demuxer._continuity.clear()  # counters go on where one muxer sends it all
        muxer._sections = (muxer._sections[0], (muxer._sections[1][0], _map(units, number)))
        session.play(later, muxer)
        codecs = {track.codec for track in session.hub.tracks}
        assert codecs == {unit.track.codec for unit in units}, number
    _rises(session.kept.units)


def test_sound_that_changes_its_rate_becomes_another_version_of_its_track() -> None:
    session = Session()
    units, muxer = _stream(encoded_video(Codec.H264, 50), encoded_audio(Codec.AAC, 2.0))
    session.play(units, muxer)
    slower = audio_track(2, Codec.AAC, sample_rate=44_100, channels=2)

    def changed(unit: AccessUnit) -> AccessUnit:
        later = unit._replace(
            dts=unit.dts + 2 * unit.track.clock_rate, pts=unit.pts + 2 * unit.track.clock_rate
        )
        if unit.track.kind is MediaKind.VIDEO:
            return later
        return later._replace(track=slower, dts=later.dts * 441 // 480, pts=later.pts * 441 // 480)

    session.stream._demuxer._continuity.clear()
    units, muxer = _stream(tuple(changed(u) for u in units if u.track.id == 1), tuple(changed(u) for u in units if u.track.id == 2))  # fmt: skip
    session.play(units, muxer)

    rates = [unit.track.sample_rate for unit in session.kept.sounds()]
    assert rates == sorted(rates, reverse=True)
    assert set(rates) == {48_000, 44_100}
    assert session.kept.sounds()[-1].track.version == 1
    assert _at(session.kept.sounds()[-1]) == pytest.approx(_at(session.kept.pictures()[-1]), abs=NS // 10)
    _rises(session.kept.units)


def test_no_more_than_so_much_is_kept_for_sound_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ts_feed, "HELD_BYTES", 10_000)
    video = encoded_video(Codec.H264, 20)
    _, muxer = _stream(video, encoded_audio(Codec.AAC, 0.1))
    session = Session()

    session.play(list(video), muxer)

    assert len(session.kept.pictures()) == len(video)


def test_lost_messages_are_told_as_a_gap() -> None:
    units, muxer = _stream(encoded_video(Codec.H264, 60))
    session = Session()
    session.play(units[:30], muxer)

    session.stream.lost(3)
    session.play(units[30:], muxer)

    assert [gap.reason for gap in session.kept.gaps] == [GapReason.PACKET_LOSS]
    assert session.stream.reception().packets_lost == 3 * 7


def _with_open_ends(data: bytes) -> list[bytes]:
    """Packets of a stream whose pictures do not say how long they are, as most senders'."""
    packets = []
    for at in range(0, len(data), PACKET_BYTES):
        packet = bytearray(data[at : at + PACKET_BYTES])
        begins = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
        if packet[1] & 0x40 and packet[begins : begins + 3] == b"\0\0\1" and packet[begins + 3] == 0xE0:
            packet[begins + 4 : begins + 6] = b"\0\0"
        packets.append(bytes(packet))
    return packets


@pytest.mark.parametrize("into", [1, 7, 14])
@pytest.mark.parametrize("gone", [16, 32, 48])
def test_pictures_are_not_spliced_where_the_counters_of_packets_fit_again(into: int, gone: int) -> None:
    """Continuity counters have 4 bits."""
    units, muxer = _stream(encoded_video(Codec.H264, 20, size=(640, 360), gop=10))
    packets = _with_open_ends(b"".join(map(muxer.packets, units)))
    pictures_begin = [at for at, packet in enumerate(packets) if packet[1] & 0x40 and b"\0\0\1\xe0" in packet]
    first = pictures_begin[10] + into  # within the second key picture
    del packets[first : first + gone]
    session = Session()

    session.send(b"".join(packets[:first]))
    session.stream.lost(1)
    session.send(b"".join(packets[first:]))

    given = {bare(unit.data, Codec.H264) for unit in units}
    pictures = [bare(unit.data, Codec.H264) for unit in session.kept.pictures()]
    assert len(pictures) > 3
    assert set(pictures) <= given
    assert [gap.reason for gap in session.kept.gaps] == [GapReason.PACKET_LOSS]


def test_what_is_missing_before_the_first_track_is_known_splices_nothing() -> None:
    units, muxer = _stream(
        encoded_video(Codec.H264, 20, size=(640, 360), gop=10), encoded_audio(Codec.AAC, 0.1)
    )
    packets = _with_open_ends(b"".join(muxer.packets(unit) for unit in units if unit.track.id == 1))
    session = Session()

    session.send(b"".join(packets[:20]))  # sound is announced, and everything is held
    assert not session.hub.tracks
    session.stream.lost(1)
    session.send(b"".join(packets[36:]), each_s=0.05)

    given = {bare(unit.data, Codec.H264) for unit in units if unit.track.id == 1}
    assert len(session.kept.pictures()) > 3
    assert {bare(unit.data, Codec.H264) for unit in session.kept.pictures()} <= given


def test_pictures_of_the_program_before_are_not_taken_for_those_of_the_next() -> None:
    """One line that was H.264 and is H.265, told and sent in one piece with the end of what was before."""
    before, after = encoded_video(Codec.H264, 30), encoded_video(Codec.H265, 30)
    first, second = _stream(before)[1], _stream(after)[1]
    session = Session()
    session.send(b"".join(map(first.packets, before[:20])))
    middle = b"".join(map(first.packets, before[20:]))
    later = [unit._replace(dts=unit.dts + 108_000, pts=unit.pts + 108_000) for unit in after]
    second._sections = (second._sections[0], (second._sections[1][0], _map(later, 1)))

    session.send(middle + b"".join(map(second.packets, later)), message=1 << 20)

    assert [track.codec for track in session.hub.tracks] == [Codec.H265]
    assert {unit.track.codec for unit in session.kept.pictures()} == {Codec.H264, Codec.H265}


def test_the_last_picture_before_an_end_is_kept_when_it_is_whole_and_only_then() -> None:
    units, muxer = _stream(encoded_video(Codec.H264, 30, size=(640, 360)))
    packets = _with_open_ends(b"".join(map(muxer.packets, units)))
    for cut, kept in ((0, len(units)), (1, len(units) - 1)):
        session = Session()
        session.send(b"".join(packets[: len(packets) - cut]))
        assert len(session.kept.pictures()) == len(units) - 1

        session.stream.end(session.clock.monotonic_ns())

        assert len(session.kept.pictures()) == kept
        assert bare(session.kept.pictures()[-1].data, Codec.H264) == bare(units[kept - 1].data, Codec.H264)


def test_times_that_wrap_in_the_middle_go_on() -> None:
    shift = (1 << 33) - 90_000 * 3
    units = [
        unit._replace(
            dts=unit.dts + shift * unit.track.clock_rate // 90_000,
            pts=unit.pts + shift * unit.track.clock_rate // 90_000,
        )
        for unit in interleave(encoded_video(Codec.H264, 100), encoded_audio(Codec.AAC, 4.0))
    ]
    muxer = TsMuxer(list({unit.track.id: unit.track for unit in units}.values()))
    session = Session()

    session.play(units, muxer)

    assert session.kept.gaps == []
    assert {later.pts - unit.pts for unit, later in pairwise(session.kept.pictures())} == {3600}
    assert {later.pts - unit.pts for unit, later in pairwise(session.kept.sounds())} == {1024}


def test_an_encoder_whose_clock_begins_anew_costs_a_gap_and_keeps_sound_with_the_pictures() -> None:
    units, muxer = _stream(encoded_video(Codec.H264, 100), encoded_audio(Codec.AAC, 4.0))
    away = [
        unit._replace(
            dts=unit.dts + 1000 * unit.track.clock_rate, pts=unit.pts + 1000 * unit.track.clock_rate
        )
        for unit in units
    ]
    session = Session()
    session.play(away, muxer)

    session.play(units, muxer, sound_late_s=0.3)

    assert GapReason.CLOCK_JUMP in [gap.reason for gap in session.kept.gaps]
    _rises(session.kept.units)
    pictures, sounds = session.kept.pictures(), session.kept.sounds()
    sent = [next(u for u in reversed(units) if u.track.kind is kind) for kind in MediaKind]
    assert _at(pictures[-1]) - _at(sounds[-1]) == pytest.approx(_at(sent[0]) - _at(sent[1]), abs=NS // 50)


@pytest.mark.parametrize("seed", range(3))
def test_bytes_that_are_no_transport_stream_end_the_session(seed: int) -> None:
    session = Session()
    with pytest.raises(SourceProtocolError, match="MPEG"):
        session.send(Random(seed).randbytes(3 << 20))


def test_a_trickle_that_is_no_transport_stream_ends_the_session_too() -> None:
    session = Session()
    with pytest.raises(SourceProtocolError, match="MPEG"):
        session.send(b"x" * 10_000, message=100, each_s=0.1)


def test_sound_in_crumbs_ends_the_session_before_it_costs_much() -> None:
    crumbs = adts_header(b"\x11\x90", 1) + b"x"
    head = bytes((0, 0, 1, 0xC0, 0, 0, 0x84, 0x80, 5, 0x21, 0, 1, 0, 1))
    data = head[:4] + (8 + 8 * 6_000).to_bytes(2) + head[6:] + crumbs * 6_000
    packets = [_tables(pmt_section([Elementary(0x101, Codec.AAC)], 0x101, 0))]
    for at in range(len(data) // 184):
        packets.append(
            bytes((0x47, 0x41 if at == 0 else 0x01, 0x01, 0x10 | at & 15)) + data[at * 184 :][:184]
        )
    last = data[len(data) // 184 * 184 :]
    packets.append(
        bytes((0x47, 0x01, 0x01, 0x30 | len(data) // 184 & 15, 183 - len(last), 0))
        + b"\xff" * (182 - len(last))
        + last
    )
    session = Session()

    with pytest.raises(SourceProtocolError, match="a second"):
        session.send(b"".join(packets))

    assert session.kept.units == []


def test_a_program_that_changes_all_the_time_ends_the_session() -> None:
    session = Session()
    maps = [pmt_section([Elementary(0x100 + at, Codec.H264)], 0x100, 0) for at in range(2)]

    with pytest.raises(SourceProtocolError, match="a second"):
        for number in range(1000):
            packet = bytearray(_tables(maps[number % 2]))
            packet[3] = packet[PACKET_BYTES + 3] = 0x10 | number & 15
            session.send(bytes(packet))


def test_what_cannot_be_taken_is_named() -> None:
    body = pmt_section([Elementary(0x100, Codec.H264), Elementary(0x101, Codec.AAC)], 0x100, 0)
    changed = body.replace(b"\x1b\xe1\x00", b"\x02\xe1\x00").replace(b"\x0f\xe1\x01", b"\x81\xe1\x01")
    session = Session()
    with pytest.raises(SourceUnsupported, match="MPEG-2 video, AC-3"):
        session.send(_tables(_signed(changed[:-4])))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([5, 60, 800]))
def test_damaged_streams_end_in_an_error_of_the_source_or_in_what_was_whole(seed: int, flips: int) -> None:
    random, session = Random(seed), Session()
    stream = bytearray(_MATERIAL)
    for _ in range(flips):
        stream[random.randrange(len(stream))] = random.randrange(256)
        if random.random() < 0.05:
            at = random.randrange(len(stream))
            del stream[at : at + random.randrange(400)]
    try:
        session.send(bytes(stream))
    except SourceError:
        return
    _rises(session.kept.units)


def _material() -> bytes:
    units, muxer = _stream(encoded_video(Codec.H264, 25), encoded_audio(Codec.AAC, 1.0))
    return b"".join(muxer.packets(unit) for unit in units)


_MATERIAL = _material()


def _map(units: list[AccessUnit], version: int) -> bytes:
    tracks = list({unit.track.id: unit.track for unit in units}.values())
    lines = [Elementary(0x100 + at, track.codec, track.channels) for at, track in enumerate(tracks)]
    return pmt_section(lines, 0x100, version)


def _tables(section: bytes) -> bytes:
    first = b"\x47\x40\x00\x10" + (b"\0" + pat_section()).ljust(184, b"\xff")
    return first + b"\x47\x50\x00\x10" + (b"\0" + section).ljust(184, b"\xff")


def _signed(section: bytes) -> bytes:
    from vms.format.mpegts.tables import crc32

    return section + crc32(section).to_bytes(4)


def _at(unit: AccessUnit) -> int:
    return unit.pts * NS // unit.track.clock_rate


def _rises(units: list[AccessUnit]) -> None:
    for number in {unit.track.id for unit in units}:
        mine = [unit.dts / unit.track.clock_rate for unit in units if unit.track.id == number]
        assert all(later > before for before, later in pairwise(mine)), number


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, timeout=60)
