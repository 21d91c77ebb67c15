"""RTSP messages (RFC 2326 §4–§7) as values; reading them takes bytes and does no I/O.

Belongs here: start lines, headers, bodies, their bounds. Does not: interleaved frames, connections.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vms.wire.errors import ProtocolError

MAX_HEAD_SIZE = 32 << 10
MAX_BODY_SIZE = 128 << 10
MAX_HEADERS = 200
VERSION = "RTSP/1.0"

REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid In This State",
    457: "Invalid Range",
    459: "Aggregate Operation Not Allowed",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version Not Supported",
}


class Headers:
    """Header fields in order; names compare without case, a name may stand several times."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = list(fields)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a field."""
        wanted = name.lower()
        for field_name, value in self._fields:
            if field_name.lower() == wanted:
                return value
        return default

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        wanted = name.lower()
        return [value for field_name, value in self._fields if field_name.lower() == wanted]

    def add(self, name: str, value: str | int) -> None:
        self._fields.append((name, str(value)))

    def set(self, name: str, value: str | int) -> None:
        """Replace every field of that name by one."""
        self.remove(name)
        self.add(name, value)

    def remove(self, name: str) -> None:
        wanted = name.lower()
        self._fields = [item for item in self._fields if item[0].lower() != wanted]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and other._fields == self._fields

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        # Values may hold credentials.
        return f"Headers({', '.join(name for name, _ in self._fields)})"


@dataclass(slots=True)
class Request:
    """A request (RFC 2326 §6). uri: as it stands in the request line, ``*`` included."""

    method: str
    uri: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def cseq(self) -> int | None:
        return _cseq(self.headers)

    def pack(self) -> bytes:
        """The bytes to send; Content-Length is added when there is a body."""
        return _pack(f"{self.method} {self.uri} {VERSION}", self.headers, self.body)


@dataclass(slots=True)
class Response:
    """A response (RFC 2326 §7)."""

    status: int
    reason: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def cseq(self) -> int | None:
        return _cseq(self.headers)

    def pack(self) -> bytes:
        """The bytes to send; Content-Length is added when there is a body."""
        reason = self.reason or REASONS.get(self.status, "")
        return _pack(f"{VERSION} {self.status} {reason}", self.headers, self.body)


Message = Request | Response


def take_message(
    buffer: bytes | bytearray | memoryview, start: int = 0, end: int | None = None
) -> tuple[Message, int] | None:
    """The message that begins at `start`, and the offset after it; None while it is not all there.

    Empty lines before it are passed over. Raises ProtocolError when it is no RTSP message or exceeds
    MAX_HEAD_SIZE or MAX_BODY_SIZE. At most MAX_HEAD_SIZE bytes are looked at for a head.
    """
    if end is None:
        end = len(buffer)
    window = bytes(buffer[start : min(end, start + MAX_HEAD_SIZE)])
    skipped = len(window) - len(window.lstrip(b"\r\n"))
    head_end, body_start = _find_head_end(window, skipped)
    if head_end < 0:
        if len(window) == MAX_HEAD_SIZE:
            raise ProtocolError(f"RTSP message head is longer than {MAX_HEAD_SIZE} bytes")
        return None
    message = parse_head(window[skipped:head_end])
    size = content_length(message.headers)
    body_start += start
    if body_start + size > end:
        return None
    message.body = bytes(buffer[body_start : body_start + size])
    return message, body_start + size


def parse_head(head: bytes) -> Message:
    """A message without its body, from its start line and header lines. Raises ProtocolError."""
    text = head.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    start_line, *lines = text.split("\n")
    headers = _parse_headers(lines)
    words = start_line.strip().split(None, 2)
    if words and words[0].upper().startswith("RTSP/"):
        if len(words) < 2 or not (words[1].isascii() and words[1].isdigit() and len(words[1]) == 3):
            raise ProtocolError("RTSP status line has no status of three digits")
        return Response(int(words[1]), words[2] if len(words) > 2 else "", headers)
    if len(words) == 3 and words[2].upper().startswith("RTSP/") and _is_token(words[0]):
        return Request(words[0], words[1], headers)
    raise ProtocolError("neither an RTSP request line nor an RTSP status line")


def content_length(headers: Headers) -> int:
    """The size of the body that follows; 0 when not given. Raises ProtocolError."""
    text = (headers.get("Content-Length") or "0").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ProtocolError("RTSP Content-Length is no number")
    if int(text) > MAX_BODY_SIZE:
        raise ProtocolError(f"RTSP message body of {int(text)} bytes is longer than {MAX_BODY_SIZE} allowed")
    return int(text)


def _find_head_end(window: bytes, start: int) -> tuple[int, int]:
    """Where the head ends and where the body begins; (-1, -1) while the empty line is not there."""
    crlf = window.find(b"\r\n\r\n", start)
    bare = window.find(b"\n\n", start, crlf + 1 if crlf >= 0 else len(window))
    if bare >= 0:
        return bare, bare + 2
    return (crlf, crlf + 4) if crlf >= 0 else (-1, -1)


def _parse_headers(lines: list[str]) -> Headers:
    fields: list[tuple[str, str]] = []
    for line in lines:
        if not line.strip():
            continue
        if line[0] in " \t" and fields:  # a folded value (RFC 2326 §4.2 by RFC 822)
            name, value = fields[-1]
            fields[-1] = (name, f"{value} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if not colon or not _is_token(name.strip()):
            continue  # some cameras print a stray line between headers
        fields.append((name.strip(), value.strip()))
        if len(fields) > MAX_HEADERS:
            raise ProtocolError(f"RTSP message has more than {MAX_HEADERS} headers")
    return Headers(fields)


def _is_token(text: str) -> bool:
    return text.isascii() and text.replace("-", "").replace("_", "").isalnum()


def _cseq(headers: Headers) -> int | None:
    text = (headers.get("CSeq") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _pack(start_line: str, headers: Headers, body: bytes) -> bytes:
    lines = [start_line, *(f"{name}: {value}" for name, value in headers)]
    if body and "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    text = "\r\n".join(lines) + "\r\n\r\n"
    if "\r" in text.replace("\r\n", "") or text.count("\n") != len(lines) + 1:
        raise ValueError("an RTSP header may not hold line breaks")
    return text.encode() + body
