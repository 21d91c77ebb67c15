"""Put the packets of one received stream in order, and say which to ask for again (RFC 4585 §6.2.1).

A packet waits for those before it, for WAIT_NS at most; then these are given up. Sequence numbers are 16 bits
here; whether a jump is a loss or a new beginning is for the caller's Reception to say.

Belongs here: the waiting room and the times of requests. Does not: RTCP, payloads, statistics.
"""

from dataclasses import dataclass

from vms.common.clock import NS
from vms.wire.rtp import sequence_delta

WAIT_NS = (
    NS * 4 // 10
)  # two round trips of a bad connection and the sender's pacing; less would lose pictures
UNASKED_WAIT_NS = NS // 20  # where nothing is sent again, only for packets out of order
ASK_AGAIN_NS = NS // 20
ASKS = 7
MAX_WAITING_PACKETS = 1024  # a second at 10 Mb/s
MAX_HOLE = 512  # more are not asked for: the connection was down, and a key picture comes sooner
NACKS_AT_ONCE = 100  # sequence numbers in one request


@dataclass(slots=True)
class Packet:
    """A received packet. start, end: of its payload in `data`."""

    data: bytes
    sequence_number: int
    timestamp: int
    marker: bool
    start: int
    end: int
    arrival_ns: int


@dataclass(slots=True)
class _Missing:
    since_ns: int
    asked: int = 0
    ask_ns: int = 0


class Reorderer:
    """What waits in one stream, each for `wait_ns` at most. repairs: packets that came after they had been asked for."""

    def __init__(self, wait_ns: int = WAIT_NS) -> None:
        self._wait_ns = wait_ns
        self.repairs = 0
        self.holes = 0  # packets that were found missing, whether they came later or not
        self._next = -1
        self._end = 0  # the number after the newest
        self._waiting: dict[int, Packet] = {}
        self._missing: dict[int, _Missing] = {}

    def put(self, packet: Packet) -> list[Packet]:
        """Take a packet; those that are next in order now, each once, none lost between them."""
        number = packet.sequence_number
        if self._next < 0:
            self._next = self._end = number
        ahead = sequence_delta(number, self._next)
        if number in self._waiting:
            return []
        if ahead < 0 or ahead > MAX_WAITING_PACKETS:
            # Late, or from another beginning: the receiver's statistics know which. What waited comes first.
            if ahead < 0 and -ahead <= MAX_WAITING_PACKETS:
                return []
            given = self.flush()
            self._next = self._end = number + 1 & 0xFFFF
            return [*given, packet]
        self._note_holes(number, packet.arrival_ns)
        missing = self._missing.pop(number, None)
        if missing is not None and missing.asked:
            self.repairs += 1
        self._waiting[number] = packet
        return self._ready()

    def due(self, now_ns: int) -> list[Packet]:
        """Give up what has been missing for too long; the packets behind it that are in order."""
        ready: list[Packet] = []
        while self._waiting:
            oldest = self._missing.get(self._next)
            full = len(self._waiting) >= MAX_WAITING_PACKETS
            if oldest is None or (now_ns - oldest.since_ns < self._wait_ns and not full):
                break
            while self._next not in self._waiting:
                self._missing.pop(self._next, None)
                self._next = self._next + 1 & 0xFFFF
            ready += self._ready()
        return ready

    def flush(self) -> list[Packet]:
        """All that waits, in order; the holes between are given up."""
        waiting = sorted(self._waiting.values(), key=lambda p: sequence_delta(p.sequence_number, self._next))
        self._waiting.clear()
        self._missing.clear()
        self._next = self._end
        return waiting

    def to_ask(self, now_ns: int) -> tuple[int, ...]:
        """The packets to ask for now, oldest first."""
        asked: list[int] = []
        for number, missing in self._missing.items():
            if missing.asked < ASKS and now_ns >= missing.ask_ns:
                missing.asked += 1
                missing.ask_ns = now_ns + ASK_AGAIN_NS
                asked.append(number)
                if len(asked) == NACKS_AT_ONCE:
                    break
        return tuple(asked)

    @property
    def is_waiting(self) -> bool:
        return bool(self._missing)

    def _note_holes(self, number: int, now_ns: int) -> None:
        """Everything between the newest packet so far and `number` is missing."""
        count = sequence_delta(number, self._end)
        if count < 0:
            return
        self.holes += count
        asked = 0 if count <= MAX_HOLE else ASKS
        for ahead in range(count):
            self._missing[self._end + ahead & 0xFFFF] = _Missing(now_ns, asked)
        self._end = number + 1 & 0xFFFF

    def _ready(self) -> list[Packet]:
        ready: list[Packet] = []
        while (packet := self._waiting.pop(self._next, None)) is not None:
            ready.append(packet)
            self._next = self._next + 1 & 0xFFFF
        return ready
