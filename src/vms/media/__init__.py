"""The data path: access units, tracks, and the hub that fans them out.

Belongs here: what every producer and consumer of media shares.
Does not: bit streams (vms.format), protocols (vms.wire), cameras (vms.ingest), disks (vms.storage).
"""

from vms.media.gap import Gap, GapReason
from vms.media.hub import Hub, Sink
from vms.media.subscription import Subscription
from vms.media.track import Codec, MediaKind, Track
from vms.media.unit import AccessUnit

__all__ = ["AccessUnit", "Codec", "Gap", "GapReason", "Hub", "MediaKind", "Sink", "Subscription", "Track"]
