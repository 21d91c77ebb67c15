"""The bytes of one recording file, as the format knows them, whatever lies on the disk.

A recording lies there as it is, or encrypted (sealed). Everything that reads or writes recordings does it through a
body, so nothing else knows the difference. Methods block on the disk: call them in threads.

Belongs here: what a body is, and the plain one. Does not: the encrypted one (sealed), its keys (keyring), files
elsewhere than on a disk (tiers).
"""

import os
from collections.abc import Sequence
from typing import Protocol

from vms.storage import disk


class Body(Protocol):
    """Bytes that can be read. All methods may be called from several threads at once."""

    @property
    def size_bytes(self) -> int:
        """How many there are now. Raises OSError."""

    def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset`; fewer only at the end. Raises OSError, and FormatError for encrypted bytes
        that were changed."""

    def close(self) -> None:
        """Let go of the file; harmless when done before."""


class WritableBody(Body, Protocol):
    """Bytes that one thread at a time writes as well."""

    def write(self, buffers: Sequence[bytes], offset: int) -> None:
        """Write `buffers` one after the other from `offset`: at the end of what is there, or over the 16 bytes of the flip.

        Raises OSError.
        """

    def truncate(self, size_bytes: int) -> None:
        """Cut what follows `size_bytes`. Raises OSError."""

    def sync(self) -> None:
        """Make what was written durable (fsync). Raises OSError."""

    def datasync(self) -> None:
        """As `sync`, without times of change (fdatasync). Raises OSError."""


class PlainBody:
    """A file that holds a recording as it is. Implements WritableBody; the descriptor is its own from now on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def size_bytes(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)

    def write(self, buffers: Sequence[bytes], offset: int) -> None:
        disk.write_all(self._descriptor, buffers, offset)

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self._descriptor, size_bytes)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def datasync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
