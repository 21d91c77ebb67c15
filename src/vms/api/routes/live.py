"""Live viewing over WebRTC: WHEP (draft-ietf-wish-whep).

Endpoint ``…/whep``: POST an offer, OPTIONS. Session ``…/whep/{session}``: DELETE ends it, PATCH trickles
ICE candidates or restarts ICE. Neither has a representation: GET answers 204. STUN and TURN servers are named
in Link headers; those with credentials only to whom the token is known, so never to a preflight.
"""

from typing import Annotated, Self

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request

from vms.api.guard import API_PREFIX
from vms.api.ports import Answer, Ports, ViewerSession
from vms.api.routes.dependencies import (
    CameraIdInPath,
    KnownCamera,
    PortsDependency,
    Responses,
    content,
    problems,
    readable,
)
from vms.api.trickle import TRICKLE_TYPE
from vms.api.webrtc_session import SDP_TYPE, linked, text_of, trickled
from vms.common.errors import Conflict, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}/whep", tags=["live"])
MOST_PIXELS = 16_384
SessionId = Annotated[str, Path(description="the last part of the Location that POST gave")]
_TEXT = {"schema": {"type": "string"}}
_HEADER = {"schema": {"type": "string"}}
_STARTED: Responses = {
    201: content(SDP_TYPE, "the SDP answer")
    | {
        "headers": {
            "Location": {"description": "the session: DELETE it to end the viewer"} | _HEADER,
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
async def start_viewer(
    camera: KnownCamera,
    ports: PortsDependency,
    request: Request,
    *,
    stream: Annotated[
        StreamName | None, Query(description="default: the one that suits the tile, or main")
    ] = None,
    width: Annotated[
        int | None, Query(ge=1, le=MOST_PIXELS, description="of the tile, device pixels")
    ] = None,
    height: Annotated[int | None, Query(ge=1, le=MOST_PIXELS, description="likewise")] = None,
) -> Response:
    """Begin to watch: an SDP offer in, the answer out. Media flows as soon as ICE and DTLS are done.

    The header X-Stream says which of the camera's streams it is.
    """
    offer = await text_of(request, SDP_TYPE)
    camera_id = camera.camera.id
    if stream is None and width is not None and height is not None:
        suitable = ports.live.suitable(camera_id, width, height)
        stream, answer = await _begin_suitable(ports, camera_id, offer, suitable)
    else:
        stream = stream or StreamName.MAIN
        answer = await ports.live.offer(camera_id, offer, stream)
    if await request.is_disconnected():
        # Nobody will ever come for this session; it is not left to its ICE timeout.
        await ports.live.end(answer.session_id)
        return Response(status_code=204)  # to nobody
    headers = {
        "Location": f"{API_PREFIX}/cameras/{camera_id}/whep/{answer.session_id}",
        "ETag": answer.session.etag,
        "Accept-Patch": TRICKLE_TYPE,
        "Cache-Control": "no-store",
        "X-Stream": stream,
    }
    return linked(Response(answer.sdp, 201, headers, media_type=SDP_TYPE), ports.ice_servers())


@router.options("", status_code=200, response_class=Response)
async def describe_endpoint(ports: PortsDependency) -> Response:
    """What the endpoint takes; answers CORS preflights. Needs no token, and so names no server that has one."""
    response = Response(headers={"Accept-Post": SDP_TYPE, "Allow": "GET, HEAD, POST, OPTIONS"})
    return linked(response, [server for server in ports.ice_servers() if server.credential is None])


@readable(router, "", status_code=204, responses=problems(s404="no such camera"), include_in_schema=False)
async def get_endpoint(camera: KnownCamera, ports: PortsDependency) -> Response:
    """The endpoint has no representation; its headers name the servers to use before there is a session."""
    response = Response(status_code=204, headers={"Cache-Control": "no-store"})
    return linked(response, ports.ice_servers())


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


class ViewWish(BaseModel):
    """What a viewer wants to see from now on: a stream, or the one that suits a tile of so many device pixels."""

    model_config = ConfigDict(extra="forbid")

    stream: StreamName | None = None
    width: Annotated[int | None, Field(ge=1, le=MOST_PIXELS)] = None
    height: Annotated[int | None, Field(ge=1, le=MOST_PIXELS)] = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.width is None) != (self.height is None) or (self.stream is None) == (self.width is None):
            raise ValueError("name a stream, or the width and height of the tile")
        return self


class View(BaseModel):
    """What a viewer is sent from the next key picture on."""

    stream: StreamName


@router.options("/{session_id}/view", status_code=200, response_class=Response, include_in_schema=False)
async def describe_view() -> Response:
    """Answers CORS preflights. Needs no token."""
    return Response(headers={"Allow": "PUT, OPTIONS"})


@router.put(
    "/{session_id}/view",
    responses=problems(
        s404="no such camera or session, or the camera has no such stream",
        s409="the stream cannot be shown by WebRTC: see reason",
        s503="the stream does not come now",
    ),
)
async def change_view(
    camera_id: CameraIdInPath, session_id: SessionId, ports: PortsDependency, wish: ViewWish
) -> View:
    """Show another stream of the camera, as when a tile is enlarged. The picture goes on without a break."""
    session = await _session(ports, camera_id, session_id)
    stream = wish.stream
    if wish.width is not None and wish.height is not None:
        stream = ports.live.suitable(camera_id, wish.width, wish.height, session.stream)
    assert stream is not None, "the wish names one of them"
    # Also when it is the one that is wanted already: what is sent may be another one, for the network's sake.
    await ports.live.select(session_id, stream)
    return View(stream=stream)


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
async def trickle(
    camera_id: CameraIdInPath, session_id: SessionId, ports: PortsDependency, request: Request
) -> Response:
    """Take a player's further ICE candidates, or restart ICE when its credentials are new ones.

    Candidates are checked and need no use: the server is ICE-lite. A restart is answered with the server's
    new credentials and ETag; media goes on over the old path until the player has checked a new one.
    """
    session = await _session(ports, camera_id, session_id)
    return await trickled(ports.live, session_id, session, request)


async def _begin_suitable(
    ports: Ports, camera_id: CameraId, offer: str, stream: StreamName
) -> tuple[StreamName, Answer]:
    """Begin with a stream that was chosen for its size alone: one that is down or in H.265 gives way to main."""
    try:
        return stream, await ports.live.offer(camera_id, offer, stream)
    except (NotFound, Conflict, Unavailable):
        if stream is StreamName.MAIN:
            raise
    return StreamName.MAIN, await ports.live.offer(camera_id, offer, StreamName.MAIN)


async def _session(ports: Ports, camera_id: CameraId, session_id: str) -> ViewerSession:
    session = await ports.live.session(session_id)
    if session.camera_id != camera_id:
        raise NotFound("no such WHEP session; it has ended, or never was one of this camera")
    return session
