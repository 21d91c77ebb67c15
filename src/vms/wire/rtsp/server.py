"""An RTSP 1.0 server (RFC 2326) for live streams, over TCP interleaved and UDP.

It knows no footage and no camera: a `Stream` around a `Feed` (server_feed) is what a path leads to.
Packets are framed once for all clients of a stream, and a client that is too slow is passed over until
the next key picture, so one client costs little and cannot hold up another.

Belongs here: listening, who is connected, time running out. Does not: requests (server_connection),
sessions and transports (server_session, server_ports), fan-out (server_stream).
"""

import asyncio
from collections.abc import Mapping

from vms.common.clock import Clock, SystemClock
from vms.common.errors import Unavailable
from vms.telemetry.logs import get_logger
from vms.wire.rtsp.server_connection import Connection, ServerOptions
from vms.wire.rtsp.server_ports import DatagramPorts
from vms.wire.rtsp.server_stream import Stream

__all__ = ["CannotListen", "RtspServer", "ServerOptions", "Stream"]

log = get_logger(__name__)

_HOUSEKEEPING_S = 0.5
_BACKLOG = 512
_CLOSING_S = 1.0


class CannotListen(Unavailable):
    """The address cannot be listened on: in use, not this machine's, or not allowed."""


class RtspServer:
    """Serves `streams`, a stream a path (``/camera-1``), until stopped; it can be started again.

    port: the one that is listened on, also when any free one was asked for; it stays the same over
    `stop` and `start`.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        options: ServerOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.options = options or ServerOptions()
        self.clock = clock or SystemClock()
        self.ports = DatagramPorts()
        self.connections_refused = 0
        self._streams = streams
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._accepting = False
        self._housekeeping: asyncio.TimerHandle | None = None

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        loop = asyncio.get_running_loop()
        self._accepting = True
        try:
            self._server = await loop.create_server(
                lambda: Connection(self), self.host, self.port, backlog=_BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise CannotListen(f"cannot listen on {self.host}:{self.port}: {error.strerror}") from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._housekeeping = loop.call_later(_HOUSEKEEPING_S, self._keep_house)

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

    def find(self, path: str) -> Stream | None:
        return self._streams.get(path)

    def opened(self, connection: Connection) -> bool:
        if len(self._connections) >= self.options.max_connections or not self._accepting:
            self.connections_refused += 1
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def _keep_house(self) -> None:
        for stream in self._streams.values():
            stream.report_when_due()
        for connection in list(self._connections):
            if connection.silent_for_s() > self.options.session_timeout_s:
                log.info("rtsp_client_timed_out", silent_s=round(connection.silent_for_s(), 1))
                connection.close()
        self._housekeeping = asyncio.get_running_loop().call_later(_HOUSEKEEPING_S, self._keep_house)
