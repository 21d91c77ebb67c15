"""Bring files and catalog of a volume into agreement again, whatever ended the process that wrote them.

Every recording file without a row is one of: locked, so being written now (left alone), torn (repaired, gets its
row), whole (gets its row), without a single whole fragment (removed, said so), or unreadable (set aside under
another name, said so). A row whose file is gone is dropped, said so. A deletion that was begun is ended.

Belongs here: comparing directories with rows, and giving files their rows. Does not: repairing one file (repair),
when (keeper).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from vms.common.ids import CameraId
from vms.format.hybrid import RecoveryAction
from vms.storage import disk
from vms.storage.catalog import Catalog, CatalogRow
from vms.storage.catalog_thread import CatalogThread
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.kept_volume import KeptVolume
from vms.storage.layout import DAY_NS, day_name, is_camera_directory
from vms.storage.recent import NEWEST_DAYS, DayDirectory, days_of, recordings_in
from vms.storage.repair import Care, RecoveryCounters, Repaired, repair
from vms.storage.segment import Segment
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_BATCH = 32  # rows a commit: what a crash in the middle of a long recovery would repair again


@dataclass(slots=True)
class Settled:
    """What became of files without a row.

    names: those that need no more care: they have their row, or are gone. locked: those being written.
    change_bytes: in the catalog. failure: why others are left as they are; trying again is safe.
    """

    names: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    change_bytes: int = 0
    failure: StorageError | None = None


def end_deletions(volume: KeptVolume) -> int:
    """Unlink what is marked, then drop the rows; gives the bytes freed. Raises StorageError."""
    segments = volume.catalog.submit(lambda catalog: catalog.deleting()).result()
    if not segments:
        return 0
    try:
        disk.remove_all([segment.path for segment in segments], volume.path)
    except OSError as error:
        raise VolumeUnavailable.from_os_error(volume.path, error) from error
    volume.catalog.submit(lambda catalog: catalog.remove([segment.id for segment in segments])).result()
    return sum(segment.size_bytes for segment in segments)


def day_directories(volume: Path) -> tuple[list[DayDirectory], list[DayDirectory]]:
    """The newest days of every camera, and all others from the newest on. Raises OSError."""
    newest, older = [], []
    for camera in sorted(volume.iterdir()):
        if is_camera_directory(camera.name) and camera.is_dir():
            days = days_of(camera)
            newest += days[:NEWEST_DAYS]
            older += days[NEWEST_DAYS:]
    return newest, sorted(older, key=lambda day: day.start_ns, reverse=True)


def reconcile(volume: KeptVolume, day: DayDirectory, counters: RecoveryCounters) -> Settled:
    """Bring one directory and its rows into agreement.

    Blocks. Raises StorageError when nothing of it can be done now; trying again is safe.
    """
    try:
        found = recordings_in(day)
    except OSError as error:
        raise VolumeUnavailable.from_os_error(volume.path, error) from error
    known = names_of_rows(volume.catalog, day)
    settled = settle(volume, [name for name in found if name not in known], counters)
    try:
        lost = {path for name in known.difference(found) if not (path := volume.path / name).exists()}
        if lost:
            rows = [row for row in _rows_of_day(volume, day.camera_id, day.start_ns) if row.path in lost]
            settled.change_bytes -= _drop_rows(volume.catalog, rows, counters)
    except OSError as error:
        settled.failure = VolumeUnavailable.from_os_error(volume.path, error)
    except StorageError as error:
        settled.failure = error
    return settled


def names_of_rows(catalog: CatalogThread, day: DayDirectory) -> set[str]:
    """The names, relative to the volume, of the recordings of a day that have a row."""
    return catalog.submit(
        lambda each: each.names_started_between(day.camera_id, day.start_ns, day.start_ns + DAY_NS)
    ).result()


def settle(volume: KeptVolume, names: Iterable[str], counters: RecoveryCounters) -> Settled:
    """Repair files where that is needed, and give them their rows; blocks."""
    settled, rows = Settled(), []
    try:
        for name in names:
            try:
                repaired = repair(volume, name, counters)
            except OSError as error:  # others may be on better blocks of the disk
                settled.failure = VolumeUnavailable.from_os_error(volume.path, error)
                continue
            if repaired.care is Care.LOCKED:
                settled.locked.append(name)
            elif repaired.row is None:
                settled.names.append(name)
            else:
                rows.append(repaired)
                if len(rows) == _BATCH:
                    _add(volume.catalog, rows, settled, counters)
                    rows = []
        _add(volume.catalog, rows, settled, counters)
    except StorageError as error:
        settled.failure = error
    return settled


def drop_vanished_days(volume: KeptVolume, counters: RecoveryCounters) -> int:
    """Drop the rows of days whose directory is gone; gives the bytes they stood for. Raises StorageError."""
    volume.check()  # a disk that was taken away has lost nothing
    freed = 0
    for camera in volume.catalog.submit(lambda catalog: list(catalog.retentions())).result():
        for day_ns in _days_of_rows(volume, camera):
            if not (volume.path / camera / day_name(day_ns)).exists():
                lost = [row for row in _rows_of_day(volume, camera, day_ns) if not row.path.exists()]
                freed += _drop_rows(volume.catalog, lost, counters)
    return freed


def _days_of_rows(volume: KeptVolume, camera: CameraId) -> list[int]:
    return volume.catalog.submit(lambda catalog: catalog.days(camera)).result()


def _rows_of_day(volume: KeptVolume, camera: CameraId, day_ns: int) -> list[Segment]:
    return volume.catalog.submit(
        lambda catalog: catalog.started_between(camera, day_ns, day_ns + DAY_NS)
    ).result()


def _add(catalog: CatalogThread, done: list[Repaired], settled: Settled, counters: RecoveryCounters) -> None:
    """Commit rows of files that are durable."""
    known, added_bytes = catalog.submit(
        lambda each: _add_rows(each, [repaired.row for repaired in done if repaired.row is not None])
    ).result()
    settled.change_bytes += added_bytes
    for repaired in done:
        settled.names.append(repaired.name)
        assert repaired.row is not None
        segment = repaired.row.segment
        existing = known.get(segment.id)
        if existing is None:
            if repaired.action is RecoveryAction.INTACT:
                counters.indexed += 1
            else:
                counters.repaired += 1
                log.info("a recording was completed", path=str(segment.path), action=repaired.action)
        elif existing != segment.path:
            log.warning("a copy of a recording is ignored", path=str(segment.path), of=str(existing))


def _add_rows(catalog: Catalog, rows: Sequence[CatalogRow]) -> tuple[dict[UUID, Path], int]:
    """Where recordings are that had a row before, and the bytes of those that now have one."""
    if not rows:
        return {}, 0
    found = [catalog.find(row.segment.id) for row in rows]
    known = {segment.id: segment.path for segment in found if segment is not None}
    return known, catalog.add([row for row in rows if row.segment.id not in known])


def _drop_rows(catalog: CatalogThread, lost: list[Segment], counters: RecoveryCounters) -> int:
    for segment in lost:
        log.error("a recording is missing from its disk", path=str(segment.path), segment=str(segment.id))
    if lost:
        catalog.submit(lambda each: each.remove([segment.id for segment in lost])).result()
    counters.missing += len(lost)
    return sum(segment.size_bytes for segment in lost)
