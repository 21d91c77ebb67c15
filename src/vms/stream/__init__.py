"""Live view: from a camera's hub to every viewer, each at its own pace and none at another's cost.

Belongs here: who watches what, packetising once, pacing, skipping, feedback. Does not: the protocols
(vms.wire.webrtc), HTTP (vms.api), cameras (vms.ingest).
"""

from vms.stream.errors import NotViewable, NotViewableReason, OfferInvalid
from vms.stream.service import Answer, StreamService
from vms.stream.viewability import Viewability, viewability

__all__ = [
    "Answer",
    "NotViewable",
    "NotViewableReason",
    "OfferInvalid",
    "StreamService",
    "Viewability",
    "viewability",
]
