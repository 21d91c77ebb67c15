"""The loop that production runs on, and the two carriers of the bus."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from tests.bus.nats_process import NatsProcess, until

from vms.bus.contract import Bus
from vms.bus.memory import MemoryBus
from vms.bus.nats_bus import NatsBus


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsProcess]:
    process = NatsProcess(tmp_path)
    process.start()
    yield process
    process.kill()


@pytest.fixture
async def nats_bus(nats: NatsProcess) -> AsyncIterator[NatsBus]:
    bus = NatsBus(nats.address)
    await bus.start()
    await until(lambda: bus.connected)
    yield bus
    await bus.stop()


@pytest.fixture(params=["memory", "nats"])
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    """The same contract on both."""
    if request.param == "memory":
        memory = MemoryBus()
        await memory.start()
        yield memory
        await memory.stop()
        return
    process = NatsProcess(tmp_path)
    process.start()
    over_nats = NatsBus(process.address)
    await over_nats.start()
    await until(lambda: over_nats.connected)
    yield over_nats
    await over_nats.stop()
    process.kill()
