"""WHEP sessions as HTTP resources: their entity tags, and the ICE fragments that players PATCH to them.

The server is an ICE-lite agent (RFC 8445 §2.5): it answers checks and never makes any, so a player's
candidates are accepted and need no use. A restart would need new credentials from the media server; it is
refused with 422, as draft-ietf-wish-whep says for a session that supports trickling alone.
"""

import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass

from vms.common.errors import InvalidInput
from vms.common.ids import CameraId

TRICKLE_TYPE = "application/trickle-ice-sdpfrag"
SESSIONS_MAX = 20_000
_LINE = re.compile(r"[a-z]=.*")


@dataclass(frozen=True, slots=True)
class WhepSession:
    """etag: quoted, names the one ICE session it will have. ufrag: the player's, from its offer."""

    camera_id: CameraId
    etag: str
    ufrag: str | None


class WhepSessions:
    """Sessions given out here, newest kept. One that ended by itself is forgotten when asked for or too old."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, WhepSession] = OrderedDict()

    def add(self, session_id: str, camera_id: CameraId, offer: str) -> WhepSession:
        session = WhepSession(camera_id, f'"{secrets.token_hex(8)}"', _attribute(offer, "ice-ufrag"))
        self._sessions[session_id] = session
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return session

    def get(self, camera_id: CameraId, session_id: str) -> WhepSession | None:
        session = self._sessions.get(session_id)
        return session if session is not None and session.camera_id == camera_id else None

    def remove(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)


def is_restart(fragment: str, session: WhepSession) -> bool:
    """Whether an SDP fragment (RFC 8840 §9) changes the player's ICE credentials. Raises InvalidInput."""
    lines = [line for line in re.split(r"\r?\n", fragment) if line]
    if not lines or any(_LINE.fullmatch(line) is None for line in lines):
        raise InvalidInput(f"the body is no {TRICKLE_TYPE}: every line must be such as a=candidate:…")
    ufrag = _attribute(fragment, "ice-ufrag")
    if ufrag is None or _attribute(fragment, "ice-pwd") is None:
        raise InvalidInput("the fragment must hold a=ice-ufrag and a=ice-pwd (RFC 8840 §4.4)")
    return session.ufrag is not None and ufrag != session.ufrag


def _attribute(sdp: str, name: str) -> str | None:
    match = re.search(rf"^a={name}:(\S+)\r?$", sdp, re.MULTILINE)
    return match[1] if match else None
