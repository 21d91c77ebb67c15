"""The bytes of an encrypted recording: an append-only log of sealed records, and what they add up to.

    header   64 bytes: magic, version, id of the volume's key, salt of the file's key, check of the key
    record   40 bytes of header; the plaintext in chunks of 64 KiB, each AES-256-GCM (ciphertext, tag of 16 bytes)
    …
    trailer  24 bytes after an INDEX record: where it begins; the file's last bytes once it was closed

docs/architecture/encryption.md says why it is so. Nothing here touches a disk.

Belongs here: layout, keys, nonces, replaying the log. Does not: files, caches, locks (sealed).
"""

import hmac
import os
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vms.format.errors import FormatError
from vms.storage.keyring import KEY_BYTES, Keyring

MAGIC = b"\x93VMSSEAL"
HEADER_BYTES = 64
CHUNK_BYTES = 64 << 10
TAG_BYTES = 16
RECORD_HEADER_BYTES = 40
MAX_RECORD_BYTES = 16 << 20
TRAILER_BYTES = 24

_VERSION = 1
_SALT_BYTES = 24
_CHECK_BYTES = 16
_HEADER = Struct(">8sH6x8s24s16s")
_RECORD = Struct(">4sB3xQII12sI")
_RECORD_MARK = b"vrec"
_TRAILER = Struct(">8sQII")
_TRAILER_MAGIC = b"VMSSEALX"
_INDEX_HEAD = Struct(">QII")
_ENTRY = Struct(">QQIII12s")  # plaintext offset, position, length, bytes that count, sequence number, nonce
_INFO = b"vms sealed recording"


class Kind(IntEnum):
    DATA = 1  # plaintext at an offset: at the end, or over what is there
    CUT = 2  # the plaintext ends at the offset
    INDEX = 3  # what the records up to here add up to; a trailer follows


