"""What a keeper tells people of its volume, besides what it knows anyway.

Belongs here: sums over locked footage, tiers and findings as `KeeperState` has them. Does not: alarms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from vms.common.clock import NS, Clock
from vms.storage.keeping import TierState
from vms.storage.kept_volume import KeptVolume
from vms.storage.repair import RecoveryCounters
from vms.storage.tiers import TierMover

LOCKED_INTERVAL_NS = 60 * NS


class LockedBytes:
    """How much of a volume and its tiers evidence locks keep; summed once a minute, and when locks change.

    Footage is summed camera by camera, so that the catalog answers others in between.
    """

    def __init__(self, volume: KeptVolume, clock: Clock) -> None:
        self.size_bytes = 0
        self._volume = volume
        self._clock = clock
        self._due_ns = 0

    def changed(self) -> None:
        """Other footage is locked than before."""
        self._due_ns = 0

    async def look(self) -> None:
        """Sum it when that is due. Raises CatalogUnusable."""
        if self._clock.monotonic_ns() < self._due_ns:
            return
        self._due_ns = self._clock.monotonic_ns() + LOCKED_INTERVAL_NS
        total = 0
        for camera_id, spans in self._volume.locks.times.spans.items():
            total += await self._volume.catalog.run(
                lambda each, camera_id=camera_id, spans=spans: each.range_bytes(camera_id, spans)  # type: ignore[misc]
            )
        self.size_bytes = total


def tier_states(mover: TierMover | None) -> Sequence[TierState]:
    """The tiers in their order."""
    if mover is None:
        return ()
    return tuple(
        TierState(tier.name, tier.kind, tier.used_bytes, tier.quota_bytes, tier.error or "")
        for tier in mover.states()
    )


def found_of(counters: RecoveryCounters) -> Mapping[str, int]:
    """What recovery met since the start, without what it did not meet."""
    return {what: count for what, count in asdict(counters).items() if count}
