"""Whose volume it is: the processes of one system share it, a second system is refused.

Another system would take the files that this one writes for torn ones as soon as they are closed, delete by its
own rules, and keep a catalog of its own. So every process that writes to a volume holds a shared lock on its owner
file, which names the system; the kernel ends the lock with the process.

Belongs here: this one lock. Does not: which disk it is (identity), the keeper's own lock (kept_volume).
"""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from vms.storage.errors import VolumeUnavailable
from vms.storage.layout import OWNER_NAME

_PATIENCE_S = 5.0  # while a process of the same system prepares the volume
_SHORT_PATIENCE_S = 0.3  # while one that is being refused looks at the name
_PAUSE_S = 0.01


def own(volume: Path, system_id: str, prepare: Callable[[], None]) -> int:
    """A descriptor that makes the volume this system's for as long as it is open; blocks for some seconds at most.

    prepare: is run while no other process has the volume, if none has it before. What it raises ends the attempt.
    Raises VolumeUnavailable when another system has the volume, OSError from the disk.
    """
    descriptor = os.open(volume / OWNER_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        began_s = time.monotonic()
        while True:
            if _lock(descriptor, fcntl.LOCK_EX):
                prepare()
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, system_id.encode(), 0)
            # An exclusive lock is given up before the shared one is had (flock(2)), so the name is read again.
            shared = _lock(descriptor, fcntl.LOCK_SH)
            if shared and os.pread(descriptor, 4096, 0) == system_id.encode():
                return descriptor
            if time.monotonic() - began_s > (_SHORT_PATIENCE_S if shared else _PATIENCE_S):
                raise VolumeUnavailable(
                    volume, "is in use by another running system, or configured twice; let one have it"
                )
            time.sleep(_PAUSE_S)
    except BaseException:
        os.close(descriptor)
        raise


def owner_of(volume: Path) -> str | None:
    """The system that had the volume last; None when none has left its name. Raises OSError."""
    try:
        return (volume / OWNER_NAME).read_text() or None
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _lock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
