"""Encrypted recordings as bodies: whoever reads and writes them sees the recording's own bytes.

A write is one record, appended in one ``pwrite``; what a crash tears is not there. Nothing that was encrypted is
ever encrypted again under its nonce, and nothing reaches the disk in the clear.

Belongs here: reading at random (SealedReader), also from elsewhere than a disk; appending (SealedBody). Does not: the
layout of the bytes (sealed_log), keys and where they come from (keyring).
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress

from vms.format.errors import FormatError
from vms.storage import disk
from vms.storage.keyring import Keyring
from vms.storage.sealed_log import (
    CHUNK_BYTES,
    HEADER_BYTES,
    MAGIC,
    MAX_RECORD_BYTES,
    RECORD_HEADER_BYTES,
    TAG_BYTES,
    TRAILER_BYTES,
    Extent,
    FileKey,
    Kind,
    Log,
    Record,
    parse_record,
    parse_trailer,
)

ReadAt = Callable[[int, int], bytes]

_CACHED_CHUNKS = 16  # 1 MiB: the head of a fragment and its media are read one after the other
_TAIL_READ_BYTES = 64 << 10  # holds the index of a file of 5 min


def is_sealed(beginning: bytes) -> bool:
    """Whether a file that begins so is encrypted, or was being created so when the system ended."""
    return bool(beginning) and beginning[: len(MAGIC)] == MAGIC[: len(beginning)]


class SealedReader:
    """The plaintext of an encrypted recording, read from anywhere. Implements Body; thread-safe.

    A record that is not whole, or (where no index closes the file) whose bytes are not, is not there yet.
    """

    def __init__(
        self,
        read_at: ReadAt,
        stored_bytes: Callable[[], int],
        keyring: Keyring,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """read_at, stored_bytes: of the file as it is stored; it may grow.

        Raises OSError, KeyUnknown, and FormatError when its header was changed.
        """
        self._source = read_at
        self._stored_bytes = stored_bytes
        self._close = close
        self._lock = threading.RLock()
        self._cache: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._log = Log()
        self._key: FileKey | None = None
        header = read_at(0, HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return  # torn at its very beginning: nothing is in it
        self._key = FileKey.of(header, keyring)
        self._log = self._by_index() or self._log
        self._scan()

    @property
    def size_bytes(self) -> int:
        with self._lock:
            self._scan()
            return self._log.size

    def read_at(self, offset: int, size: int) -> bytes:
        with self._lock:
            if offset + size > self._log.size:
                self._scan()
            end = min(offset + size, self._log.size)
            extents = self._log.extents(offset, end) if offset < end else []
        if not extents:
            return b""
        if len(extents) == 1:
            return self._part(extents[0], offset, end)
        plaintext = bytearray(end - offset)
        for extent in extents:
            first, last = max(offset, extent.record.offset), min(end, extent.end)
            plaintext[first - offset : last - offset] = self._part(extent, first, last)
        return bytes(plaintext)

    def close(self) -> None:
        self._close()

    # -- private ----------------------------------------------------------------------------------------

    def _part(self, extent: Extent, start: int, end: int) -> bytes:
        """Plaintext from `start` to before `end`, which are of this extent."""
        record = extent.record
        start, end = start - record.offset, end - record.offset
        first, last = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        chunks = self._chunks(record, first, last)
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return data[start - first * CHUNK_BYTES : end - first * CHUNK_BYTES]

    def _chunks(self, record: Record, first: int, last: int) -> list[bytes]:
        keys = [(record.position, number) for number in range(first, last + 1)]
        with self._lock:
            cached = [self._cache.get(key) for key in keys]
            for key, chunk in zip(keys, cached, strict=True):
                if chunk is not None:
                    self._cache.move_to_end(key)
        whole = [chunk for chunk in cached if chunk is not None]
        if len(whole) == len(keys):
            return whole
        opened = self._open(record, first, last)
        with self._lock:
            self._cache.update(zip(keys, opened, strict=True))
            while len(self._cache) > _CACHED_CHUNKS:
                self._cache.popitem(last=False)
        return opened

    def _open(self, record: Record, first: int, last: int) -> list[bytes]:
        assert self._key is not None
        at = first * (CHUNK_BYTES + TAG_BYTES)
        end = min((last + 1) * (CHUNK_BYTES + TAG_BYTES), record.length + record.chunks * TAG_BYTES)
        sealed = self._source(record.position + RECORD_HEADER_BYTES + at, end - at)
        if len(sealed) < end - at:
            raise FormatError(
                f"sealed recording: it ends within the record at byte {record.position} of the file"
            )
        return self._key.open(record, first, sealed)

    def _by_index(self) -> Log | None:
        """What the index at the end says; None when the file has no whole one there."""
        stored = self._stored_bytes()
        tail_at = max(stored - _TAIL_READ_BYTES, 0)
        tail = self._source(tail_at, stored - tail_at)
        position = parse_trailer(tail[-TRAILER_BYTES:])
        if position is None or not HEADER_BYTES <= position < stored:
            return None
        if position < tail_at:
            tail_at, tail = position, self._source(position, stored - position)
        head = tail[position - tail_at : position - tail_at + RECORD_HEADER_BYTES]
        record = parse_record(head, position)
        if record is None or record.kind is not Kind.INDEX or record.end != stored:
            return None
        assert self._key is not None
        sealed = tail[position - tail_at + RECORD_HEADER_BYTES : -TRAILER_BYTES]
        with suppress(FormatError):  # a torn index: the records tell
            return Log.from_index(record, b"".join(self._key.open(record, 0, sealed)))
        return None

    def _scan(self) -> None:
        """Take the whole records that came after those that are known."""
        stored = self._stored_bytes()
        if self._key is None or stored <= self._log.end:
            return
        log, found = self._log, []
        end, sequence = log.end, log.sequence
        while end < stored:
            record = parse_record(self._source(end, RECORD_HEADER_BYTES), end)
            if record is None or record.sequence != sequence or record.end > stored:
                break
            found.append(record)
            end, sequence = record.end, sequence + 1
        while found and not self._is_whole(found[-1]):
            found.pop()  # its size reached the disk and its bytes did not
        for record in found:
            appends = record.kind is Kind.DATA and record.offset == log.size
            if not log.fits(record) or not (appends or self._is_whole(record)):
                break  # what changes what was there is taken only when it is authentic
            log.append(record)

    def _is_whole(self, record: Record) -> bool:
        try:
            self._open(record, 0, record.chunks - 1)
        except FormatError:
            return False
        return True


class SealedBody(SealedReader):
    """An encrypted recording in a file, to be read, and written by one thread at a time. Implements WritableBody.

    The descriptor is its own. An index, by which it is opened in three reads, is appended with the first sync after the
    flip, and when it is closed.
    """

    def __init__(self, descriptor: int, keyring: Keyring) -> None:
        """Raises OSError, KeyUnknown, FormatError; the descriptor stays the caller's then."""
        self._writing = False  # else what is in the file is known from what was written
        super().__init__(
            lambda offset, size: os.pread(descriptor, size, offset),
            lambda: os.fstat(descriptor).st_size,
            keyring,
        )
        self._descriptor = descriptor
        self._keyring = keyring
        self._begun = self._key is not None  # its header is in the file
        self._unindexed = False  # something was written that no index tells
        self._closing = False  # something was written over what was there, as the flip is
        self._torn = True  # what is after the last record may be the rest of one
        self._failed = False

    def write(self, buffers: Sequence[bytes], offset: int) -> None:
        data = memoryview(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        while data:
            size = self._log.size
            self._closing = self._closing or offset < size
            if offset > size:
                raise ValueError(f"a write at {offset} leaves a hole after {size}")
            limit = MAX_RECORD_BYTES if offset == size else min(size - offset, MAX_RECORD_BYTES)
            part, data = data[:limit], data[limit:]
            self._append(Kind.DATA, offset, part)
            offset += len(part)

    def truncate(self, size_bytes: int) -> None:
        if size_bytes < self.size_bytes:
            self._append(Kind.CUT, size_bytes, memoryview(b""))
            with self._lock:
                self._cache.clear()

    def sync(self) -> None:
        if self._closing:
            self._append_index()
            self._closing = False
        os.fsync(self._descriptor)

    def datasync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        if self._descriptor < 0:
            return
        try:
            if self._unindexed and not self._failed:
                with suppress(OSError):  # without it the records tell
                    self._append_index()
        finally:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    @property
    def torn_bytes(self) -> int:
        """Stored bytes after the last record that can be read; the next write cuts them."""
        return max(self._stored_bytes() - self._log.end, 0) if self._begun else 0

    def _scan(self) -> None:
        if not self._writing:
            super()._scan()

    def _append_index(self) -> None:
        self._append(Kind.INDEX, 0, memoryview(self._log.index()))
        self._unindexed = False

    def _append(self, kind: Kind, offset: int, plaintext: memoryview) -> None:
        with self._lock:
            if self._key is None:
                self._key = FileKey.new(self._keyring)
            key, log = self._key, self._log
            record = log.next_record(kind, offset, len(plaintext))
        sealed: bytes | bytearray = key.seal(record, plaintext)
        position = record.position
        if not self._begun:
            sealed, position = key.header + sealed, 0
        self._writing = True
        try:
            if self._torn:
                os.ftruncate(self._descriptor, position)
                self._torn = False
            disk.write_all(self._descriptor, (sealed,), position)
        except OSError:
            self._torn = self._failed = True
            raise
        self._begun = self._unindexed = True
        self._failed = False
        with self._lock:
            log.append(record)
