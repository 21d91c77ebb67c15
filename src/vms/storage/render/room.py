"""How much exports may take of the disk that they lie on.

Belongs here: bounds and asking the file system. Does not: deleting anything (jobs).
"""

import errno
import shutil
from pathlib import Path

from vms.storage.render.errors import NoRoomForExport

MOST_EXPORTS_BYTES = 50 << 30
FREE_FLOOR_BYTES = 1 << 30
_FLOOR_SHARE = 50  # of a small file system, a 50th is kept free instead
_ASK_EVERY_BYTES = 32 << 20


class Room:
    """The room for exports in a directory. All methods block: for a thread."""

    def __init__(self, directory: Path, most_bytes: int = MOST_EXPORTS_BYTES) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._since_asked = _ASK_EVERY_BYTES

    def reserve(self, estimate_bytes: int) -> None:
        """Raises NoRoomForExport unless so much is likely to fit."""
        left_bytes = self.left_bytes()
        if estimate_bytes > left_bytes:
            raise NoRoomForExport(
                f"the export will take about {_mebibytes(estimate_bytes)}, and there is room for "
                f"{_mebibytes(max(left_bytes, 0))}; delete exports, choose a shorter range, or make room on the disk of "
                "data_dir"
            )

    def check(self, size_bytes: int) -> None:
        """To be called before so much is written; asks the disk now and then. Raises NoRoomForExport."""
        self._since_asked += size_bytes
        if size_bytes and self._since_asked < _ASK_EVERY_BYTES:
            return
        self._since_asked = 0
        if self.left_bytes() < size_bytes:
            raise NoRoomForExport(
                "there is no more room for exports; delete some, or make room on the disk of data_dir"
            )

    def left_bytes(self) -> int:
        """What exports may still take: of the disk, and of what they may have together."""
        usage = shutil.disk_usage(self._directory)
        floor_bytes = min(FREE_FLOOR_BYTES, usage.total // _FLOOR_SHARE)
        return min(usage.free - floor_bytes, self._most_bytes - self._taken_bytes())

    def _taken_bytes(self) -> int:
        taken = 0
        for path in self._directory.rglob("*"):
            try:
                taken += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:  # deleted meanwhile
                continue
        return taken


def is_full(error: OSError) -> bool:
    """Whether a disk, or a quota on it, is full."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def _mebibytes(size_bytes: int) -> str:
    return f"{-(-size_bytes // (1 << 20)):,} MiB"
