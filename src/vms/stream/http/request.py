"""What a handler is given and gives back, whatever the version of HTTP, and which handler a path has.

Belongs here: requests, responses, routes. Does not: bytes of a protocol (http1), sockets (listener).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from re import Pattern
from re import compile as compile_pattern
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable, VmsError
from vms.stream.errors import Refused

MAX_PARAMETERS = 64
MAX_TARGET_CHARACTERS = 4096
JOINED_MAX_BYTES = 256 << 10
"""Up to here a copy costs less than writing pieces does."""
_NAME_IN_PATTERN = compile_pattern(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Request:
    """path: decoded, without the query. headers: names in lower case, values of equal names joined by commas.

    peer: the address that it came from. secure: it came over TLS. parameters: the names of the route's pattern.
    `repr` shows no query and no headers: tokens are in them.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    peer: str = ""
    secure: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(slots=True)
class Response:
    """A whole body: what is served here is small. One that is a sequence is written as it is, not joined.

    headers: names in lower case; content-length is added by the server.
    """

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Sequence[bytes] = b""
    _head: bytes = field(default=b"", init=False, repr=False)
    _pieces: Sequence[bytes] = field(default=(), init=False, repr=False)
    _pieces_end: bytes = field(default=b"", init=False, repr=False)

    def pieces(self, end_of_head: bytes) -> Sequence[bytes]:
        """What to write for HTTP/1.1, with what differs from one answer to the next; put together once for many."""
        if self._pieces_end != end_of_head:
            pieces = (self.head, end_of_head, *(part for part in self.parts if part))
            small = sum(map(len, pieces)) <= JOINED_MAX_BYTES
            self._pieces_end, self._pieces = end_of_head, (b"".join(pieces),) if small else pieces
        return self._pieces

    @property
    def head(self) -> bytes:
        """Status line and headers for HTTP/1.1, without those that differ from one answer to the next, and without the
        empty line; written once for a response that many get."""
        if not self._head:
            lines = [f"HTTP/1.1 {int(self.status)} {_reason(self.status)}"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            if self.status != HTTPStatus.NO_CONTENT:
                lines.append(f"content-length: {sum(map(len, self.parts))}")
            self._head = "\r\n".join(lines).encode("latin-1") + b"\r\n"
        return self._head

    @property
    def parts(self) -> Sequence[bytes]:
        return (self.body,) if isinstance(self.body, bytes) else self.body


Handler = Callable[[Request], Awaitable[Response]]
Known = Callable[[str], Response | None]
"""The answer to a GET of a target as it stands in the request, query included, where nothing has to be waited for; None:
ask the handler. It is asked in the middle of reading, so it must be quick, and raises nothing."""


class Upgrade(Protocol):
    """Takes over a connection that asks for another protocol (RFC 9110 §7.8); HTTP/1.1 only."""

    async def __call__(self, request: Request) -> "asyncio.Protocol | Response":
        """The protocol that goes on with the transport, once it wrote its own 101 in `connection_made`; or a refusal."""


@dataclass(frozen=True, slots=True)
class Route:
    pattern: Pattern[str]
    handler: Handler | None = None
    upgrade: Upgrade | None = None


class Router:
    """Finds the handler of a path. A pattern has names in braces, each of which stands for one segment;
    ``{rest}`` at its end stands for all that follows."""

    def __init__(self) -> None:
        self._routes: list[Route] = []
        self._knowing: list[Known] = []

    def add(self, pattern: str, handler: Handler, known: Known | None = None) -> None:
        """Serve GET and HEAD of paths like ``/hls/{camera_id}/{rest}``; a handler refuses methods that it has not."""
        self._routes.append(Route(_compiled(pattern), handler=handler))
        if known is not None:
            self._knowing.append(known)

    def upgrade(self, pattern: str, upgrade: Upgrade) -> None:
        """Hand connections of a path like ``/live/{camera_id}`` over."""
        self._routes.append(Route(_compiled(pattern), upgrade=upgrade))

    def known(self, target: str) -> Response | None:
        """See `Known`."""
        for known in self._knowing:
            response = known(target)
            if response is not None:
                return response
        return None

    def find(self, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The first route that fits, and what its names stand for."""
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match is not None:
                return route, match.groupdict()
        return None


def parse_target(target: str) -> tuple[str, dict[str, str]] | None:
    """Path and query of a request's target in origin form (RFC 9112 §3.2.1), decoded; None for another."""
    if not target.startswith("/") or len(target) > MAX_TARGET_CHARACTERS:
        return None
    path, _, query = target.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
        return unquote(path, errors="strict"), dict(pairs)
    except ValueError:
        return None


def text_response(status: HTTPStatus, detail: str) -> Response:
    """A short answer that a person may read, open to every origin: tokens are in URLs, never in cookies."""
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "access-control-allow-origin": "*",
        "cache-control": "no-store",
    }
    return Response(status, headers, f"{detail}\n".encode())


def status_of(error: VmsError) -> HTTPStatus:
    """The status of an error that a handler raised."""
    match error:
        case Refused():
            return HTTPStatus.FORBIDDEN if error.known else HTTPStatus.UNAUTHORIZED
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case InvalidInput():
            return HTTPStatus.BAD_REQUEST
        case Conflict():
            return HTTPStatus.CONFLICT
        case Unavailable():
            return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _compiled(pattern: str) -> Pattern[str]:
    def group(name: str) -> str:
        return f"(?P<{name}>.*)" if name == "rest" else f"(?P<{name}>[^/]+)"

    parts = _NAME_IN_PATTERN.split(pattern)
    literal = [part.replace(".", r"\.") for part in parts]
    return compile_pattern("".join(group(p) if n % 2 else literal[n] for n, p in enumerate(parts)))
