"""One hub's media for the RTSP server: each unit packetised once for all clients, packets numbered.

Nothing runs while no client plays: the feed is a sink of the hub from the first client to the last. It
remembers the numbers of the units since the newest key picture, not their packets: a client that joins gets
the same packets, cut anew from the same units.

Belongs here: what both feeds share: lines, numbers, the group of pictures. Does not: timestamps and what
goes with a packet (relay_feed, public_feed), clients (vms.wire.rtsp).
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vms.common.clock import NS, Clock
from vms.format.errors import FormatError
from vms.media import AccessUnit, Gap, Hub, MediaKind, Track
from vms.wire.errors import ProtocolError
from vms.wire.rtsp.server_description import payload_type
from vms.wire.rtsp.server_feed import FeedLine, PacketSink, RtpRun, StartPoint

WHOLE_PAYLOAD_BYTES = 60_000  # what an interleaved frame holds, RTP header and extension left out


class NumberedUnit(NamedTuple):
    """A unit as it was sent. timestamp: RTP, not reduced to 32 bits. sequence_number: of its first packet.

    tracks: those that hold from it on, where one changed, and of all lines where a client can begin.
    """

    line: int
    unit: AccessUnit
    timestamp: int
    sequence_number: int
    tracks: tuple[Track, ...]


class HubFeed(ABC):
    """Implements `Feed` (vms.wire.rtsp.server_feed) and is a sink of `hub` while somebody plays.

    on_changed: called when the stream is no longer what its session description says; sessions have to end.
        Set by whoever has the sessions.
    units_refused: units that RTP cannot carry; their receivers see a hole in the sequence numbers.
    """

    def __init__(self, hub: Hub, clock: Clock) -> None:
        """The hub's tracks must be known."""
        self.hub = hub
        self.on_changed: Callable[[], None] = lambda: None
        self.units_refused = 0
        self._clock = clock
        self._announced = hub.tracks
        self._shape = self._shape_of(hub.tracks)
        self._lines = [_line(index, track) for index, track in enumerate(hub.tracks)]
        self._line_of_track = {track.id: index for index, track in enumerate(hub.tracks)}
        self._sequence_numbers = [secrets.randbits(16) for _ in self._lines]
        self._lead = next((i for i, each in enumerate(self._lines) if each.track.kind is MediaKind.VIDEO), 0)
        self._newest: list[NumberedUnit | None] = [None] * len(self._lines)  # what sender reports refer to
        self._gop: list[NumberedUnit] = []
        self._sink: PacketSink | None = None

    # Feed

    @property
    def lines(self) -> Sequence[FeedLine]:
        newest = {track.id: track for track in self.hub.tracks}
        return [
            FeedLine(newest.get(line.track.id, line.track), line.payload_type, line.ssrc)
            for line in self._lines
        ]

    @property
    def changed(self) -> bool:
        """Whether the stream is no longer what the feed was made for; another feed is needed."""
        return self._shape_of(self.hub.tracks) != self._shape

    def start(self, sink: PacketSink) -> None:
        for unit in self.hub.gop:
            numbered = self._number(unit)
            if numbered is not None:
                self._gop.append(numbered[0])
        self._sink = sink
        self.hub.attach(self)

    def stop(self) -> None:
        self.hub.detach(self)
        self._sink = None
        self._gop.clear()

    def join(self) -> Sequence[StartPoint]:
        now_ns = self._clock.monotonic_ns()
        return [StartPoint(None, self.rtp_timestamp(line, now_ns)) for line in range(len(self._lines))]

    def rtp_timestamp(self, line: int, monotonic_ns: int) -> int:
        rate = self._lines[line].track.clock_rate
        newest, last = self._newest[line], self.hub.last_unit
        if newest is not None:
            timestamp, capture_ns = newest.timestamp, newest.unit.capture_ns
        elif last is not None:  # all tracks of a stream share their zero
            timestamp = self._timestamp_of(line, last.pts * rate // last.track.clock_rate)
            capture_ns = last.capture_ns
        else:
            return self._timestamp_of(line, 0) & 0xFFFFFFFF
        wall_ns = self._clock.wall_ns() + monotonic_ns - self._clock.monotonic_ns()
        return timestamp + (wall_ns - capture_ns) * rate // NS & 0xFFFFFFFF

    # Sink

    def push(self, unit: AccessUnit) -> None:
        if self._sink is None or not self._follow_announcement():
            return
        numbered = self._number(unit)
        gop = self.hub.gop
        if not gop or gop[0] is unit:
            self._gop.clear()
        if numbered is None:
            return
        if gop:
            self._gop.append(numbered[0])
        self._sink.send(self._run(*numbered))

    def gap(self, gap: Gap) -> None:
        self._gop.clear()

    # What the two feeds differ in.

    @abstractmethod
    def _shape_of(self, tracks: Sequence[Track]) -> object:
        """What of a stream's tracks cannot change while a session lasts."""

    @abstractmethod
    def _takes(self, unit: AccessUnit) -> bool:
        """Whether to send a unit at all."""

    @abstractmethod
    def catch_up(self) -> Sequence[RtpRun]:
        """What a client that joins now gets first (vms.wire.rtsp.server_stream)."""

    @abstractmethod
    def _timestamp_of(self, line: int, pts: int) -> int:
        """The RTP timestamp that a unit would have now."""

    @abstractmethod
    def _timestamp(self, line: int, unit: AccessUnit) -> int:
        """A unit's RTP timestamp, not reduced to 32 bits; asked once a unit, in order."""

    @abstractmethod
    def _payloads(self, unit: AccessUnit) -> Sequence[bytes]:
        """A unit's payloads; the same whenever asked. Raises FormatError, ProtocolError."""

    @abstractmethod
    def _run(self, numbered: NumberedUnit, payloads: Sequence[bytes]) -> RtpRun:
        """The packets of a unit."""

    # Parts.

    def _number(self, unit: AccessUnit) -> tuple[NumberedUnit, Sequence[bytes]] | None:
        """Give a unit's packets their numbers; None for a unit that is not sent."""
        index = self._line_of_track.get(unit.track.id)
        if index is None or unit.track.codec is not self._lines[index].track.codec or not self._takes(unit):
            return None
        tracks: tuple[Track, ...] = ()
        if unit.track is not self._lines[index].track and self._switch(index, unit.track):
            tracks = (unit.track,)
        if index == self._lead and unit.key:
            tracks = tuple(line.track for line in self._lines)
        sequence_number = self._sequence_numbers[index]
        try:
            payloads = self._payloads(unit)
        except (FormatError, ProtocolError):
            payloads = ()
        if not payloads:
            self.units_refused += 1
            self._sequence_numbers[index] = sequence_number + 1 & 0xFFFF
            return None
        self._sequence_numbers[index] = sequence_number + len(payloads) & 0xFFFF
        numbered = NumberedUnit(index, unit, self._timestamp(index, unit), sequence_number, tracks)
        if unit.key or self._newest[index] is None:  # where capture times are exact
            self._newest[index] = numbered
        return numbered, payloads

    def _group(self) -> Sequence[NumberedUnit]:
        """The units since the newest key picture; none when that could not be sent."""
        gop = self.hub.gop
        return self._gop if gop and self._gop and self._gop[0].unit is gop[0] else ()

    def _switch(self, line: int, track: Track) -> bool:
        """Go on with another version of a line's track; whether it differs."""
        before = self._lines[line]
        self._lines[line] = FeedLine(track, before.payload_type, before.ssrc)
        return track != before.track

    def _follow_announcement(self) -> bool:
        """Look whether the source announced other tracks; False when sessions cannot go on with them."""
        tracks = self.hub.tracks
        if tracks is self._announced:
            return True
        if self.changed:  # told with every unit: a client may have been set up but not have played yet
            self.on_changed()
            return False
        self._announced = tracks
        return True


def _line(index: int, track: Track) -> FeedLine:
    return FeedLine(track, payload_type(track.codec, index), secrets.randbits(32) or 1)
