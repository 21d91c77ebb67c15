"""Check a volume: its catalog against its files, what is in the files, and whether that is what was recorded.

    catalog     every row has its file, every file its row, nothing lies about that nobody knows
    structure   every file is whole: index, final moov, and every fragment
    digests     every fragment has the digest that was signed, and every file follows the one before

Without repair nothing is written, and the system may run. With it, what the keeper would do at a start is done here and
now, by the same code: torn files are completed, files get their rows, rows without a file go, whole catalogs are made anew.
Damaged, zero-filled and foreign files are set aside under names that say so. Nothing is deleted, but beginnings of files
without one whole fragment, which hold no footage.

Belongs here: comparing, and saying what was found. Does not: repairing (recovery, repair), telling what a file is (anatomy),
judging signatures (vms.evidence), the command line (vms.commands.fsck).
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import UUID

from vms.common.errors import Unavailable
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.storage.anatomy import Condition, examine
from vms.storage.body import Body
from vms.storage.catalog import Catalog
from vms.storage.errors import CatalogUnusable
from vms.storage.findings import OF_CONDITION, Finding, Kind, Level
from vms.storage.fsck_files import Contents, DayContents
from vms.storage.keyring import KeyUnknown
from vms.storage.layout import ASIDE_SUFFIXES, CATALOG_NAME, DAY_NS, is_recording_name
from vms.storage.segment import Segment

Judge = Callable[[Segment, Body, bytes | None], Iterable[tuple[Kind, str]]]
"""Says what is wrong with the digests and the signature of a file; files of a camera come in the order of time. Last: the
chain digest that it had when its row was made, if it was signed."""


class VolumeChecker:
    """Looks at one volume without changing anything. Methods block; findings come as they are found.

    Counters: files, bytes (of recordings looked into).
    """

    def __init__(
        self, contents: Contents, catalog: Catalog | None, *, level: Level, judge: Judge | None
    ) -> None:
        """catalog: None when there is none that can be read. judge: for `Level.DIGESTS`."""
        self.files = 0
        self.bytes = 0
        self._contents = contents
        self._catalog = catalog
        self._level = level
        self._judge = judge
        self._deleting: set[UUID] = set()
        if catalog is not None:
            self._deleting = {segment.id for segment in catalog.deleting()}
            contents.doubt_empty_tiers(catalog.tier_bytes())

    def check(self) -> Iterator[Finding]:
        """All of the volume, camera by camera and day by day."""
        for camera_id in self.cameras():
            for day_ns in self.days(camera_id):
                yield from self.check_day(camera_id, day_ns)

    def cameras(self) -> list[CameraId]:
        """Those of the catalog, of the volume and of its tiers."""
        known = set(self._catalog.cameras()) if self._catalog is not None else set()
        return sorted(known | self._contents.cameras())

    def days(self, camera_id: CameraId) -> list[int]:
        """The days (UTC, ns) on which something of a camera begins."""
        known = set(self._catalog.days(camera_id)) if self._catalog is not None else set()
        return sorted(known | self._contents.days(camera_id))

    def check_day(self, camera_id: CameraId, day_ns: int) -> Iterator[Finding]:
        """One camera-day."""
        day = self._contents.day(camera_id, day_ns)
        yield from day.failures()
        rows = self._rows(camera_id, day_ns)
        names = {self._name(row): row for row in rows}
        for row in rows:
            yield from self._check_row(row, day)
        yield from self._check_files(day, names)
        yield from day.failures()

    # -- rows and files -----------------------------------------------------------------------------------

    def _rows(self, camera_id: CameraId, day_ns: int) -> list[Segment]:
        if self._catalog is None:
            return []
        return self._catalog.started_between(camera_id, day_ns, day_ns + DAY_NS)

    def _name(self, row: Segment) -> str:
        return self._contents.name_of(row)

    def _check_row(self, row: Segment, day: DayContents) -> Iterator[Finding]:
        name = self._name(row)
        size = day.size_of(name, row.tier)
        if size is None:
            if not day.is_away(row.tier) and self._is_lost(row, name, day):
                detail = "the catalog has it, and there is no such file"
                yield Finding(Kind.ROW_WITHOUT_FILE, name, detail, row.id, row.tier)
            return
        if self._level >= Level.STRUCTURE:
            yield from self._look_into(name, row, day)
        elif size < row.size_bytes:  # encrypted ones are longer than their rows say
            detail = f"{size} bytes; the catalog says {row.size_bytes}. --level structure says what it is"
            yield Finding(Kind.SIZE_DIFFERS, name, detail, row.id, row.tier)

    def _is_lost(self, row: Segment, name: str, day: DayContents) -> bool:
        """Whether it is neither there nor somewhere else meanwhile: a system that runs moves and deletes."""
        now = self._catalog.find(row.id) if self._catalog is not None else None
        return now is not None and now.tier == row.tier and not day.has(name, row.tier)

    def _is_left_over(self, row: Segment, name: str, tier: str, day: DayContents) -> bool:
        """Whether it is still there, and not the recording itself: a system that runs moves."""
        now = self._catalog.find(row.id) if self._catalog is not None else None
        return now is not None and now.tier != tier and day.has(name, tier)

    def _check_files(self, day: DayContents, rows: dict[str, Segment]) -> Iterator[Finding]:
        for tier, name in day.names():
            row = rows.get(name)
            if row is not None and row.tier == tier:
                continue
            if row is not None and self._is_copy(name, tier, row, day):
                if not self._is_left_over(row, name, tier, day):
                    continue
                detail = f"a copy that is left of a move to {row.tier or 'the volume'}"
                yield Finding(Kind.DELETION_UNFINISHED, name, detail, row.id, tier)
            elif not is_recording_name(name):
                aside = name.endswith(ASIDE_SUFFIXES)
                kind = Kind.SET_ASIDE if aside else Kind.OTHER_FILE
                yield Finding(kind, name, f"{day.size_of(name, tier)} bytes", tier=tier)
            else:
                found = self._without_row(name, tier, day)
                if found is not None:
                    yield found

    def _is_copy(self, name: str, tier: str, row: Segment, day: DayContents) -> bool:
        """Whether a file that has the name of a row's, in another place, is not another recording."""
        try:
            with day.open(name, tier) as body:
                file = examine(body).file
        except (OSError, FormatError, KeyUnknown, Unavailable):
            return False
        return file is not None and file.identity.segment_id == row.id

    def _without_row(self, name: str, tier: str, day: DayContents) -> Finding | None:
        """What a file is that no row named; None when it was closed, and got its row, since."""
        if not tier and day.is_locked(name):
            return Finding(Kind.BEING_WRITTEN, name, "a process of the system has it open")
        try:
            with day.open(name, tier) as body:
                found = examine(body)
        except FileNotFoundError:
            return Finding(Kind.OTHER_FILE, name, "it is gone meanwhile", tier=tier)
        except KeyUnknown as error:
            return Finding(Kind.KEY_UNKNOWN, name, str(error), tier=tier)
        except FormatError as error:
            return Finding(Kind.DAMAGED, name, str(error), tier=tier)
        except (OSError, Unavailable) as error:
            return Finding(Kind.UNREADABLE, name, _reason(error), tier=tier)
        if found.condition is not Condition.WHOLE:
            return Finding(OF_CONDITION[found.condition], name, found.detail, tier=tier)
        assert found.file is not None
        segment_id = found.file.identity.segment_id
        if segment_id in self._deleting:
            return Finding(Kind.DELETION_UNFINISHED, name, "its deletion was begun", segment_id, tier)
        row = self._catalog.find(segment_id) if self._catalog is not None else None
        if row is not None and (self._name(row), row.tier) == (name, tier):
            return None
        if row is not None:
            return Finding(Kind.COPY, name, f"the catalog has it as {self._name(row)}", segment_id, tier)
        kind = Kind.OBJECT_WITHOUT_ROW if tier else Kind.FILE_WITHOUT_ROW
        return Finding(kind, name, "whole, and the catalog does not know it", segment_id, tier)

    # -- what is in a file --------------------------------------------------------------------------------

    def _look_into(self, name: str, row: Segment, day: DayContents) -> Iterator[Finding]:
        self.files += 1
        self.bytes += row.size_bytes
        try:
            with day.open(name, row.tier) as body:
                for kind, detail in self._faults(row, body):
                    yield Finding(kind, name, detail, row.id, row.tier)
        except FileNotFoundError:
            return  # deleted, or moved, since it was listed
        except KeyUnknown as error:
            yield Finding(Kind.KEY_UNKNOWN, name, str(error), row.id, row.tier)
        except FormatError as error:
            yield Finding(Kind.DAMAGED, name, str(error), row.id, row.tier)
        except (OSError, Unavailable) as error:
            yield Finding(Kind.UNREADABLE, name, _reason(error), row.id, row.tier)

    def _faults(self, row: Segment, body: Body) -> Iterator[tuple[Kind, str]]:
        found = examine(body, deep=True)
        if found.condition is not Condition.WHOLE:
            yield OF_CONDITION[found.condition], found.detail
        elif found.file is not None and found.file.identity.segment_id != row.id:
            yield (
                Kind.FOREIGN,
                f"it is the recording {found.file.identity.segment_id}, not the one of its row",
            )
        elif body.size_bytes != row.size_bytes:
            yield Kind.SIZE_DIFFERS, f"{body.size_bytes} bytes; the catalog says {row.size_bytes}"
        if self._level >= Level.DIGESTS and self._judge is not None:
            chain = self._catalog.chain(row.id) if self._catalog is not None else None
            yield from self._judge(row, body, chain)


def open_catalog(volume: Path) -> tuple[Catalog | None, Finding | None]:
    """The catalog of a volume to read, or what is wrong with it."""
    path = volume / CATALOG_NAME
    if not path.exists():
        return None, Finding(
            Kind.CATALOG_MISSING, CATALOG_NAME, "there is none; --repair makes it from the files"
        )
    try:
        return Catalog(path, volume, read_only=True), None
    except CatalogUnusable as error:
        return None, Finding(Kind.CATALOG_DAMAGED, CATALOG_NAME, error.reason)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
