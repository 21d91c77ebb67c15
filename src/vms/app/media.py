"""The media role: pull cameras, record them, serve their hubs. It depends on nothing else that runs.

What it has to do comes from the agent: at once from the process's own snapshot, then from the bus.
"""

from collections.abc import Mapping, Sequence

from vms.app.convert import camera_status_message
from vms.app.events import EventTeller
from vms.app.late_signer import LateSigner
from vms.app.publish import PublishServing, make_publishers
from vms.app.role import Around, Method, OnChange, nobody_told
from vms.common.camera import Camera, RecordMode
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.gateway.agent import MediaAgent
from vms.ingest import IngestService, StreamStatus
from vms.ingest.whip_source import sources
from vms.media import GapReason
from vms.proto import worker_pb2
from vms.relay import RelayServer
from vms.storage.keeping import Keeping
from vms.storage.recording import RecordingService
from vms.storage.triggers import EventTriggers
from vms.telemetry.metrics import MetricSource


class MediaRole:
    """keepings: who looks after each configured volume, in their order. serve_hubs: to other processes.

    on_change: told when its status is worth telling.
    """

    def __init__(self, around: Around, keepings: Sequence[Keeping], *, serve_hubs: bool = True) -> None:
        config, places, worker = around.config, around.places, around.worker
        bus, clock = around.bus, around.clock
        self.on_change: OnChange = nobody_told
        self._publishers = make_publishers(config, worker, clock)
        self._publishing = PublishServing(self._publishers, bus, worker)
        self.ingest = IngestService(
            clock,
            sources(self._publishers, places.srt),
            on_state=self._state_changed,
            on_sub_state=self._sub_state_changed,
        )
        self.recording = RecordingService(
            list(zip(config.volumes(), keepings, strict=True)),
            config.storage.segment,
            clock,
            system_id=places.system_id(),
            worker=worker,
            known_volumes=places.known_volumes,
            signer=LateSigner(places.data_dir),
            classes=config.storage.classes,
            site_time_zone=config.site.time_zone,
        )
        self._triggers = EventTriggers(bus, self.recording)
        self.agent = MediaAgent(
            worker,
            bus,
            places.data_dir,
            places.snapshot(worker),
            clock=clock,
            apply=self._apply,
            told=self._told,
        )
        self._events = EventTeller(places.outbox(worker), worker, bus, clock)
        self.recording.watch.on_volume = self._events.volume_changed
        self.recording.watch.on_camera = self._recording_changed
        self._relay = (
            RelayServer(self.ingest.hub, clock, path=places.relay(worker), others=self.ingest.lease)
            if serve_hubs
            else None
        )
        self._relay_path = str(places.relay(worker)) if serve_hubs else ""
        self._started = False

    @property
    def sources(self) -> Sequence[MetricSource]:
        relay = [self._relay] if self._relay is not None else []
        return [self.ingest, self._publishers, self.recording, self.agent, self._events, *relay]

    @property
    def methods(self) -> Mapping[str, Method]:
        return {}

    async def start(self) -> None:
        """Record what the snapshot says; everything else may come later."""
        await self.recording.start()
        await self.ingest.start()
        await self._events.start()
        await self._triggers.start()
        await self.agent.start()
        self._publishing.start()
        if self._relay is not None:
            await self._relay.start()

    async def stop(self) -> None:
        """Close every recording."""
        if self._relay is not None:
            await self._relay.stop()
        self._publishing.stop()
        await self.agent.stop()
        await self._triggers.stop()
        await self.ingest.stop()
        await self.recording.stop()
        await self._events.stop()

    def describe(self, status: worker_pb2.WorkerStatus) -> None:
        status.relay = self._relay_path
        for camera_id in self.ingest.cameras:
            hub = self.ingest.hub(camera_id)
            told = camera_status_message(camera_id, self.ingest.status(camera_id), hub.tracks, hub.reorders)
            told.recording = self.recording.recording(camera_id)
            told.recording_state = self.recording.recording_state(camera_id).value
            error = self.recording.recording_error(camera_id)
            if error is not None:
                told.recording_error = error
            told.revision = self.agent.revision(camera_id)
            sub, sub_hub = self.ingest.sub_status(camera_id), self.ingest.sub_hub(camera_id)
            if sub is not None and sub_hub is not None:
                told.sub.CopyFrom(camera_status_message(camera_id, sub, sub_hub.tracks, sub_hub.reorders))
            status.cameras.append(told)

    async def _apply(self, old: Camera | None, new: Camera | None) -> None:
        """Make a change real; called once a change, in order for each camera."""
        if new is None:
            assert old is not None
            await self.ingest.remove(old.id)
            await self.recording.forget(old.id)
            if self._relay is not None:
                self._relay.end(old.id)
        else:
            hub = await self.ingest.put(new)
            if new.sub_source is None and self._relay is not None:
                self._relay.end(new.id, StreamName.SUB)
            if new.record is RecordMode.OFF:
                self.recording.keep(new)
                await self.recording.stop_recording(new.id, GapReason.RECORDING_OFF)
            else:
                self.recording.record(new, hub)
                if old is None:  # also after a crash, in the middle of what an event made it record
                    self.recording.events_missed(new.id)
        self.on_change()

    async def _told(self) -> None:
        await self.on_change()  # looked up when it is called: whoever runs the role sets it

    def _recording_changed(self, camera_id: CameraId, error: str | None) -> None:
        self.on_change()
        self._events.recording_changed(camera_id, error)

    def _state_changed(self, camera_id: CameraId, status: StreamStatus) -> None:
        self.on_change()
        self._events.camera_state(camera_id, status)

    def _sub_state_changed(self, camera_id: CameraId) -> None:
        self.on_change()
