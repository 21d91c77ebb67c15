"""What a keeper says of its volume that a person has to look at.

Belongs here: the slugs, and which hold. Does not: telling people (vms.app.events, vms.api).
"""

from collections.abc import Iterable, Mapping

from vms.storage.kept_volume import KeptVolume
from vms.storage.retention import Retention

FULL_OF_PROTECTED = "full_of_protected"
LOCKS_UNREADABLE = "locks_unreadable"
LOCKS_UNNAMED = "locks_unnamed"
VOLUME_FAILED, READ_ONLY, FULL = "volume_failed", "read_only", "full"
STALLED = "stalled"
TIER_UNREACHABLE, TIER_FULL = "tier_unreachable", "tier_full"

TEXTS: Mapping[str, str] = {
    FULL_OF_PROTECTED: "it is full of footage that evidence locks or minimum retention keep",
    LOCKS_UNREADABLE: "its evidence locks cannot be read, so nothing is deleted on it",
    LOCKS_UNNAMED: "it obeys evidence locks that the database does not know; was that restored from a backup?",
    VOLUME_FAILED: "it cannot be used",
    READ_ONLY: "it takes no more writes",
    FULL: "its disk is full",
    STALLED: "its disk does not take what is recorded; new recordings go to other volumes, where there are any",
    TIER_UNREACHABLE: "one of its tiers cannot be reached",
    TIER_FULL: "one of its tiers is full",
}


def alarms(
    volume: KeptVolume, retention: Retention, of_tiers: Iterable[str] = (), *, stalled: bool = False
) -> tuple[str, ...]:
    """The slugs that hold now. of_tiers: what the mover says, ``SLUG:TIER``. stalled: a media process says so."""
    found: list[str] = []
    kind = volume.kind_of_failure
    if kind not in (None, "starting"):
        found.append(kind if kind in (READ_ONLY, FULL) else VOLUME_FAILED)
    elif stalled:
        found.append(STALLED)
    if volume.locks.error is not None:
        found.append(LOCKS_UNREADABLE)
    if volume.locks.unnamed:
        found.append(LOCKS_UNNAMED)
    if retention.full_of_protected:
        found.append(FULL_OF_PROTECTED)
    found += [alarm.partition(":")[0] for alarm in of_tiers]
    return tuple(dict.fromkeys(found))
