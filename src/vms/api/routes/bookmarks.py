"""Bookmarks: moments and ranges of footage that a person wants to find again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from vms.api.cursors import Cursor, cursor_text, parse_cursor
from vms.api.evidence_documents import (
    BookmarkChanges,
    BookmarkDocument,
    BookmarkList,
    NewBookmark,
    bookmark_document,
)
from vms.api.evidence_ports import Bookmarks
from vms.api.guard import API_PREFIX
from vms.api.ports import Ports
from vms.api.problems import InvalidParameter, InvalidValue
from vms.api.routes.dependencies import PortsDependency, problems, readable, wired
from vms.api.times import TimeText, parse_time
from vms.common.ids import CAMERA_ID_PATTERN, CameraId

router = APIRouter(prefix=f"{API_PREFIX}/bookmarks", tags=["bookmarks"])
MOST = 500  # bookmarks in one answer
_BookmarkId = Annotated[UUID, Path(description="`id` of a bookmark")]
_AWAY = "the database cannot be used now; nothing was done"
_NONE = "no such bookmark"


@readable(router, "", responses=problems(s503=_AWAY))
async def list_bookmarks(
    ports: PortsDependency,
    response: Response,
    *,
    camera_id: Annotated[
        str | None, Query(pattern=CAMERA_ID_PATTERN, description="also of a camera that was removed")
    ] = None,
    start: Annotated[TimeText | None, Query(description="those that share time with the range")] = None,
    end: TimeText | None = None,
    q: Annotated[
        str | None, Query(max_length=200, description="what title or note hold, in any case")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    cursor: Cursor = None,
) -> BookmarkList:
    """Bookmarks, those of the latest footage first."""
    response.headers["Cache-Control"] = "no-store"
    start_ns = None if start is None else parse_time(start, "start")
    end_ns = None if end is None else parse_time(end, "end")
    if start_ns is not None and end_ns is not None and start_ns >= end_ns:
        raise InvalidParameter("query.start", "must be before end")
    page = await _bookmarks(ports).list(
        limit=limit,
        camera_id=camera_id,
        start_ns=start_ns,
        end_ns=end_ns,
        text=q,
        before=parse_cursor(cursor),
    )
    following = None
    if page.more:
        last = page.items[-1]
        following = cursor_text(last.start_ns, str(last.id))
    shown = [bookmark_document(bookmark) for bookmark in page.items]
    return BookmarkList(bookmarks=shown, next_cursor=following)


@router.post(
    "",
    status_code=201,
    responses=problems(s404="no such camera", s409="too many", s503=_AWAY)
    | {201: {"headers": {"Location": {"description": "the bookmark's path", "schema": {"type": "string"}}}}},
)
async def create_bookmark(body: NewBookmark, ports: PortsDependency, response: Response) -> BookmarkDocument:
    """Mark a moment or a range. It keeps nothing from being deleted: a lock does."""
    camera_id = CameraId(body.camera_id)
    end_ns = body.start if body.end is None else body.end
    if end_ns < body.start:
        raise InvalidValue("body.end", "must not be before start")
    await ports.registry.get(camera_id)
    bookmark = await _bookmarks(ports).create(
        camera_id, body.start, end_ns, title=body.title, note=body.note, created_by=body.created_by
    )
    response.headers["Location"] = f"{API_PREFIX}/bookmarks/{bookmark.id}"
    return bookmark_document(bookmark)


@readable(router, "/{bookmark_id}", responses=problems(s404=_NONE, s503=_AWAY))
async def get_bookmark(
    bookmark_id: _BookmarkId, ports: PortsDependency, response: Response
) -> BookmarkDocument:
    """One bookmark."""
    response.headers["Cache-Control"] = "no-store"
    return bookmark_document(await _bookmarks(ports).get(bookmark_id))


@router.patch("/{bookmark_id}", responses=problems(s404=_NONE, s503=_AWAY))
async def change_bookmark(
    bookmark_id: _BookmarkId, body: BookmarkChanges, ports: PortsDependency
) -> BookmarkDocument:
    """Change what the body names and leave the rest (RFC 7396)."""
    return bookmark_document(await _bookmarks(ports).change(bookmark_id, body.given()))


@router.delete("/{bookmark_id}", status_code=204, responses=problems(s404=_NONE, s503=_AWAY))
async def delete_bookmark(bookmark_id: _BookmarkId, ports: PortsDependency) -> None:
    """Remove a bookmark; the footage stays as it is."""
    await _bookmarks(ports).delete(bookmark_id)


def _bookmarks(ports: Ports) -> Bookmarks:
    return wired(ports.bookmarks, "bookmarks are not served")
