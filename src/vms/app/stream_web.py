"""A stream worker's TCP port: WebSocket, HLS and ICE over TCP, beside the UDP port of the same number.

Belongs here: wiring, and which addresses are listened on. Does not: the protocols (vms.stream, vms.wire).
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from vms.app.certificate import CertificateWatch
from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.common.tls import server_context
from vms.config import TlsConfig, is_loopback
from vms.stream import LeaseHub
from vms.stream.hls import HlsService, UrlTokens
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront, any_addresses
from vms.stream.http.request import Router
from vms.stream.http.tls import tls_connections
from vms.stream.websocket.recorded import RecordedFragments
from vms.stream.websocket.reports import ViewerStages
from vms.stream.websocket.service import WebSocketService
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricSource
from vms.wire.webrtc.endpoint import PortUnavailable, WebRtcEndpoint

log = get_logger(__name__)


class StreamWeb:
    """host: as configured; only loopback is listened on where that is loopback. secret: of tokens in URLs."""

    def __init__(
        self,
        lease: LeaseHub,
        secret: bytes,
        clock: Clock,
        *,
        host: str,
        recorded: RecordedFragments | None = None,
        tls: TlsConfig | None = None,
    ) -> None:
        self.websocket = WebSocketService(lease, secret, clock, recorded=recorded)
        self.stages = ViewerStages()
        self.websocket.on_report = self.stages.add
        self.hls = HlsService(lease, clock, UrlTokens(secret, clock))
        router = Router()
        self.websocket.register(router)
        self.hls.route(router)
        self.server = HttpServer(router)
        self.front = TcpFront(self.server.connection)
        self._tls = tls
        self._watch: CertificateWatch | None = None
        self._host = host

    @property
    def sources(self) -> Sequence[MetricSource]:
        return [self.websocket, self.stages, self.hls]

    @property
    def port(self) -> int:
        """That was bound; 0 before `start`."""
        return self.front.port

    @property
    def watched(self) -> Mapping[CameraId, int]:
        """WebSocket viewers by camera."""
        return self.websocket.watched

    async def start(self, endpoint: WebRtcEndpoint, port: int) -> None:
        """Listen on the endpoint's port number. port: as configured; 0 takes another one where that is taken.

        Raises PortUnavailable; Unavailable when the certificate cannot be used.
        """
        if self._tls is not None:
            context = server_context(self._tls.certificate, self._tls.key)
            self.front.tls = tls_connections(context, self.server)
            self._watch = CertificateWatch(self._tls, context)
            await self._watch.start()
        self.front.ice_tcp = endpoint.tcp_connection
        local = is_loopback(self._host)
        address = "127.0.0.1" if self._host == "localhost" else self._host
        hosts = (address,) if local else any_addresses()
        try:
            await self.front.start(hosts, endpoint.port)
        except PortUnavailable:
            if port != 0:
                raise
            await self.front.start(hosts, 0)
        endpoint.offer_tcp(self.front.port, {ip_address(address)} if local else None)
        log.info("live view over TCP ready", port=self.front.port)

    def end_camera(self, camera_id: CameraId) -> None:
        self.websocket.end_camera(camera_id)
        self.hls.end_camera(camera_id)

    def end_stream(self, camera_id: CameraId, stream: StreamName) -> None:
        self.websocket.end_stream(camera_id, stream)
        self.hls.end_stream(camera_id, stream)

    async def stop(self) -> None:
        """Say goodbye to every viewer."""
        if self._watch is not None:
            await self._watch.stop()
        await self.front.stop()
        await self.websocket.stop()
        await self.hls.stop()
        self.server.close()
