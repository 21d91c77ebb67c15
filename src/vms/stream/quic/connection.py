"""One QUIC connection: HTTP/3, the request for a session, and what a stranger may cost.

A connection carries one session, since its congestion window is that session's. What a viewer says is short, so
whoever sends more than a little is put off.

Belongs here: HTTP/3 and WebTransport (draft-ietf-webtrans-http3 as browsers speak it), the bounds of one connection.
Does not: who may watch (service), pictures (viewer, streams).
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, cast

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import ErrorCode, ProtocolError
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.connection import NetworkAddress, QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    ProtocolNegotiated,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

from vms.common.clock import Clock
from vms.common.errors import InvalidInput, VmsError
from vms.stream.http.request import status_of
from vms.stream.quic import messages
from vms.stream.quic.http3 import Http3
from vms.stream.quic.streams import PictureStreams, is_closing, received_bytes
from vms.stream.quic.viewer import WebTransportViewer
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

SESSION_S = 10.0
"""To ask for a session in."""
ALIVE_S = 1.0
"""A datagram may be lost, and a page gives up after a few seconds without any."""
CLOSE_S = 1.0
BUDGET_BYTES = 64 << 10
BUDGET_BYTES_A_S = 1 << 10
"""What a peer may send: its requests and messages; video goes the other way."""
EVENT_BYTES = 64  # what an event counts besides its bytes
MAX_OPEN_MESSAGES = 4
_FAULT = "a WebTransport connection failed"  # and nobody else's view with it
_ENDED = (RuntimeError, ProtocolError)
"""What aioquic raises for a stream that the peer has ended meanwhile."""


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A request for a session. target: path and query, with a token in it. origin: of the page; None: of no page."""

    target: str = field(repr=False)
    authority: str
    origin: str | None


class Sessions(Protocol):
    """What a connection needs of its service."""

    @property
    def clock(self) -> Clock: ...
    async def begin(self, connection: "ViewerConnection", request: SessionRequest) -> WebTransportViewer:
        """Let somebody watch. Raises VmsError."""

    def asked(self, viewer: WebTransportViewer, message: bytes) -> None:
        """A viewer sent a message. Raises InvalidInput."""

    def opened(self, connection: "ViewerConnection") -> None:
        """There is a connection, without a session yet."""

    def over(self, connection: "ViewerConnection") -> None:
        """It is over, or will be in a moment; called once. `viewer` is None when there was no session."""

    def gone(self, connection: "ViewerConnection") -> None:
        """Nothing is left of it; called after `over`."""


