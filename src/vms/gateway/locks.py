"""Evidence locks as rows of the database: the truth of what must not be deleted, and the record of what was let go.

Every change raises the revision of the site's locks. It never falls below the time in milliseconds at which it was
raised, so a lock that is made after an older database was restored is newer than everything that keepers know.

Belongs here: the rules of locks, transactions, revisions. Does not: telling keepers (lock_distribution), messages
(evidence_messages).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from vms.common.clock import NS, Clock, rfc3339
from vms.common.errors import Conflict, InvalidInput, NotFound
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId, camera_id, uuid7
from vms.gateway.database import Database
from vms.gateway.tables import LockRow, LocksRow

LONGEST_NS = 31 * 86_400 * NS
FARTHEST_AHEAD_NS = 86_400 * NS
WORDS_MAX = 1000  # characters of a reason
NAME_MAX = 200
HOLDING_MAX = 2_500
"""So many locks may hold at one time: every keeper is told all of them in one message."""
RELEASED_MAX = 200
"""So many released ones are told with them."""


@dataclass(frozen=True, slots=True)
class StoredLock:
    """revision: that at which it was made or, once it is released, let go."""

    lock: EvidenceLock
    revision: int


@dataclass(frozen=True, slots=True)
class LockSet:
    """What keepers are told. locks: all that hold, and such as were released lately, by name.

    revision: at which it is so; 0 when there never was a lock. opening: that at which the database was opened. It is
    below what a keeper knows where the database is an older one that was restored.
    """

    locks: Sequence[EvidenceLock]
    revision: int
    opening: int


@dataclass(frozen=True, slots=True)
class LockQuery:
    """camera_id: "" for all. start_ns, end_ns: those that share time with the range. before: (created_ns, id)."""

    limit: int
    camera_id: str = ""
    include_released: bool = False
    start_ns: int | None = None
    end_ns: int | None = None
    before: tuple[int, str] | None = None


class LockStore:
    """The locks of one site. All methods raise DatabaseUnusable."""

    def __init__(self, database: Database, clock: Clock, site: str) -> None:
        self._database = database
        self._clock = clock
        self._site = site

    async def create(
        self,
        camera: str,
        start_ns: int,
        end_ns: int,
        *,
        reason: str,
        created_by: str,
        lock_id: UUID | None = None,
    ) -> StoredLock:
        """Keep a new lock. lock_id: chosen by whoever asks; one that is there already is given as it is.

        Raises InvalidInput, and Conflict when too many hold.
        """
        now_ns = self._clock.wall_ns()
        lock = EvidenceLock(
            id=lock_id or uuid7(now_ns),
            camera_id=_camera(camera),
            start_ns=start_ns,
            end_ns=end_ns,
            reason=_words("reason", reason, WORDS_MAX),
            created_by=_words("created_by", created_by, NAME_MAX),
            created_ns=now_ns,
        )
        _check_range(lock, now_ns)
        async with self._database.transaction() as session:
            present = await session.get(LockRow, (self._site, str(lock.id)))
            if present is not None:
                return _stored(present)
            holding = await session.scalar(
                select(func.count())
                .select_from(LockRow)
                .where(LockRow.site == self._site, LockRow.released_ns.is_(None))
            )
            if holding is not None and holding >= HOLDING_MAX:
                raise Conflict(
                    f"{holding} evidence locks hold already, and no more may; release some, or lock longer ranges"
                )
            revision = await self._next_revision(session)
            session.add(self._row(lock, revision))
        return StoredLock(lock, revision)

    async def release(self, lock_id: str, *, released_by: str, reason: str) -> StoredLock:
        """Let footage go; the lock stays as a record. Doing it again in the same words changes nothing.

        Raises NotFound, Conflict when it was released in other words, InvalidInput.
        """
        by, why = _words("released_by", released_by, NAME_MAX), _words("reason", reason, WORDS_MAX)
        async with self._database.transaction() as session:
            row = await self._get(session, lock_id)
            if row.released_ns is not None:
                if (row.released_by, row.release_reason) == (by, why):
                    return _stored(row)
                raise Conflict(f"the lock was released already, at {rfc3339(row.released_ns)}")
            row.released_ns = self._clock.wall_ns()
            row.released_by, row.release_reason = by, why
            row.revision = await self._next_revision(session)
            return _stored(row)

    async def get(self, lock_id: str) -> StoredLock:
        """Raises NotFound."""
        async with self._database.transaction() as session:
            return _stored(await self._get(session, lock_id))

    async def list(self, query: LockQuery) -> Sequence[StoredLock]:
        """Up to `limit` locks, the newest first."""
        terms = [LockRow.site == self._site]
        if query.camera_id:
            terms.append(LockRow.camera == query.camera_id)
        if not query.include_released:
            terms.append(LockRow.released_ns.is_(None))
        if query.start_ns is not None:
            terms.append(LockRow.end_ns > query.start_ns)
        if query.end_ns is not None:
            terms.append(LockRow.start_ns < query.end_ns)
        if query.before is not None:
            terms.append(tuple_(LockRow.created_ns, LockRow.id) < query.before)
        newest_first = LockRow.created_ns.desc(), LockRow.id.desc()
        async with self._database.transaction() as session:
            rows = await session.scalars(
                select(LockRow).where(*terms).order_by(*newest_first).limit(query.limit)
            )
            return [_stored(row) for row in rows]

    async def revision(self) -> int:
        """Of the last change; 0 when there never was any."""
        async with self._database.transaction() as session:
            return await self._revision(session)

    async def to_tell(self, opening: int) -> LockSet:
        """All locks that hold, and those released since revision `opening`, the oldest first."""
        order = LockRow.created_ns, LockRow.id
        mine = LockRow.site == self._site
        async with self._database.transaction() as session:
            holding = await session.scalars(
                select(LockRow).where(mine, LockRow.released_ns.is_(None)).order_by(*order)
            )
            released = await session.scalars(
                select(LockRow)
                .where(mine, LockRow.released_ns.is_not(None), LockRow.revision > opening)
                .order_by(LockRow.revision.desc())
                .limit(RELEASED_MAX)
            )
            locks = [_stored(row).lock for row in (*holding, *released)]
            return LockSet(locks, await self._revision(session), opening)

    async def _revision(self, session: AsyncSession) -> int:
        known = await session.get(LocksRow, self._site)
        return known.revision if known is not None else 0

    async def _get(self, session: AsyncSession, lock_id: str) -> LockRow:
        row = await session.get(LockRow, (self._site, lock_id))
        if row is None:
            raise NotFound("no such evidence lock; GET /api/v1/locks?include_released=true lists all")
        return row

    async def _next_revision(self, session: AsyncSession) -> int:
        row = await session.get(LocksRow, self._site)
        if row is None:
            row = LocksRow(site=self._site, revision=0)
            session.add(row)
        row.revision = max(row.revision + 1, self._clock.wall_ns() // 1_000_000)
        await session.flush()
        return row.revision

    def _row(self, lock: EvidenceLock, revision: int) -> LockRow:
        return LockRow(
            site=self._site,
            id=str(lock.id),
            camera=lock.camera_id,
            start_ns=lock.start_ns,
            end_ns=lock.end_ns,
            reason=lock.reason,
            created_by=lock.created_by,
            created_ns=lock.created_ns,
            released_ns=None,
            released_by="",
            release_reason="",
            revision=revision,
        )


def _stored(row: LockRow) -> StoredLock:
    lock = EvidenceLock(
        id=UUID(row.id),
        camera_id=CameraId(row.camera),
        start_ns=row.start_ns,
        end_ns=row.end_ns,
        reason=row.reason,
        created_by=row.created_by,
        created_ns=row.created_ns,
        released_ns=row.released_ns,
        released_by=row.released_by,
        release_reason=row.release_reason,
    )
    return StoredLock(lock, row.revision)


def _check_range(lock: EvidenceLock, now_ns: int) -> None:
    if not 0 <= lock.start_ns < lock.end_ns:
        raise InvalidInput("start: must be before end")
    if lock.end_ns - lock.start_ns > LONGEST_NS:
        raise InvalidInput("end: is more than 31 days after start; lock a longer time in parts")
    if lock.end_ns > now_ns + FARTHEST_AHEAD_NS:
        raise InvalidInput("end: is more than 24 hours ahead; a lock may reach no further into the future")


def _words(name: str, text: str, longest: int) -> str:
    words = text.strip()
    if not words:
        raise InvalidInput(f"{name}: is missing; say it in a few words")
    if len(words) > longest:
        raise InvalidInput(f"{name}: has {len(words)} characters; {longest} are the most")
    return words


def _camera(text: str) -> CameraId:
    try:
        return camera_id(text)
    except ValueError as error:
        raise InvalidInput(f"camera_id: {error}") from error
