"""One stream of the server and the clients that receive it: send to all, wait for none.

A run of packets is framed once and written to every client. A TCP client whose connection does not
take them in time is passed over until the next point at which decoding can start, so that what waits
for it stays bounded; a datagram that the kernel does not take is left out.

Belongs here: receivers, fan-out, sender reports. Does not: RTSP (server_connection), media (server_feed).
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from vms.common.clock import Clock
from vms.wire import rtcp
from vms.wire.rtsp.server_feed import Feed, FeedLine, RtpRun, StartPoint

REPORT_INTERVAL_S = 5.0
CNAME = "vms"

Address = tuple[str, int]


class Receiver(Protocol):
    """One client of a stream, while it plays."""

    def send(self, run: RtpRun) -> None: ...

    def report(self, line: int, packet: bytes) -> None: ...


class InterleavedReceiver:
    """A client that takes RTP and RTCP on its RTSP connection (RFC 2326 §10.12).

    channels: line → RTP channel; RTCP goes on the next one. limit_bytes: what may wait for the client
    in this process before it is passed over. overruns: how often that happened.
    """

    def __init__(
        self, transport: asyncio.Transport, channels: Mapping[int, int], lead_line: int, limit_bytes: int
    ) -> None:
        self._transport = transport
        self._channels = channels
        self._lead_line = lead_line
        self._limit_bytes = limit_bytes
        self._waiting = True
        self.overruns = 0

    def send(self, run: RtpRun) -> None:
        channel = self._channels.get(run.line)
        if channel is None:
            return
        waiting_bytes = self._transport.get_write_buffer_size()
        if self._waiting:
            if not run.starts or run.line != self._lead_line or waiting_bytes > self._limit_bytes // 4:
                return
            self._waiting = False
        elif waiting_bytes > self._limit_bytes:
            self._waiting = True
            self.overruns += 1
            return
        self._transport.write(run.interleaved(channel))

    def report(self, line: int, packet: bytes) -> None:
        channel = self._channels.get(line)
        if channel is not None and self._transport.get_write_buffer_size() <= self._limit_bytes:
            self._transport.write(bytes((0x24, channel + 1)) + len(packet).to_bytes(2) + packet)


class DatagramReceiver:
    """A client that takes RTP and RTCP over UDP.

    addresses: line → (where RTP goes, where RTCP goes). leave_out: asked before each RTP packet, whether
    to lose it on purpose. refused: datagrams that the kernel did not take.
    """

    def __init__(
        self,
        sockets: tuple[socket.socket, socket.socket],
        addresses: Mapping[int, tuple[Address, Address]],
        lead_line: int,
        leave_out: Callable[[], bool] | None = None,
    ) -> None:
        self._rtp, self._rtcp = sockets
        self._addresses = addresses
        self._lead_line = lead_line
        self._leave_out = leave_out
        self._waiting = True
        self.refused = 0

    def send(self, run: RtpRun) -> None:
        pair = self._addresses.get(run.line)
        if pair is None:
            return
        if self._waiting:
            if not run.starts or run.line != self._lead_line:
                return
            self._waiting = False
        for datagram in run.datagrams():
            if self._leave_out is None or not self._leave_out():
                self._send(self._rtp, datagram, pair[0])

    def report(self, line: int, packet: bytes) -> None:
        pair = self._addresses.get(line)
        if pair is not None:
            self._send(self._rtcp, packet, pair[1])

    def _send(self, over: socket.socket, datagram: bytes, address: Address) -> None:
        try:
            over.sendto(datagram, address)
        except OSError:  # a full buffer, an unreachable network: what UDP loses, it loses
            self.refused += 1


class Stream:
    """What one URL of the server leads to: a feed and its receivers."""

    def __init__(self, feed: Feed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self._receivers: list[Receiver] = []
        self._counts = [[0, 0] for _ in feed.lines]  # packets and payload octets sent, a line
        self._report_due_ns = 0

    @property
    def lines(self) -> Sequence[FeedLine]:
        return self._feed.lines

    @property
    def receiver_count(self) -> int:
        return len(self._receivers)

    def join(self) -> Sequence[StartPoint]:
        """Make ready for one more receiver and say where it will begin; `add` follows, without waiting."""
        if not self._receivers:
            self._feed.start(self)
            self._report_due_ns = self._clock.monotonic_ns() + round(REPORT_INTERVAL_S * 1e9)
        return self._feed.join()

    def add(self, receiver: Receiver) -> None:
        """Send to `receiver` from now on; at once, where the wall clock stands (RFC 3550 §6.4.1)."""
        for line in range(len(self.lines)):
            receiver.report(line, self._sender_report(line))
        self._receivers.append(receiver)

    def remove(self, receiver: Receiver) -> None:
        """Send nothing more to `receiver`; the feed rests when it was the last."""
        if receiver in self._receivers:
            self._receivers.remove(receiver)
            if not self._receivers:
                self._feed.stop()

    def send(self, run: RtpRun) -> None:
        count = self._counts[run.line]
        count[0] += run.packet_count
        count[1] += run.payload_bytes
        for receiver in self._receivers:
            receiver.send(run)

    def report_when_due(self) -> None:
        """Send sender reports when the last ones are REPORT_INTERVAL_S old."""
        now_ns = self._clock.monotonic_ns()
        if not self._receivers or now_ns < self._report_due_ns:
            return
        self._report_due_ns = now_ns + round(REPORT_INTERVAL_S * 1e9)
        for line in range(len(self.lines)):
            packet = self._sender_report(line)
            for receiver in self._receivers:
                receiver.report(line, packet)

    def farewell(self, line: int) -> bytes:
        """The RTCP packet that ends a line (RFC 3550 §6.6)."""
        ssrc = self.lines[line].ssrc
        return rtcp.pack([rtcp.ReceiverReport(ssrc), rtcp.Bye((ssrc,))])

    def _sender_report(self, line: int) -> bytes:
        ssrc = self.lines[line].ssrc
        packets, octets = self._counts[line]
        ntp = rtcp.unix_ns_to_ntp(self._clock.wall_ns())
        timestamp = self._feed.rtp_timestamp(line, self._clock.monotonic_ns())
        return rtcp.pack(
            [
                rtcp.SenderReport(ssrc, ntp, timestamp, packets, octets),
                rtcp.SourceDescription(ssrc, CNAME),
            ]
        )
