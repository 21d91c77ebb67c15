"""One WebSocket viewer: it gets what its connection can take, and goes on at a key picture when that was too little.

Belongs here: what one viewer is sent and what it asks for. Does not: making messages (feed), leases (service),
reading recordings (recorded).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from vms.common.errors import InvalidInput, VmsError
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.stream.websocket import messages
from vms.stream.websocket.connection import WebSocketConnection
from vms.stream.websocket.feed import Feed, Item
from vms.stream.websocket.framing import CloseCode

MAX_UNSENT_BYTES = 2 << 20
RESUME_UNSENT_BYTES = 256 << 10
"""A viewer that was too slow goes on once so little waits for it."""
SLOW = "slow_viewer"
FAULT = "this is a fault of the server; it is logged"


class ViewerOwner(Protocol):
    """What a viewer needs of its service."""

    def begin(self, viewer: "WebSocketViewer") -> None:
        """It is connected."""

    def asked(self, viewer: "WebSocketViewer", message: Mapping[str, Any]) -> None:
        """It asks for something. Raises VmsError when that cannot be."""

    def left(self, viewer: "WebSocketViewer") -> None:
        """It is gone."""


class WebSocketViewer:
    """Implements Taker and Listener. feed: the stream that it watches, None while it is shown recordings.

    Counters: sent (messages with media), skipped (left out because it was too slow).
    """

    def __init__(self, camera_id: CameraId, stream: StreamName, owner: ViewerOwner) -> None:
        self.camera_id = camera_id
        self.stream = stream
        self.feed: Feed | None = None
        self.connection: WebSocketConnection | None = None
        self.on_gone: Callable[[], None] = lambda: None  # of what is under way for it
        self.sent = 0
        self.skipped = 0
        self.gone = False
        self._owner = owner
        self._sent_before = 0  # when the time to say `alive` came last
        self._from_index = 0
        self._awaiting_key = True
        self._newest_ns = 0
        self._skipped_from_ns: int | None = None

    # Listener

    def opened(self, connection: WebSocketConnection) -> None:
        self.connection = connection
        self._owner.begin(self)

    def message(self, text: str) -> None:
        try:
            self._owner.asked(self, messages.parse(text))
        except InvalidInput as error:
            self.say(messages.error("invalid", str(error)))
        except VmsError as error:
            self.say(messages.error("unavailable", str(error)))

    def alive(self) -> None:
        """Media say it too: a message of its own is for when none came."""
        if self.sent != self._sent_before:
            self._sent_before = self.sent
        elif self.connection is not None and self.connection.unsent_bytes <= MAX_UNSENT_BYTES:
            self.say(messages.ALIVE)

    def closed(self) -> None:
        self.gone = True
        self.leave()
        self.on_gone()
        self._owner.left(self)

    # for the service

    def watch(self, feed: Feed) -> None:
        """Be served by a feed from now on, instead of the one before."""
        self.leave()
        if self.gone:
            return
        self.feed = feed
        first = feed.add(self)
        self._from_index = feed.next_index
        self._awaiting_key, self._skipped_from_ns = True, None
        self.say(messages.hello(self.camera_id, self.stream, feed.epoch_ns, feed.hub.tracks))
        self._send(first)

    def leave(self) -> None:
        feed, self.feed = self.feed, None
        if feed is not None:
            feed.remove(self)

    def say(self, framed: bytes) -> None:
        if self.connection is not None:
            self.connection.write(framed)

    def end(self, code: CloseCode, reason: str) -> None:
        if self.connection is not None:
            self.connection.close(code, reason)

    # Taker

    def deliver(self, item: Item) -> None:
        connection = self.connection
        if item.index < self._from_index or connection is None:
            return
        # The way of almost every message, once a picture and viewer: it stays short
        if item.media and not self._awaiting_key and connection.offer(item.framed, MAX_UNSENT_BYTES):
            self._newest_ns = max(self._newest_ns, item.capture_ns)
            self.sent += 1
        elif not connection.closing:
            self._deliver_slowly(connection, item)

    def _deliver_slowly(self, connection: WebSocketConnection, item: Item) -> None:
        """What all must get, and media for one that begins, or that takes too little."""
        unsent = connection.unsent_bytes
        if not item.media:
            if unsent <= 2 * MAX_UNSENT_BYTES:
                connection.write(item.framed)
            else:
                self.end(CloseCode.POLICY, "the connection takes nothing")
        elif not self._awaiting_key:
            self.skip()
            self._leave_out()
        elif not item.key or unsent > RESUME_UNSENT_BYTES:
            self._leave_out()
        else:
            self._resume(item)
            self._newest_ns = max(self._newest_ns, item.capture_ns)
            self.sent += 1
            connection.write(item.framed)

    def skip(self) -> None:
        if not self._awaiting_key:
            self._awaiting_key = True
            self._skipped_from_ns = self._newest_ns

    def fail(self) -> None:
        self.end(CloseCode.INTERNAL_ERROR, FAULT)

    def _leave_out(self) -> None:
        if self._skipped_from_ns is not None:
            self.skipped += 1

    def _resume(self, item: Item) -> None:
        self._awaiting_key = False
        start_ns, self._skipped_from_ns = self._skipped_from_ns, None
        if start_ns is not None:
            self.say(messages.gap(start_ns / 1e6, item.capture_ns / 1e6, SLOW))

    def _send(self, items: Sequence[Item]) -> None:
        """What a viewer gets first; it may be more than is allowed to wait later."""
        for item in items:
            self.say(item.framed)
            if item.media:
                self._awaiting_key = False
                self._newest_ns = max(self._newest_ns, item.capture_ns)
                self.sent += 1
