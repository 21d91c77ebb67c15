"""Finding the tail of a recording that may be damaged anywhere, and taking it apart as far as that goes.

The reader of the format believes a tail only when its CRC is right. Here the signature decides, so every part is taken
as it stands, and a tail that nothing points to any more is searched for.

Belongs here: where the boxes of a tail are. Does not: what they prove (proof_check).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from vms.format.errors import FormatError
from vms.format.hybrid import ReadAt
from vms.format.hybrid.index import INDEX_TYPE, MAX_INDEX_BYTES, assemble_index
from vms.format.hybrid.layout import FLIP_OFFSET, INIT_OFFSET, closed_flip
from vms.format.mp4.boxes import HEADER_BYTES, parse_header

_SEARCH_BYTES = 1 << 20
_MOST_CANDIDATES = 16
_HEAD_BYTES = HEADER_BYTES + len(INDEX_TYPE)
_END_BYTES = 24  # vtal


@dataclass(frozen=True, slots=True)
class Tail:
    """offset: of the uuid box. rows, digests, signature: whole boxes; empty where they are not found.

    movie: where the final moov begins. movie_size: as the tail says it; -1 when it cannot be read.
    data: the index box as it stands.
    """

    offset: int
    rows: bytes
    digests: bytes
    signature: bytes
    movie: int
    movie_size: int
    data: bytes

    @property
    def marked(self) -> bool:
        """Whether it begins as an index box does; else its parts were found where it was expected, or near."""
        return self.data[4:_HEAD_BYTES] == b"uuid" + INDEX_TYPE

    def as_written(self, movie_crc: int) -> bool:
        """Whether the index box is, byte for byte, what a writer makes of these parts."""
        if self.movie_size < 0:
            return False
        return self.data == assemble_index(
            self.rows, self.digests + self.signature, self.movie_size, movie_crc
        )


def flipped_to(read_at: ReadAt) -> int | None:
    """Where the flip says that the tail begins; None when it is no right flip."""
    flip = read_at(FLIP_OFFSET, INIT_OFFSET - FLIP_OFFSET)
    end = FLIP_OFFSET + int.from_bytes(flip[8:])
    return end if len(flip) == INIT_OFFSET - FLIP_OFFSET and flip == closed_flip(end) else None


def tails(read_at: ReadAt, size: int, expected: int | None) -> Iterator[Tail]:
    """What may be the tail of a file of `size` bytes, likeliest first: the one at `expected`, then from the end on."""
    if expected is not None and expected + _HEAD_BYTES <= size:
        tail = _parse(read_at, expected, size)
        if tail is not None:
            yield tail
    for number, offset in enumerate(_marks(read_at, size)):
        if number >= _MOST_CANDIDATES:
            return
        tail = _parse(read_at, offset, size) if offset != expected else None
        if tail is not None:
            yield tail


def movie_crc(read_at: ReadAt, tail: Tail) -> int:
    """CRC-32 of the final moov as it stands."""
    crc, position, end = 0, tail.movie, tail.movie + max(tail.movie_size, 0)
    while position < end:
        piece = read_at(position, min(_SEARCH_BYTES, end - position))
        if not piece:
            break
        crc, position = crc32(piece, crc), position + len(piece)
    return crc


def _marks(read_at: ReadAt, size: int) -> Iterator[int]:
    """Where a box of the index's type seems to begin, from the end of the file on."""
    end = size
    while end > INIT_OFFSET:
        start = max(end - _SEARCH_BYTES, INIT_OFFSET)
        data = read_at(start, end - start + len(INDEX_TYPE) - 1)
        at = data.rfind(INDEX_TYPE)
        while at >= 0:
            yield start + at - HEADER_BYTES
            at = data.rfind(INDEX_TYPE, 0, at + len(INDEX_TYPE) - 1)
        end = start


def _parse(read_at: ReadAt, offset: int, size: int) -> Tail | None:
    data = read_at(offset, min(size - offset, MAX_INDEX_BYTES))
    parts: dict[bytes, bytes] = {}
    position = _HEAD_BYTES
    while position + HEADER_BYTES <= len(data) and b"vtal" not in parts:
        try:
            header = parse_header(data[position : position + 16])
        except FormatError:
            break
        if position + header.size > len(data):
            break
        parts.setdefault(header.kind, data[position : position + header.size])
        position += header.size
    for kind in (b"vfrg", b"vdig", b"vsig", b"vtal"):
        if kind not in parts:
            found = _find(data, kind)
            if found is not None:
                parts[kind] = data[slice(*found)]
                position = max(position, found[1]) if kind == b"vtal" else position
    end = parts.get(b"vtal", b"")
    if not parts.keys() & {b"vfrg", b"vsig"}:
        return None
    whole = len(end) == _END_BYTES
    return Tail(
        offset,
        parts.get(b"vfrg", b""),
        parts.get(b"vdig", b""),
        parts.get(b"vsig", b""),
        offset + position,
        int.from_bytes(end[12:16]) if whole else -1,
        data[:position],
    )


def _find(data: bytes, kind: bytes) -> tuple[int, int] | None:
    """A box of `kind` anywhere in `data`, behind a box that is damaged."""
    at = data.find(kind, _HEAD_BYTES)
    while at >= 4:
        end = at - 4 + int.from_bytes(data[at - 4 : at])
        if at + 4 < end <= len(data):
            return at - 4, end
        at = data.find(kind, at + 1)
    return None
