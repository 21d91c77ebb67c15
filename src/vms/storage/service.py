"""Recording cameras and finding their recordings again: the storage service.

Belongs here: which recorder writes where, and queries over all volumes. Does not: how a volume works
(keeper, writer), how footage is played (playback).
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from vms.common.camera import Camera
from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.errors import FormatError
from vms.format.hybrid import SegmentFile, read_segment
from vms.media import Gap, GapReason, Hub
from vms.storage import disk
from vms.storage.catalog import Catalog
from vms.storage.errors import SegmentNotFound, SegmentUnreadable, StorageError
from vms.storage.fragment_table import FragmentTableDamaged
from vms.storage.gaps import GapLog, GapStore
from vms.storage.identity import KnownVolumes
from vms.storage.keeper import VolumeKeeper
from vms.storage.live import LiveSegment
from vms.storage.metrics import storage_metrics
from vms.storage.recorder import Recorder
from vms.storage.segment import OpenFile, OpenSegment, Segment, SegmentIndex
from vms.storage.volume import Volume
from vms.storage.writer import QUEUE_LIMIT_BYTES, SYNC_INTERVAL_S, VolumeWriter
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily

STREAM = "main"
FINISH_TIMEOUT_S = 30.0  # for all that is queued to be written and closed
STOP_TIMEOUT_S = 5.0
RECOVERY_PATIENCE_S = 1.0

log = get_logger(__name__)
_Result = TypeVar("_Result")


class StorageService:
    """Records streams into volumes, keeps the volumes, and answers what was recorded.

    volumes: where recordings go; a new segment goes to the one with the most room. known_volumes: a file
        outside of them that remembers which disk belongs where; None forgets it over restarts.
    All methods are the event loop's; nothing here waits for a disk on it.
    """

    def __init__(
        self,
        volumes: Sequence[VolumeConfig],
        segment_s: float,
        clock: Clock,
        *,
        known_volumes: Path | None = None,
        queue_limit_bytes: int = QUEUE_LIMIT_BYTES,
        sync_interval_s: float = SYNC_INTERVAL_S,
    ) -> None:
        """Raises VolumeUnavailable when `known_volumes` is damaged."""
        self._clock = clock
        self._segment_ns = round(segment_s * NS)
        known = KnownVolumes(known_volumes)
        self._volumes = [Volume(config, clock, known) for config in volumes]
        self._keepers = []
        for volume in self._volumes:
            writer = VolumeWriter(
                volume, queue_limit_bytes=queue_limit_bytes, sync_interval_s=sync_interval_s
            )
            self._keepers.append(VolumeKeeper(volume, writer, clock, self._retention_ns))
        self._retention_of: dict[CameraId, int] = {}
        self._recorders: dict[CameraId, Recorder] = {}
        self._gap_logs: dict[CameraId, GapLog] = {}
        self._gaps = GapStore(self._volumes)
        self._tasks: list[asyncio.Task[None]] = []
        self._started_ns = 0
        self._before: dict[CameraId, Gap] = {}  # what lasted when the last run ended
        self._learned = asyncio.Event()

    # -- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the volumes and begin to recover them; waits a second for it, which is enough but after a crash.

        A volume that fails is reported and tried again; it does not raise.
        """
        self._started_ns = self._clock.wall_ns()
        await asyncio.gather(*(keeper.start() for keeper in self._keepers))
        self._tasks = [
            asyncio.create_task(self._gaps.run(), name="gaps"),
            asyncio.create_task(self._learn_how_it_ended(), name="how the last run ended"),
        ]
        with suppress(TimeoutError):
            await asyncio.wait_for(self.recovered(), RECOVERY_PATIENCE_S)

    async def recovered(self) -> None:
        """Wait until what a crash may have left open is found again; recording does not wait for it."""
        await self._learned.wait()

    async def stop(self) -> None:
        """Close every segment, so that each is an ordinary MP4 file, and release the volumes."""
        for recorder in self._recorders.values():
            recorder.stop()
        self._recorders.clear()
        await _finished(self._live())  # also what was cut before, when its camera was disconnected
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._gaps.commit()
        await asyncio.gather(*(keeper.stop(STOP_TIMEOUT_S) for keeper in self._keepers))

    # -- recording --------------------------------------------------------------------------------------

    def keep(self, camera: Camera) -> None:
        """Learn for how long a camera's recordings are kept, whether or not it is being recorded."""
        self._retention_of[camera.id] = round(camera.retention * NS)

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
                stream=STREAM,
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
        """Stop recording a camera that is no longer configured; its recordings stay until their time is up."""
        recorder = self._recorders.pop(camera_id, None)
        live = recorder.stop() if recorder is not None else None
        retention_ns = self._retention_of.pop(camera_id, None)
        self._gap_logs.pop(camera_id, None)
        self._before.pop(camera_id, None)
        if live is not None:
            await _finished([live])
        if retention_ns is not None:
            await self._ask_all(lambda catalog: catalog.put_retention(camera_id, retention_ns))

    def recording(self, camera_id: CameraId) -> bool:
        """Whether what the camera delivers now is being kept."""
        recorder = self._recorders.get(camera_id)
        return recorder is not None and recorder.recording

    def recording_error(self, camera_id: CameraId) -> str | None:
        """Why footage of the camera is not being kept, for a person; None when nothing is wrong."""
        recorder = self._recorders.get(camera_id)
        return recorder.error if recorder is not None else None

    # -- finding ----------------------------------------------------------------------------------------

    async def segments(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Segment]:
        """Segments that share time with the half-open range, open ones included, by start.

        What is on a volume that cannot be read now is left out.
        """
        # Live ones first: one that closes meanwhile is then found twice, not missed.
        found = {
            segment.id: segment
            for segment in (live.segment() for live in self._live() if live.visible)
            if segment.camera_id == camera_id and segment.start_ns < end_ns and segment.end_ns > start_ns
        }
        for rows in await self._ask_all(lambda catalog: catalog.overlapping(camera_id, start_ns, end_ns)):
            found.update((segment.id, segment) for segment in rows)
        return sorted(found.values(), key=lambda segment: segment.start_ns)

    async def coverage(
        self, camera_id: CameraId, start_ns: int, end_ns: int, join_ns: int = NS // 2
    ) -> list[tuple[int, int]]:
        """Runs of recorded time (start, end) that share time with the range, whole, in order.

        Holes shorter than `join_ns` are closed. Months are cheap: the catalogs merge them.
        """
        live = [each for each in self._live() if each.visible and each.identity.camera_id == camera_id]
        runs = [(each.start_ns, each.end_ns) for each in live]
        runs = [run for run in runs if run[0] < end_ns and run[1] > start_ns]
        for rows in await self._ask_all(
            lambda catalog: catalog.coverage(camera_id, start_ns, end_ns, join_ns)
        ):
            runs += rows
        merged: list[tuple[int, int]] = []
        for first, last in sorted(runs):
            if merged and first - join_ns <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], last)
            else:
                merged.append((first, last))
        return merged

    async def gaps(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Gap]:
        """What is known to be missing in the half-open range, and why, by start; a lasting one has no end."""
        return await self._gaps.between(camera_id, start_ns, end_ns)

    async def segment(self, segment_id: UUID) -> Segment:
        """One segment. Raises SegmentNotFound."""
        live = self._live_segment(segment_id)
        if live is not None:
            return live.segment()
        for segment in await self._ask_all(lambda catalog: catalog.find(segment_id)):
            if segment is not None:
                return segment
        raise SegmentNotFound(segment_id)

    async def index(self, segment_id: UUID) -> SegmentIndex:
        """Where a segment's parts lie, for a playlist: without opening its file.

        Raises SegmentNotFound, SegmentUnreadable.
        """
        live = self._live_segment(segment_id)
        if live is not None:
            return live.index()
        try:
            for index in await self._ask_all(lambda catalog: catalog.index(segment_id)):
                if index is not None:
                    return index
        except FragmentTableDamaged as error:
            log.warning("a fragment table is damaged", segment=str(segment_id), reason=str(error))
        opened = await self.open(segment_id)
        with opened:
            return SegmentIndex(opened.file.init, opened.file.fragments)

    async def open(self, segment_id: UUID) -> OpenSegment:
        """Open a segment's file to read what is in it. Raises SegmentNotFound, SegmentUnreadable."""
        segment = await self.segment(segment_id)
        live = self._live_segment(segment_id)
        with _typed(segment_id):
            if live is not None:
                descriptor = await asyncio.to_thread(_open_file, live.path)
                return OpenSegment(live.segment(), live.file(), descriptor)
            descriptor, file = await asyncio.to_thread(_open_closed, segment.path)
            return OpenSegment(segment, file, descriptor)

    async def open_file(self, segment_id: UUID) -> OpenFile:
        """Open a segment's file for its bytes alone: `segment.size_bytes` of them, without a look at its index.

        Raises SegmentNotFound, SegmentUnreadable.
        """
        segment = await self.segment(segment_id)
        with _typed(segment_id):
            return OpenFile(segment, await asyncio.to_thread(_open_file, segment.path))

    def metrics(self) -> Iterable[MetricFamily]:
        """Volumes, writers, retention and recovery as they stand."""
        return storage_metrics(self._keepers, list(self._recorders.values()), self._gaps)

    # -- private ----------------------------------------------------------------------------------------

    def _retention_ns(self, camera_id: CameraId) -> int | None:
        return self._retention_of.get(camera_id)

    def _place(self) -> VolumeWriter | None:
        ready = [keeper.writer for keeper in self._keepers if keeper.writer.ready]
        return max(ready, key=lambda writer: writer.volume.spare_bytes, default=None)

    def _refusal(self) -> tuple[GapReason, str]:
        failed = [str(volume.error) for volume in self._volumes if volume.error is not None]
        if len(failed) < len(self._volumes):
            return GapReason.OVERRUN, "the disk is too slow for what the cameras deliver"
        return GapReason.DISK_ERROR, "; ".join(
            failed
        ) or "no volume is configured; add one to storage.volumes"

    def _gap_log(self, camera_id: CameraId) -> GapLog:
        """The camera's gaps; the first is the one between the last run and this one."""
        gaps = self._gap_logs.get(camera_id)
        if gaps is None:
            gaps = self._gap_logs[camera_id] = GapLog(lambda gap: self._gaps.put(camera_id, gap))
            if camera_id in self._before:
                gaps.precede(self._before[camera_id])
        return gaps

    def _live(self) -> list[LiveSegment]:
        return [live for volume in self._volumes for live in volume.live.values()]

    def _live_segment(self, segment_id: UUID) -> LiveSegment | None:
        for volume in self._volumes:
            live = volume.live.get(segment_id)
            if live is not None and live.visible:
                return live
        return None

    async def _ask_all(self, question: Callable[[Catalog], _Result]) -> list[_Result]:
        """Every catalog's answer; one that fails is left out, and its volume marked."""
        answers = []
        for volume in self._volumes:
            if not volume.is_open:
                continue
            try:
                answers.append(await volume.catalog.run(question))
            except StorageError as error:
                volume.fail(error)
        return answers

    async def _learn_how_it_ended(self) -> None:
        """When each camera's footage ended in the last run, and which gap lasted then."""
        for keeper in self._keepers:
            await keeper.recovered.wait()
        ended: dict[CameraId, int] = {}
        for ends in await self._ask_all(lambda catalog: catalog.last_ends(self._started_ns)):
            for camera_id, end_ns in ends.items():
                ended[camera_id] = max(end_ns, ended.get(camera_id, end_ns))
        for camera_id, end_ns in ended.items():
            self._before[camera_id] = Gap(
                end_ns, None, GapReason.SYSTEM_STOPPED, "the system was not running"
            )
        for gaps in await self._ask_all(lambda catalog: catalog.open_gaps()):
            for camera_id, gap in gaps:
                if gap.start_ns < self._started_ns and not await self._end_if_over(camera_id, gap):
                    self._before[camera_id] = gap
        for camera_id, log_of_camera in self._gap_logs.items():
            if camera_id in self._before:
                log_of_camera.precede(self._before[camera_id])
        self._learned.set()

    async def _end_if_over(self, camera_id: CameraId, gap: Gap) -> bool:
        """Whether footage came after a gap whose end was not committed, which it now is."""
        known = await self._gaps.between(camera_id, gap.start_ns, gap.start_ns + 1)
        if any(each.reason is gap.reason and each.end_ns is not None for each in known):
            return True  # its end is in another volume's catalog
        after = await self.segments(camera_id, gap.start_ns, self._started_ns)
        starts = [one.start_ns for one in after if gap.start_ns <= one.start_ns < self._started_ns]
        if starts:
            self._gaps.put(camera_id, Gap(gap.start_ns, min(starts), gap.reason, gap.detail))
        return bool(starts)


async def _finished(segments: Sequence[LiveSegment]) -> None:
    """Wait until segments are closed, or the disk has had time enough."""
    waits = [asyncio.create_task(live.finished.wait()) for live in segments]
    if waits:
        _, late = await asyncio.wait(waits, timeout=FINISH_TIMEOUT_S)
        for wait in late:
            wait.cancel()


@contextmanager
def _typed(segment_id: UUID) -> Iterator[None]:
    """Errors of a disk and of a damaged file as those of storage."""
    try:
        yield
    except FileNotFoundError as error:
        raise SegmentNotFound(segment_id) from error
    except OSError as error:
        raise SegmentUnreadable(segment_id, error.strerror or str(error)) from error
    except FormatError as error:
        raise SegmentUnreadable(segment_id, str(error)) from error


def _open_file(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _open_closed(path: Path) -> tuple[int, SegmentFile]:
    descriptor = _open_file(path)
    try:
        return descriptor, read_segment(disk.reader(descriptor), os.fstat(descriptor).st_size)
    except BaseException:
        os.close(descriptor)
        raise
