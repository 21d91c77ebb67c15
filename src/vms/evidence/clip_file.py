"""The parts of an export that carries an evidence box.

Belongs here: where they are, and reading fragments out from between insertions. Does not: judging them (clip_check).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from vms.format.errors import FormatError
from vms.format.hybrid import ReadAt
from vms.format.mp4.boxes import BoxHeader, parse_header
from vms.format.mp4.evidence_box import EVIDENCE_TYPE, MAX_EVIDENCE_BYTES, Insertion, Piece

MAX_MOVIE_BYTES = 256 << 20
_MOST_BOXES = 64
_CLIP = (b"ftyp", b"moov", b"mdat", b"uuid")


@dataclass(frozen=True, slots=True)
class ClipFile:
    """Offset and size of the payload of ``moov`` and ``mdat``, and of the whole evidence box; what else there is."""

    movie: tuple[int, int]
    media: tuple[int, int]
    evidence: tuple[int, int]
    findings: tuple[str, ...]


def top_boxes(read_at: ReadAt, size: int) -> list[tuple[int, BoxHeader]]:
    """Offset and header of the boxes that a file of `size` bytes consists of, up to the first that is not whole."""
    found: list[tuple[int, BoxHeader]] = []
    position = 0
    while position < size and len(found) < _MOST_BOXES:
        try:
            header = parse_header(read_at(position, 16))
        except FormatError:
            break
        if position + header.size > size:
            break
        found.append((position, header))
        position += header.size
    return found


def find_clip(read_at: ReadAt, size: int) -> ClipFile | None:
    """Where the parts of an export are; None for a file without an evidence box, or without movie and media."""
    boxes = top_boxes(read_at, size)
    parts: dict[bytes, tuple[int, BoxHeader]] = {}
    for offset, header in boxes:
        parts.setdefault(header.kind, (offset, header))
    evidence = next(
        (
            (offset, header.size)
            for offset, header in boxes
            if header.kind == b"uuid" and read_at(offset + header.header_size, 16) == EVIDENCE_TYPE
        ),
        None,
    )
    if evidence is None or evidence[1] > MAX_EVIDENCE_BYTES or not parts.keys() >= {b"moov", b"mdat"}:
        return None
    findings = []
    if tuple(header.kind for _, header in boxes) != _CLIP:
        kinds = " ".join(header.kind.decode("latin-1") for _, header in boxes)
        findings.append(f"it does not consist of ftyp, moov, mdat and its evidence, but of {kinds}")
    end = boxes[-1][0] + boxes[-1][1].size
    if end != size:
        findings.append(f"{size - end} bytes follow its end")
    if parts[b"moov"][1].size > MAX_MOVIE_BYTES:
        return None
    return ClipFile(_payload(*parts[b"moov"]), _payload(*parts[b"mdat"]), evidence, tuple(findings))


def _payload(offset: int, header: BoxHeader) -> tuple[int, int]:
    return offset + header.header_size, header.size - header.header_size


class PieceBytes:
    """The bytes of a piece as they were recorded: without what was inserted."""

    def __init__(self, read_at: ReadAt, piece: Piece) -> None:
        """Raises FormatError when the insertions do not lie in the piece, one after the other."""
        self._read_at = read_at
        self._starts = [0]  # of each stretch, in the bytes as recorded
        self._places = [piece.offset]  # of each stretch, in the file
        self.inserted: Sequence[Insertion] = piece.insertions
        position, length = piece.offset, 0
        for each in piece.insertions:
            if each.offset < position or not each.size:
                raise FormatError("evidence: insertions do not stand one after the other")
            length += each.offset - position
            position = each.offset + each.size
            self._starts.append(length)
            self._places.append(position)
        self.size = length + piece.offset + piece.size - position
        if position > piece.offset + piece.size:
            raise FormatError("evidence: an insertion reaches beyond its piece")

    def read_at(self, offset: int, size: int) -> bytes:
        """As `ReadAt`, in the bytes as recorded."""
        size = min(size, self.size - offset)
        pieces = []
        while size > 0:
            index = bisect_right(self._starts, offset) - 1
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
            many = min(size, end - offset)
            data = self._read_at(self._places[index] + offset - self._starts[index], many)
            pieces.append(data)
            if len(data) < many:
                break
            offset, size = offset + many, size - many
        return b"".join(pieces)

    def place(self, offset: int) -> int:
        """Where in the file the recorded byte at `offset` stands."""
        index = bisect_right(self._starts, offset) - 1
        return self._places[index] + offset - self._starts[index]
