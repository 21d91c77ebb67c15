"""Check a volume and put in order what can be, with the code that a keeper uses at its start.

What is damaged in the middle of a closed file is left as it is: it plays around the damage, and a file that was written
anew would have lost its signature.

Belongs here: the order, and what became of findings. Does not: looking (fsck), doing (recovery, repair).
"""

from collections.abc import Iterator
from contextlib import suppress

from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.storage import disk, recovery
from vms.storage.anatomy import Condition, examine
from vms.storage.catalog import Catalog
from vms.storage.deletion import end_deletions
from vms.storage.findings import Finding, Kind, Level
from vms.storage.fsck import Judge, VolumeChecker
from vms.storage.fsck_files import Contents
from vms.storage.kept_volume import KeptVolume
from vms.storage.keyring import KeyUnknown
from vms.storage.layout import CATALOG_NAME, day_name
from vms.storage.recent import DayDirectory
from vms.storage.repair import RecoveryCounters, repair

_ROUNDS = 3
_REWRITTEN = frozenset({Kind.TORN, Kind.EMPTY, Kind.ZERO_FILLED, Kind.FOREIGN})
"""A file with a row that is one of these is taken up anew, as one that has none."""


class VolumeRepairer:
    """Repairs one volume that nobody else keeps. Methods block.

    counters: what was done. checker: of the last day, with what it counted.
    """

    def __init__(
        self, volume: KeptVolume, contents: Contents, *, level: Level, judge: Judge | None = None
    ) -> None:
        """volume: open. Raises CatalogUnusable."""
        self.counters = RecoveryCounters()
        self._volume = volume
        self._contents = contents
        self._catalog = Catalog(volume.path / CATALOG_NAME, volume.path, read_only=True)
        self.checker = VolumeChecker(contents, self._catalog, level=level, judge=judge)
        # The second look is for what is left; digests are not changed by any repair
        shallow = min(level, Level.STRUCTURE)
        self._again = VolumeChecker(contents, self._catalog, level=Level(shallow), judge=None)

    def close(self) -> None:
        self._catalog.close()

    def repair(self) -> Iterator[tuple[Finding, bool]]:
        """Every finding, and whether it was put in order. Raises StorageError and OSError."""
        end_deletions(self._volume)
        for camera_id in self.checker.cameras():
            for day_ns in self.checker.days(camera_id):
                yield from self._repair_day(camera_id, day_ns)

    def _repair_day(self, camera_id: CameraId, day_ns: int) -> Iterator[tuple[Finding, bool]]:
        found = list(self.checker.check_day(camera_id, day_ns))
        if not any(each.is_fault for each in found):
            yield from ((each, False) for each in found)
            return
        left = found
        for _ in range(_ROUNDS):
            before = {_key(each) for each in left}
            self._put_in_order(camera_id, day_ns, left)
            left = list(self._again.check_day(camera_id, day_ns))
            if not any(each.is_fault and _key(each) not in before for each in left):
                break  # one thing in order can show another: a copy is the only file once its row is gone
        lasting = {_key(each) for each in left}
        for each in found:
            beyond = _key(each) in lasting or each.kind in _BEYOND_REPAIR
            yield each, each.is_fault and not beyond
        known = {_key(each) for each in found}
        yield from ((each, False) for each in left if each.is_fault and _key(each) not in known)

    def _put_in_order(self, camera_id: CameraId, day_ns: int, found: list[Finding]) -> None:
        volume, catalog = self._volume, self._volume.catalog
        anew = [each for each in found if each.kind in _REWRITTEN and each.segment_id and not each.tier]
        for each in anew:
            # While its row says that it was closed before: what was changed since is not signed again
            repair(volume, each.name, self.counters)
        if anew:
            ids = [each.segment_id for each in anew if each.segment_id]
            catalog.submit(lambda each: each.remove(ids)).result()
        directory = volume.path / camera_id / day_name(day_ns)
        settled = recovery.reconcile(volume, DayDirectory(camera_id, directory, day_ns), self.counters)
        if settled.failure is not None:
            raise settled.failure
        for tier, store in self._contents.tiers.items():
            names = [
                each.name for each in found if each.kind is Kind.OBJECT_WITHOUT_ROW and each.tier == tier
            ]
            recovery.adopt(volume, store, names, self.counters)
        for each in found:
            if each.kind is Kind.DELETION_UNFINISHED:
                self._end_move(each)
            elif each.kind is Kind.ROW_WITHOUT_FILE and each.tier and each.segment_id:
                recovery.drop_lost(volume, each.segment_id, self.counters)

    def _end_move(self, finding: Finding) -> None:
        """Remove a copy that is left where its recording is no longer, if the one that counts is whole."""
        row = self._catalog.find(finding.segment_id) if finding.segment_id else None
        if row is None or row.tier == finding.tier:
            return
        name, day = self._contents.name_of(row), self._contents.day(row.camera_id, row.start_ns)
        with (
            suppress(FileNotFoundError, KeyUnknown, FormatError, Unavailable),
            day.open(name, row.tier) as body,
        ):
            found = examine(body, deep=True)
            if found.condition is Condition.WHOLE and body.size_bytes == row.size_bytes:
                self._remove(finding)

    def _remove(self, finding: Finding) -> None:
        if finding.tier:
            self._contents.tiers[finding.tier].delete([finding.name])
        else:
            disk.remove_all([self._volume.path / finding.name], self._volume.path)


_BEYOND_REPAIR = frozenset({Kind.CHANGED, Kind.UNTRUSTED, Kind.CHAIN_BROKEN, Kind.UNREADABLE, Kind.TIER_AWAY})


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.name, finding.tier
