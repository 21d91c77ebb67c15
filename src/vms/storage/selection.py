"""Which recordings may be deleted, and which of them go first.

Everything here runs in the catalog's thread. What evidence locks cover is never chosen; it is stepped over in one go, so
that a year of locked footage costs a query and not a year of rows.

Belongs here: choosing. Does not: how much goes (retention), deleting (deletion).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace

from vms.common.ids import CameraId
from vms.storage.catalog import Catalog
from vms.storage.locks import LockedTimes
from vms.storage.retention_rule import RetentionRule
from vms.storage.segment import Segment

BATCH = 64
_EVER_NS = -(1 << 62)
_NEVER_NS = 1 << 62

Rules = Mapping[CameraId, RetentionRule | None]


@dataclass(slots=True)
class Swept:
    """Up to where footage was looked at, so that a look costs what is new and not what is kept.

    final: past the age at which all footage goes. plain: past the age at which footage without an event goes.
    """

    final: dict[CameraId, int] = field(default_factory=dict)
    plain: dict[CameraId, int] = field(default_factory=dict)

    def forget(self) -> None:
        """Rules, locks or rows of long ago changed."""
        self.final.clear()
        self.plain.clear()


class Selection:
    """Chooses in a catalog, among what is not locked, at a time (wall clock). All methods raise CatalogUnusable.

    Each gives at most BATCH recordings: ask again once they are gone, until there are none.
    """

    def __init__(self, catalog: Catalog, locked: LockedTimes, now_ns: int) -> None:
        self._catalog = catalog
        self._locked = locked
        self._now_ns = now_ns

    def expired(self, camera: CameraId, rule: RetentionRule, swept: Swept) -> list[Segment]:
        """Recordings of a camera that are too old."""
        most_ns = rule.maximum_ns if rule.maximum_ns is not None else _NEVER_NS
        age_ns = min(rule.age_ns, most_ns)
        event_age_ns = min(max(rule.age_ns, rule.event_age_ns), most_ns)
        found = self._older(camera, self._now_ns - event_age_ns, swept.final, events_stay=False)
        if not found and age_ns < event_age_ns:
            found = self._older(camera, self._now_ns - age_ns, swept.plain, events_stay=True)
        return found

    def of_camera(self, camera: CameraId, rule: RetentionRule, excess_bytes: int) -> list[Segment]:
        """The oldest recordings of a camera, wherever they are, of about `excess_bytes`."""
        chosen: list[Segment] = []
        since_ns, before_ns = _EVER_NS, self._room_before(rule)
        while len(chosen) < BATCH and excess_bytes > 0:
            rows = self._catalog.expired(camera, before_ns, BATCH, since_ns)
            if not rows:
                break
            free, since_ns = self._step(rows)
            for segment in free:
                if excess_bytes <= 0 or len(chosen) == BATCH:
                    break
                chosen.append(segment)
                excess_bytes -= segment.size_bytes
        return chosen

    def for_room(self, tier: str, rules: Rules, excess_bytes: int) -> list[Segment]:
        """The oldest recordings over all cameras in a tier, of about `excess_bytes`."""
        # By the start of a camera's oldest; what of it may go is asked when its turn comes.
        walks: list[tuple[int, int, Segment | None, Iterator[Segment]]] = [
            (head_ns, number, None, self._free_in_tier(tier, camera, head_ns, rules.get(camera)))
            for number, (camera, head_ns) in enumerate(self._catalog.heads(tier))
        ]
        heapify(walks)
        chosen: list[Segment] = []
        while walks and excess_bytes > 0 and len(chosen) < BATCH:
            _, number, segment, walk = walks[0]
            if segment is not None:
                chosen.append(segment)
                excess_bytes -= segment.size_bytes
            following = next(walk, None)
            if following is None:
                heappop(walks)
            else:
                heapreplace(walks, (following.start_ns, number, following, walk))
        return chosen

    def _older(
        self, camera: CameraId, before_ns: int, swept: dict[CameraId, int], *, events_stay: bool
    ) -> list[Segment]:
        since_ns = swept.get(camera, _EVER_NS)
        while rows := self._catalog.expired(camera, before_ns, BATCH, since_ns, with_events=not events_stay):
            free, following_ns = self._step(rows)
            if free:
                return free  # the same rows are looked at once more when these are gone
            since_ns = following_ns
        swept[camera] = max(since_ns, self._catalog.expired_until(camera, before_ns))
        return []

    def _free_in_tier(
        self, tier: str, camera: CameraId, since_ns: int, rule: RetentionRule | None
    ) -> Iterator[Segment]:
        before_ns, limit = self._room_before(rule), 2  # few of most cameras are needed
        while rows := self._catalog.in_tier(tier, camera, since_ns, limit):
            free, since_ns = self._step(rows)
            limit = min(2 * limit, BATCH)
            for segment in free:
                if segment.end_ns > before_ns:
                    return  # those behind it are younger
                yield segment
            if rows[-1].end_ns > before_ns:
                return

    def _step(self, rows: list[Segment]) -> tuple[list[Segment], int]:
        """Those of a camera's rows, in order, that no lock covers, and from where to go on behind all of them."""
        free: list[Segment] = []
        behind_ns = rows[-1].start_ns + 1
        for row in rows:
            if not self._locked.protects(row):
                free.append(row)
                continue
            until_ns = self._locked.until(row.camera_id, row.start_ns, row.start_ns + 1)
            if until_ns is not None:
                behind_ns = max(behind_ns, until_ns)  # whatever begins before that is locked as well
        return free, behind_ns

    def _room_before(self, rule: RetentionRule | None) -> int:
        """What ended before it may go for room; without a minimum all may, whatever the clock says."""
        return self._now_ns - rule.minimum_ns if rule is not None and rule.minimum_ns else _NEVER_NS
