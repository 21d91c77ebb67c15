"""One client's connection to the RTSP server: requests in, answers out (RFC 2326 §10).

Belongs here: what each method does, authentication, interleaved packets from the client.
Does not: listening (server), sending media (server_stream), transports (server_session).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import urlsplit

from vms.common.clock import Clock
from vms.telemetry.logs import get_logger
from vms.wire.errors import PeerGone, ProtocolError
from vms.wire.rtsp import server_description
from vms.wire.rtsp.auth import ServerAuthenticator, Verdict
from vms.wire.rtsp.message import Headers, Request, Response, take_message
from vms.wire.rtsp.server_ports import DatagramPorts
from vms.wire.rtsp.server_session import Link, Session, TransportRefused
from vms.wire.rtsp.server_stream import Stream
from vms.wire.rtsp.transport import RtpInfo

log = get_logger(__name__)

_DOLLAR = 0x24
_FRAME_HEADER_BYTES = 4
_MAX_REFUSALS = 5
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server behaves to its clients.

    authenticator: who may watch; None lets everyone. session_timeout_s: a client that neither asks nor
    reports for so long is dropped. limit_bytes: what may wait for one TCP client (see server_stream).
    leave_out: asked before each RTP datagram, whether to lose it on purpose.
    """

    authenticator: ServerAuthenticator | None = None
    session_timeout_s: float = 60.0
    max_connections: int = 1024
    limit_bytes: int = 1 << 20
    leave_out: Callable[[], bool] | None = None


class Context(Protocol):
    """What a connection needs of the server it belongs to."""

    options: ServerOptions
    clock: Clock
    ports: DatagramPorts

    def find(self, path: str) -> Stream | None: ...

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
        self._last_heard_ns = context.clock.monotonic_ns()
        self._handlers: dict[str, Callable[[Request], Response | None]] = {
            "OPTIONS": self._on_options,
            "DESCRIBE": self._on_describe,
            "SETUP": self._on_setup,
            "PLAY": self._on_play,
            "PAUSE": self._on_pause,
            "GET_PARAMETER": self._on_parameter,
            "SET_PARAMETER": self._on_parameter,
            "TEARDOWN": self._on_teardown,
        }

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if not self._context.opened(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_session()
        self._context.closed(self)

    def data_received(self, data: bytes) -> None:
        self._last_heard_ns = self._context.clock.monotonic_ns()
        self._received += data
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

    def silent_for_s(self) -> float:
        """Seconds since the client last showed that it is there."""
        return (self._context.clock.monotonic_ns() - self._last_heard_ns) / 1e9

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
        while position < len(received) and not self._transport.is_closing():
            if received[position] == _DOLLAR:
                if len(received) - position < _FRAME_HEADER_BYTES:
                    break
                end = position + _FRAME_HEADER_BYTES + int.from_bytes(received[position + 2 : position + 4])
                if end > len(received):
                    break
                position = end  # the client's RTCP: that it came is all we need to know
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
        handler = self._handlers.get(request.method)
        if request.cseq is None:
            return Response(400)
        if handler is None:
            return Response(501, headers=Headers([("Public", _METHODS)]))
        if "Require" in request.headers:
            unsupported = Headers([("Unsupported", request.headers["Require"])])
            return Response(551, "Option not supported", unsupported)
        if request.method != "OPTIONS":
            refusal = self._check_credentials(request)
            if refusal is not None:
                return refusal
        try:
            return handler(request)
        except TransportRefused:
            return Response(461)
        except PeerGone as error:
            log.warning("rtsp_server_has_no_ports", problem=str(error))
            return Response(503)

    def _check_credentials(self, request: Request) -> Response | None:
        authenticator = self._options.authenticator
        if authenticator is None:
            return None
        authorization = request.headers.get("Authorization")
        verdict = authenticator.check(request.method, authorization)
        if verdict is Verdict.ACCEPTED:
            return None
        stale = verdict is Verdict.STALE
        if authorization is not None and not stale:
            self._refusals += 1
        challenges = authenticator.challenges(stale=stale)
        return Response(401, headers=Headers(("WWW-Authenticate", value) for value in challenges))

    def _on_options(self, request: Request) -> Response:
        return Response(200, headers=Headers([("Public", _METHODS)]))

    def _on_describe(self, request: Request) -> Response:
        stream, _ = self._find(request.uri)
        if stream is None:
            return Response(404)
        accept = request.headers.get("Accept") or "*/*"
        if "application/sdp" not in accept and "*" not in accept:
            return Response(406)
        headers = Headers(
            [("Content-Type", "application/sdp"), ("Content-Base", request.uri.rstrip("/") + "/")]
        )
        return Response(200, headers=headers, body=server_description.describe(stream.lines).encode())

    def _on_setup(self, request: Request) -> Response:
        stream, line = self._find(request.uri)
        if stream is None:
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

    def _find(self, uri: str) -> tuple[Stream | None, int | None]:
        """The stream that a URI leads to, and the line when it names one."""
        path, _, last = _path(uri).rpartition("/")
        stream = self._context.find(path)
        if stream is not None:
            for line in range(len(stream.lines)):
                if last == server_description.control(line):
                    return stream, line
        return self._context.find(f"{path}/{last}"), None

    def _link(self) -> Link:
        local, peer = (self._transport.get_extra_info(name) for name in ("sockname", "peername"))
        return Link(
            transport=self._transport,
            local_address=local[0],
            peer_address=peer[0],
            ports=self._context.ports,
            limit_bytes=self._options.limit_bytes,
            leave_out=self._options.leave_out,
            heard=self._heard,
        )

    def _peer(self) -> str:
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if peer else "gone"

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


def _without_control(uri: str) -> str:
    head, _, last = uri.rstrip("/").rpartition("/")
    return head if last.startswith("trackID=") else uri.rstrip("/")
