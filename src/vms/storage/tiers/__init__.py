"""Where closed recordings go when they are older: other disks, network shares, S3 buckets.

A copy in a tier is the file as it lies on its volume, byte for byte, encrypted where it is encrypted there, at
``TIER/VOLUME ID/CAMERA/DAY/NAME``. The catalog of the volume says which tier has a recording.

Belongs here: the kinds of tiers, moving into them, reading out of them. Does not: what is deleted there (retention),
rows (catalog), what is in a file (vms.format).
"""

from vms.storage.tiers.errors import CopyDiffers, TierFull, TierUnavailable
from vms.storage.tiers.mover import TierMover
from vms.storage.tiers.opening import open_tiers
from vms.storage.tiers.store import StoredFile, TierStore

__all__ = [
    "CopyDiffers",
    "StoredFile",
    "TierFull",
    "TierMover",
    "TierStore",
    "TierUnavailable",
    "open_tiers",
]
