"""The registry's rules: who may change what, what is kept, what is told."""

import asyncio
import logging
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs
from tests.gateway.samples import PASSWORD, Changes, bytes_on_disk, make_camera

from vms.common.camera import Camera, RecordMode
from vms.common.clock import ManualClock
from vms.common.errors import Conflict, InvalidInput, NotFound
from vms.common.ids import CameraId
from vms.common.source_url import SourceUrl
from vms.gateway.database import Database
from vms.gateway.registered import ManagedBy
from vms.gateway.registry import CameraRegistry
from vms.gateway.tables import CameraRow

PORCH = CameraId("porch")
SUB = f"rtsp://admin:{PASSWORD}@192.0.2.10/stream2"


async def restarted(
    data_dir: Path, clock: ManualClock, file_cameras: tuple[Camera, ...] = (), changes: Changes | None = None
) -> CameraRegistry:
    registry = CameraRegistry(data_dir, clock, changes)
    await registry.start(file_cameras)
    return registry


@pytest.mark.parametrize(
    "damage",
    [
        {"retention_s": -1.0},
        {"transport": "pigeon"},
        {"source": b"\x01 not sealed with this key"},
        {"name": ""},
    ],
)
async def test_a_row_that_makes_no_camera_is_left_out_and_costs_no_other(
    tmp_path: Path, clock: ManualClock, damage: dict[str, object]
) -> None:
    before = await restarted(tmp_path, clock)
    await before.create(make_camera())
    await before.create(make_camera("gate"))
    await before.stop()
    database = await Database.open(tmp_path)
    async with database.transaction() as session:
        await session.execute(update(CameraRow).where(CameraRow.id == PORCH).values(damage))
    await database.close()
    with capture_logs() as logs:
        after = await restarted(tmp_path, clock)
    assert [entry.camera.id for entry in await after.list()] == ["gate"]
    assert [line["camera"] for line in logs if line["log_level"] == "error"] == [PORCH]
    assert PASSWORD not in str(logs)
    await after.create(make_camera())
    assert len(await after.list()) == 2
    await after.stop()


async def test_a_created_camera_is_told_at_once_and_is_there_after_a_restart(
    registry: CameraRegistry, changes: Changes, tmp_path: Path, clock: ManualClock
) -> None:
    camera = make_camera(retention="7d", record="off", transport="udp")
    created = await registry.create(camera)
    assert created.managed_by is ManagedBy.API
    assert changes.seen == [(None, camera)]

    await registry.stop()
    again = await restarted(tmp_path, clock)
    assert [entry.camera for entry in await again.list()] == [camera]
    assert (await again.get(PORCH)).camera.source.password == PASSWORD
    await again.stop()


async def test_an_id_that_exists_is_refused(registry: CameraRegistry, changes: Changes) -> None:
    await registry.create(make_camera())
    with pytest.raises(Conflict, match="exists already"):
        await registry.create(make_camera(name="another"))
    assert len(changes.seen) == 1


async def test_of_two_creations_of_one_id_at_the_same_time_one_wins(registry: CameraRegistry) -> None:
    outcomes = await asyncio.gather(
        *(registry.create(make_camera(name=name)) for name in "ab"), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "RegisteredCamera"]


async def test_an_update_merges_and_tells_old_and_new(registry: CameraRegistry, changes: Changes) -> None:
    old = (await registry.create(make_camera())).camera
    new = (await registry.update(PORCH, {"name": "Gate", "record": RecordMode.OFF})).camera
    assert (new.name, new.record, new.source, new.retention) == (
        "Gate",
        RecordMode.OFF,
        old.source,
        old.retention,
    )
    assert changes.seen[1:] == [(old, new)]


async def test_an_update_that_changes_nothing_tells_nothing(
    registry: CameraRegistry, changes: Changes
) -> None:
    await registry.create(make_camera())
    await registry.update(PORCH, {"name": "Front porch"})
    assert len(changes.seen) == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("rtsp://192.0.2.10/stream1", True),
        ("rtsp://192.0.2.11/stream1", False),
        ("rtsp://192.0.2.10/stream2", False),
        ("rtsp://192.0.2.10:5540/stream1", False),
        ("rtsp://other@192.0.2.10/stream1", False),
    ],
)
async def test_a_source_without_credentials_keeps_them_only_for_the_same_address(
    registry: CameraRegistry, given: str, kept: bool
) -> None:
    await registry.create(make_camera())
    source = (await registry.update(PORCH, {"source": SourceUrl(given)})).camera.source
    assert (source.password == PASSWORD) is kept
    if not kept:
        assert source.reveal() == given


async def test_a_source_given_back_as_it_was_shown_keeps_the_secrets_in_its_query(
    registry: CameraRegistry,
) -> None:
    secret = SourceUrl(f"rtsp://192.0.2.10/live?user=admin&password={PASSWORD}")
    await registry.create(make_camera(source=secret))
    kept = await registry.update(PORCH, {"source": SourceUrl(secret.safe)})
    assert kept.camera.source == secret
    with pytest.raises(InvalidInput, match="not shown"):
        await registry.update(PORCH, {"source": SourceUrl(secret.safe.replace("/live", "/other"))})


async def test_an_address_for_srt_is_kept_encrypted_and_given_back_as_it_was_shown(
    registry: CameraRegistry, tmp_path: Path
) -> None:
    secret = SourceUrl(f"srt://192.0.2.10:9000?streamid=yard&passphrase={PASSWORD}-and-more&latency=200")
    await registry.create(make_camera(source=secret))

    kept = await registry.update(PORCH, {"source": SourceUrl(secret.safe), "name": "Yard"})

    assert kept.camera.source == secret
    assert PASSWORD.encode() not in bytes_on_disk(tmp_path)
    with pytest.raises(InvalidInput, match="not shown"):
        await registry.update(PORCH, {"source": SourceUrl(secret.safe.replace("9000", "9001"))})


