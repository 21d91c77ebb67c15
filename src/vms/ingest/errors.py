"""What can be wrong with a camera, each with a slug for programs and a text for people.

SourceError (Unavailable)
├── SourceUnreachable   no answer; the address, the network or the camera is down
├── SourceUnauthorized  it wants other credentials
├── SourceRefused       it answered, and said no: too many clients, another transport
│   └── SourceNotFound  it has no such stream
├── SourceUnsupported   it offers nothing that this system can take
├── SourceProtocolError it breaks the protocol
├── NoFrames            connected, but no pictures come
├── SourceEnded         the camera ended the session
└── PublisherLeft       whoever published the camera's stream has gone

InvalidInput
└── OfferRefused        a publisher's SDP offer cannot be answered
Conflict
└── PublisherPresent    somebody publishes the camera already
"""

from vms.common.errors import Conflict, InvalidInput, Unavailable
from vms.media import GapReason


class SourceError(Unavailable):
    """A camera does not deliver; its supervisor tries again after a back-off. The text is safe to show."""

    code = "failed"
    gap_reason = GapReason.CAMERA_LOST


class SourceUnreachable(SourceError):
    code = "unreachable"


class SourceUnauthorized(SourceError):
    code = "unauthorized"


class SourceRefused(SourceError):
    code = "refused"


class SourceNotFound(SourceRefused):
    code = "not_found"


class SourceUnsupported(SourceError):
    code = "unsupported_codec"


class SourceProtocolError(SourceError):
    code = "protocol_error"


class NoFrames(SourceError):
    code = "no_frames"
    gap_reason = GapReason.NO_FRAMES


class SourceEnded(SourceError):
    code = "ended"


class PublisherLeft(SourceError):
    code = "no_publisher"


class OfferRefused(InvalidInput):
    """The SDP offer breaks its rules, or sends nothing that this system takes; the text says what."""


class PublisherPresent(Conflict):
    """Somebody publishes the camera already; trying again once it has gone helps."""

    reason = "publisher_present"
