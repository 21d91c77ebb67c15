"""What is wrong with one camera's folder, or its stream, is that camera's trouble alone."""

from pathlib import Path

import pytest
from tests.storage.conftest import Start
from tests.storage.scripted_camera import ScriptedCamera, until, written

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.media import AccessUnit, GapReason
from vms.storage.service import StorageService

ALL = (0, 1 << 62)
PORCH, YARD = CameraId("porch"), CameraId("yard")


def a_file(folder: Path) -> None:
    folder.write_text("no folder")


def a_link_to_nowhere(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


@pytest.mark.parametrize("spoil", [a_file, a_link_to_nowhere])
async def test_a_camera_whose_folder_cannot_be_used_costs_the_others_nothing(
    start: Start, clock: ManualClock, tmp_path: Path, spoil: object
) -> None:
    service: StorageService = await start(segment_s=1.0)
    assert callable(spoil)
    folder = tmp_path / "volume" / PORCH
    spoil(folder)
    bad, good = ScriptedCamera(clock, PORCH), ScriptedCamera(clock, YARD)
    for camera in (bad, good):
        service.record(camera.camera, camera.hub)
    for _ in range(6):
        for _ in range(25):
            bad.push()
            good.push()
            clock.advance(1 / 25)
        await written(service)
    (volume,) = service._recording.volumes
    assert volume.error is None
    assert await service.gaps(YARD, *ALL) == []
    segments = await service.segments(YARD, *ALL)
    assert [each.start_ns for each in segments[1:]] == [each.end_ns for each in segments[:-1]]
    assert len(segments) >= 5
    assert not service.recording(PORCH)
    assert str(folder) in (service.recording_error(PORCH) or "")
    folder.unlink()
    bad.play(2)
    clock.advance(60)  # its back-off
    bad.reconnect(0)
    bad.play(3)
    await until(lambda: service.recording(PORCH), "the camera to be recorded once its folder can be used")


async def test_a_recorder_that_fails_unexpectedly_is_begun_anew_and_its_gap_is_told(
    start: Start, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service: StorageService = await start(segment_s=60.0)
    bad, good = ScriptedCamera(clock, PORCH), ScriptedCamera(clock, YARD)
    for camera in (bad, good):
        service.record(camera.camera, camera.hub)
        camera.play(2)
    failing = service._recording._recorders[PORCH]

    def fail(unit: AccessUnit) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(failing.segments, "push", fail)
    bad.push()
    assert bad.hub.sinks_failed == 1
    assert not service.recording(PORCH)
    service._recording.tick()
    bad.play(3)
    good.play(3)
    await written(service)
    assert service.recording(PORCH)
    assert service.recording_error(PORCH) is None
    before, after = await service.segments(PORCH, *ALL)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns, gap.reason) == (before.end_ns, after.start_ns, GapReason.UNKNOWN)


async def test_a_recorder_that_cannot_even_be_stopped_is_replaced_and_its_file_kept(
    start: Start, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service: StorageService = await start(segment_s=60.0)
    camera = ScriptedCamera(clock, PORCH)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    failing = service._recording._recorders[PORCH]

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(failing.segments, "push", fail)
    monkeypatch.setattr(failing.segments, "_cut", fail)
    camera.push()
    service._recording.tick()
    camera.play(3)
    await written(service)
    (volume,) = service._recording.volumes
    assert volume.error is None
    before, after = await service.segments(PORCH, *ALL)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns) == (before.end_ns, after.start_ns)
