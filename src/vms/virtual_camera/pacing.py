"""When packets leave: one timer for all cameras, and a picture's packets spread over some milliseconds.

A camera's encoder hands a picture to the network piece by piece, so its packets arrive over 8 to 30 ms
and not at once; what receives them pays for every piece. One timer a packet would cost the sender more
than the packet, so everything that is due within a tick leaves on that tick.

Belongs here: the timer and the spreading. Does not: where pictures come from (players).
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple, Protocol

from vms.common.clock import NS, Clock
from vms.wire.rtsp.server_feed import FeedLine, PacketSink, RtpRun

TICK_S = 0.004
_PACKETS_OF_THE_LONGEST_SPREAD = 64
_LARGEST_SHARE_OF_INTERVAL = 0.9


class Player(Protocol):
    def advance(self, now_ns: int) -> int | None:
        """Send all that is due at `now_ns` (monotonic); when more will be, or None: not until told."""


class Pacer:
    """Calls players when something of theirs is due, at most once a tick each."""

    def __init__(self, clock: Clock, tick_s: float = TICK_S) -> None:
        self._clock = clock
        self._tick_ns = round(tick_s * NS)
        self._due: list[tuple[int, int, Player]] = []
        self._order = count()  # breaks ties, for players do not compare
        self._timer: asyncio.TimerHandle | None = None
        self._wake_ns = 0
        self._last_tick_ns = 0

    def add(self, player: Player, due_ns: int) -> None:
        """Call `player.advance` at `due_ns`, and again when it says so."""
        heappush(self._due, (due_ns, next(self._order), player))
        self._set_timer()

    def remove(self, player: Player) -> None:
        """Call `player` no more."""
        # In place, for a tick may hold on to the list; a sorted list is a heap.
        self._due[:] = sorted(entry for entry in self._due if entry[2] is not player)

    def close(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        """Wake when the first is due, but not before a tick has passed since the last time."""
        wake_ns = max(self._due[0][0], self._last_tick_ns + self._tick_ns)
        if self._timer is not None:
            if self._wake_ns <= wake_ns:
                return
            self._timer.cancel()
        self._wake_ns = wake_ns
        delay_s = max(0, wake_ns - self._clock.monotonic_ns()) / NS
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        due, now_ns = self._due, self._clock.monotonic_ns()
        self._last_tick_ns = now_ns
        while due and due[0][0] <= now_ns:
            _, order, player = heappop(due)
            next_ns = player.advance(now_ns)
            if next_ns is not None:
                heappush(due, (max(next_ns, now_ns + 1), order, player))
        if due:
            self._set_timer()


@dataclass(frozen=True, slots=True)
class Pace:
    """spread_ns: shortest and longest; jitter_ns: the most by which a picture is late; rng draws it."""

    spread_ns: tuple[int, int]
    jitter_ns: int
    rng: random.Random

    def spread_of(self, packet_count: int, interval_ns: int) -> int:
        """Nanoseconds over which a picture's packets leave, the next picture being `interval_ns` away."""
        shortest, longest = self.spread_ns
        share = min(1.0, packet_count / _PACKETS_OF_THE_LONGEST_SPREAD)
        return int(min(shortest + (longest - shortest) * share, interval_ns * _LARGEST_SHARE_OF_INTERVAL))


class DueUnit(NamedTuple):
    """One picture or audio frame to be sent from `start_ns` (monotonic). timestamp: 32 bits."""

    start_ns: int
    timestamp: int
    payloads: Sequence[bytes]
    key: bool
    spread_ns: int


class PacedLine(ABC):
    """Sends the units of one line of one camera, packet by packet, numbering the packets."""

    def __init__(self, line: int, form: FeedLine, pace: Pace) -> None:
        self._line = line
        self._form = form
        self._pace = pace
        self._sink: PacketSink | None = None
        self._sequence_number = pace.rng.randrange(1 << 16)
        self._unit: DueUnit | None = None
        self._sent = 0
        self._free_ns = 0  # when the unit before has left
        # H.26x and AAC mark the last packet of a unit; in audio without units the marker means a talkspurt.
        self._marks = form.track.parameter_sets != ()

    @abstractmethod
    def _next_unit(self) -> DueUnit | None:
        """The unit after the last one, its start not adjusted for jitter; None when there is none yet."""

    def advance(self, now_ns: int) -> int | None:
        while self._sink is not None:
            unit = self._unit
            if unit is None:
                unit = self._take_unit()
                if unit is None:
                    return None
            if unit.start_ns > now_ns:
                return unit.start_ns
            total = len(unit.payloads)
            spread_ns = unit.spread_ns
            due = total
            if spread_ns:
                due = min(total, 1 + (now_ns - unit.start_ns) * total // spread_ns)
            if due > self._sent:
                self._send(unit, due)
            if due < total:
                return unit.start_ns - (-spread_ns * due // total)
            self._unit = None
            self._free_ns = unit.start_ns + spread_ns
        return None

    @property
    def _unsent(self) -> int:
        """Packets of the unit under way that have not left."""
        return len(self._unit.payloads) - self._sent if self._unit is not None else 0

    def _take_unit(self) -> DueUnit | None:
        unit = self._next_unit()
        if unit is None:
            return None
        if self._pace.jitter_ns:
            late_ns = round(self._pace.rng.random() * self._pace.jitter_ns)
            unit = unit._replace(start_ns=max(unit.start_ns + late_ns, self._free_ns))
        self._unit = unit
        self._sent = 0
        return unit

    def _send(self, unit: DueUnit, due: int) -> None:
        assert self._sink is not None
        sent = self._sent
        run = RtpRun(
            self._line,
            self._form,
            sequence_number=self._sequence_number,
            timestamp=unit.timestamp,
            payloads=unit.payloads[sent:due],
            marker=self._marks and due == len(unit.payloads),
            starts=unit.key and sent == 0,
        )
        self._sequence_number = self._sequence_number + due - sent & 0xFFFF
        self._sent = due
        self._sink.send(run)
