"""What playback needs of the recordings; `vms.storage.library.RecordingLibrary` provides it."""

from typing import Protocol
from uuid import UUID

from vms.common.ids import CameraId
from vms.media import Gap
from vms.storage.segment import OpenFile, OpenSegment, Segment


class RecordingStore(Protocol):
    """Finds recordings and opens them; those still being written are included.

    A range is half open, in wall-clock ns (UTC), and matches what overlaps it.
    """

    async def segments(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Segment]:
        """Recordings that overlap the range, oldest first."""

    async def gaps(self, camera_id: CameraId, start_ns: int, end_ns: int) -> list[Gap]:
        """Recorded gaps that overlap the range, oldest first; one that lasts has no end."""

    async def segment(self, segment_id: UUID) -> Segment:
        """One recording. Raises NotFound."""

    async def open(self, segment_id: UUID) -> OpenSegment:
        """One recording, open for reading. Raises NotFound, or Unavailable when the disk refuses."""

    async def open_file(self, segment_id: UUID) -> OpenFile:
        """As `open`, for its bytes alone: much quicker, for nothing in the file is read."""
