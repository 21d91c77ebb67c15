"""The srt role: live streams by SRT, out and in, in a process of its own: a fault of the library ends it alone.

Nothing that records depends on it but cameras that come by SRT. Without anything to do there is no such process.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from vms.app.role import Around, Method, OnChange, nobody_told
from vms.common.errors import InvalidInput, Unavailable
from vms.common.ids import CameraId
from vms.common.srt_url import SrtUrl
from vms.common.stream_name import StreamName
from vms.config import SrtConfig, SrtPushConfig
from vms.gateway.client import RegistryClient
from vms.ingest.srt.gateway import SrtGateway
from vms.proto import worker_pb2
from vms.stream import LeaseHub
from vms.stream.srt import Push, SrtAccess, SrtService
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricSource
from vms.wire.srt import (
    Accept,
    Address,
    Refuse,
    RejectReason,
    SrtConnection,
    SrtOptions,
    StreamId,
    check_passphrase,
    parse_stream_id,
)

log = get_logger(__name__)

AGAIN_S = 5.0
_SECRET_MOST_BYTES = 4096


class SrtRole:
    """lease: where hubs come from. registry: which cameras there are. url_secret: of the installation."""

    def __init__(
        self,
        around: Around,
        lease: LeaseHub,
        registry: RegistryClient,
        *,
        url_secret: bytes,
        before: Sequence[MetricSource] = (),
    ) -> None:
        """before: who counts in what stands before it."""
        config = around.config
        self.on_change: OnChange = nobody_told
        srt = config.srt
        transcodes = config.transcode.streams != 0

        def known(camera_id: CameraId, stream: StreamName) -> bool:
            if registry.assignment(camera_id) is None:
                return False
            if stream is StreamName.SUB:
                return registry.has_sub(camera_id)
            return stream is StreamName.MAIN or transcodes

        passphrase = srt.passphrase.get_secret_value() if srt.passphrase is not None else None
        self.service = SrtService(
            lease,
            SrtAccess(url_secret, passphrase, known, around.clock),
            around.clock,
            address=_address(config.srt_host, srt.port) if srt.port is not None else None,
            options=srt_options(srt),
            pushes=[_push(each) for each in srt.push],
            max_viewers=srt.max_viewers,
        )
        self.service.on_viewers = self._changed
        self.gateway = SrtGateway(around.places.srt, self.service.poller, srt_options(srt))
        publishers = srt.publish_passphrase or srt.passphrase
        self._publishers_passphrase = publishers.get_secret_value() if publishers is not None else None
        self.service.access.publisher = self._decide_publisher
        self.service.on_publisher = self._take_publisher
        self._before = before
        self._reason = ""  # why it does not serve
        self._trying: asyncio.Task[None] | None = None

    @property
    def sources(self) -> Sequence[MetricSource]:
        return [self.service, self.gateway, *self._before]

    @property
    def methods(self) -> Mapping[str, Method]:
        return {}

    async def start(self) -> None:
        """Where that cannot be, without the library or with its port taken, the status says why, and it is tried again."""
        if not await self._begun():
            self._trying = asyncio.create_task(self._try_again())

    async def _try_again(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_S)
            if await self._begun():
                return

    async def _begun(self) -> bool:
        before = self._reason
        try:
            await self._begin()
        except Unavailable as error:
            self._reason = str(error)
        else:
            self._reason = ""
        if self._reason != before:
            if self._reason:
                log.error("SRT cannot be served", reason=self._reason)
            self.on_change()
        return not self._reason

    async def _begin(self) -> None:
        await self.service.start()
        try:
            await self.gateway.start()
        except BaseException:
            await self.service.stop()
            raise

    async def stop(self) -> None:
        """End every connection."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.wait((self._trying,))
        if not self._reason:
            await self.gateway.stop()
            await self.service.stop()

    def end_camera(self, camera_id: CameraId) -> None:
        self.service.end_camera(camera_id)

    def end_sub(self, camera_id: CameraId) -> None:
        """End the viewers of the sub stream of a camera that has none; without effect when there are none."""
        self.service.end_stream(camera_id, StreamName.SUB)

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        watched = self.service.watched
        status.sessions = sum(watched.values())
        if self._reason:
            status.detail = self._reason
            return
        for camera_id, viewers in watched.items():
            status.viewers[camera_id] = viewers
        if self.gateway.incoming:
            status.detail = f"{self.gateway.incoming} cameras send by SRT"
        failed = [each for each in self.service.pushes if each.reason]
        if failed:
            first = failed[0]
            status.detail = f"push of {first.camera_id} to {first.target}: {first.reason}"

    def _changed(self) -> None:
        self.on_change()

    def _decide_publisher(self, wanted: StreamId) -> Accept | Refuse:
        """In a thread of the library. As with viewers, who has no passphrase learns of no camera that there is not."""
        if wanted.stream is not StreamName.MAIN:
            return Refuse(RejectReason.BAD_REQUEST)
        reason = self.gateway.refuses(wanted.camera_id)
        hides = reason is RejectReason.NOT_FOUND and self._publishers_passphrase is not None
        return Accept(self._publishers_passphrase) if reason is None or hides else Refuse(reason)

    def _take_publisher(self, connection: SrtConnection) -> None:
        self.gateway.take(parse_stream_id(connection.stream_id).camera_id, connection)


def srt_options(config: SrtConfig) -> SrtOptions:
    """Of the connections of callers."""
    return SrtOptions(latency_ms=round(config.latency * 1000), key_bytes=config.key_bits // 8)


def _address(host: str, port: int) -> Address:
    """Raises Unavailable for a name that has no address."""
    host = "127.0.0.1" if host == "localhost" else host
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Unavailable(
            f"srt.host {host}: {error.strerror}; write an IP address of this machine"
        ) from error
    return str(found[0][4][0]), port


def _push(config: SrtPushConfig) -> Push:
    path = config.passphrase_file

    async def secret() -> str | None:
        return await asyncio.to_thread(read_secret, path) if path is not None else None

    url = SrtUrl.parse(config.url.get_secret_value())
    return Push(CameraId(config.camera), StreamName(config.stream), url, secret)


def read_secret(path: Path) -> str:
    """The passphrase in the first line of a file. Raises Unavailable, InvalidInput for what is none."""
    try:
        with path.open(encoding="utf-8") as file:
            return check_passphrase(file.readline(_SECRET_MOST_BYTES).strip())
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            f"srt.push: the passphrase cannot be read from {path}: {type(error).__name__}"
        ) from error
    except InvalidInput as error:
        raise InvalidInput(f"srt.push: {path}: {error}") from error
