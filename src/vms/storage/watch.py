"""What somebody should be told of at once: a volume that fails, a camera that should be recorded and is not.

Belongs here: noticing it, once a second, and that it is over. Does not: telling it (vms.app.events).
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.storage.camera_recorder import CameraRecorder
from vms.storage.recording_state import RecordingState
from vms.storage.volume import Volume

PATIENCE_NS = 5 * NS  # a reconnect, or the change to another volume, is nobody's alarm
OPENING_PATIENCE_NS = 15 * NS  # a disk that spins up; one that hangs never says that it failed


class RecordingWatch:
    """on_volume, on_camera: called with why it fails, and with None when it works again.

    on_volume gets the kind of failure as well (see Volume.kind_of_failure), and is called again for another one.
    """

    def __init__(self, clock: Clock) -> None:
        self.on_volume: Callable[[Path, str | None, str], None] = lambda path, error, kind: None
        self.on_camera: Callable[[CameraId, str | None], None] = lambda camera_id, error: None
        self._clock = clock
        self._failed_volumes: dict[Path, str] = {}  # and how
        self._since_ns = clock.monotonic_ns()
        self._failing_since_ns: dict[CameraId, int] = {}
        self._failed_cameras: set[CameraId] = set()

    @property
    def failed_cameras(self) -> int:
        return len(self._failed_cameras)

    def look(self, volumes: Iterable[Volume], recorders: Mapping[CameraId, CameraRecorder]) -> None:
        """Tell what changed since the last time."""
        now_ns = self._clock.monotonic_ns()
        for volume in volumes:
            kind = volume.kind_of_failure
            if kind == "starting":
                if now_ns - self._since_ns <= OPENING_PATIENCE_NS:
                    continue
                kind = "stalled"
            if kind == self._failed_volumes.get(volume.path):
                continue
            if kind is None:
                del self._failed_volumes[volume.path]
                self.on_volume(volume.path, None, "")
            else:
                self._failed_volumes[volume.path] = kind
                answers = volume.error is not None and kind != "stalled"
                error = (
                    str(volume.error)
                    if answers
                    else f"volume {volume.path}: it does not answer; check the disk"
                )
                self.on_volume(volume.path, error, kind)
        for camera_id in [each for each in self._failing_since_ns if each not in recorders]:
            self._failing_since_ns.pop(camera_id)  # nobody wants it recorded any more
            self._failed_cameras.discard(camera_id)
        for camera_id, recorder in recorders.items():
            self._look_at(camera_id, recorder, now_ns)

    def _look_at(self, camera_id: CameraId, recorder: CameraRecorder, now_ns: int) -> None:
        if recorder.state is not RecordingState.FAILED:
            self._failing_since_ns.pop(camera_id, None)
            if camera_id in self._failed_cameras:
                self._failed_cameras.discard(camera_id)
                self.on_camera(camera_id, None)
            return
        since_ns = self._failing_since_ns.setdefault(camera_id, now_ns)
        if camera_id not in self._failed_cameras and now_ns - since_ns > PATIENCE_NS:
            self._failed_cameras.add(camera_id)
            self.on_camera(camera_id, recorder.failure)
