"""The steps of one recording file's life while it is written: create, append, sync, close.

Whatever step is interrupted, the volume's keeper completes it once the file is unlocked.

Belongs here: the order of operations on one file; they block, so threads run them. Does not: threads and
queues (writer), the operations themselves (disk, body), its row (keeper).
"""

import errno
import os
from itertools import count

from vms.format.hybrid import Finish, PreviousFile, Sealing, Signer, WrittenFragment, fragment_digest
from vms.storage import disk
from vms.storage.bodies import create_body
from vms.storage.body import WritableBody
from vms.storage.errors import FolderUnusable
from vms.storage.layout import recording_name
from vms.storage.live import LiveSegment
from vms.storage.volume import Volume
from vms.telemetry.logs import get_logger

_OF_A_FOLDER = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP)  # where the volume's own may be fine
PREVIOUS_PATIENCE_S = 0.5  # for the file before to be closed, which was begun long ago

log = get_logger(__name__)


def create(volume: Volume, live: LiveSegment) -> None:
    """Make the file of a new segment under a name that is free, locked, with its header in it.

    Raises StorageError when the volume is not the one that was opened, its key is not known, or the camera's folder
    cannot be used; OSError from the disk.
    """
    volume.check()
    keyring = volume.keyring
    for copy in count(1):
        name = recording_name(live.identity.camera_id, live.start_ns, live.identity.stream, copy)
        path = volume.path / name
        try:
            descriptor = disk.create_locked(path, volume.path)
        except OSError as error:
            folder = volume.path / live.identity.camera_id
            if error.errno in _OF_A_FOLDER and os.path.lexists(folder):
                raise FolderUnusable(folder, error) from error
            raise
        if descriptor is not None:
            live.path, live.body, live.created = path, create_body(descriptor, keyring), True
            break
    assert live.body is not None
    live.body.write([live.header], 0)


def append(live: LiveSegment, written: WrittenFragment, *, digest: bool) -> None:
    """Write a fragment, and remember its digest where the file will be signed. Raises OSError.

    Its buffers are joined first: each that is hashed or written by itself would take the interpreter's lock once
    more, from a process whose loop needs it.
    """
    assert live.body is not None
    data = b"".join(written.buffers)
    leaf = fragment_digest((data,)) if digest else None
    live.body.write([data], written.fragment.offset)
    if leaf is not None:
        live.digests.append(leaf)


def sync(live: LiveSegment) -> None:
    """Make what was written so far durable, its name the first time too. Raises OSError."""
    live.settle_previous()
    with live.lock:
        if live.body is None:
            return
        live.body.datasync()
        if not live.directory_synced:
            disk.fsync_directory(live.path.parent)
            live.directory_synced = True


def close(live: LiveSegment, signer: Signer | None, now_ns: int) -> bool:
    """Make an ordinary MP4 of a segment, signed where there is a signer, durably, and let go of its file.

    Lets go of it in any case: a file to which a write failed is left as it is. False when it could not be signed, and
    was closed without. Raises OSError.
    """
    signed = True
    try:
        with live.lock:
            body = live.body
            if body is None:
                return True
            whole = live.visible > 0 and live.error is None
            try:
                if whole:
                    finish, signed = _finish(live, signer, now_ns)
                    _write_finish(body, finish)
                    if signer is not None:
                        live.chain_digest = live.writer.chain_digest(live.digests)
            finally:
                live.body = None
                body.close()
        if whole:
            disk.fsync_directory(live.path.parent)
    finally:
        live.previous = None
        live.closed.set()
    return signed


def _finish(live: LiveSegment, signer: Signer | None, now_ns: int) -> tuple[Finish, bool]:
    """What closes the file, and whether it is as it should be: signed, if there is a signer."""
    if signer is None:
        return live.writer.finish(), True
    try:
        return live.writer.finish(Sealing(live.digests, signer, now_ns, _previous(live))), True
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a key, the footage is kept
        reason = f"{type(error).__name__}: {error}"
        log.error(
            "a recording could not be signed; it is kept unsigned",
            camera=live.identity.camera_id,
            segment=str(live.identity.segment_id),
            reason=reason,
        )
    return live.writer.finish(), False


def _previous(live: LiveSegment) -> PreviousFile | None:
    previous = live.previous
    if isinstance(previous, LiveSegment):
        # Closed before this one unless its disk hangs. On the same disk it was queued for closing before.
        previous.closed.wait(PREVIOUS_PATIENCE_S)
        return previous.link()
    return previous


def _write_finish(body: WritableBody, finish: Finish) -> None:
    """Close a recording (design of the format): tail, sync, flip, sync."""
    body.write([finish.tail], finish.tail_offset)
    body.sync()
    body.write([finish.flip], finish.flip_offset)
    body.sync()
