"""The registry over the bus: commands, what they change where, and the database being away."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.gateway.samples import PASSWORD, make_camera
from tests.gateway.system import System, until
from tests.gateway.unsteady_bus import UnsteadyBus

from vms.common.clock import ManualClock
from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.secrets import KEY_NAME
from vms.common.source_url import SourceUrl
from vms.gateway.database import DATABASE_NAME
from vms.gateway.registered import ManagedBy
from vms.gateway.registry import CameraRegistry
from vms.proto.camera_pb2 import CameraSpec, RegistryComplete
from vms.proto.subjects import CAMERAS, COMPLETE
from vms.telemetry.logs import redact

PORCH = CameraId("porch")


async def test_a_camera_made_changed_and_deleted_is_so_at_its_media_process_when_the_command_returns(
    system: System,
) -> None:
    await system.start()
    client = await system.client()
    created = await client.create(make_camera())
    assert created.managed_by is ManagedBy.API
    worker = system.running()[PORCH]
    assert system.media[worker].cameras[PORCH] == created.camera
    assert client.assignment(PORCH) == ("here", worker)

    changed = await client.update(PORCH, {"name": "Gate", "retention": 60.0})
    assert system.media[worker].cameras[PORCH] == changed.camera
    assert (changed.camera.name, changed.camera.source.password) == ("Gate", PASSWORD)
    assert (await client.get(PORCH)).camera == changed.camera

    await client.delete(PORCH)
    assert system.running() == {}
    assert await client.list() == []
    assert client.assignment(PORCH) is None


async def test_the_errors_are_those_of_the_registry(system: System, tmp_path: Path) -> None:
    await system.start([make_camera("fixed")])
    client = await system.client()
    alone = CameraRegistry(tmp_path / "other", ManualClock())
    await alone.start([make_camera("fixed")])
    for registry in (client, alone):
        await registry.create(make_camera())
    hidden = SourceUrl("rtsp://192.0.2.11/live?password=…")
    seen = []
    for registry in (client, alone):
        attempts = [
            (Conflict, registry.create(make_camera())),
            (Conflict, registry.update(CameraId("fixed"), {"name": "x"})),
            (Conflict, registry.delete(CameraId("fixed"))),
            (NotFound, registry.get(CameraId("none"))),
            (NotFound, registry.update(CameraId("none"), {"name": "x"})),
            (NotFound, registry.delete(CameraId("none"))),
            (InvalidInput, registry.update(PORCH, {"id": "other"})),
            (InvalidInput, registry.update(PORCH, {"name": ""})),
            (InvalidInput, registry.update(PORCH, {"retention": -1.0})),
            (InvalidInput, registry.update(PORCH, {"source": f"http://u:{PASSWORD}@h/"})),
            (InvalidInput, registry.update(PORCH, {"source": hidden})),
            (InvalidInput, registry.update(PORCH, {"source": None})),
        ]
        texts = []
        for kind, attempt in attempts:
            with pytest.raises(kind) as caught:
                await attempt
            texts.append(redact(str(caught.value)))  # the bus does so with every text
        seen.append(texts)
    assert seen[0] == seen[1]
    assert PASSWORD not in str(seen)
    await alone.stop()


async def test_a_source_shown_without_credentials_keeps_them_also_over_the_bus(system: System) -> None:
    await system.start()
    client = await system.client()
    await client.create(make_camera())
    kept = await client.update(PORCH, {"source": SourceUrl("rtsp://192.0.2.10/stream1"), "record": "off"})
    assert kept.camera.source.password == PASSWORD
    assert system.media[system.running()[PORCH]].cameras[PORCH] == kept.camera


async def test_the_files_cameras_are_placed_and_locked_at_the_start(system: System) -> None:
    await system.start([make_camera("a"), make_camera("b"), make_camera("c")])
    await until(lambda: len(system.running()) == 3)
    client = await system.client()
    assert {entry.managed_by for entry in await client.list()} == {ManagedBy.FILE}
    sizes = sorted(len(media.cameras) for media in system.media.values())
    assert sizes == [1, 2]


async def test_reloading_the_file_takes_effect_at_once(system: System) -> None:
    await system.start([make_camera("a"), make_camera("b")])
    await until(lambda: len(system.running()) == 2)
    assert system.gateway is not None
    await system.gateway.reload([make_camera("b", name="B"), make_camera("c")])
    assert sorted(system.running()) == ["b", "c"]
    names = {camera.name for media in system.media.values() for camera in media.cameras.values()}
    assert names == {"B", "Front porch"}


async def test_two_hundred_rapid_changes_end_in_the_right_state_everywhere(system: System) -> None:
    await system.start()
    client, reader = await system.client(), await system.client()
    cameras = [f"camera-{number}" for number in range(10)]

    async def life(camera_id: str, rounds: int) -> None:
        await client.create(make_camera(camera_id))
        for number in range(rounds):
            await client.update(CameraId(camera_id), {"name": f"name {number}"})
        if camera_id.endswith(("3", "7")):
            await client.delete(CameraId(camera_id))

    await asyncio.gather(*(life(camera_id, 20) for camera_id in cameras))
    expected = {camera_id: "name 19" for camera_id in cameras if not camera_id.endswith(("3", "7"))}
    running = {key: camera.name for media in system.media.values() for key, camera in media.cameras.items()}
    assert running == expected
    assert {entry.camera.id: entry.camera.name for entry in await client.list()} == expected
    bucket = await system.bus.bucket(CAMERAS).list()
    listed = RegistryComplete.FromString(bucket.pop(COMPLETE).value)
    specs = {key: CameraSpec.FromString(entry.value) for key, entry in bucket.items()}
    assert {key: spec.name for key, spec in specs.items()} == expected
    assert dict(listed.cameras) == {key: spec.revision for key, spec in specs.items()}
    assert [entry.camera.id for entry in await reader.list()] == sorted(expected)
    stored = await _in_the_database(system)
    assert {key: camera.name for key, camera in stored.items()} == expected


async def test_changes_made_at_once_to_one_camera_are_done_in_the_order_of_asking(system: System) -> None:
    await system.start()
    client = await system.client()
    await client.create(make_camera())
    changes = [client.update(PORCH, {"name": str(number)}) for number in range(50)]
    await asyncio.gather(*changes)
    assert (await client.get(PORCH)).camera.name == "49"
    assert system.media[system.running()[PORCH]].cameras[PORCH].name == "49"


async def test_a_media_process_that_does_not_answer_costs_the_command_nothing(system: System) -> None:
    await system.bus.start()
    await system.start_gateway()
    client = await system.client()
    await client.create(make_camera())
    agent_worker = client.assignment(PORCH)
    assert agent_worker is not None
    await system.start_agent(agent_worker[1])
    await until(lambda: system.running() == {PORCH: agent_worker[1]})


async def test_a_damaged_database_is_said_and_recording_goes_on(system: System) -> None:
    await system.start([make_camera()])
    await until(lambda: PORCH in system.running())
    await system.stop()
    (system.data_dir / DATABASE_NAME).write_bytes(b"no database any more, though long enough" * 100)
    for suffix in ("-wal", "-shm"):
        (system.data_dir / f"{DATABASE_NAME}{suffix}").unlink(missing_ok=True)

    again = System(system.data_dir)
    await again.start([make_camera()])
    assert again.gateway is not None
    assert again.gateway.first_error is not None
    assert DATABASE_NAME in str(again.gateway.error)
    await until(lambda: PORCH in again.running())
    client = await again.client_unloaded()
    with pytest.raises(Unavailable, match="cannot be changed now; recording goes on"):
        await client.create(make_camera("gate"))
    with pytest.raises(Unavailable, match="has not been read yet"):
        await client.list()
    values = {family.name: [value for _, value in family.samples] for family in again.gateway.metrics()}
    assert values["vms_registry_available"] == [0.0]
    await again.stop()


async def test_the_database_is_tried_again_until_it_is_back(tmp_path: Path) -> None:
    clock = ManualClock()
    first = System(tmp_path, clock=clock)
    await first.start([make_camera()])
    await first.stop()
    away = tmp_path / "away"
    shutil.move(tmp_path / KEY_NAME, away)

    system = System(tmp_path, clock=clock)
    with capture_logs() as logs:
        await system.start([make_camera(), make_camera("gate")])
        assert system.gateway is not None
        for _ in range(3):
            await system.gateway.look()
            clock.advance(60)
    assert "missing" in str(system.gateway.error)
    assert len([line for line in logs if "not available" in line["event"]]) == 1, "said once"
    shutil.move(away, tmp_path / KEY_NAME)
    clock.advance(60)
    await system.gateway.look()
    assert system.gateway.error is None
    assert system.gateway.first_error is not None
    await until(lambda: sorted(system.running()) == ["gate", "porch"])
    await system.stop()


async def test_a_store_that_is_gone_is_filled_again_and_ends_no_camera(system: System) -> None:
    await system.start([make_camera()])
    client = await system.client()
    await client.create(make_camera("gate"))
    bus = system.bus
    assert isinstance(bus, UnsteadyBus)
    bus.go_away()
    bus.lose_store()
    with pytest.raises(Unavailable):
        await client.create(make_camera("door"))
    bus.come_back()
    assert [entry.camera.id for entry in await client.list()] == ["gate", "porch"]
    await asyncio.sleep(0)
    assert len(system.running()) == 2
    fresh = await system.client()
    assert [entry.camera.id for entry in await fresh.list()] == ["gate", "porch"]
    assert all(new is not None for media in system.media.values() for _, new in media.calls)


async def test_a_change_that_the_bucket_does_not_take_is_put_into_it_later(system: System) -> None:
    await system.start()
    client = await system.client()
    assert isinstance(system.bus, UnsteadyBus)
    system.bus.full_store = True
    await client.create(make_camera())
    assert PORCH in system.running(), "its media process is told all the same"
    system.bus.full_store = False
    fresh = await system.client_unloaded()
    await until(lambda: fresh.assignment(PORCH) is not None)


async def test_assignments_outlive_the_gateway(system: System) -> None:
    await system.start([make_camera(f"camera-{number}") for number in range(7)])
    await until(lambda: len(system.running()) == 7)
    before = system.running()
    assert system.gateway is not None
    await system.gateway.stop()
    await system.start_gateway([make_camera(f"camera-{number}") for number in range(7)])
    client = await system.client()
    assert {entry.camera.id: client.assignment(entry.camera.id)[1] for entry in await client.list()} == before  # type: ignore[index]
    calls = sum(len(media.calls) for media in system.media.values())
    assert calls == 7, "nothing was touched"


async def test_an_older_database_that_was_restored_rules_again(tmp_path: Path) -> None:
    first = System(tmp_path)
    await first.start()
    client = await first.client()
    await client.create(make_camera(name="old"))
    assert first.gateway is not None
    await first.gateway.stop()
    backup = tmp_path / "backup.sqlite"
    shutil.copy(tmp_path / DATABASE_NAME, backup)
    await first.start_gateway()
    await until(lambda: first.gateway is not None and first.gateway.error is None)
    for name in ("new", "newer", "newest"):
        await client.update(PORCH, {"name": name})
    await client.create(make_camera("gate"))
    await first.gateway.stop()
    shutil.copy(backup, tmp_path / DATABASE_NAME)
    await first.start_gateway()
    await until(lambda: sorted(first.running()) == [PORCH])
    await until(lambda: first.media[first.running()[PORCH]].cameras[PORCH].name == "old")
    assert [entry.camera.name for entry in await client.list()] == ["old"]
    await client.update(PORCH, {"name": "goes on"})
    assert first.media[first.running()[PORCH]].cameras[PORCH].name == "goes on"
    await first.stop()


async def test_a_database_made_anew_rules_though_nobody_can_tell_what_was_before(tmp_path: Path) -> None:
    system = System(tmp_path)
    await system.start()
    client = await system.client()
    for name in ("a", "b"):
        await client.create(make_camera(name))
    assert system.gateway is not None
    assert isinstance(system.bus, UnsteadyBus)
    await system.gateway.stop()
    system.bus.lose_store()
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"{DATABASE_NAME}{suffix}").unlink(missing_ok=True)
    await system.start_gateway()
    await client.create(make_camera("c"))
    await until(lambda: sorted(system.running()) == ["c"])
    assert [entry.camera.id for entry in await client.list()] == ["c"]
    await system.stop()


async def test_a_database_that_refuses_a_change_refuses_the_command_and_nothing_else(system: System) -> None:
    await system.start()
    client = await system.client()
    await client.create(make_camera())
    assert system.gateway is not None
    with _refusing(system.data_dir, "camera"):
        with pytest.raises(Unavailable, match="out of order"):
            await client.update(PORCH, {"name": "x"})
        assert "out of order" in str(system.gateway.error)
        with pytest.raises(Unavailable, match="out of order"):
            await system.gateway.reload([make_camera(name="from the file")])
    names = [camera.name for media in system.media.values() for camera in media.cameras.values()]
    assert names == ["Front porch"]
    await system.gateway.look()  # makes up for the reload
    await until(lambda: PORCH in system.running())
    await until(lambda: client._entries[PORCH].camera.name == "from the file")
    await client.create(make_camera("gate"))
    assert system.gateway.error is None


async def test_a_camera_that_could_not_be_placed_is_placed_at_the_next_round(system: System) -> None:
    await system.start()
    client = await system.client()
    with _refusing(system.data_dir, "assignment"):
        await client.create(make_camera())
        assert client.assignment(PORCH) is None
    assert system.gateway is not None
    await system.gateway.look()
    await until(lambda: PORCH in system.running())
    await until(lambda: client.assignment(PORCH) is not None)


async def test_where_cameras_run_and_on_which_nodes_is_in_the_database(system: System) -> None:
    await system.start([make_camera()])
    assert system.gateway is not None
    system.say_alive("media-0")
    await asyncio.sleep(0)
    system.gateway._note_nodes._last_ns = None
    await system.gateway.look()
    with contextlib.closing(sqlite3.connect(system.data_dir / DATABASE_NAME)) as connection:
        [row] = connection.execute("SELECT camera, node, worker, pinned, standby FROM assignment").fetchall()
        [node] = connection.execute("SELECT id, name, capacity_cameras FROM node").fetchall()
    assert row == ("porch", "here", "media-0", 0, '["media-1"]')
    assert node == ("here", "here", None)


async def test_metrics_tell_commands_cameras_and_workers(system: System) -> None:
    await system.start([make_camera("fixed")])
    client = await system.client()
    await client.create(make_camera())
    with pytest.raises(Conflict):
        await client.create(make_camera())
    assert system.gateway is not None
    values = {family.name: dict(family.samples) for family in system.gateway.metrics()}
    assert values["vms_registry_commands"] == {("create", "done"): 1.0, ("create", "refused"): 1.0}
    assert values["vms_registry_cameras"] == {("media-0",): 1.0, ("media-1",): 1.0}
    assert values["vms_media_workers_gone"] == {("media-0",): 0.0, ("media-1",): 0.0}
    assert values["vms_registry_available"] == {(): 1.0}


@contextlib.contextmanager
def _refusing(data_dir: Path, table: str) -> Iterator[None]:
    """The database takes no change of a table."""
    names = {action: f"refuse_{action}" for action in ("INSERT", "UPDATE")}
    with contextlib.closing(sqlite3.connect(data_dir / DATABASE_NAME)) as connection:
        for action, name in names.items():
            connection.execute(
                f"CREATE TRIGGER {name} BEFORE {action} ON {table} BEGIN SELECT RAISE(ABORT, 'out of order'); END"
            )
        yield
        for name in names.values():
            connection.execute(f"DROP TRIGGER {name}")


async def _in_the_database(system: System) -> dict[str, object]:
    assert system.gateway is not None
    await system.gateway.stop()
    registry = CameraRegistry(system.data_dir, ManualClock())
    await registry.start()
    cameras = {entry.camera.id: entry.camera for entry in await registry.list()}
    await registry.stop()
    return cameras
