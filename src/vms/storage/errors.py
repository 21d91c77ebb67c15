"""What can be wrong with recordings and the disks under them.

Unavailable
└── StorageError
    ├── VolumeUnavailable   a volume cannot be read or written now; it is tried again after a back-off
    ├── FolderUnusable      a volume works, and one camera's folder on it does not; the others are recorded there
    ├── CatalogUnusable     a volume's index refuses to work; it can be rebuilt from the files
    ├── KeeperAway          the process that keeps a volume does not answer; recording goes on without it
    └── SegmentUnreadable   a recording is known, and its file cannot be read
NotFound
└── SegmentNotFound         no recording of that id, or retention has deleted it
"""

import errno
from pathlib import Path
from uuid import UUID

from vms.common.errors import NotFound, Unavailable

_KINDS = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.EIO: "io_error",
    errno.ENXIO: "io_error",
    errno.ENOENT: "gone",
    errno.ENODEV: "gone",
    errno.ESTALE: "gone",
    errno.ENOTCONN: "gone",
}
_ADVICE = {
    errno.ENOSPC: "the disk is full; the oldest recordings are deleted to make room",
    errno.EDQUOT: "the disk quota of this user is used up; raise it or lower the volume's quota",
    errno.EIO: "the disk reports an input/output error; check its cables and health",
    errno.EROFS: "the file system is read-only; check the disk and mount it for writing",
    errno.ENOENT: "the directory has vanished; mount the disk again",
    errno.ENODEV: "the disk has vanished; attach it again",
    errno.EACCES: "permission denied; let this system's user write there",
    errno.EPERM: "permission denied; let this system's user write there",
    errno.EFBIG: "the file may not become larger; raise this system's limit (LimitFSIZE)",
    errno.EMFILE: "too many open files; raise this system's limit (LimitNOFILE)",
}


class StorageError(Unavailable):
    """Recordings cannot be read or written now; trying again later is safe."""


class VolumeUnavailable(StorageError):
    """A volume cannot be used now; `reason` is for a person and names no path.

    kind: what sort of failure it is, for alarms: full, read_only, io_error, gone (the disk is not there), swapped
    (another disk is there), key (its encryption key cannot be used), other.
    """

    def __init__(self, path: Path, reason: str, *, kind: str = "other") -> None:
        super().__init__(f"volume {path}: {reason}")
        self.reason = reason
        self.kind = kind

    @classmethod
    def from_os_error(cls, path: Path, error: OSError) -> "VolumeUnavailable":
        """What an OSError says, with what to do about it."""
        advice = _ADVICE.get(error.errno or 0)
        reason = advice or f"{error.strerror or error}; check the disk"
        return cls(path, reason, kind=_KINDS.get(error.errno or 0, "other"))


class FolderUnusable(StorageError):
    """One camera's folder on a volume takes no files; the volume itself works, so this is nobody else's trouble."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"{folder}: {error.strerror or error}; it has to be a folder in which this system's user may write"
        )


class CatalogUnusable(StorageError):
    """A volume's catalog refuses to work. It is an index alone: the recordings are not affected."""

    def __init__(self, path: Path, reason: str, *, damaged: bool = False) -> None:
        super().__init__(f"catalog {path}: {reason}")
        self.reason = reason
        self.damaged = damaged


class KeeperAway(StorageError):
    """The keeper of a volume does not answer. What it was told may have been done; telling it again is safe."""


class SegmentUnreadable(StorageError):
    """A recording is known, and its file cannot be read."""

    def __init__(self, segment_id: UUID, reason: str, advice: str = "check its disk") -> None:
        super().__init__(f"recording {segment_id} cannot be read: {reason}{advice and '; '}{advice}")


class SegmentNotFound(NotFound):
    """No recording of that id: it never was, or retention has deleted it."""

    def __init__(self, segment_id: UUID) -> None:
        super().__init__(f"there is no recording {segment_id}; it may have been deleted by retention")
