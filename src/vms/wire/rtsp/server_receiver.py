"""The clients of one stream while they play: what is sent to them, what they are spared.

A TCP client whose connection does not take packets in time is passed over until the next point at which
decoding can start, so that what waits for it stays bounded. A UDP client gets a large picture in pieces, for
its kernel holds some 200 KB; a datagram that ours does not take is left out.

Belongs here: one client's packets. Does not: fan-out (server_stream), sessions (server_session).
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vms.wire.rtsp.server_feed import RtpRun, interleaved_frame

Address = tuple[str, int]

DATAGRAMS_AT_ONCE = 48
PACE_S = 0.001  # between them: 540 Mb/s
MAX_DATAGRAMS_WAITING = 4096


@dataclass(slots=True)
class SendCounters:
    """What a server has sent to all its clients, ended ones included.

    overruns: how often a client was passed over because it was too slow. datagrams_refused: those that the
    kernel did not take.
    """

    packets: int = 0
    bytes: int = 0
    overruns: int = 0
    datagrams_refused: int = 0


class Receiver(Protocol):
    """One client of a stream, while it plays."""

    def catch_up(self, runs: Sequence[RtpRun]) -> None:
        """Send what the client missed, before anything else."""

    def send(self, run: RtpRun) -> None: ...

    def report(self, line: int, packet: bytes) -> None: ...

    def end(self) -> None:
        """The stream is over: end the client's session."""

    def close(self) -> None:
        """The client plays no more: send nothing from now on."""


class InterleavedReceiver:
    """A client that takes RTP and RTCP on its RTSP connection (RFC 2326 §10.12).

    channels: line → RTP channel; RTCP goes on the next one. limit_bytes: what may wait for the client in
    this process before it is passed over, what it has to catch up with not counted. on_end: ends its session.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        channels: Mapping[int, int],
        lead_line: int,
        *,
        limit_bytes: int,
        counters: SendCounters,
        on_end: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._channels = channels
        self._lead_line = lead_line
        self._limit_bytes = limit_bytes
        self._allowed_bytes = limit_bytes
        self._counters = counters
        self._waiting = True
        self.end = on_end

    def catch_up(self, runs: Sequence[RtpRun]) -> None:
        size = 0
        for run in runs:
            channel = self._channels.get(run.line)
            if channel is not None:
                size += self._write(run, channel)
                self._waiting &= not (run.packet_count and run.line == self._lead_line)
        self._allowed_bytes = self._limit_bytes + size

    def send(self, run: RtpRun) -> None:
        channel = self._channels.get(run.line)
        if channel is None:
            return
        waiting_bytes = self._transport.get_write_buffer_size()
        if self._waiting:
            if not run.starts or run.line != self._lead_line or waiting_bytes > self._limit_bytes // 4:
                return
            self._waiting = False
        elif waiting_bytes > self._allowed_bytes:
            self._waiting = True
            self._counters.overruns += 1
            return
        elif waiting_bytes <= self._limit_bytes:
            self._allowed_bytes = self._limit_bytes  # it has caught up
        self._write(run, channel)

    def report(self, line: int, packet: bytes) -> None:
        channel = self._channels.get(line)
        if channel is not None and self._transport.get_write_buffer_size() <= self._allowed_bytes:
            self._transport.write(interleaved_frame(channel + 1, packet))

    def close(self) -> None:
        """What was written goes with the connection."""

    def _write(self, run: RtpRun, channel: int) -> int:
        framed = run.interleaved(channel)
        self._counters.packets += run.packet_count
        self._counters.bytes += len(framed)
        self._transport.write(framed)
        return len(framed)


class DatagramReceiver:
    """A client that takes RTP and RTCP over UDP.

    addresses: line → (where RTP goes, where RTCP goes). leave_out: asked before each RTP packet, whether
    to lose it on purpose. on_end: ends its session.
    """

    def __init__(
        self,
        sockets: tuple[socket.socket, socket.socket],
        addresses: Mapping[int, tuple[Address, Address]],
        lead_line: int,
        *,
        leave_out: Callable[[], bool] | None,
        counters: SendCounters,
        on_end: Callable[[], None],
    ) -> None:
        self._rtp, self._rtcp = sockets
        self._addresses = addresses
        self._lead_line = lead_line
        self._leave_out = leave_out
        self._counters = counters
        self._waiting = True
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.end = on_end

    def catch_up(self, runs: Sequence[RtpRun]) -> None:
        """A group of pictures at once is more than the client's kernel holds; it waits for a key picture."""

    def send(self, run: RtpRun) -> None:
        pair = self._addresses.get(run.line)
        if pair is None:
            return
        if self._waiting:
            if not run.starts or run.line != self._lead_line:
                return
            self._waiting = False
        self._counters.packets += run.packet_count
        queue = self._queue
        if len(queue) > MAX_DATAGRAMS_WAITING:
            queue.clear()
            self._waiting = True
            self._counters.overruns += 1
            return
        for datagram in run.datagrams():
            if self._leave_out is None or not self._leave_out():
                queue.append((datagram, pair[0]))
        if self._timer is None:
            self._send_some()

    def report(self, line: int, packet: bytes) -> None:
        pair = self._addresses.get(line)
        if pair is not None:
            self._send(self._rtcp, packet, pair[1])

    def close(self) -> None:
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_some(self) -> None:
        self._timer = None
        queue = self._queue
        for _ in range(min(len(queue), DATAGRAMS_AT_ONCE)):
            datagram, address = queue.popleft()
            self._send(self._rtp, datagram, address)
        if queue:
            self._timer = asyncio.get_running_loop().call_later(PACE_S, self._send_some)

    def _send(self, over: socket.socket, datagram: bytes, address: Address) -> None:
        try:
            over.sendto(datagram, address)
            self._counters.bytes += len(datagram)
        except OSError:  # a full buffer, an unreachable network: what UDP loses, it loses
            self._counters.datagrams_refused += 1
