"""A WebTransport client on aioquic, and a service to watch."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any, cast

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DatagramReceived, DataReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import NetworkAddress, QuicConnection
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, QuicEvent, StreamReset
from tests.stream.scripted_stream import CAMERA, Camera

from vms.common.clock import NS, SystemClock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.stream.http.token import WATCH, mint
from vms.stream.hubs import OwnHub, own_hubs
from vms.stream.quic.address import webtransport_path
from vms.stream.quic.certificate import Certificate, make_certificate
from vms.stream.quic.listener import WebTransportListener
from vms.stream.quic.messages import Flag, Kind
from vms.stream.quic.service import WebTransportService
from vms.stream.quic.streams import is_closing

SECRET = bytes(range(32))
HEADER = Struct(">BBHIQQQQ")
SOUND_HEADER = Struct(">BBHIQQQ")


@dataclass
class Received:
    """A picture as a client gets it."""

    flags: Flag
    generation: int
    sequence_number: int
    capture_ns: int
    sent_ns: int
    pts: int
    dts: int
    data: bytes = field(repr=False)

    @property
    def key(self) -> bool:
        return Flag.KEY in self.flags


@dataclass
class ReceivedSound:
    """A frame of sound as a client gets it. by_datagram: not on a stream."""

    generation: int
    sequence_number: int
    capture_ns: int
    sent_ns: int
    pts: int
    data: bytes = field(repr=False)
    by_datagram: bool


class Client(QuicConnectionProtocol):
    """`status` of the session; `pictures` and `sounds` that came whole, by arrival; `configs` by generation."""

    def __init__(self, quic: QuicConnection, stream_handler: object = None) -> None:
        super().__init__(quic)
        self.http: H3Connection | None = None
        self.status: int | None = None
        self.session_id: int | None = None
        self.pictures: list[Received] = []
        self.configs: dict[int, dict[str, Any]] = {}
        self.sounds: list[ReceivedSound] = []
        self.sound_configs: dict[int, dict[str, Any]] = {}
        self.alive = 0
        self.resets = 0
        self.closed_by: bytes | None = None
        self.over = False
        self.ended_with = 0
        self._partial: dict[int, bytes] = {}
        self._changed = asyncio.Event()

    def datagram_received(self, data: bytes | str, addr: NetworkAddress) -> None:
        super().datagram_received(cast(bytes, data), addr)
        if is_closing(self._quic):  # aioquic tells it three time-outs later, which on a busy machine is long
            self.over = True
            self.ended_with = self._quic._close_event.error_code
            self._changed.set()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
        if isinstance(event, ConnectionTerminated):
            self.over = True
            self.ended_with = event.error_code
        if isinstance(event, StreamReset):
            self.resets += 1
        if self.http is not None:
            for found in self.http.handle_event(event):
                self._take(found)
        self._changed.set()

    def _take(self, event: object) -> None:
        match event:
            case HeadersReceived():
                self.status = int(dict(event.headers)[b":status"])
            case DataReceived():
                self.closed_by = (self.closed_by or b"") + event.data
            case DatagramReceived() if event.data[0] == Kind.SOUND:
                self._sound(event.data, by_datagram=True)
            case DatagramReceived():
                assert event.data[0] == Kind.ALIVE
                self.alive += 1
            case WebTransportStreamDataReceived():
                data = self._partial.pop(event.stream_id, b"") + event.data
                if event.stream_ended:
                    self._message(data)
                else:
                    self._partial[event.stream_id] = data

    def _message(self, data: bytes) -> None:
        if data[0] == Kind.CONFIG:
            told = json.loads(data[1:])
            self.configs[told["generation"]] = told
        elif data[0] == Kind.SOUND_CONFIG:
            told = json.loads(data[1:])
            self.sound_configs[told["generation"]] = told
        elif data[0] == Kind.SOUND:
            self._sound(data, by_datagram=False)
        else:
            kind, flags, *fields = HEADER.unpack_from(data)
            assert kind == Kind.VIDEO
            self.pictures.append(Received(Flag(flags), *fields, data[HEADER.size :]))

    def _sound(self, data: bytes, *, by_datagram: bool) -> None:
        kind, _, *fields = SOUND_HEADER.unpack_from(data)
        assert kind == Kind.SOUND
        self.sounds.append(ReceivedSound(*fields, data[SOUND_HEADER.size :], by_datagram))

    def ask(self, target: str, *, now: bool = True, **headers: str) -> int:
        """Ask for a session."""
        assert self.http is not None
        fields = {
            ":method": "CONNECT",
            ":protocol": "webtransport",
            ":scheme": "https",
            ":authority": "127.0.0.1:4433",
            ":path": target,
            "sec-webtransport-http3-draft02": "1",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        stream_id = self._quic.get_next_available_stream_id()
        self.http.send_headers(stream_id, [(name.encode(), value.encode()) for name, value in fields.items()])
        if self.session_id is None:
            self.session_id = stream_id
        if now:
            self.transmit()
        return stream_id

    def say(self, data: bytes, *, now: bool = True) -> None:
        assert self.http is not None
        assert self.session_id is not None
        stream_id = self.http.create_webtransport_stream(self.session_id, is_unidirectional=True)
        self._quic.send_stream_data(stream_id, data, end_stream=True)
        if now:
            self.transmit()

    async def until(self, condition: Callable[[], object], timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def connected(
    port: int, *, host: str = "127.0.0.1", trusted: Path | None = None, **options: Any
) -> AsyncIterator[Client]:
    """A client that has not asked for a session yet. trusted: the one certificate that it takes; None: it takes any."""
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN,
        is_client=True,
        verify_mode=ssl.CERT_NONE if trusted is None else ssl.CERT_REQUIRED,
        cafile=None if trusted is None else str(trusted),
        max_datagram_frame_size=65_536,
        server_name="localhost",
        **options,
    )
    loop = asyncio.get_running_loop()
    client = Client(QuicConnection(configuration=configuration))
    transport, _ = await loop.create_datagram_endpoint(lambda: client, local_addr=(host, 0))
    try:
        client.connect((host, port, 0, 0) if ":" in host else (host, port))
        async with asyncio.timeout(20):
            await client.wait_connected()
        yield client
    finally:
        client.close()
        transport.close()


class Lease(OwnHub):
    """Knows whether it was given back."""

    released = False

    def release(self) -> None:
        assert not self.released
        self.released = True


@dataclass
class ServedQuic:
    """A running service."""

    service: WebTransportService
    listener: WebTransportListener
    certificate: Certificate
    leases: list["Lease"]

    @property
    def port(self) -> int:
        return self.listener.port

    def path(self, stream: StreamName = StreamName.MAIN, camera_id: CameraId = CAMERA) -> str:
        expires_ns = SystemClock().wall_ns() + 60 * NS
        return webtransport_path(camera_id, stream, mint(SECRET, camera_id, WATCH, expires_ns))


@asynccontextmanager
async def serving(
    camera: Camera, sub: Camera | None = None, *, max_viewers: int = 8, hold_ms: int = 250, port: int = 0
) -> AsyncIterator[ServedQuic]:
    """A service that knows one camera, and another one's pictures as its sub stream."""

    def main(camera_id: CameraId) -> Hub:
        if camera_id != CAMERA:
            raise NotFound(f"no camera {camera_id}")
        return camera.hub

    others = {StreamName.SUB: lambda camera_id: sub.hub} if sub is not None else None
    hubs = own_hubs(main, others)
    leases: list[Lease] = []

    def lease(camera_id: CameraId, stream: StreamName = StreamName.MAIN, /) -> Lease:
        leases.append(Lease(hubs(camera_id, stream).hub))
        return leases[-1]

    service = WebTransportService(
        lease, SECRET, SystemClock(), max_viewers=max_viewers, hold_ns=hold_ms * 1_000_000
    )
    listener = WebTransportListener(service)
    certificate = make_certificate(SystemClock().wall_ns())
    listener.show(certificate)
    await listener.start(["127.0.0.1"], port)
    try:
        yield ServedQuic(service, listener, certificate, leases)
    finally:
        await listener.stop()
