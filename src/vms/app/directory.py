"""Who runs and how they fare: the newest WorkerStatus of every worker, as heard on the bus.

While the bus is away, what was heard last stays: nobody can say that anything changed.

Belongs here: listening, and what becomes of a worker that falls silent. Does not: telling (worker_status).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vms.bus import Bus, Subscription
from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.proto import camera_pb2, subjects, worker_pb2

SILENT_NS = 3_500_000_000  # three heartbeats, and a little


@dataclass(slots=True)
class _Heard:
    status: worker_pb2.WorkerStatus
    at_ns: int
    cameras: dict[str, camera_pb2.CameraStatus]


class Directory:
    """Listens while started. `on_change(worker)`: a worker's place or life changed, or it is new."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self.on_change: Callable[[str], None] = lambda worker: None
        self._bus = bus
        self._clock = clock
        self._heard: dict[str, _Heard] = {}
        self._subscription: Subscription | None = None
        self._connected_ns: int | None = None
        bus.on_connect(self._connected)

    async def start(self) -> None:
        self._subscription = self._bus.subscribe(subjects.worker_status("*"), self._hear)

    async def stop(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def workers(self, role: str) -> Iterator[worker_pb2.WorkerStatus]:
        """The workers of a role that are alive, by name."""
        for name in sorted(self._heard):
            heard = self._heard[name]
            if heard.status.role == role and not self._silent(heard):
                yield heard.status

    def worker(self, name: str) -> worker_pb2.WorkerStatus | None:
        """A worker that is alive."""
        heard = self._heard.get(name)
        return heard.status if heard is not None and not self._silent(heard) else None

    def camera(self, camera_id: CameraId, worker: str) -> camera_pb2.CameraStatus | None:
        """What the worker that pulls a camera says of it; None while that is not known."""
        heard = self._heard.get(worker)
        return heard.cameras.get(camera_id) if heard is not None and not self._silent(heard) else None

    def lost(self, worker: str) -> bool:
        """Whether a worker was alive and is not heard of any more."""
        heard = self._heard.get(worker)
        return heard is not None and self._silent(heard)

    def viewers(self, camera_id: CameraId) -> int:
        """Viewers of a camera over all stream workers."""
        serving = [*self.workers("stream"), *self.workers("quic"), *self.workers("srt")]
        return sum(status.viewers.get(camera_id, 0) for status in serving)

    def _silent(self, heard: _Heard) -> bool:
        if not self._bus.connected or self._connected_ns is None:
            return False
        since_ns = max(heard.at_ns, self._connected_ns)  # nobody was heard while the bus was away
        return self._clock.monotonic_ns() - since_ns > SILENT_NS

    def _connected(self) -> None:
        self._connected_ns = self._clock.monotonic_ns()

    def _hear(self, subject: str, data: bytes) -> None:
        status = worker_pb2.WorkerStatus.FromString(data)
        before = self._heard.get(status.worker)
        cameras = {camera.camera_id: camera for camera in status.cameras}
        self._heard[status.worker] = _Heard(status, self._clock.monotonic_ns(), cameras)
        if before is None or (before.status.started_ns, before.status.relay) != (
            status.started_ns,
            status.relay,
        ):
            self.on_change(status.worker)
