"""How much may be under way to one viewer: as much as does not make a queue.

NewReno and CUBIC, which aioquic brings, take every loss for a full link and halve their window; on a link that loses
1% at random video of 3 Mb/s then no longer fits. Live video cares for delay. So the window is made smaller when round
trips grow longer, or when so much is lost that chance does not explain it, and loss alone leaves it as it is
(the idea of delay-based control: Vegas, RFC 6817, RFC 8836).

Belongs here: the window. Does not: pacing, detection of loss (aioquic, RFC 9002).
"""

from collections.abc import Iterable

from aioquic.quic.congestion.base import QuicCongestionControl, register_congestion_control
from aioquic.quic.packet_builder import QuicSentPacket

ALGORITHM = "vms-delay"
QUEUE_S = 0.05
"""Round trips that are longer than the shortest by this mean a queue; acknowledgements may wait 25 ms."""
TOLERATED_LOSS = 0.2
MIN_JUDGED = 40  # packets, before their share of losses says anything
MEMORY_PACKETS = 400
BASE_MEMORY_S = 15.0  # and once as long again
MIN_WINDOW_PACKETS = 4
MAX_WINDOW_BYTES = 4 << 20
ON_LOSS, ON_QUEUE = 0.7, 0.85
ROUND_S = 0.02  # at least: of shorter round trips several are judged together


class DelayCongestionControl(QuicCongestionControl):
    """One connection's window."""

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self._packet_bytes = max_datagram_size
        self._reduced_s = 0.0
        self._grown_bytes = 0
        self._acked = 0
        self._lost = 0
        self._base_s = [
            float("inf"),
            float("inf"),
        ]  # the shortest round trip, of this stretch and the one before
        self._base_since_s = 0.0
        self._round_ends_s = 0.0
        self._round_min_s = float("inf")
        self._queue_s = 0.0

    def on_packet_sent(self, *, packet: QuicSentPacket) -> None:
        self.bytes_in_flight += packet.sent_bytes

    def on_packets_expired(self, *, packets: Iterable[QuicSentPacket]) -> None:
        self.bytes_in_flight -= sum(packet.sent_bytes for packet in packets)

    def on_packet_acked(self, *, now: float, packet: QuicSentPacket) -> None:
        used = 2 * self.bytes_in_flight >= self.congestion_window
        self.bytes_in_flight -= packet.sent_bytes
        self._count(acked=1)
        if not used or (packet.sent_time or 0) <= self._reduced_s or self._queue_s > QUEUE_S / 2:
            return
        if self.ssthresh is None or self.congestion_window < self.ssthresh:
            self.congestion_window += packet.sent_bytes
        else:  # two packets a round trip
            self._grown_bytes += 2 * packet.sent_bytes
            if self._grown_bytes >= self.congestion_window:
                self._grown_bytes -= self.congestion_window
                self.congestion_window += self._packet_bytes
        self.congestion_window = min(self.congestion_window, MAX_WINDOW_BYTES)

    def on_packets_lost(self, *, now: float, packets: Iterable[QuicSentPacket]) -> None:
        newest_s, lost = 0.0, 0
        for packet in packets:
            self.bytes_in_flight -= packet.sent_bytes
            newest_s = max(newest_s, packet.sent_time or 0)
            lost += 1
        self._count(lost=lost)
        judged = self._acked + self._lost
        by_share = judged >= MIN_JUDGED and self._lost > TOLERATED_LOSS * judged
        if newest_s > self._reduced_s and (by_share or self._queue_s > QUEUE_S / 2):
            self._reduce(now, ON_LOSS)

    def on_persistent_congestion(self) -> None:
        self.congestion_window = MIN_WINDOW_PACKETS * self._packet_bytes
        self._reduced_s = 0.0

    def on_rtt_measurement(self, *, now: float, rtt: float) -> None:
        if now - self._base_since_s > BASE_MEMORY_S:
            self._base_s = [float("inf"), self._base_s[0]]
            self._base_since_s = now
        self._base_s[0] = min(self._base_s[0], rtt)
        self._round_min_s = min(self._round_min_s, rtt)
        if now < self._round_ends_s:
            return
        self._queue_s = self._round_min_s - min(self._base_s)
        self._round_ends_s, self._round_min_s = now + max(rtt, ROUND_S), float("inf")
        if self._queue_s > QUEUE_S:
            self._reduce(now, ON_QUEUE)

    def _reduce(self, now: float, to_share: float) -> None:
        least = MIN_WINDOW_PACKETS * self._packet_bytes
        self.congestion_window = max(int(self.congestion_window * to_share), least)
        self.ssthresh = self.congestion_window
        self._reduced_s = now

    def _count(self, acked: int = 0, lost: int = 0) -> None:
        self._acked += acked
        self._lost += lost
        if self._acked + self._lost > MEMORY_PACKETS:
            self._acked //= 2
            self._lost //= 2


register_congestion_control(ALGORITHM, DelayCongestionControl)
