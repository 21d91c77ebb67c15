"""From the configuration to the tiers of a volume.

Belongs here: which kind. Does not: using them.
"""

from collections.abc import Mapping
from uuid import UUID

from vms.config import TierConfig, VolumeConfig
from vms.storage.tiers.directory import MEMORY_NAME, DirectoryTier
from vms.storage.tiers.store import TierStore


def open_tiers(config: VolumeConfig, volume_id: UUID) -> Mapping[str, TierStore]:
    """The tiers of a volume by name, in their order. Asks no disk and no server, and raises nothing: use tells."""
    return {tier.name: _open(config, tier, volume_id) for tier in config.tiers}


def _open(config: VolumeConfig, tier: TierConfig, volume_id: UUID) -> TierStore:
    if tier.path is not None:
        return DirectoryTier(tier, volume_id, config.path.absolute() / MEMORY_NAME)
    # Only here: its library is large, and most systems have no bucket.
    from vms.storage.tiers.object import ObjectTier

    return ObjectTier(tier, volume_id)
