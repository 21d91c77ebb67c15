"""Bring one recording file into order whose writer is done with it, or dead.

The file is locked meanwhile, so that nobody writes it; one that is locked is left alone.

Belongs here: what is done to one file. Does not: what its bytes need (vms.format.hybrid), which files (recovery).
"""

import os
import time
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from vms.format.errors import FormatError
from vms.format.hybrid import RecoveryAction, plan_recovery, read_segment
from vms.format.hybrid.layout import FLIP_OFFSET
from vms.storage import disk
from vms.storage.catalog import CatalogRow
from vms.storage.kept_volume import KeptVolume
from vms.storage.layout import UNREADABLE_SUFFIX
from vms.storage.segment import SegmentIndex, describe
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_WRITTEN_BACK_S = 300.0  # what was written longer ago is on the disk (vm.dirty_expire_centisecs: 30 s)
_EMPTY_MAX_BYTES = 1 << 20  # more than a beginning and one torn fragment is not thrown away


@dataclass(slots=True)
class RecoveryCounters:
    """What was found since the start."""

    repaired: int = 0  # torn files that were completed
    indexed: int = 0  # whole files that got their row
    empty: int = 0  # files without a whole fragment, removed
    unreadable: int = 0  # files set aside
    missing: int = 0  # rows without a file, dropped


class Care(Enum):
    """What a file needs after `repair`."""

    ROW = auto()  # it is whole, durably: a row
    NONE = auto()  # it is gone, or set aside
    LOCKED = auto()  # to be left alone: it is being written


@dataclass(frozen=True, slots=True)
class Repaired:
    """name: of the file, relative to its volume. row: of a whole one. action: what was done to it."""

    name: str
    care: Care
    row: CatalogRow | None = None
    action: RecoveryAction = RecoveryAction.INTACT


def repair(volume: KeptVolume, name: str, counters: RecoveryCounters) -> Repaired:
    """Complete a recording that was not closed, durably; blocks.

    Raises OSError from the disk; trying again is safe.
    """
    path = volume.path / name
    began_s = time.thread_time()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return Repaired(name, Care.NONE)
    try:
        if not disk.lock(descriptor):
            return Repaired(name, Care.LOCKED)
        if not os.fstat(descriptor).st_nlink:
            return Repaired(name, Care.NONE)
        action, row = _complete(path, descriptor)
        if row is not None:
            return Repaired(name, Care.ROW, row, action)
        _discard(volume, path, os.fstat(descriptor).st_size, counters)
    except FormatError as error:
        _set_aside(path, str(error), counters)
    finally:
        os.close(descriptor)
        if volume.beside_media:
            time.sleep(time.thread_time() - began_s)
    return Repaired(name, Care.NONE)


def _complete(path: Path, descriptor: int) -> tuple[RecoveryAction, CatalogRow | None]:
    """What was done, and the row; None when nothing in the file can be played.

    Raises FormatError when it is no recording of ours.
    """
    read_at, size = disk.reader(descriptor), os.fstat(descriptor).st_size
    if not size:
        return RecoveryAction.EMPTY, None
    if read_at(FLIP_OFFSET + 4, 4) == b"mdat":
        # The flip comes last, so a tail that can be read is whole; no need to scan
        file = read_segment(read_at, size)
        if file.closed:
            _make_durable(path, descriptor)
            return RecoveryAction.INTACT, CatalogRow(
                describe(path, file), SegmentIndex(file.init, file.fragments)
            )
    plan = plan_recovery(read_at, size)
    if plan.segment is None:
        return plan.action, None
    segment = describe(path, plan.segment)  # first: a file of nobody is left as it is
    disk.write_recovery(descriptor, plan)
    disk.fsync_directory(path.parent)
    return plan.action, CatalogRow(segment, SegmentIndex(plan.segment.init, plan.segment.fragments))


def _make_durable(path: Path, descriptor: int) -> None:
    """A writer may have died, or not come to it yet, between the flip and its syncs; a row stands for a durable file."""
    if time.time() - os.fstat(descriptor).st_mtime < _WRITTEN_BACK_S:
        os.fsync(descriptor)
        disk.fsync_directory(path.parent)


def _discard(volume: KeptVolume, path: Path, size_bytes: int, counters: RecoveryCounters) -> None:
    if size_bytes > _EMPTY_MAX_BYTES:
        _set_aside(path, "it begins as a recording, and its first fragment is damaged", counters)
        return
    log.warning("a recording without a whole fragment is removed", path=str(path))
    disk.remove_all([path], volume.path)
    counters.empty += 1


def _set_aside(path: Path, reason: str, counters: RecoveryCounters) -> None:
    aside = path.with_name(path.name + UNREADABLE_SUFFIX)
    log.error("a file is no recording and is set aside", path=str(aside), reason=reason)
    path.rename(aside)
    disk.fsync_directory(path.parent)
    counters.unreadable += 1
