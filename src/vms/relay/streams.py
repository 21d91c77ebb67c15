"""The streams of a server that serves hubs: made when asked for, kept while they have sessions.

Belongs here: the feed and the stream of each hub, and when they are made anew. Does not: where the hub comes from.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.relay.feed import HubFeed
from vms.wire.rtsp.server_feed import FeedLine
from vms.wire.rtsp.server_stream import Stream
from vms.wire.sdp import Attribute

GRACE_NS = 10 * NS

F = TypeVar("F", bound=HubFeed)
StreamKey = tuple[CameraId, StreamName]


@dataclass(slots=True)
class _ServedHub(Generic[F]):
    """used_ns: when it was last asked for (monotonic)."""

    feed: F
    stream: Stream
    used_ns: int
    on_forgotten: Callable[[], None]


class ServedHubs(Generic[F]):
    """By camera and stream. A stream without sessions is kept for a while, so that a client finds at SETUP what it was told
    at DESCRIBE.

    attributes: what session descriptions say of a line beyond what any receiver needs.
    """

    def __init__(self, clock: Clock, attributes: Callable[[FeedLine], Iterable[Attribute]]) -> None:
        self._clock = clock
        self._attributes = attributes
        self._served: dict[StreamKey, _ServedHub[F]] = {}
        self._refused_before = 0

    def __len__(self) -> int:
        return len(self._served)

    def get(self, key: StreamKey, hub: Hub | None = None) -> Stream | None:
        """The stream, unless it is not what its hub holds any more, or not of `hub` where given."""
        served = self._served.get(key)
        if served is None:
            return None
        if served.feed.changed or (hub is not None and hub is not served.feed.hub):
            self._end(key)
            return None
        served.used_ns = self._clock.monotonic_ns()
        return served.stream

    def hub(self, key: StreamKey) -> Hub | None:
        """The hub that a stream is made of."""
        served = self._served.get(key)
        return served.feed.hub if served is not None else None

    def put(self, key: StreamKey, feed: F, on_forgotten: Callable[[], None] = lambda: None) -> Stream:
        """The stream from now on. on_forgotten: called once when it is no more."""
        self._end(key)
        stream = Stream(
            feed,
            self._clock,
            catch_up=feed.catch_up,
            attributes=self._attributes,
            want_key=feed.hub.request_key,
        )
        feed.on_changed = stream.end
        self._served[key] = _ServedHub(feed, stream, self._clock.monotonic_ns(), on_forgotten)
        return stream

    def end(self, camera_id: CameraId, stream: StreamName | None = None) -> None:
        """End the sessions of a camera's clients and forget its streams; `stream`: that one alone."""
        for each in StreamName if stream is None else (stream,):
            self._end((camera_id, each))

    def end_all(self) -> None:
        for key in list(self._served):
            self._end(key)

    def streams(self) -> list[Stream]:
        return [served.stream for served in self._served.values()]

    def tidy(self) -> None:
        """Forget streams that have had no session for a while."""
        now_ns = self._clock.monotonic_ns()
        for key, served in list(self._served.items()):
            if served.stream.sessions:
                served.used_ns = now_ns
            elif now_ns - served.used_ns > GRACE_NS:
                self._end(key)

    def _end(self, key: StreamKey) -> None:
        served = self._served.pop(key, None)
        if served is not None:
            self._refused_before += served.feed.units_refused
            served.stream.end()
            served.on_forgotten()

    @property
    def players(self) -> int:
        """Clients that play."""
        return sum(served.stream.receiver_count for served in self._served.values())

    @property
    def units_refused(self) -> int:
        return self._refused_before + sum(served.feed.units_refused for served in self._served.values())
