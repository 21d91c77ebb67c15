"""Live media as movie fragments: an init segment a track, and any number of its samples as one fragment.

Belongs here: bytes (CMAF, ISO 23000-19: fragments of one track whose parameter sets stand in the init segment).
Does not: when a fragment begins (vms.stream).
"""

from collections.abc import Sequence
from typing import NamedTuple

from vms.format import h264, h265, nal
from vms.format.mp4.boxes import box
from vms.format.mp4.fragment import TrackRun, build_movie_fragment
from vms.format.mp4.movie import build_fragmented_movie
from vms.media import AccessUnit, Codec, Track

_FILE_TYPE = box(b"ftyp", b"iso6", bytes(4), b"iso6", b"cmfc", b"mp42")
_SETS_H264 = frozenset({h264.SPS, h264.PPS})
_SETS_H265 = frozenset({h265.VPS, h265.SPS, h265.PPS})


class LiveSample(NamedTuple):
    """duration, composition_offset (pts - dts): ticks of the track's clock rate."""

    data: bytes
    duration: int
    composition_offset: int
    key: bool


def build_live_init(track: Track) -> bytes:
    """The init segment of one track, for samples of `live_data`. FormatError when it cannot be written."""
    return _FILE_TYPE + build_fragmented_movie([track], frozenset())


def live_data(unit: AccessUnit) -> bytes:
    """The unit's data without parameter sets: they stand in the init segment, and ``avc1`` and ``hvc1``, which
    every player takes, allow them nowhere else (ISO 14496-15 §5.3.2, §8.3.2). FormatError: lengths that are wrong."""
    if not unit.key:
        return unit.data
    if unit.track.codec is Codec.H264:
        kept = [each for each in nal.split(unit.data) if h264.nal_type(each) not in _SETS_H264]
    elif unit.track.codec is Codec.H265:
        kept = [each for each in nal.split(unit.data) if h265.nal_type(each) not in _SETS_H265]
    else:
        return unit.data
    return nal.join(kept)


def build_live_fragment(
    sequence_number: int, track_id: int, first_dts: int, samples: Sequence[LiveSample]
) -> bytes:
    """moof and mdat of samples that follow each other; first_dts: decoding time of the first, in ticks."""
    run = TrackRun(
        track_id,
        first_dts,
        [sample.duration for sample in samples],
        [len(sample.data) for sample in samples],
        [sample.composition_offset for sample in samples],
        [int(sample.key) for sample in samples],
    )
    header = build_movie_fragment(sequence_number, [run])
    return b"".join((header, *(sample.data for sample in samples)))
