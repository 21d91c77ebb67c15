"""Movie fragments: ``prft``, ``moof`` and the header of their ``mdat`` (ISO 14496-12 §8.8, §8.16.5).

Belongs here: one fragment as bytes, both ways. Does not: when to begin one (vms.format.hybrid).
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from vms.common.clock import NS
from vms.format.errors import FormatError
from vms.format.mp4.arrays import from_big_endian
from vms.format.mp4.boxes import HEADER_BYTES, box, children, full_box, require, unpack

MAX_SAMPLES = 65_536
"""Samples that one fragment may claim; more is an attack on our memory."""

MAX_TIME = 1 << 48
"""Decoding times end here, at 90 kHz after 99 years, so that no sum of them leaves 64 bits."""

KEY_SAMPLE = 0x02000000  # sample_depends_on 2: on no other
DEPENDENT_SAMPLE = 0x01010000  # sample_depends_on 1, sample_is_non_sync_sample
_NON_SYNC = 0x00010000

_TFHD_BASE_OFFSET, _TFHD_DESCRIPTION = 0x1, 0x2
_TFHD_DURATION, _TFHD_SIZE, _TFHD_FLAGS, _TFHD_BASE_IS_MOOF = 0x8, 0x10, 0x20, 0x020000
_TRUN_OFFSET, _TRUN_FIRST_FLAGS = 0x1, 0x4
_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_COMPOSITION = 0x100, 0x200, 0x400, 0x800
_COLUMNS = (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_COMPOSITION)

_PRFT = Struct(">4xIQQ")
_U32 = Struct(">I")
_TFDT = Struct(">4xQ")
_TFHD = Struct(">II")
_TRUN = Struct(">II")
_NTP_EPOCH_S = 2_208_988_800  # from 1900-01-01 to 1970-01-01 (RFC 5905)


@dataclass(slots=True)
class TrackRun:
    """The samples of one track in one fragment, in decoding order; one index over all sequences.

    first_dts, durations: ticks. composition_offsets: pts - dts. keys: 1 where decoding can start.
    data_offset: of the first sample, in bytes from the start of the moof; the others follow it.
    """

    track_id: int
    first_dts: int
    durations: Sequence[int]
    sizes: Sequence[int]
    composition_offsets: Sequence[int]
    keys: Sequence[int]
    data_offset: int = 0


class ReferenceTime(NamedTuple):
    """What prft says: what track `track_id` presents at `media_time` was captured at `wall_ns`."""

    track_id: int
    wall_ns: int
    media_time: int


def ntp_from_ns(wall_ns: int) -> int:
    """64-bit NTP time (RFC 5905 §6), wrapping in 2036, of nanoseconds since the Unix epoch."""
    seconds, ns = divmod(wall_ns, NS)
    fraction = ((ns << 32) + NS // 2) // NS
    return ((seconds + _NTP_EPOCH_S << 32) + fraction) & 0xFFFF_FFFF_FFFF_FFFF


def ns_from_ntp(ntp: int) -> int:
    """Nanoseconds since the Unix epoch; NTP seconds below 2^31 are after 2036 (RFC 4330 §3)."""
    seconds, fraction = ntp >> 32, ntp & 0xFFFF_FFFF
    if not seconds & 0x8000_0000:
        seconds += 1 << 32
    return (seconds - _NTP_EPOCH_S) * NS + (fraction * NS + (1 << 31) >> 32)


def build_reference_time(time: ReferenceTime) -> bytes:
    """prft of version 1, flags 0: `wall_ns` is when the picture entered the encoder (§8.16.5)."""
    fields = _PRFT.pack(time.track_id, ntp_from_ns(time.wall_ns), time.media_time)
    return box(b"prft", b"\1\0\0\0", fields[4:])


def parse_reference_time(payload: memoryview) -> ReferenceTime:
    """Read the payload of a prft of version 1; FormatError for another."""
    if len(payload) != _PRFT.size or payload[0] != 1:
        raise FormatError("prft: not of version 1")
    track_id, ntp, media_time = _PRFT.unpack(payload)
    return ReferenceTime(track_id, ns_from_ntp(ntp), media_time)


def build_movie_fragment(sequence_number: int, runs: Sequence[TrackRun]) -> bytes:
    """moof and the header of its mdat, in which the samples of `runs` follow one run after the other.

    Sets each run's `data_offset`.
    """
    trafs = [_build_track_fragment(run) for run in runs]
    sequence = full_box(b"mfhd", 0, 0, _U32.pack(sequence_number))
    moof = bytearray(box(b"moof", sequence, *(traf for traf, _ in trafs)))
    position, media = HEADER_BYTES + len(sequence), len(moof) + HEADER_BYTES
    for run, (traf, field) in zip(runs, trafs, strict=True):
        _U32.pack_into(moof, position + field, media)
        run.data_offset = media
        position += len(traf)
        media += sum(run.sizes)
    return b"".join((moof, _U32.pack(media - len(moof)), b"mdat"))


def _build_track_fragment(run: TrackRun) -> tuple[bytes, int]:
    """traf, and where in it the data offset of its trun stands."""
    count = len(run.sizes)
    durations, sizes, keys = run.durations, run.sizes, sum(run.keys)
    tfhd_flags, trun_flags = _TFHD_BASE_IS_MOOF | _TFHD_FLAGS, _TRUN_OFFSET
    default_flags = KEY_SAMPLE if keys == count else DEPENDENT_SAMPLE
    defaults, columns, first_flags = b"", [], b""
    if durations.count(durations[0]) == count:
        tfhd_flags |= _TFHD_DURATION
        defaults = _U32.pack(durations[0])
    else:
        trun_flags |= _TRUN_DURATION
        columns.append(array("I", durations))
    if sizes.count(sizes[0]) == count:
        tfhd_flags |= _TFHD_SIZE
        defaults += _U32.pack(sizes[0])
    else:
        trun_flags |= _TRUN_SIZE
        columns.append(array("I", sizes))
    if keys == 1 and count > 1 and run.keys[0]:
        trun_flags |= _TRUN_FIRST_FLAGS
        first_flags = _U32.pack(KEY_SAMPLE)
    elif 0 < keys < count:
        trun_flags |= _TRUN_FLAGS
        columns.append(array("I", [KEY_SAMPLE if key else DEPENDENT_SAMPLE for key in run.keys]))
    if any(run.composition_offsets):
        trun_flags |= _TRUN_COMPOSITION
        columns.append(array("I", [offset & 0xFFFF_FFFF for offset in run.composition_offsets]))
    tfhd = full_box(b"tfhd", 0, tfhd_flags, _U32.pack(run.track_id), defaults, _U32.pack(default_flags))
    tfdt = full_box(b"tfdt", 1, 0, run.first_dts.to_bytes(8))
    fields = _TRUN.pack(count, 0)
    # Version 1: composition offsets are signed
    trun = full_box(b"trun", 1, trun_flags, fields, first_flags, _interleave(columns, count))
    field = HEADER_BYTES + len(tfhd) + len(tfdt) + HEADER_BYTES + 8
    return box(b"traf", tfhd, tfdt, trun), field


def _interleave(columns: "list[array[int]]", count: int) -> bytes:
    width = len(columns)
    if not width:
        return b""
    table = array("I", bytes(4 * width * count))
    for index, column in enumerate(columns):
        table[index::width] = column
    table.byteswap()
    return table.tobytes()


def parse_movie_fragment(payload: bytes | memoryview) -> tuple[int, list[TrackRun]]:
    """The sequence number and the runs of a moof's payload, each with samples in it.

    Reads what `build_movie_fragment` writes: one trun a traf, offsets from the moof. Raises FormatError,
    also for more than `MAX_SAMPLES` samples, and for empty ones.
    """
    (sequence_number,) = unpack(_U32, require(payload, b"mfhd"), 4, "mfhd")
    runs: list[TrackRun] = []
    left = MAX_SAMPLES
    for child in children(payload):
        if child.kind == b"traf":
            runs.append(_parse_track_fragment(child.payload, left))
            left -= len(runs[-1].sizes)
    if not runs:
        raise FormatError("moof: no track fragment")
    return sequence_number, runs


def _parse_track_fragment(traf: memoryview, most: int) -> TrackRun:
    header = require(traf, b"tfhd")
    flags, track_id = unpack(_TFHD, header, 0, "tfhd")
    flags &= 0xFFFFFF
    if not flags & _TFHD_BASE_IS_MOOF or flags & (_TFHD_BASE_OFFSET | _TFHD_DESCRIPTION):
        raise FormatError("tfhd: offsets are not from the moof")
    position, defaults = 8, {}
    for flag, column in ((_TFHD_DURATION, 0), (_TFHD_SIZE, 1), (_TFHD_FLAGS, 2)):
        if flags & flag:
            (defaults[_COLUMNS[column]],) = unpack(_U32, header, position, "tfhd")
            position += 4
    decode_time = require(traf, b"tfdt")
    (first_dts,) = unpack(_TFDT, decode_time, 0, "tfdt")
    if decode_time[0] != 1 or first_dts > MAX_TIME:
        raise FormatError(f"tfdt: version {decode_time[0]}, time {first_dts}")
    runs = [child.payload for child in children(traf) if child.kind == b"trun"]
    if len(runs) != 1:
        raise FormatError(f"traf: {len(runs)} track runs; recordings have one")
    return _parse_run(runs[0], TrackRun(track_id, first_dts, (), (), (), ()), defaults, most)


def _parse_run(payload: memoryview, run: TrackRun, defaults: dict[int, int], most: int) -> TrackRun:
    (flags,) = unpack(_U32, payload, 0, "trun")
    count, data_offset = unpack(_TRUN, payload, 4, "trun")
    flags &= 0xFFFFFF
    if not flags & _TRUN_OFFSET or not 0 < count <= most:
        raise FormatError(f"trun: {count} samples, flags {flags:#x}")
    position, first_flags = 12, None
    if flags & _TRUN_FIRST_FLAGS:
        (first_flags,) = unpack(_U32, payload, position, "trun")
        position += 4
    present = [column for column in _COLUMNS if flags & column]
    if len(payload) - position != 4 * len(present) * count:
        raise FormatError(f"trun: {len(payload)} bytes for {count} samples")
    table = from_big_endian("I", payload[position:])
    columns = {column: table[index :: len(present)] for index, column in enumerate(present)}
    for column in (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS):
        if column not in columns:
            if column not in defaults:
                raise FormatError("trun: samples without duration, size or flags")
            columns[column] = array("I", [defaults[column]]) * count
    offsets = columns.get(_TRUN_COMPOSITION)
    keys = bytearray(not value & _NON_SYNC for value in columns[_TRUN_FLAGS])
    if first_flags is not None:
        keys[0] = not first_flags & _NON_SYNC
    run.durations, run.sizes, run.keys = columns[_TRUN_DURATION], columns[_TRUN_SIZE], keys
    if not min(run.sizes):
        raise FormatError("trun: an empty sample")
    shifts = bytes(4 * count) if offsets is None else offsets.tobytes()
    run.composition_offsets = array("i", shifts)
    run.data_offset = data_offset
    return run
