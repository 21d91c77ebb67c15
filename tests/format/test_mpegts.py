"""Transport streams: what others make of ours, what we make of theirs, and of damaged ones."""

import subprocess
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.format.format_material import (
    decoded_frames,
    digest,
    encoded_audio,
    encoded_video,
    ffmpeg_frames,
    interleave,
    record,
)

from vms.format import h264, h265, nal
from vms.format.errors import FormatError
from vms.format.mpegts import TsDemuxer, TsFrame, TsMuxer
from vms.format.mpegts.adts import AdtsReader, adts_header, split_adts
from vms.format.mpegts.muxer import START
from vms.format.mpegts.tables import PACKET_BYTES, PMT_PID, Elementary, crc32, pat_section, pmt_section
from vms.media import AccessUnit, Codec, MediaKind

VIDEOS = [(Codec.H264, 0), (Codec.H264, 2), (Codec.H265, 0), (Codec.H265, 2)]
_SETS = {Codec.H264: (h264.SPS, h264.PPS), Codec.H265: (h265.VPS, h265.SPS, h265.PPS)}
_TYPE = {Codec.H264: h264.nal_type, Codec.H265: h265.nal_type}


def _muxed(units: Sequence[AccessUnit]) -> bytes:
    tracks = list({unit.track.id: unit.track for unit in units}.values())
    muxer = TsMuxer(tracks)
    return b"".join(muxer.packets(unit) for unit in units)


def _demuxed(stream: bytes) -> tuple[list[TsFrame], TsDemuxer]:
    demuxer = TsDemuxer()
    return demuxer.feed(stream) + demuxer.flush(), demuxer


