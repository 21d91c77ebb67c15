"""Evidence locks on a volume: what they cover, how they come and go, what happens when their file is damaged."""

import asyncio
import errno
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.storage.conftest import Start
from tests.storage.scripted_camera import ScriptedCamera, camera, until, written

from vms.common.clock import NS, ManualClock
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.storage import identity
from vms.storage.errors import VolumeUnavailable
from vms.storage.keeper import VolumeKeeper
from vms.storage.layout import UNREADABLE_SUFFIX, recording_name
from vms.storage.locks import LOCKS_NAME, VolumeLocks
from vms.storage.segment import Segment
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH, YARD = CameraId("porch"), CameraId("yard")


def lock(start_ns: int, end_ns: int, camera_id: CameraId = PORCH) -> EvidenceLock:
    return EvidenceLock(uuid4(), camera_id, start_ns, end_ns, "burglary", "M. Silva", 5)


def released(one: EvidenceLock) -> EvidenceLock:
    return EvidenceLock(
        one.id,
        one.camera_id,
        one.start_ns,
        one.end_ns,
        "burglary",
        "M. Silva",
        5,
        9,
        "A. Costa",
        "case closed",
    )


@pytest.fixture
def locks(tmp_path: Path) -> VolumeLocks:
    found = VolumeLocks(tmp_path)
    found.load()
    return found


def put(locks: VolumeLocks, *ones: EvidenceLock, revision: int) -> bool:
    return locks.put(ones, revision, aside=".damaged-1")


def again(tmp_path: Path) -> VolumeLocks:
    found = VolumeLocks(tmp_path)
    found.load()
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=8),
    st.integers(0, 60),
    st.integers(0, 20),
)
def test_a_recording_is_protected_where_it_shares_time_with_a_lock(
    spans: list[tuple[int, int]], start: int, length: int
) -> None:
    locks = VolumeLocks(Path("/nonexistent"))
    locks.load()
    locks._hold(1, {one.id: one for one in (lock(s, s + n) for s, n in spans)}, frozenset())
    segment = Segment(uuid4(), PORCH, "main", Path("x"), start, start + length, 1, True, None, None)
    end = start + max(length, 1)
    assert locks.times.protects(segment) == any(s < end and s + n > start for s, n in spans)
    assert locks.times.until(YARD, start, end) is None


def test_nothing_may_be_deleted_before_the_locks_were_read(tmp_path: Path) -> None:
    assert VolumeLocks(tmp_path).times.until(PORCH, 0, 1) is not None


def test_locks_come_back_from_the_file(locks: VolumeLocks, tmp_path: Path) -> None:
    one, other = lock(5, 9), lock(7, 20, YARD)
    assert put(locks, one, other, revision=7)
    assert not put(locks, one, other, revision=7)
    found = again(tmp_path)
    assert {each.id: each for each in found.holding} == {one.id: one, other.id: other}
    assert found.revision == 7
    assert found.times == locks.times


def test_a_newer_set_without_a_lock_lets_it_go(locks: VolumeLocks, tmp_path: Path) -> None:
    one, other = lock(5, 9), lock(50, 90)
    put(locks, one, other, revision=7)
    put(locks, other, revision=8)
    assert locks.holding == [other]
    assert again(tmp_path).holding == [other]
    assert locks.times.until(PORCH, 5, 9) is None


def test_an_older_set_takes_no_lock_away_and_brings_its_own(locks: VolumeLocks, tmp_path: Path) -> None:
    one, other = lock(5, 9), lock(50, 90)
    put(locks, one, revision=7)
    put(locks, other, revision=3)
    assert {each.id for each in locks.holding} == {one.id, other.id}
    assert (locks.unnamed, locks.revision) == (1, 7)
    assert again(tmp_path).unnamed == 1
    put(locks, revision=9)
    assert locks.holding == [one], "a restored database does not know it, so it cannot have released it"
    put(locks, released(one), revision=10)
    assert locks.holding == []
    assert again(tmp_path).holding == []


def test_a_set_that_comes_late_does_no_harm(locks: VolumeLocks) -> None:
    one, other = lock(5, 9), lock(50, 90)
    put(locks, one, other, revision=7)
    put(locks, one, revision=6)
    put(locks, one, other, revision=7)
    assert locks.unnamed == 0
    put(locks, one, revision=8)
    assert locks.holding == [one]


