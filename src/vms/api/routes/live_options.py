"""The ways to watch a camera now, best first: for our web app, and for whoever writes a player."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from starlette.requests import Request

from vms.api.guard import API_PREFIX
from vms.api.routes.dependencies import KnownCamera, PortsDependency, problems, wired
from vms.api.routes.live import MOST_PIXELS
from vms.common.stream_name import StreamName

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}/live", tags=["live"])
MAX_SUPPORTS = 16


class LiveOptionView(BaseModel):
    """One way to watch."""

    protocol: Annotated[
        Literal["webrtc", "websocket", "hls", "rtsp", "srt", "webtransport"],
        Field(
            description="webrtc: WHEP. websocket: fragmented MP4, see docs/api/live-websocket.md. "
            "webtransport: experimental, never best; see docs/api/live-webtransport.md"
        ),
    ]
    stream: Annotated[StreamName, Field(description="compat: the main stream, transcoded by us to H.264")]
    url: Annotated[
        str | None,
        Field(
            description="where; those of websocket, hls, srt and webtransport hold a token to connect with within 60 s. "
            "Relative ones are to this API. null: there is nobody to connect to now"
        ),
    ]
    playable: bool
    reason: Annotated[
        str | None,
        Field(
            description="why it is not playable, for programs",
            examples=["b_frames", "codec", "not_live", "unsupported", "no_transcoder", "no_worker"],
        ),
    ]
    detail: Annotated[str, Field(description="the same for a person; empty when there is nothing to say")]
    mime_type: Annotated[
        str | None,
        Field(description="for Media Source Extensions", examples=['video/mp4; codecs="avc1.640028"']),
    ]
    transcoded: Annotated[bool, Field(description="not as the camera made it")]
    certificate_hashes: Annotated[
        Sequence[str],
        Field(
            description="for serverCertificateHashes of WebTransport: SHA-256 in base64; any of them is taken"
        ),
    ] = ()


class IceServerView(BaseModel):
    """An entry of RTCConfiguration.iceServers."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class LiveOptionsDocument(BaseModel):
    """The ways to watch a camera."""

    camera_id: str
    stream: Annotated[StreamName, Field(description="the stream that suits the tile")]
    options: Annotated[list[LiveOptionView], Field(description="best first")]
    ice_servers: Annotated[list[IceServerView], Field(description="STUN and TURN servers for webrtc")]


@router.get(
    "",
    response_model_exclude_none=False,
    responses=problems(s404="no such camera", s503="this process cannot tell"),
)
async def live_options(
    camera: KnownCamera,
    ports: PortsDependency,
    request: Request,
    response: Response,
    *,
    width: Annotated[
        int | None, Query(ge=1, le=MOST_PIXELS, description="of the tile, device pixels")
    ] = None,
    height: Annotated[int | None, Query(ge=1, le=MOST_PIXELS, description="likewise")] = None,
    supports: Annotated[
        str,
        Query(
            max_length=200,
            description="codecs that Media Source Extensions play there besides h264, aac and opus, by commas",
            examples=["h265"],
        ),
    ] = "",
) -> LiveOptionsDocument:
    """Which ways to watch there are now, best first, and what stands against each.

    Take the first that is playable; ask again when it ends.
    """
    camera_id = camera.camera.id
    stream = StreamName.MAIN
    if width is not None and height is not None:
        stream = ports.live.suitable(camera_id, width, height)
    ladders = wired(ports.live_options, "the ways to watch cannot be told")
    codecs = frozenset(filter(None, supports.lower().split(",")[:MAX_SUPPORTS]))
    options = ladders.options(camera_id, stream, codecs, request.url.hostname or "localhost")
    response.headers["Cache-Control"] = "no-store"  # there are tokens in it
    return LiveOptionsDocument(
        camera_id=camera_id,
        stream=stream,
        options=[LiveOptionView.model_validate(each, from_attributes=True) for each in options],
        ice_servers=[IceServerView.model_validate(each.document()) for each in ports.ice_servers()],
    )
