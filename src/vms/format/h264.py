"""H.264 as far as recording and sending need it (ITU-T H.264): NAL unit types and the SPS.

Belongs here: reading NAL unit headers and sequence parameter sets.
Does not: decoding pictures (vms.format.picture), framing (nal), RTP (vms.wire).
"""

from dataclasses import dataclass

from vms.format import nal as nal_units
from vms.format.bits import BitReader
from vms.format.errors import FormatError

# nal_unit_type, Table 7-1
NON_IDR = 1
IDR = 5
SEI = 6
SPS = 7
PPS = 8
ACCESS_UNIT_DELIMITER = 9
END_OF_SEQUENCE = 10
END_OF_STREAM = 11
FILLER = 12
SPS_EXTENSION = 13

MAX_SIDE = 16384
_EXTENDED_SAR = 255
_WITH_CHROMA_FORMAT = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, slots=True)
class Sps:
    """A sequence parameter set (§7.3.2.1).

    width, height: pixels after cropping.
    max_reorder: max_num_reorder_frames (E.2.1); 0 where pictures cannot be reordered by what else the
        SPS says; None where it leaves it open, as many cameras without B-frames do.
    frame_rate: frames a second by the VUI's timing, None without.
    """

    width: int
    height: int
    profile_idc: int
    constraints: int
    level_idc: int
    chroma_format_idc: int
    bit_depth_luma: int
    bit_depth_chroma: int
    max_reorder: int | None
    frame_rate: float | None


def nal_type(nal: bytes | memoryview) -> int:
    """nal_unit_type of a NAL unit that is not empty."""
    return nal[0] & 0x1F


def is_key(data: bytes | memoryview) -> bool:
    """Whether length-prefixed `data` holds an IDR picture. FormatError where its lengths are wrong."""
    return any(nal[0] & 0x1F == IDR for nal in nal_units.split(data))


def has_parameter_sets(data: bytes | memoryview) -> bool:
    """Whether length-prefixed `data` carries an SPS or a PPS. FormatError where its lengths are wrong."""
    return any(nal[0] & 0x1F in (SPS, PPS) for nal in nal_units.split(data))


def parse_sps(nal: bytes | memoryview) -> Sps:
    """Read a sequence parameter set, NAL unit header included. Raises FormatError.

    A VUI that breaks off is taken as absent: cameras ship such, and nothing in it is vital.
    """
    nal = bytes(nal)
    if len(nal) < 4 or nal_type(nal) != SPS:
        raise FormatError(f"no H.264 SPS: {nal[:8].hex(' ')}")
    reader = BitReader(nal_units.unescape(nal[1:]), "H.264 SPS")
    profile_idc, constraints, level_idc = reader.bits(8), reader.bits(8), reader.bits(8)
    reader.ue_at_most(31, "seq_parameter_set_id")
    chroma_format_idc, depth_luma, depth_chroma, separate = 1, 8, 8, False
    if profile_idc in _WITH_CHROMA_FORMAT:
        chroma_format_idc = reader.ue_at_most(3, "chroma_format_idc")
        separate = chroma_format_idc == 3 and reader.flag()
        depth_luma = 8 + reader.ue_at_most(6, "bit_depth_luma_minus8")
        depth_chroma = 8 + reader.ue_at_most(6, "bit_depth_chroma_minus8")
        reader.skip(1)  # qpprime_y_zero_transform_bypass_flag
        if reader.flag():
            _skip_scaling_lists(reader, 12 if chroma_format_idc == 3 else 8)
    reader.ue_at_most(12, "log2_max_frame_num_minus4")
    poc_type = _read_picture_order_count(reader)
    reader.ue_at_most(16, "max_num_ref_frames")
    reader.skip(1)  # gaps_in_frame_num_value_allowed_flag
    width, height = _read_size(reader, 0 if separate else chroma_format_idc)
    never_reordered = profile_idc == 66 or poc_type == 2
    vui_reorder, frame_rate = _read_vui(reader)
    return Sps(
        width,
        height,
        profile_idc,
        constraints,
        level_idc,
        chroma_format_idc,
        depth_luma,
        depth_chroma,
        0 if never_reordered else vui_reorder,
        frame_rate,
    )


def _skip_scaling_lists(reader: BitReader, count: int) -> None:
    for index in range(count):  # §7.3.2.1.1.1
        if not reader.flag():
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + reader.se()) % 256
            last = following or last


def _read_picture_order_count(reader: BitReader) -> int:
    poc_type = reader.ue_at_most(2, "pic_order_cnt_type")
    if poc_type == 0:
        reader.ue_at_most(12, "log2_max_pic_order_cnt_lsb_minus4")
    elif poc_type == 1:
        reader.skip(1)  # delta_pic_order_always_zero_flag
        reader.se()
        reader.se()
        for _ in range(reader.ue_at_most(255, "num_ref_frames_in_pic_order_cnt_cycle")):
            reader.se()
    return poc_type


def _read_size(reader: BitReader, chroma_array_type: int) -> tuple[int, int]:
    width = (reader.ue_at_most(MAX_SIDE // 16, "pic_width_in_mbs_minus1") + 1) * 16
    map_units = reader.ue_at_most(MAX_SIDE // 16, "pic_height_in_map_units_minus1") + 1
    frame_mbs_only = reader.flag()
    if not frame_mbs_only:
        reader.skip(1)  # mb_adaptive_frame_field_flag
    height = map_units * 16 * (1 if frame_mbs_only else 2)
    reader.skip(1)  # direct_8x8_inference_flag
    if reader.flag():  # frame_cropping_flag, (7-19) to (7-22)
        unit_x = 2 if chroma_array_type in (1, 2) else 1
        unit_y = (2 if chroma_array_type == 1 else 1) * (1 if frame_mbs_only else 2)
        left, right, top, bottom = (reader.ue() for _ in range(4))
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if width <= 0 or height <= 0:
        raise FormatError(f"H.264 SPS: nothing is left of the picture after cropping ({width}×{height})")
    return width, height


def _read_vui(reader: BitReader) -> tuple[int | None, float | None]:
    """max_num_reorder_frames and the frame rate (E.1.1), each None where not said."""
    frame_rate: float | None = None
    try:
        if not reader.flag():
            return None, None
        _skip_vui_display(reader)
        if reader.flag():  # timing_info_present_flag
            tick, time_scale = reader.bits(32), reader.bits(32)
            reader.skip(1)
            frame_rate = time_scale / (2 * tick) if tick and time_scale else None
        nal_hrd = reader.flag()
        if nal_hrd:
            _skip_hrd(reader)
        vcl_hrd = reader.flag()
        if vcl_hrd:
            _skip_hrd(reader)
        if nal_hrd or vcl_hrd:
            reader.skip(1)  # low_delay_hrd_flag
        reader.skip(1)  # pic_struct_present_flag
        if not reader.flag():  # bitstream_restriction_flag
            return None, frame_rate
        reader.skip(1)
        for _ in range(4):
            reader.ue()
        return reader.ue_at_most(16, "max_num_reorder_frames"), frame_rate
    except FormatError:
        return None, frame_rate


def _skip_vui_display(reader: BitReader) -> None:
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


def _skip_hrd(reader: BitReader) -> None:
    count = reader.ue_at_most(31, "cpb_cnt_minus1") + 1
    reader.skip(8)
    for _ in range(count):
        reader.ue()
        reader.ue()
        reader.skip(1)
    reader.skip(20)
