"""Bytes that are sent in pieces; app supplies them."""

from collections.abc import AsyncIterator
from typing import Protocol


class ByteSource(Protocol):
    """Bytes of a known size that are sent in pieces.

    etag: a strong entity tag without its quotes; the same tag means the same bytes.
    """

    @property
    def size_bytes(self) -> int: ...
    @property
    def etag(self) -> str: ...
    def chunks(self, first: int, last: int) -> AsyncIterator[bytes]:
        """The bytes from `first` to `last`, both included."""

    async def close(self) -> None:
        """Release files; safe to call twice."""
