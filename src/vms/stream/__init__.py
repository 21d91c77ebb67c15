"""Live view: from a camera's hub to every viewer, each at its own pace and none at another's cost.

Belongs here: who watches what, packetising once, pacing, skipping, feedback. Does not: the protocols
(vms.wire.webrtc), HTTP (vms.api), cameras (vms.ingest).
"""

from vms.stream.errors import NotViewable, NotViewableReason, OfferInvalid
from vms.stream.hubs import HubLease, LeaseHub, own_hubs
from vms.stream.viewability import Viewability, viewability, viewability_of
from vms.stream.webrtc.service import Answer, Restarted, Session, StreamService

__all__ = [
    "Answer",
    "HubLease",
    "LeaseHub",
    "NotViewable",
    "NotViewableReason",
    "OfferInvalid",
    "Restarted",
    "Session",
    "StreamService",
    "Viewability",
    "own_hubs",
    "viewability",
    "viewability_of",
]
