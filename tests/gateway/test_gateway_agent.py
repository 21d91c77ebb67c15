"""A media process with and without the registry: what it starts with, what it takes, what ends a camera."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.gateway.samples import PASSWORD, make_camera
from tests.gateway.system import NODE, System, until
from tests.gateway.unsteady_bus import UnsteadyBus

from vms.bus.errors import RemoteUnavailable
from vms.common.camera import Camera
from vms.common.errors import Unavailable
from vms.common.secrets import KEY_NAME, Secrets, make_key
from vms.gateway.camera_rows import source_purpose
from vms.gateway.snapshot import read_snapshot, write_snapshot
from vms.proto.camera_pb2 import Applied, CameraSpec, RegistryComplete
from vms.proto.subjects import CAMERAS, COMPLETE, media_apply

ME = "media-0"


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return make_key(tmp_path / KEY_NAME)


@pytest.fixture
async def lone(tmp_path: Path, secrets: Secrets) -> AsyncIterator[System]:
    """No gateway, no database; a bus that is there."""
    system = System(tmp_path, workers=1)
    await system.bus.start()
    yield system
    await system.stop()


def make_spec(
    secrets: Secrets, camera: Camera, revision: int, worker: str = ME, *, deleted: bool = False
) -> CameraSpec:
    return CameraSpec(
        site="default",
        id=camera.id,
        name=camera.name,
        sealed_source=secrets.seal(camera.source.reveal(), source_purpose("default", camera.id)),
        transport=camera.transport,
        record=camera.record,
        retention_s=camera.retention,
        managed_by="api",
        revision=revision,
        node=NODE,
        worker=worker,
        deleted=deleted,
    )


async def push(system: System, spec: CameraSpec) -> int:
    reply = await system.bus.request(media_apply(ME), spec.SerializeToString())
    return Applied.FromString(reply).revision


async def put(system: System, spec: CameraSpec) -> None:
    await system.bus.bucket(CAMERAS).put(spec.id, spec.SerializeToString())


async def put_list(system: System, revision: int, **cameras: int) -> None:
    listed = RegistryComplete(revision=revision, cameras=cameras)
    await system.bus.bucket(CAMERAS).put(COMPLETE, listed.SerializeToString())


async def test_a_media_process_starts_from_its_snapshot_with_no_bus_and_no_database(
    tmp_path: Path, secrets: Secrets
) -> None:
    porch, gate = make_camera(), make_camera("gate", name="Gate")
    system = System(tmp_path, workers=1)  # its bus is never started
    specs = [make_spec(secrets, gate, 8), make_spec(secrets, porch, 7)]
    write_snapshot(system.snapshot(ME), ME, specs, 0)
    agent = await system.start_agent(ME)
    assert list(agent.cameras) == [gate, porch]
    assert (agent.revision("porch"), agent.revision("gate"), agent.revision("other")) == (7, 8, 0)
    assert system.media[ME].calls == [(None, gate), (None, porch)]
    await agent.stop()


async def test_the_snapshot_holds_what_was_last_wanted_and_no_password(
    lone: System, secrets: Secrets
) -> None:
    agent = await lone.start_agent(ME)
    assert await push(lone, make_spec(secrets, make_camera(), 1)) == 1
    assert await push(lone, make_spec(secrets, make_camera("gate"), 2)) == 2
    await until(lambda: lone.snapshot(ME).exists())
    assert await push(lone, make_spec(secrets, make_camera(name="Renamed"), 3)) == 3
    await agent.stop()
    kept = read_snapshot(lone.snapshot(ME), ME)
    assert [(spec.id, spec.name, spec.revision) for spec in kept] == [
        ("gate", "Front porch", 2),
        ("porch", "Renamed", 3),
    ]
    data = lone.snapshot(ME).read_bytes()
    assert PASSWORD.encode() not in data
    assert stat.S_IMODE(lone.snapshot(ME).stat().st_mode) == 0o600
    assert sorted(path.name for path in lone.snapshot(ME).parent.iterdir()) == ["media-0.snapshot"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "empty"])
async def test_a_damaged_snapshot_is_said_and_the_registry_is_followed_all_the_same(
    lone: System, secrets: Secrets, damage: str
) -> None:
    path = lone.snapshot(ME)
    owner = "media-9" if damage == "other" else ME
    write_snapshot(
        path, owner, [make_spec(secrets, make_camera(), 1), make_spec(secrets, make_camera("b"), 2)], 0
    )
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-40])
    elif damage == "flipped":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif damage == "empty":
        path.write_bytes(b"")
    with capture_logs() as logs:
        agent = await lone.start_agent(ME)
    assert list(agent.cameras) == []
    assert agent.error is not None
    assert [line["log_level"] for line in logs] == ["error"]
    await push(lone, make_spec(secrets, make_camera(), 1))
    assert [camera.id for camera in agent.cameras] == ["porch"]
    await agent.stop()
    assert [spec.id for spec in read_snapshot(path, ME)] == ["porch"]


async def test_only_what_is_newer_is_taken(lone: System, secrets: Secrets) -> None:
    await lone.start_agent(ME)
    assert await push(lone, make_spec(secrets, make_camera(name="five"), 5)) == 5
    assert await push(lone, make_spec(secrets, make_camera(name="four"), 4)) == 5
    await put(lone, make_spec(secrets, make_camera(name="three"), 3))
    await asyncio.sleep(0.01)
    assert lone.media[ME].cameras["porch"].name == "five"
    assert len(lone.media[ME].calls) == 1


async def test_a_new_revision_that_changes_nothing_here_is_not_applied_anew(
    lone: System, secrets: Secrets
) -> None:
    agent = await lone.start_agent(ME)
    await push(lone, make_spec(secrets, make_camera(), 5))
    assert await push(lone, make_spec(secrets, make_camera(), 6)) == 6
    assert agent.revision("porch") == 6
    assert len(lone.media[ME].calls) == 1


async def test_a_camera_ends_when_it_is_deleted_and_an_older_word_does_not_bring_it_back(
    lone: System, secrets: Secrets
) -> None:
    agent = await lone.start_agent(ME)
    await push(lone, make_spec(secrets, make_camera(), 5))
    await push(lone, make_spec(secrets, make_camera(), 6, deleted=True))
    assert lone.running() == {}
    await push(lone, make_spec(secrets, make_camera(), 4))
    assert lone.running() == {}
    await push(lone, make_spec(secrets, make_camera(), 7))
    assert lone.running() == {"porch": ME}
    await agent.stop()


async def test_a_camera_ends_when_another_worker_has_it_but_not_when_none_has(
    lone: System, secrets: Secrets
) -> None:
    await lone.start_agent(ME)
    await push(lone, make_spec(secrets, make_camera(), 5))
    await push(lone, make_spec(secrets, make_camera(), 6, worker=""))
    assert lone.running() == {"porch": ME}
    await put(lone, make_spec(secrets, make_camera(), 7, worker="media-1"))
    await until(lambda: lone.running() == {})


async def test_an_empty_store_ends_no_camera_and_only_the_registrys_own_list_does(
    lone: System, secrets: Secrets
) -> None:
    await lone.start_agent(ME)
    for number, name in enumerate(("a", "b", "c")):
        await put(lone, make_spec(secrets, make_camera(name), 10 + number))
    await put_list(lone, 12, a=10, b=11, c=12)
    await until(lambda: len(lone.running()) == 3)

    assert isinstance(lone.bus, UnsteadyBus)
    lone.bus.go_away()
    lone.bus.lose_store()
    lone.bus.come_back()
    await lone.bus.bucket(CAMERAS).delete("a")
    await put_list(lone, 11, a=10, b=11)  # older than camera c, and than what was seen
    await asyncio.sleep(0.01)
    assert sorted(lone.running()) == ["a", "b", "c"]

    await put_list(lone, 20, a=10, c=12)
    await until(lambda: sorted(lone.running()) == ["a", "c"])


async def test_a_list_older_than_a_camera_does_not_end_it(lone: System, secrets: Secrets) -> None:
    await lone.start_agent(ME)
    await push(lone, make_spec(secrets, make_camera(), 30))
    await put_list(lone, 29)
    await asyncio.sleep(0.01)
    assert lone.running() == {"porch": ME}
    await put_list(lone, 31)
    await until(lambda: lone.running() == {})


async def test_one_cameras_changes_are_in_order_and_others_do_not_wait_for_it(
    lone: System, secrets: Secrets
) -> None:
    await lone.start_agent(ME)
    await push(lone, make_spec(secrets, make_camera("slow"), 1))
    media = lone.media[ME]
    media.held.clear()

    def rename(number: int) -> asyncio.Task[int]:
        spec = make_spec(secrets, make_camera("slow", name=str(number)), number)
        return asyncio.create_task(push(lone, spec))

    pushes = [rename(2)]
    await until(lambda: media.busy.get("slow") == 1)
    pushes += [rename(number) for number in range(3, 7)]
    other = asyncio.create_task(push(lone, make_spec(secrets, make_camera("other"), 9)))
    await until(lambda: media.busy.get("other") == 1)
    media.held.set()
    assert await asyncio.gather(*pushes, other) == [6, 6, 6, 6, 6, 9]
    assert media.cameras["slow"].name == "6"
    assert [new.name for _, new in media.calls if new is not None and new.id == "slow"] == [
        "Front porch",
        "2",
        "6",
    ], "what was wanted in between is skipped"


async def test_a_change_that_fails_is_said_to_the_asker_and_tried_again(
    lone: System, secrets: Secrets
) -> None:
    agent = await lone.start_agent(ME)
    media = lone.media[ME]
    media.failing = Unavailable("no volume can be written")
    with pytest.raises(RemoteUnavailable, match="no volume can be written"):
        await push(lone, make_spec(secrets, make_camera(), 1))
    assert (agent.revision("porch"), list(agent.cameras)) == (0, [])
    media.failing = None
    await until(lambda: agent.revision("porch") == 1)
    failures = {family.name: family.samples[0][1] for family in agent.metrics()}
    assert failures["vms_camera_apply_failures"] == 1
    assert [spec.id for spec in read_snapshot(lone.snapshot(ME), ME)] == ["porch"], "wanted all the time"


async def test_a_newer_change_does_not_wait_for_the_back_off_of_one_that_failed(
    lone: System, secrets: Secrets
) -> None:
    await lone.start_agent(ME)
    media = lone.media[ME]
    media.failing = RuntimeError("a bug")
    with pytest.raises(Unavailable, match="internal error"):
        await push(lone, make_spec(secrets, make_camera(), 1))
    media.failing = None
    assert await push(lone, make_spec(secrets, make_camera(name="good"), 2)) == 2
    assert media.cameras["porch"].name == "good"


async def test_settings_that_cannot_be_used_leave_the_old_ones_in_effect_and_in_the_snapshot(
    lone: System, secrets: Secrets
) -> None:
    agent = await lone.start_agent(ME)
    await push(lone, make_spec(secrets, make_camera(), 1))
    bad = make_spec(secrets, make_camera(), 2)
    bad.transport = "pigeon"
    with pytest.raises(Unavailable, match="pigeon"):
        await push(lone, bad)
    other_key = make_spec(Secrets(bytes(32)), make_camera(), 3)
    with pytest.raises(Unavailable, match="another key"):
        await push(lone, other_key)
    assert agent.revision("porch") == 1
    assert lone.media[ME].cameras["porch"] == make_camera()
    await agent.stop()
    assert [spec.revision for spec in read_snapshot(lone.snapshot(ME), ME)] == [1]


async def test_on_the_first_run_it_waits_for_the_key_and_then_records(tmp_path: Path) -> None:
    system = System(tmp_path, workers=1)
    await system.bus.start()
    key = make_key(tmp_path / "made" / "elsewhere")
    agent = await system.start_agent(ME)
    await put(system, make_spec(key, make_camera(), 1))
    await asyncio.sleep(0.01)
    assert list(agent.cameras) == []
    (tmp_path / KEY_NAME).parent.mkdir(mode=0o700)
    (tmp_path / "made" / "elsewhere").rename(tmp_path / KEY_NAME)
    await until(lambda: [camera.id for camera in agent.cameras] == ["porch"])
    await system.stop()


async def test_a_snapshot_that_cannot_be_written_is_said_once_and_tried_again(
    lone: System, secrets: Secrets
) -> None:
    folder = lone.snapshot(ME).parent
    folder.write_text("in the way")
    agent = await lone.start_agent(ME)
    with capture_logs() as logs:
        await push(lone, make_spec(secrets, make_camera(), 1))
        await until(lambda: agent.snapshot_failures > 0)
        assert agent.error is not None
        folder.unlink()
        await until(lambda: agent.error is None)
    assert len([line for line in logs if line["event"] == "the snapshot is not written"]) == 1
    assert [spec.id for spec in read_snapshot(lone.snapshot(ME), ME)] == ["porch"]


async def test_what_is_no_message_is_counted_and_changes_nothing(lone: System, secrets: Secrets) -> None:
    agent = await lone.start_agent(ME)
    await push(lone, make_spec(secrets, make_camera(), 1))
    bucket = lone.bus.bucket(CAMERAS)
    await bucket.put("porch", b"\xff\xff\xff")
    await bucket.put(COMPLETE, b"\xff\xff\xff")
    await until(lambda: agent.unreadable == 2)
    assert lone.running() == {"porch": ME}
