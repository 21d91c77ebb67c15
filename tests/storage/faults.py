"""Ways in which disks and systems end, on real files."""

import contextlib
import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from vms.storage import disk
from vms.storage.service import StorageService


def crashed_copy(service: StorageService, to: Path) -> Path:
    """What the service's only volume holds at this moment, as a killed system leaves it."""
    (keeper,) = service._keepers
    shutil.copytree(keeper.volume.path, to)
    return to


@contextlib.contextmanager
def small_disk(directory: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of its own; skips where mounting one is not allowed."""
    directory.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", directory],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a small file system needs root: {made.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


class FaultyDisk:
    """Stands before ``disk.write_all`` and refuses or stalls writes to files that a test picks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.broken: Callable[[Path], bool] = lambda path: True
        self.running = threading.Event()
        self.running.set()
        self._write = disk.write_all
        monkeypatch.setattr(disk, "write_all", self._maybe)

    def stall(self) -> None:
        self.running.clear()

    def resume(self) -> None:
        self.running.set()

    def refuse(self, error: int = errno.EIO, broken: Callable[[Path], bool] = lambda path: True) -> None:
        self.error, self.broken = error, broken

    def heal(self) -> None:
        self.error = None

    def _maybe(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> None:
        self.running.wait()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if self.error is not None and self.broken(path):
            raise OSError(self.error, os.strerror(self.error))
        self._write(descriptor, buffers, offset)
