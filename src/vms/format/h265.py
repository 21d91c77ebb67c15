"""H.265 as far as recording and sending need it (ITU-T H.265): NAL unit types and the SPS.

Belongs here: reading NAL unit headers and sequence parameter sets.
Does not: decoding pictures (vms.format.picture), framing (nal), RTP (vms.wire).
"""

from dataclasses import dataclass

from vms.format import nal as nal_units
from vms.format.bits import BitReader
from vms.format.errors import FormatError

# nal_unit_type, Table 7-1
BLA_W_LP = 16
IDR_W_RADL = 19
IDR_N_LP = 20
CRA = 21
LAST_IRAP = 23
VPS = 32
SPS = 33
PPS = 34
ACCESS_UNIT_DELIMITER = 35
END_OF_SEQUENCE = 36
END_OF_BITSTREAM = 37
FILLER = 38
PREFIX_SEI = 39
SUFFIX_SEI = 40

MAX_SIDE = 16384
_EXTENDED_SAR = 255


@dataclass(frozen=True, slots=True)
class ProfileTierLevel:
    """general_* of profile_tier_level() (§7.3.3). constraints: the 48 bits after the compatibility flags."""

    profile_space: int
    tier: int
    profile_idc: int
    compatibility: int
    constraints: int
    level_idc: int


@dataclass(frozen=True, slots=True)
class Sps:
    """A sequence parameter set (§7.3.2.2).

    width, height: pixels after cropping. max_reorder: sps_max_num_reorder_pics of the highest sub-layer.
    frame_rate: pictures a second by the VUI's timing, None without.
    """

    width: int
    height: int
    profile: ProfileTierLevel
    max_sub_layers: int
    temporal_id_nested: bool
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    max_reorder: int
    frame_rate: float | None


def nal_type(nal: bytes | memoryview) -> int:
    """nal_unit_type of a NAL unit that is not empty."""
    return nal[0] >> 1 & 0x3F


def is_key(data: bytes | memoryview) -> bool:
    """Whether length-prefixed `data` holds an IRAP picture. FormatError where its lengths are wrong."""
    return any(BLA_W_LP <= nal_type(nal) <= LAST_IRAP for nal in nal_units.split(data))


def has_parameter_sets(data: bytes | memoryview) -> bool:
    """Whether length-prefixed `data` carries a VPS, SPS or PPS. FormatError where its lengths are wrong."""
    return any(VPS <= nal_type(nal) <= PPS for nal in nal_units.split(data))


def parse_sps(nal: bytes | memoryview) -> Sps:
    """Read a sequence parameter set, NAL unit header included. Raises FormatError.

    What follows the reordering limits is read for the frame rate alone, and taken as absent when it
    breaks off.
    """
    nal = bytes(nal)
    if len(nal) < 4 or nal_type(nal) != SPS:
        raise FormatError(f"no H.265 SPS: {nal[:8].hex(' ')}")
    reader = BitReader(nal_units.unescape(nal[2:]), "H.265 SPS")
    reader.skip(4)  # sps_video_parameter_set_id
    max_sub_layers = reader.bits(3) + 1
    if max_sub_layers > 7:
        raise FormatError("H.265 SPS: more than 7 sub-layers")
    nested = reader.flag()
    profile = _read_profile_tier_level(reader, max_sub_layers)
    reader.ue_at_most(15, "sps_seq_parameter_set_id")
    chroma = reader.ue_at_most(3, "chroma_format_idc")
    separate = chroma == 3 and reader.flag()
    width, height = _read_size(reader, 0 if separate else chroma)
    depth_luma = 8 + reader.ue_at_most(8, "bit_depth_luma_minus8")
    depth_chroma = 8 + reader.ue_at_most(8, "bit_depth_chroma_minus8")
    poc_bits = 4 + reader.ue_at_most(12, "log2_max_pic_order_cnt_lsb_minus4")
    max_reorder = 0
    for _ in range(max_sub_layers if reader.flag() else 1):
        reader.ue_at_most(15, "sps_max_dec_pic_buffering_minus1")
        max_reorder = reader.ue_at_most(15, "sps_max_num_reorder_pics")
        reader.ue()
    return Sps(
        width,
        height,
        profile,
        max_sub_layers,
        nested,
        chroma,
        depth_luma,
        depth_chroma,
        max_reorder,
        _read_frame_rate(reader, chroma, poc_bits),
    )


