"""The directory that holds everything a system keeps, used by one system at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from vms.common.errors import Conflict, InvalidInput


class DataDirectory:
    """A context manager: makes the directory and locks it until left.

    Raises Conflict when another system uses it and InvalidInput when it cannot be used at all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise InvalidInput(
                f"data_dir {self._path}: {error.strerror}; name a directory that can be written to with --data-dir"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Conflict(
                f"data_dir {self._path} is in use by another system; stop it, or name another with --data-dir"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)  # the lock goes with it
