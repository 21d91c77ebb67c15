"""The files that an export is written to, also those that are only there meanwhile, as bodies: plain or encrypted.

What writes MP4 and ZIP wants a file that it can seek in; so a body is shown to it as one. Nothing of an export reaches the
disk by another way.

Belongs here: making, reading and removing them. Does not: which key (export_keys), what is in them (clip, burn_in, archive).
All methods block, in one thread at a time.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from vms.storage.bodies import create_body, open_body
from vms.storage.body import Body, WritableBody
from vms.storage.keyring import Keyring
from vms.storage.render.progress import Progress

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

READ_BYTES = 4 << 20
_HELD_BYTES = 1 << 20  # small writes are gathered: of an encrypted file each becomes a record
_SYNC_BYTES = (
    32 << 20
)  # so that the disk is never given so much at once that recordings or a cancelled job wait for it


class ExportFiles:
    """Files in the directory of one export."""

    def __init__(self, directory: Path, keyring: Keyring) -> None:
        """keyring: with a current key they are encrypted."""
        self._directory = directory
        self._keyring = keyring

    def create(self, name: str) -> "WrittenFile":
        """A new file. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self._directory / name, flags, 0o600)
        return WrittenFile(create_body(descriptor, self._keyring))

    def open(self, name: str) -> Body:
        """One that is finished. Raises OSError, FormatError."""
        return open_body(os.open(self._directory / name, os.O_RDONLY | os.O_CLOEXEC), self._keyring)

    def remove(self, name: str) -> None:
        """Raises OSError."""
        (self._directory / name).unlink()


class WrittenFile(io.RawIOBase):
    """A body that is being written, for whoever writes to files. size_bytes: so far."""

    def __init__(self, body: WritableBody) -> None:
        super().__init__()
        self.size_bytes = 0
        self._body = body
        self._at = 0
        self._held = bytearray()  # what was written last and is not in the body yet
        self._held_at = 0
        self._unsynced_bytes = 0
        self._thrown_away = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Raises OSError."""
        view = memoryview(data).cast("B")
        if self._at != self._held_at + len(self._held):
            self.flush()
        if not self._held:
            self._held_at = self._at
        self._held += view
        self._at += len(view)
        self.size_bytes = max(self.size_bytes, self._at)
        if len(self._held) >= _HELD_BYTES:
            self.flush()
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """To where the next write goes."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size_bytes}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        """Hand what is held to the body, and that to the disk now and then. Raises OSError."""
        held, self._held = self._held, bytearray()
        if not held or self._thrown_away:
            return
        self._body.write([bytes(held)], self._held_at)
        self._unsynced_bytes += len(held)
        if self._unsynced_bytes >= _SYNC_BYTES:
            self._body.datasync()
            self._unsynced_bytes = 0

    def finish(self) -> None:
        """All of it is durable when this returns. Raises OSError."""
        self.flush()
        self._body.datasync()
        self._body.close()

    def throw_away(self) -> None:
        """Let go of it as it is; whatever is still written to it goes nowhere. It is for others to remove."""
        self._thrown_away = True
        self._body.close()

    def close(self) -> None:
        """Nothing: whoever writes through it may close it, and does not know whether it is finished."""


class ReadFile(io.RawIOBase):
    """A body to be read, for whoever reads files."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self._body = body
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        """Raises OSError, FormatError."""
        left = self._body.size_bytes - self._at
        data = self._body.read_at(self._at, left if size < 0 else min(size, left)) if left > 0 else b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """To what is read next."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence, self._body.size_bytes)
        self._at = offset + start
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def measure(body: Body, progress: Progress) -> tuple[int, str]:
    """Size and SHA-256 of what can be read of a body. Raises Stopped, OSError, FormatError."""
    digest, size = hashlib.sha256(), 0
    while data := body.read_at(size, READ_BYTES):
        progress.check()
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()