def _read_profile_tier_level(reader: BitReader, max_sub_layers: int) -> ProfileTierLevel:
    profile = ProfileTierLevel(
        reader.bits(2), reader.bits(1), reader.bits(5), reader.bits(32), reader.bits(48), reader.bits(8)
    )
    present = [(reader.flag(), reader.flag()) for _ in range(max_sub_layers - 1)]
    if max_sub_layers > 1:
        reader.skip(2 * (8 - (max_sub_layers - 1)))
    for profile_present, level_present in present:
        reader.skip(88 * profile_present + 8 * level_present)
    return profile


def _read_size(reader: BitReader, chroma_array_type: int) -> tuple[int, int]:
    width = reader.ue_at_most(MAX_SIDE, "pic_width_in_luma_samples")
    height = reader.ue_at_most(MAX_SIDE, "pic_height_in_luma_samples")
    if reader.flag():  # conformance_window_flag
        unit_x = 2 if chroma_array_type in (1, 2) else 1
        unit_y = 2 if chroma_array_type == 1 else 1
        left, right, top, bottom = (reader.ue() for _ in range(4))
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if width <= 0 or height <= 0:
        raise FormatError(f"H.265 SPS: nothing is left of the picture after cropping ({width}×{height})")
    return width, height


def _read_frame_rate(reader: BitReader, chroma: int, poc_bits: int) -> float | None:
    try:
        for _ in range(6):  # block sizes and hierarchy depths
            reader.ue()
        if reader.flag() and reader.flag():
            _skip_scaling_lists(reader, chroma)
        reader.skip(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
        if reader.flag():  # pcm_enabled_flag
            reader.skip(8)
            reader.ue()
            reader.ue()
            reader.skip(1)
        _skip_reference_picture_sets(reader)
        if reader.flag():  # long_term_ref_pics_present_flag
            for _ in range(reader.ue_at_most(32, "num_long_term_ref_pics_sps")):
                reader.skip(poc_bits + 1)
        reader.skip(2)
        return _read_vui_frame_rate(reader) if reader.flag() else None
    except FormatError:
        return None


def _skip_scaling_lists(reader: BitReader, chroma: int) -> None:
    for size in range(4):  # §7.3.4
        for matrix in range(0, 6, 3 if size == 3 else 1):
            if not reader.flag():
                reader.ue_at_most(matrix, "scaling_list_pred_matrix_id_delta")
                continue
            if size > 1:
                reader.se()
            for _ in range(min(64, 1 << (4 + (size << 1)))):
                reader.se()


def _skip_reference_picture_sets(reader: BitReader) -> None:
    delta_pocs: list[int] = []  # NumDeltaPocs of each set so far, §7.3.7
    for index in range(reader.ue_at_most(64, "num_short_term_ref_pic_sets")):
        if index and reader.flag():  # inter_ref_pic_set_prediction_flag
            reader.skip(1)
            reader.ue()
            kept = 0
            for _ in range(delta_pocs[-1] + 1):
                used = reader.flag()
                kept += used or reader.flag()
            delta_pocs.append(min(kept, 16))
            continue
        count = reader.ue_at_most(16, "num_negative_pics") + reader.ue_at_most(16, "num_positive_pics")
        for _ in range(count):
            reader.ue()
            reader.skip(1)
        delta_pocs.append(count)


def _read_vui_frame_rate(reader: BitReader) -> float | None:
    if reader.flag() and reader.bits(8) == _EXTENDED_SAR:
        reader.skip(32)
    if reader.flag():  # overscan_info_present_flag
        reader.skip(1)
    if reader.flag():  # video_signal_type_present_flag
        reader.skip(4)
        if reader.flag():
            reader.skip(24)
    if reader.flag():  # chroma_loc_info_present_flag
        reader.ue()
        reader.ue()
    reader.skip(3)
    if reader.flag():  # default_display_window_flag
        for _ in range(4):
            reader.ue()
    if not reader.flag():  # vui_timing_info_present_flag
        return None
    tick, time_scale = reader.bits(32), reader.bits(32)
    return time_scale / tick if tick and time_scale else None
