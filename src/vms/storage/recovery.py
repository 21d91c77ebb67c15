"""Bring files and catalog of a volume into agreement again, after whatever ended the last run.

Every recording file without a row is one of: being written now (left alone), torn (repaired, gets its row),
whole (gets its row), without a single whole fragment (removed, said so), or unreadable (set aside under
another name, said so). A row whose file is gone is dropped, said so. A deletion that was begun is ended.

Belongs here: repairing a file, and comparing directories with rows. Does not: what is repaired how
(vms.format.hybrid), when (service).
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vms.common.ids import CameraId, camera_id
from vms.format.errors import FormatError
from vms.format.hybrid import RecoveryAction, SegmentFile, plan_recovery, read_segment
from vms.format.hybrid.layout import FLIP_OFFSET
from vms.media import MediaKind
from vms.storage import disk
from vms.storage.catalog import CatalogRow
from vms.storage.catalog_thread import CatalogThread
from vms.storage.errors import VolumeUnavailable
from vms.storage.layout import (
    DAY_NS,
    UNREADABLE_SUFFIX,
    day_name,
    day_start_ns,
    is_camera_directory,
    is_day_directory,
    is_recording_file,
)
from vms.storage.live import codec_of, recorded_tracks
from vms.storage.segment import Segment, SegmentIndex
from vms.storage.volume import Volume
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_EMPTY_MAX_BYTES = 1 << 20  # more than a beginning and one torn fragment is not thrown away
NEWEST_DAYS = 2  # a segment open at midnight lies in the directory of the day before


@dataclass(slots=True)
class RecoveryCounters:
    """What recovery found since the start."""

    repaired: int = 0  # torn files that were completed
    indexed: int = 0  # whole files that had no row
    empty: int = 0  # files without a whole fragment, removed
    unreadable: int = 0  # files set aside
    missing: int = 0  # rows without a file, dropped


@dataclass(frozen=True, slots=True)
class DayDirectory:
    camera_id: CameraId
    path: Path
    start_ns: int


def recover_file(path: Path) -> tuple[RecoveryAction, CatalogRow | None]:
    """Complete a recording that was not closed, durably; what was done, and its row unless it is EMPTY.

    Raises FormatError when it is no recording of ours, OSError from the disk; trying again is safe.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        read_at, size = disk.reader(descriptor), os.fstat(descriptor).st_size
        if (
            read_at(FLIP_OFFSET + 4, 4) == b"mdat"
        ):  # the flip comes last, so a tail that can be read is whole; no need to scan
            file = read_segment(read_at, size)
            if file.closed:
                return RecoveryAction.INTACT, _row(path, file, size)
        plan = plan_recovery(read_at, size)
        if plan.segment is None:
            return plan.action, None
        disk.write_recovery(descriptor, plan)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    disk.fsync_directory(path.parent)
    return plan.action, _row(path, plan.segment, size)


def end_deletions(volume: Volume) -> int:
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
        if not is_camera_directory(camera.name) or not camera.is_dir():
            continue
        days = sorted(_days(camera), key=lambda day: day.start_ns, reverse=True)
        newest += days[:NEWEST_DAYS]
        older += days[NEWEST_DAYS:]
    return newest, sorted(older, key=lambda day: day.start_ns, reverse=True)


def reconcile(volume: Volume, day: DayDirectory, counters: RecoveryCounters) -> int:
    """Bring one directory and its rows into agreement; gives the change of bytes in the catalog.

    Blocks. Raises StorageError when the disk or the catalog fails; trying again is safe.
    """
    try:
        with os.scandir(day.path) as entries:
            files = [entry.name for entry in entries if is_recording_file(entry.name)]
        found = {f"{day.camera_id}/{day.path.name}/{name}" for name in files}
        known = volume.catalog.submit(
            lambda catalog: catalog.names_started_between(day.camera_id, day.start_ns, day.start_ns + DAY_NS)
        ).result()
        change = sum(_settle(volume, volume.path / name, counters) for name in sorted(found - known))
        lost = {path for name in known - found if not (path := volume.path / name).exists()}
    except FileNotFoundError:  # retention emptied the day meanwhile
        return 0
    except OSError as error:
        raise VolumeUnavailable.from_os_error(volume.path, error) from error
    if lost:
        rows = [row for row in _rows_of_day(volume, day.camera_id, day.start_ns) if row.path in lost]
        change -= _drop_rows(volume.catalog, rows, counters)
    return change