@pytest.mark.parametrize("damage", ["cut", "empty", "empty object", "count", "version", "binary"])
def test_a_damaged_file_locks_everything_until_the_set_is_told_again(
    locks: VolumeLocks, tmp_path: Path, damage: str
) -> None:
    one = lock(5, 9)
    put(locks, one, lock(50, 90), revision=7)
    path = tmp_path / LOCKS_NAME
    text = path.read_text()
    tree = json.loads(text)
    match damage:
        case "cut":
            path.write_text(text[: len(text) // 2])
        case "empty":
            path.write_bytes(b"")
        case "empty object":
            path.write_text("{}")
        case "count":
            path.write_text(json.dumps(tree | {"locks": tree["locks"][:1]}))
        case "version":
            path.write_text(json.dumps(tree | {"version": 99}))
        case "binary":
            path.write_bytes(b"\xff\x00" * 99)
    damaged = path.read_bytes()
    found = again(tmp_path)
    assert found.error is not None
    assert found.times.until(YARD, 10_000, 10_001) is not None
    put(found, one, revision=3)
    assert found.error is None
    assert found.holding == [one]
    assert found.times.until(YARD, 10_000, 10_001) is None
    assert (tmp_path / f"{LOCKS_NAME}.damaged-1").read_bytes() == damaged


def test_a_file_that_the_disk_refuses_locks_everything(locks: VolumeLocks, tmp_path: Path) -> None:
    (tmp_path / LOCKS_NAME).mkdir()  # reading it is an error
    found = again(tmp_path)
    assert found.error is not None
    assert found.times.until(YARD, 10_000, 10_001) is not None
    one = lock(5, 9)
    put(found, one, revision=3)
    assert again(tmp_path).holding == [one]


def test_an_end_while_a_damaged_file_is_replaced_lets_nothing_go(
    locks: VolumeLocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(locks, lock(5, 9), revision=7)
    path = tmp_path / LOCKS_NAME
    path.write_text("{")

    def end(path: Path, data: bytes) -> None:
        raise OSError(errno.EIO, "the system ends here")

    monkeypatch.setattr("vms.storage.locks.write_durably", end)
    with pytest.raises(VolumeUnavailable):
        put(again(tmp_path), lock(5, 9), revision=8)
    assert again(tmp_path).times.everything
    path.unlink()
    assert again(tmp_path).times.everything, "one that was set aside tells that there were locks"


def test_a_set_whose_writing_hung_does_not_replace_a_newer_one(
    locks: VolumeLocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = lock(5, 9), lock(50, 90)
    hanging, answered = threading.Event(), threading.Event()

    def write(path: Path, data: bytes) -> None:
        if not hanging.is_set():
            hanging.set()
            answered.wait(30)
        identity.write_durably(path, data)

    monkeypatch.setattr("vms.storage.locks.write_durably", write)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(put, locks, one, revision=7)
        assert hanging.wait(30)
        second = threads.submit(put, locks, one, other, revision=8)
        answered.set()
        assert first.result(30) and second.result(30)
    assert again(tmp_path).holding == locks.holding == [one, other]
    assert locks.revision == 8


async def test_who_gives_up_waiting_for_a_slow_disk_leaves_one_thread_behind_and_no_more(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await start()
    (keeper,) = service._keepers
    answered, begun = threading.Event(), []

    def check() -> None:
        begun.append(threading.get_ident())
        answered.wait(30)

    with monkeypatch.context() as patch:
        patch.setattr(keeper.volume, "check", check)
        for revision in (1, 2, 3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await keeper.put_locks([lock(5, 9)], revision)
        await until(lambda: bool(begun), "the thread")
        assert len(begun) == 1
        answered.set()
    one = lock(50, 90)
    await keeper.put_locks([one], 4)
    assert keeper.volume.locks.holding == [one]


def test_locks_that_cannot_be_written_are_obeyed_and_not_acknowledged(
    locks: VolumeLocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = lock(5, 9), lock(50, 90)
    put(locks, one, revision=7)

    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(identity, "fsync_directory", refuse)
        with pytest.raises(VolumeUnavailable):
            put(locks, other, revision=8)
        assert locks.times.until(PORCH, 5, 9) is not None, "letting go was not written either"
        assert locks.times.until(PORCH, 50, 90) is not None
    assert put(locks, other, revision=8), "the same set again is written again"
    assert again(tmp_path).holding == [other]


# -- on a running volume ------------------------------------------------------------------------------


async def record(service: StorageService, clock: ManualClock, name: str, seconds: float) -> None:
    scripted = ScriptedCamera(clock, name)
    service.record(scripted.camera, scripted.hub)
    scripted.play(seconds)
    await service.stop_recording(scripted.camera.id)


async def enforce(service: StorageService) -> VolumeKeeper:
    await written(service)
    (keeper,) = service._keepers
    await keeper.retention.enforce()
    return keeper


async def test_locked_footage_stays_whatever_its_age_and_goes_when_it_is_released(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=5.0)
    await record(service, clock, "porch", 30)
    before = await service.segments(PORCH, *ALL)
    held = lock(before[2].start_ns + NS, before[3].start_ns + NS)
    (keeper,) = service._keepers
    await keeper.put_locks([held], 1)
    service.keep(camera("porch", retention_s=1))
    clock.advance(3600)
    await enforce(service)
    assert await service.segments(PORCH, *ALL) == before[2:4]
    await keeper.look()
    assert (await keeper.state()).locked_bytes == sum(row.size_bytes for row in before[2:4])
    await keeper.put_locks([], 2)
    await enforce(service)
    assert await service.segments(PORCH, *ALL) == []


async def test_locks_hold_over_a_restart_and_a_lost_catalog(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(segment_s=5.0)
    await record(service, clock, "porch", 12)
    before = await service.segments(PORCH, *ALL)
    await service._keepers[0].put_locks([lock(*ALL)], 1)
    await service.stop()
    for file in (tmp_path / "volume").glob("vms-catalog*"):
        file.unlink()
    second = await start(segment_s=5.0)
    second.keep(camera("porch", retention_s=1))
    clock.advance(3600)
    await enforce(second)
    assert await second.segments(PORCH, *ALL) == before


async def test_a_volume_whose_locks_cannot_be_read_deletes_nothing_and_says_so(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(segment_s=5.0)
    await record(service, clock, "porch", 12)
    before = await service.segments(PORCH, *ALL)
    await service.stop()
    (tmp_path / "volume" / LOCKS_NAME).write_text('{"version": 1, ')
    second = await start(segment_s=5.0)
    second.keep(camera("porch", retention_s=1))
    clock.advance(3600)
    keeper = await enforce(second)
    assert await second.segments(PORCH, *ALL) == before
    assert (await keeper.state()).alarms == ("locks_unreadable",)
    await keeper.put_locks([], 1)
    await enforce(second)
    assert await second.segments(PORCH, *ALL) == []
    assert (await keeper.state()).alarms == ()


async def test_a_volume_full_of_locked_footage_says_so_and_goes_on(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    volume = VolumeConfig.model_construct(path=tmp_path / "volume", quota=100_000)
    service = await start(volumes=[volume], segment_s=5.0)
    told: list[tuple[list[str], list[str]]] = []
    (keeper,) = service._keepers
    keeper.on_alarms = lambda begun, ended: told.append((list(begun), list(ended)))
    await record(service, clock, "porch", 40)
    before = await service.segments(PORCH, *ALL)
    assert keeper.volume.used_bytes > 100_000
    await keeper.put_locks([lock(*ALL)], 1)
    await enforce(service)
    assert await service.segments(PORCH, *ALL) == before
    assert (await keeper.state()).alarms == ("full_of_protected",)
    await record(service, clock, "yard", 10)
    assert await service.segments(YARD, *ALL), "what is recorded goes on: the disk has room above its floor"
    await keeper.put_locks([], 2)
    await enforce(service)
    assert keeper.volume.used_bytes <= 100_000
    assert (await keeper.state()).alarms == ()
    assert told == [(["full_of_protected"], []), ([], ["full_of_protected"])]


async def test_a_deletion_that_was_begun_before_a_lock_is_undone_where_the_file_is_still_there(
    start: Start, clock: ManualClock
) -> None:
    service = await start(segment_s=5.0)
    await record(service, clock, "porch", 12)
    before = await service.segments(PORCH, *ALL)
    (keeper,) = service._keepers
    await keeper.volume.catalog.run(lambda each: each.mark_deleting([row.id for row in before]))
    before[1].path.unlink()
    await keeper.put_locks([lock(*ALL)], 1)
    await service.stop()
    second = await start(segment_s=5.0)
    left = await second.segments(PORCH, *ALL)
    assert left == [row for row in before if row is not before[1]]
    assert second._keepers[0].volume.closed_bytes == sum(row.size_bytes for row in left)


async def test_a_beginning_without_footage_in_a_locked_time_is_set_aside(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    service = await start(segment_s=5.0)
    await record(service, clock, "porch", 3)
    (segment,) = await service.segments(PORCH, *ALL)
    beginning = segment.path.read_bytes()[:1000]
    await service._keepers[0].put_locks([lock(segment.start_ns + 100 * NS, segment.start_ns + 200 * NS)], 1)
    await service.stop()
    for seconds in (150, 1000):
        path = tmp_path / "volume" / recording_name(PORCH, segment.start_ns + seconds * NS, "main")
        path.write_bytes(beginning)
    await start(segment_s=5.0)
    left = sorted(path.name for path in (tmp_path / "volume").rglob("*/*/*") if path != segment.path)
    locked = recording_name(PORCH, segment.start_ns + 150 * NS, "main").rpartition("/")[2]
    assert left == [locked + UNREADABLE_SUFFIX]
