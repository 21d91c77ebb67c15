"""Bookmarks: moments and ranges of footage that a person wants to find again."""

from dataclasses import dataclass
from uuid import UUID

from vms.common.ids import CameraId


@dataclass(frozen=True, slots=True)
class Bookmark:
    """start_ns, end_ns: wall clock, UTC ns; equal for a moment. title, note, created_by: a person's words."""

    id: UUID
    camera_id: CameraId
    start_ns: int
    end_ns: int
    title: str
    note: str
    created_by: str
    created_ns: int
    updated_ns: int
