"""The server's UDP ports: one pair, RTP and RTCP, for each local address that clients reached it at.

All clients share a pair; what comes in on it is told apart by the sender's address.

Belongs here: sockets, and whom an incoming RTCP packet belongs to. Does not: sessions.
"""

import asyncio
import socket
from collections.abc import Callable

from vms.wire.errors import PeerGone

_SEND_BUFFER_BYTES = 4 << 20
_MAX_DATAGRAM = 2048
_READS_A_CALL = 64
_TRIES = 50


class DatagramPorts:
    """Pairs of sockets, opened when the first client wants one and closed with the server."""

    def __init__(self) -> None:
        self._pairs: dict[str, tuple[socket.socket, socket.socket]] = {}
        self._listeners: dict[tuple[str, int], Callable[[bytes], None]] = {}

    def pair(self, local_address: str) -> tuple[socket.socket, socket.socket]:
        """The RTP and the RTCP socket at an address of this machine. Raises PeerGone when none can be had."""
        pair = self._pairs.get(local_address)
        if pair is None:
            pair = self._pairs[local_address] = _open_pair(local_address)
            loop = asyncio.get_running_loop()
            for each in pair:
                loop.add_reader(each, self._read, each)
        return pair

    def listen(self, address: str, rtcp_port: int, heard: Callable[[bytes], None]) -> None:
        """Call `heard` with each datagram from a client's RTCP port."""
        self._listeners[address, rtcp_port] = heard

    def forget(self, address: str, rtcp_port: int) -> None:
        self._listeners.pop((address, rtcp_port), None)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for pair in self._pairs.values():
            for each in pair:
                loop.remove_reader(each)
                each.close()
        self._pairs.clear()
        self._listeners.clear()

    def _read(self, source: socket.socket) -> None:
        for _ in range(_READS_A_CALL):
            try:
                packet, address = source.recvfrom(_MAX_DATAGRAM)
            except OSError:
                return
            heard = self._listeners.get((address[0], address[1]))
            if heard is not None:
                heard(packet)


def _open_pair(local_address: str) -> tuple[socket.socket, socket.socket]:
    """Sockets on an even port and the one above it (RFC 3550 §11)."""
    for _ in range(_TRIES):
        rtp = _bind(local_address, 0)
        port = rtp.getsockname()[1] if rtp else 0
        if rtp is not None and port % 2 == 0:
            rtcp = _bind(local_address, port + 1)
            if rtcp is not None:
                return rtp, rtcp
        if rtp is not None:
            rtp.close()
    raise PeerGone(f"no free pair of UDP ports at {local_address}")


def _bind(local_address: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in local_address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        bound.bind((local_address, port))
    except OSError:
        bound.close()
        return None
    return bound
