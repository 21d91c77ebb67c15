"""The feeds of a protocol: one a hub, made for the first who wants it and closed with the last.

A feed turns a hub's media into what one protocol sends. Who watches has a share in one, and a lease of its own on the
hub: nobody waits on, or is ended by, what another one holds.

Belongs here: which feeds there are, who still needs them, what they have counted. Does not: what a feed makes of media
(the feeds of each protocol), where hubs come from (hubs).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.stream.hubs import HubLease, LeaseHub


class PooledFeed(Protocol):
    """What the pool needs of a feed."""

    @property
    def hub(self) -> Hub: ...
    def close(self) -> None:
        """Detach from the hub, and forget what waits."""


Feed = TypeVar("Feed", bound=PooledFeed)


class FeedShare(Generic[Feed]):
    """The right to a feed, until released."""

    __slots__ = ("_lease", "_pool", "feed")

    def __init__(self, pool: "FeedPool[Feed]", feed: Feed, lease: HubLease) -> None:
        self.feed = feed
        self._pool = pool
        self._lease: HubLease | None = lease

    def release(self) -> None:
        """Give it back; the feed is closed with its last share. A second time it changes nothing."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._pool.released(self.feed)
            lease.release()


class FeedPool(Generic[Feed]):
    """make: a feed of a hub. require: raises the VmsError that says why a feed has nothing to send.

    ready_timeout_s: how long a hub may take until it knows what its stream consists of. counters: names of what feeds
    count, for `total`.
    """

    def __init__(
        self,
        lease: LeaseHub,
        make: Callable[[Hub], Feed],
        require: Callable[[Feed], None],
        *,
        ready_timeout_s: float,
        counters: Sequence[str] = (),
    ) -> None:
        self._lease = lease
        self._make = make
        self._require = require
        self._ready_timeout_s = ready_timeout_s
        self._counters = tuple(counters)
        self._feeds: dict[Hub, Feed] = {}
        self._shares: Counter[Hub] = Counter()
        self._past: Counter[str] = Counter()  # of feeds that are closed

    @property
    def feeds(self) -> Sequence[Feed]:
        """Those that somebody has a share in."""
        return tuple(self._feeds.values())

    async def acquire(self, camera_id: CameraId, stream: StreamName) -> FeedShare[Feed]:
        """A share in the feed of a stream, once its hub is ready. Cancelled, or raising, it holds nothing.

        Raises NotFound for an unknown camera or a stream that it does not have, Unavailable with the reason when the hub is
        not ready in time, and what `require` raises.
        """
        lease = self._lease(camera_id, stream)
        try:
            await lease.ready(self._ready_timeout_s)
            # From here on nothing waits: the feed that is found is not closed before it is shared
            hub = lease.hub
            feed = self._feeds.get(hub)
            if feed is None:
                feed = self._make(hub)
            self._require(feed)
        except BaseException:
            lease.release()
            raise
        self._feeds[hub] = feed
        self._shares[hub] += 1
        return FeedShare(self, feed, lease)

    def total(self, counter: str) -> int:
        """What a counter says over all feeds, closed ones included."""
        return self._past[counter] + sum(int(getattr(feed, counter)) for feed in self._feeds.values())

    def released(self, feed: Feed) -> None:
        """For shares: one is given back."""
        hub = feed.hub
        self._shares[hub] -= 1
        if self._shares[hub]:
            return
        del self._shares[hub], self._feeds[hub]
        self._past.update({name: int(getattr(feed, name)) for name in self._counters})
        feed.close()
