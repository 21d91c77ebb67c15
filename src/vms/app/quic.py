"""The quic role: live view over WebTransport, in a process of its own because each viewer costs CPU. Experimental.

Nothing depends on it, and without a port in the configuration there is no such process.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from vms.app.role import Around, Method, OnChange, nobody_told
from vms.common.clock import NS
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import is_loopback
from vms.proto import worker_pb2
from vms.stream import LeaseHub
from vms.stream.http.listener import any_addresses
from vms.stream.quic.address import WebTransportAt
from vms.stream.quic.certificate import Certificate, OwnCertificates, load_certificate
from vms.stream.quic.listener import WebTransportListener
from vms.stream.quic.service import WebTransportService
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricSource

log = get_logger(__name__)

LOOK_AT_CERTIFICATES_S = 60.0


class QuicRole:
    """lease: where hubs come from. url_secret: of the installation, for tokens in URLs."""

    def __init__(
        self, around: Around, lease: LeaseHub, *, url_secret: bytes, before: Sequence[MetricSource] = ()
    ) -> None:
        """before: who counts in what stands before it."""
        config = around.config.webtransport
        self.on_change: OnChange = nobody_told
        self.service = WebTransportService(
            lease, url_secret, around.clock, max_viewers=config.max_viewers, hold_ns=int(config.hold * NS)
        )
        self.service.on_viewers = self._viewers_changed
        self.listener = WebTransportListener(self.service)
        self._around = around
        self._before = before
        self._own: OwnCertificates | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def sources(self) -> Sequence[MetricSource]:
        return [self.service, *self._before]

    @property
    def methods(self) -> Mapping[str, Method]:
        return {}

    async def start(self) -> None:
        """Raises Unavailable: the port is taken, or the certificate cannot be used."""
        http, port = self._around.config.http, self._around.config.webtransport.port
        self.listener.show(self._first_certificate())
        if is_loopback(http.host):
            address = "127.0.0.1" if http.host == "localhost" else http.host
            # Of https://localhost, Chromium tries this one alone
            await self.listener.start((address,), port or 0, where_it_can_be=("::1",))
        else:
            await self.listener.start(any_addresses(), port or 0)
        await self._tell()
        self._looking = asyncio.create_task(self._look_at_certificates(), name="certificates")
        log.info("live view over WebTransport ready; it is experimental", port=self.listener.port)

    async def stop(self) -> None:
        """Say goodbye to every viewer."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        with suppress(OSError):
            self._around.places.webtransport.unlink()
        await self.listener.stop()

    def end_camera(self, camera_id: CameraId) -> None:
        self.service.end_camera(camera_id)

    def end_sub(self, camera_id: CameraId) -> None:
        """End the viewers of the sub stream of a camera that has none; without effect when there are none."""
        self.service.end_stream(camera_id, StreamName.SUB)

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        watched = self.service.watched
        status.sessions = sum(watched.values())
        for camera_id, viewers in watched.items():
            status.viewers[camera_id] = viewers
        status.detail = "experimental"

    def _viewers_changed(self) -> None:
        self.on_change()

    def _first_certificate(self) -> Certificate:
        tls = self._around.config.http.tls
        if tls is not None:
            return load_certificate(tls.certificate, tls.key)
        self._own = OwnCertificates(self._around.clock.wall_ns())
        return self._own.shown

    async def _look_at_certificates(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AT_CERTIFICATES_S)
            await self.look_at_certificates()

    async def look_at_certificates(self) -> None:
        """Show another one where it is time for our own, or where the files of http.tls hold another one."""
        own, tls = self._own, self._around.config.http.tls
        if own is not None:
            if own.advance(self._around.clock.wall_ns()):
                self.listener.show(own.shown)
                await self._tell()
        elif tls is not None:
            try:
                self.listener.show(await asyncio.to_thread(load_certificate, tls.certificate, tls.key))
            except Unavailable as error:
                log.error("certificate_refused", problem=str(error), effect="the one before is still served")

    async def _tell(self) -> None:
        hashes = self._own.hashes if self._own is not None else ()
        try:
            at = WebTransportAt(self.listener.port, hashes)
            await asyncio.to_thread(at.save, self._around.places.webtransport)
        except OSError as error:
            log.error("viewers cannot be told of WebTransport", reason=str(error))
