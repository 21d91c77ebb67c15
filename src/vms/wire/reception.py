"""What a receiver knows of one RTP stream: its sequence, losses, jitter and clock (RFC 3550 appendix A).

The interleaved reader and the UDP reader compare `expected` themselves, once a packet, and come here only
when something is out of line; jitter is taken once per new timestamp, not once per packet, because
the packets of one picture share their timestamp and are paced apart on purpose.

Belongs here: arithmetic over headers. Does not: payloads, sockets, when reports are sent.
"""

from math import inf

from vms.common.clock import NS
from vms.wire.rtcp import ReportBlock, SenderReport, middle_32
from vms.wire.rtp import TimestampUnwrapper, sequence_delta

_NO_SEQUENCE = -1
_MAX_DROPOUT = 3000  # RFC 3550 A.1: a larger jump ahead is a new sequence, not a loss
_MAX_MISORDER = 100


class Reception:
    """The state of one received stream.

    expected: the sequence number that comes next, 1…65,536, so that a reader's plain ``sequence + 1`` needs no
        masking and the packet after 65,535 comes through `take`; -1 before the first packet.
    ssrc: of the sender, from its packets; 0 while unknown.
    packets_lost: missing when they were due; those that came too late stay counted.
    packets_late: dropped because they came twice, or after they were given up.
    restarts: how often the sender began a new sequence.
    """

    __slots__ = (
        "_base_extended",
        "_clock_rate",
        "_cycles",
        "_earlier_packets",
        "_expected_prior",
        "_highest_timestamp",
        "_jitter_ticks",
        "_last_report",
        "_last_report_ns",
        "_last_transit",
        "_lost_prior",
        "_unwrapper",
        "expected",
        "packets_late",
        "packets_lost",
        "restarts",
        "ssrc",
    )

    def __init__(self, clock_rate: int) -> None:
        self.expected = _NO_SEQUENCE
        self.ssrc = 0
        self.packets_lost = 0
        self.packets_late = 0
        self.restarts = 0
        self._clock_rate = clock_rate
        self._cycles = 0
        self._base_extended = 0
        self._earlier_packets = 0  # expected in sequences before the present one
        self._unwrapper = TimestampUnwrapper()
        self._jitter_ticks = 0.0
        self._last_transit: float | None = None
        self._highest_timestamp: float = -inf
        self._last_report: SenderReport | None = None
        self._last_report_ns = 0
        self._expected_prior = 0
        self._lost_prior = 0

    def take(self, sequence_number: int) -> int:
        """Account for a packet that is not the expected one, and expect the one after it.

        Returns how many packets are missing before it: 0 for the first of a sequence, -1 for one that is
        late or doubled and must be dropped.
        """
        if self.expected == _NO_SEQUENCE:
            self._begin(sequence_number)
            return 0
        missing = sequence_delta(sequence_number, self.expected)
        if -_MAX_MISORDER <= missing < 0:
            self.packets_late += 1
            return -1
        if not 0 <= missing < _MAX_DROPOUT:
            self.restarts += 1
            self._earlier_packets += self._packets_expected
            self._begin(sequence_number)
            return 1  # how many is unknown; that something is missing is not
        self.packets_lost += missing
        if sequence_number < self.expected:
            self._cycles += 0x10000
        self.expected = sequence_number + 1
        return missing

    @property
    def packets(self) -> int:
        """How many packets were taken, late ones left out."""
        return self._earlier_packets + self._packets_expected - self.packets_lost

    @property
    def _packets_expected(self) -> int:
        """How many packets the present sequence has had so far."""
        if self.expected == _NO_SEQUENCE:
            return 0
        return self._cycles + self.expected - self._base_extended

    def advance(self, timestamp: int, arrival_ns: int) -> int:
        """Unwrap a media packet's new timestamp, and take its jitter (RFC 3550 A.8)."""
        unwrapped = self._unwrapper.advance(timestamp)
        if unwrapped <= self._highest_timestamp:
            return unwrapped  # a B-frame, whose timestamp says nothing about when it was sent
        self._highest_timestamp = unwrapped
        transit = arrival_ns * self._clock_rate / NS - unwrapped
        if self._last_transit is not None:
            self._jitter_ticks += (abs(transit - self._last_transit) - self._jitter_ticks) / 16
        self._last_transit = transit
        return unwrapped

    def sender_report(self, report: SenderReport, arrival_ns: int) -> int:
        """Note a sender report for our next receiver report; its RTP timestamp unwrapped."""
        self._last_report = report
        self._last_report_ns = arrival_ns
        self.ssrc = self.ssrc or report.ssrc
        return self.unwrap(report.rtp_timestamp)

    def unwrap(self, timestamp: int) -> int:
        """A timestamp that was told beside the media, in the space of the media's.

        One that is told before any media becomes the reference of what follows.
        """
        if self.expected == _NO_SEQUENCE:
            return self._unwrapper.advance(timestamp)
        return self._unwrapper.peek(timestamp)

    def report_block(self, now_ns: int) -> ReportBlock:
        """What to tell the sender (RFC 3550 §6.4.1); begins the next interval of `fraction_lost`."""
        expected = self._packets_expected
        interval = expected - self._expected_prior
        lost = max(self.packets_lost - self._lost_prior, 0)
        self._expected_prior = expected
        self._lost_prior = self.packets_lost
        delay = 0
        if self._last_report is not None:
            delay = (now_ns - self._last_report_ns) * 65536 // NS
        return ReportBlock(
            self.ssrc,
            min(lost * 256 // interval, 255) if interval > 0 else 0,
            self.packets_lost,
            (self._cycles + self.expected - 1) & 0xFFFFFFFF if expected else 0,
            min(int(self._jitter_ticks), 0xFFFFFFFF),
            middle_32(self._last_report.ntp) if self._last_report else 0,
            min(delay, 0xFFFFFFFF),
        )

    @property
    def jitter_s(self) -> float:
        """Interarrival jitter in seconds."""
        return self._jitter_ticks / self._clock_rate

    def _begin(self, sequence_number: int) -> None:
        self._cycles = 0
        self._base_extended = sequence_number
        self._expected_prior = 0
        self._last_transit = None
        self._highest_timestamp = -inf
        self.expected = sequence_number + 1