def _without_sets(codec: Codec, data: bytes) -> bytes:
    return nal.join(each for each in nal.split(data) if _TYPE[codec](each) not in _SETS[codec])


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize(("codec", "b_frames"), VIDEOS)
def test_ffmpeg_decodes_our_stream_to_the_very_pictures(codec: Codec, b_frames: int, tmp_path: Path) -> None:
    units = encoded_video(codec, 60, b_frames=b_frames)
    path = tmp_path / "ours.ts"
    path.write_bytes(_muxed(units))

    assert ffmpeg_frames(path) == [digest(frame) for frame in decoded_frames(units)]


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("codec", [Codec.AAC, Codec.OPUS])
def test_ffmpeg_finds_our_sound_beside_the_pictures(codec: Codec, tmp_path: Path) -> None:
    path = tmp_path / "ours.ts"
    sound = encoded_audio(codec, 2.0)
    path.write_bytes(_muxed(interleave(encoded_video(Codec.H264, 50), sound)))

    command = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name,nb_read_packets",
        "-count_packets",
    ]
    found = subprocess.run(
        [*command, "-of", "csv=p=0", str(path)], capture_output=True, text=True, check=True
    )

    assert found.stderr == ""
    assert f"{codec},{len(sound)}" in found.stdout.split()
    assert "h264,50" in found.stdout.split()


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize(("codec", "b_frames"), VIDEOS)
def test_a_stream_that_ffmpeg_made_gives_the_pictures_that_went_in(
    codec: Codec, b_frames: int, tmp_path: Path
) -> None:
    units = encoded_video(codec, 60, b_frames=b_frames)
    recording, theirs = tmp_path / "recording.mp4", tmp_path / "theirs.ts"
    recording.write_bytes(record([units[0].track], units).closed)
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(recording), "-c", "copy", str(theirs)], check=True)

    frames, demuxer = _demuxed(theirs.read_bytes())

    assert [_without_sets(codec, frame.data) for frame in frames] == [unit.data for unit in units]
    assert [frame.key for frame in frames] == [unit.key for unit in units]
    assert frames[0].parameter_sets == units[0].track.parameter_sets
    assert (demuxer.counters.lost, demuxer.counters.broken, demuxer.counters.resyncs) == (0, 0, 0)


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize("codec", [Codec.AAC, Codec.OPUS])
def test_sound_that_ffmpeg_made_is_read_frame_by_frame(codec: Codec, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.ts"
    encoder = "aac" if codec is Codec.AAC else "libopus"
    tone = ["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=2", "-ac", "2"]
    subprocess.run(["ffmpeg", "-v", "error", *tone, "-c:a", encoder, str(theirs)], check=True)

    frames, demuxer = _demuxed(theirs.read_bytes())

    length = 1024 if codec is Codec.AAC else 960
    assert len(frames) == pytest.approx(2 * 48_000 / length, abs=3)
    assert {(frame.codec, frame.sample_rate, frame.channels) for frame in frames} == {(codec, 48_000, 2)}
    for number, frame in enumerate(frames):
        assert frame.pts - frames[0].pts == pytest.approx(number * length * 90_000 / 48_000, abs=2)
    assert demuxer.counters.broken == 0


@pytest.mark.parametrize(("codec", "b_frames"), VIDEOS)
def test_what_goes_in_comes_out_with_its_times(codec: Codec, b_frames: int) -> None:
    units = interleave(encoded_video(codec, 30, b_frames=b_frames), encoded_audio(Codec.AAC, 1.2))

    frames, _ = _demuxed(_muxed(units))

    for kind in MediaKind:
        sent = [unit for unit in units if unit.track.kind is kind]
        came = [frame for frame in frames if frame.codec.kind is kind]
        rate = sent[0].track.clock_rate
        assert [(f.pts, f.dts) for f in came] == [
            (START + u.pts * 90_000 // rate, START + u.dts * 90_000 // rate) for u in sent
        ]
        if kind is MediaKind.AUDIO:
            assert [frame.data for frame in came] == [unit.data for unit in sent]
        else:
            assert [_without_sets(codec, frame.data) for frame in came] == [unit.data for unit in sent]


def test_every_call_gives_whole_packets_so_that_a_picture_can_be_sent_at_once() -> None:
    muxer = TsMuxer([encoded_video(Codec.H264, 30)[0].track])

    for unit in encoded_video(Codec.H264, 30):
        packets = muxer.packets(unit)
        assert len(packets) % PACKET_BYTES == 0
        assert set(packets[::PACKET_BYTES]) == {0x47}


def test_times_beyond_33_bits_go_on() -> None:
    wrap = 1 << 33
    units = [
        u._replace(dts=u.dts + wrap - 40_000, pts=u.pts + wrap - 40_000)
        for u in encoded_video(Codec.H264, 30)
    ]

    frames, _ = _demuxed(_muxed(units))

    steps = {later.dts - frame.dts for frame, later in pairwise(frames)}
    assert steps == {3600}


def test_a_stream_of_nothing_that_fits_is_refused() -> None:
    sound = encoded_audio(Codec.PCMU, 0.1)
    with pytest.raises(FormatError, match=r"H\.264"):
        TsMuxer([sound[0].track])


def test_a_track_that_does_not_fit_is_left_out() -> None:
    video, sound = encoded_video(Codec.H264, 10), encoded_audio(Codec.PCMU, 0.4)
    muxer = TsMuxer([video[0].track, sound[0].track])

    assert muxer.tracks == (video[0].track,)
    assert muxer.packets(sound[0]) == b""


def test_a_discontinuity_is_told() -> None:
    units = [unit._replace(discontinuity=at == 10) for at, unit in enumerate(encoded_video(Codec.H264, 20))]

    frames, demuxer = _demuxed(_muxed(units))

    assert [frame.discontinuity for frame in frames] == [unit.discontinuity for unit in units]
    assert demuxer.counters.lost == 0


def test_a_lost_packet_costs_its_picture_and_is_told_with_the_next() -> None:
    units = encoded_video(Codec.H264, 30)
    muxer = TsMuxer([units[0].track])
    packets = [muxer.packets(unit) for unit in units]
    whole = len(packets[12]) // PACKET_BYTES
    assert whole >= 2
    packets[12] = packets[12][:-PACKET_BYTES]

    frames, demuxer = _demuxed(b"".join(packets))

    assert len(frames) == len(units) - 1
    assert [at for at, frame in enumerate(frames) if frame.discontinuity] == [12]
    assert demuxer.counters.broken + demuxer.counters.lost >= 1


def _packet(pid: int, count: int, payload: bytes, *, begins: bool = False) -> bytes:
    """One packet, filled up by its adaptation field."""
    spare = 184 - len(payload)
    field = b"" if not spare else bytes((spare - 1,)) + (b"\0" + b"\xff" * (spare - 2) if spare > 1 else b"")
    return (
        bytes((0x47, 0x40 * begins | pid >> 8, pid & 0xFF, (0x30 if field else 0x10) | count))
        + field
        + payload
    )


def _tables(*sections: bytes) -> bytes:
    """PAT, and `sections` one after another in the packet of the map."""
    return _packet(0, 0, (b"\0" + pat_section()).ljust(184, b"\xff"), begins=True) + _packet(
        PMT_PID, 0, (b"\0" + b"".join(sections)).ljust(184, b"\xff"), begins=True
    )


_MAP = pmt_section([Elementary(0x100, Codec.H264), Elementary(0x101, Codec.AAC)], 0x100, 0)


_OTHER_MAP = pmt_section([Elementary(0x100, Codec.H264)], 0x100, 2)


def test_packets_sent_twice_and_those_without_payload_change_nothing() -> None:
    stream = _muxed(encoded_video(Codec.H264, 20))
    each = [stream[at : at + PACKET_BYTES] for at in range(0, len(stream), PACKET_BYTES)]
    alone = [bytes((0x47, p[1] & 0x1F, p[2], 0x20 | p[3] & 15, 183, 0)) + b"\xff" * 182 for p in each]

    frames, demuxer = _demuxed(b"".join(a + b + b for a, b in zip(alone, each, strict=True)))

    assert frames == _demuxed(stream)[0]
    assert (demuxer.counters.lost, demuxer.counters.broken) == (0, 0)


def test_sixteen_lost_packets_are_no_repetition() -> None:
    units = encoded_video(Codec.H264, 40)
    stream = _muxed(units)
    each = [stream[at : at + PACKET_BYTES] for at in range(0, len(stream), PACKET_BYTES)]
    video = [at for at, packet in enumerate(each) if packet[1] & 0x1F == 1]
    gone = set(video[8:23])  # so that the next carries the number of the last that came

    frames, demuxer = _demuxed(b"".join(p for at, p in enumerate(each) if at not in gone))

    assert demuxer.counters.lost == 1
    assert any(frame.discontinuity for frame in frames)


@pytest.mark.parametrize("size", [0, 1])
def test_packets_with_almost_nothing_in_them_cannot_fill_the_memory(size: int) -> None:
    demuxer = TsDemuxer()
    demuxer.feed(_tables(_MAP))
    demuxer.feed(_packet(0x100, 0, b"\0\0\1\xe0\0\0", begins=True))

    tracemalloc.start()
    for _ in range(40):
        demuxer.feed(b"".join(_packet(0x100, at & 15, b"x" * size) for at in range(1, 1601)))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert held < 250_000


def test_a_picture_of_a_million_nal_units_and_sound_without_end_are_refused() -> None:
    demuxer = TsDemuxer()
    demuxer.feed(_tables(_MAP))
    for pid, stream_id, piece in (
        (0x100, 0xE0, b"\0\0\1\x41"),
        (0x101, 0xC0, adts_header(b"\x11\x90", 1) + b"x"),
    ):
        data = bytes((0, 0, 1, stream_id, 0, 0, 0x84, 0x80, 5, 0x21, 0, 1, 0, 1)) + piece * 30_000
        pieces = [data[at : at + 184] for at in range(0, len(data), 184)]
        for at, each in enumerate(pieces):
            assert demuxer.feed(_packet(pid, at & 15, each, begins=at == 0)) == []

    assert demuxer.flush() == []
    assert demuxer.counters.broken == 2


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 400))
def test_the_next_packet_is_where_two_begin_or_the_data_ends(seed: int, begins: int) -> None:
    noise = Random(seed)
    data = bytes(noise.choices([0x47, 0x0A, 1], [1, 2, 2], k=noise.randint(0, 600)))
    expected = len(data)
    for at in range(begins, len(data)):
        if data[at] == 0x47 and (at + PACKET_BYTES >= len(data) or data[at + PACKET_BYTES] == 0x47):
            expected = at
            break

    assert TsDemuxer()._next_packet(data, min(begins, len(data))) == expected


