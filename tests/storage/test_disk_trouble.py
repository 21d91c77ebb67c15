"""Real disks that hang, become read-only, are pulled, put back and exchanged under a writer."""

import json
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.storage.conftest import Start
from tests.storage.disks import Ext4Disk, ext4
from tests.storage.faults import small_disk
from tests.storage.one_writer import SYSTEM, Film, Ticks, drained, look_after, running
from tests.storage.scripted_camera import NOON_NS, ScriptedCamera, until, written

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.config import EncryptionConfig, VolumeConfig
from vms.format.hybrid import SegmentFile, read_segment
from vms.storage.bodies import open_body
from vms.storage.identity import KnownVolumes
from vms.storage.recording_volume import RecordingVolume
from vms.storage.volume import Volume
from vms.storage.volume_choice import choose, should_move
from vms.storage.writer import QueueBudget, VolumeWriter

ALL = (0, 1 << 62)
PORCH = CameraId("porch")
RATE = 0.5e6


def read(path: Path) -> SegmentFile:
    data = path.read_bytes()
    return read_segment(lambda at, size: data[at : at + size], len(data))


def states_of(volume: Volume) -> list[str | None]:
    """What its state becomes, one after the other."""
    seen: list[str | None] = []
    volume.on_state_change = lambda: seen.append(volume.kind_of_failure)
    return seen


async def test_a_disk_that_hangs_is_left_for_another_and_what_was_queued_is_written_when_it_is_back(
    tmp_path: Path,
) -> None:
    with ext4(tmp_path, "slow") as slow_disk:
        async with AsyncExitStack() as stack:
            slow = await stack.enter_async_context(running(slow_disk.at / "volume", stall_s=0.2))
            other = await stack.enter_async_context(running(tmp_path / "other"))
            states = states_of(slow.volume)
            film = Film(slow)
            film.play(2.0)
            await drained(slow)
            slow_disk.freeze()
            async with Ticks() as ticks:
                film.play(2.0)
                await until(lambda: slow.stalled, "the stall to be noticed")
                assert slow.volume.kind_of_failure == "stalled"
                assert slow.volume.error is None, "it may come back at any time"
                assert should_move(slow, [slow, other])
                assert choose([slow, other], RATE) is other
                assert choose([slow], RATE) is slow, "better than nothing"
                film.play(1.0)
                before = film.cut()
                film.writer = other
                film.play(2.0)
                after = film.cut()
                await after.finished.wait()
                queued = slow.queue_bytes
                counted = ticks.count
                await until(lambda: ticks.count > counted + 5, "the loop to go on")
            assert ticks.worst_s < 5.0, "the loop waited for the disk"
            assert queued > 0
            assert not before.finished.is_set()
            slow_disk.thaw()
            await before.finished.wait()
            await until(lambda: not slow.stalled, "the disk to answer again")
            assert states == ["stalled", None]
            assert film.owner.failed == []
            assert slow.stalls == 1
            first, second = read(before.path), read(after.path)
            assert first.closed
            assert first.fragments[-1].end_ns == second.fragments[0].start_ns, "nothing was lost"