def drop_vanished_days(volume: Volume, counters: RecoveryCounters) -> int:
    """Drop the rows of days whose directory is gone; gives the bytes they stood for. Raises StorageError."""
    volume.check()  # a disk that was taken away has lost nothing
    freed = 0
    for camera in volume.catalog.submit(lambda catalog: list(catalog.retentions())).result():
        for day_ns in _days_of_rows(volume, camera):
            if not (volume.path / camera / day_name(day_ns)).exists():
                lost = [row for row in _rows_of_day(volume, camera, day_ns) if not row.path.exists()]
                freed += _drop_rows(volume.catalog, lost, counters)
    return freed


def _days_of_rows(volume: Volume, camera: CameraId) -> list[int]:
    return volume.catalog.submit(lambda catalog: catalog.days(camera)).result()


def _rows_of_day(volume: Volume, camera: CameraId, day_ns: int) -> list[Segment]:
    return volume.catalog.submit(
        lambda catalog: catalog.started_between(camera, day_ns, day_ns + DAY_NS)
    ).result()


def _settle(volume: Volume, path: Path, counters: RecoveryCounters) -> int:
    # The order matters: a file leaves live_paths after its row is committed.
    if path in volume.live_paths:
        return 0
    began_s = time.thread_time()
    try:
        action, row = recover_file(path)
        time.sleep(time.thread_time() - began_s)  # half of the time the interpreter is the loop's
    except FileNotFoundError:
        return 0
    except FormatError as error:
        if path.stat().st_size:
            _set_aside(path, str(error), counters)
            return 0
        action, row = RecoveryAction.EMPTY, None
    if row is None:
        if path.stat().st_size > _EMPTY_MAX_BYTES:
            _set_aside(path, "it begins as a recording, and its first fragment is damaged", counters)
            return 0
        log.warning("a recording without a whole fragment is removed", path=str(path))
        disk.remove_all([path], volume.path)
        counters.empty += 1
        return 0
    return _index(volume.catalog, row, action, counters)


def _index(
    catalog: CatalogThread, row: CatalogRow, action: RecoveryAction, counters: RecoveryCounters
) -> int:
    existing = catalog.submit(lambda each: each.find(row.segment.id)).result()
    if existing is not None:
        if existing.path != row.segment.path:
            log.warning("a copy of a recording is ignored", path=str(row.segment.path), of=str(existing.path))
        return 0
    added_bytes = catalog.submit(lambda each: each.add([row])).result()
    if action is RecoveryAction.INTACT:
        counters.indexed += 1
    else:
        counters.repaired += 1
        log.info("a recording was completed", path=str(row.segment.path), action=action)
    return added_bytes


def _set_aside(path: Path, reason: str, counters: RecoveryCounters) -> None:
    aside = path.with_name(path.name + UNREADABLE_SUFFIX)
    log.error("a file is no recording and is set aside", path=str(aside), reason=reason)
    path.rename(aside)
    disk.fsync_directory(path.parent)
    counters.unreadable += 1


def _drop_rows(catalog: CatalogThread, lost: list[Segment], counters: RecoveryCounters) -> int:
    for segment in lost:
        log.error("a recording is missing from its disk", path=str(segment.path), segment=str(segment.id))
    if lost:
        catalog.submit(lambda each: each.remove([segment.id for segment in lost])).result()
    counters.missing += len(lost)
    return sum(segment.size_bytes for segment in lost)


def _days(camera: Path) -> Iterator[DayDirectory]:
    for day in camera.iterdir():
        start_ns = day_start_ns(day.name) if is_day_directory(day.name) else None
        if start_ns is not None:
            yield DayDirectory(CameraId(camera.name), day, start_ns)


def _row(path: Path, file: SegmentFile, size_bytes: int) -> CatalogRow:
    try:
        camera = camera_id(file.identity.camera_id)
    except ValueError as error:
        raise FormatError(f"names a camera that cannot be: {error}") from error
    tracks = recorded_tracks(file.tracks, file.fragments)
    segment = Segment(
        id=file.identity.segment_id,
        camera_id=camera,
        stream=file.identity.stream,
        path=path,
        start_ns=file.fragments[0].start_ns,
        end_ns=max(fragment.end_ns for fragment in file.fragments),
        size_bytes=size_bytes,
        closed=True,
        video=codec_of(tracks, MediaKind.VIDEO),
        audio=codec_of(tracks, MediaKind.AUDIO),
    )
    return CatalogRow(segment, SegmentIndex(file.init, file.fragments))