class Record(NamedTuple):
    """A record as its header tells it. position: of its header in the file."""

    kind: Kind
    position: int
    offset: int
    length: int
    sequence: int
    nonce: bytes

    @property
    def chunks(self) -> int:
        return max(-(-self.length // CHUNK_BYTES), 1)

    @property
    def end(self) -> int:
        """The position after it."""
        sealed = RECORD_HEADER_BYTES + self.length + self.chunks * TAG_BYTES
        return self.position + sealed + (TRAILER_BYTES if self.kind is Kind.INDEX else 0)

    def header(self) -> bytes:
        head = _RECORD.pack(_RECORD_MARK, self.kind, self.offset, self.length, self.sequence, self.nonce, 0)[
            :-4
        ]
        return head + crc32(head).to_bytes(4)


class Extent(NamedTuple):
    """Plaintext that a record holds; `visible` of its bytes count, from the first on."""

    record: Record
    visible: int

    @property
    def end(self) -> int:
        return self.record.offset + self.visible


class FileKey:
    """Seals and opens the chunks of one file. Its methods may be called from several threads at once.

    header: the file's first bytes.
    """

    __slots__ = ("_aead", "header")

    def __init__(self, volume_key: bytes, key_id: bytes, salt: bytes) -> None:
        fixed = _HEADER.pack(MAGIC, _VERSION, key_id, salt, b"")[:-_CHECK_BYTES]
        derived = HKDF(SHA256(), KEY_BYTES + _CHECK_BYTES, salt, _INFO + fixed).derive(volume_key)
        self._aead = AESGCM(derived[:KEY_BYTES])
        self.header = fixed + derived[KEY_BYTES:]

    @classmethod
    def new(cls, keyring: Keyring) -> "FileKey":
        """For a new file, under the current key."""
        assert keyring.current is not None
        return cls(keyring.key(keyring.current), keyring.current, os.urandom(_SALT_BYTES))

    @classmethod
    def of(cls, header: bytes, keyring: Keyring) -> "FileKey":
        """For a file that exists. Raises KeyUnknown, and FormatError when its header was changed."""
        _, version, id_, salt, _ = _HEADER.unpack(header)
        if version != _VERSION:
            raise FormatError(f"sealed recording: version {version} is not known; update this system")
        key = cls(keyring.key(id_), id_, salt)
        if not hmac.compare_digest(key.header, header):
            raise FormatError("sealed recording: its header was changed or is damaged")
        return key

    def seal(self, record: Record, plaintext: bytes | memoryview) -> bytearray:
        """The bytes of a record, an index' trailer included."""
        sealed = bytearray(record.end - record.position)
        header = record.header()
        sealed[:RECORD_HEADER_BYTES] = header
        view, source = memoryview(sealed), memoryview(plaintext)
        at = RECORD_HEADER_BYTES
        for chunk in range(record.chunks):
            part = source[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES]
            end = at + len(part) + TAG_BYTES
            self._aead.encrypt_into(chunk_nonce(record.nonce, chunk), part, header, view[at:end])
            at = end
        if record.kind is Kind.INDEX:
            sealed[at:] = trailer(record.position)
        return sealed

    def open(self, record: Record, first: int, sealed: bytes) -> list[bytes]:
        """Chunks of a record from the one of number `first` on. Raises FormatError when one was changed."""
        header, view = record.header(), memoryview(sealed)
        chunks: list[bytes] = []
        for at in range(0, len(sealed), CHUNK_BYTES + TAG_BYTES):
            number = first + len(chunks)
            part = view[at : at + CHUNK_BYTES + TAG_BYTES]
            try:
                chunks.append(self._aead.decrypt(chunk_nonce(record.nonce, number), part, header))
            except (InvalidTag, ValueError) as error:
                raise FormatError(
                    f"sealed recording: what is at {record.offset + number * CHUNK_BYTES} "
                    f"(byte {record.position + RECORD_HEADER_BYTES + number * (CHUNK_BYTES + TAG_BYTES)} of the file) "
                    "was changed or is damaged"
                ) from error
        return chunks


def new_nonce() -> bytes:
    """96 random bits (NIST SP 800-38D, 8.2.2): nothing to keep count of, so no crash or restored copy repeats one."""
    return os.urandom(12)


def chunk_nonce(nonce: bytes, chunk: int) -> bytes:
    """Of a record's chunk: the record's, counted up."""
    return ((int.from_bytes(nonce) + chunk) & ((1 << 96) - 1)).to_bytes(12)


def parse_record(head: bytes, position: int) -> Record | None:
    """The record that begins with `head`; None when there is none."""
    if len(head) < RECORD_HEADER_BYTES:
        return None
    mark, kind, offset, length, sequence, nonce, crc = _RECORD.unpack_from(head)
    if mark != _RECORD_MARK or crc != crc32(head[: RECORD_HEADER_BYTES - 4]) or kind not in set(Kind):
        return None
    return Record(Kind(kind), position, offset, length, sequence, nonce)


def trailer(position: int) -> bytes:
    """What follows an INDEX record that is at `position`."""
    head = _TRAILER.pack(_TRAILER_MAGIC, position, 0, 0)[:-4]
    return head + crc32(head).to_bytes(4)


def parse_trailer(data: bytes) -> int | None:
    """The position of the INDEX record whose file ends with `data`; None when that is no trailer."""
    if len(data) != TRAILER_BYTES:
        return None
    magic, position, _, crc = _TRAILER.unpack(data)
    return position if magic == _TRAILER_MAGIC and crc == crc32(data[:-4]) else None


@dataclass
class Log:
    """What the records of a file add up to.

    size: bytes of plaintext. end: position after the last record. sequence: number of the next record.
    """

    size: int = 0
    end: int = HEADER_BYTES
    sequence: int = 0

    def __post_init__(self) -> None:
        self._offsets: array[int] = array("Q")
        self._entries: list[bytes] = []  # packed: an open file has one a fragment
        self._over: list[Extent] = []  # what was written over the others, oldest first

    def next_record(self, kind: Kind, offset: int, length: int) -> Record:
        """With a nonce of its own; `append` it once it is written."""
        return Record(kind, self.end, offset, length, self.sequence, new_nonce())

    def fits(self, record: Record) -> bool:
        """Whether a record can come next."""
        return (
            record.position == self.end
            and record.sequence == self.sequence
            and record.length <= MAX_RECORD_BYTES
            and (record.kind is Kind.INDEX or record.offset <= self.size)
            and (record.kind is not Kind.DATA or record.offset == self.size or _ends(record) <= self.size)
        )

    def append(self, record: Record) -> None:
        """Take the next record."""
        if record.kind is Kind.CUT:
            self._cut(record.offset)
        elif record.kind is Kind.DATA and record.offset == self.size:
            self._offsets.append(record.offset)
            self._entries.append(_pack(Extent(record, record.length)))
            self.size += record.length
        elif record.kind is Kind.DATA:
            self._over.append(Extent(record, record.length))
        self.end = record.end
        self.sequence = record.sequence + 1

    def extents(self, start: int, end: int) -> list[Extent]:
        """Those that hold plaintext from `start` to before `end`; a later one outweighs those before it."""
        found: list[Extent] = []
        for index in range(max(bisect_right(self._offsets, start) - 1, 0), len(self._entries)):
            if self._offsets[index] >= end:
                break
            found.append(_unpack(self._entries[index], 0))
        found += (each for each in self._over if each.record.offset < end and each.end > start)
        return found

    def index(self) -> bytes:
        """The plaintext of an INDEX record."""
        head = _INDEX_HEAD.pack(self.size, len(self._entries), len(self._over))
        return b"".join((head, *self._entries, *map(_pack, self._over)))

    @classmethod
    def from_index(cls, record: Record, plaintext: bytes) -> "Log":
        """As of a file that ends with this INDEX record. Raises FormatError."""
        try:
            size, base, over = _INDEX_HEAD.unpack_from(plaintext)
            if len(plaintext) != _INDEX_HEAD.size + (base + over) * _ENTRY.size:
                raise FormatError("sealed recording: its index has another size than it says")
            log = cls(size, record.end, record.sequence + 1)
            view = memoryview(plaintext)[_INDEX_HEAD.size :]
            log._entries = [
                bytes(view[at : at + _ENTRY.size]) for at in range(0, base * _ENTRY.size, _ENTRY.size)
            ]
            log._offsets = array("Q", (_ENTRY.unpack(entry)[0] for entry in log._entries))
            log._over = [_unpack(view, (base + number) * _ENTRY.size) for number in range(over)]
        except ValueError as error:
            raise FormatError("sealed recording: its index cannot be read") from error
        return log

    def _cut(self, size: int) -> None:
        while self._offsets and self._offsets[-1] >= size:
            self._offsets.pop()
            self._entries.pop()
        if self._entries:
            last = _unpack(self._entries[-1], 0)
            self._entries[-1] = _pack(_shortened(last, size))
        self._over = [_shortened(each, size) for each in self._over if each.record.offset < size]
        self.size = min(self.size, size)


def _ends(record: Record) -> int:
    return record.offset + record.length


def _shortened(extent: Extent, size: int) -> Extent:
    return extent._replace(visible=min(extent.visible, size - extent.record.offset))


def _pack(extent: Extent) -> bytes:
    record, visible = extent
    return _ENTRY.pack(record.offset, record.position, record.length, visible, record.sequence, record.nonce)


def _unpack(data: bytes | memoryview, at: int) -> Extent:
    offset, position, length, visible, sequence, nonce = _ENTRY.unpack_from(data, at)
    return Extent(Record(Kind.DATA, position, offset, length, sequence, nonce), visible)