class ViewerConnection(QuicConnectionProtocol):
    """Implements Line. host: see `host_of`."""

    def __init__(self, quic: QuicConnection, sessions: Sessions, host: str) -> None:
        super().__init__(quic)
        self.host = host
        self.viewer: WebTransportViewer | None = None
        self._sessions = sessions
        self._http: Http3 | None = None
        self._streams: PictureStreams | None = None
        self._session_id: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._partial: dict[int, bytes] = {}
        self._woken: asyncio.Handle | None = None
        self._budget_bytes = float(BUDGET_BYTES)
        self._budget_at_s = self._loop.time()
        self._counted_bytes = 0
        self._over = False
        self._next = self._loop.call_later(SESSION_S, self._too_late)
        sessions.opened(self)

    # Line

    @property
    def streams(self) -> PictureStreams:
        assert self._streams is not None, "there is a viewer only with a session"
        return self._streams

    def wake(self) -> None:
        if self._woken is None and not self._over:
            self._woken = self._loop.call_soon(self._wake)

    def end(self, code: int, reason: str) -> None:
        if self._over:
            return
        if self._http is not None and self._session_id is not None and self.viewer is not None:
            with suppress(*_ENDED):
                self._http.send_data(self._session_id, messages.close_session(code, reason), end_stream=True)
            self._leave()
            self.transmit()
            self._next = self._loop.call_later(CLOSE_S, self.close, ErrorCode.H3_NO_ERROR)
        else:
            self._break_off(ErrorCode.H3_NO_ERROR)

    # QuicConnectionProtocol

    def datagram_received(self, data: bytes | str, addr: NetworkAddress) -> None:
        super().datagram_received(cast(bytes, data), addr)
        self._count_streams()
        if is_closing(self._quic):
            self._leave()

    def transmit(self) -> None:
        """Send what there is, then the pictures for which there is room."""
        super().transmit()
        try:
            while self.viewer is not None and self.viewer.pump():
                super().transmit()
        except Exception:
            log.exception(_FAULT)
            self._break_off(ErrorCode.H3_INTERNAL_ERROR)

    def quic_event_received(self, event: QuicEvent) -> None:
        try:
            self._take(event)
        except Exception:
            log.exception(_FAULT)
            self._break_off(ErrorCode.H3_INTERNAL_ERROR)

    def _break_off(self, code: ErrorCode) -> None:
        self._leave()
        self._next.cancel()
        self.close(code)

    def _take(self, event: QuicEvent) -> None:
        match event:
            case ConnectionTerminated():
                self._leave()
                self._sessions.gone(self)
            case ProtocolNegotiated():
                self._http = Http3(self._quic)
            case StreamDataReceived():
                self._count(0)
            case DatagramFrameReceived():
                self._count(len(event.data))
            case StreamReset() | StopSendingReceived():
                self._count(0)
                self._partial.pop(event.stream_id, None)
                if event.stream_id == self._session_id:
                    self.end(0, "")
        if self._http is not None and not self._over:
            for found in self._http.handle_event(event):
                self._take_http(found)

    def _take_http(self, event: H3Event) -> None:
        match event:
            case HeadersReceived():
                self._requested(event)
            case DataReceived() if event.stream_id == self._session_id and event.stream_ended:
                self.end(0, "")
            case WebTransportStreamDataReceived() if event.session_id == self._session_id:
                self._collect(event)

    # requests

    def _requested(self, event: HeadersReceived) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        if headers.get(":method") != "CONNECT" or headers.get(":protocol") != "webtransport":
            self._say(event.stream_id, HTTPStatus.NOT_FOUND)
            return
        if self._task is not None:
            self._say(event.stream_id, HTTPStatus.TOO_MANY_REQUESTS)
            return
        if event.stream_ended:
            self._say(event.stream_id, HTTPStatus.BAD_REQUEST)
            return
        request = SessionRequest(
            headers.get(":path", ""), headers.get(":authority", ""), headers.get("origin")
        )
        self._task = asyncio.create_task(self._begin(event.stream_id, request))

    async def _begin(self, stream_id: int, request: SessionRequest) -> None:
        assert self._http is not None
        self._session_id, self._streams = stream_id, PictureStreams(self._quic, self._http, stream_id)
        try:
            self.viewer = await self._sessions.begin(self, request)
            self._next.cancel()
            self._say(stream_id, HTTPStatus.OK, (b"sec-webtransport-http3-draft", b"draft02"))
            self._alive()
        except VmsError as error:
            self._say(stream_id, status_of(error))
            self.transmit()
        except Exception:
            log.exception(_FAULT)
            self._break_off(ErrorCode.H3_INTERNAL_ERROR)

    def _say(self, stream_id: int, status: HTTPStatus, *more: tuple[bytes, bytes]) -> None:
        """Answer a request. Who is refused is given SESSION_S to go; who does not want the answer goes at once."""
        if self._http is None or self._over:
            return
        headers = [(b":status", str(int(status)).encode()), *more]
        try:
            self._http.send_headers(stream_id, headers, end_stream=status is not HTTPStatus.OK)
        except _ENDED:
            self._break_off(ErrorCode.H3_NO_ERROR)

    # messages of the viewer

    def _collect(self, event: WebTransportStreamDataReceived) -> None:
        data = self._partial.pop(event.stream_id, b"") + event.data
        if len(data) > messages.MAX_MESSAGE_BYTES or len(self._partial) >= MAX_OPEN_MESSAGES:
            self.end(1, "a message is too long")
        elif not event.stream_ended:
            self._partial[event.stream_id] = data
        elif self.viewer is not None:
            try:
                self._sessions.asked(self.viewer, data)
            except InvalidInput as error:
                self.end(1, str(error))

    def _count_streams(self) -> None:
        """Count what streams have been given, with the gaps in it: for these there is memory, and no event."""
        received = received_bytes(self._quic)
        if received > self._counted_bytes:
            more, self._counted_bytes = received - self._counted_bytes, received
            self._count(more)

    def _count(self, size_bytes: int) -> None:
        now_s = self._loop.time()
        earned_bytes = BUDGET_BYTES_A_S * (now_s - self._budget_at_s)
        self._budget_bytes = min(self._budget_bytes + earned_bytes, BUDGET_BYTES) - size_bytes - EVENT_BYTES
        self._budget_at_s = now_s
        if self._budget_bytes < 0:  # of a session that is being closed too, which ends at once then
            self._break_off(ErrorCode.H3_EXCESSIVE_LOAD)

    # time

    def _wake(self) -> None:
        self._woken = None
        if not self._over:
            self.transmit()

    def _alive(self) -> None:
        if self._http is None or self._session_id is None or self._over:
            return
        self._http.send_datagram(self._session_id, messages.alive(self._sessions.clock.wall_ns()))
        self.transmit()
        self._next = self._loop.call_later(ALIVE_S, self._alive)

    def _too_late(self) -> None:
        self._break_off(ErrorCode.H3_NO_ERROR)

    def _leave(self) -> None:
        if self._over:
            return
        self._over = True
        self._next.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._woken is not None:
            self._woken.cancel()
        self._sessions.over(self)
        self.viewer = None
