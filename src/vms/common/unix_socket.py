"""Unix sockets at paths of any length.

The kernel takes 107 bytes of path (unix(7)); a data directory may lie deeper. Names are therefore given relative
to an open descriptor of their directory, through /proc.

Belongs here: binding and connecting. Does not: what is said over them (vms.bus.local, vms.relay).
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def listen(path: Path, backlog: int = 512) -> socket.socket:
    """A listening socket at `path`, for this user alone; what was left there by a dead process is replaced.

    Its directory must exist. Raises OSError.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            listener.bind(name)
            Path(name).chmod(0o600)
        listener.listen(backlog)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: Path) -> socket.socket:
    """A connected, non-blocking socket to whoever listens at `path`. Raises OSError; never waits.

    A full backlog refuses (BlockingIOError), as a process does that cannot keep up.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        with _short(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
