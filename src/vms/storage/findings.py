"""What a check of a volume finds.

Belongs here: names for it. Does not: finding it (fsck).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from uuid import UUID

from vms.storage.anatomy import Condition


class Level(IntEnum):
    """How deep to look; each includes those before it."""

    CATALOG = 1
    STRUCTURE = 2
    DIGESTS = 3


class Kind(StrEnum):
    """What was found. The first group is worth knowing and no fault."""

    SET_ASIDE = "set_aside"  # a damaged, zero-filled or foreign file under the name that says so
    OTHER_FILE = "other_file"  # not of this system; left alone
    BEING_WRITTEN = "being_written"
    UNSIGNED = "unsigned"  # recorded without a signer

    CATALOG_MISSING = "catalog_missing"
    CATALOG_DAMAGED = "catalog_damaged"
    ROW_WITHOUT_FILE = "row_without_file"
    FILE_WITHOUT_ROW = "file_without_row"
    COPY = "copy"  # a second file of one recording
    SIZE_DIFFERS = "size_differs"
    DELETION_UNFINISHED = "deletion_unfinished"
    OBJECT_WITHOUT_ROW = "object_without_row"
    TIER_AWAY = "tier_away"
    TORN = "torn"
    EMPTY = "empty"
    ZERO_FILLED = "zero_filled"
    DAMAGED = "damaged"
    FOREIGN = "foreign"
    KEY_UNKNOWN = "key_unknown"
    UNREADABLE = "unreadable"  # the disk refuses
    CHANGED = "changed"
    UNTRUSTED = "untrusted"
    CHAIN_BROKEN = "chain_broken"


_NO_FAULT = frozenset({Kind.SET_ASIDE, Kind.OTHER_FILE, Kind.BEING_WRITTEN, Kind.UNSIGNED})
OF_CONDITION: Mapping[Condition, Kind] = {
    Condition.TORN: Kind.TORN,
    Condition.EMPTY: Kind.EMPTY,
    Condition.ZEROS: Kind.ZERO_FILLED,
    Condition.DAMAGED: Kind.DAMAGED,
    Condition.FOREIGN: Kind.FOREIGN,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """name: of the file, relative to the volume, "" for the volume itself. tier: "" for the volume's own files."""

    kind: Kind
    name: str
    detail: str
    segment_id: UUID | None = None
    tier: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong."""
        return self.kind not in _NO_FAULT
