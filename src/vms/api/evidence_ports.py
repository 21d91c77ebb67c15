"""What the API needs for evidence: verification, locks, bookmarks; app supplies them.

Times are Unix nanoseconds, UTC. Errors are those of vms.common.errors; each names what it raises.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from vms.common.bookmark import Bookmark
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId


class VerifiedSegment(Protocol):
    """What the signature and the digests of one recording say of it.

    state: verified, changed, unsigned, recording (not closed yet), unreadable, or untrusted (by a key that is none of
    this system's). signed_ns, node, key_fingerprint: None where it is not signed. recovered: signed by repair after a
    crash. follows: whether it names the recording before it in the answer; None where that cannot be said.
    detail: for a person, "" where there is nothing to say.
    """

    @property
    def id(self) -> UUID: ...
    @property
    def start_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def signed_ns(self) -> int | None: ...
    @property
    def node(self) -> str | None: ...
    @property
    def key_fingerprint(self) -> str | None: ...
    @property
    def recovered(self) -> bool: ...
    @property
    def follows(self) -> bool | None: ...
    @property
    def detail(self) -> str: ...


class Verification(Protocol):
    """state: verified, unverified (nothing is recorded then), changed, unsigned, or partial (some is not verified)."""

    @property
    def state(self) -> str: ...
    @property
    def segments(self) -> Sequence[VerifiedSegment]: ...


class Verifier(Protocol):
    """Checks recordings against their signatures (vms.storage.playback.verification)."""

    async def verify(self, camera_id: CameraId, start_ns: int, end_ns: int) -> Verification:
        """The recordings that share time with the range, by start. Raises Unavailable when too many ask at once."""


class VolumeHold(Protocol):
    """Whether a volume obeys a lock. detail: why it does not, for a person."""

    @property
    def volume(self) -> str: ...
    @property
    def holds(self) -> bool: ...
    @property
    def detail(self) -> str: ...


class LockReport(Protocol):
    @property
    def lock(self) -> EvidenceLock: ...
    @property
    def volumes(self) -> Sequence[VolumeHold]: ...


class Page(Protocol):
    """more: there are more behind the last one."""

    @property
    def more(self) -> bool: ...


class LockPage(Page, Protocol):
    @property
    def items(self) -> Sequence[LockReport]: ...


class BookmarkPage(Page, Protocol):
    @property
    def items(self) -> Sequence[Bookmark]: ...


class Locks(Protocol):
    """Evidence locks (vms.gateway). All raise Unavailable while the database cannot be used."""

    async def list(
        self,
        *,
        limit: int,
        camera_id: str | None = None,
        include_released: bool = False,
        start_ns: int | None = None,
        end_ns: int | None = None,
        before: tuple[int, str] | None = None,
    ) -> LockPage:
        """The newest first. start_ns, end_ns: only those that share time with the range. before: (created_ns, id)."""

    async def get(self, lock_id: UUID) -> LockReport:
        """Raises NotFound."""

    async def create(
        self, camera_id: CameraId, start_ns: int, end_ns: int, *, reason: str, created_by: str
    ) -> LockReport:
        """When it returns, the lock is kept and every volume that answers obeys it."""

    async def release(self, lock_id: UUID, *, released_by: str, reason: str) -> LockReport:
        """Raises NotFound, and Conflict when it was released already."""


class Bookmarks(Protocol):
    """Bookmarks (vms.gateway). All raise Unavailable while the database cannot be used."""

    async def list(
        self,
        *,
        limit: int,
        camera_id: str | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        text: str | None = None,
        before: tuple[int, str] | None = None,
    ) -> BookmarkPage:
        """The latest footage first. text: what title or note hold, in any case. before: (start_ns, id)."""

    async def get(self, bookmark_id: UUID) -> Bookmark:
        """Raises NotFound."""

    async def create(
        self, camera_id: CameraId, start_ns: int, end_ns: int, *, title: str, note: str, created_by: str
    ) -> Bookmark: ...
    async def change(self, bookmark_id: UUID, changes: Mapping[str, int | str]) -> Bookmark:
        """changes: start_ns, end_ns, title, note. Raises NotFound, InvalidInput."""

    async def delete(self, bookmark_id: UUID) -> None:
        """Raises NotFound."""
