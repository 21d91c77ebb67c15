"""Disks of a test's own: file systems in files, which can be pulled, frozen, and made read-only like real ones."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.strip()}")


class Ext4Disk:
    """An ext4 file system in `image`, at `at` while it is mounted."""

    def __init__(self, image: Path, at: Path, size_bytes: int = 24 << 20) -> None:
        self.image = image
        self.at = at
        with image.open("wb") as file:
            file.truncate(size_bytes)
        _run("mkfs.ext4", "-q", "-m", "0", image)

    def mount(self) -> None:
        self.at.mkdir(exist_ok=True)
        _run("mount", "-o", "loop", self.image, self.at)

    def pull(self) -> None:
        """Take it away while files on it are open."""
        _run("umount", "-l", self.at)

    def abort(self) -> None:
        """What ext4 does after an error of its journal: it becomes read-only under whoever writes."""
        _run("mount", "-o", "remount,abort", self.at)

    def freeze(self) -> None:
        """Whoever writes waits, in the kernel."""
        _run("fsfreeze", "-f", self.at)

    def thaw(self) -> None:
        _run("fsfreeze", "-u", self.at)


@contextmanager
def ext4(
    folder: Path, name: str, *, at: str = "disk", mounted: bool = True, size_bytes: int = 24 << 20
) -> Iterator[Ext4Disk]:
    """A disk, mounted; skips where that is not allowed."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("a file system in a file needs mkfs.ext4")
    disk = Ext4Disk(folder / f"{name}.img", folder / at, size_bytes)
    try:
        disk.mount()
    except OSError as error:
        pytest.skip(f"mounting a file system needs root: {error}")
    if not mounted:
        disk.pull()
    try:
        yield disk
    finally:
        for undo in (disk.thaw, disk.pull):
            with suppress(OSError):  # it was not frozen, or is pulled already
                undo()
