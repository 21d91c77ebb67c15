"""Evidence locks: footage that nothing deletes until a person lets it go.

Belongs here: what a lock says. Does not: who keeps them (vms.gateway), who obeys them (vms.storage).
"""

from dataclasses import dataclass
from uuid import UUID

from vms.common.ids import CameraId


@dataclass(frozen=True, slots=True)
class EvidenceLock:
    """A camera's footage in [start_ns, end_ns) (wall clock, UTC ns) stays, whatever limits, quotas and laws say.

    reason, created_by: in a person's words. released_ns: None while it holds; a released lock is remembered, with who
    released it and why.
    """

    id: UUID
    camera_id: CameraId
    start_ns: int
    end_ns: int
    reason: str
    created_by: str
    created_ns: int
    released_ns: int | None = None
    released_by: str = ""
    release_reason: str = ""

    @property
    def holds(self) -> bool:
        return self.released_ns is None
