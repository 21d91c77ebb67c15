"""Which cameras exist. The database is the truth; the configuration file is applied to it.

Every change is committed first and then told to `on_change`, one at a time and in order, so that it takes
effect without a restart. A camera that the file manages is locked here.

Belongs here: the rules of the registry. Does not: rows and revisions (store), the engine (database).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError
from sqlalchemy import func, select

from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.errors import Conflict, InvalidInput, NotFound
from vms.common.ids import CameraId
from vms.common.secrets import KEY_NAME, KeyMismatch, Secrets, SecretUnreadable, load_key, make_key
from vms.common.source_url import SourceUrl
from vms.gateway.camera_rows import CameraRows
from vms.gateway.database import Database
from vms.gateway.registered import ManagedBy, RegisteredCamera
from vms.gateway.store import CameraStore, Change
from vms.gateway.tables import CameraRow, InstallationRow
from vms.proto.subjects import SITE
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_KEY_CHECK = "vms installation"
_HIDDEN = "…"
_PARTS = ("events", "schedule", "limits")
_SOURCES = ("source", "sub_source")

ChangeCallback = Callable[[Camera | None, Camera | None], Awaitable[None]]
"""Told (old, new) after each change: old is None for a new camera, new is None for a deleted one."""


class CameraRegistry:
    """The cameras of one site, kept in ``data_dir/vms.sqlite``.

    Reads come from memory; this process is the only writer. Start it before use.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        on_change: ChangeCallback | None = None,
        *,
        site: str = SITE,
    ) -> None:
        self.on_change = on_change
        self._data_dir = data_dir
        self._clock = clock
        self._site = site
        self._lock = asyncio.Lock()
        self._database: Database | None = None
        self._secrets: Secrets | None = None
        self._store: CameraStore | None = None

    @property
    def store(self) -> CameraStore:
        """What the database holds; who changes it by another way than this class has the caller's lock."""
        assert self._store is not None, "start the registry first"
        return self._store

    @property
    def database(self) -> Database:
        """For what else the database of this site holds."""
        assert self._database is not None, "start the registry first"
        return self._database

    @property
    def secrets(self) -> Secrets:
        """This installation's key."""
        assert self._secrets is not None, "start the registry first"
        return self._secrets

    async def start(self, file_cameras: Sequence[Camera] = ()) -> None:
        """Open the database, apply the file's cameras to it and load all; `on_change` is not called.

        Raises DatabaseUnusable, and KeyMismatch when the key file does not open the database.
        """
        database = await Database.open(self._data_dir)
        try:
            self._secrets = await self._unlock(database)
            self._store = CameraStore(database, CameraRows(self._secrets, self._site), self._clock)
            await self._store.load()
            await self._apply(file_cameras)
        except BaseException:
            await database.close()
            raise
        self._database = database

    async def stop(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    async def list(self) -> Sequence[RegisteredCamera]:
        """Every camera, by id."""
        return [stored.entry for _, stored in sorted(self.store.cameras.items())]

    async def get(self, camera_id: CameraId) -> RegisteredCamera:
        """One camera. Raises NotFound."""
        try:
            return self.store.cameras[camera_id].entry
        except KeyError:
            raise NotFound(f"no camera {camera_id}; GET /api/v1/cameras lists those that exist") from None

    async def create(self, camera: Camera) -> RegisteredCamera:
        """Add a camera. Raises Conflict when its id is taken."""
        async with self._lock:
            if camera.id in self.store.cameras:
                raise Conflict(
                    f"a camera {camera.id} exists already; change it with PATCH, or choose another id"
                )
            _refuse_hidden_values("source", camera.source)
            if camera.sub_source is not None:
                _refuse_hidden_values("sub_source", camera.sub_source)
            entry = RegisteredCamera(camera, ManagedBy.API)
            await self._commit([(None, entry)])
            return entry

    async def update(self, camera_id: CameraId, changes: Mapping[str, object]) -> RegisteredCamera:
        """Change some fields of a camera (any but `id`); those in _PARTS may be given in parts, None for the default.

        A `source` or `sub_source` equal to the present one without its credentials keeps them: clients are shown
        no credentials, so they cannot send them back. A source that differs in anything else is taken as it
        is; stored credentials are never sent to another address.
        Raises NotFound, Conflict for a camera of the configuration file, InvalidInput.
        """
        async with self._lock:
            present = await self.get(camera_id)
            _refuse_locked(present)
            fields = {name: getattr(present.camera, name) for name in Camera.model_fields}
            merged = {**fields, **changes}
            for name in _PARTS:
                if isinstance(part := changes.get(name), Mapping):
                    merged[name] = _merged(fields[name], part)
            for name in _SOURCES:
                if isinstance(source := merged[name], SourceUrl):
                    merged[name] = _keep_credentials(name, fields[name], source)
            entry = RegisteredCamera(_camera(merged, camera_id), ManagedBy.API)
            if entry != present:
                await self._commit([(present, entry)])
            return entry

    async def delete(self, camera_id: CameraId) -> None:
        """Remove a camera. Raises NotFound, Conflict for a camera of the configuration file."""
        async with self._lock:
            present = await self.get(camera_id)
            _refuse_locked(present)
            await self._commit([(present, None)])

    async def apply(self, file_cameras: Sequence[Camera]) -> None:
        """Make the file's cameras be as the file says; those it no longer names are removed."""
        async with self._lock:
            await self._tell(await self._apply(file_cameras))

    def derive_key(self, purpose: str) -> bytes:
        """32 secret bytes of this installation for `purpose`, the same at every start."""
        return self.secrets.derive(purpose)

    async def _unlock(self, database: Database) -> Secrets:
        """This installation's key, made at first run; proven to belong to the database."""
        path = self._data_dir / KEY_NAME
        async with database.transaction() as session:
            installation = await session.get(InstallationRow, 1)
            if installation is None:
                cameras = await session.scalar(select(func.count()).select_from(CameraRow))
                secrets = load_key(path) if path.exists() or cameras else make_key(path)
                session.add(InstallationRow(id=1, key_check=secrets.seal(_KEY_CHECK, "installation")))
                return secrets
        secrets = load_key(path)
        try:
            secrets.open(installation.key_check, "installation")
        except SecretUnreadable:
            raise KeyMismatch(
                f"the key file {path} is not the one that {database.path} was sealed with; restore the key "
                "that belongs to this database, or move the database away to begin with no cameras"
            ) from None
        return secrets

    async def _apply(self, file_cameras: Sequence[Camera]) -> Sequence[Change]:
        named = {camera.id: RegisteredCamera(camera, ManagedBy.FILE) for camera in file_cameras}
        known = {camera_id: stored.entry for camera_id, stored in self.store.cameras.items()}
        changes: list[Change] = []
        for camera_id, entry in named.items():
            present = known.get(camera_id)
            if present is not None and present.managed_by is ManagedBy.API:
                log.warning("the configuration file takes over a camera made by the API", camera=camera_id)
            if present != entry:
                changes.append((present, entry))
        changes += [
            (present, None)
            for camera_id, present in known.items()
            if present.managed_by is ManagedBy.FILE and camera_id not in named
        ]
        await self.store.write(changes)
        return changes

    async def _commit(self, changes: Sequence[Change]) -> None:
        await self.store.write(changes)
        await self._tell(changes)

    async def _tell(self, changes: Sequence[Change]) -> None:
        if self.on_change is None:
            return
        for old, new in changes:
            await self.on_change(old.camera if old else None, new.camera if new else None)


def _refuse_locked(entry: RegisteredCamera) -> None:
    if entry.managed_by is ManagedBy.FILE:
        raise Conflict(
            f"camera {entry.camera.id} is managed by the configuration file;"
            " change it there: SIGHUP makes the system read it again"
        )


def _merged(present: object, changes: Mapping[str, object]) -> dict[str, object]:
    """A part of a camera with changes in it (RFC 7396)."""
    fields = present.model_dump() if isinstance(present, BaseModel) else {}
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def _keep_credentials(name: str, present: object, given: SourceUrl) -> SourceUrl:
    if isinstance(present, SourceUrl):
        shown = given.reveal() == present.safe
        same_address = given.username is None and given.reveal() == present.without_userinfo()
        if shown or same_address:
            return present
    _refuse_hidden_values(name, given)
    return given


def _refuse_hidden_values(name: str, source: SourceUrl) -> None:
    if _HIDDEN in source.reveal():
        raise InvalidInput(
            f"{name}: it holds {_HIDDEN}, which stands for a value that was not shown; write the value"
        )


def _camera(fields: Mapping[str, object], camera_id: CameraId) -> Camera:
    if fields["id"] != camera_id:
        raise InvalidInput("id: cannot be changed; make a new camera and delete this one")
    try:
        return Camera.model_validate(dict(fields))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
        raise InvalidInput(text) from None
