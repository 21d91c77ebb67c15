"""What happened in the system, the newest first."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from vms.api.cursors import Cursor, cursor_text, parse_cursor
from vms.api.documents import AcceptedEvent, EventDocument, EventList, NewEvent
from vms.api.guard import API_PREFIX
from vms.api.ports import Event
from vms.api.problems import InvalidValue
from vms.api.routes.dependencies import PortsDependency, problems, readable, wired
from vms.api.times import TimeText, parse_time
from vms.common.clock import NS, rfc3339
from vms.common.ids import CAMERA_ID_PATTERN, CameraId

router = APIRouter(prefix=f"{API_PREFIX}/events", tags=["events"])
MOST = 500  # events in one answer
OLDEST_NS = 86_400 * NS  # an event may be told so long after it happened
NEWEST_NS = 5 * NS  # and by a clock that is so far ahead
RESERVED = ("camera_live", "camera_failed")
RESERVED_PREFIXES = ("worker_", "volume_", "recording_", "alarm_", "system_")
"""Kinds that the system tells by itself; nobody else may make it seem so."""
_CameraQuery = Query(pattern=CAMERA_ID_PATTERN, description="a camera's id, also of one that was removed")


@readable(router, "", responses=problems(s503="the journal cannot be read now"))
async def list_events(
    ports: PortsDependency,
    response: Response,
    *,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    cursor: Cursor = None,
    before: Annotated[
        str | None, Query(max_length=256, description="the same as cursor", deprecated=True)
    ] = None,
    kind: Annotated[str | None, Query(pattern="^[a-z0-9_]{1,64}$", examples=["camera_failed"])] = None,
    camera_id: Annotated[str | None, _CameraQuery] = None,
    camera: Annotated[
        str | None,
        Query(pattern=CAMERA_ID_PATTERN, description="the same as camera_id", deprecated=True),
    ] = None,
    since: Annotated[TimeText | None, Query(description="from this time on")] = None,
    until: Annotated[TimeText | None, Query(description="before this time")] = None,
) -> EventList:
    """What happened, the newest first: all of it, of one kind, of one camera. The last 100,000 events are kept."""
    response.headers["Cache-Control"] = "no-store"
    place = parse_cursor(cursor, "cursor") or parse_cursor(before, "before")
    # One more than asked for tells whether there are more
    found = await ports.events.events(
        limit=limit + 1,
        before=place,
        kind=kind,
        camera_id=camera_id or camera,
        since_ns=None if since is None else parse_time(since, "since"),
        until_ns=None if until is None else parse_time(until, "until"),
    )
    shown = found[:limit]
    following = cursor_text(shown[-1].at_ns, shown[-1].id) if len(found) > limit else None
    return EventList(events=[_document(event) for event in shown], next_cursor=following)


@router.post(
    "",
    status_code=202,
    responses=problems(s400="the kind is the system's own, or the time is wrong", s404="no such camera"),
)
async def raise_event(body: NewEvent, ports: PortsDependency) -> AcceptedEvent:
    """Tell that something happened at a camera, such as `motion` or `alarm`.

    Cameras that record around events of this kind do so. The event is kept until it was delivered; `at` is now where
    it is left out, and may be a day ago at the most.
    """
    if body.kind in RESERVED or body.kind.startswith(RESERVED_PREFIXES):
        raise InvalidValue("body.kind", "is told by the system alone; choose another, such as motion", 400)
    camera_id = CameraId(body.camera_id)
    await ports.registry.get(camera_id)
    now_ns = ports.clock.wall_ns()
    at_ns = now_ns if body.at is None else body.at
    if at_ns > now_ns + NEWEST_NS:
        raise InvalidValue("body.at", "is in the future; are both clocks right?", 400)
    if at_ns < now_ns - OLDEST_NS:
        raise InvalidValue("body.at", "is more than 24 hours ago", 400)
    told = wired(ports.tell_event, "events cannot be told").tell(
        body.kind, camera_id, at_ns, body.text, body.facts
    )
    return AcceptedEvent(id=told)


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
