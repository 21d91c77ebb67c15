"""What makes a closed file provable: digests of its fragments, chained, and a signed statement about them.

    leaf_i   SHA-256 of fragment i, the bytes ``prft moof mdat``
    C0       SHA-256 of a tag and the file's beginning, its 16 flip bytes left out
    C_i      SHA-256 of C_(i-1) and leaf_i; the last one is the file's chain digest
    vdig     the box that lists the leaves
    vsig     the box with the statement, the signer's certificates and the Ed25519 signature

docs/architecture/evidence.md says what that proves, and gives every byte.

Belongs here: digests, the statement, these two boxes, both ways.
Does not: keys and certificates (vms.evidence.keys), judging them (vms.evidence.verify).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Protocol
from uuid import UUID

from vms.format.errors import FormatError
from vms.format.hybrid.types import Fragment, ReadAt, SegmentIdentity
from vms.format.mp4.boxes import full_box, unpack

DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
MAX_CERTIFICATES = 16
DIGESTS_KIND, SIGNATURE_KIND = b"vdig", b"vsig"

_BEGINNING_TAG = b"vms recording beginning 1\n"
STATEMENT_TAG = b"vms recording 1\n"
_FLIP = slice(32, 48)
_PIECE_BYTES = 1 << 20
_NO_DIGEST = bytes(DIGEST_BYTES)
_RECOVERED = 1
# tag, flags, segment id, start, end, fragments, C0, chain, index, movie, previous segment and chain, signed at
_STATEMENT = Struct(">16sI16sqqI32s32s32s32s16s32sq")


@dataclass(frozen=True, slots=True)
class PreviousFile:
    """The recording before, of the same camera and stream: so that a file that is missing is missed."""

    segment_id: UUID
    chain_digest: bytes


class Signer(Protocol):
    """Signs for a node. All methods may be called from several threads at once."""

    @property
    def node(self) -> str:
        """Whose signatures these are."""

    def certificates(self) -> Sequence[bytes]:
        """X.509 in DER: the signing key's first, each certified by the next one."""

    def sign(self, data: bytes) -> bytes:
        """64 bytes: Ed25519 (RFC 8032) over `data`. Raises a VmsError when the key cannot be read."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """How a file is signed when it is closed.

    digests: `fragment_digest` of every fragment. signed_ns: when, in nanoseconds since 1970.
    previous: None for the first recording of a camera's stream. recovered: after a crash, by repair.
    """

    digests: Sequence[bytes]
    signer: Signer
    signed_ns: int
    previous: PreviousFile | None = None
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed: every byte of the file through its digests, but the 16 flip bytes and the proof itself.

    start_ns, end_ns: of the footage. start_digest: C0. index_digest: of the ``vfrg`` box. movie_digest: of the
    final ``moov``.
    """

    identity: SegmentIdentity
    start_ns: int
    end_ns: int
    fragments: int
    start_digest: bytes
    chain_digest: bytes
    index_digest: bytes
    movie_digest: bytes
    previous: PreviousFile | None
    node: str
    signed_ns: int
    recovered: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What a closed file says in proof of itself; read, not checked.

    digests: the leaves, 32 bytes each, in one piece. signed: the statement as it was signed.
    certificates: DER, the signer's first.
    """

    digests: bytes
    signed: bytes
    statement: Statement
    certificates: tuple[bytes, ...]
    signature: bytes

    @property
    def chain_digest(self) -> bytes:
        """Of the whole file, as stated."""
        return self.statement.chain_digest

    def leaf(self, index: int) -> bytes:
        """The digest of fragment `index`, as listed."""
        return self.digests[DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)]


def fragment_digest(buffers: Iterable[bytes | memoryview]) -> bytes:
    """32 bytes: SHA-256 of a fragment whose bytes are `buffers`, one after the other.

    Buffers of 2 KiB and more are hashed without the interpreter's lock.
    """
    digest = sha256()
    for buffer in buffers:
        digest.update(buffer)
    return digest.digest()


def read_digest(read_at: ReadAt, offset: int, size: int) -> bytes:
    """SHA-256 of `size` bytes of a file from `offset`, or of those that there are; at most 1 MiB in memory."""
    digest = sha256()
    while size > 0:
        piece = read_at(offset, min(size, _PIECE_BYTES))
        if not piece:
            break
        digest.update(piece)
        offset, size = offset + len(piece), size - len(piece)
    return digest.digest()


def beginning_digest(beginning: bytes) -> bytes:
    """C0 of a file that begins, up to its first fragment, with `beginning`."""
    return stripped_beginning_digest(strip_flip(beginning))


def strip_flip(beginning: bytes) -> bytes:
    """A file's beginning without its 16 flip bytes."""
    return beginning[: _FLIP.start] + beginning[_FLIP.stop :]


