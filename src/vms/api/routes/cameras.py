"""Cameras: their configuration and live state."""

from fastapi import APIRouter, Response

from vms.api.camera_view import camera_document
from vms.api.documents import CameraChanges, CameraDocument, CameraList, NewCamera
from vms.api.guard import API_PREFIX
from vms.api.ports import Ports
from vms.api.problems import InvalidValue
from vms.api.routes.dependencies import CameraIdInPath, KnownCamera, PortsDependency, problems, readable
from vms.common.camera import Camera

router = APIRouter(prefix=f"{API_PREFIX}/cameras", tags=["cameras"])
_UNKNOWN = "no such camera"
_LOCKED = "the configuration file manages the camera"


@readable(router, "")
async def list_cameras(ports: PortsDependency, response: Response) -> CameraList:
    """All cameras, by id, with their live state."""
    response.headers["Cache-Control"] = "no-store"
    entries = await ports.registry.list()
    return CameraList(cameras=[camera_document(entry, ports) for entry in entries])


@readable(router, "/{camera_id}", responses=problems(s404=_UNKNOWN))
async def get_camera(entry: KnownCamera, ports: PortsDependency, response: Response) -> CameraDocument:
    """One camera with its live state."""
    response.headers["Cache-Control"] = "no-store"
    return camera_document(entry, ports)


@router.post(
    "",
    status_code=201,
    responses=problems(s409="the id is taken")
    | {201: {"headers": {"Location": {"description": "the camera's path", "schema": {"type": "string"}}}}},
)
async def create_camera(body: NewCamera, ports: PortsDependency, response: Response) -> CameraDocument:
    """Add a camera; it is pulled and recorded at once, and kept in the database."""
    _check_class(body.retention_class, ports)
    entry = await ports.registry.create(Camera.model_validate(dict(body)))
    response.headers["Location"] = f"{API_PREFIX}/cameras/{entry.camera.id}"
    return camera_document(entry, ports)


@router.patch("/{camera_id}", responses=problems(s404=_UNKNOWN, s409=_LOCKED))
async def change_camera(
    camera_id: CameraIdInPath, body: CameraChanges, ports: PortsDependency
) -> CameraDocument:
    """Change what the body names and leave the rest (RFC 7396), also within `events`, `schedule` and `limits`.

    The change takes effect at once.

    `source` and `sub_source` may be sent as GET shows them: the stored credentials are then kept. With any other
    address they are not: write the whole URL.
    """
    _check_class(body.retention_class, ports)
    entry = await ports.registry.update(camera_id, body.given())
    return camera_document(entry, ports)


@router.delete("/{camera_id}", status_code=204, responses=problems(s404=_UNKNOWN, s409=_LOCKED))
async def delete_camera(camera_id: CameraIdInPath, ports: PortsDependency) -> None:
    """Remove a camera and end its viewers. Its recordings stay on disk until retention takes them."""
    await ports.registry.delete(camera_id)


def _check_class(name: str | None, ports: Ports) -> None:
    known = ports.retention_classes
    if name is not None and known is not None and name not in known:
        raise InvalidValue("body.retention_class", "is no name that storage.classes of the configuration has")
