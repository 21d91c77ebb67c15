"""The fragment index: a uuid box between the last fragment and the final moov.

Its payload is a row of boxes, so that later versions add to it what readers of today skip:

    vfrg  the fragments, fixed records
    vdig  a digest a fragment; not in files that were not signed
    vsig  the signed statement about them; likewise
    vtal  the end: size and CRC of the final moov, CRC of all of this box before it

Belongs here: this box, both ways. Does not: what is in the proof (integrity), when it is trusted (tail, recovery).
"""

from collections.abc import Mapping, Sequence
from struct import Struct, error
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from vms.format.errors import FormatError
from vms.format.hybrid.integrity import DIGESTS_KIND, SIGNATURE_KIND, Proof, parse_proof
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
    """The index as read. movie_size, movie_crc: of the final moov, which follows the box.

    proof: None where there is none, or none that can be read.
    """

    fragments: list[Fragment]
    movie_size: int
    movie_crc: int
    proof: Proof | None = None


def build_rows(fragments: Sequence[Fragment], track_ids: Sequence[int]) -> bytes:
    """The ``vfrg`` box for contiguous `fragments`."""
    return box(b"vfrg", _build_fragments(fragments, track_ids))


def parse_rows(payload: memoryview) -> list[Fragment]:
    """The fragments in the payload of a ``vfrg`` box. Raises FormatError."""
    if not len(payload) or payload[0] != 0:
        raise FormatError("recording: its fragment index is not of version 0")
    return _parse_fragments(payload)


def build_index(rows: bytes, movie: bytes, proof: bytes = b"") -> bytes:
    """The uuid box; `rows` is its ``vfrg`` box, `movie` the moov that will follow it, `proof` its vdig and vsig."""
    return assemble_index(rows, proof, len(movie), crc32(movie))


def assemble_index(rows: bytes, proof: bytes, movie_size: int, movie_crc: int) -> bytes:
    """As `build_index`, for a moov of which size and CRC are known."""
    size = HEADER_BYTES + len(INDEX_TYPE) + len(rows) + len(proof) + _END_BYTES
    body = b"".join((size.to_bytes(4), b"uuid", INDEX_TYPE, rows, proof))
    end = full_box(b"vtal", 0, 0, movie_size.to_bytes(4), movie_crc.to_bytes(4))
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
    found = {part.kind: part.payload for part in reversed(parts)}  # of two, the first counts
    rows = found.get(b"vfrg")
    if rows is None:
        raise FormatError("recording: its fragment index is not of version 0")
    return Index(parse_rows(rows), movie_size, movie_crc, _proof(found))


def _proof(found: Mapping[bytes, memoryview]) -> Proof | None:
    digests, signature = found.get(DIGESTS_KIND), found.get(SIGNATURE_KIND)
    if digests is None or signature is None:
        return None
    try:
        return parse_proof(digests, signature)
    except FormatError:
        return None  # it plays all the same; verification says what is wrong with it


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
