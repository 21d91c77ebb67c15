"""What is asked of the keeper of a volume: by media processes, and by those who answer people.

A media process only writes files. Everything else, from a file's row in the catalog to its deletion, is its keeper's,
which may be another process: away for a while, or from the start. So everything here may be said late and twice.

Belongs here: the questions and their answers. Does not: the keeper (keeper), how they reach it (keeper_control).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.format.hybrid import PreviousFile
from vms.media import Gap
from vms.storage.retention_rule import RetentionRule


@dataclass(frozen=True, slots=True)
class MediaReport:
    """How one media process uses a volume.

    open_bytes: size of its files that have no row yet. written_bytes: ever, since the process began.
    error: why it cannot write there; "" when it can. stalled: the disk has not taken what it was given for seconds.
    """

    worker: str
    open_bytes: int
    written_bytes: int
    error: str = ""
    stalled: bool = False


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
    last_file: the last recording of the main stream, of cameras where it has a proof to link to.
    """

    last_end_ns: Mapping[CameraId, int]
    lasting: Sequence[tuple[CameraId, Gap]]
    resumed_ns: Mapping[CameraId, int]
    last_file: Mapping[CameraId, PreviousFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventRange:
    """Footage of a camera in [start_ns, end_ns) (wall clock, UTC ns) shows an event; pre- and post-roll are in it.

    kind: of the event, such as ``motion``. A range that goes on is told again with a later end.
    """

    camera_id: CameraId
    start_ns: int
    end_ns: int
    kind: str


@dataclass(frozen=True, slots=True)
class TierState:
    """One tier of a volume. kind: ``directory`` or ``s3``. error: why it cannot be used; "" when it can."""

    name: str
    kind: str
    used_bytes: int
    quota_bytes: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class KeeperState:
    """A volume as its keeper sees it, for people.

    volume_id: None before it was recognised. error: as in `VolumeState`. used_bytes: on the volume itself.
    room_bytes: what its file system still takes above the floor. encrypted: what is recorded from now on.
    locked_bytes: of closed recordings under evidence locks, tiers included. found: recordings by what was met since the
    start: repaired, indexed, empty, unreadable, missing.
    alarms: what a person has to look at (`vms.storage.alarms`).
    """

    path: str
    volume_id: UUID | None
    error: str
    used_bytes: int
    quota_bytes: int
    room_bytes: int
    recovered: bool
    encrypted: bool
    tiers: Sequence[TierState] = ()
    locked_bytes: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()


class Keeping(Protocol):
    """The keeper of a volume. Every method raises StorageError when it cannot be done now, KeeperAway when the
    keeper does not answer; doing it again is safe."""

    async def settle(self, names: Sequence[str]) -> Sequence[str]:
        """Give closed files (names relative to the volume) their rows; those that need no more care."""

    async def put_gaps(self, gaps: Sequence[tuple[CameraId, Gap]]) -> None:
        """Keep gaps; one of the same camera, start and reason is replaced."""

    async def put_retentions(self, rules: Mapping[CameraId, RetentionRule]) -> None:
        """Keep cameras' footage by these rules from now on."""

    async def put_event_ranges(self, ranges: Sequence[EventRange]) -> None:
        """Note event footage; a range of the same camera, start and kind only becomes longer."""

    async def put_locks(self, locks: Sequence[EvidenceLock], revision: int) -> None:
        """Obey these locks, the whole set of those that hold; when it returns, the volume does so whatever happens.

        revision: of the set; it grows with every change. A lock that is not named is let go, unless the set is older
        than what is obeyed: then it holds until a set names it as released. Sets may name released locks.
        """

    async def history(self, question: HistoryQuestion) -> History:
        """How footage of cameras ended; what a dead writer left of them is repaired first."""

    async def exchange(self, report: MediaReport) -> VolumeState:
        """Say how the volume is used, and hear how it is."""

    async def state(self) -> KeeperState:
        """How the volume is, for people; it answers also while the volume cannot be used."""