def stripped_beginning_digest(stripped: bytes) -> bytes:
    """C0, of a beginning whose 16 flip bytes were left out."""
    return sha256(_BEGINNING_TAG + stripped).digest()


def chain(start: bytes, leaves: Iterable[bytes]) -> bytes:
    """The chain digest that `leaves` lead to from `start`."""
    for leaf in leaves:
        start = sha256(start + leaf).digest()
    return start


def split_digests(digests: bytes) -> list[bytes]:
    """A list of leaves, of a row of them."""
    return [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]


def build_proof(
    identity: SegmentIdentity,
    beginning: bytes,
    fragments: Sequence[Fragment],
    sealing: Sealing,
    *,
    rows: bytes,
    movie: bytes,
) -> bytes:
    """The boxes ``vdig`` and ``vsig`` of a file; `rows` is its ``vfrg`` box, `movie` its final ``moov``.

    Raises FormatError when there is not a digest for each fragment, and what the signer raises.
    """
    leaves = sealing.digests
    if len(leaves) != len(fragments) or any(len(leaf) != DIGEST_BYTES for leaf in leaves):
        raise FormatError(f"{len(leaves)} digests for {len(fragments)} fragments: sign it with one for each")
    signer, start = sealing.signer, beginning_digest(beginning)
    statement = Statement(
        identity,
        fragments[0].start_ns,
        fragments[-1].end_ns,
        len(fragments),
        start,
        chain(start, leaves),
        sha256(rows).digest(),
        sha256(movie).digest(),
        sealing.previous,
        signer.node,
        sealing.signed_ns,
        sealing.recovered,
    )
    signed = build_statement(statement)
    while True:
        certificates = tuple(signer.certificates())
        signature = signer.sign(signed)
        if certificates == tuple(signer.certificates()):
            break  # else the key was rotated between the two
    digests = build_digests(b"".join(leaves))
    return digests + build_signature(signed, certificates, signature)


def build_statement(statement: Statement) -> bytes:
    """The bytes that are signed. Raises FormatError when a name is longer than 255 bytes."""
    previous = statement.previous
    names = (statement.identity.camera_id, statement.identity.stream, statement.node)
    encoded = [name.encode() for name in names]
    if any(len(name) > 255 for name in encoded):
        raise FormatError("recording: the names of camera, stream and node have at most 255 bytes")
    head = _STATEMENT.pack(
        STATEMENT_TAG,
        _RECOVERED if statement.recovered else 0,
        statement.identity.segment_id.bytes,
        statement.start_ns,
        statement.end_ns,
        statement.fragments,
        statement.start_digest,
        statement.chain_digest,
        statement.index_digest,
        statement.movie_digest,
        bytes(16) if previous is None else previous.segment_id.bytes,
        _NO_DIGEST if previous is None else previous.chain_digest,
        statement.signed_ns,
    )
    return head + b"".join(len(name).to_bytes(1) + name for name in encoded)


