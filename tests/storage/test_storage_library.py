"""Reading recordings while they are written, whatever state the files and the catalog are in."""

import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.storage.conftest import Start
from tests.storage.scripted_camera import NOON_NS, ScriptedCamera, pictures, written

from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId, uuid7
from vms.config import VolumeConfig
from vms.format.hybrid import SegmentIdentity, SegmentWriter, read_segment
from vms.media import AccessUnit
from vms.storage import disk
from vms.storage.body import PlainBody
from vms.storage.growing import GrowingFile, GrowingFiles
from vms.storage.layout import CATALOG_NAME
from vms.storage.library import RecordingLibrary
from vms.storage.recording import RecordingService
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH = CameraId("porch")
TAIL = "tail"
FLIP = "flip"


def recording(seconds: int = 6) -> tuple[bytes, list[int], bytes, tuple[int, bytes]]:
    """A file up to its last fragment, the ends of its fragments, its tail, and the flip with its place."""
    track, data = pictures()
    writer = SegmentWriter([track], SegmentIdentity(uuid7(NOON_NS), PORCH, "main"))
    parts = []
    for number in range(seconds * 25):
        dts = number * 3600
        unit = AccessUnit(
            track, data[number % len(data)], dts, dts, number % 25 == 0, False, NOON_NS + number * NS // 25, 0
        )
        if written := writer.push(unit):
            parts += written.buffers
    if last := writer.flush():
        parts += last.buffers
    finish = writer.finish()
    ends = [fragment.end for fragment in writer.fragments]
    return b"".join([writer.header(), *parts]), ends, finish.tail, (finish.flip_offset, finish.flip)


MEDIA, ENDS, TAIL_DATA, (FLIP_OFFSET, FLIP_DATA) = recording()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(MEDIA)), max_size=25), st.integers(0, len(TAIL_DATA)), st.booleans())
def test_a_growing_file_is_never_read_past_its_last_whole_fragment_and_never_goes_back(
    sizes: list[int], tail: int, flipped: bool
) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "file.mp4"
        path.write_bytes(b"")
        file, seen = GrowingFile(path), 0
        for size in [*sorted(sizes), len(MEDIA)]:
            with path.open("r+b") as open_file:
                open_file.write(MEDIA[:size])
            whole = [end for end in ENDS if end <= size]
            segment = file.look()
            assert (segment is not None) == bool(whole)
            if segment is not None:
                assert segment.size_bytes == whole[-1]
                assert segment.size_bytes >= seen
                assert not segment.closed
                seen = segment.size_bytes
        before = file.look()
        assert before is not None
        with path.open("r+b") as open_file:
            open_file.seek(len(MEDIA))
            open_file.write(TAIL_DATA[:tail])
        assert file.look() == before, "a tail that is being written is no footage"
        if flipped and tail == len(TAIL_DATA):
            with path.open("r+b") as open_file:
                open_file.seek(FLIP_OFFSET)
                open_file.write(FLIP_DATA)
            closed = file.look()
            assert closed is not None
            assert (closed.closed, closed.end_ns, closed.id) == (True, before.end_ns, before.id)


def test_what_is_read_on_is_what_a_fresh_reader_finds(tmp_path: Path) -> None:
    path = tmp_path / "file.mp4"
    file = GrowingFile(path)
    for size in range(0, len(MEDIA), 20_011):
        path.write_bytes(MEDIA[:size])
        file.look()
    path.write_bytes(MEDIA)
    opened = file.open()
    assert opened is not None
    with opened:
        assert opened.file == read_segment(opened.read_at, len(MEDIA))


def test_asking_again_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.mp4"
    path.write_bytes(MEDIA[: ENDS[-2]])
    file, reads = GrowingFile(path), []
    file.look()
    read_at = PlainBody.read_at

    def counting(body: PlainBody, offset: int, size: int) -> bytes:
        reads.append(offset)
        return read_at(body, offset, size)

    monkeypatch.setattr(PlainBody, "read_at", counting)
    file.look()
    assert len(reads) == 1, "whether it was closed meanwhile"
    path.write_bytes(MEDIA)
    file.look()
    assert max(reads) >= ENDS[-2]
    assert [offset for offset in reads if 100 < offset < ENDS[-2]] == []


def test_files_not_asked_for_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vms.storage.growing.REMEMBERED_FRAGMENTS", 2 * len(ENDS))
    files, paths = GrowingFiles(), [tmp_path / f"{number}.mp4" for number in range(5)]
    for path in paths:
        path.write_bytes(MEDIA)
        assert files.look(path) is not None
    assert len(files._files) == 2
    assert files._fragments == 2 * len(ENDS)
    assert files.look(paths[0]) is not None
    for path in paths:
        path.unlink()
        assert files.look(path) is None
    assert (len(files._files), files._fragments, files._paths) == (0, 0, {})