def test_a_table_and_a_packet_that_were_cut_by_a_loss_are_given_up() -> None:
    tables, demuxer = _tables(_MAP), TsDemuxer()
    demuxer.feed(tables[: PACKET_BYTES + 100])

    demuxer.lost()
    demuxer.feed(tables[PACKET_BYTES + 100 :] + tables)

    assert len(demuxer.lines) == 2
    assert demuxer.counters.lost == 0


@pytest.mark.parametrize("first", [1, 5, 6, 20])
def test_a_pes_packet_may_begin_with_a_few_bytes_of_its_header(first: int) -> None:
    demuxer = TsDemuxer()
    demuxer.feed(_tables(_MAP))
    frame = adts_header(b"\x11\x90", 40) + b"x" * 40
    data = bytes((0, 0, 1, 0xC0, 0, 8 + len(frame), 0x84, 0x80, 5, 0x21, 0, 1, 0, 1)) + frame

    frames = demuxer.feed(_packet(0x101, 0, data[:first], begins=True) + _packet(0x101, 1, data[first:]))

    assert [frame.data for frame in frames] == [b"x" * 40]


def test_lines_that_begin_on_both_sides_of_the_wrap_are_on_one_timeline() -> None:
    video, sound = encoded_video(Codec.H264, 20), encoded_audio(Codec.AAC, 0.8)
    rate = sound[0].track.clock_rate
    begins = video[0].dts
    shift = (1 << 33) - START - begins - 9_000  # the first picture just before it, the first sound just after
    before = [u._replace(dts=u.dts + shift, pts=u.pts + shift) for u in video]
    after = [
        u._replace(dts=u.dts + shift * rate // 90_000, pts=u.pts + shift * rate // 90_000)
        for u in sound
        if u.pts * 90_000 // rate > begins + 9_000
    ]

    frames, _ = _demuxed(_muxed([before[0], *after, *before[1:]]))

    assert {frame.codec for frame in frames} == {Codec.H264, Codec.AAC}
    assert max(frame.dts for frame in frames) - min(frame.dts for frame in frames) < 2 * 90_000


def test_a_table_behind_another_in_the_same_packet_is_read_and_one_of_the_future_is_not() -> None:
    demuxer = TsDemuxer()
    later = bytearray(pmt_section([Elementary(0x100, Codec.H265)], 0x100, 1))
    later[5] &= 0xFE
    later[-4:] = crc32(bytes(later[:-4])).to_bytes(4)

    demuxer.feed(_tables(_MAP, bytes(later)))

    assert [line.codec for line in demuxer.lines] == [Codec.H264, Codec.AAC]
    demuxer.feed(_packet(PMT_PID, 1, (b"\0" + bytes(later) + _OTHER_MAP).ljust(184, b"\xff"), begins=True))
    assert [line.codec for line in demuxer.lines] == [Codec.H264]
    assert demuxer.counters.broken == 0


def test_garbage_between_packets_is_skipped_and_counted() -> None:
    stream = _muxed(encoded_video(Codec.H264, 20))
    at = 50 * PACKET_BYTES

    frames, demuxer = _demuxed(b"nonsense" * 9 + stream[:at] + b"\x47more" * 11 + stream[at:])

    assert len(frames) >= 19
    assert demuxer.counters.resyncs >= 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_it_does_not_matter_in_what_pieces_a_stream_comes(sizes: list[int]) -> None:
    stream = _muxed(interleave(encoded_video(Codec.H265, 15), encoded_audio(Codec.OPUS, 0.6)))
    demuxer, frames, at = TsDemuxer(), [], 0
    while at < len(stream):
        for size in sizes:
            frames += demuxer.feed(stream[at : at + size])
            at += size

    assert frames + demuxer.flush() == _demuxed(stream)[0]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 20, 400]))
