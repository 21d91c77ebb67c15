"""The registry over a real nats-server, each part with a connection of its own, as between processes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from tests.bus.nats_process import NatsProcess
from tests.gateway.samples import make_camera
from tests.gateway.system import System, until

from vms.bus.nats_bus import NatsBus
from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.proto.subjects import CAMERAS


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsProcess]:
    folder = tmp_path / "nats"
    folder.mkdir(mode=0o700)
    process = NatsProcess(folder)
    yield process
    process.kill()


class Processes:
    """A bus for each part."""

    def __init__(self, nats: NatsProcess, data_dir: Path) -> None:
        self._nats = nats
        self._buses: list[NatsBus] = []
        self.system = System(data_dir, NatsBus(nats.address))

    async def bus(self) -> NatsBus:
        bus = NatsBus(self._nats.address)
        await bus.start()
        self._buses.append(bus)
        return bus

    async def start(self) -> None:
        await self.system.bus.start()
        await self.system.start_gateway()
        for worker in self.system.workers:
            await self.system.start_agent(worker, await self.bus())

    async def stop(self) -> None:
        await self.system.stop()
        for bus in self._buses:
            await bus.stop()


@pytest.fixture
async def processes(nats: NatsProcess, tmp_path: Path) -> AsyncIterator[Processes]:
    processes = Processes(nats, tmp_path / "data")
    yield processes
    await processes.stop()


async def test_changes_over_nats_are_in_effect_when_they_return_and_seen_by_other_clients(
    nats: NatsProcess, processes: Processes
) -> None:
    nats.start()
    await processes.start()
    system = processes.system
    one, other = [await system.client(await processes.bus()) for _ in range(2)]
    names = [f"camera-{number}" for number in range(20)]
    await asyncio.gather(*(one.create(make_camera(name)) for name in names))
    assert sorted(system.running()) == sorted(names)
    for number in range(10):
        await asyncio.gather(*(one.update(CameraId(name), {"name": f"{number}"}) for name in names))
    running = [camera.name for media in system.media.values() for camera in media.cameras.values()]
    assert running == ["9"] * 20
    await asyncio.gather(*(one.delete(CameraId(name)) for name in names[:15]))
    assert sorted(system.running()) == sorted(names[15:])
    await until(lambda: all(other.assignment(name) is None for name in names[:15]))
    seen = {entry.camera.id: entry.camera.name for entry in await other.list()}
    assert seen == dict.fromkeys(names[15:], "9")


async def test_nats_killed_and_its_store_lost_end_no_camera_and_all_is_well_again_by_itself(
    nats: NatsProcess, processes: Processes
) -> None:
    nats.start()
    await processes.start()
    system = processes.system
    client = await system.client(await processes.bus())
    for name in ("a", "b", "c"):
        await client.create(make_camera(name))
    before = system.running()

    nats.kill()
    nats.lose_store()
    await until(lambda: not system.bus.connected)
    assert [entry.camera.id for entry in await client.list()] == ["a", "b", "c"]
    with pytest.raises(Unavailable):
        await client.create(make_camera("d"))
    nats.start()

    fresh = await system.client(await processes.bus())
    assert [entry.camera.id for entry in await fresh.list()] == ["a", "b", "c"]
    assert system.running() == before
    assert all(new is not None for media in system.media.values() for _, new in media.calls)
    await fresh.delete(CameraId("a"))
    await fresh.create(make_camera("e"))
    # A media process that is not back on the bus yet is told by the bucket
    await until(lambda: sorted(system.running()) == ["b", "c", "e"])
    await until(lambda: client.assignment("e") is not None and client.assignment("a") is None)


async def test_a_media_process_started_without_nats_records_and_catches_up_when_it_is_there(
    nats: NatsProcess, processes: Processes
) -> None:
    nats.start()
    await processes.start()
    system = processes.system
    client = await system.client(await processes.bus())
    for name in ("a", "b"):
        await client.create(make_camera(name))
    place = client.assignment("a")
    assert place is not None
    worker = place[1]
    await system.agents[worker].stop()
    await client.delete(CameraId("a"))
    nats.kill()
    agent = await system.start_agent(worker, await processes.bus())
    assert [camera.id for camera in agent.cameras] == ["a"], "all it knows is that it had this camera"
    nats.start()
    await until(lambda: list(agent.cameras) == [])


async def test_everything_may_start_before_nats_does(nats: NatsProcess, processes: Processes) -> None:
    await processes.start()
    client = await processes.system.client_unloaded(await processes.bus())
    assert not client.loaded
    nats.start()
    await until(lambda: client.loaded)
    await client.create(make_camera())
    await until(lambda: "porch" in processes.system.running())
    listed = await processes.system.bus.bucket(CAMERAS).list()
    assert sorted(listed) == ["_complete", "porch"]
