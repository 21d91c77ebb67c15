"""What a process needs that pulls no cameras: the registry's copy, who runs, and hubs by relay.

Belongs here: these three, wired to each other. Does not: what is done with them (stream, api).
"""

from collections.abc import Callable

from vms.app.directory import Directory
from vms.app.hubs import RelayedHubs
from vms.app.places import Places
from vms.bus import Bus
from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.gateway.client import RegistryClient


class Subscriber:
    """on_removed: told when a camera is no longer configured. on_no_sub: of one that changed and has no sub stream."""

    def __init__(self, places: Places, bus: Bus, clock: Clock) -> None:
        self.on_removed: Callable[[CameraId], None] = lambda camera_id: None
        self.on_no_sub: Callable[[CameraId], None] = lambda camera_id: None
        self.registry = RegistryClient(bus, places.data_dir)
        self.registry.on_change = self._changed
        self.directory = Directory(bus, clock)
        self.hubs = RelayedHubs(places, self.registry, self.directory, clock)
        self.directory.on_change = self.hubs.moved

    async def start(self) -> None:
        await self.directory.start()
        await self.registry.start()

    async def stop(self) -> None:
        await self.hubs.stop()
        await self.registry.stop()
        await self.directory.stop()

    def _changed(self, camera_id: CameraId) -> None:
        """A camera was added, changed, moved or removed."""
        if self.registry.assignment(camera_id) is None:
            self.on_removed(camera_id)
            return
        self.hubs.pool.moved(camera_id)
        if not self.registry.has_sub(camera_id):
            self.on_no_sub(camera_id)
