"""What routes have in common: the ports, a camera in the path, and how errors are documented."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from vms.api.ports import Ports, RegisteredCamera
from vms.api.problems import PROBLEM_JSON
from vms.common.errors import Unavailable
from vms.common.ids import CAMERA_ID_PATTERN, CameraId

CameraIdInPath = Annotated[
    CameraId, Path(pattern=CAMERA_ID_PATTERN, description="the camera's id", examples=["porch"])
]


def _ports(request: Request) -> Ports:
    return cast(Ports, request.app.state.ports)


PortsDependency = Annotated[Ports, Depends(_ports)]


async def _camera(camera_id: CameraIdInPath, ports: PortsDependency) -> RegisteredCamera:
    return await ports.registry.get(camera_id)


KnownCamera = Annotated[RegisteredCamera, Depends(_camera)]
"""The camera that the path names; 404 when there is none."""


Port = TypeVar("Port")


def wired(port: Port | None, otherwise: str) -> Port:
    """A port that this process may lack. otherwise: what then cannot be done. Raises Unavailable."""
    if port is None:
        raise Unavailable(f"{otherwise} by this process; ask another one, or restart the system")
    return port


Responses = dict[int | str, dict[str, Any]]


def problems(**reasons: str) -> Responses:
    """OpenAPI responses for errors: ``problems(s404="no such camera")``."""
    return {
        int(status.removeprefix("s")): {
            "description": reason,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, reason in reasons.items()
    }


def content(media_type: str, description: str, **schema: str) -> dict[str, Any]:
    """An OpenAPI response that is no JSON."""
    return {"description": description, "content": {media_type: {"schema": {"type": "string", **schema}}}}


Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def readable(router: APIRouter, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
    """Register an endpoint for GET, and for HEAD beside it (RFC 9110 §9.3.2), which OpenAPI need not list."""

    def register(endpoint: Endpoint) -> Endpoint:
        router.add_api_route(path, endpoint, methods=["GET"], **options)
        router.add_api_route(path, endpoint, methods=["HEAD"], **{**options, "include_in_schema": False})
        return endpoint

    return register