def parse_statement(signed: bytes) -> Statement:
    """Read what was signed. Raises FormatError, also for anything that `build_statement` does not write."""
    fields = unpack(_STATEMENT, signed, 0, "vsig")
    tag, flags, segment, start_ns, end_ns, fragments, start, chained, index, movie, *rest = fields
    before, before_chain, at_ns = rest
    if tag != STATEMENT_TAG or flags & ~_RECOVERED:
        raise FormatError("vsig: a statement of an unknown version; a newer version of vms may read it")
    names, position = [], _STATEMENT.size
    for _ in range(3):
        end = position + 1 + (signed[position] if position < len(signed) else 0)
        if end > len(signed):
            raise FormatError("vsig: its statement ends in the middle")
        names.append(signed[position + 1 : end])
        position = end
    if position != len(signed):
        raise FormatError("vsig: something follows its statement")
    try:
        camera_id, stream, node = (name.decode() for name in names)
    except UnicodeDecodeError as cause:
        raise FormatError("vsig: a name in its statement is not UTF-8") from cause
    none = not any(before) and before_chain == _NO_DIGEST
    return Statement(
        SegmentIdentity(UUID(bytes=segment), camera_id, stream),
        start_ns,
        end_ns,
        fragments,
        start,
        chained,
        index,
        movie,
        None if none else PreviousFile(UUID(bytes=before), before_chain),
        node,
        at_ns,
        bool(flags & _RECOVERED),
    )


def build_digests(digests: bytes) -> bytes:
    """The ``vdig`` box of a row of leaves."""
    return full_box(DIGESTS_KIND, 0, 0, digests)


def parse_digests(payload: bytes | memoryview) -> bytes:
    """The row of leaves in the payload of a ``vdig`` box. Raises FormatError."""
    if len(payload) % DIGEST_BYTES != 4 or any(payload[:4]):
        raise FormatError("vdig: not a list of SHA-256 digests")
    return bytes(payload[4:])


def build_signature(signed: bytes, certificates: Sequence[bytes], signature: bytes) -> bytes:
    """The ``vsig`` box. Raises FormatError for what has no room in it."""
    if (
        not 0 < len(certificates) <= MAX_CERTIFICATES
        or any(len(each) > 0xFFFF for each in certificates)
        or len(signature) != SIGNATURE_BYTES
    ):
        raise FormatError(
            f"vsig: {len(certificates)} certificates, a signature of {len(signature)} bytes, cannot be written"
        )
    listed = b"".join(len(each).to_bytes(2) + each for each in certificates)
    return full_box(
        SIGNATURE_KIND,
        0,
        0,
        len(signed).to_bytes(2) + signed,
        len(certificates).to_bytes(1) + listed,
        signature,
    )


def parse_signature(payload: bytes | memoryview) -> tuple[bytes, tuple[bytes, ...], bytes]:
    """Statement, certificates and signature in the payload of a ``vsig`` box. Raises FormatError."""
    data = bytes(payload)
    if any(data[:4]):
        raise FormatError("vsig: not of version 0; a newer version of vms may read it")
    signed, position = _counted(data, 4)
    certificates = []
    many, position = data[position : position + 1], position + 1
    for _ in range(many[0] if many else 0):
        certificate, position = _counted(data, position)
        certificates.append(certificate)
    signature = data[position:]
    if not certificates or len(signature) != SIGNATURE_BYTES:
        raise FormatError("vsig: no certificate, or no signature of 64 bytes")
    return signed, tuple(certificates), signature


def parse_proof(digests: bytes | memoryview, signature: bytes | memoryview) -> Proof:
    """The proof in the payloads of a ``vdig`` and a ``vsig`` box. Raises FormatError."""
    signed, certificates, raw = parse_signature(signature)
    return Proof(parse_digests(digests), signed, parse_statement(signed), certificates, raw)


def _counted(data: bytes, position: int) -> tuple[bytes, int]:
    start = position + 2
    end = start + int.from_bytes(data[position:start])
    if start > len(data) or end > len(data):
        raise FormatError("vsig: ends in the middle")
    return data[start:end], end
