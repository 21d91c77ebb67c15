"""A volume with rows and files that nobody recorded, for tests of what is deleted and what stays."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from vms.common.clock import NS, ManualClock
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.config import TierConfig, VolumeConfig
from vms.storage.catalog import CatalogRow
from vms.storage.keeper import VolumeKeeper
from vms.storage.keeping import EventRange
from vms.storage.layout import recording_name
from vms.storage.retention import Retention
from vms.storage.retention_rule import RetentionRule
from vms.storage.segment import Segment

NOON_NS = 1_790_000_000 * NS
SIZE_BYTES = 1000


class KeptShelf:
    """A volume that is open, and nobody looks after but the test. quotas: in bytes."""

    def __init__(self, path: Path, *, quota: int = 1 << 30, tiers: Iterable[tuple[str, int]] = ()) -> None:
        self.clock = ManualClock(NOON_NS)
        self.path = path
        config = VolumeConfig.model_construct(
            path=path,
            quota=quota,
            tiers=tuple(
                TierConfig.model_construct(name=name, path=path / name, after=0.0, quota=most)
                for name, most in tiers
            ),
        )
        self.keeper = VolumeKeeper(config, self.clock, system_id="test")
        self.volume = self.keeper.volume

    async def open(self) -> None:
        await asyncio.to_thread(self.volume.open)
        self.volume.resume()

    async def close(self) -> None:
        await asyncio.to_thread(self.volume.close)

    @property
    def retention(self) -> Retention:
        return self.keeper.retention

    async def put(self, camera: str, age_s: float, length_s: float = 10.0, tier: str = "") -> Segment:
        """A recording that ended so long ago."""
        end_ns = self.clock.wall_ns() - round(age_s * NS)
        start_ns = end_ns - round(length_s * NS)
        copy = 1
        while (path := self.path / recording_name(camera, start_ns, "main", copy)).exists():
            copy += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(SIZE_BYTES))
        name = CameraId(camera)
        row = Segment(uuid4(), name, "main", path, start_ns, end_ns, SIZE_BYTES, True, None, None, tier)
        self.volume.closed_bytes += SIZE_BYTES if not tier else 0
        await self.volume.catalog.run(lambda each: each.add([CatalogRow(row)]))
        return row

    async def keep(self, camera: str, rule: RetentionRule) -> None:
        await self.keeper.put_retentions({CameraId(camera): rule})

    async def event(self, camera: str, segment: Segment, kind: str = "motion") -> None:
        """Something happened in the middle of a recording."""
        middle_ns = (segment.start_ns + segment.end_ns) // 2
        await self.keeper.put_event_ranges([EventRange(CameraId(camera), middle_ns, middle_ns + 1, kind)])

    async def lock(self, *segments: Segment, revision: int = 1) -> None:
        """Exactly these are locked from now on."""
        locks = [
            EvidenceLock(uuid4(), each.camera_id, each.start_ns, each.end_ns, "why", "who", 1)
            for each in segments
        ]
        await self.keeper.put_locks(locks, revision)

    async def left(self) -> list[Segment]:
        """What the catalog has, oldest first."""
        cameras = await self.volume.catalog.run(lambda each: each.cameras())
        rows = [
            row
            for camera in cameras
            for row in await self.volume.catalog.run(lambda each, c=camera: each.overlapping(c, 0, 1 << 62))  # type: ignore[misc]
        ]
        return sorted(rows, key=lambda row: (row.start_ns, row.camera_id))
