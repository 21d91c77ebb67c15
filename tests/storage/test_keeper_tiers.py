"""A keeper with tiers: recordings move, are deleted there as here, and a lock holds wherever they are."""

import asyncio
import errno
from pathlib import Path
from uuid import uuid4

import pytest
from tests.storage.conftest import Start
from tests.storage.scripted_camera import ScriptedCamera, camera, written

from vms.common.clock import ManualClock
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.config import TierConfig, VolumeConfig
from vms.storage import recovery
from vms.storage.keeper import VolumeKeeper
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH = CameraId("porch")


def volume(tmp_path: Path, quota: int = 1 << 30, after: float = 60.0, most: int = 1 << 30) -> VolumeConfig:
    shelf = TierConfig.model_construct(name="shelf", path=tmp_path / "shelf", after=after, quota=most)
    return VolumeConfig.model_construct(path=tmp_path / "volume", quota=quota, tiers=(shelf,))


async def record(service: StorageService, clock: ManualClock, seconds: float) -> VolumeKeeper:
    scripted = ScriptedCamera(clock, "porch")
    service.record(scripted.camera, scripted.hub)
    scripted.play(seconds)
    await service.stop_recording(PORCH)
    await written(service)
    (keeper,) = service._keepers
    return keeper


async def look(keeper: VolumeKeeper) -> None:
    await keeper.look()
    assert keeper.mover is not None
    await keeper.mover.settled()
    await keeper.mover.settled()  # what the first left to be removed
    assert keeper.volume.error is None


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.mp4")}


async def test_what_could_not_be_done_when_a_volume_was_opened_is_done_when_it_works(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, "input/output error")

    keeper = VolumeKeeper(volume(tmp_path), clock, system_id="here")
    with monkeypatch.context() as patch:
        patch.setattr(recovery, "day_directories", refuse)
        await keeper.start()
        assert keeper.volume.is_open
        assert (await keeper.state()).error
    try:
        clock.advance(60)
        await keeper.look()
        assert not (await keeper.state()).error
        assert keeper.mover is not None, "nothing would ever move"
    finally:
        await keeper.stop()


async def test_recordings_move_when_they_are_old_enough_and_stay_playable(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(volumes=[volume(tmp_path)], segment_s=5.0)
    keeper = await record(service, clock, 12)
    before = await service.segments(PORCH, *ALL)
    data = [row.path.read_bytes() for row in before]
    clock.advance(120)
    await look(keeper)
    moved = await service.segments(PORCH, *ALL)
    assert [row.tier for row in moved] == ["shelf"] * len(before)
    assert (files(tmp_path / "volume"), len(files(tmp_path / "shelf"))) == (set(), len(before))
    for row, bytes_before in zip(moved, data, strict=True):
        with await service.open_file(row.id) as opened:
            assert opened.read_at(0, row.size_bytes) == bytes_before
    state = await keeper.state()
    total = sum(row.size_bytes for row in before)
    assert (state.used_bytes, [(tier.name, tier.used_bytes) for tier in state.tiers]) == (
        0,
        [("shelf", total)],
    )


async def test_footage_is_not_missed_on_its_volume_after_a_restart(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(volumes=[volume(tmp_path)], segment_s=5.0)
    keeper = await record(service, clock, 12)
    clock.advance(120)
    await look(keeper)
    before = await service.segments(PORCH, *ALL)
    await service.stop()
    second = await start(volumes=[volume(tmp_path)], segment_s=5.0)
    assert await second.segments(PORCH, *ALL) == before
    assert (await second._keepers[0].state()).found == {}


async def test_age_reaches_into_a_tier_and_a_lock_holds_there(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(volumes=[volume(tmp_path)], segment_s=5.0)
    keeper = await record(service, clock, 22)
    clock.advance(120)
    await look(keeper)
    rows = await service.segments(PORCH, *ALL)
    held = EvidenceLock(uuid4(), PORCH, rows[1].start_ns, rows[1].end_ns, "why", "who", 1)
    await keeper.put_locks([held], 1)
    service.keep(camera("porch", retention_s=60))
    await service._recording.report()
    clock.advance(3600)
    await look(keeper)
    assert await service.segments(PORCH, *ALL) == rows[1:2]
    assert files(tmp_path / "shelf") == {rows[1].path.name}
    await keeper.put_locks([], 2)
    await look(keeper)
    assert files(tmp_path / "shelf") == set()


async def test_a_full_volume_moves_what_is_not_old_enough(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(volumes=[volume(tmp_path, quota=100_000, after=1e6)], segment_s=5.0)
    keeper = await record(service, clock, 40)
    before = await service.segments(PORCH, *ALL)
    assert sum(row.size_bytes for row in before) > 100_000
    await look(keeper)
    after = await service.segments(PORCH, *ALL)
    assert [row.id for row in after] == [row.id for row in before], "nothing had to be deleted"
    assert sum(row.size_bytes for row in after if not row.tier) <= 100_000
    assert keeper.retention.displaced == 0


async def test_a_tier_that_is_away_is_an_alarm_until_it_is_back(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(volumes=[volume(tmp_path)], segment_s=5.0)
    (tmp_path / "shelf").write_text("in the way")
    keeper = await record(service, clock, 12)
    clock.advance(120)
    await look(keeper)
    state = await keeper.state()
    assert state.alarms == ("tier_unreachable",)
    assert state.tiers[0].error
    assert all(row.tier == "" for row in await service.segments(PORCH, *ALL))
    (tmp_path / "shelf").unlink()
    clock.advance(600)
    await look(keeper)
    assert (await keeper.state()).alarms == ()
    assert all(row.tier == "shelf" for row in await service.segments(PORCH, *ALL))


async def test_a_lost_catalog_finds_what_is_in_tiers_again(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(volumes=[volume(tmp_path)], segment_s=5.0)
    keeper = await record(service, clock, 12)
    clock.advance(120)
    await look(keeper)
    moved = await service.segments(PORCH, *ALL)
    await record(service, clock, 12)
    before = await service.segments(PORCH, *ALL)
    assert len(before) > len(moved)
    await service.stop()
    for file in (tmp_path / "volume").glob("vms-catalog*"):
        file.unlink()
    second = await start(volumes=[volume(tmp_path)], segment_s=5.0)
    (keeper,) = second._keepers
    async with asyncio.timeout(20):
        while not keeper._scanned:
            await asyncio.sleep(0.01)
    await keeper.look()
    assert keeper.adoption is not None
    await keeper.adoption.settled()
    assert await second.segments(PORCH, *ALL) == before
    assert await keeper.volume.catalog.run(lambda each: each.adopted("shelf"))
    assert keeper.volume.closed_bytes == sum(row.size_bytes for row in before if not row.tier)
