"""``kill -9`` while recording: at most one second is lost, and what is there is whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.storage.conftest import Start
from tests.storage.scripted_camera import ScriptedCamera, written

from vms.common.clock import NS, SystemClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.media import GapReason

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = [CameraId(name) for name in ("porch", "yard", "gate")]
ALL = (0, 1 << 62)


def record_and_kill(volume: Path, pictures: int) -> list[int]:
    """Capture times that a recording process was given before SIGKILL."""
    child = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("recording_child.py"), volume],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        text=True,
    )
    assert child.stdout is not None
    given = []
    for line in child.stdout:
        if line.strip().isdigit():
            given.append(int(line))
        if len(given) == pictures:
            break
    child.kill()
    given += [int(line) for line in child.stdout if line.strip().isdigit()]
    child.wait()
    child.stdout.close()
    return given


@pytest.mark.parametrize("pictures", [40, 77])
async def test_kill_9_loses_at_most_a_second_of_each_camera(
    start: Start, tmp_path: Path, pictures: int
) -> None:
    volume = tmp_path / "killed"
    given = record_and_kill(volume, pictures)
    service = await start(clock=SystemClock(), volumes=[VolumeConfig(path=volume, quota=1 << 30)])
    for camera in CAMERAS:
        segments = await service.segments(camera, *ALL)
        assert segments[0].start_ns <= given[0] + NS // 10
        assert segments[-1].end_ns >= given[-1] - NS
        assert await service.coverage(camera, *ALL) == [(segments[0].start_ns, segments[-1].end_ns)]
        for segment in segments:
            with await service.open(segment.id) as opened:
                assert opened.file.closed
    files = set(volume.rglob("*.mp4"))
    known = {one.path for camera in CAMERAS for one in await service.segments(camera, *ALL)}
    assert files == known


@pytest.mark.needs("ffmpeg")
async def test_files_of_a_killed_writer_decode_without_an_error(start: Start, tmp_path: Path) -> None:
    volume = tmp_path / "killed"
    record_and_kill(volume, 60)
    await start(clock=SystemClock(), volumes=[VolumeConfig(path=volume, quota=1 << 30)])
    for path in volume.rglob("*.mp4"):
        ran = subprocess.run(
            ["ffmpeg", "-v", "error", "-i", path, "-f", "null", "-"], capture_output=True, check=True
        )
        assert ran.stderr == b""


async def test_a_killed_run_and_the_next_are_told_apart_by_a_gap(start: Start, tmp_path: Path) -> None:
    volume = tmp_path / "killed"
    record_and_kill(volume, 30)
    clock = SystemClock()
    service = await start(clock=clock, volumes=[VolumeConfig(path=volume, quota=1 << 30)])
    (*_, last) = await service.segments(CAMERAS[0], *ALL)
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.push()
    await service.stop_recording(CAMERAS[0])
    await written(service)
    gap, _ = await service.gaps(CAMERAS[0], *ALL)
    assert gap.reason is GapReason.SYSTEM_STOPPED
    assert gap.start_ns == last.end_ns