async def test_a_sub_stream_is_kept_over_a_restart_and_can_be_taken_away(
    registry: CameraRegistry, tmp_path: Path, clock: ManualClock
) -> None:
    camera = make_camera(sub_source=SUB)
    await registry.create(camera)
    shown = SourceUrl(camera.sub_source.safe) if camera.sub_source else None
    kept = await registry.update(PORCH, {"sub_source": shown, "name": "x"})
    assert kept.camera.sub_source == camera.sub_source, "given back as it was shown"
    assert kept.camera.source == camera.source
    await registry.stop()
    assert PASSWORD.encode() not in bytes_on_disk(tmp_path)
    again = await restarted(tmp_path, clock)
    assert (await again.get(PORCH)).camera == kept.camera
    assert (await again.update(PORCH, {"sub_source": None})).camera.sub_source is None
    other = await again.update(PORCH, {"sub_source": SourceUrl("rtsp://192.0.2.10/stream1")})
    assert other.camera.sub_source is not None
    assert other.camera.sub_source.password is None, "the main stream's credentials are not its own"
    await again.stop()


async def test_neither_sealed_source_passes_for_the_other(tmp_path: Path, clock: ManualClock) -> None:
    before = await restarted(tmp_path, clock)
    await before.create(make_camera(sub_source=SUB))
    await before.stop()
    database = await Database.open(tmp_path)
    async with database.transaction() as session:
        await session.execute(update(CameraRow).values(sub_source=CameraRow.source))
    await database.close()
    after = await restarted(tmp_path, clock)
    assert await after.list() == []
    await after.stop()


async def test_the_id_cannot_be_changed(registry: CameraRegistry) -> None:
    await registry.create(make_camera())
    with pytest.raises(InvalidInput, match="cannot be changed"):
        await registry.update(PORCH, {"id": "gate"})


async def test_a_wrong_value_is_refused_without_being_repeated(registry: CameraRegistry) -> None:
    await registry.create(make_camera())
    with pytest.raises(InvalidInput) as caught:
        await registry.update(PORCH, {"source": f"http://u:{PASSWORD}@192.0.2.10/"})
    assert "must begin with rtsp://" in str(caught.value)
    assert PASSWORD not in str(caught.value)


async def test_a_deleted_camera_is_gone_and_told(
    registry: CameraRegistry, changes: Changes, tmp_path: Path, clock: ManualClock
) -> None:
    camera = (await registry.create(make_camera())).camera
    await registry.delete(PORCH)
    assert changes.seen[1:] == [(camera, None)]
    with pytest.raises(NotFound):
        await registry.get(PORCH)
    with pytest.raises(NotFound):
        await registry.delete(PORCH)
    await registry.stop()
    again = await restarted(tmp_path, clock)
    assert await again.list() == []
    await again.stop()


async def test_the_file_adds_changes_and_removes_its_cameras_and_leaves_the_others(
    tmp_path: Path, clock: ManualClock
) -> None:
    first = await restarted(tmp_path, clock, (make_camera("a"), make_camera("b")))
    await first.create(make_camera("own"))
    await first.stop()

    changes = Changes()
    second = await restarted(tmp_path, clock, (make_camera("b", name="B"), make_camera("c")), changes)
    entries = {entry.camera.id: entry for entry in await second.list()}
    assert {camera_id: entry.managed_by.value for camera_id, entry in entries.items()} == {
        "b": "file",
        "c": "file",
        "own": "api",
    }
    assert entries[CameraId("b")].camera.name == "B"
    assert changes.seen == [], "the start tells nothing: who starts the registry reads the list"
    await second.stop()


async def test_a_camera_of_the_file_is_locked(tmp_path: Path, clock: ManualClock) -> None:
    registry = await restarted(tmp_path, clock, (make_camera(),))
    for attempt in (registry.update(PORCH, {"name": "x"}), registry.delete(PORCH)):
        with pytest.raises(Conflict, match="configuration file"):
            await attempt
    await registry.stop()


async def test_applying_the_file_while_running_tells_what_changed(
    registry: CameraRegistry, changes: Changes
) -> None:
    porch, gate = make_camera(), make_camera("gate")
    await registry.apply((porch,))
    await registry.apply((gate,))
    assert changes.seen == [(None, porch), (None, gate), (porch, None)]


async def test_the_file_takes_over_a_camera_of_the_api(registry: CameraRegistry) -> None:
    await registry.create(make_camera())
    await registry.apply((make_camera(name="from the file"),))
    entry = await registry.get(PORCH)
    assert (entry.managed_by, entry.camera.name) == (ManagedBy.FILE, "from the file")


async def test_no_file_log_or_error_ever_holds_a_password(
    registry: CameraRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        await registry.create(make_camera())
        await registry.update(PORCH, {"name": "x"})
        await registry.apply((make_camera("gate"), make_camera()))
        with pytest.raises(Conflict) as caught:
            await registry.create(make_camera())
    assert len(lines) == 1, "the file took over a camera"
    assert PASSWORD not in str(caught.value) + str(lines) + caplog.text + repr(await registry.list())
    assert PASSWORD.encode() not in bytes_on_disk(tmp_path)
    await registry.stop()
    assert PASSWORD.encode() not in bytes_on_disk(tmp_path)
