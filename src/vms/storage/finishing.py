"""The steps of one recording file's life on disk: create, sync, close with its row, or repair.

Commit order: file → directory → row. Whatever step is interrupted, recovery at the next start, or `finish` tried
again, completes it.

Belongs here: the order of operations on one file; they block, so threads run them. Does not: threads and
queues (writer), the operations themselves (disk).
"""

import os

from vms.format.errors import FormatError
from vms.storage import disk
from vms.storage.catalog import CatalogRow
from vms.storage.layout import recording_name
from vms.storage.live import LiveSegment
from vms.storage.recovery import recover_file
from vms.storage.segment import Segment
from vms.storage.volume import Volume


def create(volume: Volume, live: LiveSegment) -> None:
    """Make the file of a new segment under a name that is free, with its header in it.

    Raises StorageError when the volume is not the one that was opened, OSError from the disk.
    """
    volume.check()
    copy = 1
    while not live.created:
        name = recording_name(live.identity.camera_id, live.start_ns, live.identity.stream, copy)
        copy += 1
        path = volume.path / name
        if path in volume.live_paths:
            continue
        volume.live_paths.add(path)  # first: recovery must not take it for a file left behind
        try:
            live.descriptor = disk.create(path, volume.path)
        except FileExistsError:
            volume.live_paths.discard(path)
            continue
        except OSError:
            volume.live_paths.discard(path)
            raise
        live.path = path
        live.created = True
    disk.write_all(live.descriptor, [live.header], 0)


def sync(live: LiveSegment) -> None:
    """Make what was written so far durable, its name the first time too. Raises OSError."""
    with live.lock:
        if live.descriptor < 0:
            return
        os.fdatasync(live.descriptor)
        if not live.directory_synced:
            disk.fsync_directory(live.path.parent)
            live.directory_synced = True


def finish(volume: Volume, live: LiveSegment) -> Segment | None:
    """Close a segment and give it its row; None when there is no footage in it.

    Repairs it instead when a write to it failed. Raises StorageError, OSError; trying again is safe
    once `live.error` is set.
    """
    if not live.created:
        return None
    row = _close(live) if live.error is None else _repair(live)
    if row is None:
        disk.remove_all([live.path], volume.path)
    else:
        volume.catalog.submit(lambda catalog: catalog.add([row])).result()
    volume.live_paths.discard(live.path)
    return row.segment if row is not None else None


def _close(live: LiveSegment) -> CatalogRow | None:
    with live.lock:
        try:
            if not live.visible:
                return None
            ending = live.writer.finish()
            disk.write_finish(live.descriptor, ending)
        finally:
            _close_descriptor(live)
    disk.fsync_directory(live.path.parent)
    size_bytes = ending.tail_offset + len(ending.tail)
    return CatalogRow(live.segment(closed=True, size_bytes=size_bytes), live.index())


def _repair(live: LiveSegment) -> CatalogRow | None:
    with live.lock:
        _close_descriptor(live)
    try:
        return recover_file(live.path)[1]
    except (FileNotFoundError, FormatError):  # taken away by someone, or not even its header is whole
        return None


def _close_descriptor(live: LiveSegment) -> None:
    if live.descriptor >= 0:
        descriptor, live.descriptor = live.descriptor, -1
        os.close(descriptor)
