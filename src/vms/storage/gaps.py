"""What is missing from recordings, and why: kept so that a timeline can say it.

A camera has at most one gap that lasts. Losses inside running recordings are joined, so that a camera that loses
packets all day leaves some sixty rows an hour at most.

Belongs here: the gaps of a camera as they come about, and getting them to a keeper. Does not: noticing them
(recorder, vms.ingest), the rows (catalog).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.media import Gap, GapReason
from vms.storage.errors import StorageError
from vms.storage.keeping import Keeping

JOIN_NS = 2 * NS  # losses this near to each other are one
JOIN_FLOOD_NS = 120 * NS  # …and this near once there were many in the hour
MANY_AN_HOUR = 30
COMMIT_INTERVAL_S = 1.0
PENDING_LIMIT = 100_000  # gaps waiting for a keeper that works; oldest are given up
BATCH = 5_000
INTENDED = (GapReason.NO_EVENT, GapReason.NOT_SCHEDULED)  # nothing was to be recorded
RESTARTED = "the system was started anew; what happened before that is not known for all of this time"


class GapLog:
    """The gaps of one camera, in the order in which they come about; `put` gets each, again when it changes."""

    def __init__(self, put: Callable[[Gap], None]) -> None:
        self._put = put
        self._lasting: Gap | None = None
        self._since_ns: int | None = None  # when the first thing came about that this log was told of
        self._loss: Gap | None = None
        self._losses = 0
        self._hour = 0
        self._rows_in_hour = 0

    @property
    def lasting(self) -> Gap | None:
        return self._lasting

    def precede(self, gap: Gap, now_ns: int) -> None:
        """Learn of the gap that lasted when this log began: it ends with the first thing that came about.

        One that was intended ends now at the latest.
        """
        if self._since_ns is None and gap.reason not in INTENDED:
            self._lasting = gap
            self._put(gap)
        elif self._since_ns is None or gap.reason in INTENDED:
            # Whether it lasted all the time is not known: nothing was recorded while the system was stopped, either
            self._put(Gap(gap.start_ns, max(self._since_ns or now_ns, gap.start_ns), gap.reason, RESTARTED))
        else:
            self._put(Gap(gap.start_ns, max(self._since_ns, gap.start_ns), gap.reason, gap.detail))

    def open(self, start_ns: int, reason: GapReason, detail: str = "") -> None:
        """Nothing is recorded from now on. Ends a lasting gap of another reason; one of this reason goes on."""
        before = self._lasting
        if before is not None:
            if before.reason is reason:
                return
            start_ns = max(start_ns, before.start_ns)
            self.close(start_ns)
        self._since_ns = self._since_ns or start_ns
        self._lasting = Gap(start_ns, None, reason, detail)
        self._put(self._lasting)

    def close(self, end_ns: int) -> None:
        """Footage goes on from here."""
        gap, self._lasting = self._lasting, None
        self._since_ns = self._since_ns or end_ns
        if gap is None:
            return
        detail = gap.detail
        if end_ns < gap.start_ns:
            detail = f"{detail}; " if detail else ""
            detail += f"the clock went back {(gap.start_ns - end_ns) / NS:.3f} s"
        self._put(Gap(gap.start_ns, max(end_ns, gap.start_ns), gap.reason, detail))

    def loss(self, gap: Gap) -> None:
        """Something is missing inside footage that goes on."""
        end_ns = max(gap.end_ns or 0, gap.start_ns)
        last = self._loss
        if last is not None and last.reason is gap.reason and self._near(last, gap.start_ns):
            assert last.end_ns is not None
            self._losses += 1
            detail = f"{self._losses} losses in this time; the last: {gap.detail or 'not known'}"
            self._loss = Gap(last.start_ns, max(last.end_ns, end_ns), gap.reason, detail)
        else:
            self._losses = 1
            self._rows_in_hour += 1
            self._loss = Gap(gap.start_ns, end_ns, gap.reason, gap.detail)
        self._put(self._loss)

    def _near(self, last: Gap, start_ns: int) -> bool:
        hour = start_ns // (3600 * NS)
        if hour != self._hour:
            self._hour, self._rows_in_hour = hour, 0
        join_ns = JOIN_NS if self._rows_in_hour < MANY_AN_HOUR else JOIN_FLOOD_NS
        assert last.end_ns is not None
        return last.start_ns <= start_ns <= last.end_ns + join_ns


class GapStore:
    """Gets gaps to the first keeper that takes them, at most once a second; until then they are in memory.

    Counters: abandoned, for want of a keeper.
    """

    def __init__(self, keepers: Sequence[Keeping]) -> None:
        self.abandoned = 0
        self._keepers = keepers
        self._pending: dict[tuple[CameraId, int, GapReason], Gap] = {}
        self._changed = asyncio.Event()

    def put(self, camera_id: CameraId, gap: Gap) -> None:
        """Keep a gap; one of the same camera, start and reason is replaced."""
        self._pending[camera_id, gap.start_ns, gap.reason] = gap
        if len(self._pending) > PENDING_LIMIT:
            self._pending.pop(next(iter(self._pending)))
            self.abandoned += 1
        self._changed.set()

    def pending(self, camera_id: CameraId) -> list[Gap]:
        """Gaps of a camera that no keeper took yet."""
        return [gap for (camera, _, _), gap in self._pending.items() if camera == camera_id]

    async def run(self) -> None:
        """Hand over what changed, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.commit():
                self._changed.set()
            await asyncio.sleep(COMMIT_INTERVAL_S)

    async def commit(self) -> bool:
        """Hand what is pending to the first keeper that takes it; whether all of it was taken."""
        while batch := list(islice(self._pending.items(), BATCH)):
            rows = [(camera_id, gap) for (camera_id, _, _), gap in batch]
            if not await self._hand_over(rows):
                return False
            for key, gap in batch:
                if self._pending.get(key) is gap:
                    del self._pending[key]
            if len(batch) < BATCH:
                break  # what changed meanwhile waits for the next time
        return True

    async def _hand_over(self, rows: Sequence[tuple[CameraId, Gap]]) -> bool:
        for keeper in self._keepers:
            try:
                await keeper.put_gaps(rows)
            except StorageError:
                continue
            return True
        return False


def merge_gaps(sources: Iterable[Iterable[Gap]], start_ns: int, end_ns: int) -> list[Gap]:
    """What several catalogs know of the gaps of one camera that share time with the half-open range, by start.

    Of two that tell of one gap the first counts, and one with an end before one without. A gap that began on a volume which then failed lasts there for ever: its end is elsewhere.
    """
    found: dict[tuple[int, GapReason], Gap] = {}
    for gaps in sources:
        for gap in gaps:
            known = found.get((gap.start_ns, gap.reason))
            if known is None or known.end_ns is None:
                found[gap.start_ns, gap.reason] = gap
    shared = (gap for gap in found.values() if _shares(gap, start_ns, end_ns))
    return sorted(shared, key=lambda gap: gap.start_ns)


def _shares(gap: Gap, start_ns: int, end_ns: int) -> bool:
    if gap.end_ns == gap.start_ns:
        if gap.reason in INTENDED:
            return False  # footage went on: nothing is missing
        return start_ns <= gap.start_ns < end_ns
    return gap.start_ns < end_ns and (gap.end_ns is None or gap.end_ns > start_ns)
