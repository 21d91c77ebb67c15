"""Who may ask: the token of the configuration, as Bearer or behind a session cookie.

The cookie's value is ``v1.EXPIRY.NONCE.MAC``: it proves that its holder knew the token, is worth nothing
elsewhere, and does not contain the token. Changing the token or the installation's secret ends all sessions.

Belongs here: credentials. Does not: which paths need them (guard), HTTP routes (routes.session).
"""

import base64
import hashlib
import hmac
import os
import re
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

from starlette.datastructures import Headers

from vms.common.clock import NS, Clock

COOKIE_NAME = "vms_session"
SESSION_S = 12 * 3600
_REVOKED_MAX = 10_000  # ended sessions remembered until their time; beyond, the oldest are forgotten
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9._-]{1,256}")


class Credential(Enum):
    """What a request was let in by."""

    NONE = "none"
    OPEN = "open"  # no token is configured: loopback only
    BEARER = "bearer"
    COOKIE = "cookie"


class Authenticator:
    """Checks tokens and session cookies, in constant time.

    session_secret: 32 bytes that stay the same over restarts and belong to this installation alone.
    on_revoked: called when a session was ended here, so that others who check cookies can be told.
    """

    def __init__(self, token: str | None, session_secret: bytes, clock: Clock) -> None:
        self._digest = _digest(token) if token is not None else None
        self._key = hmac.digest(session_secret, self._digest or b"", "sha256")
        self._clock = clock
        self._revoked: OrderedDict[str, int] = OrderedDict()  # digest of the cookie → its expiry, Unix s
        self.on_revoked: Callable[[], None] = lambda: None

    @property
    def required(self) -> bool:
        return self._digest is not None

    def is_token(self, text: str) -> bool:
        """Whether `text` is the token. Digests are compared, so its length shows in no timing either."""
        return self._digest is not None and hmac.compare_digest(_digest(text), self._digest)

    def new_session(self) -> str:
        """A cookie value for someone who showed the token."""
        expiry_s = self._now_s() + SESSION_S
        body = f"v1.{expiry_s}.{_text(os.urandom(16))}"
        return f"{body}.{self._mac(body)}"

    def is_session(self, value: str) -> bool:
        """Whether `value` is a cookie that was given out here, has not expired and was not ended."""
        body, _, mac = value.rpartition(".")
        if not self.required or not hmac.compare_digest(self._mac(body).encode(), mac.encode()):
            return False
        return self._now_s() < _expiry_s(value) and session_digest(value) not in self._revoked

    def end_session(self, value: str) -> None:
        """Make a cookie worthless before its time, should a copy of it exist."""
        if self.is_session(value):
            self.revoke(session_digest(value), _expiry_s(value))
            self.on_revoked()

    def revoke(self, digest: str, expiry_s: int) -> None:
        """Take the cookie of this `session_digest` no more. expiry_s: when it would expire by itself, Unix s."""
        now_s = self._now_s()
        if expiry_s <= now_s:
            return
        self._revoked[digest] = min(expiry_s, now_s + SESSION_S)
        if len(self._revoked) > _REVOKED_MAX:
            self._forget_expired(now_s)
        if len(self._revoked) > _REVOKED_MAX:
            self._revoked.popitem(last=False)

    def revoked(self) -> dict[str, int]:
        """Sessions ended before their time that has not come yet: digest → expiry, Unix s."""
        self._forget_expired(self._now_s())
        return dict(self._revoked)

    def credential(self, headers: Headers) -> Credential:
        """What the request shows; a wrong Bearer token is not made up for by a cookie."""
        if not self.required:
            return Credential.OPEN
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return Credential.BEARER if self.is_token(token.strip()) else Credential.NONE
        value = session_cookie(headers)
        return Credential.COOKIE if value is not None and self.is_session(value) else Credential.NONE

    def _forget_expired(self, now_s: int) -> None:
        for digest in [digest for digest, expiry_s in self._revoked.items() if expiry_s <= now_s]:
            del self._revoked[digest]

    def _now_s(self) -> int:
        return self._clock.wall_ns() // NS

    def _mac(self, body: str) -> str:
        return _text(hmac.digest(self._key, body.encode(), "sha256"))


def session_digest(value: str) -> str:
    """What names a cookie to those who must not know it: SHA-256, hexadecimal."""
    return _digest(value).hex()


def session_cookie(headers: Headers) -> str | None:
    """The session cookie's value, where there is one that may be ours (RFC 6265 §5.4)."""
    # Not http.cookies: strangers send this, and its time grows with the square of a quoted value's length.
    for line in headers.getlist("cookie"):
        for pair in line.split(";"):
            name, _, value = pair.partition("=")
            if name.strip() == COOKIE_NAME and _COOKIE_VALUE.fullmatch(value.strip()):
                return value.strip()
    return None


def _expiry_s(value: str) -> int:
    """Of a cookie whose MAC is right."""
    return int(value.split(".")[1])


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
