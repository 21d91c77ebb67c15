"""The keeper role: what a person has to look at is told as events, when it begins and when it ends."""

import asyncio
from pathlib import Path

from vms.app.keeper import KeeperRole
from vms.app.places import Places
from vms.bus.memory import MemoryBus
from vms.common.clock import SystemClock
from vms.config import VolumeConfig
from vms.proto import event_pb2
from vms.storage.locks import LOCKS_NAME


async def test_alarms_are_told_when_they_begin_and_when_they_end(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / LOCKS_NAME).write_text("{")
    places = Places(tmp_path / "data")
    places.data_dir.mkdir()
    bus = MemoryBus()
    await bus.start()
    told: asyncio.Queue[event_pb2.Event] = asyncio.Queue()

    async def heard(event: event_pb2.Event) -> None:
        told.put_nowait(event)

    consuming = bus.events.consume("test", heard)
    role = KeeperRole(VolumeConfig(path=volume), places, SystemClock(), bus=bus, worker="keeper-3")
    await role.start()
    await role.keeper.state()
    begun = await asyncio.wait_for(told.get(), 20)
    assert (begun.kind, begun.worker, begun.camera_id) == ("alarm_raised", "keeper-3", "")
    assert dict(begun.facts) == {"alarm": "locks_unreadable", "volume": str(volume)}
    assert "nothing is deleted" in begun.text
    await role.keeper.put_locks([], 1)
    await role.keeper.state()
    ended = await asyncio.wait_for(told.get(), 20)
    assert (ended.kind, ended.facts["alarm"]) == ("alarm_cleared", "locks_unreadable")
    assert "vms_storage_alarms" in {family.name for family in role.keeper.metrics()}
    await role.stop()
    consuming.close()
    await bus.stop()
