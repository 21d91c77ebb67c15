"""What can go wrong with SRT.

Unavailable
└── SrtUnavailable      the library is not installed, or cannot be used
ProtocolError
├── StreamIdInvalid     a stream id that says nothing that we understand
└── CallRefused         a listener refuses our call; `reason` says why
PeerGone
└── SrtGone             the connection ended
"""

from vms.common.errors import Unavailable
from vms.wire.errors import PeerGone, ProtocolError


class SrtUnavailable(Unavailable):
    """The library cannot be used here; the text says which package to install."""


class StreamIdInvalid(ProtocolError):
    """A stream id breaks its rules, or names nothing that we have a name for; the text says what is allowed."""


class CallRefused(ProtocolError):
    """A listener refuses our call. reason: one of `vms.wire.srt.RejectReason`, or a number that has no name there."""

    def __init__(self, message: str, reason: int) -> None:
        super().__init__(message)
        self.reason = reason


class SrtGone(PeerGone):
    """The connection ended; trying again later is safe."""
