"""The fragment index: a uuid box between the last fragment and the final moov.

Its payload is a row of boxes, so that later versions add to it what readers of today skip:

    vfrg  the fragments, fixed records
    vdig  reserved: a digest a fragment, each chained on the one before
    vsig  reserved: the digest of the file before, and the signature
    vtal  the end: size and CRC of the final moov, CRC of all of this box before it

Belongs here: this box, both ways. Does not: when it is trusted (tail, recovery).
"""

from collections.abc import Sequence
from struct import Struct, error
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from vms.format.errors import FormatError
from vms.format.hybrid.types import Fragment, FragmentTrack
from vms.format.mp4.boxes import HEADER_BYTES, box, children, full_box, unpack

INDEX_TYPE = UUID("6f0e4c1a-5c0b-4d6e-9d2f-8a5be1c0a102").bytes
MAX_INDEX_BYTES = 16 << 20

# version and flags, offset of the first fragment, how many fragments, how many tracks; then track ids
_FRAGMENTS = Struct(">4xQIH2x")
_RECORD = ">IIqQ"  # size, flags, start_ns, duration_ns; then a track: first_dts, duration, samples
_RECORD_TRACK = "QII"
_KEY = 1
_END = Struct(">4xIII")
_END_BYTES = HEADER_BYTES + _END.size


class Index(NamedTuple):
    """The index as read. movie_size, movie_crc: of the final moov, which follows the box."""

    fragments: list[Fragment]
    movie_size: int
    movie_crc: int


def build_index(fragments: Sequence[Fragment], track_ids: Sequence[int], movie: bytes) -> bytes:
    """The uuid box for contiguous `fragments`; `movie` is the moov that will follow it."""
    rows = box(b"vfrg", _build_fragments(fragments, track_ids))
    size = HEADER_BYTES + len(INDEX_TYPE) + len(rows) + _END_BYTES
    body = b"".join((size.to_bytes(4), b"uuid", INDEX_TYPE, rows))
    end = full_box(b"vtal", 0, 0, len(movie).to_bytes(4), crc32(movie).to_bytes(4))
    # The CRC covers the vtal box up to itself, with the size it has once the CRC stands in it
    end = _END_BYTES.to_bytes(4) + end[4:]
    return body + end + crc32(end, crc32(body)).to_bytes(4)


def parse_index(data: bytes) -> Index:
    """Read a whole uuid box, header included. Raises FormatError unless it is our index, undamaged."""
    if len(data) < HEADER_BYTES + len(INDEX_TYPE) + _END_BYTES or data[8:24] != INDEX_TYPE:
        raise FormatError("recording: no fragment index")
    parts = list(children(memoryview(data)[24:]))
    if parts[-1].kind != b"vtal" or len(parts[-1].payload) != _END.size:
        raise FormatError("recording: its fragment index has no end")
    movie_size, movie_crc, crc = unpack(_END, parts[-1].payload, 0, "vtal")
    if crc32(memoryview(data)[:-4]) != crc:
        raise FormatError("recording: its fragment index is damaged")
    rows = next((part.payload for part in parts if part.kind == b"vfrg"), None)
    if rows is None or not len(rows) or rows[0] != 0:
        raise FormatError("recording: its fragment index is not of version 0")
    return Index(_parse_fragments(rows), movie_size, movie_crc)


def _record(tracks: int) -> Struct:
    return Struct(_RECORD + _RECORD_TRACK * tracks)


def _build_fragments(fragments: Sequence[Fragment], track_ids: Sequence[int]) -> bytes:
    first = fragments[0].offset if fragments else 0
    head = _FRAGMENTS.pack(first, len(fragments), len(track_ids))
    ids = Struct(f">{len(track_ids)}I").pack(*track_ids)
    record = _record(len(track_ids))
    absent = (0, 0, 0)
    rows = []
    for fragment in fragments:
        held = {each.track_id: each for each in fragment.tracks}
        fields: list[int] = []
        for track_id in track_ids:
            each = held.get(track_id)
            fields += (each.first_dts, each.duration, each.samples) if each else absent
        flags = _KEY if fragment.key else 0
        rows.append(record.pack(fragment.size, flags, fragment.start_ns, fragment.duration_ns, *fields))
    return b"".join((head, ids, *rows))


def _parse_fragments(payload: memoryview) -> list[Fragment]:
    offset, count, tracks = unpack(_FRAGMENTS, payload, 0, "vfrg")
    record = _record(tracks)
    start = _FRAGMENTS.size + 4 * tracks
    if len(payload) - start != record.size * count:
        raise FormatError(f"vfrg: {len(payload)} bytes for {count} fragments of {tracks} tracks")
    track_ids = unpack(Struct(f">{tracks}I"), payload, _FRAGMENTS.size, "vfrg")
    fragments = []
    try:
        for size, flags, start_ns, duration_ns, *fields in record.iter_unpack(payload[start:]):
            held = zip(track_ids, fields[::3], fields[1::3], fields[2::3], strict=True)
            fragments.append(
                Fragment(
                    offset,
                    size,
                    start_ns,
                    duration_ns,
                    bool(flags & _KEY),
                    tuple(FragmentTrack(*each) for each in held if each[3]),
                )
            )
            offset += size
    except error as cause:
        raise FormatError("vfrg: its records end in the middle") from cause
    return fragments
