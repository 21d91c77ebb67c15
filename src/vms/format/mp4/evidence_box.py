"""What an export carries so that it can be verified without the recordings that it was cut from.

A uuid box, the last one of the file. For each recording that something was taken from: its beginning, its list of
fragments and, where it was signed, the list of digests and the signed statement, byte for byte as they stand in it.
Then where in the export which of its fragments lie.

    uuid  6f0e4c1a-5c0b-4d6e-9d2f-8a5be1c0a103
      esrc  a source each:
        vbeg  the recording's beginning without its 16 flip bytes
        vfrg  its fragments      ┐ as in the recording
        vdig  their digests      │ (the last two only when it was signed)
        vsig  the statement      ┘
      eclp  version and flags 4 · pieces 4 · then a piece each:
              source 4 · first fragment 4 · fragments 4 · offset 8 · size 8 · insertions 4 · (offset 8 · size 4) each

A piece is a row of whole fragments, ``prft moof mdat`` each, byte for byte, in the export's ``mdat``. Only parameter
sets may have been inserted, before key pictures; the verifier leaves those bytes out when it hashes. Pieces fill
the ``mdat`` without a gap, in the order in which the movie shows them.

Belongs here: this box, both ways. Does not: taking it from recordings (vms.format.hybrid.evidence_source),
judging it (vms.evidence.clip_check).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from uuid import UUID

from vms.format.errors import FormatError
from vms.format.mp4.boxes import box, children, full_box, parse_header, unpack

EVIDENCE_TYPE = UUID("6f0e4c1a-5c0b-4d6e-9d2f-8a5be1c0a103").bytes
MAX_EVIDENCE_BYTES = 512 << 20
_COUNT = Struct(">4xI")
_PIECE = Struct(">IIIQQI")
_INSERTION = Struct(">QI")


@dataclass(frozen=True, slots=True)
class EvidenceSource:
    """A recording that something was taken from.

    beginning: everything before its first fragment, without the 16 flip bytes. rows: its whole ``vfrg`` box.
    digests, signature: its whole ``vdig`` and ``vsig`` boxes; empty when it was not signed (yet).
    """

    beginning: bytes
    rows: bytes
    digests: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Insertion:
    """Bytes of the export that are of no recording: `size` of them from `offset` of the export's file."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Fragments `first` up to, not including, `last` of source number `source`: `size` bytes from `offset` of the
    export's file, insertions included."""

    source: int
    first: int
    last: int
    offset: int
    size: int
    insertions: tuple[Insertion, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the box says."""

    sources: tuple[EvidenceSource, ...]
    pieces: tuple[Piece, ...]


def build_evidence_box(sources: Sequence[EvidenceSource], pieces: Sequence[Piece]) -> bytes:
    """The whole box, to be put behind the export's ``mdat``.

    pieces: in file order. Raises FormatError when a piece is of no source, holds no fragment, or they overlap.
    """
    end = 0
    rows = []
    for piece in pieces:
        if not 0 <= piece.source < len(sources) or piece.first >= piece.last or piece.offset < end:
            raise FormatError(f"evidence: {piece} does not follow the piece before it, or has no source")
        end = piece.offset + piece.size
        count = piece.last - piece.first
        head = (piece.source, piece.first, count, piece.offset, piece.size, len(piece.insertions))
        rows.append(_PIECE.pack(*head))
        rows += [_INSERTION.pack(each.offset, each.size) for each in piece.insertions]
    parts = [
        box(b"esrc", box(b"vbeg", each.beginning), each.rows, each.digests, each.signature)
        for each in sources
    ]
    parts.append(full_box(b"eclp", 0, 0, len(pieces).to_bytes(4), *rows))
    return box(b"uuid", EVIDENCE_TYPE, *parts)


def parse_evidence_box(data: bytes) -> Evidence:
    """Read the whole box, header included. Raises FormatError for all that `build_evidence_box` does not write."""
    header = parse_header(data)
    if header.size != len(data) or data[4:24] != b"uuid" + EVIDENCE_TYPE:
        raise FormatError("evidence: no evidence box")
    parts = list(children(memoryview(data)[24:]))
    if not parts or parts[-1].kind != b"eclp" or any(part.kind != b"esrc" for part in parts[:-1]):
        raise FormatError("evidence: not a row of sources, and the pieces last")
    evidence = Evidence(
        tuple(_parse_source(part.payload) for part in parts[:-1]), tuple(_parse_pieces(parts[-1].payload))
    )
    if build_evidence_box(evidence.sources, evidence.pieces) != data:
        raise FormatError("evidence: written in another way than it would be")
    return evidence


def _parse_source(payload: memoryview) -> EvidenceSource:
    found = list(children(payload))
    kinds = [part.kind for part in found]
    if kinds not in ([b"vbeg", b"vfrg"], [b"vbeg", b"vfrg", b"vdig", b"vsig"]):
        raise FormatError(f"evidence: a source of {kinds}")
    whole = [box(part.kind, bytes(part.payload)) for part in found[1:]]
    return EvidenceSource(bytes(found[0].payload), *whole)


def _parse_pieces(payload: memoryview) -> list[Piece]:
    (count,) = unpack(_COUNT, payload, 0, "eclp")
    if any(payload[:4]):
        raise FormatError("eclp: not of version 0; a newer version of vms may read it")
    position, pieces = _COUNT.size, []
    for _ in range(count):
        source, first, many, offset, size, inserted = unpack(_PIECE, payload, position, "eclp")
        position += _PIECE.size
        end = position + _INSERTION.size * inserted
        if end > len(payload):
            raise FormatError("eclp: ends in the middle")
        insertions = tuple(Insertion(*each) for each in _INSERTION.iter_unpack(payload[position:end]))
        position = end
        pieces.append(Piece(source, first, first + many, offset, size, insertions))
    if position != len(payload):
        raise FormatError("eclp: something follows its pieces")
    return pieces
