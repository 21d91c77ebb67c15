"""HTTP/1.1 on one connection (RFC 9112): whole requests in, whole responses out, in order.

Belongs here: parsing, its bounds and time-outs, handing a connection over to another protocol. Does not:
listening (listener), what a path means (request.Router and its handlers).
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Protocol, cast

import httptools

from vms.common.errors import VmsError
from vms.stream.http.deadline import Deadline
from vms.stream.http.request import Request, Response, Router, parse_target, status_of, text_response
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_HEAD_BYTES = 16 << 10
MAX_HEADERS = 100
MAX_BODY_BYTES = 64 << 10
MAX_PIPELINED = 8
REQUEST_S = 10.0  # from the first byte of a request to its last
IDLE_S = 30.0  # between requests
DRAIN_S = 30.0  # for a response, however slowly it is read
CLOSE_S = 2.0
HIGH_WATER_BYTES = 256 << 10
REPEATED_MAX, REPEATED_MAX_BYTES = 256, 1024


class Connection(Protocol):
    """A connection of any version of HTTP."""

    def abort(self) -> None:
        """End it at once."""


class HttpServer:
    """What connections share. `router` says who serves what.

    max_connections: more are told 503. Counters: requests, refused (connections beyond the bound), malformed.
    repeated: targets by whole requests, to the byte: players ask for what many ask for in the same words, and what they
    mean has been found out once.
    """

    def __init__(self, router: Router, *, max_connections: int = 2_000) -> None:
        self.router = router
        self.max_connections = max_connections
        self.connections: set[Connection] = set()
        self.repeated: dict[bytes, str] = {}
        self.requests = 0
        self.refused = 0
        self.malformed = 0

    def connection(self, *, secure: bool = False) -> "Http1Connection":
        """The protocol of a new connection; its first bytes come by `data_received`."""
        return Http1Connection(self, secure=secure)

    def close(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    def known(self, target: str) -> Response | None:
        """The answer to a GET that can be given at once."""
        response = self.router.known(target)
        if response is not None:
            self.requests += 1
        return response

    async def answer(self, request: Request) -> "Response | asyncio.Protocol":
        """What the handler of a request says; an error of it becomes a response. HTTP/2 asks here too."""
        self.requests += 1
        found = self.router.find(request.path)
        if found is None:
            return text_response(HTTPStatus.NOT_FOUND, "nothing is served at this path")
        route, parameters = found
        known = replace(request, parameters=parameters)
        try:
            if route.upgrade is not None:
                return await route.upgrade(known)
            assert route.handler is not None
            return await route.handler(known)
        except VmsError as error:
            return text_response(status_of(error), str(error))
        except Exception:
            log.exception("a request failed", method=request.method, path=request.path)
            return text_response(
                HTTPStatus.INTERNAL_SERVER_ERROR, "this is a fault of the server; it is logged"
            )


class _Parser(Protocol):
    def feed_data(self, data: bytes) -> None: ...
    def get_method(self) -> bytes: ...
    def get_http_version(self) -> str: ...
    def should_keep_alive(self) -> bool: ...
    def should_upgrade(self) -> bool: ...


@dataclass(slots=True)
class _Incoming:
    """A request while it comes in."""

    target: bytearray = field(default_factory=bytearray)
    headers: dict[str, str] = field(default_factory=dict)
    count: int = 0
    body: bytearray = field(default_factory=bytearray)
    method: str = ""
    keep_alive: bool = False
    upgrade: bool = False


class _TooMuch(Exception):
    """Beyond a bound; raised in a callback of the parser, which passes it on."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class Http1Connection(asyncio.Protocol):
    """One connection. It ends itself when it is slow, silent, malformed or greedy."""

    def __init__(self, server: HttpServer, *, secure: bool) -> None:
        self._server = server
        self._secure = secure
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._parser = cast(_Parser, httptools.HttpRequestParser(self))
        self._incoming: _Incoming | None = None
        self._read = b""  # what came last, if it began with a request
        self._head_bytes = 0  # seen of a head that is not complete
        self._waiting: deque[_Incoming] = deque()
        self._task: asyncio.Task[None] | None = None
        self._tail = b""  # came after the head of a request for an upgrade
        self._deadline = Deadline(self.abort)
        self._closing = False
        self._drained: asyncio.Event = asyncio.Event()
        self._drained.set()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = self._transport.get_extra_info("peername")
        self._peer = str(address[0]) if address else ""
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=HIGH_WATER_BYTES // 4)
        server = self._server
        full = len(server.connections) >= server.max_connections
        server.connections.add(self)
        self._deadline.within(REQUEST_S)
        if full:
            server.refused += 1
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        before = self._incoming
        if before is None and (target := self._server.repeated.get(data)) and self._answer_known(target):
            return
        self._read = data if before is None else b""
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._tail += data[upgrade.args[0] :]
        except _TooMuch as error:
            self._malformed(error.status)
            return
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._malformed(cause.status if isinstance(cause, _TooMuch) else HTTPStatus.BAD_REQUEST)
            return
        except httptools.HttpParserError:
            self._malformed(HTTPStatus.BAD_REQUEST)
            return
        incoming = self._incoming
        if incoming is None:
            return
        if self._head_bytes > MAX_HEAD_BYTES and not incoming.method:
            self._malformed(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif incoming is not before and self._task is None:
            self._deadline.within(REQUEST_S)

    def eof_received(self) -> bool:
        return self._task is not None and not self._secure  # who has said all may still wait for the answer

    def pause_writing(self) -> None:
        self._drained.clear()

    def resume_writing(self) -> None:
        self._drained.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._drained.set()
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # httptools

    def on_message_begin(self) -> None:
        self._incoming = _Incoming()

    def on_url(self, url: bytes) -> None:
        assert self._incoming is not None
        self._incoming.target += url
        if len(self._incoming.target) > MAX_HEAD_BYTES:
            raise _TooMuch(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        incoming = self._incoming
        assert incoming is not None
        incoming.count += 1
        if incoming.count > MAX_HEADERS:
            raise _TooMuch(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        before = incoming.headers.get(key)
        incoming.headers[key] = text if before is None else f"{before}, {text}"

    def on_headers_complete(self) -> None:
        incoming = self._incoming
        assert incoming is not None
        incoming.method = self._parser.get_method().decode("latin-1")
        incoming.keep_alive = self._parser.should_keep_alive()
        incoming.upgrade = self._parser.should_upgrade()
        if "transfer-encoding" in incoming.headers and "content-length" in incoming.headers:
            raise _TooMuch(HTTPStatus.BAD_REQUEST)  # the two lengths of request smuggling (RFC 9112 §6.3)
        if self._parser.get_http_version() == "1.1" and "host" not in incoming.headers:
            raise _TooMuch(HTTPStatus.BAD_REQUEST)  # RFC 9112 §3.2

    def on_body(self, body: bytes) -> None:
        assert self._incoming is not None
        self._incoming.body += body
        if len(self._incoming.body) > MAX_BODY_BYTES:
            raise _TooMuch(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        incoming = self._incoming
        assert incoming is not None and self._transport is not None
        self._incoming = None
        self._head_bytes = 0
        if self._answer_at_once(incoming):
            return
        if len(self._waiting) >= MAX_PIPELINED:
            raise _TooMuch(HTTPStatus.TOO_MANY_REQUESTS)
        self._waiting.append(incoming)
        self._transport.pause_reading()  # what is asked next waits in the kernel
        if self._task is None:
            self._deadline.lift()  # it is our turn
            self._task = asyncio.get_running_loop().create_task(self._serve())

    # answering

    def _answer_at_once(self, incoming: _Incoming) -> bool:
        """Without a task, where the answer is known: most requests of players are for what many ask for."""
        if incoming.method != "GET" or incoming.upgrade or not incoming.keep_alive or incoming.body:
            return False
        target = incoming.target.decode("latin-1")
        if not self._answer_known(target):
            return False
        if len(self._read) <= REPEATED_MAX_BYTES and self._read.find(b"\r\n\r\n") == len(self._read) - 4:
            repeated = self._server.repeated
            if len(repeated) >= REPEATED_MAX:
                repeated.clear()
            repeated[self._read] = target
        return True

    def _answer_known(self, target: str) -> bool:
        """One at a time: whoever asks again before the answer went out waits in line."""
        transport = self._transport
        if transport is None or self._task is not None or self._waiting or self._closing:
            return False
        if transport.is_closing() or transport.get_write_buffer_size():
            return False
        known = self._server.known(target)
        if known is None:
            return False
        transport.writelines(known.pieces(_last_lines(int(time()), keep=True)))
        self._deadline.within(IDLE_S)
        return True

    async def _serve(self) -> None:
        while self._waiting and not self._closing:
            incoming = self._waiting.popleft()
            if not await self._serve_one(incoming):
                break
        self._task = None
        if not self._closing and self._transport is not None and not self._transport.is_closing():
            self._deadline.within(REQUEST_S if self._incoming is not None else IDLE_S)
            self._transport.resume_reading()

    async def _serve_one(self, incoming: _Incoming) -> bool:
        """Whether the connection goes on as HTTP."""
        target = parse_target(incoming.target.decode("latin-1"))
        if target is None:
            answer: Response | asyncio.Protocol = text_response(
                HTTPStatus.BAD_REQUEST, "the target is malformed"
            )
        else:
            asked = incoming.method, *target, incoming.headers, self._peer, self._secure
            answer = await self._server.answer(Request(*asked, body=bytes(incoming.body)))
        if isinstance(answer, asyncio.Protocol):
            self._hand_over(answer)
            return False
        keep = incoming.keep_alive and not incoming.upgrade and target is not None
        self._write(answer, head_only=incoming.method == "HEAD", keep=keep)
        if not keep:
            self._close()
            return False
        if self._drained.is_set():
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._drained.wait()
                return True
        self.abort()
        return False

    def _hand_over(self, protocol: asyncio.Protocol) -> None:
        transport = self._transport
        assert transport is not None
        self._leave()
        self._closing = True
        if transport.is_closing():
            protocol.connection_made(transport)
            protocol.connection_lost(None)
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        tail, self._tail = self._tail, b""
        if tail and not transport.is_closing():
            protocol.data_received(tail)
        if not transport.is_closing():
            transport.resume_reading()

    def _write(self, response: Response, *, head_only: bool, keep: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        last = _last_lines(int(time()), keep=keep)
        if head_only:
            transport.writelines([response.head, last])
        else:
            transport.writelines([response.head, last, *(part for part in response.parts if part)])

    def _malformed(self, status: HTTPStatus) -> None:
        self._server.malformed += 1
        self._refuse(status)

    def _refuse(self, status: HTTPStatus) -> None:
        if self._task is not None:
            self._task.cancel()
        self._write(text_response(status, status.phrase), head_only=False, keep=False)
        self._close()

    def _close(self) -> None:
        transport = self._transport
        self._closing = True
        self._deadline.stop()
        if transport is not None and not transport.is_closing():
            transport.close()
            asyncio.get_running_loop().call_later(CLOSE_S, transport.abort)

    def _leave(self) -> None:
        self._server.connections.discard(self)
        self._deadline.stop()


@lru_cache(maxsize=2)
def _last_lines(now_s: int, *, keep: bool) -> bytes:
    """The end of a response's head."""
    lines = f"date: {formatdate(now_s, usegmt=True)}\r\n" + ("" if keep else "connection: close\r\n")
    return f"{lines}\r\n".encode("latin-1")
