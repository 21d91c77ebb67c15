"""How a process that pulls no cameras gets their hubs: where each stream is, and subscriptions to there.

Belongs here: from a camera's stream to the address of the process that has it. Does not: subscribing (vms.relay).
"""

from collections.abc import Callable
from pathlib import Path

from vms.app.directory import Directory
from vms.app.places import Places
from vms.common.clock import Clock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.gateway.client import RegistryClient
from vms.relay import HubLease, RelayAddress, RelayPool, UnixAddress
from vms.telemetry.metrics import MetricSource


class RelayedHubs:
    """Leases on hubs of media processes, followed where their cameras go.

    locate_compat: where a camera's transcoded stream is served; set by whoever has a process that transcodes.
    """

    def __init__(self, places: Places, registry: RegistryClient, directory: Directory, clock: Clock) -> None:
        self._places = places
        self._node = places.node()
        self._registry = registry
        self._directory = directory
        self.locate_compat: Callable[[CameraId], RelayAddress | None] | None = None
        self.pool = RelayPool(self._locate, clock)

    @property
    def source(self) -> MetricSource:
        return self.pool

    def lease(self, camera_id: CameraId, stream: StreamName = StreamName.MAIN, /) -> HubLease:
        """Raises NotFound for a camera that is not being pulled, and for a stream that it does not have."""
        if self._registry.assignment(camera_id) is None:
            raise NotFound(f"no camera {camera_id} is being pulled")
        if stream is StreamName.SUB and not self._registry.has_sub(camera_id):
            raise NotFound(
                f"camera {camera_id} has no sub stream; set its sub_source, or watch its main stream"
            )
        if stream is StreamName.COMPAT and self.locate_compat is None:
            raise NotFound(f"camera {camera_id} has no {stream} stream: no process of this system transcodes")
        return self.pool.acquire(camera_id, stream)

    def moved(self, worker: str) -> None:
        """A worker's place or life changed: what is subscribed there is looked for anew, at once."""
        for camera_id in self.pool.cameras():
            assignment = self._registry.assignment(camera_id)
            if assignment is not None and assignment[1] == worker:
                self.pool.moved(camera_id)

    async def stop(self) -> None:
        await self.pool.close()

    def _locate(self, camera_id: CameraId, stream: StreamName) -> RelayAddress | None:
        if stream is StreamName.COMPAT:
            return self.locate_compat(camera_id) if self.locate_compat is not None else None
        assignment = self._registry.assignment(camera_id)
        if assignment is None:
            return None
        node, worker = assignment
        if node == self._node:
            return UnixAddress(self._places.relay(worker))
        status = self._directory.worker(worker)
        return UnixAddress(Path(status.relay)) if status is not None and status.relay else None
