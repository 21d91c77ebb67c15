"""A volume as a media process uses it: the files that it is writing there, and how much room is left.

Belongs here: what the process writes on it, and where a new segment would fit best. Does not: writing (writer),
talking to its keeper (keeper_link).
"""

from collections.abc import Callable
from uuid import UUID

from vms.common.clock import Clock
from vms.config import VolumeConfig
from vms.storage.identity import KnownVolumes
from vms.storage.keeping import VolumeState
from vms.storage.live import LiveSegment
from vms.storage.volume import Volume


class RecordingVolume(Volume):
    """A volume that segments are written to.

    live: the segments being written. state: what its keeper last said; None before it said anything.
    on_closed: is given the name and size of every file that was closed, whole or not; the loop's.
    """

    def __init__(self, config: VolumeConfig, clock: Clock, known: KnownVolumes, system_id: str) -> None:
        super().__init__(config, clock, known, system_id)
        self.live: dict[UUID, LiveSegment] = {}
        self.state: VolumeState | None = None
        self.on_closed: Callable[[str, int], None] = lambda name, size: None

    @property
    def open_bytes(self) -> int:
        """Size of the files being written."""
        return sum(live.size_bytes for live in self.live.values())

    @property
    def spare_bytes(self) -> int:
        """What may still be written before something has to go; decides where a new segment goes.

        While its keeper was not heard of, the file system alone decides.
        """
        if self.state is None:
            return self.room_bytes
        return min(self.state.quota_bytes - self.state.used_bytes, self.room_bytes)
