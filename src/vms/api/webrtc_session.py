"""What WHEP and WHIP have in common: SDP in and out, ICE servers in Link headers, trickling and ICE restarts.

Belongs here: the HTTP of one WebRTC session (RFC 9725, draft-ietf-wish-whep). Does not: who watches (live), who
publishes (whip).
"""

from collections.abc import Sequence
from typing import Protocol

from fastapi import Response
from starlette.exceptions import HTTPException
from starlette.requests import Request

from vms.api.ice_servers import IceServer, link_headers
from vms.api.ports import LiveSession, Restarted
from vms.api.trickle import TRICKLE_TYPE, new_ufrag_of, ufrag_of
from vms.common.errors import InvalidInput

SDP_TYPE = "application/sdp"


class Restartable(Protocol):
    """Whose sessions' ICE can be restarted: viewers', publishers'."""

    async def restart(self, session_id: str, ufrag: str) -> Restarted: ...


async def text_of(request: Request, media_type: str) -> str:
    """The body. Raises 415 for another media type, InvalidInput for what is no text."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        header = "Accept-Post" if media_type == SDP_TYPE else "Accept-Patch"
        raise HTTPException(415, f"the body must be {media_type}", {header: media_type})
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError:
        raise InvalidInput("the body is not UTF-8 text") from None


def linked(response: Response, servers: Sequence[IceServer]) -> Response:
    """`response`, with the servers to use in its headers."""
    for value in link_headers(servers):
        response.headers.append("Link", value)
    return response


async def trickled(
    sessions: Restartable, session_id: str, session: LiveSession, request: Request
) -> Response:
    """Answer a PATCH: candidates are taken, new credentials restart ICE. Raises 412, 415, 428, InvalidInput."""
    fragment = await text_of(request, TRICKLE_TYPE)
    tag = request.headers.get("if-match")
    if tag is None:
        raise HTTPException(428, "send If-Match with the ETag of the 201 answer, or * to restart ICE")
    if tag != session.etag and tag.strip('"') != "*":
        raise HTTPException(412, "If-Match names another ICE session")
    if ufrag_of(fragment) == session.ufrag:
        return Response(status_code=204)
    restarted = await sessions.restart(session_id, new_ufrag_of(fragment))
    headers = {"ETag": restarted.session.etag, "Cache-Control": "no-store"}
    return Response(restarted.fragment, 200, headers, media_type=TRICKLE_TYPE)
