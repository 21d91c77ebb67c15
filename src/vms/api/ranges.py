"""Byte ranges and conditional requests (RFC 9110 §13, §14), for every answer made of stored bytes.

Belongs here: Range, If-Range, If-Match, If-None-Match, HEAD, sending with backpressure, release on disconnect.
Does not: where the bytes come from (ports.ByteSource).
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vms.api.byte_source import ByteSource
from vms.api.disconnect import ClientGone, while_connected
from vms.api.problems import problem_response
from vms.common.errors import VmsError
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_RANGE = re.compile(r"bytes=\s*(?:(\d{1,19})-(\d{1,19})?|-(\d{1,19}))\s*", re.ASCII | re.IGNORECASE)


class RangeNotSatisfiable(Exception):
    """The range asked for begins behind the last byte (RFC 9110 §15.5.17)."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Positions of the first and the last byte, both included."""

    first: int
    last: int

    @property
    def size_bytes(self) -> int:
        return self.last - self.first + 1


def parse_range(text: str | None, size_bytes: int) -> ByteRange | None:
    """The one range asked for; None where the whole is to be sent (no, several or malformed ranges).

    RFC 9110 §14.2 lets a server ignore a Range; several ranges would need a multipart answer that no
    player asks for. Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(text) if text is not None else None
    if match is None:
        return None
    first_text, last_text, suffix_text = match.groups()
    if suffix_text is not None:
        first, last = size_bytes - min(int(suffix_text), size_bytes), size_bytes - 1
    else:
        first = int(first_text)
        last = min(int(last_text), size_bytes - 1) if last_text is not None else size_bytes - 1
        if last_text is not None and int(last_text) < first:
            return None
    if first >= size_bytes:
        raise RangeNotSatisfiable
    return ByteRange(first, last)


class BytesInMemory:
    """A ByteSource over bytes that are there already."""

    def __init__(self, data: bytes) -> None:
        self.etag = hashlib.sha256(data).hexdigest()[:32]
        self._data = data

    @property
    def size_bytes(self) -> int:
        return len(self._data)

    async def chunks(self, first: int, last: int) -> AsyncIterator[bytes]:
        yield self._data[first : last + 1]

    async def close(self) -> None:
        """Nothing is held."""


class ByteSourceResponse(Response):
    """Sends a ByteSource, or the part asked for, and closes it however the request ends."""

    def __init__(self, source: ByteSource, media_type: str, headers: Mapping[str, str]) -> None:
        self.source = source
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.body = b""
        self.init_headers({**headers, "etag": f'"{source.etag}"', "accept-ranges": "bytes"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._respond(scope, receive, send)
        finally:
            await self.source.close()

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, size_bytes, etag = Headers(scope=scope), self.source.size_bytes, self.headers["etag"]
        if (match := request.get("if-match")) is not None and not _lists(match, etag):
            refusal = problem_response(412, "the bytes are not those of the If-Match tag", scope["path"])
            await refusal(scope, receive, send)
            return
        if (match := request.get("if-none-match")) is not None and _lists(match, etag, weak=True):
            await self._start(send, 304, None)
            await send({"type": "http.response.body", "body": b""})
            return
        current = request.get("if-range", etag) == etag
        try:
            part = parse_range(request.get("range"), size_bytes) if current else None
        except RangeNotSatisfiable:
            refusal = problem_response(
                416,
                f"the range begins behind the end; there are {size_bytes} bytes",
                scope["path"],
                headers={"Content-Range": f"bytes */{size_bytes}"},
            )
            await refusal(scope, receive, send)
            return
        if part is not None:
            self.headers["content-range"] = f"bytes {part.first}-{part.last}/{size_bytes}"
        sent = part or ByteRange(0, size_bytes - 1)
        await self._start(send, 206 if part else 200, sent.size_bytes)
        if scope["method"] == "HEAD" or sent.size_bytes == 0:
            await send({"type": "http.response.body", "body": b""})
        else:
            with suppress(ClientGone):
                await while_connected(self._stream(sent, send), receive)

    async def _start(self, send: Send, status: int, length: int | None) -> None:
        if length is not None:
            self.headers["content-length"] = str(length)
        await send({"type": "http.response.start", "status": status, "headers": self.raw_headers})

    async def _stream(self, part: ByteRange, send: Send) -> None:
        # `send` returns when the client has taken enough: at most one piece waits in memory.
        chunks = self.source.chunks(part.first, part.last)
        try:
            async for piece in chunks:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                # Neither reading nor sending need wait; others, and news of a disconnect, get their turn.
                await asyncio.sleep(0)
        except VmsError as error:
            # The status is sent already; that the connection closes early tells the client.
            log.warning("answer cut short", reason=str(error))
            return
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        await send({"type": "http.response.body", "body": b""})


def _lists(field: str, etag: str, *, weak: bool = False) -> bool:
    """Whether an If-Match or If-None-Match field names the tag; weak comparison ignores W/ (§8.8.3.2)."""
    tags = [tag.strip() for tag in field.split(",")]
    return "*" in tags or any((tag.removeprefix("W/") if weak else tag) == etag for tag in tags)
