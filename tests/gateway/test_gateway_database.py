"""The database file, its migrations, its key."""

import sqlite3
import stat
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from tests.gateway.samples import make_camera

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.common.secrets import KEY_NAME, KeyMismatch, Secrets, SecretUnreadable, load_key, make_key
from vms.gateway.database import DATABASE_NAME, Database, alembic_config
from vms.gateway.errors import DatabaseUnusable
from vms.gateway.placement import Assignment
from vms.gateway.registry import CameraRegistry
from vms.gateway.tables import Base


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_database_and_the_key_can_be_read_by_their_owner_alone(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    registry = CameraRegistry(data_dir, ManualClock())
    await registry.start((make_camera(),))
    assert mode(data_dir) == 0o700
    for path in data_dir.iterdir():
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
    assert mode(data_dir / KEY_NAME) == 0o600
    await registry.stop()


async def test_the_migrations_make_exactly_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    database = await Database.open(tmp_path)
    await database.close()
    engine = create_engine(f"sqlite:///{tmp_path / DATABASE_NAME}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


async def test_a_database_of_the_first_version_keeps_its_cameras(tmp_path: Path) -> None:
    registry = CameraRegistry(tmp_path, ManualClock())
    await registry.start((make_camera(),))
    await registry.stop()
    engine = create_engine(f"sqlite:///{tmp_path / DATABASE_NAME}")
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    engine.dispose()
    await registry.start((make_camera(), make_camera("gate")))
    stored = registry.store.cameras
    assert sorted(stored) == ["gate", "porch"]
    assert stored[CameraId("porch")].revision == 0
    assert stored[CameraId("gate")].revision == registry.store.revision > 0
    await registry.stop()


async def test_every_change_raises_the_revision_and_gives_it_to_its_camera(tmp_path: Path) -> None:
    registry = CameraRegistry(tmp_path, ManualClock())
    await registry.start((make_camera("a"), make_camera("b")))
    store = registry.store

    def revisions() -> dict[str, int]:
        return {str(camera_id): stored.revision for camera_id, stored in sorted(store.cameras.items())}

    first = store.revision
    assert sorted(revisions().values()) == [first - 1, first]
    created = (await registry.create(make_camera("c"))).camera.id
    assert (store.revision, revisions()["c"]) == (first + 1, first + 1)
    await registry.update(created, {"name": "C"})
    await registry.update(created, {"name": "C"})  # changes nothing
    assert (store.revision, revisions()["c"]) == (first + 2, first + 2)
    await store.assign({created: Assignment("here", "media-0", standby=("media-1",))})
    assert (store.revision, revisions()["c"]) == (first + 3, first + 3)
    await store.assign({created: Assignment("here", "media-0", standby=("media-2",))})
    assert store.revision == first + 3, "nobody is told of standbys yet"
    await registry.delete(created)
    assert store.revision == first + 4
    await registry.stop()

    await registry.start((make_camera("a"), make_camera("b")))
    assert registry.store.revision == first + 4
    await registry.create(make_camera("c"))
    assert registry.store.cameras[created].assignment is None, "it went with the camera"
    await registry.stop()


async def test_assignments_outlive_a_restart_and_changes_of_their_camera(tmp_path: Path) -> None:
    registry = CameraRegistry(tmp_path, ManualClock())
    await registry.start(())
    camera_id = (await registry.create(make_camera())).camera.id
    where = Assignment("here", "media-0", pinned=True, standby=("media-2", "media-1"))
    await registry.store.assign({camera_id: where})
    await registry.update(camera_id, {"name": "x"})
    await registry.stop()
    await registry.start((make_camera(),))
    assert registry.store.cameras[camera_id].assignment == where
    await registry.stop()


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    await (await Database.open(tmp_path)).close()
    with sqlite3.connect(tmp_path / DATABASE_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DatabaseUnusable, match="newer version"):
        await Database.open(tmp_path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"this is no database, though it is long enough" * 100)
    with pytest.raises(DatabaseUnusable, match=r"vms\.sqlite"):
        await Database.open(tmp_path)


async def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnusable, match="--data-dir"):
        await Database.open(tmp_path / "file" / "data")


async def test_another_key_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    registry = CameraRegistry(tmp_path, ManualClock())
    await registry.start((make_camera(),))
    await registry.stop()
    original = (tmp_path / KEY_NAME).read_text()
    (tmp_path / KEY_NAME).unlink()
    make_key(tmp_path / KEY_NAME)
    with pytest.raises(KeyMismatch, match="not the one"):
        await CameraRegistry(tmp_path, ManualClock()).start(())
    (tmp_path / KEY_NAME).write_text(original)
    await registry.start((make_camera(),))
    assert len(await registry.list()) == 1
    await registry.stop()


async def test_a_missing_key_is_refused_rather_than_made_anew(tmp_path: Path) -> None:
    registry = CameraRegistry(tmp_path, ManualClock())
    await registry.start(())
    await registry.stop()
    (tmp_path / KEY_NAME).unlink()
    with pytest.raises(KeyMismatch, match="missing"):
        await registry.start(())
    assert not (tmp_path / KEY_NAME).exists()


async def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path / "key").seal("x", "y")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(KeyMismatch, match="chmod 600"):
        load_key(tmp_path / "key")


def test_a_damaged_key_is_refused_without_being_shown(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    half = (tmp_path / "key").read_text()[:30]
    (tmp_path / "key").write_text(half)
    with pytest.raises(KeyMismatch, match="damaged") as caught:
        load_key(tmp_path / "key")
    assert half not in str(caught.value)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    with pytest.raises(FileExistsError):
        make_key(tmp_path / "key")


def test_a_sealed_value_opens_for_its_own_purpose_alone() -> None:
    secrets = Secrets(bytes(32))
    sealed = secrets.seal("rtsp://u:p@h/", "camera/default/a/source")
    assert secrets.open(sealed, "camera/default/a/source") == "rtsp://u:p@h/"
    assert secrets.seal("x", "p") != secrets.seal("x", "p")
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong, purpose in [
        (sealed, "camera/default/b/source"),
        (damaged, "camera/default/a/source"),
        (b"", "x"),
    ]:
        with pytest.raises(SecretUnreadable):
            secrets.open(wrong, purpose)


def test_derived_keys_differ_by_purpose_and_from_the_key() -> None:
    secrets = Secrets(bytes(32))
    assert secrets.derive("a") == secrets.derive("a")
    assert len({secrets.derive("a"), secrets.derive("b"), bytes(32)}) == 3
