"""Reading what is to be verified over HTTP, by range requests (RFC 9110 §14).

Belongs here: a URL as something that can be read at any place. Does not: what is read (verify).
"""

import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from vms.evidence.errors import Unreachable
from vms.format.hybrid import ReadAt

_BLOCK_BYTES = 1 << 20
_KEPT_BLOCKS = 8
_TIMEOUT_S = 30.0
_PARTIAL = 206


def is_url(text: str) -> bool:
    """Whether `text` names something on an HTTP server."""
    return text.lower().startswith(("http://", "https://"))


def safe_url(url: str) -> str:
    """`url` without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def open_url(url: str, token: str | None = None) -> Iterator[tuple[ReadAt, int]]:
    """A file on an HTTP server: what reads it, and its size.

    token: sent as a bearer token (RFC 6750), and not to where the server redirects. A server that gives no ranges has
    the file downloaded first. Raises Unreachable, also on reading.
    """
    with _request(url, token, 0, _BLOCK_BYTES) as response:
        if response.status == _PARTIAL:
            first, size = response.read(_BLOCK_BYTES), _total(url, response)
            remote = _Remote(url, token, size, response.headers.get("ETag"), first)
            reading: ReadAt | None = remote.read_at
        else:
            reading, size = None, 0
        if reading is None:
            with tempfile.TemporaryFile() as file:
                size = _download(url, response, file)
                yield lambda offset, many: _read(file, offset, many), size
            return
    yield reading, size


class _Remote:
    """A file read in blocks, of which the newest few are kept."""

    def __init__(self, url: str, token: str | None, size: int, etag: str | None, first: bytes) -> None:
        self._url = url
        self._token = token
        self._size = size
        self._etag = etag
        self._blocks = OrderedDict({0: first})

    def read_at(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self._size)
        pieces = []
        while offset < end:
            block, start = divmod(offset, _BLOCK_BYTES)
            piece = self._block(block)[start : start + end - offset]
            if not piece:
                raise Unreachable(f"{safe_url(self._url)}: its answers end before the file does")
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            first = number * _BLOCK_BYTES
            with _request(self._url, self._token, first, _BLOCK_BYTES) as response:
                if response.status != _PARTIAL or response.headers.get("ETag") != self._etag:
                    raise Unreachable(f"{safe_url(self._url)}: the file changed while it was read; try again")
                self._blocks[number] = _body(self._url, response)
            while len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]


@contextmanager
def _request(url: str, token: str | None, first: int, size: int) -> Iterator[HTTPResponse]:
    try:
        request = Request(url, headers={"Range": f"bytes={first}-{first + size - 1}"})  # noqa: S310 - is_url was asked
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            yield response
    except HTTPError as error:
        error.close()
        advice = (
            "; give an API token in the environment variable VMS_TOKEN" if error.code in (401, 403) else ""
        )
        raise Unreachable(f"{safe_url(url)}: the server answered {error.code}{advice}") from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"{safe_url(url)} cannot be read: {reason}") from None


def _body(url: str, response: HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK_BYTES)
    except (HTTPException, OSError) as error:
        raise Unreachable(f"{safe_url(url)} cannot be read: {error}") from None


def _total(url: str, response: HTTPResponse) -> int:
    total = (response.headers.get("Content-Range") or "").rpartition("/")[2]
    if not total.isdecimal():
        raise Unreachable(f"{safe_url(url)}: the server does not say how long the file is")
    return int(total)


def _download(url: str, response: HTTPResponse, file: IO[bytes]) -> int:
    size = 0
    while data := _body(url, response):
        file.write(data)
        size += len(data)
    promised = response.headers.get("Content-Length")
    if promised is not None and promised.isdecimal() and int(promised) != size:
        raise Unreachable(f"{safe_url(url)}: {size} of {promised} bytes came; try again")
    return size


def _read(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
