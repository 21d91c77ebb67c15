"""Whether recordings are as they were recorded, and small pictures of them."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vms.api.disconnect import GONE_STATUS, ClientGone, while_connected
from vms.api.export_documents import VerificationDocument, verification_document
from vms.api.guard import API_PREFIX
from vms.api.ports import Ports
from vms.api.routes.dependencies import KnownCamera, PortsDependency, content, problems, readable, wired
from vms.api.times import LONGEST_PLAYBACK_NS, LONGEST_TIMELINE_NS, TimeText, parse_range, parse_time
from vms.common.clock import NS, rfc3339

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}")
_TIME = "a time or range is wrong"
_SETTLED_NS = 3600 * NS
"""The picture of a time that is so long ago does not change any more: its recording is closed."""
_KEPT_S, _KEPT_NEW_S = 300, 10
"""How long browsers may keep a picture: it must not outlive its recording by much."""
_FEWEST_PIXELS, _MOST_PIXELS, _MOST_IN_STRIP = 80, 640, 100
_Width = Annotated[int, Query(ge=_FEWEST_PIXELS, le=_MOST_PIXELS, description="pixels")]


@readable(
    router,
    "/verification",
    tags=["evidence"],
    responses=problems(s400=_TIME, s404="no such camera", s503="too many ask at once"),
)
async def get_verification(
    camera: KnownCamera, ports: PortsDependency, response: Response, start: TimeText, end: TimeText
) -> VerificationDocument:
    """Read every recording of the range, at most 25 hours, and compare it with its digests and its signature.

    This proves what signatures can: see docs/architecture/evidence.md. `vms verify` does the same without this system.
    """
    wanted = parse_range(start, end, LONGEST_PLAYBACK_NS)
    verifier = wired(ports.verifier, "recordings cannot be verified")
    verification = await verifier.verify(camera.camera.id, wanted.start_ns, wanted.end_ns)
    response.headers["Cache-Control"] = "no-store"
    return verification_document(verification)


@readable(
    router,
    "/thumbnail.jpg",
    tags=["recordings"],
    response_class=Response,
    responses={
        200: content("image/jpeg", "the picture", format="binary")
        | {
            "headers": {
                "X-Time": {"description": "when it was captured, RFC 3339", "schema": {"type": "string"}}
            }
        }
    }
    | problems(s400=_TIME, s404="no such camera, or nothing recorded then", s503="too many ask at once"),
)
async def get_thumbnail(
    camera: KnownCamera, ports: PortsDependency, request: Request, at: TimeText, width: _Width = 160
) -> Response:
    """The key frame at or before a time, small: for a timeline under a pointer. Whoever hangs up saves the work."""
    at_ns = parse_time(at, "at")
    thumbnails = wired(ports.thumbnails, "thumbnails are not made")
    try:
        found = await while_connected(thumbnails.thumbnail(camera.camera.id, at_ns, width), request.receive)
    except ClientGone:
        return Response(status_code=GONE_STATUS)
    return _picture(found.jpeg, ports, at_ns, {"X-Time": rfc3339(found.time_ns)})


@readable(
    router,
    "/thumbnails.jpg",
    tags=["recordings"],
    response_class=Response,
    responses={
        200: content("image/jpeg", "the pictures in rows, those of the earliest parts first", format="binary")
        | {
            "headers": {
                "X-Times": {
                    "description": "of each cell, row by row: when it was captured, RFC 3339, or - where nothing is "
                    "recorded and it is black; with commas between",
                    "schema": {"type": "string"},
                },
                "X-Columns": {"description": "cells a row", "schema": {"type": "integer"}},
                "X-Cell": {"description": "pixels of a cell: 160x90", "schema": {"type": "string"}},
            }
        }
    }
    | problems(s400=_TIME, s404="no such camera", s503="too many ask at once"),
)
async def get_thumbnails(
    camera: KnownCamera,
    ports: PortsDependency,
    request: Request,
    *,
    start: TimeText,
    end: TimeText,
    count: Annotated[int, Query(ge=1, le=_MOST_IN_STRIP, description="how many")],
    width: _Width = 160,
) -> Response:
    """The key frames of the middles of `count` equal parts of a range, in one picture. Whoever hangs up saves the work."""
    wanted = parse_range(start, end, LONGEST_TIMELINE_NS)
    thumbnails = wired(ports.thumbnails, "thumbnails are not made")
    work = thumbnails.strip(camera.camera.id, wanted.start_ns, wanted.end_ns, count, width)
    try:
        strip = await while_connected(work, request.receive)
    except ClientGone:
        return Response(status_code=GONE_STATUS)
    headers = {
        "X-Times": ",".join("-" if at_ns is None else rfc3339(at_ns) for at_ns in strip.times_ns),
        "X-Columns": str(strip.columns),
        "X-Cell": f"{strip.width}x{strip.height}",
    }
    return _picture(strip.jpeg, ports, wanted.end_ns, headers)


def _picture(jpeg: bytes, ports: Ports, until_ns: int, headers: Mapping[str, str]) -> Response:
    """until_ns: the latest time that it is of."""
    settled = until_ns < ports.clock.wall_ns() - _SETTLED_NS
    kept = f"private, max-age={_KEPT_S if settled else _KEPT_NEW_S}"
    return Response(jpeg, media_type="image/jpeg", headers={**headers, "Cache-Control": kept})
