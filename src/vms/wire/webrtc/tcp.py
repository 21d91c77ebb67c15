"""ICE over TCP: one accepted connection as a port that sends datagrams (RFC 6544 §4.5, framing RFC 4571).

Belongs here: frames in and out, how much may wait to be sent, how a connection ends. Does not: listening
(vms.stream), what the datagrams mean (vms.wire.webrtc.endpoint).
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from vms.wire.webrtc.udp import DATAGRAM_BYTES, SocketAddress

HEADER_BYTES = 2
MAX_UNSENT_BYTES = 256 << 10
"""What may wait here before the connection is `blocked`: some 0.3 s of a large picture's stream. What waits
longer waits in the viewer's own queue, where it can still be skipped."""
MAX_CONTROL_BYTES = MAX_UNSENT_BYTES * 2  # STUN, DTLS and RTCP go out beyond it, up to here
NOT_SENT_LOW_BYTES = 128 << 10  # of the kernel's buffer; what is sent and not acknowledged does not count
CLOSE_S = 2.0  # for what is under way when this side closes
MAX_IGNORED = 20  # datagrams that no session took, before the connection is closed
MAX_FRAMES_PER_READ = 4096
"""A read has 256 KB at most, of which viewers fill none and publishers some 200 frames; more than these are meant
to keep the event loop busy."""


class TcpOwner(Protocol):
    """What a connection needs of the endpoint."""

    def opened(self, port: "TcpPort") -> bool:
        """Whether the connection may stay."""

    def received(self, port: "TcpPort", datagram: bytes) -> bool:
        """Take a datagram; whether a session knew it."""

    def lost(self, port: "TcpPort") -> None:
        """The connection is over."""


class TcpPort(asyncio.Protocol):
    """One connection. Sends as a `UdpPort` does, to its one peer whatever the address given.

    `blocked` is set while too much waits to be sent. Counters: datagrams_sent, bytes_sent (framing left out),
    refused (not sent: the connection is over, or took no control datagrams any more).
    """

    def __init__(self, owner: TcpOwner) -> None:
        self.source: SocketAddress = ("", 0)
        self.blocked = False
        self.closed = False
        self.proven = False  # an authenticated check came; set by the owner
        self.datagrams_sent = 0
        self.bytes_sent = 0
        self.refused = 0
        self._ignored = 0
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._waiting: list[Callable[[], None]] = []

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.source = self._transport.get_extra_info("peername") or ("", 0)
        self._transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES, low=MAX_UNSENT_BYTES // 4)
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_LOW_BYTES)
        if not self._owner.opened(self):
            self.abort()

    def data_received(self, data: bytes) -> None:
        data = self._unread + data if self._unread else data
        at, size, frames = 0, len(data), 0
        while size - at >= HEADER_BYTES and not self.closed:
            length = data[at] << 8 | data[at + 1]
            frames += 1
            if length > DATAGRAM_BYTES or frames > MAX_FRAMES_PER_READ:
                self.abort()  # no frame of ours is so long: this is another protocol
                return
            end = at + HEADER_BYTES + length
            if end > size:
                break
            self._take(data[at + HEADER_BYTES : end])
            at = end
        self._unread = b"" if self.closed else data[at:]

    def eof_received(self) -> None:
        # Nothing can prove consent here any more. Waiting for what is not sent yet would hold up the media.
        self.abort()

    def pause_writing(self) -> None:
        self.blocked = True

    def resume_writing(self) -> None:
        self.blocked = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.blocked = False  # nothing waits for it: what is sent from now on is lost, as on UDP
        self._unread = b""
        self._owner.lost(self)
        self._wake()

    # as UdpPort

    def send(self, datagram: bytes, to: SocketAddress) -> bool:
        """Send one datagram; False when too much waits already."""
        transport = self._transport
        if transport is None or self.closed:
            self.refused += 1
            return True
        if transport.get_write_buffer_size() > MAX_CONTROL_BYTES:
            self.refused += 1
            return False
        transport.write(len(datagram).to_bytes(2, "big") + datagram)
        self.datagrams_sent += 1
        self.bytes_sent += len(datagram)
        return True

    def send_segments(
        self, buffers: Sequence[bytes], count: int, segment_bytes: int, total_bytes: int, to: SocketAddress
    ) -> bool:
        """Send `count` datagrams of two buffers each, as UdpPort does: all or none, False when blocked."""
        transport = self._transport
        if transport is None or self.closed:
            self.refused += count
            return True
        if self.blocked:
            return False
        framed: list[bytes] = []
        for at in range(0, len(buffers), 2):
            header, payload = buffers[at], buffers[at + 1]
            framed += ((len(header) + len(payload)).to_bytes(2, "big"), header, payload)
        transport.write(b"".join(framed))
        self.datagrams_sent += count
        self.bytes_sent += total_bytes
        return True

    def when_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when a blocked connection has room again or is over."""
        if callback not in self._waiting:
            self._waiting.append(callback)

    def close(self) -> None:
        """Close once what is written is sent, and after CLOSE_S in any case."""
        transport = self._transport
        if transport is None or self.closed:
            return
        self.closed = True
        transport.close()
        asyncio.get_running_loop().call_later(CLOSE_S, transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def _take(self, datagram: bytes) -> None:
        if datagram and self._owner.received(self, datagram):
            return
        self._ignored += 1
        if self._ignored > MAX_IGNORED and not self.proven:
            self.abort()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()
