"""A disk that takes nothing is an alarm while it lasts, told by whoever waits for it."""

import pytest
from tests.storage.conftest import Start
from tests.storage.faults import FaultyDisk
from tests.storage.scripted_camera import ScriptedCamera, until, written

from vms.common.clock import ManualClock
from vms.storage.alarms import STALLED
from vms.storage.service import StorageService


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    return FaultyDisk(monkeypatch)


async def test_a_stalled_disk_is_an_alarm_until_it_answers(
    start: Start, clock: ManualClock, faulty: FaultyDisk
) -> None:
    service: StorageService = await start()
    (keeper,) = service._keepers
    (writer,) = service._recording.writers
    camera = ScriptedCamera(clock)
    service.record(camera.camera, camera.hub)
    camera.play(2)
    await written(service)
    assert (await keeper.state()).alarms == ()

    faulty.stall()
    camera.play(2)
    await until(lambda: writer.stalled, "the stall to be noticed", 20)
    assert await _alarms(service) == (STALLED,)

    faulty.resume()
    await until(lambda: not writer.stalled, "the disk to answer again", 20)
    assert await _alarms(service) == ()
    await written(service)


async def _alarms(service: StorageService) -> tuple[str, ...]:
    await service._recording.report()
    return (await service._keepers[0].state()).alarms
