"""Where the live-view service gets hubs from: the process's own, or subscriptions to another process.

Belongs here: the seam. Does not: subscribing (vms.relay), pulling cameras (vms.ingest).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub


class HubLease(Protocol):
    """The right to a camera's hub, until released. The hub stays the same object while it is held."""

    @property
    def hub(self) -> Hub: ...

    async def ready(self, timeout_s: float) -> None:
        """Wait until the hub knows what its stream consists of. Raises Unavailable with the reason."""

    def release(self) -> None:
        """Give it back; the subscription behind it may end."""


class LeaseHub(Protocol):
    """Leases on the hubs of cameras' streams."""

    def __call__(self, camera_id: CameraId, stream: StreamName = StreamName.MAIN, /) -> HubLease:
        """Raises NotFound for an unknown camera and for a stream that it does not have; does not wait."""


class OwnHub:
    """A lease on a hub of this process, which needs no waiting and no giving back."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def ready(self, timeout_s: float) -> None:
        """What the hub knows it knows."""

    def release(self) -> None:
        """Nothing is held."""


def own_hubs(
    main: Callable[[CameraId], Hub], others: Mapping[StreamName, Callable[[CameraId], Hub]] | None = None
) -> LeaseHub:
    """Leases on the hubs that `main` finds in this process; others: the same for other streams than main."""
    found = {StreamName.MAIN: main, **(others or {})}

    def lease(camera_id: CameraId, stream: StreamName = StreamName.MAIN, /) -> HubLease:
        hub = found.get(stream)
        if hub is None:
            raise NotFound(f"camera {camera_id} has no {stream} stream here")
        return OwnHub(hub(camera_id))

    return lease
