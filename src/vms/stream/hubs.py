"""Where the live-view service gets hubs from: the process's own, or subscriptions to another process.

Belongs here: the seam. Does not: subscribing (vms.relay), pulling cameras (vms.ingest).
"""

from collections.abc import Callable
from typing import Protocol

from vms.common.ids import CameraId
from vms.media import Hub


class HubLease(Protocol):
    """The right to a camera's hub, until released. The hub stays the same object while it is held."""

    @property
    def hub(self) -> Hub: ...

    async def ready(self, timeout_s: float) -> None:
        """Wait until the hub knows what its stream consists of. Raises Unavailable with the reason."""

    def release(self) -> None:
        """Give it back; the subscription behind it may end."""


LeaseHub = Callable[[CameraId], HubLease]
"""Raises NotFound for an unknown camera; does not wait."""


class OwnHub:
    """A lease on a hub of this process, which needs no waiting and no giving back."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def ready(self, timeout_s: float) -> None:
        """What the hub knows it knows."""

    def release(self) -> None:
        """Nothing is held."""


def own_hubs(hub: Callable[[CameraId], Hub]) -> LeaseHub:
    """Leases on the hubs that `hub` finds in this process."""
    return lambda camera_id: OwnHub(hub(camera_id))
