"""``hvc1``, ``hev1``: H.265 (ISO 14496-15 §8.3.3, §8.4.1)."""

from itertools import groupby
from struct import Struct

from vms.format import h265
from vms.format.errors import FormatError
from vms.format.mp4.boxes import box, require, unpack
from vms.format.mp4.sample_entries.description import Description, visual_boxes, visual_entry
from vms.media import Codec, Track

# version, profile, compatibility, constraints (32 + 16 bits), level, min_spatial_segmentation_idc,
# parallelismType, chroma, depths, avgFrameRate, layers and length size, numOfArrays
_RECORD = Struct(">BBIIHBHBBBBHBB")
_NO_SEGMENTATION = 0xF000
_ARRAY_COMPLETE = 0x80


def build(track: Track, *, in_band: bool) -> bytes:
    """The sample entry of an H.265 track; FormatError without a VPS, an SPS and a PPS."""
    record = box(b"hvcC", configuration_record(track, complete=not in_band))
    return visual_entry(b"hev1" if in_band else b"hvc1", track, record)


def configuration_record(track: Track, *, complete: bool = True) -> bytes:
    """HEVCDecoderConfigurationRecord (§8.3.3.1.2), lengths of 4 bytes. complete: no sets in samples."""
    sets = sorted((nal for nal in track.parameter_sets if nal), key=h265.nal_type)
    arrays = [(kind, list(nals)) for kind, nals in groupby(sets, h265.nal_type)]
    if [kind for kind, _ in arrays] != [h265.VPS, h265.SPS, h265.PPS]:
        raise FormatError(f"H.265 track {track.id}: needs VPS, SPS and PPS alone")
    if any(len(nal) > 0xFFFF for nal in sets):
        raise FormatError(f"H.265 track {track.id}: a parameter set is longer than 65,535 bytes")
    sps = h265.parse_sps(arrays[1][1][0])
    profile = sps.profile
    parts = [
        _RECORD.pack(
            1,
            profile.profile_space << 6 | profile.tier << 5 | profile.profile_idc,
            profile.compatibility,
            profile.constraints >> 16,
            profile.constraints & 0xFFFF,
            profile.level_idc,
            _NO_SEGMENTATION,
            0xFC,
            0xFC | sps.chroma_format_idc,
            0xF8 | (sps.bit_depth_luma - 8 & 7),
            0xF8 | (sps.bit_depth_chroma - 8 & 7),
            0,
            sps.max_sub_layers << 3 | sps.temporal_id_nested << 2 | 3,
            len(arrays),
        )
    ]
    for kind, nals in arrays:
        parts.append(bytes([(_ARRAY_COMPLETE if complete else 0) | kind]) + len(nals).to_bytes(2))
        parts += [len(nal).to_bytes(2) + nal for nal in nals]
    return b"".join(parts)


def parse(kind: bytes, payload: memoryview) -> Description:
    """Read what `build` wrote."""
    record = require(visual_boxes(payload), b"hvcC")
    fields = unpack(_RECORD, record, 0, "hvcC")
    if fields[0] != 1 or fields[-2] & 3 != 3:
        raise FormatError("hvcC: not version 1 with lengths of 4 bytes")
    position, sets = _RECORD.size, []
    for _ in range(fields[-1]):
        count = int.from_bytes(record[position + 1 : position + 3])
        position += 3
        for _ in range(count):
            start = position + 2
            position = start + int.from_bytes(record[start - 2 : start])
            if position > len(record) or position == start:
                raise FormatError("hvcC: a parameter set reaches beyond its end")
            sets.append(bytes(record[start:position]))
    return Description(Codec.H265, tuple(sets), kind == b"hev1")
