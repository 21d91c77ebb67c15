"""What another process sees of the registry, with the bus and without."""

import asyncio
from pathlib import Path

import pytest
from tests.gateway.samples import PASSWORD, make_camera
from tests.gateway.system import System, until
from tests.gateway.unsteady_bus import UnsteadyBus

from vms.bus.contract import Entry
from vms.common.errors import InvalidInput, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.secrets import KEY_NAME, installation_secrets, make_key
from vms.common.source_url import SourceUrl
from vms.gateway.client import RegistryClient
from vms.proto.camera_pb2 import CameraSpec, RegistryComplete
from vms.proto.subjects import CAMERAS, COMPLETE

PORCH = CameraId("porch")


async def test_before_the_first_reading_nothing_is_shown_and_the_reason_is_told(tmp_path: Path) -> None:
    bus = UnsteadyBus()
    client = RegistryClient(bus, tmp_path)
    await client.start()
    assert not client.loaded
    with pytest.raises(Unavailable, match="not started yet"):
        await client.list()
    make_key(tmp_path / KEY_NAME)
    await until(lambda: client.key_is_known)
    with pytest.raises(Unavailable, match="bus is not connected"):
        await client.get(PORCH)
    await bus.start()
    with pytest.raises(Unavailable, match="not been read yet; try again"):
        await client.list()
    assert client.assignment(PORCH) is None
    await client.stop()


async def test_an_empty_registry_that_said_so_is_empty(system: System) -> None:
    await system.start()
    client = await system.client()
    assert await client.list() == []
    with pytest.raises(NotFound, match="no camera porch"):
        await client.get(PORCH)


async def test_half_a_bucket_is_not_taken_for_the_registry(system: System) -> None:
    await system.start([make_camera("a"), make_camera("b")])
    await system.client()
    bucket = system.bus.bucket(CAMERAS)
    present = await bucket.list()
    assert system.gateway is not None
    await system.gateway.stop()
    assert isinstance(system.bus, UnsteadyBus)
    system.bus.lose_store()
    await bucket.put("a", present["a"].value)
    client = await system.client_unloaded()
    await until(lambda: client.assignment("a") is not None)
    assert not client.loaded, "the list has not come"
    await bucket.put(COMPLETE, present[COMPLETE].value)
    await asyncio.sleep(0.01)
    assert not client.loaded, "b has not come"
    await bucket.put("b", present["b"].value)
    await until(lambda: client.loaded)
    assert [entry.camera.id for entry in await client.list()] == ["a", "b"]


async def test_reading_goes_on_while_the_bus_is_away(system: System) -> None:
    await system.start([make_camera()])
    client = await system.client()
    assert isinstance(system.bus, UnsteadyBus)
    system.bus.go_away()
    assert (await client.get(PORCH)).camera.source.password == PASSWORD
    with pytest.raises(Unavailable):
        await client.update(PORCH, {"name": "x"})


async def test_what_was_written_is_read_at_once_whatever_the_bucket_says_later(system: System) -> None:
    await system.start()
    client = await system.client()
    stale = {}
    bucket = system.bus.bucket(CAMERAS)
    for name in ("one", "two"):
        if name == "one":
            await client.create(make_camera(name=name))
            stale = await bucket.list()
        else:
            await client.update(PORCH, {"name": name})
        assert (await client.get(PORCH)).camera.name == name
    for key in (PORCH, COMPLETE):
        client._heard(key, Entry(key, stale[key].value, 99))
    assert (await client.get(PORCH)).camera.name == "two"
    await client.delete(PORCH)
    for key in (COMPLETE, PORCH):
        client._heard(key, Entry(key, stale[key].value, 100))
    assert await client.list() == []


async def test_a_sub_stream_travels_sealed_and_comes_back_whole(system: System) -> None:
    await system.start()
    client = await system.client()
    camera = make_camera(sub_source=f"rtsp://admin:{PASSWORD}@192.0.2.10/stream2")
    assert (await client.create(camera)).camera == camera
    assert client.has_sub(PORCH)
    on_the_bus = await system.bus.bucket(CAMERAS).list()
    assert PASSWORD.encode() not in on_the_bus[PORCH].value
    moved = SourceUrl(f"rtsp://admin:{PASSWORD}@192.0.2.10/stream3")
    assert (await client.update(PORCH, {"sub_source": moved})).camera.sub_source == moved
    with pytest.raises(InvalidInput, match="sub_source"):
        await client.update(PORCH, {"sub_source": "http://192.0.2.10/"})
    assert (await client.update(PORCH, {"sub_source": None})).camera.sub_source is None
    assert not client.has_sub(PORCH)


async def test_a_camera_deleted_by_one_process_ends_at_the_others(system: System) -> None:
    await system.start()
    one, other = await system.client(), await system.client()
    await one.create(make_camera())
    await until(lambda: other.assignment(PORCH) is not None)
    await one.delete(PORCH)
    await until(lambda: other.assignment(PORCH) is None)
    assert await other.list() == []


async def test_every_change_is_told_wherever_it_was_made(system: System) -> None:
    await system.start()
    one, other = await system.client(), await system.client()
    told: list[tuple[str, str | None]] = []
    other.on_change = lambda camera_id: told.append(
        (camera_id, (other.assignment(camera_id) or ("", None))[1])
    )
    await one.create(make_camera())
    await until(lambda: len(told) == 1)
    worker = system.running()[PORCH]
    [free] = set(system.workers) - {worker}
    assert system.gateway is not None
    await system.gateway.pin(PORCH, free)
    await until(lambda: len(told) == 2)
    await one.delete(PORCH)
    await until(lambda: len(told) == 3)
    assert told == [(PORCH, worker), (PORCH, free), (PORCH, None)]


async def test_a_camera_that_this_version_does_not_take_is_left_out_alone(system: System) -> None:
    await system.start([make_camera("a"), make_camera("b")])
    client = await system.client()
    bucket = system.bus.bucket(CAMERAS)
    held = await bucket.list()
    spec = CameraSpec.FromString(held["a"].value)
    listed = RegistryComplete.FromString(held[COMPLETE].value)
    spec.record = "motion"
    spec.revision = listed.revision = listed.revision + 10
    await bucket.put("a", spec.SerializeToString())
    await until(lambda: len(client._entries) == 1)
    assert [entry.camera.id for entry in await client.list()] == ["b"]


async def test_the_key_is_waited_for_and_derives_the_same_in_every_process(tmp_path: Path) -> None:
    waiting = asyncio.create_task(installation_secrets(tmp_path))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    made = make_key(tmp_path / KEY_NAME)
    assert (await waiting).derive("api session") == made.derive("api session")


async def test_a_damaged_key_is_said(tmp_path: Path) -> None:
    make_key(tmp_path / KEY_NAME)
    (tmp_path / KEY_NAME).write_text("short")
    client = RegistryClient(UnsteadyBus(), tmp_path)
    await client.start()
    await until(lambda: "damaged" in client._key_error)  # it is read by a thread
    with pytest.raises(Unavailable, match="damaged"):
        await client.create(make_camera())
    await client.stop()
