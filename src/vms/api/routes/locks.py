"""Evidence locks: footage that nothing deletes until a person lets it go."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from vms.api.cursors import Cursor, cursor_text, parse_cursor
from vms.api.evidence_documents import LockDocument, LockList, NewLock, Release, lock_document
from vms.api.evidence_ports import Locks
from vms.api.guard import API_PREFIX
from vms.api.ports import Ports
from vms.api.problems import InvalidValue
from vms.api.routes.dependencies import PortsDependency, problems, readable, wired
from vms.common.errors import NotFound
from vms.common.ids import CAMERA_ID_PATTERN, CameraId

router = APIRouter(prefix=f"{API_PREFIX}/locks", tags=["evidence"])
MOST = 500  # locks in one answer
_LockId = Annotated[UUID, Path(description="`id` of a lock")]
_AWAY = "the database cannot be used now; nothing was done"
_NONE = "no such lock"


@readable(router, "", responses=problems(s503=_AWAY))
async def list_locks(
    ports: PortsDependency,
    response: Response,
    *,
    camera_id: Annotated[
        str | None, Query(pattern=CAMERA_ID_PATTERN, description="also of a camera that was removed")
    ] = None,
    include_released: Annotated[bool, Query(description="those that were let go as well")] = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    cursor: Cursor = None,
) -> LockList:
    """The locks that hold, the newest first, and with `include_released` the history of them."""
    response.headers["Cache-Control"] = "no-store"
    page = await _locks(ports).list(
        limit=limit, camera_id=camera_id, include_released=include_released, before=parse_cursor(cursor)
    )
    shown = [lock_document(report) for report in page.items]
    following = None
    if page.more:
        last = page.items[-1].lock
        following = cursor_text(last.created_ns, str(last.id))
    return LockList(locks=shown, next_cursor=following)


@router.post(
    "",
    status_code=201,
    responses=problems(
        s400="the range cannot be locked",
        s404="no such camera, nor footage of one",
        s409="too many",
        s503=_AWAY,
    )
    | {201: {"headers": {"Location": {"description": "the lock's path", "schema": {"type": "string"}}}}},
)
async def create_lock(body: NewLock, ports: PortsDependency, response: Response) -> LockDocument:
    """Keep a camera's footage, whatever limits, quotas and laws say, until the lock is released.

    Answered when the lock is on disk in the database and every volume that answers obeys it; `volumes` names those
    that do not yet. They obey it as soon as they are back, before they delete anything.
    """
    if body.start >= body.end:
        raise InvalidValue("body.start", "must be before end")
    await _check_camera(CameraId(body.camera_id), body, ports)
    report = await _locks(ports).create(
        CameraId(body.camera_id), body.start, body.end, reason=body.reason, created_by=body.created_by
    )
    response.headers["Location"] = f"{API_PREFIX}/locks/{report.lock.id}"
    return lock_document(report)


@readable(router, "/{lock_id}", responses=problems(s404=_NONE, s503=_AWAY))
async def get_lock(lock_id: _LockId, ports: PortsDependency, response: Response) -> LockDocument:
    """One lock, also one that was released."""
    response.headers["Cache-Control"] = "no-store"
    return lock_document(await _locks(ports).get(lock_id))


@router.post("/{lock_id}/release", responses=problems(s404=_NONE, s409="released already", s503=_AWAY))
async def release_lock(lock_id: _LockId, body: Release, ports: PortsDependency) -> LockDocument:
    """Let the footage go: from now on it is kept and deleted as all other. Who and why stay on record."""
    report = await _locks(ports).release(lock_id, released_by=body.released_by, reason=body.reason)
    return lock_document(report)


async def _check_camera(camera_id: CameraId, body: NewLock, ports: Ports) -> None:
    """A camera that was removed may have footage that is needed. Raises NotFound where there is neither."""
    try:
        await ports.registry.get(camera_id)
    except NotFound:
        timeline = await ports.playback.timeline(camera_id, body.start, body.end)
        if not timeline.segments:
            raise


def _locks(ports: Ports) -> Locks:
    return wired(ports.locks, "evidence locks are not served")
