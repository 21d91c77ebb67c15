"""The life of exports in the background: order, cancelling, restarts, disks that are full, and their end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux, moved
from tests.storage.render.rendering import Renderer

from vms.common.clock import NS
from vms.common.errors import InvalidInput
from vms.common.ids import CameraId
from vms.storage.render import ExportOrder, ExportRefused, JobNotFound, JobState, NoRoomForExport
from vms.storage.render.errors import TooManyJobs
from vms.storage.render.job_rules import KEPT_NS, MOST_ATTEMPTS, MOST_JOBS


def order(seconds: float = 10.0, **options: object) -> ExportOrder:
    return ExportOrder((PORCH,), NOON_NS, NOON_NS + int(seconds * NS), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def large_movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of pictures that take long to encode."""
    path = tmp_path_factory.mktemp("movie") / "large.mp4"
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=25:duration=60",
    ]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True, timeout=120)
    return path


async def running(renderer: Renderer, job_id: str, share: float = 0.05) -> None:
    """Wait until the export is under way."""
    async with asyncio.timeout(30):
        while (job := renderer.service.exports.get(job_id)).progress < share:
            assert not job.state.ended, job.error
            await asyncio.sleep(0.005)


async def test_progress_grows_and_the_job_tells_what_it_does(
    shelf: Shelf, renderer: Renderer, large_movie: Path
) -> None:
    shelf.record(demux(large_movie), file_s=10)
    job = await renderer.service.create(order(seconds=30, burn_in="UTC"))
    assert job.state in {JobState.QUEUED, JobState.RUNNING}
    seen = []
    async with asyncio.timeout(60):
        while not (now := renderer.service.exports.get(job.id)).state.ended:
            seen.append((now.progress, now.stage, now.size_bytes))
            await asyncio.sleep(0.01)
    shares = [share for share, _, _ in seen]
    assert shares == sorted(shares)
    assert len(set(shares)) > 2 and max(shares) < 1.0
    assert "making the clips" in {stage for _, stage, _ in seen}
    assert now.state is JobState.DONE and now.size_bytes > 0
    assert now.expires_ns == renderer.clock.wall_ns() + KEPT_NS


@pytest.mark.parametrize("options", [{}, {"burn_in": "UTC"}, {"burn_in": "UTC", "archive": True}])
async def test_a_running_export_is_cancelled_at_once_and_leaves_no_file(
    shelf: Shelf, renderer: Renderer, large_movie: Path, options: dict[str, object]
) -> None:
    units = demux(large_movie)
    for hour in range(4):
        shelf.record(moved(units, wall_s=60 * hour, timeline_s=60 * hour), file_s=10)
    job = await renderer.service.create(order(seconds=240, **options))
    await running(renderer, job.id, 0.001)
    began_s = time.monotonic()
    await renderer.service.cancel(job.id)
    took_s = time.monotonic() - began_s
    ended = renderer.service.exports.get(job.id)
    assert ended.state is JobState.CANCELLED
    assert renderer.files_of(job.id) == {"job.json"}
    assert took_s < 30, "far from the time that the export takes"
    await renderer.service.cancel(job.id)
    assert renderer.files_of(job.id) == set()
    with pytest.raises(JobNotFound):
        renderer.service.exports.get(job.id)


