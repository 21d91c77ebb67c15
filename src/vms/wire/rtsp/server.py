"""An RTSP 1.0 server (RFC 2326) for live streams, over TCP interleaved and UDP.

It knows no footage and no camera: a `Stream` around a `Feed` (server_feed) is what a path leads to.
Packets are framed once for all clients of a stream, and a client that is too slow is passed over until
the next key picture, so one client costs little and cannot hold up another.

Belongs here: listening, who is connected, time running out. Does not: requests (server_connection),
sessions and transports (server_session, server_ports), fan-out (server_stream).
"""

import asyncio
import socket
from collections.abc import Mapping

from vms.common.clock import Clock, SystemClock
from vms.common.errors import Unavailable
from vms.telemetry.logs import get_logger
from vms.wire.rtsp.server_connection import Connection
from vms.wire.rtsp.server_ports import DatagramPorts
from vms.wire.rtsp.server_receiver import SendCounters
from vms.wire.rtsp.server_source import FixedStreams, ServerOptions, StreamSource
from vms.wire.rtsp.server_stream import Stream

__all__ = ["CannotListen", "RtspServer", "ServerOptions", "Stream", "StreamSource"]

log = get_logger(__name__)

_HOUSEKEEPING_S = 0.5
_BACKLOG = 512
_CLOSING_S = 1.0


class CannotListen(Unavailable):
    """The address cannot be listened on: in use, not this machine's, or not allowed."""


class RtspServer:
    """Serves `streams`, a stream a path (``/camera-1``), until stopped; it can be started again.

    sock: a listening socket, TCP or Unix, to accept from in place of host and port; other processes may
        accept from it too. `stop` closes it, and there is no second start.
    port: the one that is listened on, also when any free one was asked for; it stays the same over
        `stop` and `start`. 0 on a Unix socket.
    sent: counters over all clients. connections_refused: those beyond the limit.
    credentials_refused: requests with wrong credentials. crashes: requests that ended in an internal error.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream] | StreamSource,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sock: socket.socket | None = None,
        options: ServerOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.options = options or ServerOptions()
        self.clock = clock or SystemClock()
        self.ports = DatagramPorts()
        self.sent = SendCounters()
        self.source: StreamSource = FixedStreams(streams) if isinstance(streams, Mapping) else streams
        self.connections_refused = 0
        self.credentials_refused = 0
        self.crashes = 0
        self._sock = sock
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._accepting = False
        self._housekeeping: asyncio.TimerHandle | None = None

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        self._accepting = True
        try:
            self._server = await self._listen()
        except OSError as error:
            raise CannotListen(f"cannot listen on {self.host}:{self.port}: {error.strerror}") from error
        if self._sock is None or self._sock.family != socket.AF_UNIX:
            self.port = self._server.sockets[0].getsockname()[1]
        self._housekeeping = asyncio.get_running_loop().call_later(_HOUSEKEEPING_S, self._keep_house)

    async def stop(self, *, farewell: bool = True) -> None:
        """Listen no more and close every connection: with RTCP BYE, or broken off as by a power cut."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            self._housekeeping = None
        self._accepting = False
        for connection in list(self._connections):
            if farewell:
                connection.close()
            else:
                connection.abort()
        self.ports.close()
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        try:
            async with asyncio.timeout(_CLOSING_S):
                await server.wait_closed()
        except TimeoutError:  # a client that does not read what was written to it
            for connection in list(self._connections):
                connection.abort()

    # what connections ask for

    def opened(self, connection: Connection) -> bool:
        if len(self._connections) >= self.options.max_connections or not self._accepting:
            self.connections_refused += 1
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if self._sock is None:
            return await loop.create_server(
                self._connection, self.host, self.port, backlog=_BACKLOG, reuse_address=True
            )
        if self._sock.family == socket.AF_UNIX:
            return await loop.create_unix_server(self._connection, sock=self._sock)
        return await loop.create_server(self._connection, sock=self._sock)

    def _connection(self) -> Connection:
        return Connection(self)

    def _keep_house(self) -> None:
        for stream in self.source.streams():
            stream.report_when_due()
        for connection in list(self._connections):
            reason = connection.overdue()
            if reason is not None:
                log.info("rtsp_client_timed_out", reason=reason)
                connection.close()
        self.source.tidy()
        self._housekeeping = asyncio.get_running_loop().call_later(_HOUSEKEEPING_S, self._keep_house)
