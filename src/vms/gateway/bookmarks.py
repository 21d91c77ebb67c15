"""Bookmarks as rows of the database.

Belongs here: the rules of bookmarks, finding them. Does not: messages (evidence_messages).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from vms.common.bookmark import Bookmark
from vms.common.clock import NS, Clock
from vms.common.errors import Conflict, InvalidInput, NotFound
from vms.common.ids import CameraId, camera_id, uuid7
from vms.gateway.database import Database
from vms.gateway.tables import BookmarkRow

LONGEST_NS = 31 * 86_400 * NS
FARTHEST_AHEAD_NS = 86_400 * NS
TITLE_MAX, NOTE_MAX, NAME_MAX = 200, 4000, 200  # characters
COUNT_MAX = 1_000_000
_LIKE_SPECIAL = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


@dataclass(frozen=True, slots=True)
class BookmarkQuery:
    """camera_id, text: "" for all. start_ns, end_ns: those that share time with the range. before: (start_ns, id)."""

    limit: int
    camera_id: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    text: str = ""
    before: tuple[int, str] | None = None


class BookmarkStore:
    """The bookmarks of one site. All methods raise DatabaseUnusable."""

    def __init__(self, database: Database, clock: Clock, site: str) -> None:
        self._database = database
        self._clock = clock
        self._site = site

    async def create(
        self, camera: str, start_ns: int, end_ns: int, *, title: str, note: str, created_by: str
    ) -> Bookmark:
        """Keep a new bookmark. Raises InvalidInput, and Conflict when there are too many."""
        now_ns = self._clock.wall_ns()
        try:
            known = camera_id(camera)
        except ValueError as error:
            raise InvalidInput(f"camera_id: {error}") from error
        bookmark = Bookmark(
            uuid7(now_ns),
            known,
            start_ns,
            end_ns,
            title.strip(),
            note.strip(),
            created_by.strip(),
            now_ns,
            now_ns,
        )
        _check(bookmark, now_ns)
        async with self._database.transaction() as session:
            last = select(BookmarkRow.id).where(BookmarkRow.site == self._site).offset(COUNT_MAX - 1).limit(1)
            if await session.scalar(last) is not None:
                raise Conflict(f"there are {COUNT_MAX} bookmarks, and no more may be; delete some")
            session.add(self._row(bookmark))
        return bookmark

    async def change(self, bookmark_id: str, changes: Mapping[str, int | str]) -> Bookmark:
        """Change start_ns, end_ns, title, note. Raises NotFound, InvalidInput."""
        now_ns = self._clock.wall_ns()
        given = {name: value.strip() if isinstance(value, str) else value for name, value in changes.items()}
        async with self._database.transaction() as session:
            present = _bookmark(await self._get(session, bookmark_id))
            changed = replace(present, **given, updated_ns=now_ns)  # type: ignore[arg-type]
            _check(changed, now_ns)
            await session.merge(self._row(changed))
        return changed

    async def delete(self, bookmark_id: str) -> None:
        """Raises NotFound."""
        async with self._database.transaction() as session:
            await self._get(session, bookmark_id)
            await session.execute(
                delete(BookmarkRow).where(BookmarkRow.site == self._site, BookmarkRow.id == bookmark_id)
            )

    async def get(self, bookmark_id: str) -> Bookmark:
        """Raises NotFound."""
        async with self._database.transaction() as session:
            return _bookmark(await self._get(session, bookmark_id))

    async def list(self, query: BookmarkQuery) -> Sequence[Bookmark]:
        """Up to `limit` bookmarks, those of the latest footage first."""
        terms = [BookmarkRow.site == self._site]
        if query.camera_id:
            terms.append(BookmarkRow.camera == query.camera_id)
        if query.start_ns is not None:
            # A moment at the start of the range is in it, a range that ends there is not
            terms.append((BookmarkRow.end_ns > query.start_ns) | (BookmarkRow.start_ns == query.start_ns))
            terms.append(BookmarkRow.start_ns > query.start_ns - LONGEST_NS - 1)
        if query.end_ns is not None:
            terms.append(BookmarkRow.start_ns < query.end_ns)
        if query.text:
            pattern = f"%{query.text.casefold().translate(_LIKE_SPECIAL)}%"
            terms.append(BookmarkRow.search.like(pattern, escape="\\"))
        if query.before is not None:
            terms.append(tuple_(BookmarkRow.start_ns, BookmarkRow.id) < query.before)
        latest_first = BookmarkRow.start_ns.desc(), BookmarkRow.id.desc()
        async with self._database.transaction() as session:
            rows = await session.scalars(
                select(BookmarkRow).where(*terms).order_by(*latest_first).limit(query.limit)
            )
            return [_bookmark(row) for row in rows]

    async def _get(self, session: AsyncSession, bookmark_id: str) -> BookmarkRow:
        row = await session.get(BookmarkRow, (self._site, bookmark_id))
        if row is None:
            raise NotFound("no such bookmark; GET /api/v1/bookmarks lists those that exist")
        return row

    def _row(self, bookmark: Bookmark) -> BookmarkRow:
        return BookmarkRow(
            site=self._site,
            id=str(bookmark.id),
            camera=bookmark.camera_id,
            start_ns=bookmark.start_ns,
            end_ns=bookmark.end_ns,
            title=bookmark.title,
            note=bookmark.note,
            created_by=bookmark.created_by,
            created_ns=bookmark.created_ns,
            updated_ns=bookmark.updated_ns,
            search=f"{bookmark.title}\n{bookmark.note}".casefold(),
        )


def _bookmark(row: BookmarkRow) -> Bookmark:
    return Bookmark(
        id=UUID(row.id),
        camera_id=CameraId(row.camera),
        start_ns=row.start_ns,
        end_ns=row.end_ns,
        title=row.title,
        note=row.note,
        created_by=row.created_by,
        created_ns=row.created_ns,
        updated_ns=row.updated_ns,
    )


def _check(bookmark: Bookmark, now_ns: int) -> None:
    if not 0 <= bookmark.start_ns <= bookmark.end_ns:
        raise InvalidInput("start: must not be after end")
    if bookmark.end_ns - bookmark.start_ns > LONGEST_NS:
        raise InvalidInput("end: is more than 31 days after start; make several bookmarks")
    if bookmark.end_ns > now_ns + FARTHEST_AHEAD_NS:
        raise InvalidInput("end: is more than 24 hours ahead; bookmarks are of footage")
    if not bookmark.title:
        raise InvalidInput("title: is missing; say in a few words what is to be seen")
    for name, text, longest in (
        ("title", bookmark.title, TITLE_MAX),
        ("note", bookmark.note, NOTE_MAX),
        ("created_by", bookmark.created_by, NAME_MAX),
    ):
        if len(text) > longest:
            raise InvalidInput(f"{name}: has {len(text)} characters; {longest} are the most")
