"""What happened in the system, the newest first."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

from fastapi import APIRouter, Query, Response

from vms.api.documents import EventDocument, EventList
from vms.api.guard import API_PREFIX
from vms.api.ports import Event
from vms.api.problems import InvalidParameter
from vms.api.routes.dependencies import PortsDependency, problems, readable
from vms.common.clock import rfc3339
from vms.common.ids import CAMERA_ID_PATTERN

router = APIRouter(prefix=f"{API_PREFIX}/events", tags=["events"])
MOST = 500  # events in one answer
_CURSOR = re.compile(r"(\d{1,19})\.(.{1,128})", re.ASCII | re.DOTALL)
_AFTER_ALL_NS = 1 << 63


@readable(router, "", responses=problems(s503="the journal cannot be read now"))
async def list_events(
    ports: PortsDependency,
    response: Response,
    *,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    cursor: Annotated[
        str | None, Query(max_length=256, description="next_cursor of the answer before this one")
    ] = None,
    kind: Annotated[str | None, Query(pattern="^[a-z0-9_]{1,64}$", examples=["camera_failed"])] = None,
    camera: Annotated[
        str | None,
        Query(pattern=CAMERA_ID_PATTERN, description="a camera's id, also of one that was removed"),
    ] = None,
) -> EventList:
    """What happened, the newest first: all of it, of one kind, of one camera. The last 100,000 events are kept."""
    response.headers["Cache-Control"] = "no-store"
    before = _place(cursor) if cursor is not None else None
    # One more than asked for tells whether there are more
    found = await ports.events.events(limit=limit + 1, before=before, kind=kind, camera_id=camera)
    shown = found[:limit]
    following = _cursor(shown[-1]) if len(found) > limit else None
    return EventList(events=[_document(event) for event in shown], next_cursor=following)


def _document(event: Event) -> EventDocument:
    return EventDocument(
        id=event.id,
        at=rfc3339(event.at_ns),
        kind=event.kind,
        camera=event.camera_id or None,
        worker=event.worker or None,
        text=event.text,
        facts=dict(event.facts),
    )


def _cursor(event: Event) -> str:
    return urlsafe_b64encode(f"{event.at_ns}.{event.id}".encode()).rstrip(b"=").decode()


def _place(cursor: str) -> tuple[int, str]:
    """(at_ns, id) of the event that the cursor names. Raises InvalidParameter."""
    try:
        match = _CURSOR.fullmatch(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
    except ValueError:
        match = None
    if match is None or int(match[1]) >= _AFTER_ALL_NS:
        raise InvalidParameter("query.cursor", "is none; take it from next_cursor of an answer")
    return int(match[1]), match[2]
