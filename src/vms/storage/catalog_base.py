"""What every part of a catalog needs: the connection, transactions, cameras' keys, rows as segments.

Belongs here: that. Does not: any question (catalog, catalog_notes, catalog_tiers).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from vms.common.ids import CameraId
from vms.media import Codec
from vms.storage.errors import CatalogUnusable
from vms.storage.layout import recording_name
from vms.storage.schema import VERSION, prepare, prepare_reading
from vms.storage.segment import Segment

ON_VOLUME = ""
_COLUMNS = (
    "segment.id, camera.id, stream, name, start_ns, end_ns, size_bytes, video, audio, tier FROM segment"
)

_Self = TypeVar("_Self", bound="CatalogBase")
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Method = Callable[Concatenate[_Self, _Parameters], _Result]


def typed(method: _Method[_Self, _Parameters, _Result]) -> _Method[_Self, _Parameters, _Result]:
    """A method whose SQLite errors are CatalogUnusable."""

    @wraps(method)
    def call(self: _Self, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error

    return call


class CatalogBase:
    """The open database of one volume's catalog; used by one thread at a time."""

    def __init__(self, path: Path, volume: Path, *, read_only: bool = False) -> None:
        """Open or make the catalog at `path`; names in it are relative to `volume`. Raises CatalogUnusable.

        read_only: for a process that only asks; it is never made or brought up to date then.
        """
        self.path = path
        self._volume = volume
        self._camera_keys: dict[str, int] = {}
        self._tier_names: dict[int, str] = {0: ON_VOLUME}
        mode = "ro" if read_only else "rwc"
        try:
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise _unusable(path, error) from error
        try:
            unknown_version = (prepare_reading if read_only else prepare)(self._db)
        except sqlite3.Error as error:
            self._db.close()
            raise _unusable(path, error) from error
        if unknown_version is not None:
            self._db.close()
            raise CatalogUnusable(path, _why_not(unknown_version))

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._camera_keys.clear()  # a camera made in here is gone again
            if self._db.in_transaction:  # SQLite ends it by itself when the disk is full
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _camera_key(self, camera_id: str) -> int:
        """Of a camera that is made when there is none; within a transaction."""
        key = self._camera_keys.get(camera_id)
        if key is None:
            self._db.execute("INSERT INTO camera (id) VALUES (?) ON CONFLICT DO NOTHING", (camera_id,))
            key = int(self._db.execute("SELECT key FROM camera WHERE id = ?", (camera_id,)).fetchone()[0])
            self._camera_keys[camera_id] = key
        return key

    def _known_camera(self, camera_id: str) -> int:
        """The key of a camera; one that nothing has when it is not in the catalog."""
        key = self._camera_keys.get(camera_id)
        if key is None:
            row = self._db.execute("SELECT key FROM camera WHERE id = ?", (camera_id,)).fetchone()
            if row is None:
                return -1
            key = self._camera_keys[camera_id] = int(row[0])
        return key

    def _tier_name(self, key: int) -> str:
        if key not in self._tier_names:
            self._tier_names.update(self._db.execute("SELECT key, name FROM tier"))
        return self._tier_names[key]

    def _select(
        self, where: str, parameters: Iterable[object] | Mapping[str, object], index: str = ""
    ) -> list[Segment]:
        by = f" INDEXED BY {index}" if index else ""
        rows = self._db.execute(
            f"SELECT {_COLUMNS}{by} JOIN camera ON camera.key = segment.camera {where}", tuple(parameters)
        ).fetchall()
        return [
            Segment(
                id=UUID(bytes=id_),
                camera_id=CameraId(camera_id),
                stream=stream,
                path=self._path(camera_id, start_ns, stream, name),
                start_ns=start_ns,
                end_ns=end_ns,
                size_bytes=size_bytes,
                closed=True,
                video=Codec(video) if video else None,
                audio=Codec(audio) if audio else None,
                tier=self._tier_name(tier),
            )
            for id_, camera_id, stream, name, start_ns, end_ns, size_bytes, video, audio, tier in rows
        ]

    def _path(self, camera_id: str, start_ns: int, stream: str, name: str | None) -> Path:
        return self._volume / (name or recording_name(camera_id, start_ns, stream))


def _why_not(version: int) -> str:
    if version == 0:
        return "is not made yet"
    if version < VERSION:
        return f"is of version {version}; its keeper brings it up to date"
    return f"is of version {version}, which this system does not know; run a newer one"


def _unusable(path: Path, error: sqlite3.Error) -> CatalogUnusable:
    # The low byte is the primary result code (sqlite.org/rescode.html).
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return CatalogUnusable(path, str(error), damaged=code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
