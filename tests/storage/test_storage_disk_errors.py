"""Disks that are full, broken, slow, taken away: recorded, said, and never another camera's trouble."""

import errno
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.storage.conftest import Start
from tests.storage.faults import FaultyDisk, small_disk
from tests.storage.scripted_camera import ScriptedCamera, until, written

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.media import GapReason
from vms.storage.service import StorageService
from vms.storage.volume import FREE_FLOOR_SHARE

ALL = (0, 1 << 62)
PORCH, YARD = CameraId("porch"), CameraId("yard")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    return FaultyDisk(monkeypatch)


async def back_in_order(service: StorageService, clock: ManualClock) -> None:
    """Let back-offs pass, and volumes be looked at."""
    for _ in range(3):
        clock.advance(40)
        await service._recording.look()
        await service._recording.report()
        for keeper in service._keepers:
            await keeper.look()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS])
async def test_a_disk_that_refuses_is_a_gap_with_its_reason_and_recording_resumes(
    start: Start, clock: ManualClock, faulty: FaultyDisk, error: int
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    await written(service)
    faulty.refuse(error)
    camera.play(2)
    await until(lambda: service.recording_error(PORCH) is not None, "the error")
    assert not service.recording(PORCH)
    assert "volume" in (service.recording_error(PORCH) or "")
    camera.play(3)
    await written(service)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert gap.reason is GapReason.DISK_ERROR
    assert gap.end_ns is None
    faulty.heal()
    await back_in_order(service, clock)
    camera.play(3)
    await written(service)
    assert service.recording(PORCH)
    assert service.recording_error(PORCH) is None
    before, after = await service.segments(PORCH, *ALL)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns) == (before.end_ns, after.start_ns)
    assert before.closed, "what was written before the error is a whole file again"
    assert before.path.stat().st_size == before.size_bytes


async def test_one_cameras_file_error_does_not_end_the_other_camera(
    start: Start, clock: ManualClock, faulty: FaultyDisk
) -> None:
    service = await start(segment_s=60.0)
    cameras = [ScriptedCamera(clock, name) for name in ("porch", "yard")]
    for camera in cameras:
        service.record(camera.camera, camera.hub)
    _together(cameras, clock, 50)
    await written(service)
    faulty.refuse(broken=lambda path: "porch" in path.parts)
    _together(cameras, clock, 50)
    await until(lambda: service.recording_error(PORCH) is not None, "the error")
    _together(cameras, clock, 50)
    await written(service)
    assert service.recording(YARD)
    assert len(await service.segments(YARD, *ALL)) == 1
    assert await service.gaps(YARD, *ALL) == []


def _together(cameras: list[ScriptedCamera], clock: ManualClock, pictures: int) -> None:
    for _ in range(pictures):
        for camera in cameras:
            camera.push()
        clock.advance(0.04)


