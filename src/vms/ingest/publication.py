"""One publisher's connection, from its answered offer to its end, and the tracks that it brings into a feed."""

from collections.abc import Callable, Sequence

from vms.common.clock import Clock
from vms.format.codecs import audio_track
from vms.ingest.feed import Feed
from vms.ingest.track_feed import TrackFeed
from vms.media import MediaKind, Track
from vms.wire.webrtc.peer import CloseReason, Peer
from vms.wire.webrtc.receiver import MediaReceiver, PublisherCounters
from vms.wire.webrtc.reception import Incoming

NO_PUBLISHER = ("no_publisher", "waits for a publisher; send one to the camera's WHIP or SRT address")


class Publication:
    """on_closed: called with the reason, and whether any media had come."""

    def __init__(
        self,
        peer: Peer,
        incoming: Sequence[Incoming],
        feed: Feed,
        clock: Clock,
        *,
        on_closed: Callable[[CloseReason, bool], None],
    ) -> None:
        self.peer = peer
        self._feed = feed
        self._on_closed = on_closed
        self._tracks: list[TrackFeed] = [feed.add(_track(*each)) for each in enumerate(incoming, 1)]
        self._receiver = MediaReceiver(
            peer, incoming, self._tracks, clock, on_connected=self._connected, on_closed=self._closed
        )
        feed.counters = lambda: self._receiver.counters
        feed.request_key = self._receiver.request_key

    @property
    def counters(self) -> PublisherCounters:
        return self._receiver.counters

    @property
    def last_packet_ns(self) -> int:
        """Monotonic time of the last authentic packet; of the offer before the first."""
        return self._receiver.last_packet_ns

    def end(self) -> None:
        """Say goodbye; without effect on one that has ended."""
        self._receiver.end()

    def _connected(self) -> None:
        self._feed.waiting = None
        self._feed.play()

    def _closed(self, reason: CloseReason) -> None:
        feed = self._feed
        feed.request_key = None
        media = feed.pushed > 0
        if not media:
            take_back(feed, self._tracks)
        self._on_closed(reason, media)


def take_back(feed: Feed, tracks: Sequence[TrackFeed]) -> None:
    """Make a place the next publisher's, as if this one, which brought no media, had never come."""
    for track in tracks:
        feed.remove(track)
    feed.due = False
    feed.delay_ns = 0
    feed.undecodable_since_ns = None
    feed.waiting = NO_PUBLISHER


def _track(number: int, incoming: Incoming) -> Track:
    if incoming.codec.kind is MediaKind.AUDIO:
        return audio_track(
            number, incoming.codec, sample_rate=incoming.clock_rate, channels=incoming.channels or 1
        )
    return Track(number, incoming.codec, incoming.clock_rate)  # parameter sets come in band
