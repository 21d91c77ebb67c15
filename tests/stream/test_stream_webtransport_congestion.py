"""How much is under way to a WebTransport viewer, on links that lose and on links that are full."""

import random
from collections import deque

import pytest
from aioquic.quic.congestion.base import create_congestion_control
from aioquic.quic.congestion.reno import RenoCongestionControl
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.tls import Epoch

from vms.stream.quic.congestion import ALGORITHM, MAX_WINDOW_BYTES, DelayCongestionControl

PACKET_BYTES = 1200
RTT_S = 0.03


class Link:
    """A sender that always has something to send, on a link of a rate, a queue and random loss. Simulated time."""

    def __init__(self, control: object, *, bytes_s: float, loss: float = 0, queue_s: float = 1) -> None:
        assert isinstance(control, DelayCongestionControl | RenoCongestionControl)
        self.control = control
        self.bytes_s, self.loss, self.queue_s = bytes_s, loss, queue_s
        self.now_s, self.free_s, self.number = 0.0, 0.0, 0
        self.arrived_bytes = 0
        self.queued_s: list[float] = []
        self.under_way: deque[tuple[float, QuicSentPacket, bool]] = deque()
        self.chance = random.Random(7)

    def run(self, seconds: float) -> float:
        """Bytes a second that arrived."""
        until_s, before = self.now_s + seconds, self.arrived_bytes
        while self.now_s < until_s:
            self._send()
            if self.under_way:
                self._hear()
            else:
                self.now_s += RTT_S
        return (self.arrived_bytes - before) / seconds

    def _send(self) -> None:
        control = self.control
        while control.bytes_in_flight + PACKET_BYTES <= control.congestion_window:
            packet = sent(self.number, self.now_s)
            self.number += 1
            control.on_packet_sent(packet=packet)
            waits_s = max(self.free_s - self.now_s, 0)
            lost = self.chance.random() < self.loss or waits_s > self.queue_s
            if not lost:
                self.free_s = max(self.free_s, self.now_s) + PACKET_BYTES / self.bytes_s
                self.queued_s.append(waits_s)
            self.under_way.append((max(self.free_s, self.now_s) + RTT_S, packet, lost))

    def _hear(self) -> None:
        at_s, packet, lost = self.under_way.popleft()
        self.now_s = max(self.now_s, at_s)
        if lost:
            self.control.on_packets_lost(now=self.now_s, packets=[packet])
            return
        self.arrived_bytes += PACKET_BYTES
        self.control.on_packet_acked(now=self.now_s, packet=packet)
        self.control.on_rtt_measurement(now=self.now_s, rtt=self.now_s - (packet.sent_time or 0))


def sent(number: int, at_s: float) -> QuicSentPacket:
    return QuicSentPacket(
        epoch=Epoch.ONE_RTT,
        in_flight=True,
        is_ack_eliciting=True,
        is_crypto_packet=False,
        packet_number=number,
        packet_type=QuicPacketType.ONE_RTT,
        sent_time=at_s,
        sent_bytes=PACKET_BYTES,
    )


@pytest.fixture
def control() -> DelayCongestionControl:
    found = create_congestion_control(ALGORITHM, max_datagram_size=PACKET_BYTES)
    assert isinstance(found, DelayCongestionControl)
    return found


@pytest.mark.parametrize("loss", [0, 0.01, 0.05])
def test_loss_at_random_leaves_most_of_the_link_to_use(control: DelayCongestionControl, loss: float) -> None:
    link = Link(control, bytes_s=1_000_000, loss=loss)
    link.run(5)
    assert link.run(10) > 0.8 * 1_000_000 * (1 - loss)


def test_where_newreno_starves(control: DelayCongestionControl) -> None:
    ours, theirs = Link(control, bytes_s=1_000_000, loss=0.05), reno_link()
    for link in (ours, theirs):
        link.run(5)
    assert ours.run(10) > 3 * theirs.run(10)


def reno_link() -> Link:
    return Link(RenoCongestionControl(max_datagram_size=PACKET_BYTES), bytes_s=1_000_000, loss=0.05)


def test_a_full_link_s_queue_stays_short_although_it_has_room(control: DelayCongestionControl) -> None:
    link = Link(control, bytes_s=250_000, queue_s=2)
    link.run(5)
    link.queued_s.clear()
    assert link.run(10) > 0.8 * 250_000
    ordered = sorted(link.queued_s)
    assert ordered[int(0.95 * len(ordered))] < 0.15


def test_a_link_with_a_queue_too_short_to_see_is_given_way_to_by_the_share_of_losses(
    control: DelayCongestionControl,
) -> None:
    link = Link(control, bytes_s=250_000, queue_s=0.02)
    link.run(10)
    before = link.number
    got = link.run(10)
    lost = 1 - got / ((link.number - before) * PACKET_BYTES / 10)
    assert lost < 0.35
    assert got > 0.5 * 250_000


def test_a_link_that_becomes_slower_is_followed(control: DelayCongestionControl) -> None:
    link = Link(control, bytes_s=1_000_000, queue_s=5)
    link.run(5)
    link.bytes_s = 100_000
    link.run(10)
    link.queued_s.clear()
    link.run(5)
    assert max(link.queued_s) < 0.5


def test_the_window_is_bounded(control: DelayCongestionControl) -> None:
    link = Link(control, bytes_s=1e9)
    link.run(1)
    assert control.congestion_window == MAX_WINDOW_BYTES
    control.on_persistent_congestion()
    assert 2 * PACKET_BYTES <= control.congestion_window <= 4 * PACKET_BYTES


def test_what_is_not_used_does_not_grow(control: DelayCongestionControl) -> None:
    before = control.congestion_window
    for number in range(1_000):
        packet = sent(number, number * RTT_S)
        control.on_packet_sent(packet=packet)
        control.on_packet_acked(now=(number + 1) * RTT_S, packet=packet)
        control.on_rtt_measurement(now=(number + 1) * RTT_S, rtt=RTT_S)
    assert control.congestion_window == before
    assert control.bytes_in_flight == 0
