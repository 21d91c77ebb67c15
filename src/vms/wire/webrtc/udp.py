"""UDP sockets that send a whole picture in one system call (UDP GSO, udp(7) UDP_SEGMENT).

Belongs here: one bound socket, its batched sends, the probe and the fallback. Does not: what the
datagrams mean (vms.wire.webrtc.endpoint).
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Protocol

from vms.wire.webrtc.addresses import Address

SOL_UDP = socket.IPPROTO_UDP
UDP_SEGMENT = 103
MAX_SEGMENTS = 64  # UDP_MAX_SEGMENTS of the kernels in use
MAX_SEND_BYTES = 65_000  # below the 65,507 of one UDP send
SEND_BUFFER_BYTES = 4 << 20
RECEIVE_BUFFER_BYTES = 1 << 20
DATAGRAM_BYTES = 2048  # STUN, DTLS flights and RTCP all stay below the path MTU
READS_PER_TURN = 32
NO_GSO = frozenset({errno.EIO, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOPROTOOPT})

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
OnDatagram = Callable[["UdpPort", bytes, SocketAddress], object]


class DatagramPort(Protocol):
    """Where datagrams are sent from: a UDP socket, or one TCP connection (vms.wire.webrtc.tcp)."""

    @property
    def blocked(self) -> bool:
        """Whether there was no room for a send, and still is none."""

    def send(self, datagram: bytes, to: SocketAddress) -> bool:
        """Send one datagram; False when there is no room now."""

    def send_segments(
        self, buffers: Sequence[bytes], count: int, segment_bytes: int, total_bytes: int, to: SocketAddress
    ) -> bool:
        """See UdpPort.send_segments."""

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when there is room again."""


class UdpPort:
    """One non-blocking UDP socket on one of this machine's addresses.

    `blocked` is set after a send that the kernel had no room for, until it has room again. Counters are
    plain ints: datagrams_sent, bytes_sent, sends (system calls), refused (by the kernel, for good).
    """

    def __init__(self, address: Address, port: int, *, gso: bool = True) -> None:
        self.socket = socket.socket(
            socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM
        )
        try:
            self.socket.setblocking(False)
            if address.version == 6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self.socket.bind((str(address), port))
        except OSError:
            self.socket.close()
            raise
        self.address = address
        self.port: int = self.socket.getsockname()[1]
        self.gso = gso and self._probe_gso()
        self.blocked = False
        self.datagrams_sent = 0
        self.bytes_sent = 0
        self.sends = 0
        self.refused = 0
        self._ancillary: dict[int, list[tuple[int, int, bytes]]] = {}
        self._waiting: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_datagram: OnDatagram | None = None

    def open(self, loop: asyncio.AbstractEventLoop, on_datagram: OnDatagram) -> None:
        """Give every datagram that arrives to `on_datagram`."""
        self._loop, self._on_datagram = loop, on_datagram
        loop.add_reader(self.socket.fileno(), self._readable)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self.socket.fileno())
            self._loop.remove_writer(self.socket.fileno())
            self._loop = None
        self.socket.close()

    def send(self, datagram: bytes, to: SocketAddress) -> bool:
        """Send one datagram; False when the kernel has no room now."""
        return self._send([datagram], to, len(datagram))

    def send_segments(
        self, buffers: Sequence[bytes], count: int, segment_bytes: int, total_bytes: int, to: SocketAddress
    ) -> bool:
        """Send `count` datagrams that lie end to end in `buffers`, two buffers each.

        All have `segment_bytes` but the last, which may be shorter; at most MAX_SEGMENTS and
        MAX_SEND_BYTES. All or none are sent: False when the kernel has no room now.
        """
        if count == 1:
            return self._send(buffers, to, total_bytes)
        if not self.gso:
            return self._send_singly(buffers, to)
        ancillary = self._ancillary.get(segment_bytes)
        if ancillary is None:
            ancillary = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", segment_bytes))]
            self._ancillary[segment_bytes] = ancillary  # at most one entry a possible size
        try:
            self.socket.sendmsg(buffers, ancillary, 0, to)
        except BlockingIOError:
            return self._no_room()
        except OSError as error:
            if error.errno in NO_GSO:
                self.gso = False
                return self._send_singly(buffers, to)
            self.refused += 1
            return True
        self.sends += 1
        self.datagrams_sent += count
        self.bytes_sent += total_bytes
        return True

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when a blocked socket has room again."""
        if callback not in self._waiting:
            self._waiting.append(callback)

    def _send_singly(self, buffers: Sequence[bytes], to: SocketAddress) -> bool:
        # What was sent before the kernel ran out of room goes out again with the rest later: the same
        # bytes under the same sequence numbers, which receivers drop as repeated.
        for at in range(0, len(buffers), 2):
            pair = buffers[at : at + 2]
            if not self._send(pair, to, len(pair[0]) + len(pair[1])):
                return False
        return True

    def _send(self, buffers: Sequence[bytes], to: SocketAddress, total_bytes: int) -> bool:
        try:
            self.socket.sendmsg(buffers, (), 0, to)
        except BlockingIOError:
            return self._no_room()
        except OSError:
            # No route, or a firewall's refusal: to the viewer the same as a lost packet.
            self.refused += 1
            return True
        self.sends += 1
        self.datagrams_sent += 1
        self.bytes_sent += total_bytes
        return True

    def _no_room(self) -> bool:
        if not self.blocked and self._loop is not None:
            self.blocked = True
            self._loop.add_writer(self.socket.fileno(), self._writable)
        return False

    def _writable(self) -> None:
        assert self._loop is not None
        self._loop.remove_writer(self.socket.fileno())
        self.blocked = False
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()

    def _readable(self) -> None:
        assert self._on_datagram is not None
        for _ in range(READS_PER_TURN):
            if self._loop is None:  # closed by what the datagram before led to
                return
            try:
                datagram, source = self.socket.recvfrom(DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error for an earlier send
            self._on_datagram(self, datagram, source)

    def _probe_gso(self) -> bool:
        try:
            self.socket.setsockopt(SOL_UDP, UDP_SEGMENT, 1200)
            self.socket.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
        except OSError:
            return False
        return True


def host_of(address: SocketAddress) -> Address:
    """The IP address of a socket address, its scope left out."""
    return ip_address(address[0].partition("%")[0])