async def test_a_camera_goes_on_on_another_disk_without_a_gap_while_its_own_hangs(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    with ext4(tmp_path, "slow") as disk:
        slow = VolumeConfig(path=disk.at / "volume", quota=64 << 20, free_floor=0)
        service = await start(
            volumes=[slow, VolumeConfig(path=tmp_path / "other", quota=16 << 20)], segment_s=600.0
        )
        writer = service._recording.writers[0]
        camera = ScriptedCamera(clock)
        service.record(camera.camera, camera.hub)
        camera.play(3)
        await written(service)
        (first,) = await service.segments(PORCH, *ALL)
        assert first.path.is_relative_to(disk.at)
        disk.freeze()
        async with Ticks() as ticks:
            camera.play(2)
            await until(lambda: writer.stalled, "the stall to be noticed")
            camera.play(4)
            assert service.recording(PORCH)
            assert service.recording_error(PORCH) is None
        assert ticks.worst_s < 5.0
        disk.thaw()
        await written(service)
        before, after = await service.segments(PORCH, *ALL)
        assert after.path.is_relative_to(tmp_path / "other")
        assert before.end_ns == after.start_ns
        assert await service.gaps(PORCH, *ALL) == []
        await service.stop()


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_disk_that_becomes_read_only_says_so_and_keeps_what_was_visible(
    tmp_path: Path, sealed: bool
) -> None:
    key = tmp_path / "volume.key"
    key.touch(0o600)
    key.write_text(bytes(range(32)).hex())
    with ext4(tmp_path, "failing") as disk:
        path = disk.at / "volume"
        encryption = EncryptionConfig(key_file=key) if sealed else None
        config = VolumeConfig(path=path, encryption=encryption)
        async with running(path, config=config) as writer:
            states = states_of(writer.volume)
            film = Film(writer)
            film.play(3.0)
            await drained(writer)
            assert film.live is not None
            visible, live_path = film.live.visible, film.live.path
            assert visible > 0
            disk.abort()
            async with Ticks() as ticks:
                film.play(2.0)
                await until(lambda: bool(film.owner.failed), "the refusal")
            assert ticks.worst_s < 5.0
            assert states == ["read_only"]
            assert "read-only" in str(writer.volume.error)
            assert not writer.ready
            live = film.cut()
            await live.finished.wait()
            assert live.path == live_path
            assert _fragments(live_path, writer.volume) >= visible


def _fragments(path: Path, volume: RecordingVolume) -> int:
    body = open_body(os.open(path, os.O_RDONLY), volume.keyring)
    found = read_segment(body.read_at, body.size_bytes)
    body.close()
    return len(found.fragments)


async def test_a_full_disk_and_a_disk_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 1 << 20) as disk:
        async with running(disk / "volume") as writer:
            states = states_of(writer.volume)
            film = Film(writer)
            film.play(1.0)
            await drained(writer)
            with pytest.raises(OSError), (disk / "hog").open("wb", buffering=0) as hog:
                while True:
                    hog.write(bytes(4096))
            film.play(20.0)
            await until(lambda: bool(film.owner.failed), "the refusal")
            assert states == ["full"]
            film.cut()
    async with running(tmp_path / "volume") as writer:
        states = states_of(writer.volume)
        (tmp_path / "volume").rename(tmp_path / "elsewhere")
        await look_after(writer.volume)
        assert states == ["gone"]
        (tmp_path / "elsewhere").rename(tmp_path / "volume")
        await look_after(writer.volume)
        assert states == ["gone", None]
        assert writer.ready


async def test_a_disk_that_is_pulled_and_put_back_is_used_again_and_lost_nothing(tmp_path: Path) -> None:
    known = KnownVolumes(tmp_path / "known.json")
    with ext4(tmp_path, "pulled") as disk:
        async with running(disk.at, known=known) as writer:
            states = states_of(writer.volume)
            film = Film(writer)
            film.play(2.0)
            await drained(writer)
            first_id = writer.volume.id
            disk.pull()
            await look_after(writer.volume)
            assert states == ["gone"]
            film.play(2.0)
            before = film.cut()
            await before.finished.wait()
            assert list(disk.at.iterdir()) == [], "nothing fills the disk below the mount point"
            disk.mount()
            await until_usable(writer.volume)
            assert writer.volume.id == first_id
            assert states[-1] is None
            film.play(2.0)
            after = film.cut()
            await after.finished.wait()
            first, second = read(before.path), read(after.path)
            assert first.fragments[-1].end_ns == second.fragments[0].start_ns
            assert film.owner.failed == []


async def until_usable(volume: RecordingVolume) -> None:
    for _ in range(3):
        if volume.error is not None:
            await look_after(volume)
    assert volume.error is None


async def exchanged(writer: VolumeWriter, old: Ext4Disk, new: Ext4Disk) -> None:
    film = Film(writer)
    film.play(1.0)
    live = film.cut()
    await live.finished.wait()
    old.pull()
    new.mount()
    await look_after(writer.volume)


async def test_a_new_disk_in_place_of_the_old_one_is_used_with_a_warning(tmp_path: Path) -> None:
    known = KnownVolumes(tmp_path / "known.json")
    with ext4(tmp_path, "old") as old, ext4(tmp_path, "new", at="disk2") as new:
        new.pull()
        new.at = old.at
        async with running(old.at, known=known) as writer:
            states = states_of(writer.volume)
            first_id = writer.volume.id
            with capture_logs() as logs:
                await exchanged(writer, old, new)
                assert states == ["swapped"]
                await until_usable(writer.volume)
            assert writer.volume.id != first_id
            assert any(
                "another volume" in entry["event"] for entry in logs if entry["log_level"] == "warning"
            )
            film = Film(writer)
            film.play(2.0)
            live = film.cut()
            await live.finished.wait()
            assert read(live.path).closed
            assert live.path.is_relative_to(new.at)


