"""``avc1``, ``avc3``: H.264 (ISO 14496-15 §5.3.3, §5.4.2)."""

from vms.format import h264
from vms.format.errors import FormatError
from vms.format.mp4.boxes import box, require
from vms.format.mp4.sample_entries.description import Description, visual_boxes, visual_entry
from vms.media import Codec, Track

_WITH_CHROMA = frozenset({100, 110, 122, 144})


def build(track: Track, *, in_band: bool) -> bytes:
    """The sample entry of an H.264 track; FormatError without an SPS and a PPS."""
    record = box(b"avcC", configuration_record(track))
    return visual_entry(b"avc3" if in_band else b"avc1", track, record)


def configuration_record(track: Track) -> bytes:
    """AVCDecoderConfigurationRecord (§5.3.3.1.2), lengths of 4 bytes."""
    sequence = [nal for nal in track.parameter_sets if nal and h264.nal_type(nal) == h264.SPS]
    picture = [nal for nal in track.parameter_sets if nal and h264.nal_type(nal) == h264.PPS]
    if not sequence or not picture or len(sequence) > 31 or len(picture) > 255:
        raise FormatError(f"H.264 track {track.id}: {len(sequence)} SPS and {len(picture)} PPS")
    if any(len(nal) > 0xFFFF for nal in (*sequence, *picture)):
        raise FormatError(f"H.264 track {track.id}: a parameter set is longer than 65,535 bytes")
    first = h264.parse_sps(sequence[0])
    parts = [b"\1", sequence[0][1:4], b"\xff", bytes([0xE0 | len(sequence)])]
    parts += [len(nal).to_bytes(2) + nal for nal in sequence]
    parts += [bytes([len(picture)])]
    parts += [len(nal).to_bytes(2) + nal for nal in picture]
    if first.profile_idc in _WITH_CHROMA:
        chroma = (first.chroma_format_idc, first.bit_depth_luma - 8, first.bit_depth_chroma - 8)
        parts += [bytes([0xFC | chroma[0], 0xF8 | chroma[1], 0xF8 | chroma[2], 0])]
    return b"".join(parts)


def parse(kind: bytes, payload: memoryview) -> Description:
    """Read what `build` wrote."""
    record = require(visual_boxes(payload), b"avcC")
    if len(record) < 7 or record[0] != 1 or record[4] & 3 != 3:
        raise FormatError("avcC: not version 1 with lengths of 4 bytes")
    sets, position = _parse_sets(record, 6, record[5] & 0x1F)
    picture, _ = _parse_sets(record, position + 1, record[position] if position < len(record) else 0)
    return Description(Codec.H264, (*sets, *picture), kind == b"avc3")


def _parse_sets(record: memoryview, position: int, count: int) -> tuple[list[bytes], int]:
    sets = []
    for _ in range(count):
        start = position + 2
        position = start + int.from_bytes(record[start - 2 : start])
        if position > len(record) or position == start:
            raise FormatError("avcC: a parameter set reaches beyond its end")
        sets.append(bytes(record[start:position]))
    return sets, position
