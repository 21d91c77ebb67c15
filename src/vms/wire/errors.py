"""What a peer on the network can do wrong.

    InvalidInput
    └── ProtocolError              the peer breaks its protocol
        ├── AuthenticationFailed   the peer refuses our credentials, or wants some and we have none
        ├── RequestRefused         the peer answers a request with an error status
        └── UnsupportedMedia       nothing in what the peer offers can be received
    Unavailable
    ├── PeerGone                   the connection ended
    │   └── PeerUnreachable        it could not be made
    └── PeerTimeout                the peer stays silent

Texts carry addresses without credentials.
"""

from vms.common.errors import InvalidInput, Unavailable


class ProtocolError(InvalidInput):
    """The peer sent something that its protocol does not allow."""


class AuthenticationFailed(ProtocolError):
    """The peer refuses our credentials, or asks for credentials and none were given."""


class RequestRefused(ProtocolError):
    """The peer answered a request with an error status (RFC 2326 §7.1.1), `reason` being its own words."""

    def __init__(self, message: str, status: int, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class UnsupportedMedia(ProtocolError):
    """The peer offers nothing that can be received; trying again helps only after a change on its side."""


class PeerGone(Unavailable):
    """The connection ended; trying again later is safe."""


class PeerUnreachable(PeerGone):
    """No connection could be made; trying again later is safe."""


class PeerTimeout(Unavailable):
    """The peer did not answer in time; trying again later is safe."""
