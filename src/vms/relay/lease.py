"""The right to a camera's hub, wherever the hub's media comes from."""

from typing import Protocol

from vms.media import Hub


class HubLease(Protocol):
    """Held until released. The hub stays the same object while it is held."""

    @property
    def hub(self) -> Hub: ...

    async def ready(self, timeout_s: float) -> None:
        """Wait until the hub knows what its stream consists of. Raises Unavailable with the reason."""

    def release(self) -> None:
        """Give it back; the subscription behind it may end."""
