"""Logging in from a browser: the token once, then a cookie that scripts cannot read."""

from typing import cast

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException
from starlette.requests import Request

from vms import __version__
from vms.api.auth import COOKIE_NAME, SESSION_S, Authenticator, Credential, session_cookie
from vms.api.documents import Login, Session
from vms.api.failure_limit import FailureLimit
from vms.api.guard import API_PREFIX
from vms.api.routes.dependencies import problems, readable

router = APIRouter(prefix=f"{API_PREFIX}/session", tags=["session"])


def _authenticator(request: Request) -> Authenticator:
    return cast(Authenticator, request.app.state.authenticator)


@readable(router, "")
async def get_session(request: Request, response: Response) -> Session:
    """Whether a token is needed, and whether this request shows one. Open to all."""
    response.headers["Cache-Control"] = "no-store"
    authenticator = _authenticator(request)
    authenticated = authenticator.credential(request.headers) is not Credential.NONE
    return Session(required=authenticator.required, authenticated=authenticated, version=__version__)


@router.post("", responses=problems(s401="the token is wrong", s429="too many wrong tokens: see Retry-After"))
async def log_in(body: Login, request: Request, response: Response) -> Session:
    """Exchange the token for a session cookie (12 hours; HttpOnly, SameSite=Strict)."""
    response.headers["Cache-Control"] = "no-store"
    authenticator = _authenticator(request)
    if authenticator.required:
        _check(body.token, authenticator, cast(FailureLimit, request.app.state.failure_limit), request)
        # Behind a proxy that ends TLS the request is plain; the page's own origin tells what the browser uses.
        secure = "https" in (request.url.scheme, request.headers.get("origin", "").partition(":")[0])
        response.set_cookie(
            COOKIE_NAME,
            authenticator.new_session(),
            max_age=SESSION_S,
            httponly=True,
            secure=secure,
            samesite="strict",
        )
    return Session(required=authenticator.required, authenticated=True, version=__version__)


@router.delete("", status_code=204)
async def log_out(request: Request, response: Response) -> None:
    """End the session of this cookie; a copy of it is worthless from then on."""
    value = session_cookie(request.headers)
    if value is not None:
        _authenticator(request).end_session(value)
    response.delete_cookie(COOKIE_NAME, httponly=True, samesite="strict")


def _check(token: str, authenticator: Authenticator, limit: FailureLimit, request: Request) -> None:
    address = request.client.host if request.client else ""
    wait_s = limit.wait_s(address)
    if wait_s > 0:
        raise HTTPException(
            429, f"too many wrong tokens; try again in {wait_s} s", {"Retry-After": str(wait_s)}
        )
    if not authenticator.is_token(token):
        limit.failed(address)
        raise HTTPException(401, "the token is wrong", {"WWW-Authenticate": 'Bearer realm="vms"'})
