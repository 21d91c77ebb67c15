"""Publishing over WebRTC: WHIP (RFC 9725). A browser or an encoder sends the stream of a camera to us.

Endpoint ``…/whip``: POST an offer, OPTIONS. Session ``…/whip/{session}``: DELETE ends it, PATCH trickles ICE
candidates or restarts ICE. Neither has a representation: GET answers 204. STUN and TURN servers are named in Link
headers, those with credentials only to whom the token is known.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from starlette.requests import Request

from vms.api.guard import API_PREFIX
from vms.api.ports import LiveSession, Ports, Publishing, RegisteredCamera
from vms.api.routes.dependencies import (
    CameraIdInPath,
    KnownCamera,
    PortsDependency,
    Responses,
    content,
    problems,
    readable,
    wired,
)
from vms.api.trickle import TRICKLE_TYPE
from vms.api.webrtc_session import SDP_TYPE, linked, text_of, trickled
from vms.common.errors import Conflict, NotFound
from vms.common.ids import CameraId
from vms.common.source_url import PUBLISHED

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}/whip", tags=["live"])
SessionId = Annotated[str, Path(description="the last part of the Location that POST gave")]
_TEXT = {"schema": {"type": "string"}}
_HEADER = {"schema": {"type": "string"}}
_STARTED: Responses = {
    201: content(SDP_TYPE, "the SDP answer")
    | {
        "headers": {
            "Location": {"description": "the session: DELETE it to end the publisher"} | _HEADER,
            "ETag": {"description": "the ICE session, for If-Match of PATCH"} | _HEADER,
            "Link": {"description": "STUN and TURN servers to use, rel=ice-server"} | _HEADER,
        }
    }
}
_RESTARTED: Responses = {
    200: content(TRICKLE_TYPE, "the server's new ICE credentials and candidates")
    | {"headers": {"ETag": {"description": "the new ICE session, for If-Match of PATCH"} | _HEADER}},
    204: {"description": "the candidates were taken"},
}
_GONE = "no such camera or session"


class NotPublished(Conflict):
    """The camera is pulled, so nobody can publish it."""

    reason = "not_published"


@router.post(
    "",
    status_code=201,
    response_class=Response,
    openapi_extra={"requestBody": {"required": True, "content": {SDP_TYPE: _TEXT}}},
    responses=_STARTED
    | problems(
        s400="the offer cannot be used",
        s404="no such camera",
        s409="somebody publishes the camera already (with Retry-After), or it is one that is pulled: see reason",
        s415=f"the body is not {SDP_TYPE}",
        s503="the camera takes no publisher now",
    ),
)
async def start_publisher(
    camera: KnownCamera,
    ports: PortsDependency,
    request: Request,
    replace: Annotated[bool, Query(description="take the place of a publisher that is there")] = False,
) -> Response:
    """Begin to publish: an SDP offer in, the answer out. The camera is live once its first key picture came."""
    publishing = _publishing(ports)
    _require_published(camera)
    offer = await text_of(request, SDP_TYPE)
    camera_id = camera.camera.id
    answer = await publishing.offer(camera_id, offer, take_over=replace)
    if await request.is_disconnected():
        # Nobody will ever come for this session; it is not left to its ICE timeout.
        await publishing.end(answer.session_id)
        return Response(status_code=204)  # to nobody
    headers = {
        "Location": f"{API_PREFIX}/cameras/{camera_id}/whip/{answer.session_id}",
        "ETag": answer.session.etag,
        "Accept-Patch": TRICKLE_TYPE,
        "Cache-Control": "no-store",
    }
    return linked(Response(answer.sdp, 201, headers, media_type=SDP_TYPE), ports.ice_servers())


@router.options("", status_code=200, response_class=Response)
async def describe_publish_endpoint(ports: PortsDependency) -> Response:
    """What the endpoint takes; answers CORS preflights. Needs no token, and so names no server that has one."""
    response = Response(headers={"Accept-Post": SDP_TYPE, "Allow": "GET, HEAD, POST, OPTIONS"})
    return linked(response, [server for server in ports.ice_servers() if server.credential is None])


@readable(router, "", status_code=204, responses=problems(s404="no such camera"), include_in_schema=False)
async def get_publish_endpoint(camera: KnownCamera) -> None:
    """The endpoint has no representation."""


@router.options("/{session_id}", status_code=200, response_class=Response)
async def describe_publish_session() -> Response:
    """What a session takes; answers CORS preflights. Needs no token."""
    return Response(headers={"Accept-Patch": TRICKLE_TYPE, "Allow": "GET, HEAD, PATCH, DELETE, OPTIONS"})


@readable(router, "/{session_id}", status_code=204, responses=problems(s404=_GONE), include_in_schema=False)
async def get_publish_session(
    camera_id: CameraIdInPath, session_id: SessionId, ports: PortsDependency
) -> None:
    """A session has no representation."""
    await _session(ports, camera_id, session_id)


@router.delete("/{session_id}", status_code=204, responses=problems(s404=_GONE))
async def end_publisher(camera_id: CameraIdInPath, session_id: SessionId, ports: PortsDependency) -> None:
    """End a publisher at once."""
    await _session(ports, camera_id, session_id)
    await _publishing(ports).end(session_id)


@router.patch(
    "/{session_id}",
    status_code=204,
    response_class=Response,
    openapi_extra={"requestBody": {"required": True, "content": {TRICKLE_TYPE: _TEXT}}},
    responses=_RESTARTED
    | problems(
        s400="the fragment is malformed",
        s404=_GONE,
        s412="If-Match names another ICE session",
        s415=f"the body is not {TRICKLE_TYPE}",
        s428="If-Match is missing",
    ),
)
async def trickle_publisher(
    camera_id: CameraIdInPath, session_id: SessionId, ports: PortsDependency, request: Request
) -> Response:
    """Take a publisher's further ICE candidates, or restart ICE when its credentials are new ones.

    Candidates are checked and need no use: the server is ICE-lite. A restart is answered with the server's new
    credentials and ETag.
    """
    session = await _session(ports, camera_id, session_id)
    return await trickled(_publishing(ports), session_id, session, request)


def _publishing(ports: Ports) -> Publishing:
    return wired(ports.publishing, "streams cannot be published")


def _require_published(camera: RegisteredCamera) -> None:
    if camera.camera.source.scheme != "whip":
        raise NotPublished(
            f"{camera.camera.id} is pulled from its source; to publish it, set its source to {PUBLISHED}"
        )


async def _session(ports: Ports, camera_id: CameraId, session_id: str) -> LiveSession:
    session = await _publishing(ports).session(session_id)
    if session.camera_id != camera_id:
        raise NotFound("no such WHIP session; it has ended, or never was one of this camera")
    return session
