"""The ICE fragments that players PATCH to their WHEP sessions.

The server is an ICE-lite agent (RFC 8445 §2.5): it answers checks and never makes any, so a player's
candidates are accepted and need no use. New credentials of the player begin an ICE restart.
"""

import re

from vms.common.errors import InvalidInput
from vms.wire.webrtc.negotiation import NegotiationError, check_credentials

TRICKLE_TYPE = "application/trickle-ice-sdpfrag"
_LINE = re.compile(r"[a-z]=.*")


def ufrag_of(fragment: str) -> str:
    """The player's ufrag in an SDP fragment (RFC 8840 §9). Raises InvalidInput.

    Another one than before means an ICE restart (RFC 8839 §4.4.1.1.1).
    """
    lines = [line for line in re.split(r"\r?\n", fragment) if line]
    if not lines or any(_LINE.fullmatch(line) is None for line in lines):
        raise InvalidInput(f"the body is no {TRICKLE_TYPE}: every line must be such as a=candidate:…")
    ufrag, pwd = _attribute(fragment, "ice-ufrag"), _attribute(fragment, "ice-pwd")
    if ufrag is None or pwd is None:
        raise InvalidInput("the fragment must hold a=ice-ufrag and a=ice-pwd (RFC 8840 §4.4)")
    return ufrag


def new_ufrag_of(fragment: str) -> str:
    """As `ufrag_of`, of credentials that are to be used. Raises InvalidInput."""
    ufrag = ufrag_of(fragment)
    try:
        check_credentials(ufrag, _attribute(fragment, "ice-pwd") or "")
    except NegotiationError as error:
        raise InvalidInput(f"the fragment cannot begin an ICE restart: {error}") from None
    return ufrag


def _attribute(sdp: str, name: str) -> str | None:
    match = re.search(rf"^a={name}:(\S+)\r?$", sdp, re.MULTILINE)
    return match[1] if match else None
