"""Whether recordings are as they were recorded, and small pictures of them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from vms.api.export_documents import VerificationDocument, verification_document
from vms.api.guard import API_PREFIX
from vms.api.routes.dependencies import KnownCamera, PortsDependency, content, problems, readable, wired
from vms.api.times import LONGEST_PLAYBACK_NS, TimeText, parse_range, parse_time
from vms.common.clock import NS, rfc3339

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}")
_TIME = "a time or range is wrong"
_SETTLED_NS = 3600 * NS
"""The picture of a time that is so long ago does not change any more: its recording is closed."""


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
    camera: KnownCamera,
    ports: PortsDependency,
    at: TimeText,
    width: Annotated[int, Query(ge=80, le=640, description="pixels")] = 160,
) -> Response:
    """The key frame at or before a time, small: for a timeline under a pointer."""
    at_ns = parse_time(at, "at")
    thumbnails = wired(ports.thumbnails, "thumbnails are not made")
    found = await thumbnails.thumbnail(camera.camera.id, at_ns, width)
    settled = at_ns < ports.clock.wall_ns() - _SETTLED_NS
    headers = {
        "X-Time": rfc3339(found.time_ns),
        "Cache-Control": "private, max-age=86400" if settled else "private, max-age=10",
    }
    return Response(found.jpeg, media_type="image/jpeg", headers=headers)
