"""How recording begins: beside disks that hang, after a crash, and for cameras that come back to a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.storage.conftest import Start
from tests.storage.disks import ext4
from tests.storage.numbered_camera import NumberedCamera
from tests.storage.scripted_camera import ScriptedCamera, until, written

from vms.common.camera import EventRecording, RecordMode
from vms.common.clock import NS, ManualClock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.media import GapReason
from vms.storage.keeper_control import KeeperClient
from vms.storage.preroll import PROCESS_LIMIT_BYTES, default_limit_bytes
from vms.storage.recording import RecordingService
from vms.storage.service import StorageService
from vms.storage.volume_care import OPEN_PATIENCE_S
from vms.storage.watch import OPENING_PATIENCE_NS

ALL = (0, 1 << 62)
PORCH = CameraId("porch")


@asynccontextmanager
async def recording(clock: ManualClock, folder: Path, *paths: Path) -> AsyncIterator[RecordingService]:
    """A media process's side alone, its keepers away."""
    keeper = KeeperClient(folder / "nobody.sock")
    volumes = [(VolumeConfig(path=path, quota=1 << 30), keeper) for path in paths]
    service = RecordingService(volumes, 60.0, clock, system_id="one system")
    yield service
    await service.stop()


async def test_a_disk_that_hangs_from_the_start_delays_no_camera_and_is_told(
    clock: ManualClock, tmp_path: Path
) -> None:
    told: list[tuple[Path, str | None, str]] = []
    with ext4(tmp_path, "hung") as disk:
        async with recording(clock, tmp_path, disk.at / "volume", tmp_path / "good") as service:
            service.watch.on_volume = lambda path, error, kind: told.append((path, error, kind))
            disk.freeze()
            try:
                async with asyncio.timeout(OPEN_PATIENCE_S - 1):
                    await service.start()
                camera = ScriptedCamera(clock)
                service.record(camera.camera, camera.hub)
                camera.play(2)
                await until(lambda: service.recording(PORCH), "the good disk to be used")
                service.tick()
                assert told == []
                clock.advance(OPENING_PATIENCE_NS / NS + 1)
                service.tick()
                service.tick()
                ((path, error, kind),) = told
                assert (path, kind) == (disk.at / "volume", "stalled")
                assert "does not answer" in (error or "")
            finally:
                disk.thaw()
            await until(lambda: service.volumes[0].error is None, "the disk to answer")
            service.tick()
            assert told[1:] == [(disk.at / "volume", None, "")]


async def test_what_an_event_wanted_is_recorded_also_when_the_clock_is_set_meanwhile(
    start: Start, clock: ManualClock
) -> None:
    service: StorageService = await start(segment_s=60.0)
    camera = NumberedCamera(clock)
    events = EventRecording(pre_roll=5.0, post_roll=20.0)
    service.record(
        camera.camera.model_copy(update={"record": RecordMode.EVENTS, "events": events}), camera.hub
    )
    camera.play(10)
    service._recording.event(PORCH, clock.wall_ns(), "motion")
    camera.play(2)
    clock.step_wall(3600)
    camera.disconnect()
    camera.reconnect(0)
    service._recording.tick()
    camera.play(18)
    await until(lambda: not service._recording._recorders[PORCH]._memory, "the pre-roll to be written")
    await written(service)
    assert service.recording(PORCH), "20 s after the event, by any clock that was not set, are not over"
    camera.play(8)
    await written(service)
    assert not service.recording(PORCH)


async def test_a_camera_that_comes_back_to_a_process_is_asked_for_anew(
    start: Start, clock: ManualClock
) -> None:
    service: StorageService = await start(segment_s=60.0)
    camera = ScriptedCamera(clock)
    for pause_s in (0, 40):
        clock.advance(pause_s)
        camera.reconnect(0)
        service.record(camera.camera, camera.hub)
        await service._recording.precedents_known()
        camera.play(3)
        await written(service)
        await service._recording.forget(PORCH)
        await written(service)
    before, after = await service.segments(PORCH, *ALL)
    (gap,) = await service.gaps(PORCH, *ALL)
    assert (gap.start_ns, gap.end_ns, gap.reason) == (before.end_ns, after.start_ns, GapReason.SYSTEM_STOPPED)


def test_what_waits_for_events_fits_the_machine() -> None:
    assert 0 < default_limit_bytes() <= PROCESS_LIMIT_BYTES
