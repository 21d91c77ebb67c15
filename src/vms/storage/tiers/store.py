"""What a tier can do, whatever it is.

Belongs here: the interface, and reading a file once while it is copied. Does not: the kinds (directory, object).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from vms.storage.body import Body
from vms.storage.tiers.errors import TierUnavailable

CHUNK_BYTES = 1 << 20

Pace = Callable[[int], None]
"""Called with the size of every piece that was copied. It may wait, and may raise to end the copy."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A recording in a tier. name: ``CAMERA/DAY/NAME``, as on its volume. size_bytes: as it lies there."""

    name: str
    size_bytes: int


class TierStore(Protocol):
    """One volume's part of a tier. Methods block on a disk or a network: call them in threads; several may at once.

    Names are those of recordings relative to their volume. All raise TierUnavailable.
    """

    @property
    def name(self) -> str:
        """Of the tier, as configured."""

    @property
    def kind(self) -> str:
        """``directory`` or ``s3``."""

    @property
    def after_ns(self) -> int:
        """The age at which recordings move there."""

    @property
    def quota_bytes(self) -> int:
        """How much of this volume's recordings it may hold."""

    def put_file(self, name: str, body: Body, pace: Pace | None = None) -> int:
        """Copy a whole file there, durably, and check what was written; gives its size in bytes.

        body: the stored bytes, as they lie on the disk. A copy of that name that is there is replaced. When it fails,
        nothing of that name is there, or what was there before. Raises SourceUnreadable when the file that is copied
        cannot be read, TierFull, CopyDiffers, and what `pace` raises.
        """

    def open(self, name: str) -> Body:
        """The stored bytes, by range. Raises FileNotFoundError when there is no such copy."""

    def delete(self, names: Sequence[str]) -> None:
        """Remove copies; those that are not there are no error."""

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """Every recording whose name begins with `prefix`; other files are left out."""

    def check(self) -> None:
        """Whether it can be used now, without writing recordings."""

    def close(self) -> None:
        """Let go of connections. Harmless when done before."""


class SourceUnreadable(Exception):
    """A recording that is to be copied cannot be read where it is; the tier is not to blame."""


class Source:
    """A closed file that is read from its beginning to its end for a copy; once.

    size_bytes: of the file.
    """

    def __init__(self, body: Body, pace: Pace | None = None) -> None:
        """Raises SourceUnreadable."""
        self._body = body
        self._pace = pace
        self._sha256 = hashlib.sha256()
        with _source_errors():
            self.size_bytes = body.size_bytes

    def chunks(self) -> Iterator[bytes]:
        """Pieces of CHUNK_BYTES, the last one shorter. Raises SourceUnreadable, and what the pace raises."""
        offset = 0
        while offset < self.size_bytes:
            with _source_errors():
                chunk = self._body.read_at(offset, min(CHUNK_BYTES, self.size_bytes - offset))
            if not chunk:
                raise SourceUnreadable("it became shorter while it was copied")
            self._sha256.update(chunk)
            offset += len(chunk)
            if self._pace is not None:
                self._pace(len(chunk))
            yield chunk

    @property
    def digest(self) -> bytes:
        """SHA-256 of what was read."""
        return self._sha256.digest()


@contextmanager
def _source_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, TierUnavailable) as error:
        reason = error.strerror if isinstance(error, OSError) else error.reason
        raise SourceUnreadable(reason or str(error)) from error
