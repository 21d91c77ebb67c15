"""HTTP/2 on one connection (RFC 9113): the same requests and responses as HTTP/1.1, many at a time.

Framing, header compression and the state of streams are the h2 package's. Belongs here: bounds against those who ask
without end (CVE-2023-44487), flow control towards the client. Does not: what a path means (request.Router).
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from vms.stream.http.http1 import (
    HIGH_WATER_BYTES,
    IDLE_S,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    REQUEST_S,
    HttpServer,
)
from vms.stream.http.request import Request, Response, parse_target, text_response

MAX_STREAMS = 100
"""Requests that a connection may have at a time."""
CONTROL_RATE = 200.0
"""Resets, pings and settings a second; who sends more is put off."""
CONTROL_BURST = 400.0
STALL_S = 30.0
"""For a client to take something of what it asked for."""
READ_BYTES = 64 << 10


@dataclass(slots=True)
class _Stream:
    """A request and its answer. left: parts of the body that are still to be sent."""

    headers: Sequence[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)
    task: "asyncio.Task[None] | None" = None
    left: list[memoryview] = field(default_factory=list)


class Http2Connection(asyncio.Protocol):
    """One connection, over TLS. It ends itself when the client breaks the protocol, floods or takes nothing."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        config = H2Configuration(client_side=False, header_encoding=None)
        self._h2 = H2Connection(config)
        self._streams: dict[int, _Stream] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._credit = CONTROL_BURST
        self._credited_s = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = self._transport.get_extra_info("peername")
        self._peer = str(address[0]) if address else ""
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=HIGH_WATER_BYTES // 4)
        self._credited_s = asyncio.get_running_loop().time()
        self._h2.local_settings.update(
            {
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
                SettingCodes.ENABLE_PUSH: 0,
            }
        )
        self._h2.initiate_connection()
        self._flush()
        server = self._server
        if len(server.connections) >= server.max_connections:
            server.refused += 1
            self._end(ErrorCodes.REFUSED_STREAM)
            return
        server.connections.add(self)
        self._expect(IDLE_S)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        try:
            for event in self._h2.receive_data(data):
                self._on(event)
        except ProtocolError:
            self._server.malformed += 1
            self._flush()  # h2 has put a GOAWAY there
            transport.close()
            return
        self._send()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._stop_timer()
        for stream in self._streams.values():
            if stream.task is not None:
                stream.task.cancel()
        self._streams.clear()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # what comes

    def _on(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(number), headers=headers):
                self._begin(number, cast(Sequence[tuple[bytes, bytes]], headers))
            case DataReceived(stream_id=int(number), data=data, flow_controlled_length=int(length)):
                self._take(number, bytes(data or b""), length)
            case StreamEnded(stream_id=int(number)):
                self._ask(number)
            case StreamReset(stream_id=int(number)):
                self._control()
                self._forget(number)
            case PingReceived() | RemoteSettingsChanged():
                self._control()
            case WindowUpdated():
                pass
            case ConnectionTerminated():
                if self._transport is not None:
                    self._transport.close()

    def _begin(self, number: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if (
            len(headers) > MAX_HEADERS
            or sum(len(name) + len(value) for name, value in headers) > MAX_HEAD_BYTES
        ):
            self._refuse(number)
            return
        self._streams[number] = _Stream(headers)
        self._expect(REQUEST_S)

    def _take(self, number: int, data: bytes, length: int) -> None:
        self._h2.acknowledge_received_data(length, number)
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.body += data
        if len(stream.body) > MAX_BODY_BYTES:
            self._refuse(number)

    def _ask(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is not None and stream.task is None:
            stream.task = asyncio.get_running_loop().create_task(self._answer(number, stream))

    def _control(self) -> None:
        """Frames that cost the client nothing and us something have a rate."""
        now_s = asyncio.get_running_loop().time()
        self._credit = min(CONTROL_BURST, self._credit + (now_s - self._credited_s) * CONTROL_RATE) - 1
        self._credited_s = now_s
        if self._credit < 0:
            self._server.malformed += 1
            self._end(ErrorCodes.ENHANCE_YOUR_CALM)

    # what goes

    async def _answer(self, number: int, stream: _Stream) -> None:
        request = self._request(stream)
        if request is None:
            answer: Response | asyncio.Protocol = text_response(
                HTTPStatus.BAD_REQUEST, "the request is malformed"
            )
        else:
            answer = await self._server.answer(request)
        if isinstance(answer, asyncio.Protocol):
            answer = text_response(HTTPStatus.UPGRADE_REQUIRED, "this is served over HTTP/1.1 only")
        if self._streams.get(number) is not stream:
            return
        parts = [] if request is None or request.method == "HEAD" else answer.parts
        stream.left = [memoryview(part) for part in parts if part]
        head = [(":status", str(int(answer.status))), *answer.headers.items()]
        if answer.status != HTTPStatus.NO_CONTENT:
            head.append(("content-length", str(sum(map(len, answer.parts)))))
        with suppress(ProtocolError):  # the client may have reset it in this moment
            self._h2.send_headers(number, head, end_stream=not stream.left)
        if not stream.left:
            self._forget(number)
        self._send()

    def _request(self, stream: _Stream) -> Request | None:
        special: dict[str, str] = {}
        headers: dict[str, str] = {}
        for raw_name, raw_value in stream.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name.startswith(":"):
                special[name] = value
            else:
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        target = parse_target(special.get(":path", ""))
        if target is None:
            return None
        path, query = target
        headers.setdefault("host", special.get(":authority", ""))
        method = special.get(":method", "")
        return Request(method, path, query, headers, self._peer, True, body=bytes(stream.body))

    def _send(self) -> None:
        """As much of every answer as the client's windows and our buffer take, a frame each in turn."""
        sent = True
        progress = False
        while sent and not self._paused:
            sent = False
            for number, stream in tuple(self._streams.items()):
                if stream.left and not self._paused:
                    sent = self._send_frame(number, stream) or sent
                    progress = progress or sent
                    self._flush()
        self._flush()
        self._time(progress=progress)

    def _time(self, *, progress: bool) -> None:
        """What the client has to do next, and until when; nothing while answers are being made."""
        streams = self._streams.values()
        if any(stream.left for stream in streams):
            if progress or self._timer is None:
                self._expect(STALL_S)
        elif not streams:
            self._expect(IDLE_S)
        elif all(stream.task is not None for stream in streams):
            self._stop_timer()

    def _send_frame(self, number: int, stream: _Stream) -> bool:
        try:
            most = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if most <= 0:
                return False
            piece = stream.left[0][:most]
            rest = stream.left[0][most:]
            stream.left[:1] = [rest] if rest else []
            self._h2.send_data(number, piece.tobytes(), end_stream=not stream.left)
        except ProtocolError:  # reset meanwhile
            stream.left = []
        if not stream.left:
            self._forget(number)
        return True

    def _refuse(self, number: int) -> None:
        with suppress(ProtocolError):
            self._h2.reset_stream(number, ErrorCodes.ENHANCE_YOUR_CALM)
        self._forget(number)
        self._control()

    def _forget(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        task = stream.task if stream is not None else None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _flush(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing() and (data := self._h2.data_to_send()):
            transport.write(data)

    def _end(self, code: ErrorCodes) -> None:
        with suppress(ProtocolError):
            self._h2.close_connection(code)
        self._flush()
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(1.0, self._transport.abort)

    def _expect(self, within_s: float) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(within_s, self.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