async def test_recording_goes_on_on_the_other_volume(
    start: Start, clock: ManualClock, faulty: FaultyDisk, tmp_path: Path
) -> None:
    volumes = [VolumeConfig(path=tmp_path / "good", quota=64 << 20)]
    volumes.insert(0, VolumeConfig(path=tmp_path / "bad", quota=128 << 20))
    service = await start(volumes=volumes, segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    faulty.refuse(broken=lambda path: "bad" in path.parts)
    camera.play(2)
    await until(lambda: service.recording_error(PORCH) is not None, "the error")
    camera.play(3)
    await written(service)
    assert service.recording(PORCH)
    assert [segment.path.parts[-4] for segment in await service.segments(PORCH, *ALL)] == ["bad", "good"]
    (gap,) = await service.gaps(PORCH, *ALL)
    assert gap.reason is GapReason.DISK_ERROR
    assert gap.end_ns is not None


async def test_a_segment_that_cannot_be_closed_stays_readable_and_is_closed_later(
    start: Start, clock: ManualClock, faulty: FaultyDisk
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    await written(service)
    faulty.refuse(errno.ENOSPC)
    camera.disconnect()
    await until(lambda: not service._recording._live(), "the close to fail")
    (segment,) = await service.segments(PORCH, *ALL)
    assert not segment.closed
    with await service.open(segment.id) as opened:
        assert opened.read_at(opened.file.fragments[-1].offset, 8)
    faulty.heal()
    await back_in_order(service, clock)
    await service._recording.report()
    (segment,) = await service.segments(PORCH, *ALL)
    assert segment.closed


async def test_a_disk_that_is_too_slow_is_an_overrun_and_memory_stays_bounded(
    start: Start, clock: ManualClock, faulty: FaultyDisk
) -> None:
    service = await start(segment_s=60.0, queue_limit_bytes=100_000)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    faulty.stall()
    writer = service._recording.writers[0]
    worst = 0
    for _ in range(60):
        camera.play(1)
        worst = max(worst, writer.queue_bytes)
    assert worst < 150_000
    assert writer.overruns == 1
    assert "too slow" in (service.recording_error(PORCH) or "")
    (gap,) = await service.gaps(PORCH, *ALL)
    assert (gap.reason, gap.end_ns) == (GapReason.OVERRUN, None)
    faulty.resume()
    await until(lambda: writer.queue_bytes == 0, "the queue")
    camera.play(3)
    await written(service)
    before, after = await service.segments(PORCH, *ALL)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns) == (before.end_ns, after.start_ns)
    assert service.recording(PORCH)


async def test_a_directory_that_vanishes_is_noticed_before_the_next_file(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    (tmp_path / "volume").rename(tmp_path / "elsewhere")
    (tmp_path / "volume").mkdir()  # as an unmounted disk leaves its mount point
    camera.disconnect()
    camera.reconnect(1)
    camera.play(2)
    await until(lambda: service.recording_error(PORCH) is not None, "the error")
    assert list((tmp_path / "volume").iterdir()) == [], "footage would fill the system disk"
    (tmp_path / "volume").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "volume")
    await back_in_order(service, clock)
    camera.play(3)
    await written(service)
    assert service.recording(PORCH)


async def test_a_volume_that_cannot_be_opened_is_said_and_taken_up_when_it_comes(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "volume").write_text("a file where the directory should be")
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    assert not service.recording(PORCH)
    assert service.recording_error(PORCH)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert gap.reason is GapReason.DISK_ERROR
    (tmp_path / "volume").unlink()
    await back_in_order(service, clock)
    camera.play(2)
    await written(service)
    assert service.recording(PORCH)


async def test_a_full_disk_makes_the_oldest_footage_go_first(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        volume = VolumeConfig(path=disk / "volume", quota=1 << 30)
        service = await start(volumes=[volume], segment_s=10.0)
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        for _ in range(60):
            camera.play(10)
            await written(service)
            await service._keepers[0].look()
        segments = await service.segments(PORCH, *ALL)
        assert service.recording(PORCH)
        assert segments[-1].end_ns >= clock.wall_ns() - 10**9
        assert service._keepers[0].retention.displaced > 5
        for segment in segments:
            assert segment.path.exists()
        assert await service.gaps(PORCH, *ALL) == []
        await service.stop()


async def test_a_disk_filled_by_others_stops_recording_and_frees_itself(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        volume = VolumeConfig(path=disk / "volume", quota=1 << 30)
        service = await start(volumes=[volume], segment_s=5.0)
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        camera.play(60)
        await written(service)
        hog = disk / "hog"
        with pytest.raises(OSError), hog.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        camera.play(10)
        await until(lambda: service.recording_error(PORCH) is not None, "the disk to be full")
        assert "full" in (service.recording_error(PORCH) or "")
        await back_in_order(service, clock)
        camera.play(10)
        await written(service)
        assert service.recording(PORCH), "the oldest footage made room"
        assert service._keepers[0].retention.displaced > 0
        await service.stop()


async def test_what_is_written_between_two_looks_never_fills_a_small_disk(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        service = await start(volumes=[VolumeConfig(path=disk / "volume", quota=1 << 30)], segment_s=10.0)
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        for _ in range(40):
            written_bytes = service._recording.writers[0].bytes_written
            camera.play(20)
            await written(service)
            assert service.recording(PORCH)
            await service._keepers[0].look()
        period_bytes = service._recording.writers[0].bytes_written - written_bytes
        assert period_bytes > (4 << 20) // FREE_FLOOR_SHARE, "the floor alone would not do"
        assert service._keepers[0].retention.displaced > 5
        assert await service.gaps(PORCH, *ALL) == []
        await service.stop()


async def test_a_disk_that_others_keep_full_says_so_once_and_what_to_do(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk, capture_logs() as logs:
        service = await start(volumes=[VolumeConfig(path=disk / "volume", quota=1 << 30)], segment_s=5.0)
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        camera.play(20)
        await written(service)
        with (disk / "hog").open("wb", buffering=0) as hog:
            for _ in range(20):
                with pytest.raises(OSError):
                    while True:
                        hog.write(bytes(4096))
                camera.play(10)
                await written(service)
                await service._recording.gaps.commit()
                clock.advance(40)
                await service._recording.look()
                await service._keepers[0].look()
        camera.play(2)
        assert not service.recording(PORCH)
        assert "free space on it" in (service.recording_error(PORCH) or "")
        assert len([entry for entry in logs if entry["log_level"] in ("warning", "error")]) < 10
        (disk / "hog").unlink()
        await back_in_order(service, clock)
        camera.play(10)
        await written(service)
        assert service.recording(PORCH)
        gap = (await service.gaps(PORCH, *ALL))[-1]
        assert gap.reason is GapReason.DISK_ERROR
        assert gap.end_ns is not None
        await service.stop()
