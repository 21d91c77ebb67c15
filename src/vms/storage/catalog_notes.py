"""What a catalog remembers of cameras besides their segments: gaps, event footage, how long footage is kept.

Belongs here: these rows. Does not: segments (catalog), what is decided by rules (retention).
"""

from collections.abc import Iterable, Mapping

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.media import Gap, GapReason
from vms.storage.catalog_base import CatalogBase, typed
from vms.storage.keeping import EventRange
from vms.storage.retention_rule import RetentionRule

_OPEN_END_NS = (1 << 63) - 1  # end of a gap that lasts; sorts after every time
_LONGEST_EVENT_NS = 3600 * NS
"""Longer event ranges are kept as several, so that those which reach into a range begin no earlier before it."""
_EVENT_OF = (
    "SELECT 1 FROM event_range AS event WHERE event.camera = segment.camera"
    " AND event.start_ns < segment.end_ns AND event.end_ns > segment.start_ns"
)
AND_NO_EVENT = (
    f" AND NOT EXISTS ({_EVENT_OF} AND event.start_ns > segment.start_ns - {_LONGEST_EVENT_NS + 1})"
)
"""Of a condition of segments: those that share time with no event footage."""


class CatalogNotes(CatalogBase):
    """A part of `Catalog`. Every method raises CatalogUnusable."""

    # -- gaps -----------------------------------------------------------------------------------------

    @typed
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

    @typed
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

    @typed
    def open_gaps(self, camera_id: CameraId) -> list[Gap]:
        """Gaps of a camera that lasted when they were last heard of, in order."""
        rows = self._db.execute(
            "SELECT start_ns, reason, detail FROM gap JOIN camera ON camera.key = gap.camera"
            " WHERE camera.id = ? AND end_ns = ? ORDER BY start_ns",
            (camera_id, _OPEN_END_NS),
        )
        return [Gap(start, None, _reason(reason), text) for start, reason, text in rows]

    # -- event footage --------------------------------------------------------------------------------

    @typed
    def put_event_ranges(self, ranges: Iterable[EventRange]) -> None:
        """Commit event footage; a range of the same camera, start and kind becomes longer, never shorter."""
        with self._transaction():
            for each in ranges:
                key = self._camera_key(each.camera_id)
                rows = [
                    (key, start_ns, each.kind, min(start_ns + _LONGEST_EVENT_NS, each.end_ns))
                    for start_ns in range(each.start_ns, each.end_ns, _LONGEST_EVENT_NS)
                ]
                self._db.executemany(
                    "INSERT INTO event_range (camera, start_ns, kind, end_ns) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET end_ns = max(end_ns, excluded.end_ns)",
                    rows,
                )

    @typed
    def event_ranges(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[EventRange]:
        """Event footage of a camera that shares time with the half-open range, by start."""
        rows = self._db.execute(
            "SELECT start_ns, end_ns, kind FROM event_range WHERE camera = ? AND start_ns < ? AND start_ns > ?"
            " AND end_ns > ? ORDER BY start_ns, kind",
            (self._known_camera(camera_id), end_ns, start_ns - _LONGEST_EVENT_NS - 1, start_ns),
        )
        found: list[EventRange] = []
        newest: dict[str, int] = {}  # where in `found`, by kind
        for start, end, kind in rows:
            at = newest.get(kind)
            if at is not None and found[at].end_ns == start:  # a piece of a long one
                found[at] = EventRange(camera_id, found[at].start_ns, end, kind)
            else:
                newest[kind] = len(found)
                found.append(EventRange(camera_id, start, end, kind))
        return found

    @typed
    def has_event(self, camera_id: CameraId, start_ns: int, end_ns: int) -> bool:
        """Whether there is event footage of a camera in the half-open range."""
        row = self._db.execute(
            "SELECT 1 FROM event_range WHERE camera = ? AND start_ns < ? AND start_ns > ? AND end_ns > ? LIMIT 1",
            (self._known_camera(camera_id), end_ns, start_ns - _LONGEST_EVENT_NS - 1, start_ns),
        ).fetchone()
        return row is not None

    @typed
    def remove_notes(self, camera_id: CameraId, before_ns: int) -> None:
        """Drop the gaps and event ranges of a camera that ended before a time."""
        key = self._known_camera(camera_id)
        stale = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM gap WHERE camera = ?1 AND end_ns < ?2)"
            " OR EXISTS (SELECT 1 FROM event_range WHERE camera = ?1 AND start_ns < ?2 AND end_ns < ?2)",
            (key, before_ns),
        ).fetchone()[0]
        if stale:
            with self._transaction():
                self._db.execute("DELETE FROM gap WHERE camera = ? AND end_ns < ?", (key, before_ns))
                self._db.execute(
                    "DELETE FROM event_range WHERE camera = ?1 AND start_ns < ?2 AND end_ns < ?2",
                    (key, before_ns),
                )

    # -- rules ----------------------------------------------------------------------------------------

    @typed
    def put_retentions(self, rules: Mapping[CameraId, RetentionRule]) -> bool:
        """Remember how cameras' footage is kept, also when they are no longer configured; whether that is news."""
        known = self.retentions()
        changed = {key: rule for key, rule in rules.items() if known.get(key) != rule}
        if not changed:
            return False
        with self._transaction():
            for camera_id, rule in changed.items():
                self._db.execute(
                    "UPDATE camera SET age_ns = ?, event_age_ns = ?, minimum_ns = ?, maximum_ns = ?, most_bytes = ?"
                    " WHERE key = ?",
                    (
                        rule.age_ns,
                        rule.event_age_ns,
                        rule.minimum_ns,
                        rule.maximum_ns,
                        rule.size_bytes,
                        self._camera_key(camera_id),
                    ),
                )
        return True

    @typed
    def retentions(self) -> Mapping[CameraId, RetentionRule | None]:
        """Every camera of the catalog, and how its footage is kept; None: not known."""
        rows = self._db.execute(
            "SELECT id, age_ns, event_age_ns, minimum_ns, maximum_ns, most_bytes FROM camera"
        ).fetchall()
        return {
            CameraId(camera_id): None
            if age_ns is None
            else RetentionRule(age_ns, event_age_ns or age_ns, minimum_ns or 0, maximum_ns, size_bytes)
            for camera_id, age_ns, event_age_ns, minimum_ns, maximum_ns, size_bytes in rows
        }


def _reason(text: str) -> GapReason:
    try:
        return GapReason(text)
    except ValueError:  # written by a newer version
        return GapReason.UNKNOWN
