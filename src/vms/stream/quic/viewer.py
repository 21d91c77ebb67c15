"""One WebTransport viewer: its pictures and sound, at the pace of its connection.

Belongs here: what one viewer is sent, from which stream of its camera. Does not: QUIC (connection), leases (service).
"""

from typing import Protocol

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.format.errors import FormatError
from vms.media import Track
from vms.stream.quic import messages
from vms.stream.quic.feed import Feed
from vms.stream.quic.messages import Flag, Picture, SoundFrame
from vms.stream.quic.outbox import Outbox
from vms.stream.quic.sound import Sound
from vms.stream.quic.streams import PictureStreams

ASK_EVERY_NS = 1 * NS
STALLED = 4
"""Code of a session that ends because its viewer acknowledges too little (docs/api/live-webtransport.md)."""


class Line(Protocol):
    """A viewer's connection, as the viewer sees it."""

    @property
    def streams(self) -> PictureStreams: ...
    def wake(self) -> None:
        """Call `pump` soon."""

    def end(self, code: int, reason: str) -> None:
        """Say why, and end."""


class WebTransportViewer:
    """Implements Taker. hold_ns: see Outbox. sent: pictures handed to the connection. refused: none can be made of."""

    def __init__(
        self, camera_id: CameraId, stream: StreamName, line: Line, clock: Clock, hold_ns: int
    ) -> None:
        self.camera_id = camera_id
        self.stream = stream
        self.line = line
        self.feed: Feed | None = None
        self.outbox = Outbox(hold_ns)
        self.sound = Sound(clock)
        self.sent = 0
        self.refused = 0
        self._clock = clock
        self._track: Track | None = None
        self._generation = 0
        self._asked_ns = 0

    @property
    def skipped(self) -> int:
        return self.outbox.skipped

    @property
    def sound_sent(self) -> int:
        return self.sound.sent

    @property
    def sound_dropped(self) -> int:
        return self.sound.dropped

    @property
    def resets(self) -> int:
        return self.line.streams.resets

    def watch(self, feed: Feed, stream: StreamName) -> None:
        """Be served by a feed from now on, instead of the one before."""
        self.leave()
        self.outbox.begin_anew()
        self.sound.begin_anew()
        self.feed, self.stream, self._track = feed, stream, None
        feed.add(self)

    def leave(self) -> None:
        feed, self.feed = self.feed, None
        if feed is not None:
            feed.remove(self)

    # Taker

    @property
    def hears(self) -> bool:
        return self.sound.wanted

    def hear(self, sound: SoundFrame) -> None:
        self.sound.put(sound)
        self.line.wake()

    def take(self, picture: Picture) -> None:
        self.outbox.put(picture)
        if self.outbox.awaiting_key:
            self._ask_key()
        self.line.wake()

    def broken(self) -> None:
        self.outbox.await_key()

    # for the connection

    def pump(self) -> bool:
        """Hand over sound, and the next picture if the one before is sent; True: there may be something to transmit."""
        heard = self.sound.hand_over(self.line.streams)
        return self._pump_picture() or heard

    def _pump_picture(self) -> bool:
        streams, late = self.line.streams, self._leave_out()
        waits = self.outbox.next
        if waits is None or streams.unsent is not None:
            return late
        if streams.room < (1 if waits.track is self._track else 2):  # a config goes before it
            return late
        if streams.is_overloaded:
            self.line.end(STALLED, "what is sent is not acknowledged")
            return False
        taken = self.outbox.take()
        if taken is None:
            return late
        picture, flags = taken
        if picture.track is not self._track and not self._introduce(picture.track):
            return True
        head = messages.header(picture, flags, self._generation, self.sent, self._clock.wall_ns())
        streams.send_picture(head, picture, flags)
        self.sent += 1
        return True

    def _leave_out(self) -> bool:
        streams = self.line.streams
        unsent = streams.unsent
        late = self.outbox.late(
            self._clock.monotonic_ns(),
            unsent.queued_ns if unsent is not None else None,
            unsent_key=unsent is not None and Flag.KEY in unsent.flags,
        )
        if late:
            streams.skip()
        return late

    def _introduce(self, track: Track) -> bool:
        if track != self._track:
            try:
                told = messages.config(
                    self.camera_id, self.stream, track, self._generation + 1, self._sound_of_feed
                )
            except FormatError:
                self.refused += 1
                self.outbox.await_key()
                return False
            self._generation += 1
            self.line.streams.send(told)
        self._track = track
        return True

    @property
    def _sound_of_feed(self) -> Track | None:
        return self.feed.sound if self.feed is not None else None

    def _ask_key(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self.feed is not None and now_ns - self._asked_ns >= ASK_EVERY_NS:
            self._asked_ns = now_ns
            self.feed.hub.request_key()
