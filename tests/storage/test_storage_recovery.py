"""After a crash: everything that was written is found again, and nothing is deleted in silence."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.storage.conftest import Start
from tests.storage.faults import crashed_copy
from tests.storage.scripted_camera import NOON_NS, ScriptedCamera, until, written

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import read_segment
from vms.media import GapReason
from vms.storage import recovery
from vms.storage.catalog import Catalog
from vms.storage.errors import CatalogUnusable
from vms.storage.layout import CATALOG_NAME, FOREIGN_SUFFIX, UNREADABLE_SUFFIX
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH = CameraId("porch")


async def crash(start: Start, clock: ManualClock, tmp_path: Path, seconds: float = 6.2) -> Path:
    """A volume as a killed system leaves it: one closed segment, one that was being written."""
    service = await start(segment_s=5.0)
    camera = ScriptedCamera(clock, audio=True)
    service.record(camera.camera, camera.hub)
    camera.play(seconds)
    await written(service)
    await service._recording.gaps.commit()
    return crashed_copy(service, tmp_path / "crashed")


async def after(start: Start, volume: Path) -> StorageService:
    return await start(segment_s=5.0, volumes=[VolumeConfig(path=volume, quota=1 << 30)])


def recovered(service: StorageService) -> dict[str, int]:
    counters = service._keepers[0].found
    return {name: getattr(counters, name) for name in counters.__slots__ if getattr(counters, name)}


async def test_a_segment_that_was_being_written_is_completed(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = await crash(start, clock, tmp_path)
    service = await after(start, volume)
    segments = await service.segments(PORCH, *ALL)
    assert len(segments) == 2
    assert all(segment.closed for segment in segments)
    assert segments[-1].end_ns > clock.wall_ns() - NS, "more than a second is missing"
    assert recovered(service) == {"repaired": 1}
    for segment in segments:
        with await service.open(segment.id) as opened:
            assert opened.file.closed
            assert (await service.index(segment.id)).init == opened.file.init
        assert segment.size_bytes == segment.path.stat().st_size


async def test_recovery_done_is_not_done_again(start: Start, clock: ManualClock, tmp_path: Path) -> None:
    volume = await crash(start, clock, tmp_path)
    first = await after(start, volume)
    segments = await first.segments(PORCH, *ALL)
    await first.stop()
    second = await after(start, volume)
    assert recovered(second) == {}
    assert await second.segments(PORCH, *ALL) == segments


async def test_the_time_after_a_crash_has_its_reason(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = await crash(start, clock, tmp_path)
    clock.advance(60)
    service = await after(start, volume)
    (_, last) = await service.segments(PORCH, *ALL)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns, gap.reason) == (
        last.end_ns,
        clock.wall_ns() - 2 * NS,
        GapReason.SYSTEM_STOPPED,
    )


async def test_wherever_a_file_is_torn_what_is_whole_is_kept(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    crashed = await crash(start, clock, tmp_path, seconds=2.9)
    (path,) = crashed.rglob("*.mp4")
    whole = path.read_bytes()
    fragments = read_segment(lambda offset, size: whole[offset : offset + size], len(whole)).fragments
    positions = sorted({0, 1, 7, 40, 300, *range(500, len(whole), 1777), *(one.end for one in fragments)})
    service = None
    for position in positions:
        path.write_bytes(whole[:position])
        expected = [one for one in fragments if one.end <= position]
        service = await after(start, crashed)
        segments = await service.segments(PORCH, *ALL)
        if expected:
            (segment,) = segments
            assert segment.end_ns == expected[-1].end_ns
            with await service.open(segment.id) as opened:
                assert opened.file.closed
                assert len(opened.file.fragments) == len(expected)
            await service.stop()
            (crashed / CATALOG_NAME).unlink()
        else:
            assert segments == []
            assert not path.exists(), "a file without footage was left without a row"
            assert recovered(service) == {"empty": 1}
            await service.stop()
        path.parent.mkdir(parents=True, exist_ok=True)


async def test_a_lost_catalog_is_rebuilt_from_the_files(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = await crash(start, clock, tmp_path, seconds=22)
    first = await after(start, volume)
    segments = await first.segments(PORCH, *ALL)
    tables = [await first.index(segment.id) for segment in segments]
    await first.stop()
    (volume / CATALOG_NAME).unlink()
    second = await after(start, volume)
    assert await second.segments(PORCH, *ALL) == segments
    assert [await second.index(segment.id) for segment in segments] == tables
    assert recovered(second) == {"indexed": len(segments)}
    assert second._keepers[0].volume.used_bytes == sum(segment.size_bytes for segment in segments)


async def test_a_damaged_catalog_is_set_aside_and_rebuilt(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = await crash(start, clock, tmp_path)
    for name in volume.glob(f"{CATALOG_NAME}*"):
        name.unlink()
    (volume / CATALOG_NAME).write_bytes(b"\xa5" * 100_000)
    service = await after(start, volume)
    assert len(await service.segments(PORCH, *ALL)) == 2
    assert len(list(volume.glob(f"{CATALOG_NAME}.damaged-*"))) == 1


async def test_days_older_than_the_newest_two_follow_in_the_background(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(segment_s=60.0)
    for _ in range(5):
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        camera.play(2)
        await service.stop_recording(PORCH)
        clock.advance(86400 - 2)
    volume = crashed_copy(service, tmp_path / "crashed")
    (volume / CATALOG_NAME).unlink()
    again = await after(start, volume)
    days = {segment.start_ns // (86400 * NS) for segment in await again.segments(PORCH, *ALL)}
    assert {4 + NOON_NS // (86400 * NS), 3 + NOON_NS // (86400 * NS)} <= days
    await until(lambda: again._keepers[0].found.indexed == 5, "the older days")
    assert len(await again.segments(PORCH, *ALL)) == 5


async def test_foreign_and_unreadable_files_are_never_deleted(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = await crash(start, clock, tmp_path)
    day = next(volume.rglob("*.mp4")).parent
    (day / "holiday.mp4").write_bytes(b"mine")
    (day / "10-00-00.000Z-main.mp4").write_bytes(b"\0\0\0\x18ftypisom" + b"x" * 5000)
    whole = max(day.glob("12*.mp4")).read_bytes()
    first = read_segment(lambda offset, size: whole[offset : offset + size], len(whole)).fragments[0]
    damaged = bytearray(whole + bytes(2 << 20))
    damaged[first.offset : first.offset + 200] = b"\xff" * 200
    (day / "11-00-00.000Z-main.mp4").write_bytes(damaged)
    service = await after(start, volume)
    assert recovered(service) == {"repaired": 1, "unreadable": 1, "foreign": 1}
    assert (day / "holiday.mp4").read_bytes() == b"mine"
    assert (day / f"10-00-00.000Z-main.mp4{FOREIGN_SUFFIX}").exists()
    assert (day / f"11-00-00.000Z-main.mp4{UNREADABLE_SUFFIX}").exists()


async def test_a_recording_that_someone_removed_leaves_the_catalog(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = await crash(start, clock, tmp_path)
    first = await after(start, volume)
    gone, kept = await first.segments(PORCH, *ALL)
    await first.stop()
    gone.path.unlink()
    second = await after(start, volume)
    assert await second.segments(PORCH, *ALL) == [kept]
    assert recovered(second) == {"missing": 1}


async def test_a_day_that_someone_removed_leaves_the_catalog(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = await crash(start, clock, tmp_path)
    first = await after(start, volume)
    for segment in await first.segments(PORCH, *ALL):
        segment.path.unlink()
    await first.stop()
    for day in (volume / "porch").iterdir():
        day.rmdir()
    (volume / "porch").rmdir()
    second = await after(start, volume)
    await until(lambda: recovered(second) == {"missing": 2}, "the scan")
    assert await second.segments(PORCH, *ALL) == []
    assert second._keepers[0].volume.used_bytes == 0


async def test_a_copy_of_a_recording_is_no_second_recording(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = await crash(start, clock, tmp_path)
    first = await after(start, volume)
    segments = await first.segments(PORCH, *ALL)
    await first.stop()
    copy = segments[0].path.with_name("13-00-00.000Z-main.mp4")
    copy.write_bytes(segments[0].path.read_bytes())
    second = await after(start, volume)
    assert await second.segments(PORCH, *ALL) == segments
    assert copy.exists()


@pytest.mark.parametrize("unlinked", [False, True])
async def test_a_deletion_that_was_begun_is_ended(
    start: Start, clock: ManualClock, tmp_path: Path, unlinked: bool
) -> None:
    volume = await crash(start, clock, tmp_path)
    first = await after(start, volume)
    going, kept = await first.segments(PORCH, *ALL)
    await first.stop()
    with sqlite3.connect(volume / CATALOG_NAME) as db:
        db.execute("UPDATE segment SET deleting = 1 WHERE id = ?", (going.id.bytes,))
    db.close()
    if unlinked:
        going.path.unlink()
    second = await after(start, volume)
    assert await second.segments(PORCH, *ALL) == [kept]
    assert not going.path.exists()
    assert recovered(second) == {}
    assert second._keepers[0].volume.used_bytes == kept.size_bytes


async def test_what_is_being_written_is_left_alone_by_a_scan(start: Start, clock: ManualClock) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    await written(service)
    keeper = service._keepers[0]
    newest, _ = recovery.day_directories(keeper.volume.path)
    for day in newest:
        recovery.reconcile(keeper.volume, day, keeper.found)
    camera.play(3)
    await service.stop_recording(PORCH)
    (segment,) = await service.segments(PORCH, *ALL)
    assert segment.end_ns == NOON_NS + 6 * NS
    assert "repaired" not in recovered(service)


async def test_a_row_that_the_catalog_refuses_is_committed_later(
    start: Start, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)

    def refuse(self: Catalog, rows: object) -> int:
        raise CatalogUnusable(self.path, "database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Catalog, "add", refuse)
        await service.stop_recording(PORCH)
        await service._recording.report()
        assert service._recording.links[0].unsettled == 1, "the keeper has not taken it over"
        (by_file,) = await service.segments(PORCH, *ALL)
        assert by_file.closed
    for _ in range(2):
        clock.advance(40)
        await service._keepers[0].look()
    await service._recording.report()
    assert service._recording.links[0].unsettled == 0
    assert service._keepers[0].volume.closed_bytes == by_file.size_bytes
    assert await service.segments(PORCH, *ALL) == [by_file]


async def test_recording_does_not_wait_for_a_long_recovery(
    start: Start, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = await crash(start, clock, tmp_path)
    clock.advance(60)
    go_on = threading.Event()
    reconcile = recovery.reconcile

    def slowly(*args: Any) -> int:
        go_on.wait()
        return reconcile(*args)

    monkeypatch.setattr(recovery, "reconcile", slowly)
    monkeypatch.setattr("vms.storage.service.RECOVERY_PATIENCE_S", 0.01)
    service = StorageService([VolumeConfig(path=volume, quota=1 << 30)], 60.0, clock)
    await service.start()
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(3)
    await written(service)
    assert service.recording(PORCH)
    go_on.set()
    await service.recovered()
    *_, last, new = await service.segments(PORCH, *ALL)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns, gap.reason) == (
        last.end_ns,
        new.start_ns,
        GapReason.SYSTEM_STOPPED,
    )
    await service.stop()
