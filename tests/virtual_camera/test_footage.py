"""Files become loops: whole, on one zero, with a typed error for what cannot be sent."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import pytest

from vms.format import h264, h265, nal
from vms.format.errors import FormatError
from vms.media import Codec
from vms.virtual_camera import configuration_record
from vms.virtual_camera.errors import FootageInvalid
from vms.virtual_camera.footage import MAX_PAYLOAD_BYTES, load


def test_a_loop_has_every_picture_in_decoding_order_and_repeats_after_their_durations(
    clips: dict[str, Path],
) -> None:
    loop = load(clips["plain"]).lines[0]
    assert [unit.dts for unit in loop.units] == [number * 3600 for number in range(50)]
    assert [unit.pts for unit in loop.units] == [unit.dts for unit in loop.units]
    assert loop.duration == 180_000
    assert [unit.first_packet for unit in loop.units[1:]] == [
        sum(len(before.payloads) for before in loop.units[:number]) for number in range(1, 50)
    ]
    assert max(len(payload) for unit in loop.units for payload in unit.payloads) <= MAX_PAYLOAD_BYTES


@pytest.mark.parametrize(("name", "codec"), [("b_frames", Codec.H264), ("h265", Codec.H265)])
def test_pictures_with_b_frames_keep_their_presentation_times(
    clips: dict[str, Path], name: str, codec: Codec
) -> None:
    footage = load(clips[name])
    loop = footage.lines[0]
    assert loop.track.codec is codec
    assert footage.reorder_s > 0
    assert any(unit.pts > unit.dts for unit in loop.units)
    first = min(unit.pts for unit in loop.units)
    assert sorted(unit.pts - first for unit in loop.units) == [number * 3600 for number in range(50)]


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("aac", Codec.AAC, 48000), ("opus", Codec.OPUS, 48000), ("pcmu", Codec.PCMU, 8000)],
)
def test_audio_comes_with_the_video_on_the_same_zero(
    with_audio: dict[str, Path], name: str, codec: Codec, rate: int
) -> None:
    video, audio = load(with_audio[name]).lines
    assert (audio.track.codec, audio.track.clock_rate) == (codec, rate)
    assert 0 <= Fraction(audio.offset, rate) < Fraction(1, 5)
    assert video.offset >= 0
    assert min(video.offset, audio.offset) == 0
    assert 1.5 < audio.duration / rate < 1.8
    if codec is Codec.PCMU:
        assert {len(payload) for unit in audio.units for payload in unit.payloads} == {160}


@pytest.mark.needs("ffmpeg")
def test_audio_that_rtp_cannot_carry_here_is_left_out(with_audio: dict[str, Path]) -> None:
    assert len(load(with_audio["mp3"]).lines) == 1


def test_key_pictures_carry_parameter_sets_once(clips: dict[str, Path]) -> None:
    loop = load(clips["plain"]).lines[0]
    for unit in loop.units:
        assert (unit.payloads[0][0] & 0x1F == 24) == unit.key  # a STAP-A of SPS, PPS and SEI


def test_a_file_that_is_not_there_or_no_media_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FootageInvalid, match=r"nowhere\.mp4"):
        load(tmp_path / "nowhere.mp4")
    (tmp_path / "text.mp4").write_text("no media at all")
    with pytest.raises(FootageInvalid, match="cannot be read as media"):
        load(tmp_path / "text.mp4")


def test_a_file_of_another_codec_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mpeg4.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for packet in [*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode(None)]:
            container.mux(packet)
    with pytest.raises(FootageInvalid, match="libx264"):
        load(tmp_path / "mpeg4.mp4")


def test_a_stream_without_timestamps_is_refused_with_what_to_do(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    bare = tmp_path / "bare.h264"
    with av.open(str(clips["b_frames"])) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        sets = configuration_record.parse(
            Codec.H264, container.streams.video[0].codec_context.extradata or b""
        ).parameter_sets
    bare.write_bytes(nal.to_annex_b(nal.join(sets)) + b"".join(map(nal.to_annex_b, packets)))
    with pytest.raises(FootageInvalid, match="remux"):
        load(bare)


def test_configuration_records_give_parameter_sets_whole_or_not_at_all(clips: dict[str, Path]) -> None:
    for name, codec in (("plain", Codec.H264), ("h265", Codec.H265)):
        with av.open(str(clips[name])) as container:
            record = container.streams.video[0].codec_context.extradata or b""
        configuration = configuration_record.parse(codec, record)
        syntax = h264 if codec is Codec.H264 else h265
        assert configuration.length_bytes == 4
        assert syntax.SPS in [syntax.nal_type(unit) for unit in configuration.parameter_sets]
        for size in range(len(record)):
            with suppress(FormatError):
                cut = configuration_record.parse(codec, record[:size])
                assert set(cut.parameter_sets) <= set(configuration.parameter_sets)


def test_lengths_of_two_bytes_and_start_codes_become_lengths_of_four() -> None:
    short = configuration_record.Configuration((), 2)
    assert short.access_unit(b"\0\3abc\0\1d") == nal.join([b"abc", b"d"])
    with pytest.raises(FormatError):
        short.access_unit(b"\0\4abc")
    assert configuration_record.Configuration((), 0).access_unit(b"\0\0\1abc") == nal.join([b"abc"])
