"""The beginning of a recording file: what stands before its fragments, and the 16 bytes of the flip.

    ftyp | free, at close mdat (16 bytes) | ftyp moov: the init segment | fragments …

Belongs here: that part, both ways. Does not: fragments (scan), what follows them (index, tail).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from vms.format.errors import FormatError
from vms.format.hybrid.types import ReadAt, SegmentIdentity
from vms.format.mp4.boxes import (
    LARGE_HEADER_BYTES,
    box,
    children,
    large_header,
    parse_header,
)
from vms.format.mp4.movie import build_fragmented_movie, parse_tracks
from vms.media import Track

FILE_TYPE = box(b"ftyp", b"isom", (0x200).to_bytes(4), b"isom", b"iso6", b"mp42", b"vmsr")
"""The first bytes of every recording. ``vmsr`` is our own brand; readers that do not know it ignore it."""
INIT_FILE_TYPE = box(b"ftyp", b"iso6", bytes(4), b"iso6", b"isom", b"mp42")
FLIP_OFFSET = len(FILE_TYPE)
OPEN_FLIP = box(b"free", bytes(8))
INIT_OFFSET = FLIP_OFFSET + LARGE_HEADER_BYTES
MAX_INIT_BYTES = 1 << 20

IDENTITY_TYPE = UUID("6f0e4c1a-5c0b-4d6e-9d2f-8a5be1c0a101").bytes
_IDENTITY_BYTES = 16 + 4 + 16  # extended type, version and flags, segment id
_FIRST_READ = 4096


@dataclass(frozen=True, slots=True)
class Beginning:
    """A file's beginning as read. init: offset and size. flip: the 16 bytes as they are."""

    identity: SegmentIdentity
    tracks: tuple[Track, ...]
    in_band: frozenset[int]
    init: tuple[int, int]
    flip: bytes

    @property
    def size(self) -> int:
        return sum(self.init)

    @property
    def media_end(self) -> int | None:
        """Where the flipped mdat ends; None in a file that was not flipped."""
        end = FLIP_OFFSET + int.from_bytes(self.flip[8:])
        return end if end >= self.size and self.flip == closed_flip(end) else None


def build_beginning(tracks: Sequence[Track], identity: SegmentIdentity, in_band: frozenset[int]) -> bytes:
    """Everything before the first fragment; FormatError when a track cannot be written."""
    movie = build_fragmented_movie(tracks, in_band, _build_identity(identity))
    return FILE_TYPE + OPEN_FLIP + INIT_FILE_TYPE + movie


def closed_flip(media_end: int) -> bytes:
    """The 16 bytes that make everything up to `media_end` one mdat."""
    return large_header(b"mdat", media_end - FLIP_OFFSET)


def parse_beginning(read_at: ReadAt, size: int) -> Beginning:
    """Read the beginning of a file of `size` bytes, whatever its flip bytes are.

    Raises FormatError when it is not there as a whole; `is_torn_beginning` says whether it is ours.
    """
    data = read_at(0, _FIRST_READ)
    if not data.startswith(FILE_TYPE):
        raise FormatError("not a recording: its ftyp is not ours")
    file_type = parse_header(data[INIT_OFFSET:])
    if file_type.kind != b"ftyp":
        raise FormatError(f"recording: {file_type.kind!r} where its init segment begins")
    movie_offset = INIT_OFFSET + file_type.size
    movie = parse_header(data[movie_offset : movie_offset + LARGE_HEADER_BYTES])
    end = movie_offset + movie.size
    if movie.kind != b"moov" or end > min(size, MAX_INIT_BYTES):
        raise FormatError(f"recording: its moov of {movie.size} bytes is not whole")
    if end > len(data):
        data += read_at(len(data), end - len(data))
    payload = memoryview(data)[movie_offset + movie.header_size : end]
    parsed = parse_tracks(payload)
    return Beginning(
        _find_identity(payload),
        tuple(each.track for each in parsed),
        frozenset(each.track.id for each in parsed if each.in_band),
        (INIT_OFFSET, end - INIT_OFFSET),
        data[FLIP_OFFSET:INIT_OFFSET],
    )


def is_torn_beginning(read_at: ReadAt) -> bool:
    """Whether a file whose beginning cannot be parsed is one of ours, torn before its first fragment.

    So are an empty file and one whose beginning is all zeros, as a crash of the machine leaves it.
    """
    data = read_at(0, _FIRST_READ)
    return FILE_TYPE.startswith(data[:FLIP_OFFSET]) or not any(data)


def _build_identity(identity: SegmentIdentity) -> bytes:
    names = (identity.camera_id.encode(), identity.stream.encode())
    if any(len(name) > 255 for name in names):
        raise FormatError("recording: the names of camera and stream have at most 255 bytes")
    texts = b"".join(len(name).to_bytes(1) + name for name in names)
    return box(b"uuid", IDENTITY_TYPE, bytes(4), identity.segment_id.bytes, texts)


def _find_identity(movie: memoryview) -> SegmentIdentity:
    for child in children(movie):
        if child.kind == b"uuid" and child.payload[:16] == IDENTITY_TYPE:
            return _parse_identity(bytes(child.payload))
    raise FormatError("recording: its moov does not say whose footage it is")


def _parse_identity(payload: bytes) -> SegmentIdentity:
    if len(payload) < _IDENTITY_BYTES or payload[16] != 0:
        raise FormatError("recording: its identity is not of version 0")
    camera_id, position = _parse_name(payload, _IDENTITY_BYTES)
    stream, _ = _parse_name(payload, position)
    return SegmentIdentity(UUID(bytes=payload[20:_IDENTITY_BYTES]), camera_id, stream)


def _parse_name(payload: bytes, position: int) -> tuple[str, int]:
    start = position + 1
    end = start + int.from_bytes(payload[position:start])
    if end > len(payload) or start > len(payload):
        raise FormatError("recording: its identity ends in the middle")
    try:
        return payload[start:end].decode(), end
    except UnicodeDecodeError as cause:
        raise FormatError("recording: a name in its identity is not UTF-8") from cause
