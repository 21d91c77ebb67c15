"""Storage in one process: recording, keeping and reading, as one service.

Each part is what a process of its own would run; only the calls between them are shorter.

Belongs here: putting the three together. Does not: recording (recording), keeping volumes (keeper), finding
recordings (library).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

from vms.common.camera import Camera, RetentionLimits
from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import Signer
from vms.media import Gap, GapReason, Hub
from vms.storage.gaps import merge_gaps
from vms.storage.keeper import VolumeKeeper
from vms.storage.library import RecordingLibrary
from vms.storage.metrics import keeper_metrics
from vms.storage.recording import RecordingService
from vms.storage.recording_state import RecordingState
from vms.storage.segment import OpenFile, OpenSegment, Segment, SegmentIndex
from vms.storage.writer import QUEUE_LIMIT_BYTES, SYNC_INTERVAL_S
from vms.telemetry.metrics import MetricFamily

RECOVERY_PATIENCE_S = 1.0


class StorageService:
    """Records streams into volumes, keeps the volumes, and answers what was recorded.

    All methods are the event loop's; nothing here waits for a disk on it.
    """

    def __init__(
        self,
        volumes: Sequence[VolumeConfig],
        segment_s: float,
        clock: Clock,
        *,
        system_id: str | None = None,
        known_volumes: Path | None = None,
        queue_limit_bytes: int = QUEUE_LIMIT_BYTES,
        sync_interval_s: float = SYNC_INTERVAL_S,
        signer: Signer | None = None,
        classes: Mapping[str, RetentionLimits] | None = None,
        site_time_zone: str = "UTC",
        pre_roll_limit_bytes: int | None = None,
    ) -> None:
        """volumes: where recordings go; what is said last is RecordingService's.

        system_id: of the installation; None makes this service a system of its own. known_volumes: a file outside of the
        volumes that remembers which disk belongs where; None forgets it over restarts. Raises VolumeUnavailable when
        it is damaged.
        """
        system_id = system_id or str(uuid4())
        self._keepers = [
            VolumeKeeper(
                config,
                clock,
                system_id=system_id,
                known_volumes=known_volumes,
                signer=signer,
                beside_media=True,
            )
            for config in volumes
        ]
        self._recording = RecordingService(
            list(zip(volumes, self._keepers, strict=True)),
            segment_s,
            clock,
            system_id=system_id,
            known_volumes=known_volumes,
            queue_limit_bytes=queue_limit_bytes,
            sync_interval_s=sync_interval_s,
            signer=signer,
            classes=classes,
            site_time_zone=site_time_zone,
            pre_roll_limit_bytes=pre_roll_limit_bytes,
        )
        self._library = RecordingLibrary(volumes, clock)

    # -- life -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the volumes and begin to recover them; waits a second for it, which is enough but after a crash.

        A volume that fails is reported and tried again; it does not raise.
        """
        await asyncio.gather(*(keeper.start() for keeper in self._keepers))
        await self._recording.start()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.recovered(), RECOVERY_PATIENCE_S)

    async def recovered(self) -> None:
        """Wait until what a crash may have left open is found again; recording does not wait for it."""
        for keeper in self._keepers:
            await keeper.recovered.wait()
        await self._recording.precedents_known()

    async def stop(self) -> None:
        """Close every segment, so that each is an ordinary MP4 file, and release the volumes."""
        await self._recording.stop()
        await self._library.stop()
        await asyncio.gather(
            *(keeper.stop() for keeper in self._keepers)
        )  # last: it folds the catalogs' logs

    def metrics(self) -> Iterable[MetricFamily]:
        """Volumes, writers, retention and recovery as they stand."""
        yield from self._recording.metrics()
        yield from keeper_metrics(self._keepers)

    # -- recording --------------------------------------------------------------------------------------

    def keep(self, camera: Camera) -> None:
        """See RecordingService."""
        self._recording.keep(camera)

    def record(self, camera: Camera, hub: Hub) -> None:
        """See RecordingService."""
        self._recording.record(camera, hub)

    def event(self, camera_id: CameraId, at_ns: int, kind: str) -> None:
        """See RecordingService."""
        self._recording.event(camera_id, at_ns, kind)

    async def stop_recording(self, camera_id: CameraId, reason: GapReason = GapReason.RECORDING_OFF) -> None:
        """See RecordingService; the segment has its row when this returns, unless the disk refuses."""
        await self._recording.stop_recording(camera_id, reason)
        await self._recording.report()

    async def forget(self, camera_id: CameraId) -> None:
        """See RecordingService; as `stop_recording`."""
        await self._recording.forget(camera_id)
        await self._recording.report()

    def recording(self, camera_id: CameraId) -> bool:
        """See RecordingService."""
        return self._recording.recording(camera_id)

    def recording_state(self, camera_id: CameraId) -> RecordingState:
        """See RecordingService."""
        return self._recording.recording_state(camera_id)

    def recording_error(self, camera_id: CameraId) -> str | None:
        """See RecordingService."""
        return self._recording.recording_error(camera_id)

    # -- finding ----------------------------------------------------------------------------------------

    async def segments(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Segment]:
        """See RecordingLibrary."""
        return await self._library.segments(camera_id, start_ns, end_ns)

    async def coverage(
        self, camera_id: CameraId, start_ns: int, end_ns: int, join_ns: int = NS // 2
    ) -> list[tuple[int, int]]:
        """See RecordingLibrary."""
        return await self._library.coverage(camera_id, start_ns, end_ns, join_ns)

    async def gaps(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Gap]:
        """See RecordingLibrary; those that no catalog has yet are among them."""
        pending = self._recording.gaps.pending
        before = pending(
            camera_id
        )  # first: one that a catalog gets meanwhile is then found twice, not missed
        kept = await self._library.gaps(camera_id, start_ns, end_ns)
        return merge_gaps([pending(camera_id), before, kept], start_ns, end_ns)

    async def segment(self, segment_id: UUID) -> Segment:
        """See RecordingLibrary."""
        return await self._library.segment(segment_id)

    async def index(self, segment_id: UUID) -> SegmentIndex:
        """See RecordingLibrary."""
        return await self._library.index(segment_id)

    async def open(self, segment_id: UUID) -> OpenSegment:
        """See RecordingLibrary."""
        return await self._library.open(segment_id)

    async def open_file(self, segment_id: UUID) -> OpenFile:
        """See RecordingLibrary."""
        return await self._library.open_file(segment_id)
