"""Whatever happens in whatever order, in the end everybody has what the database has."""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.gateway.samples import make_camera
from tests.gateway.system import System, until
from tests.gateway.unsteady_bus import UnsteadyBus

from vms.common.errors import VmsError
from vms.common.ids import CameraId
from vms.gateway.client import RegistryClient
from vms.gateway.snapshot import read_snapshot

IDS = ["a", "b", "c", "d"]
WORKERS = ["media-0", "media-1"]

ids, workers = st.sampled_from(IDS), st.sampled_from(WORKERS)
steps = st.one_of(
    st.tuples(st.just("create"), ids),
    st.tuples(st.just("update"), ids),
    st.tuples(st.just("delete"), ids),
    st.tuples(st.just("pin"), ids, workers),
    st.tuples(st.just("reload"), st.lists(st.sampled_from([*IDS, "file"]), unique=True, max_size=2)),
    st.tuples(st.just("kill"), workers),
    st.tuples(st.just("boot"), workers),
    st.just(("gateway",)),
    st.just(("away",)),
    st.just(("lose",)),
    st.just(("back",)),
    st.tuples(st.just("pause"), st.integers(1, 30)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=25))
@example([("create", "a"), ("away",), ("kill", "media-0"), ("lose",), ("boot", "media-0"), ("gateway",)])
@example(
    [("create", "a"), ("delete", "a"), ("create", "a"), ("lose",), ("away",), ("back",), ("delete", "a")]
)
@example([("create", "a"), ("pause", 30), ("kill", "media-0"), ("delete", "a"), ("boot", "media-0")])
@example(
    [("create", "a"), ("pin", "a", "media-1"), ("kill", "media-1"), ("pin", "a", "media-0"), ("gateway",)]
)
def test_media_processes_end_with_exactly_what_the_database_says(happening: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as data_dir:
        uvloop.run(_run(Path(data_dir), happening))


async def _run(data_dir: Path, happening: list[tuple[Any, ...]]) -> None:
    system = System(data_dir)
    await system.start()
    client = await system.client()
    story = _Story(system, client)
    for step in happening:
        await story.go_on(*step)
    await story.settle()
    assert system.gateway is not None
    registry = system.gateway._registry
    assert registry is not None
    stored = registry.store.cameras
    expected = {str(key): (one.assignment.worker, one.entry.camera) for key, one in stored.items()}  # type: ignore[union-attr]

    def running() -> dict[str, tuple[str, object]]:
        places = system.running()
        return {key: (worker, system.media[worker].cameras[key]) for key, worker in places.items()}

    try:
        await until(lambda: running() == expected, within_s=8)
        await until(lambda: set(client._entries) == set(expected), within_s=8)
    except TimeoutError:
        assert running() == expected
        raise
    assert {entry.camera.id: entry.camera for entry in await client.list()} == {
        key: camera for key, (_, camera) in expected.items()
    }
    for camera_id, (worker, _) in expected.items():
        await until(
            lambda w=worker, c=camera_id: system.agents[w].revision(c) == stored[CameraId(c)].revision
        )
    await system.stop()
    for worker in WORKERS:
        kept = {spec.id for spec in read_snapshot(system.snapshot(worker), worker)}
        assert kept == {key for key, (where, _) in expected.items() if where == worker}


class _Story:
    """Carries out the steps; commands are sent and not waited for."""

    def __init__(self, system: System, client: RegistryClient) -> None:
        self._system = system
        self._client = client
        self._commands: list[asyncio.Task[None]] = []
        self._number = 0

    async def go_on(self, what: str, *how: Any) -> None:
        bus = self._system.bus
        assert isinstance(bus, UnsteadyBus)
        assert self._system.gateway is not None
        self._number += 1
        if what == "create":
            self._command(self._client.create(make_camera(how[0], name=str(self._number))))
        elif what == "update":
            self._command(self._client.update(CameraId(how[0]), {"name": str(self._number)}))
        elif what == "delete":
            self._command(self._client.delete(CameraId(how[0])))
        elif what == "pin":
            self._command(self._system.gateway.pin(CameraId(how[0]), how[1]))
        elif what == "reload":
            self._command(self._system.gateway.reload([make_camera(one, name="file") for one in how[0]]))
        elif what == "kill":
            await self._system.kill_agent(how[0])
        elif what == "boot":
            await self._boot(how[0])
        elif what == "gateway":
            await self._system.gateway.stop()
            await self._system.start_gateway()
        elif what == "away":
            bus.go_away()
        elif what == "lose":
            bus.lose_store()
        elif what == "back":
            bus.come_back()
        elif what == "pause":
            for _ in range(how[0]):
                await asyncio.sleep(0.001)

    async def settle(self) -> None:
        bus = self._system.bus
        assert isinstance(bus, UnsteadyBus)
        assert self._system.gateway is not None
        bus.come_back()
        for worker in WORKERS:
            await self._boot(worker)
        await asyncio.gather(*self._commands)
        await self._system.gateway.look()

    async def _boot(self, worker: str) -> None:
        if worker not in self._system.agents:
            await self._system.start_agent(worker)

    def _command(self, command: Coroutine[Any, Any, object]) -> None:
        async def send() -> None:
            with contextlib.suppress(VmsError):  # refused, or nobody is there
                await command

        self._commands.append(asyncio.create_task(send()))