async def test_exports_are_made_one_after_the_other_and_one_that_waits_can_be_cancelled(
    shelf: Shelf, renderer: Renderer, large_movie: Path
) -> None:
    shelf.record(demux(large_movie), file_s=10)
    created = []
    for _ in range(3):
        renderer.clock.advance(1)
        created.append(await renderer.service.create(order(burn_in="UTC")))
    first, second, third = created
    await running(renderer, first.id)
    states = [renderer.service.exports.get(job.id).state for job in (first, second, third)]
    assert states == [JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    assert [job.id for job in renderer.service.exports.list()] == [third.id, second.id, first.id]
    await renderer.service.cancel(second.id)
    assert (await renderer.ended(third.id)).state is JobState.DONE
    assert (await renderer.ended(first.id)).state is JobState.DONE
    assert renderer.service.exports.get(second.id).state is JobState.CANCELLED


async def test_an_export_is_begun_anew_after_a_restart(
    shelf: Shelf, renderer: Renderer, large_movie: Path
) -> None:
    shelf.record(demux(large_movie), file_s=10)
    job = await renderer.service.create(order(burn_in="UTC"))
    waits = await renderer.service.create(order())
    await running(renderer, job.id)
    await renderer.restart()
    done = await renderer.ended(job.id)
    assert done.state is JobState.DONE and done.attempts == 2
    assert renderer.files_of(job.id) == {"job.json", done.file_name}
    assert (await renderer.ended(waits.id)).state is JobState.DONE
    await renderer.restart()
    assert renderer.service.exports.get(job.id) == done


async def test_an_export_whose_process_ends_again_and_again_fails(
    shelf: Shelf, renderer: Renderer, large_movie: Path
) -> None:
    shelf.record(demux(large_movie), file_s=10)
    job = await renderer.service.create(order(seconds=60, burn_in="UTC"))
    for _ in range(MOST_ATTEMPTS):
        await running(renderer, job.id, 0.001)
        await renderer.restart()
    ended = renderer.service.exports.get(job.id)
    assert ended.state is JobState.FAILED and "ended 3 times" in (ended.error or "")
    assert renderer.files_of(job.id) == {"job.json"}


async def test_what_has_ended_is_forgotten_a_day_later_with_its_file(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    path = await renderer.done(order())
    renderer.clock.advance(KEPT_NS / NS - 1)
    await renderer.restart()
    assert path.exists()
    renderer.clock.advance(2)
    await renderer.restart()
    async with asyncio.timeout(20):
        while path.exists() or renderer.service.exports.list():
            await asyncio.sleep(0.01)
    assert not path.parent.exists()


async def test_jobs_that_cannot_be_read_are_removed_and_the_others_stay(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    path = await renderer.done(order(title="kept"))
    await renderer.stop()
    exports = path.parent.parent
    for name, text in (("half", "{"), ("other", "[]"), ("empty", ""), ("later", '{"version": 99}')):
        (exports / name).mkdir()
        (exports / name / "job.json").write_text(text)
    (exports / "none").mkdir()
    copied = json.loads((path.parent / "job.json").read_text())
    (exports / "alias").mkdir()
    (exports / "alias" / "job.json").write_text(json.dumps(copied))
    await renderer.start()
    assert [job.order.title for job in renderer.service.exports.list()] == ["kept"]
    assert [each.name for each in exports.iterdir()] == [path.parent.name]


async def test_no_more_jobs_are_kept_than_allowed(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    path = await renderer.done(order())
    exports = renderer.service.exports
    kept = exports.list()[0]
    exports._jobs |= {str(n): kept for n in range(MOST_JOBS - 1)}
    with pytest.raises(TooManyJobs, match="delete some"):
        await renderer.service.create(order())
    assert path.exists()


@pytest.mark.parametrize(
    ("cameras", "options", "text"),
    [
        ((), {}, "1 to 32"),
        ((PORCH, PORCH), {}, "twice"),
        (tuple(CameraId(f"c{n}") for n in range(33)), {}, "1 to 32"),
        ((PORCH,), {"burn_in": "Atlantis/Capital"}, "no time zone"),
        ((PORCH,), {"note": "x" * 4001}, "4000"),
        ((PORCH,), {"end_ns": NOON_NS + 26 * 3600 * NS}, "25 h"),
    ],
)
async def test_orders_that_cannot_be_carried_out_are_refused(
    renderer: Renderer, cameras: tuple[CameraId, ...], options: dict[str, object], text: str
) -> None:
    fields: dict[str, object] = {"start_ns": NOON_NS, "end_ns": NOON_NS + NS, **options}
    with pytest.raises(ExportRefused, match=text):
        await renderer.service.create(ExportOrder(cameras, **fields))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        await renderer.service.create(ExportOrder((PORCH,), NOON_NS, NOON_NS))


async def test_an_export_that_will_not_fit_is_refused_beforehand(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    renderer.most_exports_bytes = 1000
    await renderer.restart()
    with pytest.raises(NoRoomForExport, match="there is room for 1 MiB"):
        await renderer.service.create(order())
    assert renderer.service.exports.list() == []


async def test_a_recording_that_is_mostly_damaged_fails_the_export_with_words_for_a_person(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    damaged = [
        unit._replace(data=unit.data[:4] + bytes(len(unit.data) - 4)) if 5 <= number < 38 else unit
        for number, unit in enumerate(demux(plain_movie))
    ]
    first, *_ = shelf.record(damaged, file_s=4)
    job = await renderer.service.create(order(burn_in="UTC"))
    ended = await renderer.ended(job.id)
    assert ended.state is JobState.FAILED
    assert str(first.id) in (ended.error or "")
    assert renderer.files_of(job.id) == {"job.json"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("this container may not mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("options", [{}, {"burn_in": "UTC"}, {"archive": True}])
async def test_a_disk_that_fills_up_meanwhile_fails_the_export_and_gets_its_room_back(
    shelf: Shelf, small_disk: Path, large_movie: Path, options: dict[str, object]
) -> None:
    shelf.record(demux(large_movie), file_s=10)
    renderer = Renderer(shelf, small_disk / "data")
    await renderer.start()
    try:
        job = await renderer.service.create(order(seconds=5, **options))
        free = os.statvfs(small_disk)
        hog = small_disk / "hog"
        hog.write_bytes(bytes(free.f_bavail * free.f_frsize - (200 << 10)))
        ended = await renderer.ended(job.id)
        assert ended.state is JobState.FAILED, "the disk was full before it was done"
        assert "room" in (ended.error or "")
        assert renderer.files_of(job.id) == {"job.json"}
        hog.unlink()
        again = await renderer.ended((await renderer.service.create(order(seconds=5, **options))).id)
        assert again.state is JobState.DONE
    finally:
        await renderer.stop()


async def test_a_process_that_is_killed_while_it_makes_an_export_makes_it_at_its_next_start(
    shelf: Shelf, tmp_path: Path, large_movie: Path
) -> None:
    for segment in shelf.record(demux(large_movie), file_s=10):
        assert segment.path.exists()
    data_dir = tmp_path / "data"

    def child() -> "subprocess.Popen[str]":
        command = [
            sys.executable,
            "-m",
            "tests.storage.render.render_child",
            str(shelf.folder),
            str(data_dir),
        ]
        root = Path(__file__).resolve().parents[3]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)

    killed = child()
    assert killed.stdout is not None
    assert killed.stdout.readline() == "under way\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    renderer = Renderer(shelf, data_dir)
    await renderer.start()
    (job,) = renderer.service.exports.list()
    assert job.state in {JobState.QUEUED, JobState.RUNNING}
    ended = await renderer.ended(job.id)
    assert ended.state is JobState.DONE and ended.attempts == 2
    assert renderer.files_of(job.id) == {"job.json", ended.file_name}
    await renderer.stop()


async def test_what_is_cancelled_in_the_moment_in_which_it_would_begin_stays_cancelled(
    shelf: Shelf, renderer: Renderer, plain_movie: Path
) -> None:
    shelf.record(demux(plain_movie))
    for turns in range(12):
        job = await renderer.service.create(order())
        for _ in range(turns):
            await asyncio.sleep(0)
        await renderer.service.cancel(job.id)
        with pytest.raises(JobNotFound):
            # whatever had become of it: cancelled and then forgotten, or done and forgotten at once
            await renderer.service.cancel(job.id)
            renderer.service.exports.get(job.id)
        assert renderer.files_of(job.id) == set()
