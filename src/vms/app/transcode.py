"""The transcode role: cameras' streams as H.264 that every browser plays, served to stream workers like any other hub.

Nothing that records depends on it. Without a viewer who needs it, it does nothing.
"""

from collections.abc import Callable, Mapping, Sequence

from vms.app.role import Around, Method, OnChange, nobody_told
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import TranscodeConfig
from vms.media import Hub
from vms.proto import worker_pb2
from vms.relay import RelayServer
from vms.relay.lease import HubLease
from vms.supervisor.counts import usable_cores
from vms.telemetry.metrics import MetricSource
from vms.transcode import TranscodeOptions, TranscodeService


class TranscodeRole:
    """lease: where hubs come from. serve_hubs: to other processes. before: who counts in what stands before it."""

    def __init__(
        self,
        around: Around,
        lease: Callable[[CameraId], HubLease],
        *,
        serve_hubs: bool = True,
        before: Sequence[MetricSource] = (),
    ) -> None:
        self.on_change: OnChange = nobody_told
        self.service = TranscodeService(lease, transcode_options(around.config.transcode), around.clock)
        path = around.places.relay(around.worker)
        self._relay_path = str(path) if serve_hubs else ""
        self._relay = (
            RelayServer(_no_main, around.clock, path=path, others=self.lease) if serve_hubs else None
        )
        self._before = before

    def lease(self, camera_id: CameraId, stream: StreamName = StreamName.COMPAT, /) -> HubLease:
        """A camera's transcoded stream. Raises NotFound, Unavailable when as many as may be are transcoded."""
        if stream is not StreamName.COMPAT:
            raise NotFound(f"camera {camera_id}: its {stream} stream is served by the process that pulls it")
        return self.service.lease(camera_id)

    @property
    def sources(self) -> Sequence[MetricSource]:
        return [self.service, *([self._relay] if self._relay is not None else []), *self._before]

    @property
    def methods(self) -> Mapping[str, Method]:
        return {}

    async def start(self) -> None:
        """Raises CannotListen."""
        await self.service.start()
        if self._relay is not None:
            await self._relay.start()

    async def stop(self) -> None:
        """End every transcoding."""
        if self._relay is not None:
            await self._relay.stop()
        await self.service.stop()

    def end_camera(self, camera_id: CameraId) -> None:
        """A camera is no longer configured."""
        if self._relay is not None:
            self._relay.end(camera_id)
        self.service.end(camera_id)

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        status.relay = self._relay_path
        busy = len(self.service.cameras)
        if busy:
            status.detail = f"transcodes {busy} camera{'s' if busy > 1 else ''}"


def transcode_options(config: TranscodeConfig) -> TranscodeOptions:
    """What the configuration asks for on this machine. `streams` 0 has no such role."""
    most = usable_cores() if config.streams == "auto" else max(config.streams, 1)
    return TranscodeOptions(most, config.max_height, config.bitrate, encoder=config.encoder)


def _no_main(camera_id: CameraId) -> Hub:
    raise NotFound(f"camera {camera_id} is pulled by another process; here are transcoded streams alone")
