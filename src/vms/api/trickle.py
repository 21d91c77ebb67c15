"""The ICE fragments that players PATCH to their WHEP sessions.

The server is an ICE-lite agent (RFC 8445 §2.5): it answers checks and never makes any, so a player's
candidates are accepted and need no use. A restart would need new credentials from the media server; it is
refused with 422, as draft-ietf-wish-whep says for a session that supports trickling alone.
"""

import re

from vms.common.errors import InvalidInput

TRICKLE_TYPE = "application/trickle-ice-sdpfrag"
_LINE = re.compile(r"[a-z]=.*")


def is_restart(fragment: str, known_ufrag: str) -> bool:
    """Whether an SDP fragment (RFC 8840 §9) changes the player's ICE credentials. Raises InvalidInput.

    known_ufrag: the player's, from its offer.
    """
    lines = [line for line in re.split(r"\r?\n", fragment) if line]
    if not lines or any(_LINE.fullmatch(line) is None for line in lines):
        raise InvalidInput(f"the body is no {TRICKLE_TYPE}: every line must be such as a=candidate:…")
    ufrag = _attribute(fragment, "ice-ufrag")
    if ufrag is None or _attribute(fragment, "ice-pwd") is None:
        raise InvalidInput("the fragment must hold a=ice-ufrag and a=ice-pwd (RFC 8840 §4.4)")
    return ufrag != known_ufrag


def _attribute(sdp: str, name: str) -> str | None:
    match = re.search(rf"^a={name}:(\S+)\r?$", sdp, re.MULTILINE)
    return match[1] if match else None
