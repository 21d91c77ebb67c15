"""Delete what is too old, and the oldest of all when a volume is full.

Deletion order: row marked → unlink → directory → row gone. Whatever step is interrupted, the next start
ends it (recovery.end_deletions).

Belongs here: what goes, and in which order. Does not: when it is looked at (keeper).
"""

import asyncio
from collections.abc import Sequence

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.storage import disk
from vms.storage.errors import CatalogUnusable, VolumeUnavailable
from vms.storage.kept_volume import KeptVolume
from vms.storage.segment import Segment
from vms.telemetry.logs import get_logger

BATCH = 64
HEADROOM_SHARE = (
    100  # a full volume is brought this part of its quota below it, so that it is not full at once
)
CLOCK_STEP_NS = 3600 * NS
CLOCK_HOLD_NS = 24 * 3600 * NS

log = get_logger(__name__)


class Retention:
    """The retention of one volume; how long a camera's footage is kept, its catalog remembers.

    Counters: expired and displaced (segments deleted for age, for room), deleted_bytes.
    """

    def __init__(self, volume: KeptVolume, clock: Clock) -> None:
        self.expired = 0
        self.displaced = 0
        self.deleted_bytes = 0
        self._volume = volume
        self._clock = clock
        self._wall_minus_monotonic_ns = clock.wall_ns() - clock.monotonic_ns()
        self._hold_until_ns = 0
        self._short_told = False
        self._nothing_told = False

    async def enforce(self) -> None:
        """Bring the volume within its rules. Raises StorageError."""
        if await self._room_bytes() <= 0:
            await self.make_room()  # first: on a full disk the catalog cannot be written either
            if await self._room_bytes() <= 0:
                return  # others filled it, and no recording is left that could go
        if self._clock_is_trusted():
            await self._expire()
        await self.make_room()

    async def _expire(self) -> None:
        now_ns = self._clock.wall_ns()
        remembered = await self._volume.catalog.run(lambda each: each.retentions())
        for camera_id, retention_ns in remembered.items():
            if retention_ns is not None:
                await self._expire_camera(camera_id, now_ns - retention_ns)

    async def _expire_camera(self, camera_id: CameraId, before_ns: int) -> None:
        catalog = self._volume.catalog
        while segments := await catalog.run(lambda each: each.expired(camera_id, before_ns, BATCH)):
            await self._delete(segments)
            self.expired += len(segments)
        await catalog.run(lambda each: each.remove_gaps(camera_id, before_ns))

    async def make_room(self) -> None:
        """Delete the oldest for what is beyond the quota, or missing to the free-space floor. Raises StorageError."""
        excess = await self._excess_bytes()
        if excess <= 0:
            return
        if self._volume.room_bytes <= 0 and not self._short_told:
            self._short_told = True  # once: where the disk is smaller than the quota, this goes on for ever
            log.warning("the disk is nearly full; the oldest recordings go", path=str(self._volume.path))
        excess += self._volume.quota_bytes // HEADROOM_SHARE
        while excess > 0:
            oldest = await self._volume.catalog.run(lambda each: each.oldest(BATCH))
            if not oldest:
                if not self._nothing_told:
                    log.warning("a volume is full, and no recording can go", path=str(self._volume.path))
                self._nothing_told = True
                return
            going = []
            for segment in oldest:
                if excess <= 0:
                    break
                going.append(segment)
                excess -= segment.size_bytes
            await self._delete(going)
            self.displaced += len(going)
            self._nothing_told = False

    async def _excess_bytes(self) -> int:
        """How much has to go: beyond the quota, or to have the free-space floor back."""
        room_bytes = await self._room_bytes()
        return max(self._volume.used_bytes - self._volume.quota_bytes, -room_bytes)

    async def _room_bytes(self) -> int:
        volume = self._volume
        volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
        return volume.room_bytes

    async def _delete(self, segments: Sequence[Segment]) -> None:
        volume = self._volume
        ids = [segment.id for segment in segments]
        try:
            await volume.catalog.run(lambda each: each.mark_deleting(ids))
        except CatalogUnusable as error:
            if volume.room_bytes > 0:
                raise
            # On a full disk not even the mark can be written. Rows without files are dropped at a start.
            log.warning("deleting without a mark, to make room", path=str(volume.path), reason=str(error))
        try:
            await asyncio.to_thread(disk.remove_all, [segment.path for segment in segments], volume.path)
        except OSError as error:
            raise VolumeUnavailable.from_os_error(volume.path, error) from error
        await volume.catalog.run(lambda each: each.remove(ids))
        freed_bytes = sum(segment.size_bytes for segment in segments)
        volume.closed_bytes -= freed_bytes
        self.deleted_bytes += freed_bytes

    def _clock_is_trusted(self) -> bool:
        """False for a day after the wall clock was set far forward: it may be wrong, footage would be gone."""
        now_ns = self._clock.monotonic_ns()
        offset_ns = self._clock.wall_ns() - now_ns
        if offset_ns - self._wall_minus_monotonic_ns > CLOCK_STEP_NS:
            self._hold_until_ns = now_ns + CLOCK_HOLD_NS
            log.warning(
                "the clock was set forward by more than an hour; nothing is deleted for its age for a day",
                step_s=(offset_ns - self._wall_minus_monotonic_ns) // NS,
            )
        self._wall_minus_monotonic_ns = offset_ns
        return now_ns >= self._hold_until_ns
