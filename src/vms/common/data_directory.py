"""The directory that holds everything a system keeps, used by one system at a time.

The lock belongs to all processes of a system: each inherits the descriptor, and it is free when the last one has
gone. The lock's file names the process that the system stands and falls with (its launcher), so that a start can
tell a system that runs from one that is only closing its recordings.
"""

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from vms.common.errors import Conflict, InvalidInput
from vms.common.process_identity import boot_id, start_ticks

CLOSING_S = 15.0  # how long a start waits for the processes of a system whose launcher has gone
_POLL_S = 0.1


class DataDirectory:
    """A context manager, for `with` and `async with`: makes the directory and locks it until left.

    owner: the process that the system stands and falls with; this one when not given.
    descriptor: the lock of this system as inherited, if it was; it is then held already.

    Raises Conflict when another system uses it (at once when that runs, after `closing_s` when it is ending and does
    not come to its end) and InvalidInput when it cannot be used at all. A plain `with` sleeps while it waits.
    """

    def __init__(
        self,
        path: Path,
        *,
        owner: int | None = None,
        descriptor: int | None = None,
        closing_s: float = CLOSING_S,
    ) -> None:
        self._path = path
        self._owner = owner or os.getpid()
        self._inherited = descriptor
        self._closing_s = closing_s
        self._descriptor = -1

    def fileno(self) -> int:
        """The lock's descriptor, for every process of the system to inherit; -1 while it is not held."""
        return self._descriptor

    def __enter__(self) -> Self:
        give_up_s = time.monotonic() + self._closing_s
        while not self._take(may_wait=time.monotonic() < give_up_s):
            time.sleep(_POLL_S)
        return self

    async def __aenter__(self) -> Self:
        give_up_s = time.monotonic() + self._closing_s
        while not self._take(may_wait=time.monotonic() < give_up_s):  # noqa: ASYNC110 - flock has no event
            await asyncio.sleep(_POLL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)  # the lock goes with the last of its copies
        self._descriptor = -1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _take(self, *, may_wait: bool) -> bool:
        """Whether the lock is held now; False asks for another try."""
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(descriptor, f"{self._owner} {start_ticks(self._owner)} {boot_id()}\n")
        except BlockingIOError:
            running = _owner_runs(descriptor)
            os.close(descriptor)
            if may_wait and not running:
                return False
            left = "" if running else ", or by what is left of one that was killed"
            raise Conflict(
                f"data_dir {self._path} is in use by another system{left}; stop it, or name another with --data-dir"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise self._unusable(error) from error
        self._descriptor = descriptor
        return True

    def _open(self) -> int:
        lock = self._path / "lock"
        try:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._inherited is not None and os.path.samestat(lock.stat(), os.fstat(self._inherited)):
                return os.dup(self._inherited)
        except FileNotFoundError:
            pass  # someone removed the lock's file; a new one follows
        except OSError as error:
            raise self._unusable(error) from error
        try:
            return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> InvalidInput:
        return InvalidInput(
            f"data_dir {self._path}: {error.strerror}; name a directory that can be written to with --data-dir"
        )


def _write(descriptor: int, text: str) -> None:
    os.pwrite(descriptor, text.encode(), 0)
    os.ftruncate(descriptor, len(text))


def _owner_runs(descriptor: int) -> bool:
    """Whether the owner that the lock names lives. One that was not written yet, the next try reads."""
    with contextlib.suppress(ValueError, OSError):
        pid, started, boot = [*os.pread(descriptor, 200, 0).decode("ascii", "replace").split(), ""][:3]
        return boot == boot_id() and start_ticks(int(pid)) == int(started)
    return False