async def test_another_systems_disk_is_refused_while_we_run(tmp_path: Path) -> None:
    known = KnownVolumes(tmp_path / "known.json")
    with ext4(tmp_path, "old") as old, ext4(tmp_path, "strange", at="disk2") as strange:
        theirs = Volume(VolumeConfig(path=strange.at), ManualClock(NOON_NS), KnownVolumes(None), "another")
        theirs.open()
        theirs.close()
        left = {each.name: each.read_bytes() for each in strange.at.iterdir() if each.is_file()}
        strange.pull()
        strange.at = old.at
        async with running(old.at, known=known) as writer:
            await exchanged(writer, old, strange)
            for _ in range(3):
                await look_after(writer.volume)
            assert writer.volume.kind_of_failure == "swapped"
            assert "another system's" in str(writer.volume.error)
            assert not writer.ready
            assert {each.name: each.read_bytes() for each in strange.at.iterdir() if each.is_file()} == left
            strange.pull()
            old.mount()
            await until_usable(writer.volume)
            film = Film(writer)
            film.play(1.5)
            live = film.cut()
            await live.finished.wait()
            assert read(live.path).closed


async def test_slow_disks_together_are_bounded_and_a_good_one_is_not_stopped_for_them(tmp_path: Path) -> None:
    budget = QueueBudget(120_000)
    with ext4(tmp_path, "one", at="one") as one, ext4(tmp_path, "two", at="two") as two:
        async with AsyncExitStack() as stack:
            writers = [
                await stack.enter_async_context(
                    running(path / "volume", budget=budget, queue_limit_bytes=100_000, stall_s=0.2)
                )
                for path in (one.at, two.at, tmp_path / "good")
            ]
            films = [Film(writer) for writer in writers]
            for film in films:
                film.play(2.0)
            for writer in writers:
                await drained(writer)
            one.freeze()
            two.freeze()
            cut: set[int] = set()
            for _ in range(60):
                for number, film in enumerate(films):
                    if number not in cut:
                        film.play(1.0)
                        if film.writer.overrun:  # what a recorder does
                            film.cut()
                            cut.add(number)
                await drained(writers[2])
            assert cut == {0, 1}
            assert budget.used_bytes < 120_000 + 2 * 20_000
            assert writers[2].ready
            one.thaw()
            two.thaw()
            for writer in writers:
                await drained(writer)
            films[2].cut()
            assert all(film.owner.failed == [] for film in films)


async def test_a_clock_that_steps_back_writes_beside_what_has_that_time_already(tmp_path: Path) -> None:
    async with running(tmp_path / "volume") as writer:
        first, second = Film(writer), Film(writer)
        for film in (first, second):
            film.play(2.0)
            live = film.cut()
            await live.finished.wait()
        one, two = first.closed[0], second.closed[0]
        assert one.path != two.path
        assert one.path.parent == two.path.parent
        assert read(one.path).identity != read(two.path).identity
        assert read(one.path).fragments == read(two.path).fragments


def test_the_floor_that_is_configured_is_kept_free(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        rooms = []
        for floor in (None, 0, 3 << 20):
            config = VolumeConfig(path=disk, free_floor=floor)
            volume = Volume(config, ManualClock(NOON_NS), KnownVolumes(None), SYSTEM)
            rooms.append(volume.free_bytes())
        usual, none, three = rooms
        assert usual < none
        assert none - three == 3 << 20


_CHILD = """
import asyncio, json, resource, signal, sys
from pathlib import Path
from tests.storage.one_writer import Film, drained, running
from tests.storage.scripted_camera import until

async def main() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
    async with running(Path(sys.argv[1])) as writer:
        film = Film(writer)
        while not film.owner.failed:
            film.play(1.0)
            await drained(writer)
            await asyncio.sleep(0)
        first = film.cut()
        await first.finished.wait()
        reason = str(writer.volume.error)
        writer.volume.resume()
        film.play(1.5)
        second = film.cut()
        await second.finished.wait()
        print(json.dumps({"reason": reason, "visible": first.visible, "first": str(first.path),
                          "second": str(second.path), "second_error": str(second.error)}))

asyncio.run(main())
"""


def test_a_limit_on_the_size_of_files_costs_the_rest_of_one_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "volume")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert "LimitFSIZE" in told["reason"]
    assert len(read(Path(told["first"])).fragments) == told["visible"] > 0
    assert told["second_error"] == "None"
    assert read(Path(told["second"])).closed
