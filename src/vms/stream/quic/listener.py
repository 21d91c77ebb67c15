"""The UDP port of WebTransport.

Every connection has to prove its address first (Retry, RFC 9000 §8.1.2), so that what strangers send under others'
names costs no memory and is answered with less than it was.

Belongs here: sockets, who may begin a connection. Does not: one of them (connection), how many (strangers).
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE, QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicProtocolVersion

from vms.common.errors import Unavailable
from vms.stream.quic.certificate import Certificate
from vms.stream.quic.congestion import ALGORITHM
from vms.stream.quic.connection import ViewerConnection
from vms.stream.quic.service import WebTransportService
from vms.stream.quic.strangers import host_of
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

IDLE_S = 15.0
RECEIVE_BUFFER_BYTES = 1 << 20
SEND_BUFFER_BYTES = 4 << 20
WINDOW_BYTES = 32 << 10
"""What a peer may have under way to us: requests are short."""
_LONG_HEADER = 0x80
_INITIAL_BITS, _INITIAL = 0xF0, 0xC0  # long header, fixed bit, type Initial of version 1 (RFC 9000 §17.2.2)


class WebTransportListener:
    """port: that was bound, once it is started."""

    def __init__(self, service: WebTransportService) -> None:
        self.port = 0
        self._service = service
        self._servers: list[_Server] = []
        self._configuration = QuicConfiguration(
            alpn_protocols=H3_ALPN,
            is_client=False,
            congestion_control_algorithm=ALGORITHM,
            idle_timeout=IDLE_S,
            max_data=2 * WINDOW_BYTES,
            max_stream_data=WINDOW_BYTES,
            max_datagram_frame_size=65_536,  # RFC 9297 §2.1: what HTTP/3 datagrams come in
            supported_versions=[QuicProtocolVersion.VERSION_1],
        )
        for name in ("quic", "http3"):  # whatever any peer does is worth a line to aioquic
            logging.getLogger(name).setLevel(logging.ERROR)

    def show(self, certificate: Certificate) -> None:
        """Show it to those who connect from now on."""
        self._configuration.certificate = certificate.certificate
        self._configuration.certificate_chain = list(certificate.chain)
        self._configuration.private_key = certificate.key

    async def start(self, hosts: Sequence[str], port: int, *, where_it_can_be: Sequence[str] = ()) -> None:
        """Listen on addresses; port 0 takes any free one. Raises Unavailable.

        where_it_can_be: listen there too, unless this machine has no such address or the port is taken there.
        """
        try:
            for host in hosts:
                port = await self._listen(host, port)
            for host in where_it_can_be:
                if host not in hosts:
                    with suppress(OSError):
                        await self._listen(host, port)
        except OSError as error:
            self._close()
            raise Unavailable(
                f"UDP port {port} cannot be opened for WebTransport ({error.strerror}): end what uses it, "
                "or set webtransport.port to another"
            ) from error
        self.port = port

    async def _listen(self, host: str, port: int) -> int:
        """The port. Raises OSError."""
        sock = _bind(host, port)
        _, server = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Server(self._configuration, self._service), sock=sock
        )
        self._servers.append(server)
        return int(sock.getsockname()[1])

    async def stop(self) -> None:
        """Say goodbye to every viewer."""
        self._service.stop()
        await asyncio.sleep(0)
        self._close()

    def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()


class _Server(QuicServer):
    def __init__(self, configuration: QuicConfiguration, service: WebTransportService) -> None:
        super().__init__(configuration=configuration, create_protocol=self._connection, retry=True)
        self._service = service
        self._source = ""  # the address that the datagram in hand is from

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        self._source = addr[0]
        if not self._is_welcome(cast(bytes, data)):
            return
        try:
            super().datagram_received(data, addr)
        except Exception:
            self._service.failed_datagrams += 1
            failed = self._service.failed_datagrams
            if failed & (failed - 1) == 0:  # the 1st, 2nd, 4th, 8th, …
                log.exception("a datagram could not be handled", failed=failed)

    def _is_welcome(self, data: bytes) -> bool:
        if len(data) < 6 or not data[0] & _LONG_HEADER:
            return True
        if int.from_bytes(data[1:5]) != QuicProtocolVersion.VERSION_1:
            return len(data) >= SMALLEST_MAX_DATAGRAM_SIZE  # RFC 9000 §6.1: what is shorter is not answered
        if data[0] & _INITIAL_BITS != _INITIAL or data[6 : 6 + data[5]] in self._protocols:
            return True
        return self._service.takes(host_of(self._source))

    def _connection(self, quic: QuicConnection, stream_handler: object) -> ViewerConnection:
        return ViewerConnection(quic, self._service, host_of(self._source))


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
