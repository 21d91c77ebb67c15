"""Thumbnails on disk, in one SQLite file of bounded size.

A cache and nothing else: a file that is damaged is thrown away, and where none can be written there is none. What is
deleted is overwritten (secure_delete), for it shows footage that is no longer to be seen.

Belongs here: rows. Does not: which of them must go (thumbnail_cache), encrypted volumes, whose pictures never come here.
All methods block, and belong to one thread.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from vms.common.ids import CameraId
from vms.storage.render.values import Thumbnail
from vms.telemetry.logs import get_logger

log = get_logger(__name__)
_Result = TypeVar("_Result")

MOST_BYTES = 512 << 20
_USED_STEP_NS = 3600 * 1_000_000_000  # when a row was used is written no more often
_FREED_AT_ONCE = 16  # a cache that is full makes room for so many times what it lacks
_VERSION = 1

_SCHEMA = """
CREATE TABLE segment (
    key INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, camera TEXT NOT NULL, path TEXT NOT NULL,
    start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE thumbnail (
    segment INTEGER NOT NULL, at_offset INTEGER NOT NULL, width INTEGER NOT NULL,
    time_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL, size INTEGER NOT NULL, jpeg BLOB NOT NULL,
    UNIQUE (segment, at_offset, width)
) STRICT;
CREATE INDEX thumbnail_used ON thumbnail (used_ns);
"""


@dataclass(frozen=True, slots=True)
class Name:
    """Which thumbnail: of the key picture in the fragment at `offset` of a recording, `width` pixels wide."""

    segment_id: UUID
    offset: int
    width: int


@dataclass(frozen=True, slots=True)
class Origin:
    """The recording that thumbnails show. path: of its file when they were made."""

    segment_id: UUID
    camera_id: CameraId
    path: Path
    start_ns: int
    end_ns: int


class ThumbnailStore:
    """Counters: bytes kept, thrown_away (how often the whole file was)."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self.kept_bytes = 0
        self.thrown_away = 0
        self._path = path
        self._most_bytes = most_bytes
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, or begin a new one. Where that cannot be, nothing is kept."""
        try:
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                self._throw_away(error)
        except (sqlite3.Error, OSError) as error:
            self._database = None
            log.warning("thumbnails are not kept on disk", path=str(self._path), reason=str(error))

    def close(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def get(self, name: Name, now_ns: int) -> Thumbnail | None:
        """What was put under that name."""
        return self._run(lambda database: self._get(database, name, now_ns))

    def put(self, name: Name, origin: Origin, thumbnail: Thumbnail, now_ns: int) -> None:
        self._run(lambda database: self._put(database, name, origin, thumbnail, now_ns))

    def origins(self) -> Sequence[Origin]:
        """The recordings of which there are thumbnails."""
        rows = self._run(
            lambda database: database.execute(
                "SELECT id, camera, path, start_ns, end_ns FROM segment"
            ).fetchall()
        )
        return [
            Origin(UUID(bytes=row[0]), CameraId(row[1]), Path(row[2]), row[3], row[4]) for row in rows or ()
        ]

    def forget(self, segment_ids: Iterable[UUID]) -> None:
        """Delete the thumbnails of some recordings, without a trace."""
        gone = [(each.bytes,) for each in segment_ids]
        if gone:
            self._run(lambda database: self._forget(database, gone))

    # -- private ----------------------------------------------------------------------------------------

    def _run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """What `work` gives; None without a file, or when that turned out to be damaged."""
        if self._database is None:
            return None
        try:
            with self._database:
                return work(self._database)
        except sqlite3.OperationalError as error:  # full, busy, read-only: it is tried again next time
            log.warning("a thumbnail is not kept on disk", path=str(self._path), reason=str(error))
        except sqlite3.DatabaseError as error:
            try:
                self._throw_away(error)
            except (sqlite3.Error, OSError) as again:
                self._database = None
                log.warning("thumbnails are not kept on disk", path=str(self._path), reason=str(again))
        return None

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(
            self._path, isolation_level="IMMEDIATE", timeout=1.0, check_same_thread=False
        )
        self._database = database
        for pragma in ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = NORMAL"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("PRAGMA secure_delete = ON")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.executescript(_SCHEMA)
            database.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"of version {version}")
        self._path.chmod(0o600)
        (self.kept_bytes,) = database.execute("SELECT ifnull(sum(size), 0) FROM thumbnail").fetchone()

    def _throw_away(self, error: sqlite3.Error) -> None:
        """Begin anew. Raises sqlite3.Error, OSError."""
        log.warning("the cache of thumbnails is damaged and begun anew", reason=str(error))
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self.kept_bytes = 0
        self.thrown_away += 1
        self._open()

    def _get(self, database: sqlite3.Connection, name: Name, now_ns: int) -> Thumbnail | None:
        row = database.execute(
            "SELECT t.rowid, jpeg, time_ns, used_ns FROM thumbnail t JOIN segment s ON s.key = t.segment"
            " WHERE s.id = ? AND at_offset = ? AND width = ?",
            (name.segment_id.bytes, name.offset, name.width),
        ).fetchone()
        if row is None:
            return None
        rowid, jpeg, time_ns, used_ns = row
        if not (jpeg.startswith(b"\xff\xd8") and jpeg.endswith(b"\xff\xd9")):
            raise sqlite3.DatabaseError("a thumbnail in it is no JPEG")
        if now_ns - used_ns > _USED_STEP_NS:
            database.execute("UPDATE thumbnail SET used_ns = ? WHERE rowid = ?", (now_ns, rowid))
        return Thumbnail(jpeg, time_ns)

    def _put(
        self, database: sqlite3.Connection, name: Name, origin: Origin, thumbnail: Thumbnail, now_ns: int
    ) -> None:
        jpeg = thumbnail.jpeg
        if self.kept_bytes + len(jpeg) > self._most_bytes:
            self._make_room(database, self.kept_bytes + _FREED_AT_ONCE * len(jpeg) - self._most_bytes)
        (key,) = database.execute(
            "INSERT INTO segment (id, camera, path, start_ns, end_ns) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET path = excluded.path, end_ns = excluded.end_ns RETURNING key",
            (name.segment_id.bytes, origin.camera_id, str(origin.path), origin.start_ns, origin.end_ns),
        ).fetchone()
        added = database.execute(
            "INSERT INTO thumbnail VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (key, name.offset, name.width, thumbnail.time_ns, now_ns, len(jpeg), jpeg),
        ).rowcount
        self.kept_bytes += len(jpeg) * max(added, 0)

    def _make_room(self, database: sqlite3.Connection, wanted_bytes: int) -> None:
        """Delete what was not used for longest."""
        rows = database.execute("SELECT rowid, size FROM thumbnail ORDER BY used_ns")
        gone, freed = [], 0
        for rowid, size in rows:
            if freed >= wanted_bytes:
                break
            gone.append((rowid,))
            freed += size
        database.executemany("DELETE FROM thumbnail WHERE rowid = ?", gone)
        database.execute("DELETE FROM segment WHERE key NOT IN (SELECT segment FROM thumbnail)")
        self.kept_bytes -= freed

    def _forget(self, database: sqlite3.Connection, gone: list[tuple[bytes]]) -> None:
        database.executemany(
            "DELETE FROM thumbnail WHERE segment = (SELECT key FROM segment WHERE id = ?)", gone
        )
        database.executemany("DELETE FROM segment WHERE id = ?", gone)
        (self.kept_bytes,) = database.execute("SELECT ifnull(sum(size), 0) FROM thumbnail").fetchone()
        database.commit()
        database.execute("PRAGMA incremental_vacuum").fetchall()
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # the log still held what was deleted
