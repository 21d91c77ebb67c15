"""Live viewing over WebRTC: WHEP (draft-ietf-wish-whep).

Endpoint ``…/whep``: POST an offer, OPTIONS. Session ``…/whep/{session}``: DELETE ends it, PATCH trickles
ICE candidates. Neither has a representation: GET answers 204.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request

from vms.api.guard import API_PREFIX
from vms.api.ports import LiveSession, Ports
from vms.api.routes.dependencies import (
    CameraIdInPath,
    KnownCamera,
    PortsDependency,
    Responses,
    content,
    problems,
    readable,
)
from vms.api.trickle import TRICKLE_TYPE, is_restart
from vms.common.errors import InvalidInput, NotFound
from vms.common.ids import CameraId

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}/whep", tags=["live"])
SDP_TYPE = "application/sdp"
SessionId = Annotated[str, Path(description="the last part of the Location that POST gave")]
_TEXT = {"schema": {"type": "string"}}
_HEADER = {"schema": {"type": "string"}}
_STARTED: Responses = {
    201: content(SDP_TYPE, "the SDP answer")
    | {
        "headers": {
            "Location": {"description": "the session: DELETE it to end the viewer"} | _HEADER,
            "ETag": {"description": "the ICE session, for If-Match of PATCH"} | _HEADER,
        }
    }
}
_GONE = "no such camera or session"


@router.post(
    "",
    status_code=201,
    response_class=Response,
    openapi_extra={"requestBody": {"required": True, "content": {SDP_TYPE: _TEXT}}},
    responses=_STARTED
    | problems(
        s400="the offer cannot be used",
        s404="no such camera",
        s409="the camera is not live (with Retry-After), or WebRTC cannot carry its stream: see reason",
        s415=f"the body is not {SDP_TYPE}",
        s503="no room for another viewer now",
    ),
)
async def start_viewer(camera: KnownCamera, ports: PortsDependency, request: Request) -> Response:
    """Begin to watch: an SDP offer in, the answer out. Media flows as soon as ICE and DTLS are done."""
    offer = await _text(request, SDP_TYPE)
    camera_id = camera.camera.id
    answer = await ports.live.offer(camera_id, offer)
    if await request.is_disconnected():
        # Nobody will ever come for this session; it is not left to its ICE timeout.
        await ports.live.end(answer.session_id)
        return Response(status_code=204)  # to nobody
    headers = {
        "Location": f"{API_PREFIX}/cameras/{camera_id}/whep/{answer.session_id}",
        "ETag": answer.session.etag,
        "Accept-Patch": TRICKLE_TYPE,
        "Cache-Control": "no-store",
    }
    return Response(answer.sdp, 201, headers, media_type=SDP_TYPE)


@router.options("", status_code=200, response_class=Response)
async def describe_endpoint() -> Response:
    """What the endpoint takes; answers CORS preflights. Needs no token."""
    return Response(headers={"Accept-Post": SDP_TYPE, "Allow": "GET, HEAD, POST, OPTIONS"})


@readable(router, "", status_code=204, responses=problems(s404="no such camera"), include_in_schema=False)
async def get_endpoint(camera: KnownCamera) -> None:
    """The endpoint has no representation."""


@router.options("/{session_id}", status_code=200, response_class=Response)
async def describe_session() -> Response:
    """What a session takes; answers CORS preflights. Needs no token."""
    return Response(headers={"Accept-Patch": TRICKLE_TYPE, "Allow": "GET, HEAD, PATCH, DELETE, OPTIONS"})


@readable(router, "/{session_id}", status_code=204, responses=problems(s404=_GONE), include_in_schema=False)
async def get_session(camera_id: CameraIdInPath, session_id: SessionId, ports: PortsDependency) -> None:
    """A session has no representation."""
    await _session(ports, camera_id, session_id)


@router.delete("/{session_id}", status_code=204, responses=problems(s404=_GONE))
async def end_viewer(camera_id: CameraIdInPath, session_id: SessionId, ports: PortsDependency) -> None:
    """End a viewer at once; an If-Match header is ignored, as the draft says."""
    await _session(ports, camera_id, session_id)
    await ports.live.end(session_id)


@router.patch(
    "/{session_id}",
    status_code=204,
    openapi_extra={"requestBody": {"required": True, "content": {TRICKLE_TYPE: _TEXT}}},
    responses=problems(
        s400="the fragment is malformed",
        s404=_GONE,
        s412="If-Match names another ICE session",
        s415=f"the body is not {TRICKLE_TYPE}",
        s422="an ICE restart, which is not supported: make a new session",
        s428="If-Match is missing",
    ),
)
async def trickle(
    camera_id: CameraIdInPath, session_id: SessionId, ports: PortsDependency, request: Request
) -> None:
    """Take a player's further ICE candidates. They are checked and need no use: the server is ICE-lite."""
    session = await _session(ports, camera_id, session_id)
    fragment = await _text(request, TRICKLE_TYPE)
    tag = request.headers.get("if-match")
    if tag is None:
        raise HTTPException(428, "send If-Match with the ETag of the 201 answer")
    if tag.strip('"') == "*" or (tag == session.etag and is_restart(fragment, session.ufrag)):
        raise HTTPException(422, "ICE restarts are not supported; DELETE this session and POST a new offer")
    if tag != session.etag:
        raise HTTPException(412, "If-Match names another ICE session")


async def _session(ports: Ports, camera_id: CameraId, session_id: str) -> LiveSession:
    session = await ports.live.session(session_id)
    if session.camera_id != camera_id:
        raise NotFound("no such WHEP session; it has ended, or never was one of this camera")
    return session


async def _text(request: Request, media_type: str) -> str:
    """The body. Raises 415 for another media type, InvalidInput for what is no text."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        header = "Accept-Post" if media_type == SDP_TYPE else "Accept-Patch"
        raise HTTPException(415, f"the body must be {media_type}", {header: media_type})
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError:
        raise InvalidInput("the body is not UTF-8 text") from None
