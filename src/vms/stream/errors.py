"""Why a viewer cannot be served.

InvalidInput
└── OfferInvalid     the viewer's SDP offer cannot be answered
Conflict
└── NotViewable      the stream cannot be watched over WebRTC as it is, with the reason
VmsError
└── Refused          who asks has no right to it
"""

from enum import StrEnum

from vms.common.errors import Conflict, InvalidInput, VmsError


class OfferInvalid(InvalidInput):
    """The SDP offer breaks its rules, or receives nothing that this server sends; the text says what."""


class NotViewableReason(StrEnum):
    NOT_LIVE = "not_live"  # nothing has come from the camera yet
    CODEC = "codec"  # browsers do not take this codec over WebRTC
    B_FRAMES = "b_frames"  # pictures are not in the order in which they are shown


class NotViewable(Conflict):
    """The stream cannot be watched over WebRTC as it is; the text says why and what to do."""

    def __init__(self, reason: NotViewableReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Refused(VmsError):
    """Who asks has no right to it. known: a right was shown, but not to this or no longer; else none was."""

    def __init__(self, message: str, *, known: bool) -> None:
        super().__init__(message)
        self.known = known
