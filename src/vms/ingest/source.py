"""Where media comes from: the seam between supervisors and protocols."""

from collections.abc import Callable
from typing import Protocol

from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.ingest.feed import Feed


class Source(Protocol):
    """One way to pull a camera."""

    async def run(self, feed: Feed) -> None:
        """Connect and push until the camera ends it; raises SourceError. Cancelling disconnects."""


SourceFactory = Callable[[Camera, Clock], Source]
