"""RTP and RTCP over UDP (RFC 3550 §11): a pair of ports, and packets put back in order.

A packet that comes too early waits for the missing ones, at most `REORDER_PACKETS` packets or
`REORDER_S` long; then the missing ones are given up.

Belongs here: client sockets, order. Does not: negotiation of ports (client), payloads.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from struct import Struct

from vms.common.clock import NS, Clock
from vms.common.errors import VmsError
from vms.wire.errors import PeerUnreachable
from vms.wire.rtp import sequence_delta
from vms.wire.rtsp.stream import RtpStream

REORDER_PACKETS = 64
REORDER_S = 0.1
RECEIVE_BUFFER_BYTES = 2 << 20  # a large key picture comes in one burst
_PORT_TRIES = 50

_PLAIN_HEADER = Struct(">HHI")


class ReorderBuffer:
    """Hands datagrams to their stream in order of sequence number.

    packets_reordered: those that came early and could be put in order. on_failed: called with the error when
    the stream's receiver cannot use what came; nothing is handed on after that.
    """

    def __init__(self, stream: RtpStream, clock: Clock, on_failed: Callable[[VmsError], None]) -> None:
        self.packets_reordered = 0
        self._on_failed = on_failed
        self._failed = False
        self._stream = stream
        self._now_ns = clock.monotonic_ns
        self._waiting: dict[int, tuple[bytes, int]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def push(self, data: bytes) -> None:
        """Take one datagram."""
        if self._failed:
            return
        try:
            self._take(data)
        except VmsError as error:
            self._fail(error)

    def close(self) -> None:
        """Hand on what waits, holes and all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            self._give_up(len(self._waiting))
        except VmsError as error:
            self._fail(error)

    def _take(self, data: bytes) -> None:
        if len(data) < 13:
            self._stream.packets_invalid += 1
            return
        arrival_ns = self._now_ns()
        flags, sequence_number, timestamp = _PLAIN_HEADER.unpack_from(data)
        stream = self._stream
        if sequence_number == stream.expected and flags | 0x80 == stream.plain_flags:
            stream.expected = sequence_number + 1
            stream.push(data, 12, len(data), timestamp, flags & 0x80, arrival_ns)
        elif stream.expected < 0 or not 0 < sequence_delta(sequence_number, stream.expected) < 1000:
            stream.irregular(data, 0, len(data), arrival_ns)
        elif sequence_number in self._waiting:
            stream.packets_late += 1
        else:
            self._wait(sequence_number, data, arrival_ns)
        if self._waiting:
            self._release()

    def _fail(self, error: VmsError) -> None:
        self._failed = True
        self._waiting.clear()
        self._on_failed(error)

    def _wait(self, sequence_number: int, data: bytes, arrival_ns: int) -> None:
        self._waiting[sequence_number] = (data, arrival_ns)
        if len(self._waiting) > REORDER_PACKETS:
            self._give_up(1)
        elif self._timer is None:
            self._wait_until(arrival_ns)

    def _release(self) -> None:
        """Hand on what has its turn."""
        while (found := self._waiting.pop(self._stream.expected & 0xFFFF, None)) is not None:
            self.packets_reordered += 1
            self._stream.irregular(found[0], 0, len(found[0]), found[1])
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait_until(self, oldest_ns: int) -> None:
        left_s = REORDER_S - (self._now_ns() - oldest_ns) / NS
        self._timer = asyncio.get_running_loop().call_later(max(left_s, 0.001), self._overdue)

    def _overdue(self) -> None:
        self._timer = None
        try:
            self._give_up(1)
        except VmsError as error:
            self._fail(error)
        if self._waiting and self._timer is None:
            self._wait_until(min(arrival_ns for _, arrival_ns in self._waiting.values()))

    def _give_up(self, count: int) -> None:
        """Stop waiting for what is missing before the `count` packets that come first."""
        expected = self._stream.expected
        order = sorted(self._waiting, key=lambda number: sequence_delta(number, expected))
        for sequence_number in order[:count]:
            data, arrival_ns = self._waiting.pop(sequence_number)
            self._stream.irregular(data, 0, len(data), arrival_ns)
        self._release()


