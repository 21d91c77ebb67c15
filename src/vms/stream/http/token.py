"""Tokens in the URLs of a stream worker: short-lived, for one camera and one use.

A browser can set no header on a WebSocket, and a player none at all, so the right to watch is in the URL.
A token is ``expiry (8 bytes, Unix ns, big-endian) | HMAC-SHA256 (32 bytes)`` in URL-safe base64. It may be
used more than once until it expires; what it began goes on after that.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.stream.errors import Refused

WATCH = "watch"
LIFETIME_NS = 60 * NS
"""To connect in."""
SECRET_PURPOSE = "stream url"  # noqa: S105 - what the installation's secret is derived for
_EXPIRY_BYTES, _MAC_BYTES = 8, 32
_CHARACTERS = 54  # of 40 bytes, without padding


def mint(secret: bytes, camera_id: CameraId, use: str, expires_ns: int) -> str:
    """A token for a camera and a use, valid before `expires_ns` (Unix)."""
    expiry = expires_ns.to_bytes(_EXPIRY_BYTES)
    return urlsafe_b64encode(expiry + _mac(secret, camera_id, use, expiry)).rstrip(b"=").decode()


def check(secret: bytes, token: str, camera_id: CameraId, use: str, now_ns: int) -> int:
    """When it expires. Raises Refused: 401 without a token that is one, 403 for one of another camera or use, or an
    expired one."""
    try:
        if len(token) != _CHARACTERS:
            raise ValueError
        data = urlsafe_b64decode(token + "==")
    except (ValueError, Base64Error):
        raise Refused(
            "a token is needed: ask GET /api/v1/cameras/{id}/live for a new URL", known=False
        ) from None
    expiry, mac = data[:_EXPIRY_BYTES], data[_EXPIRY_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, camera_id, use, expiry)):
        raise Refused("the token is not one for this camera and this use", known=True)
    expires_ns = int.from_bytes(expiry)
    if now_ns >= expires_ns:
        raise Refused("the token has expired: ask GET /api/v1/cameras/{id}/live for a new URL", known=True)
    return expires_ns


def _mac(secret: bytes, camera_id: CameraId, use: str, expiry: bytes) -> bytes:
    message = b"\0".join((b"vms stream url 1", use.encode(), camera_id.encode(), expiry))
    return hmac.digest(secret, message, "sha256")
