"""Which footage shows events: what keepers are told of it, joined where events follow each other.

Belongs here: from events to ranges. Does not: telling keepers (keeper_link), deciding what is recorded (camera_recorder).
"""

from collections.abc import Callable

from vms.common.camera import Camera
from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.storage.keeping import EventRange

LONGEST_NS = (
    3600 * NS
)  # a camera that sees motion all day has a range an hour, not one that is told again and again


class EventRanges:
    """The newest range of every camera and kind; `tell` gets each, again when it grows."""

    def __init__(self, tell: Callable[[EventRange], None]) -> None:
        self._tell = tell
        self._newest: dict[tuple[CameraId, str], tuple[int, EventRange]] = {}  # and since when ranges touch

    def add(self, camera: Camera, at_ns: int, kind: str) -> None:
        """An event of a kind that the camera's settings name, at a time (wall clock)."""
        start_ns = at_ns - round(camera.events.pre_roll * NS)
        end_ns = at_ns + round(camera.events.post_roll * NS)
        covered_from_ns, newest = self._newest.get((camera.id, kind), (0, None))
        if newest is not None and covered_from_ns <= start_ns <= newest.end_ns:
            if end_ns <= newest.end_ns:
                return
            too_long = end_ns - newest.start_ns > LONGEST_NS
            start_ns = newest.end_ns if too_long else newest.start_ns
        else:
            covered_from_ns = start_ns
        found = EventRange(camera.id, start_ns, end_ns, kind)
        if newest is None or start_ns >= newest.start_ns:
            self._newest[camera.id, kind] = covered_from_ns, found
        self._tell(found)

    def forget(self, camera_id: CameraId) -> None:
        """The camera is not this process's any more."""
        for key in [key for key in self._newest if key[0] == camera_id]:
            del self._newest[key]