class _Receiver(asyncio.DatagramProtocol):
    """Passes on the datagrams of the sender that was announced, and counts the others."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.bytes_received = 0
        self.packets_foreign = 0
        self.senders: frozenset[str] = frozenset()
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[0] not in self.senders:
            self.packets_foreign += 1
            return
        self.bytes_received += len(data)
        self._take(data)

    def error_received(self, exc: Exception) -> None:
        """A report of ours that could not be delivered; the sender's silence is noticed elsewhere."""


class UdpPair:
    """The two sockets of one stream: RTP on an even port, RTCP on the next (RFC 3550 §11)."""

    def __init__(
        self,
        stream: RtpStream,
        clock: Clock,
        on_end: Callable[[RtpStream], None],
        on_failed: Callable[[VmsError], None],
    ) -> None:
        self.ports = (0, 0)
        self._stream = stream
        self._now_ns = clock.monotonic_ns
        self._on_end = on_end
        self._order = ReorderBuffer(stream, clock, on_failed)
        self._media = _Receiver(self._order.push)
        self._reports = _Receiver(self._report)
        self._transports: list[asyncio.DatagramTransport] = []
        self._report_address: tuple[str, int] | None = None
        self._bytes_asked = 0

    async def open(self, local_ip: str) -> None:
        """Bind a pair of ports on the address that the camera is reached from. Raises PeerUnreachable."""
        media, reports = _bind_pair(local_ip)
        self.ports = (media.getsockname()[1], reports.getsockname()[1])
        loop = asyncio.get_running_loop()
        for sock, protocol in ((media, self._media), (reports, self._reports)):
            transport, _ = await loop.create_datagram_endpoint(lambda own=protocol: own, sock=sock)  # type: ignore[misc]
            self._transports.append(transport)

    def expect(self, senders: Iterable[str], report_address: tuple[str, int] | None) -> None:
        """Take datagrams from these IP addresses alone; send reports to `report_address`."""
        self._media.senders = self._reports.senders = frozenset(senders)
        self._report_address = report_address

    def send_report(self, data: bytes) -> None:
        if self._report_address is not None and len(self._transports) == 2:
            self._transports[1].sendto(data, self._report_address)

    def close(self) -> None:
        self._order.close()
        for transport in self._transports:
            transport.abort()
        self._transports.clear()

    def flowed(self) -> bool:
        """Whether anything has come since this was last asked."""
        before, self._bytes_asked = self._bytes_asked, self.bytes_received
        return self.bytes_received > before

    @property
    def bytes_received(self) -> int:
        return self._media.bytes_received + self._reports.bytes_received

    @property
    def packets_reordered(self) -> int:
        return self._order.packets_reordered

    @property
    def packets_foreign(self) -> int:
        return self._media.packets_foreign + self._reports.packets_foreign

    def _report(self, data: bytes) -> None:
        self._stream.rtcp(data, self._now_ns())
        if self._stream.ended:
            self._on_end(self._stream)


def _bind_pair(local_ip: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in local_ip else socket.AF_INET
    for _ in range(_PORT_TRIES):
        media = socket.socket(family, socket.SOCK_DGRAM)
        reports = socket.socket(family, socket.SOCK_DGRAM)
        try:
            media.bind((local_ip, 0))
            port = media.getsockname()[1]
            if port % 2 == 0 and port < 65535:
                reports.bind((local_ip, port + 1))
                media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
                media.setblocking(False)
                reports.setblocking(False)
                return media, reports
        except OSError:
            pass  # the next port is taken
        media.close()
        reports.close()
    raise PeerUnreachable(f"no pair of free UDP ports on {local_ip}")
