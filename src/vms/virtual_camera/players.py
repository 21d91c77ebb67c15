"""What the lines of a camera send: a loop that has been read, or pictures as they are made.

Belongs here: the next unit, its timestamp and its time, on and on. Does not: spreading and numbering
packets (pacing), making media (footage, pattern, tone).

A line's RTP clock runs with the monotonic clock: `RtpClock` says what a picture captured at a moment is
stamped with, and keeps saying it over loops and over pauses in which nobody watches.
"""

from bisect import bisect_left
from collections import deque
from typing import NamedTuple

from vms.common.clock import NS
from vms.virtual_camera.footage import LoopLine
from vms.virtual_camera.pacing import DueUnit, Pace, PacedLine
from vms.wire.rtsp.server_feed import FeedLine, PacketSink


class RtpClock(NamedTuple):
    """base: the timestamp at monotonic 0; rate: ticks a second."""

    base: int
    rate: int

    def at(self, monotonic_ns: int) -> int:
        """The timestamp of what is captured at a moment, 32 bits."""
        return self.base + monotonic_ns * self.rate // NS & 0xFFFFFFFF


class LoopPlayer(PacedLine):
    """Sends a loop again and again with continuous timestamps.

    period_ns: with it, the loop begins anew after every such time, so that audio keeps to its picture: cut
    short when it is longer, begun again when it is shorter, its timestamps continuous all the same.
    """

    def __init__(
        self, line: int, form: FeedLine, pace: Pace, loop: LoopLine, period_ns: int | None = None
    ) -> None:
        super().__init__(line, form, pace)
        self._loop = loop
        self._rate = form.track.clock_rate
        self._period_ns = period_ns
        self._interval_ns = loop.duration * NS // self._rate // len(loop.units)
        self._keys = [index for index, unit in enumerate(loop.units) if unit.key]
        self._index = 0
        self._loop_start = 0  # ticks from zero_ns to the loop under way
        self._restart_ns = 0
        self._zero_ns = 0
        self._first_timestamp = 0

    def begin(self, sink: PacketSink, zero_ns: int, first_timestamp: int, now_ns: int) -> None:
        """Send from `now_ns` on what a camera that began at `zero_ns` would.

        first_timestamp: of a unit whose pts is 0 in the first loop.
        """
        self._sink = sink
        self._unit = None
        self._zero_ns = zero_ns
        self._first_timestamp = first_timestamp
        elapsed = max(0, (now_ns - zero_ns) * self._rate // NS)
        loop = self._loop
        self._loop_start = loop.offset + max(0, elapsed - loop.offset) // loop.duration * loop.duration
        self._index = bisect_left(loop.units, elapsed - self._loop_start, key=lambda unit: unit.dts)
        if self._period_ns:
            offset_ns = loop.offset * NS // self._rate
            loops = max(0, now_ns - zero_ns - offset_ns) // self._period_ns
            self._restart_ns = offset_ns + (loops + 1) * self._period_ns

    def end(self) -> None:
        """Send nothing more."""
        self._sink = None

    def next_key(self) -> tuple[int, int]:
        """Sequence number and timestamp of the next packet with which decoding can start."""
        unit = self._unit
        if unit is not None and unit.key and self._sent == 0:
            return self._sequence_number, unit.timestamp
        units, start = self._loop.units, self._loop_start
        sequence_number = self._sequence_number + self._unsent
        if self._index < len(units):
            sequence_number -= units[self._index].first_packet
        found = bisect_left(self._keys, self._index)
        if self._index == len(units) or found == len(self._keys):
            sequence_number += self._loop.packet_count if self._index < len(units) else 0
            start += self._loop.duration
            found = 0
        key = units[self._keys[found]]
        timestamp = self._first_timestamp + start + key.pts & 0xFFFFFFFF
        return sequence_number + key.first_packet & 0xFFFF, timestamp

    def _next_unit(self) -> DueUnit:
        loop = self._loop
        if self._index == len(loop.units):
            self._index = 0
            self._loop_start += loop.duration
        unit = loop.units[self._index]
        since_ns = (self._loop_start + unit.dts) * NS // self._rate
        if self._period_ns and since_ns >= self._restart_ns:
            self._restart_ns += self._period_ns
            self._loop_start += unit.dts
            unit, self._index = loop.units[0], 0
        self._index += 1
        timestamp = self._first_timestamp + self._loop_start + unit.pts & 0xFFFFFFFF
        spread_ns = self._pace.spread_of(len(unit.payloads), self._interval_ns)
        return DueUnit(self._zero_ns + since_ns, timestamp, unit.payloads, unit.key, spread_ns)


class LivePlayer(PacedLine):
    """Sends pictures as they are given to it."""

    def __init__(self, line: int, form: FeedLine, pace: Pace, interval_ns: int) -> None:
        super().__init__(line, form, pace)
        self._interval_ns = interval_ns
        self._waiting: deque[DueUnit] = deque()

    def begin(self, sink: PacketSink) -> None:
        self._sink = sink
        self._unit = None
        self._waiting.clear()

    def end(self) -> None:
        """Send nothing more."""
        self._sink = None

    def offer(self, now_ns: int, timestamp: int, payloads: tuple[bytes, ...], key: bool) -> bool:
        """Send a picture from now on; whether the player was at rest, so that a pacer has to be told."""
        resting = self._unit is None and not self._waiting
        spread_ns = self._pace.spread_of(len(payloads), self._interval_ns)
        self._waiting.append(DueUnit(now_ns, timestamp, payloads, key, spread_ns))
        return resting

    def _next_unit(self) -> DueUnit | None:
        return self._waiting.popleft() if self._waiting else None
