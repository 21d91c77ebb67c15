"""What can be wrong with a tier.

StorageError
└── TierUnavailable      a tier cannot be used now; it is tried again after a back-off, and its footage waits
    ├── TierFull         there is no room left in it
    ├── TierSilent       it did not answer; what it was asked for may be done later
    └── CopyDiffers      what was written is not what was read back; the recording stays where it was
"""

import errno

from vms.storage.errors import StorageError

_ADVICE = {
    errno.EIO: "it reports an input/output error; check the disk or the share",
    errno.EROFS: "it is mounted read-only; mount it for writing",
    errno.ESTALE: "the share was exported anew (stale file handle); mount it again",
    errno.ENOENT: "its directory has vanished; mount it again",
    errno.ENOTDIR: "its path is no directory; correct it",
    errno.ENOTCONN: "the share is not connected; mount it again",
    errno.EHOSTDOWN: "its server does not answer; check the server and the network",
    errno.ETIMEDOUT: "its server does not answer; check the server and the network",
    errno.EACCES: "permission denied; let this system's user write there",
    errno.EPERM: "permission denied; let this system's user write there",
}


class TierUnavailable(StorageError):
    """A tier cannot be used now. Nothing is lost: recordings stay where they are until it can."""

    def __init__(self, tier: str, reason: str) -> None:
        """reason: for a person, with what to do; without credentials."""
        super().__init__(f"tier {tier}: {reason}")
        self.tier = tier
        self.reason = reason


class TierFull(TierUnavailable):
    """A tier takes no more: its disk is full."""


class TierSilent(TierUnavailable):
    """A tier did not answer in time. What was begun in it goes on, and may still be done."""


class CopyDiffers(TierUnavailable):
    """A copy is not what was written; it was removed, and the recording stays where it was."""


def from_os_error(tier: str, error: OSError) -> TierUnavailable:
    """What an OSError says, with what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TierFull(tier, "its disk is full; lower its quota, or make room")
    advice = _ADVICE.get(error.errno or 0)
    return TierUnavailable(tier, advice or f"{error.strerror or error}; check the disk or the share")
