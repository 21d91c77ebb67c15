"""The STUN and TURN servers that viewers are told to use, from configuration.

A TURN server with a shared secret gets a user name and password that end by themselves
(draft-uberti-behave-turn-rest-00 §2.2), so that what a browser was told is of no use the day after. Our server
never uses them: it is ICE-lite and reached at its own addresses; they are for viewers whose network lets
nothing but TURN out.

Belongs here: credentials, and the Link headers of WHEP. Does not: a TURN server.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vms.common.clock import NS, Clock
from vms.config import WebRtcConfig

TURN_USER = "vms"
CREDENTIAL_LIFE_S = 24 * 3600  # longer than anybody watches one session, and as long as TURN servers expect


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of RTCConfiguration.iceServers. username, credential: both or none."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def document(self) -> Mapping[str, object]:
        """As RTCIceServer has it in JSON."""
        found: dict[str, object] = {"urls": list(self.urls)}
        if self.credential is not None:
            found |= {"username": self.username, "credential": self.credential}
        return found


def ice_servers(config: WebRtcConfig, clock: Clock) -> Sequence[IceServer]:
    """The configured servers, with credentials that are valid from now on."""
    found: list[IceServer] = []
    for server in config.ice_servers:
        username = server.username
        credential = server.credential.get_secret_value() if server.credential is not None else None
        if server.secret is not None:
            expires_s = clock.wall_ns() // NS + CREDENTIAL_LIFE_S
            username = f"{expires_s}:{TURN_USER}"
            digest = hmac.digest(server.secret.get_secret_value().encode(), username.encode(), hashlib.sha1)
            credential = base64.b64encode(digest).decode()
        found.append(IceServer(server.urls, username, credential))
    return found


def link_headers(servers: Sequence[IceServer]) -> list[str]:
    """The values of Link that name them, one a URL (draft-ietf-wish-whep §4.4, RFC 9725 §4.4)."""
    found: list[str] = []
    for server in servers:
        parameters = '; rel="ice-server"'
        if server.credential is not None:
            parameters += (
                f"; username={_quoted(server.username or '')}; credential={_quoted(server.credential)}"
                '; credential-type="password"'
            )
        found += [f"<{url}>{parameters}" for url in server.urls]
    return found


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
