"""Bring one recording file into order whose writer is done with it, or dead.

The file is locked meanwhile, so that nobody writes it; one that is locked is left alone.

Belongs here: what is done to one file. Does not: what its bytes need (vms.format.hybrid), what else files can be (anatomy),
which files (recovery).
"""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from pathlib import Path

from vms.common.errors import VmsError
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.format.hybrid import Recovery, RecoveryAction, Sealing, SegmentFile, plan_recovery, read_segment
from vms.format.hybrid.layout import FLIP_OFFSET
from vms.storage import disk
from vms.storage.anatomy import Condition, examine
from vms.storage.bodies import open_body
from vms.storage.body import WritableBody
from vms.storage.catalog import CatalogRow
from vms.storage.kept_volume import KeptVolume
from vms.storage.keyring import KeyUnknown
from vms.storage.layout import FOREIGN_SUFFIX, UNREADABLE_SUFFIX, ZEROS_SUFFIX
from vms.storage.sealed import SealedBody
from vms.storage.segment import SegmentIndex, describe
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_WRITTEN_BACK_S = 300.0  # what was written longer ago is on the disk (vm.dirty_expire_centisecs: 30 s)
_EMPTY_MAX_BYTES = 1 << 20  # more than a beginning and one torn fragment is not thrown away
_CUT_MAX_BYTES = 64 << 20  # a torn file ends in at most one fragment that is not whole (32 MiB, and one unit)
_SUFFIXES: Mapping[Condition, str] = {Condition.ZEROS: ZEROS_SUFFIX, Condition.FOREIGN: FOREIGN_SUFFIX}


@dataclass(slots=True)
class RecoveryCounters:
    """What was found since the start."""

    repaired: int = 0  # torn files that were completed
    indexed: int = 0  # whole files that got their row
    empty: int = 0  # files without a whole fragment, removed
    unreadable: int = 0  # damaged files, set aside
    zero_filled: int = 0  # files of nothing but zeros, set aside
    foreign: int = 0  # files under our names that are not ours, set aside
    key_unknown: int = 0  # encrypted with a key that is not configured; left as they are
    missing: int = 0  # rows without a file, dropped


class Care(Enum):
    """What a file needs after `repair`."""

    ROW = auto()  # it is whole, durably: a row
    NONE = auto()  # it is gone, set aside, or cannot be read without a key
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
    body: WritableBody | None = None
    try:
        if not disk.lock(descriptor):
            os.close(descriptor)
            return Repaired(name, Care.LOCKED)
        if not os.fstat(descriptor).st_nlink:
            os.close(descriptor)
            return Repaired(name, Care.NONE)
        body = open_body(descriptor, volume.keyring)
        action, row = _complete(volume, path, body)
        if row is not None:
            return Repaired(name, Care.ROW, row, action)
        _discard(volume, path, body, counters)
    except KeyUnknown as error:
        counters.key_unknown += 1
        log.error("a recording cannot be read without its key", path=str(path), reason=str(error))
    except FormatError as error:
        _set_aside(path, Condition.DAMAGED, str(error), counters)
    finally:
        if body is not None:
            body.close()
        if volume.beside_media:
            time.sleep(time.thread_time() - began_s)
    return Repaired(name, Care.NONE)


def _complete(volume: KeptVolume, path: Path, body: WritableBody) -> tuple[RecoveryAction, CatalogRow | None]:
    """What was done, and the row; None when nothing in the file can be played.

    Raises FormatError when it names a camera that cannot be, OSError from the disk.
    """
    size = body.size_bytes
    if not size:
        return RecoveryAction.EMPTY, None
    flipped = body.read_at(FLIP_OFFSET + 4, 4) == b"mdat"
    if flipped:
        # The flip comes last, so a tail that can be read is whole; no need to scan
        try:
            file = read_segment(body.read_at, size)
        except FormatError:
            return RecoveryAction.EMPTY, None
        if file.closed:
            _make_durable(path, body)
            return RecoveryAction.INTACT, describe_row(path, file)
    closed_before = False

    def seal(segment: SegmentFile, digests: list[bytes]) -> Sealing | None:
        nonlocal closed_before
        closed_before = flipped or _has_row(volume, segment)
        return None if closed_before else _sealing(volume, segment, digests)

    try:
        plan = plan_recovery(body.read_at, size, seal)
    except FormatError:
        return RecoveryAction.EMPTY, None
    if plan.segment is None:
        return plan.action, None
    row = describe_row(path, plan.segment)  # first: a file of nobody is left as it is
    cut_bytes = size - plan.truncate_to + (body.torn_bytes if isinstance(body, SealedBody) else 0)
    if closed_before or cut_bytes > _CUT_MAX_BYTES:
        _keep_copy(path, cut_bytes)
    _carry_out(body, plan)
    disk.fsync_directory(path.parent)
    return plan.action, row


