"""The streams of a server that serves hubs: made when asked for, kept while they have sessions.

Belongs here: a camera's feed and stream, and when they are made anew. Does not: where the hub comes from.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.media import Hub
from vms.relay.feed import HubFeed
from vms.wire.rtsp.server_feed import FeedLine
from vms.wire.rtsp.server_stream import Stream
from vms.wire.sdp import Attribute

GRACE_NS = 10 * NS

F = TypeVar("F", bound=HubFeed)


@dataclass(slots=True)
class _ServedHub(Generic[F]):
    """used_ns: when it was last asked for (monotonic)."""

    feed: F
    stream: Stream
    used_ns: int
    on_forgotten: Callable[[], None]


class ServedHubs(Generic[F]):
    """By camera. A stream without sessions is kept for a while, so that a client finds at SETUP what it was told
    at DESCRIBE.

    attributes: what session descriptions say of a line beyond what any receiver needs.
    """

    def __init__(self, clock: Clock, attributes: Callable[[FeedLine], Iterable[Attribute]]) -> None:
        self._clock = clock
        self._attributes = attributes
        self._served: dict[CameraId, _ServedHub[F]] = {}
        self._refused_before = 0

    def __len__(self) -> int:
        return len(self._served)

    def get(self, camera_id: CameraId, hub: Hub | None = None) -> Stream | None:
        """The camera's stream, unless it is not what its hub holds any more, or not of `hub` where given."""
        served = self._served.get(camera_id)
        if served is None:
            return None
        if served.feed.changed or (hub is not None and hub is not served.feed.hub):
            self.end(camera_id)
            return None
        served.used_ns = self._clock.monotonic_ns()
        return served.stream

    def hub(self, camera_id: CameraId) -> Hub | None:
        """The hub that a camera's stream is made of."""
        served = self._served.get(camera_id)
        return served.feed.hub if served is not None else None

    def put(self, camera_id: CameraId, feed: F, on_forgotten: Callable[[], None] = lambda: None) -> Stream:
        """The camera's stream from now on. on_forgotten: called once when it is no more."""
        self.end(camera_id)
        stream = Stream(feed, self._clock, catch_up=feed.catch_up, attributes=self._attributes)
        feed.on_changed = stream.end
        self._served[camera_id] = _ServedHub(feed, stream, self._clock.monotonic_ns(), on_forgotten)
        return stream

    def end(self, camera_id: CameraId) -> None:
        """End the sessions of a camera's clients, and forget its stream."""
        served = self._served.pop(camera_id, None)
        if served is not None:
            self._refused_before += served.feed.units_refused
            served.stream.end()
            served.on_forgotten()

    def end_all(self) -> None:
        for camera_id in list(self._served):
            self.end(camera_id)

    def streams(self) -> list[Stream]:
        return [served.stream for served in self._served.values()]

    def tidy(self) -> None:
        """Forget streams that have had no session for a while."""
        now_ns = self._clock.monotonic_ns()
        for camera_id, served in list(self._served.items()):
            if served.stream.sessions:
                served.used_ns = now_ns
            elif now_ns - served.used_ns > GRACE_NS:
                self.end(camera_id)

    @property
    def players(self) -> int:
        """Clients that play."""
        return sum(served.stream.receiver_count for served in self._served.values())

    @property
    def units_refused(self) -> int:
        return self._refused_before + sum(served.feed.units_refused for served in self._served.values())
