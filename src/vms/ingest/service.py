"""All cameras of this process: a hub and a supervisor each, and their sub streams on demand."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.ingest.rtsp_source import RtspSource
from vms.ingest.source import SourceFactory
from vms.ingest.status import CameraState, StreamStatus
from vms.ingest.sub_streams import SubLease, SubStreams
from vms.ingest.supervisor import RECEPTION, CameraSupervisor
from vms.media import GapReason, Hub, Sink
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind

log = get_logger(__name__)


class MainLease:
    """A lease on a main stream's hub, which is pulled whoever wants it. Implements `HubLease`."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def ready(self, timeout_s: float) -> None:
        """What the hub knows it knows."""

    def release(self) -> None:
        """Nothing is held."""


class IngestService:
    """Pulls every camera it is told to. A camera's hub stays the same over changes and reconnections."""

    def __init__(
        self,
        clock: Clock,
        open_source: SourceFactory = RtspSource,
        *,
        on_state: Callable[[CameraId, StreamStatus], None] = lambda camera_id, status: None,
        on_sub_state: Callable[[CameraId], None] = lambda camera_id: None,
    ) -> None:
        """on_state: told when a camera has come live or has failed. on_sub_state: when its sub stream has, or rests."""
        self._clock = clock
        self._open_source = open_source
        self._on_state = on_state
        self._supervisors: dict[CameraId, CameraSupervisor] = {}
        self._subs = SubStreams(clock, open_source, on_state=on_sub_state, on_sink_failed=_report_failed_sink)

    async def start(self) -> None:
        """Nothing to prepare: cameras come by `put`."""

    async def stop(self) -> None:
        supervisors = tuple(self._supervisors.values())
        self._supervisors.clear()
        detail = "the system was stopped"
        stopping = [s.stop(GapReason.SYSTEM_STOPPED, detail) for s in supervisors]
        await asyncio.gather(*stopping, self._subs.stop())

    async def put(self, camera: Camera) -> Hub:
        """Pull `camera` from now on, or change how it is pulled; the hub of its main stream."""
        hub = await self._put_main(camera)
        await self._subs.put(camera)
        return hub

    async def _put_main(self, camera: Camera) -> Hub:
        known = self._supervisors.get(camera.id)
        if known is not None:
            if (known.camera.source, known.camera.transport) == (camera.source, camera.transport):
                known.rename(camera)
                return known.hub
            await known.stop(GapReason.CAMERA_LOST, "the camera's address was changed")
        hub = known.hub if known is not None else Hub(camera.id, _report_failed_sink)
        supervisor = CameraSupervisor(
            camera,
            hub,
            self._clock,
            self._open_source,
            on_state=lambda it: self._on_state(it.camera.id, it.status()),
        )
        self._supervisors[camera.id] = supervisor
        supervisor.start()
        return hub

    async def remove(self, camera_id: CameraId) -> None:
        """Disconnect a camera and forget it; without effect for an unknown one."""
        supervisor = self._supervisors.pop(camera_id, None)
        if supervisor is not None:
            await supervisor.stop(GapReason.RECORDING_OFF, "the camera was removed")
        await self._subs.remove(camera_id)

    def hub(self, camera_id: CameraId) -> Hub:
        """The hub of the camera's main stream. Raises NotFound."""
        return self._get(camera_id).hub

    def lease(self, camera_id: CameraId, stream: StreamName = StreamName.MAIN) -> MainLease | SubLease:
        """The right to the hub of one of a camera's streams; a sub stream is pulled while it is held.

        Raises NotFound for an unknown camera and for a stream that it does not have.
        """
        supervisor = self._get(camera_id)
        if stream is StreamName.MAIN:
            return MainLease(supervisor.hub)
        if stream is StreamName.SUB:
            return self._subs.lease(camera_id)
        raise NotFound(f"the process that pulls camera {camera_id} has no {stream} stream of it")

    def sub_hub(self, camera_id: CameraId) -> Hub | None:
        """The hub of the camera's sub stream, pulled or not; None where it has none."""
        return self._subs.hub(camera_id)

    def sub_status(self, camera_id: CameraId) -> StreamStatus | None:
        """The state of the camera's sub stream; stopped while nobody wants it. None where it has none."""
        return self._subs.status(camera_id)

    def status(self, camera_id: CameraId) -> StreamStatus:
        """The camera's live state. Raises NotFound."""
        return self._get(camera_id).status()

    def metrics(self) -> Iterable[MetricFamily]:
        supervisors = self._supervisors
        yield _family(
            "vms_camera_live",
            MetricKind.GAUGE,
            "1 while pictures come from the camera",
            {i: float(s.status().state is CameraState.LIVE) for i, s in supervisors.items()},
        )
        counters: dict[str, tuple[str, Callable[[CameraSupervisor], int]]] = {
            "vms_camera_units": ("access units received", lambda s: s.hub.units),
            "vms_camera_bytes": ("bytes of media received", lambda s: s.hub.bytes),
            "vms_camera_gaps": ("times that something was lost", lambda s: s.hub.gaps),
            "vms_camera_sessions": ("connections begun", lambda s: s.sessions),
            "vms_camera_failures": ("connections that failed or ended", lambda s: s.failures),
            "vms_camera_crashes": ("connections ended by an internal error", lambda s: s.crashes),
            "vms_camera_key_requests": ("key pictures asked of the camera", lambda s: s.key_requests),
            "vms_camera_sinks_failed": (
                "consumers detached after an internal error",
                lambda s: s.hub.sinks_failed,
            ),
        }
        for name in RECEPTION:
            values = {i: float(s.reception().get(name, 0)) for i, s in supervisors.items()}
            text = f"{name.replace('_', ' ')} in the camera's RTP streams"
            yield _family(f"vms_camera_rtp_{name}", MetricKind.COUNTER, text, values)
        for name, (text, read) in counters.items():
            yield _family(name, MetricKind.COUNTER, text, {i: float(read(s)) for i, s in supervisors.items()})
        yield from self._sub_metrics()

    def _sub_metrics(self) -> Iterable[MetricFamily]:
        pulled = {i: float(each) for i, each in self._subs.pulled().items()}
        yield _family("vms_camera_sub_pulled", MetricKind.GAUGE, "1 while the sub stream is pulled", pulled)
        for name, text in (("units", "access units"), ("bytes", "bytes of media")):
            values = {i: float(getattr(hub, name)) for i, hub in self._subs.hubs()}
            text = f"{text} received of the sub stream"
            yield _family(f"vms_camera_sub_{name}", MetricKind.COUNTER, text, values)

    @property
    def cameras(self) -> Sequence[CameraId]:
        """Those that are pulled."""
        return tuple(self._supervisors)

    def _get(self, camera_id: CameraId) -> CameraSupervisor:
        supervisor = self._supervisors.get(camera_id)
        if supervisor is None:
            raise NotFound(f"no camera {camera_id}")
        return supervisor


def _report_failed_sink(sink: Sink, error: Exception) -> None:
    log.error("consumer failed and was detached", sink=type(sink).__name__, exc_info=error)


def _family(name: str, kind: MetricKind, text: str, values: dict[CameraId, float]) -> MetricFamily:
    return MetricFamily(
        name, kind, text, ("camera",), [((camera_id,), value) for camera_id, value in values.items()]
    )
