"""Recording cameras: the media side of storage.

A media process only writes files. It depends on its disks alone: keepers may be away for as long as they like, from
the start on.

Belongs here: which recorder writes where, and looking after the volumes as a writer does. Does not: rows,
recovery, retention (keeper), finding what was recorded (library).
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from vms.common.camera import Camera
from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.media import Gap, GapReason, Hub
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.gaps import GapLog, GapStore
from vms.storage.identity import KnownVolumes
from vms.storage.keeper_link import KeeperLink
from vms.storage.keeping import Keeping
from vms.storage.layout import MAIN_STREAM
from vms.storage.live import LiveSegment
from vms.storage.metrics import recording_metrics
from vms.storage.precedents import Precedents
from vms.storage.recorder import Recorder
from vms.storage.recording_volume import RecordingVolume
from vms.storage.writer import QUEUE_LIMIT_BYTES, SYNC_INTERVAL_S, VolumeWriter
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily

FINISH_TIMEOUT_S = 30.0  # for all that is queued to be written and closed
STOP_TIMEOUT_S = 5.0
LAST_WORDS_S = 5.0  # for keepers that answer; what they do not hear they find
OPEN_PATIENCE_S = 5.0  # a disk that does not answer must not delay recording on the others
TICK_S = 1.0
LOOK_INTERVAL_S = 5.0

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
    ) -> None:
        """volumes: where recordings go, each with its keeper; a new segment goes to the one with the most room.

        system_id: of the installation; a volume is one system's at a time. worker: names this process to keepers.
        known_volumes: a file outside of the volumes that remembers which disk belongs where; it may be shared. None
        forgets it over restarts. Raises VolumeUnavailable when it is damaged.
        """
        self._clock = clock
        self._segment_ns = round(segment_s * NS)
        known = KnownVolumes(known_volumes)
        self.volumes = [RecordingVolume(config, clock, known, system_id) for config, _ in volumes]
        self.writers = [
            VolumeWriter(volume, queue_limit_bytes=queue_limit_bytes, sync_interval_s=sync_interval_s)
            for volume in self.volumes
        ]
        keepers = [keeper for _, keeper in volumes]
        self._retention_of: dict[CameraId, int] = {}
        self.links = [
            KeeperLink(keeper, writer, worker, self._retention_of)
            for keeper, writer in zip(keepers, self.writers, strict=True)
        ]
        self.gaps = GapStore(keepers)
        self._recorders: dict[CameraId, Recorder] = {}
        self._gap_logs: dict[CameraId, GapLog] = {}
        self._precedents = Precedents(keepers, self._learned, self.gaps.put)
        self._tasks: list[asyncio.Task[None]] = []

    # -- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the volumes. One that fails is reported and tried again, and keepers are not waited for."""
        for writer in self.writers:
            writer.start()
        opening = [asyncio.create_task(self._look_after(volume)) for volume in self.volumes]
        if opening:
            await asyncio.wait(opening, timeout=OPEN_PATIENCE_S)
        self._begin(self.gaps.run(), "gaps")
        self._begin(self._precedents.run(), "how footage ended before")
        for volume, opened in zip(self.volumes, opening, strict=True):
            self._begin(self._watch(volume, opened), f"watch {volume.path}")
        for link in self.links:
            self._begin(link.run(), "keeper")

    async def stop(self) -> None:
        """Close every segment, so that each is an ordinary MP4 file, and release the volumes."""
        for recorder in self._recorders.values():
            recorder.stop()
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
        retention_ns = round(camera.retention * NS)
        if self._retention_of.get(camera.id) != retention_ns:
            self._retention_of[camera.id] = retention_ns
            for link in self.links:
                link.keep(camera.id, retention_ns)

    def record(self, camera: Camera, hub: Hub) -> None:
        """Record what the hub carries, from its next key picture on. Doing so again changes only what is new."""
        self.keep(camera)
        recorder = self._recorders.get(camera.id)
        if recorder is not None and recorder.hub is not hub:
            recorder.stop()
            recorder = None
        if recorder is None:
            recorder = self._recorders[camera.id] = Recorder(
                camera.id,
                hub,
                stream=MAIN_STREAM,
                segment_ns=self._segment_ns,
                clock=self._clock,
                place=self._place,
                refusal=self._refusal,
                gaps=self._gap_log(camera.id),
            )
        recorder.start()

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
        elif recorder.segments_begun or gaps.lasting is not None:
            gaps.open(self._clock.wall_ns(), reason)

    async def forget(self, camera_id: CameraId) -> None:
        """Stop recording a camera that is not this process's any more; its recordings stay until their time is up."""
        recorder = self._recorders.pop(camera_id, None)
        live = recorder.stop() if recorder is not None else None
        self._retention_of.pop(camera_id, None)  # the catalogs remember it
        self._gap_logs.pop(camera_id, None)
        self._precedents.drop(camera_id)
        if live is not None:
            await _finished([live])

    def recording(self, camera_id: CameraId) -> bool:
        """Whether what the camera delivers now is being kept."""
        recorder = self._recorders.get(camera_id)
        return recorder is not None and recorder.recording

    def recording_error(self, camera_id: CameraId) -> str | None:
        """Why footage of the camera is not being kept, for a person; None when nothing is wrong."""
        recorder = self._recorders.get(camera_id)
        return recorder.error if recorder is not None else None

    def metrics(self) -> Iterable[MetricFamily]:
        """Volumes, writers and recorders as they stand."""
        return recording_metrics(self.writers, self.links, list(self._recorders.values()), self.gaps)

    # -- volumes ----------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Look after all volumes now: open or probe one that failed, see that it is still there, and its room."""
        await asyncio.gather(*(self._look_after(volume) for volume in self.volumes))

    async def _watch(self, volume: RecordingVolume, opened: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        await opened
        look_at_s = loop.time() + LOOK_INTERVAL_S
        while True:
            await asyncio.sleep(TICK_S)
            if volume.error is not None or loop.time() >= look_at_s:
                look_at_s = loop.time() + LOOK_INTERVAL_S
                await self._look_after(volume)

    async def _look_after(self, volume: RecordingVolume) -> None:
        try:
            if volume.error is None:
                await asyncio.to_thread(volume.check)
                volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
            elif not volume.is_open and volume.due:
                await asyncio.to_thread(volume.open)
                volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
                volume.resume()
            elif volume.due:
                await asyncio.to_thread(volume.probe)
                volume.resume()
        except StorageError as error:
            volume.fail(error)
        except Exception as error:
            log.error("looking after a volume failed", path=str(volume.path), exc_info=error)
            reason = f"an unexpected {type(error).__name__}: {error}"
            volume.fail(VolumeUnavailable(volume.path, reason))

    def _place(self) -> VolumeWriter | None:
        ready = [writer for writer in self.writers if writer.ready]
        return max(ready, key=lambda writer: writer.volume.spare_bytes, default=None)

    def _refusal(self) -> tuple[GapReason, str]:
        failed = [str(volume.error) for volume in self.volumes if volume.error is not None]
        if len(failed) < len(self.volumes):
            return GapReason.OVERRUN, "the disk is too slow for what the cameras deliver"
        return GapReason.DISK_ERROR, "; ".join(
            failed
        ) or "no volume is configured; add one to storage.volumes"

    # -- private ----------------------------------------------------------------------------------------

    def _gap_log(self, camera_id: CameraId) -> GapLog:
        """The camera's gaps; the first is the one between what was recorded before and now."""
        gaps = self._gap_logs.get(camera_id)
        if gaps is None:
            gaps = self._gap_logs[camera_id] = GapLog(lambda gap: self.gaps.put(camera_id, gap))
            self._precedents.ask(camera_id, self._clock.wall_ns())
        return gaps

    def _learned(self, camera_id: CameraId, before: Gap | None) -> None:
        gaps = self._gap_logs.get(camera_id)
        if gaps is not None and before is not None:
            gaps.precede(before)

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
