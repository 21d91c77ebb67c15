"""What is known of the media processes: which exist, how they fare, what they carry.

A worker is taken for gone when it was silent for SILENT_S while the bus was there to hear it, and the time for
which it is gone counts from when that was noticed: neither a bus that was away nor a pause of this process
makes anybody look dead.

Belongs here: measuring. Does not: deciding (placement).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.gateway.placement import Worker
from vms.proto.worker_pb2 import WorkerStatus

SILENT_S = 3.0
FORGOTTEN_S = 3600.0
MEDIA = "media"
# A revision is a time in ms or a little more; what is beyond is no revision of this system
_HIGHEST_REVISION = 1 << 62


@dataclass(slots=True)
class _Known:
    """heard_ns: monotonic, when its newest status came. gone_ns: when its silence was noticed."""

    node: str
    heard_ns: int | None = None
    gone_ns: int | None = None
    cpu_share: float = 0.0
    measured: dict[CameraId, float] = field(default_factory=dict)


class MediaWorkers:
    """The media processes of a site. `configured` are those that this machine is set up to have."""

    def __init__(self, clock: Clock, node: str, configured: Iterable[str]) -> None:
        self._clock = clock
        self._node = node
        self._configured = frozenset(configured)
        self._known: dict[str, _Known] = {name: _Known(node) for name in self._configured}
        self._listening_ns: int | None = None
        self.bitrates: dict[CameraId, float] = {}  # the last measured of each camera, bits a second
        self.highest_revision = 0  # of all that any of them holds

    def configure(self, names: Iterable[str]) -> None:
        """This machine has other media processes now; those that it has no more exist no more."""
        self._configured = frozenset(names)
        for name in self._configured:
            self.expect(name, self._node)
        for name, known in list(self._known.items()):
            if known.node == self._node and name not in self._configured:
                del self._known[name]

    def expect(self, name: str, node: str) -> None:
        """A worker of which the database knows; it exists until it is silent for long."""
        if node != self._node or name in self._configured:
            self._known.setdefault(name, _Known(node))

    def heard(self, status: WorkerStatus) -> None:
        """A worker's newest word; those of other roles are passed over."""
        if status.role != MEDIA:
            return
        self.expect(status.worker, status.node)
        known = self._known.get(status.worker)
        if known is None:
            return  # one that this machine should not have any more; it is about to end
        known.node = status.node
        known.heard_ns = self._clock.monotonic_ns()
        known.gone_ns = None
        known.cpu_share = max(status.cpu_share, 0.0)
        known.measured = {
            CameraId(camera.camera_id): float(camera.bitrate)
            for camera in status.cameras
            if camera.HasField("bitrate")
        }
        self.bitrates.update(known.measured)
        for camera in status.cameras:
            self.saw_revision(camera.revision)

    def saw_revision(self, revision: int) -> None:
        """Somebody holds a camera at this revision."""
        if revision <= _HIGHEST_REVISION:
            self.highest_revision = max(self.highest_revision, revision)

    def listen(self) -> None:
        """The bus is (again) there: silence counts from now."""
        self._listening_ns = self._clock.monotonic_ns()

    def look(self, connected: bool) -> None:
        """Notice who is silent; call it about once a second."""
        now_ns = self._clock.monotonic_ns()
        if not connected:
            self._listening_ns = None
        elif self._listening_ns is None:
            self._listening_ns = now_ns
        for name, known in list(self._known.items()):
            if self._listening_ns is None:
                known.gone_ns = None
                continue
            since_ns = max(known.heard_ns or 0, self._listening_ns)
            if now_ns - since_ns <= SILENT_S * NS:
                known.gone_ns = None
            elif known.gone_ns is None:
                known.gone_ns = now_ns
            elif name not in self._configured and now_ns - known.gone_ns > FORGOTTEN_S * NS:
                del self._known[name]

    def forget_cameras(self, present: Mapping[CameraId, object]) -> None:
        """Drop what was measured of cameras that exist no more."""
        self.bitrates = {key: value for key, value in self.bitrates.items() if key in present}

    def well(self, name: str) -> bool:
        """Whether a worker exists and is not known to be silent."""
        known = self._known.get(name)
        return known is not None and known.gone_ns is None

    def measured(self) -> list[Worker]:
        """All that exist, for `placement.place`."""
        now_ns = self._clock.monotonic_ns()
        return [
            Worker(
                name,
                known.node,
                None if known.gone_ns is None else (now_ns - known.gone_ns) / NS,
                known.cpu_share,
                known.measured,
            )
            for name, known in self._known.items()
        ]

    def nodes(self) -> frozenset[str]:
        """Where a worker was heard lately."""
        return frozenset(
            known.node
            for known in self._known.values()
            if known.heard_ns is not None and known.gone_ns is None
        )
