"""A steady address of a camera's live HLS, for players that are given one by hand.

Belongs here: the way from it to the stream worker's. Does not: HLS itself (vms.stream.hls).
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse

from vms.api.guard import API_PREFIX
from vms.api.routes.dependencies import KnownCamera, PortsDependency, problems, wired
from vms.common.errors import Unavailable
from vms.common.stream_name import StreamName

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}", tags=["live"])
_EVERY_CODEC = frozenset({"h264", "h265"})  # what a player cannot play it says itself


@router.get(
    "/live.m3u8",
    response_class=RedirectResponse,
    status_code=HTTPStatus.TEMPORARY_REDIRECT,
    responses=problems(s404="no such camera", s503="the stream cannot be watched by HLS now"),
)
async def live_hls(
    camera: KnownCamera,
    ports: PortsDependency,
    request: Request,
    *,
    stream: Annotated[StreamName, Query(description="which of its streams")] = StreamName.MAIN,
) -> RedirectResponse:
    """Go to the live stream as low-latency HLS: an address with a token, good for a minute to begin with."""
    ladders = wired(ports.live_options, "the ways to watch cannot be told")
    host = request.url.hostname or "localhost"
    options = ladders.options(camera.camera.id, stream, _EVERY_CODEC, host)
    found = next((each for each in options if each.protocol == "hls" and each.stream == stream.value), None)
    if found is None or found.url is None:
        detail = found.detail if found is not None else ""
        raise Unavailable(
            detail or f"the {stream} stream cannot be watched by HLS now; try again in a moment"
        )
    headers = {"Cache-Control": "no-store"}
    return RedirectResponse(found.url, HTTPStatus.TEMPORARY_REDIRECT, headers)
