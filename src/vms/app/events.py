"""What the roles have to tell as events: kept on disk until the bus has them (vms.bus.events).

Belongs here: from what happened to an event. Does not: keeping and sending (vms.bus), reading (vms.gateway.journal).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from vms.bus import Bus
from vms.bus.events import Outbox
from vms.common.clock import Clock
from vms.common.errors import VmsError
from vms.common.ids import CameraId, uuid7
from vms.ingest.status import CameraState, StreamStatus
from vms.proto import event_pb2
from vms.supervisor.worker import WorkerChange
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind

log = get_logger(__name__)


class EventTeller:
    """The events of one process. A file that cannot be used is said, and its events are kept in memory."""

    def __init__(self, path: Path | None, worker: str, bus: Bus, clock: Clock) -> None:
        self._worker = worker
        self._bus = bus
        self._clock = clock
        self._outbox = Outbox(path, bus, clock)

    async def start(self) -> None:
        """Begin to deliver; does not fail for a disk."""
        try:
            await self._outbox.start()
        except VmsError as error:
            log.error("events are kept in memory alone", reason=str(error))
            self._outbox = Outbox(None, self._bus, self._clock)
            await self._outbox.start()

    async def stop(self) -> None:
        await self._outbox.stop()

    def camera_state(self, camera_id: CameraId, status: StreamStatus) -> None:
        """A camera has come live or has failed."""
        live = status.state is CameraState.LIVE
        event = event_pb2.Event(
            kind="camera_live" if live else "camera_failed",
            camera_id=camera_id,
            worker=self._worker,
            text="the camera is live" if live else status.reason or "",
        )
        if not live and status.reason_code is not None:
            event.facts["reason_code"] = status.reason_code
        self._outbox.emit(event)

    def recording_changed(self, camera_id: CameraId, error: str | None) -> None:
        """A camera that should be recorded is not, or is again."""
        self._outbox.emit(
            event_pb2.Event(
                kind="recording_resumed" if error is None else "recording_failed",
                camera_id=camera_id,
                worker=self._worker,
                text="the camera is recorded again, or is ready to be" if error is None else error,
            )
        )

    def volume_changed(self, path: Path, error: str | None, failure: str) -> None:
        """A volume cannot be written to, or works again. failure: the kind, such as full or read_only."""
        event = event_pb2.Event(
            kind="volume_works" if error is None else "volume_failed",
            worker=self._worker,
            text="the volume works again" if error is None else error,
        )
        event.facts["volume"] = str(path)
        if failure:
            event.facts["failure"] = failure
        self._outbox.emit(event)

    def worker_changed(self, change: WorkerChange) -> None:
        """A process was started, has ended, or hung."""
        event = event_pb2.Event(
            kind=f"worker_{change.kind}", worker=change.worker, text=change.detail or change.kind
        )
        event.facts["role"] = change.role
        event.facts["pid"] = str(change.pid)
        event.facts["asked"] = "yes" if change.asked else "no"
        if change.exit_status is not None:
            event.facts["exit_status"] = str(change.exit_status)
        self._outbox.emit(event)

    def tell(self, kind: str, camera_id: CameraId, at_ns: int, text: str, facts: Mapping[str, str]) -> str:
        """Something that another system says happened; the event's id. Implements the API's TellEvent."""
        event = event_pb2.Event(
            id=str(uuid7(self._clock.wall_ns())),
            kind=kind,
            camera_id=camera_id,
            at_ns=at_ns,
            worker=self._worker,
            text=text,
            facts=facts,
        )
        self._outbox.emit(event)
        return event.id

    def metrics(self) -> Iterable[MetricFamily]:
        outbox = self._outbox
        for name, text, value in (
            ("emitted", "events that happened", outbox.emitted),
            ("delivered", "events that the bus has", outbox.delivered),
            ("sent_again", "events sent again to a bus that lost its store", outbox.sent_again),
            ("dropped", "events given up, the oldest first", outbox.dropped),
        ):
            yield MetricFamily(f"vms_events_{name}", MetricKind.COUNTER, text, (), [((), float(value))])
        text = "events that wait for the bus"
        yield MetricFamily("vms_events_waiting", MetricKind.GAUGE, text, (), [((), float(outbox.waiting))])
