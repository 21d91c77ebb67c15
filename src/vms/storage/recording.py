"""Recording cameras: the media side of storage.

A media process only writes files. It depends on its disks alone: keepers may be away for as long as they like, from
the start on.

Belongs here: which recorder writes where, and looking after the volumes as a writer does. Does not: rows,
recovery, retention (keeper), finding what was recorded (library).
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vms.common.camera import Camera, RetentionLimits
from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import PreviousFile, Signer
from vms.media import Gap, GapReason, Hub, Track
from vms.storage.camera_recorder import CameraRecorder
from vms.storage.chain import Chain
from vms.storage.event_ranges import EventRanges
from vms.storage.gaps import INTENDED, GapLog, GapStore
from vms.storage.identity import KnownVolumes
from vms.storage.keeper_link import KeeperLink
from vms.storage.keeping import EventRange, Keeping
from vms.storage.layout import MAIN_STREAM
from vms.storage.live import LiveSegment
from vms.storage.metrics import recording_metrics
from vms.storage.precedents import Precedents
from vms.storage.preroll import MemoryBudget
from vms.storage.recorder import Recorder
from vms.storage.recording_plan import recording_plan
from vms.storage.recording_state import RecordingState
from vms.storage.recording_volume import RecordingVolume
from vms.storage.retention_rule import RetentionRule, retention_rule
from vms.storage.volume_care import keep_looking, look_after, until_open
from vms.storage.volume_choice import choose, should_move
from vms.storage.watch import RecordingWatch
from vms.storage.writer import QUEUE_LIMIT_BYTES, SYNC_INTERVAL_S, QueueBudget, VolumeWriter
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily

FINISH_TIMEOUT_S = 30.0  # for all that is queued to be written and closed
STOP_TIMEOUT_S = 5.0
LAST_WORDS_S = 5.0  # for keepers that answer; what they do not hear they find
STEP_NS = NS  # from one tick to the next the two clocks part this much only when one was set
TICK_S = 1.0

log = get_logger(__name__)


class RecordingService:
    """Records streams into volumes.

    All methods are the event loop's; nothing here waits for a disk or a keeper on it.
    """

    def __init__(
        self,
        volumes: Sequence[tuple[VolumeConfig, Keeping]],
        segment_s: float,
        clock: Clock,
        *,
        system_id: str,
        worker: str = "media",
        known_volumes: Path | None = None,
        queue_limit_bytes: int = QUEUE_LIMIT_BYTES,
        sync_interval_s: float = SYNC_INTERVAL_S,
        signer: Signer | None = None,
        classes: Mapping[str, RetentionLimits] | None = None,
        site_time_zone: str = "UTC",
        pre_roll_limit_bytes: int | None = None,
    ) -> None:
        """volumes: where recordings go, each with its keeper; see volume_choice for which a new segment goes to.

        system_id: of the installation; a volume is one system's at a time. worker: names this process to keepers.
        known_volumes: a file outside of the volumes that remembers which disk belongs where; it may be shared. None
        forgets it over restarts. signer: of closed recordings; None leaves them unsigned. classes: of retention, by name.
        site_time_zone: of schedules that name none. pre_roll_limit_bytes: what cameras may keep in memory together; None: what suits the machine.
        Raises VolumeUnavailable when `known_volumes` is damaged.
        """
        self._clock = clock
        self._site_time_zone = site_time_zone
        self._classes = classes or {}
        self._segment_ns = round(segment_s * NS)
        known = KnownVolumes(known_volumes)
        self.volumes = [RecordingVolume(config, clock, known, system_id) for config, _ in volumes]
        queues = QueueBudget()
        self.writers = [
            VolumeWriter(
                volume,
                queue_limit_bytes=queue_limit_bytes,
                sync_interval_s=sync_interval_s,
                signer=signer,
                budget=queues,
            )
            for volume in self.volumes
        ]
        keepers = [keeper for _, keeper in volumes]
        self._rules: dict[CameraId, RetentionRule] = {}
        self.links = [
            KeeperLink(keeper, writer, worker, self._rules)
            for keeper, writer in zip(keepers, self.writers, strict=True)
        ]
        self.gaps = GapStore(keepers)
        self.budget = MemoryBudget(pre_roll_limit_bytes)
        self.watch = RecordingWatch(clock)
        self.events_heard = True
        self._cameras: dict[CameraId, Camera] = {}
        self._recorders: dict[CameraId, CameraRecorder] = {}
        self._chains: dict[CameraId, Chain] = {}
        self._event_ranges = EventRanges(self._tell_range)
        self._wall_minus_monotonic_ns = clock.wall_ns() - clock.monotonic_ns()
        self._gap_logs: dict[CameraId, GapLog] = {}
        self._precedents = Precedents(keepers, self._learned, self.gaps.put)
        self._tasks: list[asyncio.Task[None]] = []

    # -- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the volumes. One that fails is reported and tried again, and keepers are not waited for."""
        for writer in self.writers:
            writer.start()
        opening = [asyncio.create_task(look_after(volume)) for volume in self.volumes]
        await until_open(self.volumes, opening)
        self._begin(self.gaps.run(), "gaps")
        self._begin(self._precedents.run(), "how footage ended before")
        for volume, opened in zip(self.volumes, opening, strict=True):
            self._begin(keep_looking(volume, opened), f"watch {volume.path}")
        for link in self.links:
            self._begin(link.run(), "keeper")
        self._begin(self._tick_always(), "modes of recording")

    async def stop(self) -> None:
        """Close every segment, so that each is an ordinary MP4 file, and release the volumes."""
        for camera_id, recorder in self._recorders.items():
            recorder.stop()
            gaps = self._gap_logs[camera_id]
            if gaps.lasting is not None and gaps.lasting.reason in INTENDED:
                gaps.open(self._clock.wall_ns(), GapReason.SYSTEM_STOPPED, "the system was not running")
        self._recorders.clear()
        await _finished(self._live())  # also what was cut before, when its camera was disconnected
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.report(), LAST_WORDS_S)
        await asyncio.gather(*(writer.stop(STOP_TIMEOUT_S) for writer in self.writers))
        await asyncio.gather(*(asyncio.to_thread(volume.close) for volume in self.volumes))

    async def report(self) -> None:
        """Say to all keepers at once what they are otherwise told every second."""
        await asyncio.gather(self.gaps.commit(), *(link.report() for link in self.links))

    async def precedents_known(self) -> None:
        """Wait until it is known how footage of the cameras being recorded ended before."""
        await self._precedents.answered()

    # -- recording --------------------------------------------------------------------------------------

    def keep(self, camera: Camera) -> None:
        """Learn for how long a camera's recordings are kept, whether or not it is being recorded."""
        self._cameras[camera.id] = camera
        rule = retention_rule(camera, self._classes)
        if self._rules.get(camera.id) != rule:
            self._rules[camera.id] = rule
            for link in self.links:
                link.keep(camera.id, rule)

    def record(self, camera: Camera, hub: Hub) -> None:
        """Record what the hub carries as the camera's settings say, from its next key picture on.

        Doing so again changes only what is new. A camera that is off is `stop_recording`'s.
        """
        self.keep(camera)
        plan = recording_plan(camera, self._site_time_zone)
        recorder = self._recorders.get(camera.id)
        if recorder is not None and recorder.hub is not hub:
            recorder.stop()
            recorder = None
        if recorder is None:
            recorder = self._recorders[camera.id] = CameraRecorder(
                camera.id,
                hub,
                plan,
                segments=lambda tracks: self._segments_of(camera.id, tracks),
                gaps=self._gap_log(camera.id),
                clock=self._clock,
                budget=self.budget,
            )
            recorder.hear(self.events_heard)
        else:
            recorder.follow(plan)
        recorder.start()

    def event(self, camera_id: CameraId, at_ns: int, kind: str) -> None:
        """Something happened at a camera, at a time (wall clock) that may lie back; being told twice is fine.

        Footage around it is recorded, and noted as event footage, where the camera's settings name the kind.
        """
        camera = self._cameras.get(camera_id)
        if camera is None or kind not in camera.events.kinds:
            return
        at_ns = min(at_ns, self._clock.wall_ns())  # a clock that is ahead must not record for ever
        self._event_ranges.add(camera, at_ns, kind)
        recorder = self._recorders.get(camera_id)
        if recorder is not None:
            recorder.event(at_ns)

    def hear(self, heard: bool) -> None:
        """Whether events would be heard of. While not, cameras recorded around events are recorded all the time."""
        if heard is self.events_heard:
            return
        self.events_heard = heard
        if heard:
            log.info("events are heard again")
        else:
            log.warning("events cannot be heard; cameras recorded around events are recorded all the time")
        for recorder in self._recorders.values():
            recorder.hear(heard)

    def events_missed(self, camera_id: CameraId | None = None) -> None:
        """Events of the last seconds, of one camera or all, may not have been heard: as if there had been some."""
        for each, recorder in self._recorders.items():
            if camera_id in (None, each):
                recorder.missed()

    async def stop_recording(self, camera_id: CameraId, reason: GapReason = GapReason.RECORDING_OFF) -> None:
        """Close the camera's segment and stop; its timeline will give the reason."""
        recorder = self._recorders.pop(camera_id, None)
        if recorder is None:
            return
        live = recorder.stop()
        gaps = self._gap_log(camera_id)
        if live is not None:
            gaps.open(live.given_end_ns, reason)
            await _finished([live])
        elif recorder.segments.segments_begun or gaps.lasting is not None:
            gaps.open(self._clock.wall_ns(), reason)

    async def forget(self, camera_id: CameraId) -> None:
        """Stop recording a camera that is not this process's any more; its recordings stay until their time is up."""
        recorder = self._recorders.pop(camera_id, None)
        live = recorder.stop() if recorder is not None else None
        self._cameras.pop(camera_id, None)
        self._rules.pop(camera_id, None)  # the catalogs remember it
        self._event_ranges.forget(camera_id)
        self._gap_logs.pop(camera_id, None)
        self._chains.pop(camera_id, None)
        self._precedents.drop(camera_id)
        if live is not None:
            await _finished([live])

    def recording(self, camera_id: CameraId) -> bool:
        """Whether what the camera delivers now is being kept."""
        recorder = self._recorders.get(camera_id)
        return recorder is not None and recorder.recording

    def recording_state(self, camera_id: CameraId) -> RecordingState:
        """What is done with the camera now."""
        recorder = self._recorders.get(camera_id)
        return recorder.state if recorder is not None else RecordingState.OFF

    def recording_error(self, camera_id: CameraId) -> str | None:
        """Why footage of the camera is not being kept, for a person; None when nothing is wrong."""
        recorder = self._recorders.get(camera_id)
        return recorder.error if recorder is not None else None

    def metrics(self) -> Iterable[MetricFamily]:
        """Volumes, writers and recorders as they stand."""
        return recording_metrics(
            self.writers,
            self.links,
            list(self._recorders.values()),
            self.gaps,
            budget=self.budget,
            watch=self.watch,
        )

    # -- time -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what is due by the clock; once a second."""
        now_ns = self._clock.wall_ns()
        offset_ns = now_ns - self._clock.monotonic_ns()
        stepped, self._wall_minus_monotonic_ns = (
            abs(offset_ns - self._wall_minus_monotonic_ns) > STEP_NS,
            offset_ns,
        )
        if stepped:
            self.events_missed()  # until when footage was wanted was said in another time
        for camera_id, recorder in list(self._recorders.items()):
            if recorder.dropped:
                self._begin_anew(camera_id, recorder)
            else:
                recorder.tick(now_ns)
        self.watch.look(self.volumes, self._recorders)

    def _begin_anew(self, camera_id: CameraId, recorder: CameraRecorder) -> None:
        """Record a camera again whose recorder failed unexpectedly; the hub has logged why."""
        reason = "recording failed unexpectedly; it was begun anew, see the log"
        del self._recorders[camera_id]
        try:
            live = recorder.stop()
            since_ns = self._clock.wall_ns() if live is None else live.given_end_ns
            self._gap_log(camera_id).open(since_ns, GapReason.UNKNOWN, reason)
        except Exception as error:
            log.error("a recorder that failed cannot be stopped", camera=camera_id, exc_info=error)
            recorder.abandon(reason)
        self.record(self._cameras[camera_id], recorder.hub)
        self.events_missed(camera_id)

    async def _tick_always(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.tick()
            except Exception as error:  # modes go on with the units that come
                log.error("what is due by the clock failed", exc_info=error)

    # -- volumes ----------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Look after all volumes now: open or probe one that failed, see that it is still there, and its room."""
        await asyncio.gather(*(look_after(volume) for volume in self.volumes))

    def _place(self, bytes_per_s: float, but_for: Collection[VolumeWriter]) -> VolumeWriter | None:
        # Who follows it says what to expect: to ask costs nothing
        return choose([each for each in self.writers if each not in but_for], bytes_per_s)

    def _moves(self, writer: VolumeWriter) -> bool:
        return should_move(writer, self.writers)

    def _refusal(self) -> tuple[GapReason, str]:
        failed = [str(volume.error) for volume in self.volumes if volume.error is not None]
        if len(failed) < len(self.volumes):
            return GapReason.OVERRUN, "the disk is too slow for what the cameras deliver"
        told = "; ".join(failed) or "no volume is configured; add one to storage.volumes"
        return GapReason.DISK_ERROR, told

    # -- private ----------------------------------------------------------------------------------------

    def _segments_of(self, camera_id: CameraId, tracks: Callable[[], Sequence[Track]]) -> Recorder:
        return Recorder(
            camera_id,
            tracks,
            stream=MAIN_STREAM,
            segment_ns=self._segment_ns,
            clock=self._clock,
            place=self._place,
            refusal=self._refusal,
            moves=self._moves,
            chain=self._chains.setdefault(camera_id, Chain()),
            gaps=self._gap_log(camera_id),
        )

    def _tell_range(self, event_range: EventRange) -> None:
        for link in self.links:  # footage of it may lie on any volume
            link.note(event_range)

    def _gap_log(self, camera_id: CameraId) -> GapLog:
        """The camera's gaps; the first is the one between what was recorded before and now."""
        gaps = self._gap_logs.get(camera_id)
        if gaps is None:
            gaps = self._gap_logs[camera_id] = GapLog(lambda gap: self.gaps.put(camera_id, gap))
            self._precedents.ask(camera_id, self._clock.wall_ns())
        return gaps

    def _learned(self, camera_id: CameraId, before: Gap | None, last_file: PreviousFile | None) -> None:
        gaps = self._gap_logs.get(camera_id)
        if gaps is not None and before is not None:
            gaps.precede(before, self._clock.wall_ns())
        chain = self._chains.get(camera_id)
        if chain is not None and last_file is not None:
            chain.precede(last_file)

    def _live(self) -> list[LiveSegment]:
        return [live for volume in self.volumes for live in volume.live.values()]

    def _begin(self, work: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(_logged(work, name), name=name))


async def _logged(work: Coroutine[None, None, None], name: str) -> None:
    try:
        await work
    except Exception as error:
        log.error("a task of recording ended unexpectedly", task=name, exc_info=error)
        raise


async def _finished(segments: Sequence[LiveSegment]) -> None:
    """Wait until segments are closed, or the disk has had time enough."""
    waits = [asyncio.create_task(live.finished.wait()) for live in segments]
    if waits:
        _, late = await asyncio.wait(waits, timeout=FINISH_TIMEOUT_S)
        for wait in late:
            wait.cancel()
