"""Bring files and catalog of a volume into agreement again, whatever ended the process that wrote them.

Every recording file without a row is one of: locked, so being written now (left alone), torn (repaired, gets its
row), whole (gets its row), without a single whole fragment (removed, said so), or unreadable (set aside under
another name, said so). A row whose file is gone is dropped, said so. A deletion that was begun is ended.

Belongs here: comparing directories with rows, and giving files their rows. Does not: repairing one file (repair),
when (keeper).
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from pathlib import Path
from uuid import UUID

from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.format.hybrid import RecoveryAction, read_segment
from vms.storage import disk
from vms.storage.bodies import open_reader
from vms.storage.catalog import ON_VOLUME, Catalog, CatalogRow
from vms.storage.catalog_thread import CatalogThread
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.kept_volume import KeptVolume
from vms.storage.keyring import KeyUnknown
from vms.storage.layout import DAY_NS, day_name, day_start_ns, is_camera_directory, recording_name
from vms.storage.recent import NEWEST_DAYS, DayDirectory, days_of, recordings_in
from vms.storage.repair import Care, RecoveryCounters, Repaired, describe_row, repair
from vms.storage.segment import Segment
from vms.storage.tiers.store import TierStore
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
            rows = [
                row
                for row in _rows_of_day(volume, day.camera_id, day.start_ns)
                if row.path in lost and row.tier == ON_VOLUME
            ]
            settled.change_bytes -= _drop_rows(volume.catalog, rows, counters)
    except OSError as error:
        settled.failure = VolumeUnavailable.from_os_error(volume.path, error)
    except StorageError as error:
        settled.failure = error
    return settled


def adopt(volume: KeptVolume, store: TierStore, names: Iterable[str], counters: RecoveryCounters) -> None:
    """Give recordings in a tier their rows, of which the catalog knows nothing: it was lost. Blocks.

    What is no whole recording is said and left alone. Raises StorageError; trying again is safe.
    """
    rows: list[CatalogRow] = []
    for name in names:
        row = _row_in_tier(volume, store, name, counters)
        if row is not None:
            rows.append(row)
        if len(rows) == _BATCH:
            _put_rows(volume.catalog, rows)
            rows = []
    _put_rows(volume.catalog, rows)


def _put_rows(catalog: CatalogThread, rows: list[CatalogRow]) -> None:
    catalog.submit(lambda each: _add_rows(each, rows)).result()


def adopt_all(volume: KeptVolume, store: TierStore, counters: RecoveryCounters) -> None:
    """`adopt` everything in a tier that has no row. Blocks. Raises StorageError."""
    # Day by day as they are listed: a tier may hold millions.
    for (camera, day), files in groupby(store.list(), key=lambda stored: stored.name.split("/")[:2]):
        start_ns = day_start_ns(day)
        names = [stored.name for stored in files]
        if start_ns is not None:
            directory = DayDirectory(CameraId(camera), volume.path / camera / day, start_ns)
            known = names_of_rows(volume.catalog, directory, store.name)
            adopt(volume, store, [name for name in names if name not in known], counters)


def drop_lost(volume: KeptVolume, segment_id: UUID, counters: RecoveryCounters) -> None:
    """Drop the row of a recording that is nowhere any more. Blocks. Raises StorageError."""
    row = volume.catalog.submit(lambda catalog: catalog.find(segment_id)).result()
    if row is not None:
        _drop_rows(volume.catalog, [row], counters)


def _row_in_tier(
    volume: KeptVolume, store: TierStore, name: str, counters: RecoveryCounters
) -> CatalogRow | None:
    try:
        stored = store.open(name)
        try:
            body = open_reader(stored.read_at, stored.size_bytes, volume.keyring)
            file = read_segment(body.read_at, body.size_bytes)
        finally:
            stored.close()
        if not file.closed:
            raise FormatError("it is not closed")
        row = describe_row(volume.path / name, file)
    except FileNotFoundError:
        return None
    except KeyUnknown as error:
        counters.key_unknown += 1
        log.error("a recording cannot be read without its key", name=name, tier=store.name, reason=str(error))
        return None
    except FormatError as error:
        counters.unreadable += 1
        log.error("an object in a tier is no recording", name=name, tier=store.name, reason=str(error))
        return None
    counters.indexed += 1
    return replace(row, segment=replace(row.segment, tier=store.name))


def names_of_rows(catalog: CatalogThread, day: DayDirectory, tier: str = ON_VOLUME) -> set[str]:
    """The names, relative to the volume, of the recordings of a day that have a row and are in `tier`.

    A file under the name of a recording that is elsewhere is what was left when that was moved, or another recording.
    """
    return catalog.submit(
        lambda each: each.names_started_between(day.camera_id, day.start_ns, day.start_ns + DAY_NS, tier)
    ).result()


def settle(volume: KeptVolume, names: Iterable[str], counters: RecoveryCounters) -> Settled:
    """Repair files where that is needed, and give them their rows; blocks."""
    settled, rows = Settled(), []
    try:
        for name in names:
            try:
                repaired = _with_own_name(volume, repair(volume, name, counters))
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


def _with_own_name(volume: KeptVolume, repaired: Repaired) -> Repaired:
    """A recording under a name that no other has, wherever that is: they would meet in a tier, and one replace the other.

    A name tells the millisecond of the start. After the clock was set back there may be a second one, which its writer
    does not know of when the first was moved. Raises OSError from the disk, StorageError.
    """
    row = repaired.row
    if row is None:
        return repaired
    segment = row.segment
    known, taken = volume.catalog.submit(
        lambda each: (each.find(segment.id), each.other_names(segment))
    ).result()
    if known is not None or repaired.name not in taken:
        return repaired
    for copy in count(2):
        name = recording_name(segment.camera_id, segment.start_ns, segment.stream, copy)
        path = volume.path / name
        if name not in taken and not path.exists():
            break
    os.link(segment.path, path)  # unlike a rename, it replaces nothing that a writer makes meanwhile
    segment.path.unlink()
    disk.fsync_directory(path.parent)
    log.warning("a recording has the name of another, which was moved; it is renamed", path=str(path))
    return replace(repaired, row=replace(row, segment=replace(segment, path=path)))


def drop_vanished_days(volume: KeptVolume, counters: RecoveryCounters) -> int:
    """Drop the rows of days whose directory is gone; gives the bytes they stood for. Raises StorageError."""
    volume.check()  # a disk that was taken away has lost nothing
    freed = 0
    for camera in volume.catalog.submit(lambda catalog: catalog.cameras()).result():
        for day_ns in _days_of_rows(volume, camera):
            if not (volume.path / camera / day_name(day_ns)).exists():
                rows = _rows_of_day(volume, camera, day_ns)
                lost = [row for row in rows if row.tier == ON_VOLUME and not row.path.exists()]
                freed += _drop_rows(volume.catalog, lost, counters)
    return freed


def _days_of_rows(volume: KeptVolume, camera: CameraId) -> list[int]:
    return volume.catalog.submit(lambda catalog: catalog.days(camera, ON_VOLUME)).result()


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
