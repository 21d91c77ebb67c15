"""Where segments are: on their volume or in one of its tiers, in which order they go, which copies are too much.

Belongs here: these queries. Does not: moving (tiers), deciding what is deleted (selection, retention).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice, takewhile
from uuid import UUID

from vms.common.ids import CameraId
from vms.storage.catalog_base import ON_VOLUME, CatalogBase, typed
from vms.storage.layout import recording_name
from vms.storage.segment import Segment

_WALK = 64
_MS_NS = 1_000_000
_EVER_NS = -(1 << 62)
_NAMES = "SELECT name, start_ns, stream FROM"
_REMOVALS = (
    "SELECT tier, removal.id, camera.id, start_ns, end_ns, removal.size_bytes, stream, name"
    " FROM removal JOIN camera ON camera.key = removal.camera"
)
_NEVER_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class Removal:
    """A copy of a recording to be deleted in `tier` ("" for its volume): the recording was moved, or is deleted.

    Of its segment, id, names, times and size are known; its codecs are not.
    """

    segment: Segment
    tier: str


class CatalogTiers(CatalogBase):
    """A part of `Catalog`. Every method raises CatalogUnusable."""

    @typed
    def movable(self, tier: str, ended_before_ns: int, limit: int) -> list[Segment]:
        """The oldest segments over all cameras that are in `tier` and ended by a time."""
        oldest = self._oldest_in(tier, ended_before_ns)
        begun = takewhile(lambda segment: segment.start_ns < ended_before_ns, oldest)
        found = (segment for segment in begun if segment.end_ns <= ended_before_ns)
        return list(islice(found, limit))

    @typed
    def oldest(self, limit: int, tier: str = ON_VOLUME) -> list[Segment]:
        """The oldest segments over all cameras in a tier."""
        return list(islice(self._oldest_in(tier), limit))

    @typed
    def heads(self, tier: str) -> list[tuple[CameraId, int]]:
        """When the oldest segment of each camera in `tier` begins."""
        key = self._known_tier(tier)
        rows = self._db.execute(
            "SELECT id, (SELECT min(start_ns) FROM segment INDEXED BY segment_by_home"
            " WHERE tier = ? AND camera = camera.key AND deleting = 0) AS head FROM camera",
            (key,),
        )
        return [(CameraId(camera_id), head) for camera_id, head in rows if head is not None]

    @typed
    def in_tier(self, tier: str, camera_id: CameraId, since_ns: int, limit: int) -> list[Segment]:
        """Segments of a camera in `tier` that begin from a time on, oldest first."""
        return self._in_tier(tier, camera_id, since_ns, limit)

    @typed
    def moved(self, segment_ids: Iterable[UUID], tier: str) -> Collection[UUID]:
        """Their files are in `tier` now; what they were copied from is noted to be removed. Gives those that moved.

        Segments that are gone, or are being deleted, stay as they are.
        """
        done: set[UUID] = set()
        with self._transaction():
            key = self._tier_key(tier)
            for segment_id in segment_ids:
                row = self._db.execute(
                    "SELECT camera, start_ns, tier, size_bytes FROM segment WHERE id = ? AND deleting = 0",
                    (segment_id.bytes,),
                ).fetchone()
                if row is None or row[2] == key:
                    continue
                camera, start_ns, before, size_bytes = row
                self._note_removals([segment_id])
                self._db.execute(
                    "UPDATE segment SET tier = ? WHERE camera = ? AND start_ns = ? AND id = ?",
                    (key, camera, start_ns, segment_id.bytes),
                )
                self._db.execute("DELETE FROM removal WHERE tier = ? AND id = ?", (key, segment_id.bytes))
                self._hold(camera, before, -size_bytes)
                self._hold(camera, key, size_bytes)
                done.add(segment_id)
        return done

    @typed
    def removals(self, limit: int, tier: str | None = None) -> list[Removal]:
        """Copies that are to be deleted; of those in `tier` alone where it is told, else those on the volume first."""
        where, key = ("", ()) if tier is None else (" WHERE tier = ?", (self._known_tier(tier),))
        rows = self._db.execute(f"{_REMOVALS}{where} ORDER BY tier LIMIT ?", (*key, limit)).fetchall()
        return [
            Removal(
                Segment(
                    id=UUID(bytes=id_),
                    camera_id=CameraId(camera_id),
                    stream=stream,
                    path=self._path(camera_id, start_ns, stream, name),
                    start_ns=start_ns,
                    end_ns=end_ns,
                    size_bytes=size_bytes,
                    closed=True,
                    video=None,
                    audio=None,
                    tier=self._tier_name(tier),
                ),
                self._tier_name(tier),
            )
            for tier, id_, camera_id, start_ns, end_ns, size_bytes, stream, name in rows
        ]

    @typed
    def removed(self, removals: Sequence[Removal]) -> None:
        """These copies are gone."""
        with self._transaction():
            self._db.executemany(
                "DELETE FROM removal WHERE tier = ? AND id = ?",
                [(self._known_tier(removal.tier), removal.segment.id.bytes) for removal in removals],
            )

    @typed
    def left_here(self, segment_ids: Iterable[UUID]) -> Collection[UUID]:
        """Those of which a copy on the volume is to be deleted."""
        ids = [segment_id.bytes for segment_id in segment_ids]
        known = "SELECT 1 FROM removal WHERE tier = 0 AND id = ?"
        return frozenset(UUID(bytes=id_) for id_ in ids if self._db.execute(known, (id_,)).fetchone())

    @typed
    def other_names(self, segment: Segment) -> set[str]:
        """Names of other recordings of a camera that begin in the same millisecond, and of copies of such that are to go.

        Wherever they are: one that comes later, after the clock was set back, must not get the place of another.
        """
        first_ns = segment.start_ns // _MS_NS * _MS_NS
        among = "WHERE camera = ?1 AND start_ns >= ?2 AND start_ns < ?3 AND id != ?4"
        rows = self._db.execute(
            f"{_NAMES} segment {among} UNION ALL {_NAMES} removal {among}",
            (self._known_camera(segment.camera_id), first_ns, first_ns + _MS_NS, segment.id.bytes),
        )
        return {name or recording_name(segment.camera_id, start, stream) for name, start, stream in rows}

    @typed
    def adopted(self, tier: str) -> bool:
        """Whether what lay in a tier before this catalog was made has rows."""
        row = self._db.execute("SELECT adopted FROM tier WHERE name = ?", (tier,)).fetchone()
        return row is not None and bool(row[0])

    @typed
    def mark_adopted(self, tier: str) -> None:
        with self._transaction():
            self._db.execute("UPDATE tier SET adopted = 1 WHERE key = ?", (self._tier_key(tier),))

    @typed
    def tier_bytes(self) -> Mapping[str, int]:
        """Bytes of segments by where they are, those being deleted included; "" is the volume itself."""
        rows = self._db.execute("SELECT tier, sum(bytes) FROM held GROUP BY tier").fetchall()
        return {ON_VOLUME: 0} | {self._tier_name(tier): int(size) for tier, size in rows}

    @typed
    def camera_bytes(self, camera_id: CameraId) -> int:
        """Bytes of a camera's segments, wherever they are."""
        row = self._db.execute(
            "SELECT total(bytes) FROM held WHERE camera = ?", (self._known_camera(camera_id),)
        ).fetchone()
        return int(row[0])

    @typed
    def range_bytes(self, camera_id: CameraId, spans: Iterable[tuple[int, int]]) -> int:
        """Bytes of a camera's segments that share time with spans, which are in order and apart."""
        total, counted_to = 0, _EVER_NS
        for start_ns, end_ns in spans:
            rows = self._db.execute(
                "SELECT total(size_bytes), max(start_ns) FROM segment WHERE camera = ?1 AND start_ns < ?3"
                " AND start_ns > max(?4, ?2 - (SELECT longest_ns FROM camera WHERE key = ?1)) AND end_ns > ?2"
                " AND deleting = 0",
                (self._known_camera(camera_id), start_ns, end_ns, counted_to),
            ).fetchone()
            total += int(rows[0])
            counted_to = rows[1] if rows[1] is not None else counted_to
        return total

    # -- private --------------------------------------------------------------------------------------

    def _oldest_in(self, tier: str, before_ns: int = _NEVER_NS) -> Iterator[Segment]:
        """Of all cameras that have one which began before a time."""
        heads = self.heads(tier)
        walks = [
            self._walk(tier, camera_id, start_ns) for camera_id, start_ns in heads if start_ns < before_ns
        ]
        return merge(*walks, key=lambda segment: segment.start_ns)

    def _walk(self, tier: str, camera_id: CameraId, since_ns: int) -> Iterator[Segment]:
        most = limit = 2  # few of most cameras are needed
        seen: set[UUID] = set()
        while segments := self._in_tier(tier, camera_id, since_ns, limit):
            fresh = [segment for segment in segments if segment.id not in seen]
            yield from fresh
            if len(segments) < limit:
                return
            since_ns = segments[-1].start_ns
            seen = {segment.id for segment in segments if segment.start_ns == since_ns}
            most = min(2 * most, _WALK)
            limit = most + len(seen)

    def _in_tier(self, tier: str, camera_id: CameraId, since_ns: int, limit: int) -> list[Segment]:
        return self._select(
            "WHERE tier = ? AND segment.camera = ? AND start_ns >= ? AND deleting = 0 ORDER BY start_ns LIMIT ?",
            (self._known_tier(tier), self._known_camera(camera_id), since_ns, limit),
            index="segment_by_home",
        )

    def _note_removals(self, segment_ids: Iterable[UUID], *, of_volume: bool = True) -> None:
        """Note where segments are now as copies to be removed; those on the volume only where `of_volume`."""
        self._db.executemany(
            "INSERT OR REPLACE INTO removal SELECT tier, id, camera, start_ns, end_ns, size_bytes, stream, name"
            " FROM segment WHERE id = ? AND tier >= ?",
            [(segment_id.bytes, 0 if of_volume else 1) for segment_id in segment_ids],
        )

    def _hold(self, camera: int, tier: int, size_bytes: int) -> None:
        self._db.execute(
            "INSERT INTO held VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes",
            (camera, tier, size_bytes),
        )

    def _tier_key(self, tier: str) -> int:
        """Of a tier that gets a key when it has none; within a transaction."""
        if tier == ON_VOLUME:
            return 0
        self._db.execute("INSERT INTO tier (name) VALUES (?) ON CONFLICT DO NOTHING", (tier,))
        return self._known_tier(tier)

    def _known_tier(self, tier: str) -> int:
        """The key of a tier; one that nothing has when it is not in the catalog."""
        if tier == ON_VOLUME:
            return 0
        row = self._db.execute("SELECT key FROM tier WHERE name = ?", (tier,)).fetchone()
        return int(row[0]) if row is not None else -1