def describe_row(path: Path, file: SegmentFile) -> CatalogRow:
    """The row of a closed file. Raises FormatError when it names a camera that cannot be."""
    proof = file.proof
    chain = proof.chain_digest if proof is not None else None
    return CatalogRow(describe(path, file), SegmentIndex(file.init, file.fragments), chain)


def _has_row(volume: KeptVolume, segment: SegmentFile) -> bool:
    """Whether a file of this id was closed before, here or elsewhere. It is not what a crash left, then: somebody changed
    it, or a disk did, or it is a copy. To sign it would make right what was changed."""
    segment_id = segment.identity.segment_id
    known = volume.catalog.submit(lambda catalog: catalog.find(segment_id)).result()
    return known is not None


def _sealing(volume: KeptVolume, segment: SegmentFile, digests: list[bytes]) -> Sealing | None:
    """How a file is signed that its writer could not sign any more: as recovered."""
    signer = volume.signer
    if signer is None:
        return None
    try:
        signer.certificates()
    except VmsError as error:  # it is repaired all the same, and stays unsigned
        log.warning(
            "what is repaired cannot be signed", segment=str(segment.identity.segment_id), reason=str(error)
        )
        return None
    identity, start_ns = segment.identity, segment.fragments[0].start_ns
    previous = volume.catalog.submit(
        lambda catalog: catalog.last_file(CameraId(identity.camera_id), identity.stream, start_ns)
    ).result()
    return Sealing(digests, signer, time.time_ns(), previous, recovered=True)


def _carry_out(body: WritableBody, plan: Recovery) -> None:
    """Cut, then tail, sync, flip, sync (recording-format.md, Closing)."""
    if plan.action not in (RecoveryAction.FLIP, RecoveryAction.REBUILD):
        return
    body.truncate(plan.truncate_to)
    if plan.tail:
        body.write([plan.tail], plan.truncate_to)
    body.sync()
    body.write([plan.flip], plan.flip_offset)
    body.sync()


def _keep_copy(path: Path, cut_bytes: int) -> None:
    """More is about to be changed than a crash explains: there may be footage behind the damage, and it may have to be
    proved what it was."""
    copy = _free_name(path, UNREADABLE_SUFFIX)
    os.close(disk.create(copy, path.parent))  # as private as recordings are
    try:
        shutil.copyfile(path, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        disk.fsync_directory(path.parent)  # the name, before anything of the file goes
    except OSError:
        copy.unlink(missing_ok=True)  # it is tried again and again
        raise
    log.error(
        "a recording was changed, or is damaged; what can be read is kept, and all of it in a copy",
        path=str(path),
        copy=str(copy),
        cut_bytes=cut_bytes,
    )


def _make_durable(path: Path, body: WritableBody) -> None:
    """A writer may have died, or not come to it yet, between the flip and its syncs; a row stands for a durable file."""
    if time.time() - path.stat().st_mtime < _WRITTEN_BACK_S:
        body.sync()
        disk.fsync_directory(path.parent)


def _discard(volume: KeptVolume, path: Path, body: WritableBody, counters: RecoveryCounters) -> None:
    """Nothing in it can be played. What may be somebody's is set aside; a beginning without footage goes."""
    found = examine(body)
    locked = body.size_bytes > 0 and volume.locks.protects_file(path)
    if found.condition is Condition.EMPTY and body.size_bytes <= _EMPTY_MAX_BYTES and not locked:
        log.warning("a recording without a whole fragment is removed", path=str(path), found=found.detail)
        disk.remove_all([path], volume.path)
        counters.empty += 1
        return
    _set_aside(path, found.condition, found.detail, counters)


def _set_aside(path: Path, condition: Condition, reason: str, counters: RecoveryCounters) -> None:
    """Under a name that says what it is; nothing looks at it again, and nothing deletes it."""
    aside = _free_name(path, _SUFFIXES.get(condition, UNREADABLE_SUFFIX))
    log.error("a file is no recording and is set aside", path=str(aside), is_=condition.value, reason=reason)
    path.rename(aside)
    disk.fsync_directory(path.parent)
    if condition is Condition.ZEROS:
        counters.zero_filled += 1
    elif condition is Condition.FOREIGN:
        counters.foreign += 1
    else:
        counters.unreadable += 1


def _free_name(path: Path, suffix: str) -> Path:
    """Beside the file; what was set aside before is not overwritten."""
    name = path.with_name(path.name + suffix)
    for number in count(2):
        if not name.exists():
            break
        name = path.with_name(f"{path.name}-{number}{suffix}")
    return name
