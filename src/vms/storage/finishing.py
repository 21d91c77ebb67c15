"""The steps of one recording file's life while it is written: create, sync, close.

Whatever step is interrupted, the volume's keeper completes it once the file is unlocked.

Belongs here: the order of operations on one file; they block, so threads run them. Does not: threads and
queues (writer), the operations themselves (disk), its row (keeper).
"""

import os
from itertools import count

from vms.storage import disk
from vms.storage.layout import recording_name
from vms.storage.live import LiveSegment
from vms.storage.volume import Volume


def create(volume: Volume, live: LiveSegment) -> None:
    """Make the file of a new segment under a name that is free, locked, with its header in it.

    Raises StorageError when the volume is not the one that was opened, OSError from the disk.
    """
    volume.check()
    for copy in count(1):
        name = recording_name(live.identity.camera_id, live.start_ns, live.identity.stream, copy)
        path = volume.path / name
        descriptor = disk.create_locked(path, volume.path)
        if descriptor is not None:
            live.path, live.descriptor, live.created = path, descriptor, True
            break
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


def close(live: LiveSegment) -> None:
    """Make an ordinary MP4 of a segment, durably, and let go of its file.

    Lets go of it in any case: a file to which a write failed is left as it is. Raises OSError.
    """
    with live.lock:
        if live.descriptor < 0:
            return
        whole = live.visible > 0 and live.error is None
        try:
            if whole:
                disk.write_finish(live.descriptor, live.writer.finish())
        finally:
            descriptor, live.descriptor = live.descriptor, -1
            os.close(descriptor)
    if whole:
        disk.fsync_directory(live.path.parent)
