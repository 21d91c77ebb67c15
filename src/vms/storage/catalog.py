"""A volume's catalog: finds its segments by camera and time, and keeps the gaps.

It is an index that files can rebuild, never the only copy of the truth, the reasons of gaps aside. SQLite
in WAL mode with ``synchronous=FULL``: a committed row survives a power loss. Only closed segments have
rows; files without one are found in their directories. One process writes; any number may read.

Belongs here: every query. Does not: the schema (schema), threads (catalog_thread), files (recovery, retention).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from vms.common.ids import CameraId
from vms.media import Codec, Gap, GapReason
from vms.storage.errors import CatalogUnusable
from vms.storage.fragment_table import pack, unpack
from vms.storage.layout import DAY_NS, recording_name
from vms.storage.schema import prepare, prepare_reading
from vms.storage.segment import Segment, SegmentIndex

_OPEN_END_NS = (1 << 63) - 1  # end of a gap that lasts; sorts after every time
_COLUMNS = (
    "segment.id, camera.id, stream, name, start_ns, end_ns, size_bytes, video, audio"
    " FROM segment JOIN camera ON camera.key = segment.camera"
)


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """A closed segment and, when it is being written, its index."""

    segment: Segment
    index: SegmentIndex | None = None


_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Method = Callable[Concatenate["Catalog", _Parameters], _Result]


def _typed(method: _Method[_Parameters, _Result]) -> _Method[_Parameters, _Result]:
    @wraps(method)
    def call(self: "Catalog", /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error

    return call


class Catalog:
    """The open catalog of one volume; used by one thread at a time. Every method raises CatalogUnusable."""

    def __init__(self, path: Path, volume: Path, *, read_only: bool = False) -> None:
        """Open or make the catalog at `path`; names in it are relative to `volume`.

        read_only: for a process that only asks; it is never made then.
        """
        self.path = path
        self._volume = volume
        self._camera_keys: dict[str, int] = {}
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
            reason = f"is of version {unknown_version}, which this system does not know; run a newer one"
            raise CatalogUnusable(path, reason if unknown_version else "is not made yet")

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

    def close(self) -> None:
        self._db.close()

    # -- segments ---------------------------------------------------------------------------------

    @_typed
    def add(self, rows: Sequence[CatalogRow]) -> int:
        """Commit closed segments whose files are durable; ids that are there already stay as they are.

        Gives the bytes of those that were added.
        """
        added_bytes = 0
        with self._transaction():
            for row in rows:
                segment = row.segment
                key = self._camera_key(segment.camera_id)
                added = self._db.execute(
                    "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
                    (
                        key,
                        segment.start_ns,
                        segment.id.bytes,
                        segment.end_ns,
                        segment.size_bytes,
                        segment.stream,
                        segment.video,
                        segment.audio,
                        self._unusual_name(segment),
                    ),
                ).rowcount
                if added:
                    added_bytes += segment.size_bytes
                    self._db.execute(
                        "UPDATE camera SET longest_ns = max(longest_ns, ?) WHERE key = ?",
                        (segment.end_ns - segment.start_ns, key),
                    )
                if added and row.index is not None:
                    self._db.execute(
                        "INSERT OR REPLACE INTO fragments VALUES (?, ?)", (segment.id.bytes, pack(row.index))
                    )
        return added_bytes

    @_typed
    def overlapping(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Segment]:
        """Segments that share time with the half-open range, in order of their start."""
        return self._select(
            "WHERE camera.id = ? AND start_ns < ? AND start_ns > ? - camera.longest_ns AND end_ns > ?"
            " AND deleting = 0 ORDER BY start_ns",
            (camera_id, end_ns, start_ns, start_ns),
        )

    @_typed
    def find(self, segment_id: UUID) -> Segment | None:
        found = self._select("WHERE segment.id = ? AND deleting = 0", (segment_id.bytes,))
        return found[0] if found else None

    @_typed
    def index(self, segment_id: UUID) -> SegmentIndex | None:
        """The fragment table of a closed segment; None when there is none. Raises FragmentTableDamaged."""
        row = self._db.execute("SELECT data FROM fragments WHERE id = ?", (segment_id.bytes,)).fetchone()
        return unpack(row[0]) if row is not None else None

    @_typed
    def coverage(
        self, camera_id: CameraId, start_ns: int, end_ns: int, join_ns: int
    ) -> list[tuple[int, int]]:
        """Runs of recorded time that share time with the range, whole; holes below `join_ns` are closed.

        They are merged inside SQLite: months of a camera are a few rows for Python.
        """
        return self._db.execute(
            """
            SELECT min(start_ns), max(end_ns) FROM (
                SELECT start_ns, end_ns, total(begins) OVER (ORDER BY start_ns, id) AS run FROM (
                    SELECT start_ns, end_ns, segment.id,
                        start_ns - ? > max(end_ns) OVER (ORDER BY start_ns, segment.id
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS begins
                    FROM segment JOIN camera ON camera.key = segment.camera
                    WHERE camera.id = ? AND start_ns < ? AND start_ns > ? - camera.longest_ns
                        AND end_ns > ? AND deleting = 0))
            GROUP BY run ORDER BY 1
            """,
            (join_ns, camera_id, end_ns, start_ns, start_ns),
        ).fetchall()

    @_typed
    def started_between(self, camera_id: str, start_ns: int, end_ns: int) -> list[Segment]:
        """Segments, not those being deleted, that start in the half-open range."""
        return self._select(
            "WHERE camera.id = ? AND start_ns >= ? AND start_ns < ? AND deleting = 0",
            (camera_id, start_ns, end_ns),
        )

    @_typed
    def names_started_between(self, camera_id: str, start_ns: int, end_ns: int) -> set[str]:
        """The names of files that have a row, relative to the volume; those being deleted are among them.

        Many times quicker than `started_between`.
        """
        rows = self._db.execute(
            "SELECT name, start_ns, stream FROM segment"
            " WHERE camera = (SELECT key FROM camera WHERE id = ?) AND start_ns >= ? AND start_ns < ?",
            (camera_id, start_ns, end_ns),
        )
        return {name or recording_name(camera_id, start, stream) for name, start, stream in rows}

    @_typed
    def days(self, camera_id: CameraId) -> list[int]:
        """The starts (UTC) of the days on which segments of a camera start."""
        rows = self._db.execute(
            "SELECT DISTINCT start_ns - (start_ns % ?1 + ?1) % ?1 FROM segment"
            " WHERE camera = (SELECT key FROM camera WHERE id = ?2)",
            (DAY_NS, camera_id),
        )
        return [start_ns for (start_ns,) in rows]

    @_typed
    def size_bytes(self) -> int:
        """Bytes of all segments, those being deleted included."""
        return int(self._db.execute("SELECT total(size_bytes) FROM segment").fetchone()[0])

    @_typed
    def last_end(self, camera_id: CameraId, before_ns: int) -> int | None:
        """When the last segment ended that began before a time."""
        row = self._db.execute(
            "SELECT end_ns FROM segment WHERE camera = (SELECT key FROM camera WHERE id = ?)"
            " AND start_ns < ? AND deleting = 0 ORDER BY start_ns DESC LIMIT 1",
            (camera_id, before_ns),
        ).fetchone()
        return int(row[0]) if row is not None else None

    @_typed
    def first_start(self, camera_id: CameraId, since_ns: int, before_ns: int) -> int | None:
        """When the first segment of a half-open range begins."""
        row = self._db.execute(
            "SELECT start_ns FROM segment WHERE camera = (SELECT key FROM camera WHERE id = ?)"
            " AND start_ns >= ? AND start_ns < ? AND deleting = 0 ORDER BY start_ns LIMIT 1",
            (camera_id, since_ns, before_ns),
        ).fetchone()
        return int(row[0]) if row is not None else None

    # -- deletion: mark, unlink, sync, remove -------------------------------------------------------

    @_typed
    def oldest(self, limit: int) -> list[Segment]:
        """The oldest segments over all cameras."""
        return self._select("WHERE deleting = 0 ORDER BY start_ns LIMIT ?", (limit,))

    @_typed
    def expired(self, camera_id: CameraId, before_ns: int, limit: int) -> list[Segment]:
        """The oldest segments of a camera that ended before a time."""
        return self._select(
            "WHERE camera.id = ? AND start_ns < ? AND end_ns < ? AND deleting = 0 ORDER BY start_ns LIMIT ?",
            (camera_id, before_ns, before_ns, limit),
        )

    @_typed
    def deleting(self) -> list[Segment]:
        """Segments whose deletion was begun and not ended."""
        return self._select("WHERE deleting = 1", ())

    @_typed
    def mark_deleting(self, segment_ids: Iterable[UUID]) -> None:
        with self._transaction():
            self._db.executemany(
                "UPDATE segment SET deleting = 1 WHERE id = ?", [(id_.bytes,) for id_ in segment_ids]
            )

    @_typed
    def remove(self, segment_ids: Iterable[UUID]) -> None:
        """Drop rows whose files are gone."""
        ids = [(segment_id.bytes,) for segment_id in segment_ids]
        with self._transaction():
            self._db.executemany("DELETE FROM segment WHERE id = ?", ids)
            self._db.executemany("DELETE FROM fragments WHERE id = ?", ids)

    # -- gaps -----------------------------------------------------------------------------------------

    @_typed
    def put_gaps(self, gaps: Iterable[tuple[CameraId, Gap]]) -> None:
        """Commit gaps; one of the same camera, start and reason is replaced."""
        with self._transaction():
            for camera_id, gap in gaps:
                end_ns = _OPEN_END_NS if gap.end_ns is None else gap.end_ns
                self._db.execute(
                    "INSERT OR REPLACE INTO gap (camera, start_ns, reason, end_ns, detail)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (self._camera_key(camera_id), gap.start_ns, gap.reason, end_ns, gap.detail),
                )

    @_typed
    def gaps(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Gap]:
        """Gaps that share time with the half-open range, in order; one without length where it lies in it."""
        rows = self._db.execute(
            "SELECT start_ns, end_ns, reason, detail FROM gap JOIN camera ON camera.key = gap.camera"
            " WHERE camera.id = ? AND end_ns >= ? AND start_ns < ? AND (end_ns > ? OR start_ns = end_ns)"
            " ORDER BY start_ns",
            (camera_id, start_ns, end_ns, start_ns),
        )
        return [
            Gap(start, None if end == _OPEN_END_NS else end, _reason(reason), detail)
            for start, end, reason, detail in rows
        ]

    @_typed
    def open_gaps(self, camera_id: CameraId) -> list[Gap]:
        """Gaps of a camera that lasted when they were last heard of, in order."""
        rows = self._db.execute(
            "SELECT start_ns, reason, detail FROM gap JOIN camera ON camera.key = gap.camera"
            " WHERE camera.id = ? AND end_ns = ? ORDER BY start_ns",
            (camera_id, _OPEN_END_NS),
        )
        return [Gap(start, None, _reason(reason), text) for start, reason, text in rows]

    @_typed
    def remove_gaps(self, camera_id: CameraId, before_ns: int) -> None:
        """Drop the gaps of a camera that ended before a time."""
        self._db.execute(
            "DELETE FROM gap WHERE camera = (SELECT key FROM camera WHERE id = ?) AND end_ns < ?",
            (camera_id, before_ns),
        )

    # -- cameras --------------------------------------------------------------------------------------

    @_typed
    def put_retentions(self, retention_ns: Mapping[CameraId, int]) -> None:
        """Remember how long cameras' footage is kept (ns), also when they are no longer configured."""
        known = self.retentions()
        changed = {key: value for key, value in retention_ns.items() if known.get(key) != value}
        if not changed:
            return
        with self._transaction():
            for camera_id, value in changed.items():
                self._db.execute(
                    "UPDATE camera SET retention_ns = ? WHERE key = ?", (value, self._camera_key(camera_id))
                )

    @_typed
    def retentions(self) -> Mapping[CameraId, int | None]:
        """Every camera of the catalog, and how long its footage is kept (ns); None: not known."""
        rows = self._db.execute("SELECT id, retention_ns FROM camera").fetchall()
        return {CameraId(camera_id): retention_ns for camera_id, retention_ns in rows}

    # -- private --------------------------------------------------------------------------------------

    def _camera_key(self, camera_id: str) -> int:
        key = self._camera_keys.get(camera_id)
        if key is None:
            self._db.execute("INSERT INTO camera (id) VALUES (?) ON CONFLICT DO NOTHING", (camera_id,))
            key = int(self._db.execute("SELECT key FROM camera WHERE id = ?", (camera_id,)).fetchone()[0])
            self._camera_keys[camera_id] = key
        return key

    def _select(self, where: str, parameters: tuple[object, ...]) -> list[Segment]:
        rows = self._db.execute(f"SELECT {_COLUMNS} {where}", parameters)
        return [
            Segment(
                id=UUID(bytes=id_),
                camera_id=CameraId(camera_id),
                stream=stream,
                path=self._volume / (name or recording_name(camera_id, start_ns, stream)),
                start_ns=start_ns,
                end_ns=end_ns,
                size_bytes=size_bytes,
                closed=True,
                video=Codec(video) if video else None,
                audio=Codec(audio) if audio else None,
            )
            for id_, camera_id, stream, name, start_ns, end_ns, size_bytes, video, audio in rows
        ]

    def _unusual_name(self, segment: Segment) -> str | None:
        name = segment.path.relative_to(self._volume).as_posix()
        usual = recording_name(segment.camera_id, segment.start_ns, segment.stream)
        return None if name == usual else name


def _reason(text: str) -> GapReason:
    try:
        return GapReason(text)
    except ValueError:  # written by a newer version
        return GapReason.UNKNOWN


def _unusable(path: Path, error: sqlite3.Error) -> CatalogUnusable:
    # The low byte is the primary result code (sqlite.org/rescode.html).
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return CatalogUnusable(path, str(error), damaged=code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
