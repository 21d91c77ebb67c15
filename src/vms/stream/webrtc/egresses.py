"""The egresses in use, one a stream of a camera, each with its lease on the hub that feeds it.

Belongs here: when an egress begins and ends. Does not: viewers (vms.stream.webrtc.service), sending
(vms.stream.webrtc.egress).
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.stream.hubs import HubLease, LeaseHub
from vms.stream.latency import StreamLatencies
from vms.stream.viewability import viewability
from vms.stream.webrtc.egress import Egress

READY_TIMEOUT_S = 4.0  # for a subscription that has to be begun first; browsers give up later


class StreamKey(NamedTuple):
    """A stream of a camera."""

    camera_id: CameraId
    stream: StreamName


class Egresses:
    """Iterates over (key, egress). on_changed, on_viewers: see Egress."""

    def __init__(
        self,
        lease: LeaseHub,
        clock: Clock,
        on_changed: Callable[[Egress], None],
        on_viewers: Callable[[], None],
    ) -> None:
        self.lease = lease
        self.latencies = StreamLatencies(clock)
        self._clock = clock
        self._on_changed = on_changed
        self._on_viewers = on_viewers
        self._egresses: dict[StreamKey, Egress] = {}
        self._leases: dict[Egress, HubLease] = {}

    def __iter__(self) -> Iterator[tuple[StreamKey, Egress]]:
        return iter(self._egresses.items())

    def get(self, key: StreamKey) -> Egress | None:
        return self._egresses.get(key)

    def stream(self, egress: object) -> StreamName:
        """Which stream an egress sends; main for one that is over."""
        return next((key.stream for key, known in self if known is egress), StreamName.MAIN)

    @asynccontextmanager
    async def using(self, key: StreamKey) -> AsyncIterator[Egress]:
        """A stream's egress, kept when the block does not raise: somebody uses it then.

        Raises NotFound, NotViewable, and Unavailable when the process that pulls the camera does not answer.
        """
        lease = self.lease(key.camera_id, key.stream)
        try:
            await lease.ready(READY_TIMEOUT_S)
            viewability(lease.hub).require()
            egress = self._egress(key, lease.hub)
            yield egress
        except BaseException:
            lease.release()
            raise
        self._egresses[key] = egress
        if egress in self._leases:
            lease.release()
        else:
            self._leases[egress] = lease

    def drop(self, egress: Egress) -> None:
        """Close one that nobody uses any more; its lease goes back."""
        for key in [key for key, known in self if known is egress]:
            del self._egresses[key]
        egress.close()
        lease = self._leases.pop(egress, None)
        if lease is not None:
            lease.release()

    def _egress(self, key: StreamKey, hub: Hub) -> Egress:
        egress = self._egresses.get(key)
        if egress is not None and egress.hub is not hub:
            self._on_changed(egress)
            egress = None
        return egress or Egress(hub, self._clock, self._on_changed, self._on_viewers, self.latencies)
