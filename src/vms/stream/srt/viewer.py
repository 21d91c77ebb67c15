"""One receiver of a stream: it gets what its connection can take, and goes on at a key picture when that was too little.

Belongs here: what one connection is sent. Does not: how it came to be (service, push), making messages (feed).
"""

from collections.abc import Callable

from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.stream.srt.feed import Feed, Item
from vms.wire.srt import MESSAGE_BYTES, SrtConnection, SrtGone, SrtStatistics


class SrtViewer:
    """Implements Taker. room_bytes: of the connection's buffer. on_gone: told once when the connection has ended.

    Counters: sent (messages), skipped (messages left out because the buffer was full), overruns (how often that began).
    statistics: as they were last looked at. ended: why, where it was not for the peer or the way.
    """

    def __init__(
        self,
        camera_id: CameraId,
        stream: StreamName,
        connection: SrtConnection,
        room_bytes: int,
        on_gone: Callable[[], None],
    ) -> None:
        self.camera_id = camera_id
        self.stream = stream
        self.connection = connection
        self.sent = 0
        self.sent_bytes = 0
        self.skipped = 0
        self.overruns = 0
        self.ended = ""
        self.statistics: SrtStatistics | None = None
        self._feed: Feed | None = None
        self._on_gone: Callable[[], None] | None = on_gone
        self._awaiting_key = True
        self._from_index = 0
        self._was_full = False
        self._resume_messages = room_bytes // MESSAGE_BYTES // 2
        connection.on_closed = self._closed

    def watch(self, feed: Feed) -> None:
        """Be served by `feed`, once."""
        self._feed = feed
        self._from_index = feed.next_index  # what waits for its walk is older
        feed.add(self)

    def look(self) -> None:
        """Learn how the way fares. Where SRT dropped what was too late to be sent, pictures are missing already."""
        before, found = self.statistics, self.connection.statistics()
        if found is None:
            return
        self.statistics = found
        if found.sent_dropped > (before.sent_dropped if before is not None else 0):
            self.skip()

    def end(self, reason: str = "") -> None:
        """Close the connection."""
        if not self.connection.closed:
            self.ended = reason
        self.look()
        self.connection.close()
        self._gone()

    # Taker

    def deliver(self, item: Item) -> None:
        if item.index < self._from_index or self.connection.closed:
            return
        if self._awaiting_key:
            if not item.key or (self._was_full and self.connection.unsent > self._resume_messages):
                if self._was_full:
                    self.skipped += len(item.messages)
                return
            self._awaiting_key = self._was_full = False
        for at, message in enumerate(item.messages):
            try:
                taken = self.connection.send(message)
            except SrtGone:
                self.end()
                return
            if not taken:
                self.skip()
                self.skipped += len(item.messages) - at
                return
            self.sent += 1
            self.sent_bytes += len(message)

    def skip(self) -> None:
        if not self._awaiting_key:
            self._awaiting_key = self._was_full = True
            self.overruns += 1

    def fail(self) -> None:
        self.end("a fault of this program; it is logged")

    def _closed(self, reason: str) -> None:
        self._gone()

    def _gone(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.remove(self)
        told, self._on_gone = self._on_gone, None
        if told is not None:
            told()
