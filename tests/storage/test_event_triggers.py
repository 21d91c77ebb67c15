"""Events of the bus make recordings; while they cannot be heard, nothing is left out."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from tests.bus.nats_process import NatsProcess, until

from vms.bus.events import Outbox
from vms.bus.memory import MemoryBus
from vms.bus.nats_bus import NatsBus
from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.proto import event_pb2, subjects
from vms.storage.triggers import EventTriggers


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[CameraId, int, str]] = []
        self.hears: list[bool] = []
        self.missed = 0

    def event(self, camera_id: CameraId, at_ns: int, kind: str) -> None:
        self.events.append((camera_id, at_ns, kind))

    def hear(self, heard: bool) -> None:
        if self.hears[-1:] != [heard]:
            self.hears.append(heard)

    def events_missed(self) -> None:
        self.missed += 1


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsProcess]:
    process = NatsProcess(tmp_path)
    process.start()
    yield process
    process.kill()


async def test_events_of_cameras_are_told_with_their_own_time() -> None:
    bus, told = MemoryBus(), Told()
    await bus.start()
    triggers = EventTriggers(bus, told)
    await triggers.start()
    outbox = Outbox(None, bus, SystemClock())
    await outbox.start()
    outbox.emit(event_pb2.Event(kind="motion", camera_id="porch", at_ns=5))
    outbox.emit(event_pb2.Event(kind="worker_started"))
    bus.publish(subjects.event("motion", "gate"), b"\xff\xff")
    await until(lambda: bool(told.events) and triggers.unreadable == 1)
    assert told.events == [("porch", 5, "motion")]
    await triggers.stop()
    bus.publish(subjects.event("motion", "porch"), event_pb2.Event(camera_id="porch").SerializeToString())
    await asyncio.sleep(0)
    assert len(told.events) == 1
    await outbox.stop()
    await bus.stop()


async def test_a_bus_that_is_lost_is_said_and_its_return_counts_as_a_missed_event(nats: NatsProcess) -> None:
    bus, told = NatsBus(nats.address), Told()
    await bus.start()
    await until(lambda: bus.connected)
    triggers = EventTriggers(bus, told)
    await triggers.start()
    await until(lambda: told.hears == [True])
    assert told.missed == 0
    nats.kill()
    await until(lambda: told.hears == [True, False])
    nats.start()
    await until(lambda: told.hears == [True, False, True])
    assert told.missed == 1
    outbox = Outbox(None, bus, SystemClock())
    await outbox.start()
    outbox.emit(event_pb2.Event(kind="alarm", camera_id="porch"))
    await until(lambda: bool(told.events))
    await outbox.stop()
    await triggers.stop()
    await bus.stop()
