"""What every request passes before a route sees it. All of it denies by default.

- `HostCheck`: on loopback, only loopback names in Host; a web page that rebinds its own name to 127.0.0.1
  is refused.
- `Guard`: everything under /api and /metrics needs the token when there is one, but for the listed paths;
  a request that changes something and comes from another site's page needs the token itself.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from vms.api.auth import COOKIE_NAME, Authenticator, Credential, session_cookie
from vms.api.problems import problem_response

API_PREFIX = "/api/v1"
_HEALTH = {"GET", "HEAD"}
OPEN_PATHS: Mapping[str, set[str]] = {
    "/healthz": _HEALTH,
    "/readyz": _HEALTH,
    f"{API_PREFIX}/healthz": _HEALTH,
    f"{API_PREFIX}/readyz": _HEALTH,
    f"{API_PREFIX}/session": {"GET", "HEAD", "POST", "DELETE"},
}
"""Paths that answer without the token, each for the methods named. None of them shows a camera."""

WHEP_PATH = re.compile(rf"{API_PREFIX}/cameras/[^/]+/wh[ei]p(?:/[^/]+(?:/view)?)?")
_LOOPBACK_HOST = re.compile(
    r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE | re.ASCII
)
# A pattern that ends in $ also matches before a newline: the router would take "/metrics\n" for /metrics.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def is_web_app(path: str) -> bool:
    """Whether a path belongs to the web app, whose files hold no data; all else is the API."""
    first = path.lstrip("/").partition("/")[0].lower()
    return first not in ("api", "metrics", "healthz", "readyz")


def is_open(method: str, path: str) -> bool:
    """Whether a request needs no credentials. A WHEP preflight never carries any (draft-ietf-wish-whep)."""
    return (
        is_web_app(path)
        or method in OPEN_PATHS.get(path, ())
        or (method == "OPTIONS" and WHEP_PATH.fullmatch(path) is not None)
    )


class HostCheck:
    """Refuses names that do not mean this machine, while only this machine is served."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _LOOPBACK_HOST.fullmatch(Headers(scope=scope).get("host", "")):
            refusal = problem_response(
                421,
                "this server answers to localhost, 127.0.0.1 and [::1] alone; ask for one of them",
                scope["path"],
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Guard:
    """Lets a request through when it shows what its path and method need."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if _CONTROL.search(path):
            await problem_response(404, "nothing can be at this path", path)(scope, receive, send)
            return
        credential = self._authenticator.credential(headers)
        if credential is Credential.NONE and not is_open(method, path):
            refusal = problem_response(
                401,
                "needs the token of http.token: send it as Authorization: Bearer, or log in at POST /api/v1/session",
                path,
                headers={"WWW-Authenticate": 'Bearer realm="vms"'},
            )
            await refusal(scope, receive, send)
            return
        if method not in _SAFE_METHODS and credential is not Credential.BEARER and _from_elsewhere(headers):
            refusal = problem_response(
                403,
                "comes from a page of another site, which may change nothing here without a Bearer token",
                path,
            )
            await refusal(scope, receive, send)
            return
        if "cookie" in headers:
            scope["headers"] = _without_other_cookies(headers)
        await self._app(scope, receive, send)


def _without_other_cookies(headers: Headers) -> list[tuple[bytes, bytes]]:
    """No cookie but ours goes on: the framework reads every one with http.cookies, which takes seconds for
    a value that is made for it."""
    kept = [(name, value) for name, value in headers.raw if name != b"cookie"]
    if (value := session_cookie(headers)) is not None:
        kept.append((b"cookie", f"{COOKIE_NAME}={value}".encode()))
    return kept


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent this; what is no browser says nothing."""
    origin = headers.get("origin")
    if origin is not None and _host(origin) != headers.get("host", "").lower():
        return True
    return headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
