"""Tiers in a running system: recorded, moved, kept, deleted, found again."""

import asyncio
from pathlib import Path

from tests.storage.conftest import Start
from tests.storage.scripted_camera import ScriptedCamera, written
from tests.storage.seaweedfs import S3Server

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.config import TierConfig, VolumeConfig
from vms.storage import recovery
from vms.storage.layout import CATALOG_NAME
from vms.storage.segment import Segment
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH = CameraId("porch")
HOUR_S = 3600.0


async def looked(service: StorageService) -> None:
    """What a keeper does in a while, done."""
    (keeper,) = service._keepers
    for _ in range(2):
        await keeper.look()
        assert keeper.mover is not None
        await keeper.mover.settled()


async def contents(service: StorageService, segments: list[Segment]) -> list[bytes]:
    found = []
    for segment in segments:
        with await service.open_file(segment.id) as opened:
            found.append(opened.read_at(0, segment.size_bytes))
    return found


async def test_recordings_age_through_disk_share_and_bucket_and_go_in_the_end(
    start: Start, clock: ManualClock, tmp_path: Path, s3_server: S3Server
) -> None:
    tiers = (
        TierConfig(name="share", path=tmp_path / "share", after=HOUR_S),
        s3_server.tier(after=5 * HOUR_S),
    )
    volumes = [VolumeConfig(path=tmp_path / "volume", quota=1 << 30, tiers=tiers)]
    service = await start(volumes=volumes, segment_s=5.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(21)
    await written(service)
    await service.stop_recording(PORCH)
    segments = await service.segments(PORCH, *ALL)
    assert len(segments) >= 4
    before = await contents(service, segments)
    for age_s, tier in ((0.0, ""), (HOUR_S, "share"), (4 * HOUR_S, "cloud")):
        clock.advance(age_s)
        await looked(service)
        now = await service.segments(PORCH, *ALL)
        assert [each.tier for each in now] == [tier] * len(segments)
        assert await contents(service, now) == before
    assert await service.coverage(PORCH, *ALL) == [(segments[0].start_ns, segments[-1].end_ns)]
    clock.advance(camera.camera.retention)
    await looked(service)
    await looked(service)
    assert await service.segments(PORCH, *ALL) == []
    (keeper,) = service._keepers
    assert keeper.mover is not None
    for tier in keeper.mover._tiers.values():
        assert list(tier.store.list()) == []


async def test_a_catalog_that_was_lost_is_made_again_from_what_is_in_the_tiers(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    tiers = (TierConfig(name="share", path=tmp_path / "share", after=HOUR_S),)
    volumes = [VolumeConfig(path=tmp_path / "volume", quota=1 << 30, tiers=tiers)]
    service = await start(volumes=volumes, segment_s=5.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(16)
    await written(service)
    await service.stop_recording(PORCH)
    segments = await service.segments(PORCH, *ALL)
    before = await contents(service, segments)
    clock.advance(HOUR_S)
    await looked(service)
    await service.stop()
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / "volume" / f"{CATALOG_NAME}{suffix}").unlink(missing_ok=True)
    service = await start(volumes=volumes, segment_s=5.0)
    (keeper,) = service._keepers
    assert keeper.mover is not None
    store = keeper.mover._tiers["share"].store
    await asyncio.to_thread(recovery.adopt_all, keeper.volume, store, keeper.found)
    await looked(service)
    again = await service.segments(PORCH, *ALL)
    assert [each.id for each in again] == [each.id for each in segments]
    assert {each.tier for each in again} == {"share"}
    assert await contents(service, again) == before