def test_damaged_streams_raise_nothing_and_hold_no_more_than_their_bounds(seed: int, flips: int) -> None:
    random = Random(seed)
    stream = bytearray(_muxed(interleave(encoded_video(Codec.H264, 15), encoded_audio(Codec.AAC, 0.6))))
    for _ in range(flips):
        stream[random.randrange(len(stream))] = random.randrange(256)
        if random.random() < 0.1:
            at = random.randrange(len(stream))
            del stream[at : at + random.randrange(400)]
    demuxer = TsDemuxer()

    frames = demuxer.feed(bytes(stream)) + demuxer.flush()

    assert all(frame.data for frame in frames)
    assert len(demuxer._rest) < 2 * PACKET_BYTES


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000))
def test_bytes_that_are_no_stream_raise_nothing(data: bytes) -> None:
    demuxer = TsDemuxer()
    assert demuxer.feed(data) + demuxer.flush() == []


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_adts_are_refused_or_read_to_their_end(data: bytes) -> None:
    try:
        frames = list(split_adts(data))
    except FormatError:
        return
    assert sum(len(frame.data) + 7 for frame in frames) <= len(data)


def test_an_adts_header_says_what_its_configuration_does() -> None:
    config = bytes.fromhex("1190")
    (frame,) = split_adts(adts_header(config, 5) + b"12345")
    assert (frame.data, frame.sample_rate, frame.channels) == (b"12345", 48_000, 2)


