"""One client's connection to the RTSP server: requests in, answers out (RFC 2326 §10).

Belongs here: what each method does, authentication, interleaved packets from the client.
Does not: listening (server), sending media (server_stream), transports (server_session).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import urlsplit

from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable
from vms.telemetry.logs import get_logger
from vms.wire.errors import PeerGone, ProtocolError
from vms.wire.rtsp import server_description
from vms.wire.rtsp.auth import Verdict
from vms.wire.rtsp.message import Headers, Request, Response, take_message
from vms.wire.rtsp.server_ports import DatagramPorts
from vms.wire.rtsp.server_receiver import SendCounters
from vms.wire.rtsp.server_session import Link, Session, TransportRefused
from vms.wire.rtsp.server_source import ServerOptions, StreamSource
from vms.wire.rtsp.server_stream import Stream
from vms.wire.rtsp.transport import RtpInfo

log = get_logger(__name__)

_DOLLAR = 0x24
_FRAME_HEADER_BYTES = 4
_MAX_REFUSALS = 5
_MAX_WAITING_BYTES = 64 << 10  # behind a request whose answer takes time
_MAX_REASON = 200
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN"


class Context(Protocol):
    """What a connection needs of the server it belongs to."""

    options: ServerOptions
    clock: Clock
    ports: DatagramPorts
    sent: SendCounters
    source: StreamSource
    credentials_refused: int
    crashes: int

    def opened(self, connection: "Connection") -> bool: ...

    def closed(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """One client. It has at most one session, which ends with it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._options = context.options
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._session: Session | None = None
        self._refusals = 0
        self._opening: asyncio.Task[None] | None = None  # the answer to a request that takes time
        self._paused = False
        self._admitted = context.options.authenticator is None
        self._connected_ns = context.clock.monotonic_ns()
        self._last_heard_ns = context.clock.monotonic_ns()
        self._handlers: dict[str, Callable[[Request], Response | None]] = {
            "OPTIONS": self._on_options,
            "PLAY": self._on_play,
            "PAUSE": self._on_pause,
            "GET_PARAMETER": self._on_parameter,
            "SET_PARAMETER": self._on_parameter,
            "TEARDOWN": self._on_teardown,
        }
        self._stream_handlers: dict[str, Callable[[Request, Stream], Response]] = {
            "DESCRIBE": self._on_describe,
            "SETUP": self._on_setup,
        }

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if not self._context.opened(self):
            self._transport.abort()
        elif self._options.send_buffer_bytes is not None:
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._options.send_buffer_bytes)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._opening is not None:
            self._opening.cancel()
        self._end_session()
        self._context.closed(self)

    def data_received(self, data: bytes) -> None:
        self._last_heard_ns = self._context.clock.monotonic_ns()
        self._received += data
        if self._opening is None:
            self._proceed()
        elif len(self._received) > _MAX_WAITING_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _proceed(self) -> None:
        """Deal with what was received, up to a request whose answer takes time."""
        try:
            position = self._take_all()
        except ProtocolError as error:
            log.info("rtsp_client_broke_protocol", client=self._peer(), problem=str(error))
            self._end_session()
            self._transport.write(Response(400).pack())
            self._transport.close()
            self._received.clear()
            return
        del self._received[:position]

    # the server

    def overdue(self) -> str | None:
        """Why the connection should be closed now, in words; None when it should not."""
        now_ns = self._context.clock.monotonic_ns()
        if (now_ns - self._last_heard_ns) / 1e9 > self._options.session_timeout_s:
            return "silent"
        limit_s = self._options.login_timeout_s
        if not self._admitted and limit_s is not None and (now_ns - self._connected_ns) / 1e9 > limit_s:
            return "no credentials"
        return None

    def close(self) -> None:
        """End the session with a farewell and close when what was written has gone.

        Called again, it does not wait for that: the client does not read.
        """
        self._end_session(farewell=True)
        if self._transport.is_closing():
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Break the connection off, as when the machine fails."""
        self._end_session()
        self._transport.abort()

    # requests

    def _take_all(self) -> int:
        """Deal with every whole message and frame received; the offset of what is left."""
        position = 0
        received = self._received
        while position < len(received) and self._opening is None and not self._transport.is_closing():
            if received[position] == _DOLLAR:
                if len(received) - position < _FRAME_HEADER_BYTES:
                    break
                end = position + _FRAME_HEADER_BYTES + int.from_bytes(received[position + 2 : position + 4])
                if end > len(received):
                    break
                if self._session is not None:
                    channel = received[position + 1]
                    self._session.heard(channel, bytes(received[position + _FRAME_HEADER_BYTES : end]))
                position = end
                continue
            found = take_message(received, position)
            if found is None:
                break
            message, position = found
            if isinstance(message, Request):
                self._answer(message)
        return position

    def _answer(self, request: Request) -> None:
        if self._transport.get_write_buffer_size() > 2 * self._options.limit_bytes:
            self._transport.abort()  # it asks and asks but does not read
            return
        response = self._respond(request)
        if response is not None:
            self._write(request, response)
        if self._refusals >= _MAX_REFUSALS:
            log.warning("rtsp_client_refused", client=self._peer(), refusals=self._refusals)
            self._end_session()
            self._transport.close()

    def _write(self, request: Request, response: Response) -> None:
        response.headers.set("CSeq", request.headers.get("CSeq") or "0")
        response.headers.set("Server", "vms")
        self._transport.write(response.pack())

    def _respond(self, request: Request) -> Response | None:
        """The answer to a request; None when it was written already."""
        method = request.method
        if request.cseq is None:
            return Response(400)
        if method not in self._handlers and method not in self._stream_handlers:
            return Response(501, headers=Headers([("Public", _METHODS)]))
        if "Require" in request.headers:
            unsupported = Headers([("Unsupported", request.headers["Require"])])
            return Response(551, "Option not supported", unsupported)
        if method != "OPTIONS":
            refusal = self._check_credentials(request)
            if refusal is not None:
                return refusal
        if method in self._handlers:
            return self._handlers[method](request)
        path, _ = _path_and_line(request.uri)
        stream = self._context.source.find(path)
        if stream is not None:
            return self._respond_with(request, stream)
        self._opening = asyncio.create_task(self._open(request, path))
        return None

    def _respond_with(self, request: Request, stream: Stream) -> Response:
        """The answer to a request that is about a stream."""
        try:
            return self._stream_handlers[request.method](request, stream)
        except TransportRefused:
            return Response(461)
        except PeerGone as error:
            log.warning("rtsp_server_has_no_ports", problem=str(error))
            return Response(503)

    async def _open(self, request: Request, path: str) -> None:
        """Answer a request about a stream that is not at hand; then those that came meanwhile."""
        try:
            async with asyncio.timeout(self._options.open_timeout_s):
                stream = await self._context.source.open(path)
            response = self._respond_with(request, stream)
        except NotFound:
            response = Response(404)
        except Unavailable as error:
            response = Response(503, _as_reason(str(error)))
        except TimeoutError:
            response = Response(503, "the stream could not be opened in time")
        except Exception as error:
            self._context.crashes += 1
            log.exception("rtsp_request_failed", method=request.method, exc_info=error)
            response = Response(500)
        self._opening = None
        if self._transport.is_closing():
            return
        self._last_heard_ns = self._context.clock.monotonic_ns()
        self._write(request, response)
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._proceed()

    def _check_credentials(self, request: Request) -> Response | None:
        authenticator = self._options.authenticator
        if authenticator is None:
            return None
        authorization = request.headers.get("Authorization")
        verdict = authenticator.check(request.method, authorization)
        if verdict is Verdict.ACCEPTED:
            self._admitted = True
            return None
        stale = verdict is Verdict.STALE
        if authorization is not None and not stale:
            self._refusals += 1
            self._context.credentials_refused += 1
        challenges = authenticator.challenges(stale=stale)
        return Response(401, headers=Headers(("WWW-Authenticate", value) for value in challenges))

    def _on_options(self, request: Request) -> Response:
        return Response(200, headers=Headers([("Public", _METHODS)]))

    def _on_describe(self, request: Request, stream: Stream) -> Response:
        accept = request.headers.get("Accept") or "*/*"
        if "application/sdp" not in accept and "*" not in accept:
            return Response(406)
        headers = Headers(
            [("Content-Type", "application/sdp"), ("Content-Base", request.uri.rstrip("/") + "/")]
        )
        return Response(200, headers=headers, body=stream.describe().encode())

    def _on_setup(self, request: Request, stream: Stream) -> Response:
        _, line = _path_and_line(request.uri)
        if line is not None and line >= len(stream.lines):
            return Response(404)
        if line is None and len(stream.lines) == 1:
            line = 0
        if line is None or (self._session is not None and self._session.stream is not stream):
            return Response(459)
        if "Session" in request.headers and not self._owns_session(request):
            return Response(454)
        if self._session is not None and self._session.playing:
            return Response(455)
        session = self._session or Session(stream, _without_control(request.uri), self._link())
        spec = session.set_up(line, request.headers.get("Transport") or "")
        self._session = session
        return Response(200, headers=Headers([("Transport", str(spec)), self._session_header(session)]))

    def _on_play(self, request: Request) -> Response | None:
        session = self._session
        if session is None or not self._owns_session(request):
            return Response(454)
        headers = Headers([self._session_header(session), ("Range", "npt=now-")])
        if session.playing:
            return Response(200, headers=headers)
        infos = [
            RtpInfo(f"{session.base_url}/{server_description.control(line)}", *point)
            for line, point in zip(session.lines, session.play(), strict=True)
        ]
        headers.add("RTP-Info", ",".join(map(str, infos)))
        # Written here because packets may follow at once.
        self._write(request, Response(200, headers=headers))
        session.begin()
        log.info("rtsp_client_plays", client=self._peer(), path=_path(request.uri))
        return None

    def _on_pause(self, request: Request) -> Response:
        if self._session is None or not self._owns_session(request):
            return Response(454)
        self._session.pause()
        return Response(200, headers=Headers([self._session_header(self._session)]))

    def _on_parameter(self, request: Request) -> Response:
        # Clients keep their session alive with an empty one (RFC 2326 §10.8); there is nothing to set.
        if "Session" in request.headers and not self._owns_session(request):
            return Response(454)
        if request.body.strip():
            return Response(451)
        return Response(200, headers=Headers([self._session_header(self._session)] if self._session else []))

    def _on_teardown(self, request: Request) -> Response:
        if self._session is None or not self._owns_session(request):
            return Response(454)
        self._end_session()
        return Response(200)

    # parts

    def _link(self) -> Link:
        local, peer = (self._transport.get_extra_info(name) for name in ("sockname", "peername"))
        over_ip = isinstance(peer, tuple)
        return Link(
            transport=self._transport,
            local_address=local[0] if over_ip else "",
            peer_address=peer[0] if over_ip else "",
            ports=self._context.ports,
            limit_bytes=self._options.limit_bytes,
            leave_out=self._options.leave_out,
            heard=self._heard,
            ended=self.close,
            counters=self._context.sent,
        )

    def _peer(self) -> str:
        peer = self._transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            return str(peer[0])
        return "gone" if peer is None else "unix"

    def _heard(self) -> None:
        self._last_heard_ns = self._context.clock.monotonic_ns()

    def _owns_session(self, request: Request) -> bool:
        named = (request.headers.get("Session") or "").partition(";")[0].strip()
        return self._session is not None and named == self._session.id

    def _session_header(self, session: Session) -> tuple[str, str]:
        return "Session", f"{session.id};timeout={round(self._options.session_timeout_s)}"

    def _end_session(self, *, farewell: bool = False) -> None:
        if self._session is not None:
            self._session.end(farewell=farewell)
            self._session = None


def _path(uri: str) -> str:
    try:
        return urlsplit(uri).path.rstrip("/")
    except ValueError:
        return ""


def _path_and_line(uri: str) -> tuple[str, int | None]:
    """The path of a stream, and the line when the URI names one."""
    path = _path(uri)
    head, _, last = path.rpartition("/")
    line = server_description.line_of(last)
    return (path, None) if line is None else (head, line)


def _without_control(uri: str) -> str:
    head, _, last = uri.rstrip("/").rpartition("/")
    return uri.rstrip("/") if server_description.line_of(last) is None else head


def _as_reason(text: str) -> str:
    """Text for a status line, which is one line."""
    return " ".join(text.split())[:_MAX_REASON]
