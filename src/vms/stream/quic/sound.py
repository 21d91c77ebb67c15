"""One viewer's sound: a datagram a frame, sent once, and none that is late.

A picture that is lost is sent again, since those after it need it. Sound is not: what comes later than it is to be
heard is of no use. So it goes in datagrams, which QUIC sends before streams and never again, and here waits no more
than a moment's sound. Frames have numbers, whether they are sent or not: a hole in them is what was lost.

Belongs here: what is sent of a stream's sound to one viewer. Does not: datagrams themselves (streams), pictures (outbox).
"""

from collections import deque

from vms.common.clock import Clock
from vms.media import Track
from vms.stream.quic import messages
from vms.stream.quic.messages import SoundFrame
from vms.stream.quic.streams import PictureStreams

HOLD_NS = 200_000_000
"""Sound that comes so late has no place any more: players hold back less."""
MAX_WAITING = 32
MAX_HANDED_OVER = 4
"""Datagrams that aioquic has not sent yet; they cannot be taken back."""
DATAGRAM_BYTES = 1_100
"""A packet of 1,200 bytes less the headers of QUIC and HTTP/3; aioquic never sends what does not fit."""


class Sound:
    """wanted: the viewer has asked for it. sent: frames handed over. dropped: frames that were late."""

    def __init__(self, clock: Clock) -> None:
        self.wanted = False
        self.sent = 0
        self.dropped = 0
        self._clock = clock
        self._waiting: deque[tuple[int, SoundFrame]] = deque()
        self._track: Track | None = None
        self._generation = 0
        self._number = 0

    def begin_anew(self) -> None:
        """Another stream comes: forget what waits."""
        self._waiting.clear()
        self._track = None

    def listen(self, wanted: bool) -> None:
        self.wanted = wanted
        if not wanted:
            self._waiting.clear()

    def put(self, frame: SoundFrame) -> None:
        if len(self._waiting) == MAX_WAITING:
            self._drop()
        self._waiting.append((self._number, frame))
        self._number += 1

    def hand_over(self, streams: PictureStreams) -> bool:
        """Send what waits, as far as it goes at once. True: there may be something to transmit."""
        now_ns = self._clock.monotonic_ns()
        while self._waiting and now_ns - self._waiting[0][1].queued_ns > HOLD_NS:
            self._drop()
        handed = False
        while self._waiting and streams.datagrams_waiting < MAX_HANDED_OVER:
            number, frame = self._waiting[0]
            whole = messages.SOUND_HEADER_BYTES + len(frame.data) > DATAGRAM_BYTES
            new = frame.track is not self._track and frame.track != self._track
            if streams.room < new + whole:
                break
            if new:
                self._generation += 1
                streams.send(messages.sound_config(frame.track, self._generation))
            self._track = frame.track
            self._waiting.popleft()
            head = messages.sound_header(frame, self._generation, number, self._clock.wall_ns())
            if whole:
                streams.send_sound(head, frame)
            else:
                streams.send_datagram(head + frame.data)
            self.sent += 1
            handed = True
        return handed

    def _drop(self) -> None:
        self._waiting.popleft()
        self.dropped += 1
