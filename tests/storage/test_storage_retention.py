"""What is deleted, when, and in which order."""

from pathlib import Path

from tests.storage.conftest import Start
from tests.storage.scripted_camera import ScriptedCamera, camera, written

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.media import Gap, GapReason
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH, YARD = CameraId("porch"), CameraId("yard")


async def record(service: StorageService, clock: ManualClock, name: str, seconds: float) -> ScriptedCamera:
    scripted = ScriptedCamera(clock, name)
    service.record(scripted.camera, scripted.hub)
    scripted.play(seconds)
    await service.stop_recording(scripted.camera.id)
    return scripted


async def enforce(service: StorageService) -> None:
    await written(service)
    for keeper in service._keepers:
        await keeper.retention.enforce()


async def test_footage_goes_when_it_is_older_than_its_cameras_retention(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(segment_s=5.0)
    await record(service, clock, "porch", 20)
    await record(service, clock, "yard", 20)
    service.keep(camera("porch", retention_s=60))
    clock.advance(30)
    await enforce(service)
    left = await service.segments(PORCH, *ALL)
    assert 0 < len(left) < 4
    assert all(segment.end_ns >= clock.wall_ns() - 60 * NS for segment in left)
    assert len(await service.segments(YARD, *ALL)) >= 4
    clock.advance(60)
    await enforce(service)
    assert await service.segments(PORCH, *ALL) == []
    assert not (tmp_path / "volume" / "porch").exists(), "empty directories stay behind"
    assert (tmp_path / "volume" / "yard").exists()


async def test_gaps_go_with_the_footage_around_them(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    await record(service, clock, "porch", 3)
    service._recording.gaps.put(PORCH, Gap(clock.wall_ns(), clock.wall_ns() + NS, GapReason.CAMERA_LOST))
    await service._recording.gaps.commit()
    service.keep(camera("porch", retention_s=60))
    clock.advance(120)
    await enforce(service)
    left = await service.gaps(PORCH, *ALL)
    assert [gap.reason for gap in left] == [GapReason.RECORDING_OFF], "only what lasts is left"


async def test_a_camera_that_is_gone_keeps_its_retention_over_a_restart(
    start: Start, clock: ManualClock
) -> None:
    first = await start(segment_s=60.0)
    scripted = await record(first, clock, "porch", 3)
    first.record(scripted.camera.model_copy(update={"retention": 100.0}), scripted.hub)
    await first.forget(PORCH)
    await first.stop()
    second = await start(segment_s=60.0)
    clock.advance(90)
    await enforce(second)
    assert len(await second.segments(PORCH, *ALL)) == 1
    clock.advance(60)
    await enforce(second)
    assert await second.segments(PORCH, *ALL) == []


async def test_the_oldest_of_all_cameras_go_when_the_quota_is_reached(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(
        volumes=[VolumeConfig.model_construct(path=tmp_path / "volume", quota=300_000)], segment_s=5.0
    )
    for _ in range(4):
        await record(service, clock, "porch", 10)
        await record(service, clock, "yard", 10)
    before = [*await service.segments(PORCH, *ALL), *await service.segments(YARD, *ALL)]
    await enforce(service)
    after = [*await service.segments(PORCH, *ALL), *await service.segments(YARD, *ALL)]
    gone = [segment for segment in before if segment not in after]
    assert gone
    assert max(segment.start_ns for segment in gone) < min(segment.start_ns for segment in after)
    volume = service._keepers[0].volume
    assert volume.used_bytes == sum(segment.size_bytes for segment in after) <= 300_000
    on_disk = sum(path.stat().st_size for path in volume.path.rglob("*.mp4"))
    assert on_disk == volume.used_bytes
    assert service._keepers[0].retention.displaced == len(gone)


async def test_segments_being_written_count_and_stay(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(
        volumes=[VolumeConfig.model_construct(path=tmp_path / "volume", quota=50_000)], segment_s=600.0
    )
    await record(service, clock, "yard", 2)
    scripted = ScriptedCamera(clock)
    service.record(scripted.camera, scripted.hub)
    scripted.play(10)
    await written(service)
    await enforce(service)
    assert await service.segments(YARD, *ALL) == []
    assert len(await service.segments(PORCH, *ALL)) == 1
    assert service.recording(PORCH)


async def test_a_clock_set_far_forward_deletes_nothing_for_a_day(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    await record(service, clock, "porch", 3)
    clock.step_wall(400 * 86400)
    await enforce(service)
    assert len(await service.segments(PORCH, *ALL)) == 1
    clock.advance(23 * 3600)
    await enforce(service)
    assert len(await service.segments(PORCH, *ALL)) == 1
    clock.advance(2 * 3600)
    await enforce(service)
    assert await service.segments(PORCH, *ALL) == []
