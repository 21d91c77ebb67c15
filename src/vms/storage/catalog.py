"""A volume's catalog: finds its segments by camera and time, and keeps the gaps.

It is an index that files can rebuild, never the only copy of the truth, the reasons of gaps aside. SQLite
in WAL mode with ``synchronous=FULL``: a committed row survives a power loss. Only closed segments have
rows; files without one are found in their directories. One process writes; any number may read.

Belongs here: segments. Does not: gaps, events and rules (catalog_notes), tiers (catalog_tiers), the schema (schema),
threads (catalog_thread), files (recovery, retention).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from vms.common.ids import CameraId
from vms.format.hybrid import PreviousFile
from vms.storage import coverage_runs, schema
from vms.storage.catalog_base import ON_VOLUME, typed
from vms.storage.catalog_notes import AND_NO_EVENT, CatalogNotes
from vms.storage.catalog_tiers import CatalogTiers, Removal
from vms.storage.coverage_runs import JOIN_NS
from vms.storage.fragment_table import pack, unpack
from vms.storage.layout import DAY_NS, recording_name
from vms.storage.segment import Segment, SegmentIndex

__all__ = ["JOIN_NS", "ON_VOLUME", "Catalog", "CatalogRow", "Removal"]

_EVER_NS = -(1 << 62)


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """A closed segment and, when it is being written, its index and the chain digest of its proof, if it has one."""

    segment: Segment
    index: SegmentIndex | None = None
    chain: bytes | None = None


class Catalog(CatalogNotes, CatalogTiers):
    """The open catalog of one volume; used by one thread at a time. Every method raises CatalogUnusable."""

    # -- adding ---------------------------------------------------------------------------------------

    @typed
    def add(self, rows: Iterable[CatalogRow]) -> int:
        """Commit closed segments whose files are durable; ids that are there already stay as they are.

        A segment's `tier` says where its file is. Gives the bytes of those that were added.
        """
        added_bytes = 0
        with self._transaction():
            for row in rows:
                if self._insert(row):
                    added_bytes += row.segment.size_bytes
                    if row.index is not None:
                        self._db.execute(
                            "INSERT OR REPLACE INTO fragments VALUES (?, ?, ?)",
                            (row.segment.id.bytes, pack(row.index), row.chain),
                        )
        return added_bytes

    def _insert(self, row: CatalogRow) -> bool:
        segment = row.segment
        key = self._camera_key(segment.camera_id)
        tier = self._tier_key(segment.tier)
        added = self._db.execute(
            "INSERT INTO segment (camera, start_ns, id, end_ns, size_bytes, stream, video, audio, name, tier)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
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
                tier,
            ),
        ).rowcount
        if added:
            self._db.execute(
                "UPDATE camera SET longest_ns = max(longest_ns, ?1) WHERE key = ?2 AND longest_ns < ?1",
                (segment.end_ns - segment.start_ns, key),
            )
            self._hold(key, tier, segment.size_bytes)
            coverage_runs.add(self._db, key, segment.start_ns, segment.end_ns)
        return bool(added)

    @typed
    def recount(self) -> None:
        """Bring what follows from the segments into agreement with them; walks all rows, and so finds damage."""
        with self._transaction():
            schema.recount(self._db)

    # -- finding --------------------------------------------------------------------------------------

    @typed
    def overlapping(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Segment]:
        """Segments that share time with the half-open range, in order of their start."""
        return self._select(
            "WHERE camera.id = ? AND start_ns < ? AND start_ns > ? - camera.longest_ns AND end_ns > ?"
            " AND deleting = 0 ORDER BY start_ns",
            (camera_id, end_ns, start_ns, start_ns),
        )

    @typed
    def find(self, segment_id: UUID) -> Segment | None:
        found = self._select("WHERE segment.id = ? AND deleting = 0", (segment_id.bytes,))
        return found[0] if found else None

    @typed
    def index(self, segment_id: UUID) -> SegmentIndex | None:
        """The fragment table of a closed segment; None when there is none. Raises FragmentTableDamaged."""
        row = self._db.execute("SELECT data FROM fragments WHERE id = ?", (segment_id.bytes,)).fetchone()
        return unpack(row[0]) if row is not None else None

    @typed
    def coverage(
        self, camera_id: CameraId, start_ns: int, end_ns: int, join_ns: int = JOIN_NS
    ) -> list[tuple[int, int]]:
        """Runs of the segments that share time with the range, whole; holes up to `join_ns` are closed.

        From JOIN_NS on, years are milliseconds: the runs are kept. Below it, every segment is read.
        """
        key = self._known_camera(camera_id)
        ask = coverage_runs.spans if join_ns >= JOIN_NS else coverage_runs.exact_spans
        return ask(self._db, key, start_ns, end_ns, join_ns)

    @typed
    def coverages(
        self, camera_ids: Iterable[CameraId], start_ns: int, end_ns: int, join_ns: int = JOIN_NS
    ) -> Mapping[CameraId, list[tuple[int, int]]]:
        """`coverage` of many cameras in one go."""
        return {each: self.coverage(each, start_ns, end_ns, join_ns) for each in camera_ids}

    @typed
    def cameras(self) -> list[CameraId]:
        """Those that the catalog has heard of."""
        return [CameraId(camera_id) for (camera_id,) in self._db.execute("SELECT id FROM camera")]

    @typed
    def started_between(self, camera_id: str, start_ns: int, end_ns: int) -> list[Segment]:
        """Segments, not those being deleted, that start in the half-open range."""
        return self._select(
            "WHERE camera.id = ? AND start_ns >= ? AND start_ns < ? AND deleting = 0",
            (camera_id, start_ns, end_ns),
        )

    @typed
    def names_started_between(
        self, camera_id: str, start_ns: int, end_ns: int, tier: str = ON_VOLUME
    ) -> set[str]:
        """The names of files in `tier` that have a row, relative to the volume; those being deleted are among them.

        Many times quicker than `started_between`.
        """
        rows = self._db.execute(
            "SELECT name, start_ns, stream FROM segment"
            " WHERE camera = (SELECT key FROM camera WHERE id = ?) AND start_ns >= ? AND start_ns < ? AND tier = ?",
            (camera_id, start_ns, end_ns, self._known_tier(tier)),
        )
        return {name or recording_name(camera_id, start, stream) for name, start, stream in rows}

    @typed
    def days(self, camera_id: CameraId, tier: str | None = None) -> list[int]:
        """The starts (UTC) of the days on which segments of a camera start; of those in `tier` alone where it is told."""
        rows = self._db.execute(
            "SELECT DISTINCT start_ns - (start_ns % ?1 + ?1) % ?1 FROM segment"
            " WHERE camera = (SELECT key FROM camera WHERE id = ?2) AND (?3 IS NULL OR tier = ?3)",
            (DAY_NS, camera_id, None if tier is None else self._known_tier(tier)),
        )
        return [start_ns for (start_ns,) in rows]

    @typed
    def size_bytes(self) -> int:
        """Bytes of all segments, wherever they are, those being deleted included."""
        return int(self._db.execute("SELECT total(bytes) FROM held").fetchone()[0])

    @typed
    def last_end(self, camera_id: CameraId, before_ns: int) -> int | None:
        """When the last segment ended that began before a time."""
        row = self._db.execute(
            "SELECT end_ns FROM segment WHERE camera = ? AND start_ns < ? AND deleting = 0"
            " ORDER BY start_ns DESC LIMIT 1",
            (self._known_camera(camera_id), before_ns),
        ).fetchone()
        return int(row[0]) if row is not None else None

    @typed
    def last_file(self, camera_id: CameraId, stream: str, before_ns: int) -> PreviousFile | None:
        """The last segment of a stream that began before a time, for the next to name; None when it has no proof."""
        row = self._db.execute(
            "SELECT id FROM segment WHERE camera = ? AND start_ns < ? AND stream = ? AND deleting = 0"
            " ORDER BY start_ns DESC LIMIT 1",
            (self._known_camera(camera_id), before_ns, stream),
        ).fetchone()
        if row is None:
            return None
        segment_id = UUID(bytes=row[0])
        chain = self.chain(segment_id)
        return PreviousFile(segment_id, chain) if chain is not None else None

    @typed
    def chain(self, segment_id: UUID) -> bytes | None:
        """The chain digest that a segment's proof had when its row was made; None when it has no row, or no proof."""
        kept = self._db.execute("SELECT chain FROM fragments WHERE id = ?", (segment_id.bytes,)).fetchone()
        return bytes(kept[0]) if kept is not None and kept[0] else None

    @typed
    def first_start(self, camera_id: CameraId, since_ns: int, before_ns: int) -> int | None:
        """When the first segment of a half-open range begins."""
        row = self._db.execute(
            "SELECT start_ns FROM segment WHERE camera = ? AND start_ns >= ? AND start_ns < ? AND deleting = 0"
            " ORDER BY start_ns LIMIT 1",
            (self._known_camera(camera_id), since_ns, before_ns),
        ).fetchone()
        return int(row[0]) if row is not None else None

    # -- deletion: mark, unlink, sync, remove -------------------------------------------------------

    @typed
    def expired(
        self,
        camera_id: CameraId,
        before_ns: int,
        limit: int,
        since_ns: int = _EVER_NS,
        *,
        with_events: bool = True,
    ) -> list[Segment]:
        """The oldest segments of a camera that ended before a time, and began from `since_ns` on.

        with_events: also those that share time with event footage. Without them, millions are passed over in a second.
        """
        return self._select(
            "WHERE segment.camera = ? AND start_ns >= ? AND start_ns < ? AND end_ns < ? AND deleting = 0"
            f"{'' if with_events else AND_NO_EVENT} ORDER BY start_ns LIMIT ?",
            (self._known_camera(camera_id), since_ns, before_ns, before_ns, limit),
        )

    @typed
    def expired_until(self, camera_id: CameraId, before_ns: int) -> int:
        """Up to which start `expired` was asked about all that there is: what begins behind it may not have ended, or come."""
        row = self._db.execute(
            "SELECT min(max(start_ns) + 1, ?2 - (SELECT longest_ns FROM camera WHERE key = ?1)) FROM segment"
            " WHERE camera = ?1 AND start_ns < ?2 AND deleting = 0",
            (self._known_camera(camera_id), before_ns),
        ).fetchone()
        return int(row[0]) if row[0] is not None else _EVER_NS

    @typed
    def deleting(self) -> list[Segment]:
        """Segments whose deletion was begun and not ended."""
        return self._select("WHERE deleting = 1", ())

    @typed
    def mark_deleting(self, segment_ids: Iterable[UUID]) -> None:
        """Begin to delete: no query finds them any more. Copies in tiers are noted for removal."""
        ids = list(segment_ids)
        with self._transaction():
            losing = self._covered_by(ids)
            self._note_removals(ids, of_volume=False)
            self._db.executemany(
                "UPDATE segment SET deleting = 1 WHERE id = ?", [(id_.bytes,) for id_ in ids]
            )
            self._uncover(losing)

    @typed
    def keep_again(self, segment_ids: Iterable[UUID]) -> None:
        """Undo `mark_deleting` for segments whose files are still there."""
        with self._transaction():
            for segment_id in segment_ids:
                row = self._db.execute(
                    "SELECT camera, start_ns, end_ns, tier FROM segment WHERE id = ? AND deleting = 1",
                    (segment_id.bytes,),
                ).fetchone()
                if row is not None:
                    camera, start_ns, end_ns, tier = row
                    self._db.execute("UPDATE segment SET deleting = 0 WHERE id = ?", (segment_id.bytes,))
                    self._db.execute(
                        "DELETE FROM removal WHERE tier = ? AND id = ?", (tier, segment_id.bytes)
                    )
                    coverage_runs.add(self._db, camera, start_ns, end_ns)

    @typed
    def remove(self, segment_ids: Iterable[UUID]) -> int:
        """Drop rows whose files are gone, or are noted for removal; gives the bytes that were on the volume itself."""
        ids = list(segment_ids)
        freed_bytes = 0
        with self._transaction():
            losing = self._covered_by(ids)
            for segment_id in ids:
                row = self._db.execute(
                    "DELETE FROM segment WHERE id = ? RETURNING camera, tier, size_bytes", (segment_id.bytes,)
                ).fetchone()
                if row is not None:
                    camera, tier, size_bytes = row
                    self._hold(camera, tier, -size_bytes)
                    freed_bytes += size_bytes if tier == 0 else 0
            self._db.executemany("DELETE FROM fragments WHERE id = ?", [(id_.bytes,) for id_ in ids])
            self._uncover(losing)
        return freed_bytes

    # -- private --------------------------------------------------------------------------------------

    def _covered_by(self, segment_ids: Iterable[UUID]) -> Mapping[int, Sequence[tuple[int, int]]]:
        """The times of segments that queries find, by camera."""
        found: dict[int, list[tuple[int, int]]] = {}
        for segment_id in segment_ids:
            row = self._db.execute(
                "SELECT camera, start_ns, end_ns FROM segment WHERE id = ? AND deleting = 0",
                (segment_id.bytes,),
            ).fetchone()
            if row is not None:
                found.setdefault(row[0], []).append((row[1], row[2]))
        return found

    def _uncover(self, losing: Mapping[int, Sequence[tuple[int, int]]]) -> None:
        """Once the segments of these times are marked or gone."""
        for camera, spans in losing.items():
            coverage_runs.remove(self._db, camera, spans)

    def _unusual_name(self, segment: Segment) -> str | None:
        name = segment.path.relative_to(self._volume).as_posix()
        usual = recording_name(segment.camera_id, segment.start_ns, segment.stream)
        return None if name == usual else name
