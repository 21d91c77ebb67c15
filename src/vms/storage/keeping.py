"""What a media process asks of the keeper of a volume.

A media process only writes files. Everything else, from a file's row in the catalog to its deletion, is its keeper's,
which may be another process: away for a while, or from the start. So everything here may be said late and twice.

Belongs here: the questions and their answers. Does not: the keeper (keeper), how they reach it (keeper_control).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vms.common.ids import CameraId
from vms.media import Gap


@dataclass(frozen=True, slots=True)
class MediaReport:
    """How one media process uses a volume.

    open_bytes: size of its files that have no row yet. written_bytes: ever, since the process began.
    error: why it cannot write there; "" when it can.
    """

    worker: str
    open_bytes: int
    written_bytes: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class VolumeState:
    """How a volume is.

    error: why its keeper cannot do its work; "" when it can. Recording does not depend on it.
    recovered: what a crash may have left open was looked through.
    """

    error: str
    used_bytes: int
    quota_bytes: int
    recovered: bool


@dataclass(frozen=True, slots=True)
class HistoryQuestion:
    """before_ns: of which cameras to tell how footage ended, and the time (wall clock) up to which.

    since_ns: of which of them to tell the first recording from a time on as well.
    """

    before_ns: Mapping[CameraId, int]
    since_ns: Mapping[CameraId, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """How footage of cameras ended.

    last_end_ns: when the last recording ended. lasting: gaps whose end is not known.
    resumed_ns: when the first recording began, of those that `since_ns` asked for.
    """

    last_end_ns: Mapping[CameraId, int]
    lasting: Sequence[tuple[CameraId, Gap]]
    resumed_ns: Mapping[CameraId, int]


class Keeping(Protocol):
    """The keeper of a volume. Every method raises StorageError when it cannot be done now, KeeperAway when the
    keeper does not answer; doing it again is safe."""

    async def settle(self, names: Sequence[str]) -> Sequence[str]:
        """Give closed files (names relative to the volume) their rows; those that need no more care."""

    async def put_gaps(self, gaps: Sequence[tuple[CameraId, Gap]]) -> None:
        """Keep gaps; one of the same camera, start and reason is replaced."""

    async def put_retentions(self, retention_ns: Mapping[CameraId, int]) -> None:
        """Keep cameras' footage for so long from now on."""

    async def history(self, question: HistoryQuestion) -> History:
        """How footage of cameras ended; what a dead writer left of them is repaired first."""

    async def exchange(self, report: MediaReport) -> VolumeState:
        """Say how the volume is used, and hear how it is."""
