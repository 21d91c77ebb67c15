"""The few file operations that recordings need, each complete or an OSError.

They block, so they run in a volume's threads, and spend their time where the GIL is released.

A recording is locked (`flock`) by whoever writes or repairs it, for as long as that takes; the kernel ends the
lock with its process. So an unlocked file that is not closed is one whose writer died.

Belongs here: creating, locking, writing, syncing and removing files. Does not: deciding which (writer, recovery,
retention), what is in them (vms.format).
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

_IOV_MAX = 1024  # Linux, limits.h
_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC


def fsync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directories(directory: Path, root: Path) -> None:
    """Create `directory` below `root` durably. A missing `root` stays missing: its disk is gone.

    Raises OSError; NotADirectoryError where something else has the name, a link that leads nowhere too.
    """
    missing = []
    while directory != root and not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        try:
            path.mkdir(exist_ok=True)
        except FileExistsError as error:  # else `create` would take it for a file of its own name
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error
        fsync_directory(path.parent)


def lock(descriptor: int) -> bool:
    """Take the lock of an open recording; False when somebody else has it. Closing the descriptor ends it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def create_locked(path: Path, root: Path) -> int | None:
    """A descriptor of a new, empty, locked file; None when there is one, or somebody was quicker to lock it.

    Between creation and lock a keeper may find the file: it holds nothing, so the keeper removes it.
    """
    try:
        descriptor = create(path, root)
    except FileExistsError:
        return None
    if lock(descriptor) and os.fstat(descriptor).st_nlink:
        return descriptor
    os.close(descriptor)
    return None


def create(path: Path, root: Path) -> int:
    """A descriptor of a new, empty file, its directories made; FileExistsError when there is one."""
    for _ in range(3):
        try:
            return os.open(path, _CREATE, 0o640)
        except FileNotFoundError:
            make_directories(path.parent, root)  # again when retention removed an empty day meanwhile
    return os.open(path, _CREATE, 0o640)


def write_all(descriptor: int, buffers: Sequence[bytes | bytearray | memoryview], offset: int) -> None:
    """Write `buffers` one after the other from `offset`, also where the kernel takes only a part."""
    rest = buffers
    while rest:
        written = os.pwritev(descriptor, rest[:_IOV_MAX], offset)
        offset += written
        rest = _after(rest, written)


def _after(
    buffers: Sequence[bytes | bytearray | memoryview], written: int
) -> Sequence[bytes | bytearray | memoryview]:
    for index, buffer in enumerate(buffers):
        if written < len(buffer):
            return [memoryview(buffer)[written:], *buffers[index + 1 :]]
        written -= len(buffer)
    return ()


def reader(descriptor: int) -> Callable[[int, int], bytes]:
    """``read_at(offset, size)`` of an open file."""
    return lambda offset, size: os.pread(descriptor, size, offset)


def remove_all(paths: Iterable[Path], root: Path) -> None:
    """Remove files durably, and the day and camera directories that this empties. Raises OSError when one stays."""
    for error in remove_each(paths, root).values():
        raise error


def remove_each(paths: Iterable[Path], root: Path) -> Mapping[Path, OSError]:
    """As `remove_all`; gives those that stay, and why: one that cannot go does not keep the others."""
    directories, staying = set(), {}
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            staying[path] = error
        else:
            directories.add(path.parent)
    for directory in directories:
        if directory.exists():
            fsync_directory(directory)
            _remove_empty(directory, root)
    return staying


def _remove_empty(directory: Path, root: Path) -> None:
    while directory != root:
        try:
            directory.rmdir()
        except OSError:  # not empty, as most are
            return
        directory = directory.parent
