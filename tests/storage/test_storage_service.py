"""The storage service as others use it."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs
from tests.storage.conftest import Start
from tests.storage.faults import FaultyDisk
from tests.storage.scripted_camera import NOON_NS, ScriptedCamera, until, written

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import read_segment
from vms.media import Gap, GapReason
from vms.storage.errors import SegmentNotFound, SegmentUnreadable
from vms.telemetry.metrics import prometheus_text, read

ALL = (0, 1 << 62)
PORCH = CameraId("porch")


async def test_an_open_segment_can_be_read_up_to_its_last_whole_fragment(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(3.2)
    await written(service)
    (segment,) = await service.segments(PORCH, *ALL)
    assert not segment.closed
    with await service.open(segment.id) as opened:
        scanned = read_segment(opened.read_at, opened.size_bytes)
        assert opened.file.fragments == scanned.fragments
        assert opened.file.init == scanned.init
        assert opened.file.size == segment.size_bytes == scanned.size
        assert opened.file.tracks == scanned.tracks
        assert (await service.index(segment.id)).init == scanned.init
    assert segment.end_ns > NOON_NS + 2 * NS


async def test_a_segment_opened_while_it_was_written_reads_on_after_it_is_closed(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    await written(service)
    (segment,) = await service.segments(PORCH, *ALL)
    with await service.open(segment.id) as opened:
        fragment = opened.file.fragments[1]
        before = opened.read_at(fragment.offset, fragment.size)
        await service.stop_recording(PORCH)
        assert opened.read_at(fragment.offset, fragment.size) == before
    with await service.open(segment.id) as closed:
        assert closed.segment.closed
        assert closed.file.closed
        assert closed.file.fragments[1] == fragment
        assert closed.read_at(fragment.offset, fragment.size) == before


async def test_readers_never_see_what_is_not_written(
    start: Start, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = FaultyDisk(monkeypatch)
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    (before,) = await service.segments(PORCH, *ALL)
    faulty.stall()
    camera.play(5)
    await asyncio.sleep(0.02)
    (stalled,) = await service.segments(PORCH, *ALL)
    assert stalled.end_ns == before.end_ns
    faulty.resume()
    await written(service)
    (after,) = await service.segments(PORCH, *ALL)
    assert after.end_ns > before.end_ns + 4 * NS


async def test_a_range_finds_what_shares_time_with_it(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=5.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(21)
    await written(service)
    segments = await service.segments(PORCH, *ALL)
    middle = segments[2]
    assert await service.segments(PORCH, middle.start_ns, middle.end_ns) == [middle]
    assert await service.segments(PORCH, middle.start_ns - 1, middle.end_ns + 1) == segments[1:4]
    assert await service.segments(CameraId("yard"), *ALL) == []
    assert await service.segment(middle.id) == middle
    assert await service.coverage(PORCH, *ALL) == [(segments[0].start_ns, segments[-1].end_ns)]


async def test_the_index_of_a_closed_segment_is_that_of_its_file(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(4)
    await service.stop_recording(PORCH)
    (segment,) = await service.segments(PORCH, *ALL)
    index = await service.index(segment.id)
    with await service.open(segment.id) as opened:
        assert index.init == opened.file.init
        assert [(one.offset, one.size, one.start_ns, one.key) for one in index.fragments] == [
            (one.offset, one.size, one.start_ns, one.key) for one in opened.file.fragments
        ]
    assert segment.size_bytes == segment.path.stat().st_size


async def test_unknown_segments_are_a_typed_error(start: Start) -> None:
    service = await start()
    for ask in (service.segment, service.open, service.index):
        with pytest.raises(SegmentNotFound):
            await ask(uuid4())


async def test_a_damaged_file_is_a_typed_error(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(4)
    await service.stop_recording(PORCH)
    (segment,) = await service.segments(PORCH, *ALL)
    segment.path.write_bytes(b"\0" * 5000)
    with pytest.raises(SegmentUnreadable, match="cannot be read"):
        await service.open(segment.id)
    segment.path.unlink()
    with pytest.raises(SegmentNotFound):
        await service.open(segment.id)


async def test_stopping_closes_two_hundred_segments(start: Start, clock: ManualClock, tmp_path: Path) -> None:
    service = await start(segment_s=600.0)
    cameras = [ScriptedCamera(clock, f"camera-{number}") for number in range(200)]
    for camera in cameras:
        service.record(camera.camera, camera.hub)
    for _ in range(30):
        for camera in cameras:
            camera.push()
        clock.advance(0.04)
    await service.stop()
    files = sorted((tmp_path / "volume").rglob("*.mp4"))
    assert len(files) == 200
    for path in files:
        data = path.read_bytes()
        file = read_segment(lambda offset, size, data=data: data[offset : offset + size], len(data))
        assert file.closed
    again = await start(segment_s=600.0)
    for camera in cameras:
        (segment,) = await again.segments(camera.camera.id, *ALL)
        assert segment.closed


async def test_stopping_waits_for_segments_that_ended_with_their_cameras(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    # As the system stops: cameras are disconnected first, which cuts every segment at once.
    service = await start(segment_s=600.0)
    cameras = [ScriptedCamera(clock, f"camera-{number}") for number in range(50)]
    for camera in cameras:
        service.record(camera.camera, camera.hub)
    for _ in range(30):
        for camera in cameras:
            camera.push()
        clock.advance(0.04)
    for camera in cameras:
        camera.hub.gap(Gap(clock.wall_ns(), None, GapReason.SYSTEM_STOPPED, "the system was stopped"))
    with capture_logs() as logs:
        await service.stop()
    assert [entry for entry in logs if entry["log_level"] in ("warning", "error")] == []
    files = sorted((tmp_path / "volume").rglob("*.mp4"))
    assert len(files) == 50
    for path in files:
        data = path.read_bytes()
        assert read_segment(lambda offset, size, data=data: data[offset : offset + size], len(data)).closed


async def test_a_segment_goes_to_a_volume_that_has_room_for_what_the_camera_may_deliver(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    small = VolumeConfig(path=tmp_path / "small", quota=16 << 20)
    large = VolumeConfig(path=tmp_path / "large", quota=64 << 20)
    service = await start(volumes=[small, large])
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(15)
    await written(service)
    segments = await service.segments(PORCH, *ALL)
    assert segments[0].path.parts[-4] == "large"


async def test_recordings_of_several_volumes_are_one_timeline(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volumes = [VolumeConfig(path=tmp_path / name, quota=64 << 20) for name in ("first", "second")]
    service = await start(volumes=volumes, segment_s=4.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    for _ in range(6):
        camera.play(4)
        await written(service)
    segments = await service.segments(PORCH, *ALL)
    assert {segment.path.parts[-4] for segment in segments} == {"first", "second"}
    assert await service.coverage(PORCH, *ALL) == [(segments[0].start_ns, segments[-1].end_ns)]


async def test_the_time_between_two_runs_has_its_reason(start: Start, clock: ManualClock) -> None:
    first = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    first.record(camera.camera, camera.hub)
    camera.play(3)
    await first.stop()
    stopped_ns = clock.wall_ns()
    clock.advance(100)
    second = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    second.record(camera.camera, camera.hub)
    await second.recovered()
    (lasting,) = await second.gaps(PORCH, *ALL)
    assert (lasting.start_ns, lasting.end_ns, lasting.reason) == (
        stopped_ns,
        None,
        GapReason.SYSTEM_STOPPED,
    )
    camera.play(3)
    await written(second)
    (gap,) = await second.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns) == (stopped_ns, stopped_ns + 100 * NS)


async def test_a_camera_lost_before_the_end_stays_lost_over_it(start: Start, clock: ManualClock) -> None:
    first = await start()
    camera = ScriptedCamera(clock)
    first.record(camera.camera, camera.hub)
    camera.play(3)
    camera.disconnect()
    lost_ns = clock.wall_ns()
    await first.stop()
    clock.advance(100)
    second = await start()
    camera = ScriptedCamera(clock)
    second.record(camera.camera, camera.hub)
    camera.play(3)
    await written(second)
    (gap,) = await second.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns, gap.reason) == (lost_ns, lost_ns + 100 * NS, GapReason.CAMERA_LOST)


async def test_a_forgotten_camera_keeps_its_recordings(start: Start, clock: ManualClock) -> None:
    service = await start()
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    await service.forget(PORCH)
    assert not service.recording(PORCH)
    (segment,) = await service.segments(PORCH, *ALL)
    assert segment.closed
    assert await service.gaps(PORCH, *ALL) == []


async def test_a_hub_that_dropped_its_recorder_does_not_count_as_recording(
    start: Start, clock: ManualClock
) -> None:
    service = await start()
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    await written(service)
    assert service.recording(PORCH)
    camera.hub.detach(camera.hub.sinks[0])
    assert not service.recording(PORCH)


async def test_metrics_say_how_volumes_are(start: Start, clock: ManualClock, tmp_path: Path) -> None:
    service = await start(sync_interval_s=0.01)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    await written(service)
    await until(lambda: service._recording.writers[0].sync_rounds > 0, "a sync")
    text = prometheus_text([read("media", "media-0", [service])]).decode()
    volume = f'{{role="media",volume="{tmp_path / "volume"}",worker="media-0"}}'
    assert f"vms_storage_usable{volume} 1.0" in text
    assert f"vms_storage_quota_bytes{volume} 1.073741824e+09" in text
    assert f"vms_storage_segments_open{volume} 1.0" in text
    assert 'vms_storage_recordings{role="media",worker="media-0"} 1.0' in text
    assert f"vms_storage_sync_rounds_total{volume}" in text
