"""SPS, AudioSpecificConfig and the tracks made of them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.format.format_material import PPS, SPS, encoded_video, footage_units

from vms.format import aac, h264, h265, nal
from vms.format.bits import BitReader
from vms.format.codecs import audio_track, codec_string, video_track
from vms.format.errors import FormatError
from vms.media import Codec


class _BitWriter:
    """Bits by the book, for parameter sets that no encoder at hand makes."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, value: int) -> None:
        self.text += f"{value:0{count}b}"

    def ue(self, value: int) -> None:
        code = f"{value + 1:b}"
        self.text += "0" * (len(code) - 1) + code

    def se(self, value: int) -> None:
        self.ue(2 * value - 1 if value > 0 else -2 * value)

    def nal(self, header: bytes) -> bytes:
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        body = int(text, 2).to_bytes(len(text) // 8)
        escaped = bytearray()
        for byte in body:
            if escaped[-2:] == b"\0\0" and byte <= 3:
                escaped.append(3)
            escaped.append(byte)
        return header + bytes(escaped)


@given(
    st.integers(1, 256),
    st.integers(1, 256),
    st.booleans(),
    st.sampled_from([66, 77, 100, 110]),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.sampled_from([0, 1, 2]),
)
def test_h264_sps_gives_the_cropped_size(
    columns: int, rows: int, frames_only: bool, profile: int, crop: tuple[int, ...], poc_type: int
) -> None:
    bits = _BitWriter()
    for value in (profile, 0, 31):
        bits.u(8, value)
    bits.ue(0)
    if profile >= 100:
        bits.ue(1)
        bits.ue(2)
        bits.ue(2)
        bits.u(2, 0)
    bits.ue(0)
    bits.ue(poc_type)
    if poc_type == 0:
        bits.ue(4)
    elif poc_type == 1:
        bits.u(1, 0)
        bits.se(-1)
        bits.se(2)
        bits.ue(1)
        bits.se(-7)
    bits.ue(4)
    bits.u(1, 0)
    bits.ue(columns - 1)
    bits.ue(rows - 1)
    bits.u(1, frames_only)
    if not frames_only:
        bits.u(1, 0)
    bits.u(2, 3)
    for value in crop:
        bits.ue(value)
    bits.u(1, 0)
    sps = h264.parse_sps(bits.nal(b"\x67"))
    fields = 1 if frames_only else 2
    assert sps.width == columns * 16 - 2 * (crop[0] + crop[1])
    assert sps.height == rows * 16 * fields - 2 * fields * (crop[2] + crop[3])
    assert sps.bit_depth_luma == (10 if profile >= 100 else 8)
    assert sps.max_reorder == (0 if profile == 66 or poc_type == 2 else None)
    assert sps.frame_rate is None


def test_h264_sps_of_real_footage_gives_reordering_and_frame_rate() -> None:
    sps = h264.parse_sps(SPS)
    assert (sps.width, sps.height, sps.profile_idc, sps.level_idc) == (768, 576, 100, 31)
    assert sps.max_reorder == 2
    assert sps.frame_rate == 10.0


@pytest.mark.parametrize("size", [(64, 48), (160, 120), (322, 242), (98, 62)])
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_size_of_what_real_encoders_make_is_read(codec: Codec, size: tuple[int, int]) -> None:
    track = encoded_video(codec, 3, b_frames=2, size=size)[0].track
    assert (track.width, track.height) == size
    assert track.max_reorder > 0
    sps = next(each for each in track.parameter_sets if len(each) > 8 and _is_sps(codec, each))
    rate = h264.parse_sps(sps).frame_rate if codec is Codec.H264 else h265.parse_sps(sps).frame_rate
    assert rate == 25.0


def _is_sps(codec: Codec, each: bytes) -> bool:
    return h264.nal_type(each) == h264.SPS if codec is Codec.H264 else h265.nal_type(each) == h265.SPS


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_key_pictures_and_parameter_sets_are_found(codec: Codec) -> None:
    module = h264 if codec is Codec.H264 else h265
    for each in encoded_video(codec, 60, gop=25, in_band=True):
        assert module.is_key(each.data) is each.key
        assert module.has_parameter_sets(each.data) is each.key


def test_key_pictures_of_real_footage_are_found(footage: dict) -> None:
    units = footage_units(footage["people"])
    assert [h264.is_key(each.data) for each in units] == [each.key for each in units]


@pytest.mark.parametrize("module, kind", [(h264, "H.264"), (h265, "H.265")])
@given(st.binary(max_size=80))
def test_any_bytes_as_sps_are_read_or_refused(module: object, kind: str, data: bytes) -> None:
    header = b"\x67" if module is h264 else b"\x42\x01"
    for candidate in (data, header + data):
        try:
            sps = module.parse_sps(candidate)  # type: ignore[attr-defined]
        except FormatError:
            continue
        assert 0 < sps.width <= 20_000
        assert 0 < sps.height <= 40_000


def test_a_huge_sps_is_refused_unread() -> None:
    with pytest.raises(FormatError, match="bytes"):
        h264.parse_sps(b"\x67" + bytes(100_000))


def test_a_vui_that_breaks_off_is_taken_as_absent() -> None:
    sps = h264.parse_sps(SPS[:16])
    assert (sps.width, sps.height, sps.max_reorder) == (768, 576, None)


def test_exp_golomb_numbers_are_bounded() -> None:
    with pytest.raises(FormatError, match="Exp-Golomb"):
        BitReader(bytes(40), "test").ue()


@given(st.sampled_from(aac.SAMPLE_RATES), st.integers(1, 6))
def test_aac_config_is_read_as_written(sample_rate: int, channels: int) -> None:
    config = aac.parse_config(aac.build_config(sample_rate, channels))
    assert (config.object_type, config.sample_rate, config.channels) == (2, sample_rate, channels)
    assert config.frame_length == 1024


def test_aac_config_with_sbr_names_the_core() -> None:
    # AAC-LC at 22,050 Hz under SBR at 44,100 Hz, stereo (ISO 14496-3 §1.6.5)
    config = aac.parse_config(bytes.fromhex("2b920800"))
    assert config == aac.AudioSpecificConfig(2, 22_050, 2, 1024, True)


@given(st.binary(max_size=12))
def test_any_bytes_as_aac_config_are_read_or_refused(data: bytes) -> None:
    with suppress(FormatError):
        assert aac.parse_config(data).sample_rate > 0


def test_parameter_sets_may_come_in_any_order() -> None:
    assert video_track(1, Codec.H264, (PPS, SPS)).parameter_sets == (SPS, PPS)


@pytest.mark.parametrize("sets", [(), (SPS,), (PPS,), (SPS, b""), (b"\x67\x64", PPS)])
def test_missing_or_broken_parameter_sets_are_refused(sets: tuple[bytes, ...]) -> None:
    with pytest.raises(FormatError):
        video_track(1, Codec.H264, sets)


def test_codec_strings_are_those_of_rfc_6381() -> None:
    assert codec_string(video_track(1, Codec.H264, (SPS, PPS))) == "avc1.64001f"
    assert codec_string(video_track(1, Codec.H264, (SPS, PPS)), in_band=True) == "avc3.64001f"
    hevc = encoded_video(Codec.H265, 3)[0].track
    assert codec_string(hevc).startswith("hvc1.1.6.L")
    assert codec_string(hevc, in_band=True).startswith("hev1.1.6.L")
    aac_lc = audio_track(2, Codec.AAC, sample_rate=16_000, channels=1)
    assert codec_string(aac_lc) == "mp4a.40.2"
    for codec, text in ((Codec.OPUS, "opus"), (Codec.PCMU, "ulaw"), (Codec.PCMA, "alaw")):
        rate = 48_000 if codec is Codec.OPUS else 8_000
        assert codec_string(audio_track(2, codec, sample_rate=rate, channels=1)) == text


def test_opus_always_runs_at_48_khz() -> None:
    assert audio_track(2, Codec.OPUS, sample_rate=16_000, channels=1).clock_rate == 48_000


@pytest.mark.parametrize(
    "codec, rate, channels, sets",
    [
        (Codec.PCMU, 0, 1, ()),
        (Codec.PCMU, 8000, 0, ()),
        (Codec.PCMU, 8000, 1, (b"x",)),
        (Codec.AAC, 8001, 1, ()),
        (Codec.H264, 90_000, 1, ()),
    ],
)
def test_impossible_sound_is_refused(codec: Codec, rate: int, channels: int, sets: tuple[bytes, ...]) -> None:
    with pytest.raises(FormatError):
        audio_track(1, codec, sample_rate=rate, channels=channels, parameter_sets=sets)


def test_escaped_sps_is_read_the_same_as_unescaped() -> None:
    assert b"\0\0\3" in SPS
    assert h264.parse_sps(b"\x67" + nal.unescape(SPS[1:])) == h264.parse_sps(SPS)
