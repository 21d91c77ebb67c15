"""One TCP port for everything: the first byte of a connection says what it speaks.

A frame of RFC 4571 begins with the high byte of a short length, a TLS record with 0x16 (RFC 8446 §5.1), a
request of HTTP with a letter. Whoever says nothing, or anything else, is put off.

Belongs here: listening sockets, telling connections apart. Does not: what is spoken (http1, vms.wire.webrtc.tcp).
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import cast

from vms.wire.webrtc.endpoint import PortUnavailable

BACKLOG = 1024
FIRST_BYTE_S = 5.0
MAX_SILENT = 1024
"""Connections that have said nothing yet; for one that comes on top the oldest goes, so that silence locks nobody out."""
_HIGHEST_LENGTH_BYTE = 0x08
_TLS_HANDSHAKE = 0x16

ConnectionFactory = Callable[[], asyncio.Protocol]


class TcpFront:
    """Listens, and hands every connection to who speaks its protocol.

    http, ice_tcp, tls: make the protocol of a connection; None: such connections are closed. `tls` gets the
    connection before its handshake, its first bytes by `data_received`.
    port: that was bound, once it is started. Counters: accepted, turned_away.
    """

    def __init__(
        self,
        http: ConnectionFactory,
        *,
        ice_tcp: ConnectionFactory | None = None,
        tls: ConnectionFactory | None = None,
    ) -> None:
        self.http = http
        self.ice_tcp = ice_tcp
        self.tls = tls
        self.port = 0
        self.accepted = 0
        self.turned_away = 0
        self.silent: dict[_FirstByte, None] = {}  # the oldest first
        self._servers: list[asyncio.Server] = []

    async def start(self, hosts: Sequence[str], port: int) -> None:
        """Listen on addresses. port 0 takes any free one. Raises PortUnavailable."""
        loop = asyncio.get_running_loop()
        sockets: list[socket.socket] = []
        try:
            for host in hosts:
                sockets.append(_listen(host, port))
                port = sockets[-1].getsockname()[1]
            for sock in sockets:
                server = await loop.create_server(lambda: _FirstByte(self), sock=sock, backlog=BACKLOG)
                self._servers.append(server)
        except OSError as error:
            for sock in sockets:
                sock.close()
            raise PortUnavailable(
                f"TCP port {port} cannot be opened ({error.strerror}); live view needs it beside the UDP port of "
                "that number: end what uses it, or set webrtc.port to another"
            ) from error
        self.port = port

    async def stop(self) -> None:
        """Stop listening; connections that were handed over are their owners' to end."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for silent in list(self.silent):
            silent.abort()

    def protocol_for(self, first: bytes) -> asyncio.Protocol | None:
        """Who goes on with a connection that begins with `first`."""
        byte = first[0]
        if byte <= _HIGHEST_LENGTH_BYTE:
            return self.ice_tcp() if self.ice_tcp is not None else None
        if byte == _TLS_HANDSHAKE:
            return self.tls() if self.tls is not None else None
        return self.http() if chr(byte).isascii() and chr(byte).isalpha() else None


def any_addresses() -> Sequence[str]:
    """Where to listen to reach everybody."""
    return ("0.0.0.0", "::") if socket.has_dualstack_ipv6() else ("0.0.0.0",)  # noqa: S104 - asked for by config


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class _FirstByte(asyncio.Protocol):
    """A connection that has not said anything yet."""

    def __init__(self, front: TcpFront) -> None:
        self._front = front
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        front = self._front
        if len(front.silent) >= MAX_SILENT:
            next(iter(front.silent)).abort()
        front.accepted += 1
        front.silent[self] = None
        self._timer = asyncio.get_running_loop().call_later(FIRST_BYTE_S, self.abort)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        protocol = self._front.protocol_for(data)
        if protocol is None:
            self.abort()
            return
        self._forget()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if not transport.is_closing():
            protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()

    def abort(self) -> None:
        self._front.turned_away += 1
        self._forget()
        if self._transport is not None:
            self._transport.abort()

    def _forget(self) -> None:
        self._front.silent.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