def test_a_name_that_a_keeper_looks_at_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "porch" / "2026-11-23" / "14-05-00.000Z-main.mp4"
    lock = disk.lock

    def keeper_was_quicker(descriptor: int) -> bool:
        path.unlink()  # it holds nothing
        return lock(descriptor)

    monkeypatch.setattr(disk, "lock", keeper_was_quicker)
    assert disk.create_locked(path, tmp_path) is None
    monkeypatch.setattr(disk, "lock", lambda descriptor: False)
    assert disk.create_locked(path, tmp_path) is None
    monkeypatch.undo()
    assert disk.create_locked(path, tmp_path) is None, "there is a file of that name"
    path.unlink()
    descriptor = disk.create_locked(path, tmp_path)
    assert descriptor is not None
    with path.open("rb") as other:
        assert not disk.lock(other.fileno())


async def recorded(start: Start, clock: ManualClock, seconds: float = 12) -> StorageService:
    """A service with closed segments and one that is being written."""
    service = await start(segment_s=5.0)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(seconds)
    await written(service)
    return service


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return tmp_path / "volume"


async def test_every_recording_is_there_once_with_its_row_or_without(
    start: Start, clock: ManualClock, volume: Path, tmp_path: Path
) -> None:
    service = await recorded(start, clock)
    segments = await service.segments(PORCH, *ALL)
    copy = tmp_path / "copy"
    shutil.copytree(volume, copy)
    (copy / CATALOG_NAME).unlink()  # as before a keeper ever came
    without = RecordingLibrary([VolumeConfig(path=copy)], clock)
    again = await without.segments(PORCH, *ALL)
    assert [(one.id, one.start_ns, one.end_ns, one.size_bytes, one.closed) for one in again] == [
        (one.id, one.start_ns, one.end_ns, one.size_bytes, one.closed) for one in segments
    ]
    assert await without.coverage(PORCH, *ALL) == await service.coverage(PORCH, *ALL)
    for segment in segments:
        with await without.open(segment.id) as opened, await service.open(segment.id) as known:
            assert opened.file == known.file
    await without.stop()


async def test_a_catalog_that_is_replaced_is_read_anew(
    start: Start, clock: ManualClock, volume: Path
) -> None:
    service = await recorded(start, clock)
    expected = await service.segments(PORCH, *ALL)
    await service.stop()
    library = RecordingLibrary([VolumeConfig(path=volume)], clock)
    assert len(await library.segments(PORCH, *ALL)) == len(expected)
    (volume / CATALOG_NAME).rename(volume / "aside")
    for suffix in ("-wal", "-shm"):
        (volume / f"{CATALOG_NAME}{suffix}").unlink(missing_ok=True)
    assert len(await library.segments(PORCH, *ALL)) == len(expected), "from their files"
    (volume / CATALOG_NAME).write_bytes(b"\xa5" * 100_000)
    assert len(await library.segments(PORCH, *ALL)) == len(expected)
    (volume / CATALOG_NAME).unlink()
    sqlite3.connect(volume / CATALOG_NAME).close()  # as one that is just being made
    assert len(await library.segments(PORCH, *ALL)) == len(expected)
    for file in (volume / "porch").rglob("*.mp4"):
        file.unlink()
    (volume / "aside").replace(volume / CATALOG_NAME)
    assert len(await library.segments(PORCH, *ALL)) == len(expected), "from their rows"
    await library.stop()


async def test_a_volume_that_is_not_there_is_left_out(start: Start, clock: ManualClock, volume: Path) -> None:
    service = await recorded(start, clock)
    library = RecordingLibrary(
        [VolumeConfig(path=each) for each in (volume.with_name("missing"), volume)], clock
    )
    assert await library.segments(PORCH, *ALL) == await service.segments(PORCH, *ALL)
    assert await library.gaps(PORCH, *ALL) == []
    await library.stop()


async def test_old_times_are_answered_without_a_look_at_the_newest_files(
    start: Start, clock: ManualClock, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorded(start, clock)
    library = RecordingLibrary([VolumeConfig(path=volume)], clock)

    def listed(day: object) -> list[str]:
        raise AssertionError(f"{day} was listed")

    monkeypatch.setattr("vms.storage.library_volume.recordings_in", listed)
    day_ns = 86400 * NS
    assert await library.segments(PORCH, NOON_NS - 9 * day_ns, NOON_NS - 3 * day_ns) == []
    await library.stop()


async def test_a_file_being_deleted_is_not_shown_because_its_row_is_marked(
    start: Start, clock: ManualClock, volume: Path
) -> None:
    service = await recorded(start, clock)
    (going, *rest) = await service.segments(PORCH, *ALL)
    keeper = service._keepers[0]
    await keeper.volume.catalog.run(lambda catalog: catalog.mark_deleting([going.id]))
    assert going.path.exists()
    assert await service.segments(PORCH, *ALL) == rest


def test_a_recording_service_needs_no_keeper_to_be_made(clock: ManualClock) -> None:
    assert list(RecordingService([], 5.0, clock, system_id="one").metrics())
