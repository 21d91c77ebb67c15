"""Headers of answers: what a browser may do with them, and who else may read them."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vms.api.guard import WHEP_PATH, is_web_app

_EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# blob: is hls.js's media source and its worker; inline styles are how the component library sets variables.
_WEB_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


def _web_policy(headers: Headers) -> str:
    """The policy of the web app, which may also connect to the stream workers' ports of the host that it is from."""
    host = _HOST.match(headers.get("host", ""))
    if host is None:
        return _WEB_POLICY
    name = host[0]
    return _WEB_POLICY.replace(
        "connect-src 'self'", f"connect-src 'self' ws://{name}:* wss://{name}:* https://{name}:*"
    )


class SecurityHeaders:
    """Puts the headers on every answer that tell a browser to trust it with nothing it does not need."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        policy = _web_policy(Headers(scope=scope)) if is_web_app(scope["path"]) else _API_POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _EVERYWHERE.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", policy)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class WhepCors:
    """Lets players of other origins use WHEP (draft-ietf-wish-whep §4.1), only where a token guards it.

    Without a token, a page of any site could otherwise watch this machine's cameras. Credentials mode is
    not allowed: a cookie is never taken from another origin.
    """

    def __init__(self, app: ASGIApp, token_required: bool) -> None:
        self._app = app
        self._token_required = token_required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._token_required or WHEP_PATH.fullmatch(scope["path"]) is None:
            await self._app(scope, receive, send)
            return
        preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["access-control-allow-origin"] = "*"
                headers["access-control-expose-headers"] = (
                    "Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After, X-Stream"
                )
                headers["cross-origin-resource-policy"] = "cross-origin"
                if preflight:
                    headers["access-control-allow-methods"] = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
                    headers["access-control-allow-headers"] = "Authorization, Content-Type, If-Match"
                    headers["access-control-max-age"] = "600"
            await send(message)

        await self._app(scope, receive, send_with_headers)