def _sound_in_pieces(units: Sequence[AccessUnit], cuts: Sequence[int]) -> list[tuple[bytes, int]]:
    """Payloads of PES packets that end anywhere, each with the time of the first frame that begins in it."""
    frames = [adts_header(unit.track.parameter_sets[0], len(unit.data)) + unit.data for unit in units]
    begins = [sum(map(len, frames[:at])) for at in range(len(frames))]
    stream, at, pieces = b"".join(frames), 0, []
    for size in cuts:
        end = min(at + size, len(stream))
        first = next((n for n, begin in enumerate(begins) if begin >= at), len(units) - 1)
        pieces.append((stream[at:end], units[first].pts * 90_000 // units[first].track.clock_rate))
        at = end
    return [piece for piece in pieces if piece[0]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=60, max_size=60))
def test_sound_frames_that_are_cut_by_their_packets_are_put_together_with_their_times(
    cuts: list[int],
) -> None:
    units = encoded_audio(Codec.AAC, 0.5)
    reader, came = AdtsReader(), []

    for payload, pts in _sound_in_pieces(units, [*cuts, 1 << 20]):
        came += list(reader.read(payload, pts, lost=False))

    assert [frame.data for frame, _ in came] == [unit.data for unit in units]
    for (_, time), unit in zip(came, units, strict=True):
        assert time == pytest.approx(unit.pts * 90_000 / unit.track.clock_rate, abs=2)


def test_a_packets_time_is_that_of_the_first_frame_that_begins_in_it() -> None:
    first, second, third = (adts_header(b"\x11\x90", 40) + bytes((each,)) * 40 for each in b"abc")
    reader = AdtsReader()

    frames = list(reader.read(first + second[:20], 0, lost=False))
    frames += list(reader.read(second[20:] + third, 5_000, lost=False))

    assert [(frame.data[:1], time) for frame, time in frames] == [(b"a", 0), (b"b", 1_920), (b"c", 5_000)]


@pytest.mark.needs("ffmpeg")
def test_ffmpeg_reads_sound_that_is_cut_as_we_do(tmp_path: Path) -> None:
    """Which shows that packets may cut frames, and that we take them as others do."""
    units = encoded_audio(Codec.AAC, 1.0)
    cut, whole = tmp_path / "cut.ts", tmp_path / "whole.ts"
    packets = [_tables(pmt_section([Elementary(0x101, Codec.AAC)], 0x101, 0))]
    for count, (payload, pts) in enumerate(_sound_in_pieces(units, [150] * 1000)):
        stamp = bytes(
            (0x21 | pts >> 29 & 14, pts >> 22 & 255, 1 | pts >> 14 & 254, pts >> 7 & 255, 1 | pts << 1 & 254)
        )
        head = bytes((0, 0, 1, 0xC0)) + (8 + len(payload)).to_bytes(2) + bytes((0x84, 0x80, 5)) + stamp
        packets.append(_packet(0x101, count & 15, head + payload, begins=True))
    cut.write_bytes(b"".join(packets))
    whole.write_bytes(_muxed(units))

    frames, demuxer = _demuxed(cut.read_bytes())

    assert [frame.data for frame in frames] == [unit.data for unit in units]
    assert demuxer.counters.broken == 0
    assert ffmpeg_frames(cut, "0:a") == ffmpeg_frames(whole, "0:a")


def test_sound_that_is_joined_in_the_middle_of_a_frame_begins_with_the_next() -> None:
    units = encoded_audio(Codec.AAC, 0.5)
    pieces = _sound_in_pieces(units, [50] * 400)[1:]
    missing = len(pieces) // 2
    reader, came = AdtsReader(), []

    for at, (payload, pts) in enumerate(pieces):
        if at != missing:
            came += list(reader.read(payload, pts, lost=at == missing + 1))

    sent = [unit.data for unit in units]
    assert len(sent) - 5 <= len(came) < len(sent)
    assert all(frame.data in sent for frame, _ in came)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_sound_that_is_none_is_refused_and_holds_no_more_than_a_frame(payloads: list[bytes]) -> None:
    reader = AdtsReader()
    for payload in payloads:
        try:
            list(reader.read(payload, 0, lost=False))
        except FormatError:
            continue
        assert len(reader._rest) < 8192


def _unbounded(units: Sequence[AccessUnit]) -> list[list[bytes]]:
    """The packets of each picture, whose PES packets do not say how long they are, as ffmpeg's do not."""
    muxer = TsMuxer([units[0].track])
    pictures = []
    for unit in units:
        data = bytearray(muxer.packets(unit))
        for at in range(0, len(data), PACKET_BYTES):
            if data[at + 1] & 0x5F == 0x41 and data[at + 2] == 0:
                begin = data.index(b"\0\0\1\xe0", at) + 4
                data[begin : begin + 2] = b"\0\0"
        pictures.append([bytes(data[at : at + PACKET_BYTES]) for at in range(0, len(data), PACKET_BYTES)])
    return pictures


def test_a_picture_is_there_with_its_last_packet_once_a_sender_is_known_to_fill_that_up() -> None:
    units = encoded_video(Codec.H264, 130)
    demuxer, came, late = TsDemuxer(), [], []

    for number, packets in enumerate(_unbounded(units), 1):
        came += demuxer.feed(b"".join(packets))
        if len(came) < number:
            late.append(number)

    assert [_without_sets(Codec.H264, frame.data) for frame in came + demuxer.flush()] == [
        u.data for u in units
    ]
    assert 50 <= len(late) < 60, "all of the first, and those later that needed no filling up"
    assert demuxer.counters.broken == 0


def test_a_sender_that_fills_up_packets_in_the_middle_of_pictures_is_never_trusted_again() -> None:
    units = encoded_video(Codec.H264, 200)
    pictures = _unbounded(units)
    cut = 101

    def padded(packets: list[bytes]) -> list[bytes]:
        """The same picture with a packet in its middle that is filled up, and another for the rest."""
        head, middle, *rest = packets
        assert middle[3] & 0x30 == 0x10
        return [head, _packet(0x100, 0, middle[4:180]), _packet(0x100, 0, middle[180:]), *rest]

    for at in range(cut, 200, 7):
        if not units[at].key:
            pictures[at] = padded(pictures[at])
    count, stream = -1, []
    for packet in (each for packets in pictures for each in packets):
        if packet[1] & 0x1F == 1 and packet[2] == 0:
            count += 1
            packet = packet[:3] + bytes((packet[3] & 0xF0 | count & 15,)) + packet[4:]
        stream.append(packet)

    frames, demuxer = _demuxed(b"".join(stream))

    whole = [unit.data for unit in units]
    wrong = [at for at, frame in enumerate(frames) if _without_sets(Codec.H264, frame.data) != whole[at]]
    assert len(frames) == len(units)
    assert wrong == [cut], "it costs one picture"
    assert frames[cut + 1].discontinuity
    assert demuxer.counters.broken == 1


def test_a_lost_beginning_of_a_picture_does_not_shake_the_trust() -> None:
    units = encoded_video(Codec.H264, 130)
    demuxer, late = TsDemuxer(), []

    for number, packets in enumerate(_unbounded(units)):
        came = demuxer.feed(b"".join(packets[1:] if number == 101 else packets))
        if not came:
            late.append(number)

    assert [number for number in late if number > 60] == [101]
