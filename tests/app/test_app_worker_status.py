"""When a process's status is told, and who may wait for that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from vms.app.places import Places
from vms.app.role import Around
from vms.app.worker_status import StatusTeller
from vms.bus.memory import MemoryBus
from vms.common.clock import SystemClock
from vms.config import Config
from vms.proto import subjects, worker_pb2
from vms.telemetry.loop_lag import LoopLag


class Told:
    """A teller of a value that changes, and what was heard of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.bus = MemoryBus()
        self.value = 0
        self.heard: list[int] = []
        around = Around(Config(data_dir=tmp_path), Places(tmp_path), "media-0", self.bus, SystemClock())
        self.teller = StatusTeller("media", around, LoopLag(), self._describe)
        self.bus.subscribe(subjects.worker_status("*"), self._hear)

    def _describe(self, status: worker_pb2.WorkerStatus) -> None:
        status.sessions = self.value

    def _hear(self, subject: str, data: bytes) -> None:
        self.heard.append(worker_pb2.WorkerStatus.FromString(data).sessions)


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    told = Told(tmp_path)
    await told.bus.start()
    yield told
    await told.teller.stop()
    await told.bus.stop()


async def soon(waiting: Awaitable[None]) -> bool:
    """Whether it comes about; a wait that nothing ends would be one for ever."""
    try:
        async with asyncio.timeout(20):
            await waiting
    except TimeoutError:
        return False
    return True


async def test_who_waits_for_a_change_waits_until_it_was_told(told: Told) -> None:
    await told.teller.start()
    for value in range(1, 6):
        told.value = value
        await asyncio.wait_for(told.teller.changed(), 20)  # type: ignore[arg-type]
        await asyncio.sleep(0)  # the bus delivers in the turn after
        assert told.heard[-1] == value


async def test_one_that_gives_up_waiting_takes_nothing_from_the_others(told: Told) -> None:
    await told.teller.start()
    await told.teller.changed()
    first, second = (asyncio.ensure_future(told.teller.changed()) for _ in range(2))
    first.cancel()
    await asyncio.wait_for(second, 20)
    assert first.cancelled()


async def test_nobody_waits_for_a_bus_that_is_away_or_a_teller_that_is_not_there_or_ends(told: Told) -> None:
    assert await soon(told.teller.changed())
    await told.teller.start()
    waiting = asyncio.ensure_future(told.teller.changed())
    await told.teller.stop()
    assert await soon(waiting)
    await told.teller.start()
    await told.bus.stop()
    assert await soon(told.teller.changed())
