"""Serve the hubs of a process that pulls cameras to our own processes.

Belongs here: which hub a path means, who may have it. Does not: what is sent (relay_feed), RTSP (vms.wire).
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from vms.common import unix_socket
from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.relay.address import parse_stream_path
from vms.relay.lease import HubLease
from vms.relay.metrics import server_metrics
from vms.relay.relay_feed import RelayFeed, attributes
from vms.relay.streams import ServedHubs
from vms.telemetry.metrics import MetricFamily
from vms.wire.rtsp.auth import ServerAuthenticator
from vms.wire.rtsp.server import CannotListen, RtspServer
from vms.wire.rtsp.server_source import ServerOptions
from vms.wire.rtsp.server_stream import Stream

TRACKS_WAIT_S = 5.0  # for a camera that is just being connected
LIMIT_BYTES = 8 << 20
SEND_BUFFER_BYTES = 1 << 20  # a key picture fits, so that its sender need not be woken for the rest


class RelayServer:
    """``rtsp://relay/CAMERA[/STREAM]`` for each hub of this process, on a Unix socket or by TCP with a token.

    hubs: of main streams; raises NotFound for a camera that this process does not pull.
    others: leases on the hubs of other streams, held while somebody has them set up; raises NotFound.
    """

    def __init__(
        self,
        hubs: Callable[[CameraId], Hub],
        clock: Clock,
        *,
        path: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        others: Callable[[CameraId, StreamName], HubLease] | None = None,
    ) -> None:
        """path: of the Unix socket, whose directory must exist. Otherwise host, port and token say where."""
        if (path is None) == (token is None):
            raise ValueError("a relay listens on a Unix socket, or by TCP with a token")
        self._hubs = hubs
        self._others = others
        self._clock = clock
        self._path = path
        self._host = host
        self._port = port
        self._options = ServerOptions(
            authenticator=ServerAuthenticator(None, token) if token is not None else None,
            login_timeout_s=10.0,
            open_timeout_s=TRACKS_WAIT_S + 1,
            limit_bytes=LIMIT_BYTES,
            send_buffer_bytes=SEND_BUFFER_BYTES,
        )
        self._served: ServedHubs[RelayFeed] = ServedHubs(clock, attributes)
        self._server: RtspServer | None = None

    @property
    def port(self) -> int:
        """Where it listens by TCP, once started."""
        return self._server.port if self._server is not None else self._port

    async def start(self) -> None:
        """Serve. Raises CannotListen."""
        sock = None
        if self._path is not None:
            try:
                sock = unix_socket.listen(self._path)
            except OSError as error:
                raise CannotListen(f"cannot listen on {self._path}: {error.strerror}") from error
        self._server = RtspServer(
            self, host=self._host, port=self._port, sock=sock, options=self._options, clock=self._clock
        )
        await self._server.start()

    async def stop(self) -> None:
        """Say goodbye to subscribers and listen no more."""
        if self._server is None:
            return
        await self._server.stop()
        self._served.end_all()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def end(self, camera_id: CameraId, stream: StreamName | None = None) -> None:
        """End the subscriptions to a camera, or to one of its streams, that this process pulls no more."""
        self._served.end(camera_id, stream)

    def metrics(self) -> Iterable[MetricFamily]:
        if self._server is not None:
            yield from server_metrics("vms_relay", self._server, self._served)

    # StreamSource

    def find(self, path: str) -> Stream | None:
        try:
            key = parse_stream_path(path)
            return self._served.get(key, self._hubs(key[0]) if key[1] is StreamName.MAIN else None)
        except NotFound:
            return None

    async def open(self, path: str) -> Stream:
        camera, stream = key = parse_stream_path(path)
        if stream is not StreamName.MAIN:
            return await self._open_other(camera, stream)
        hub = self._hubs(camera)
        try:
            async with asyncio.timeout(TRACKS_WAIT_S):
                if not hub.tracks:
                    await hub.live()
        except TimeoutError as error:
            raise Unavailable("the camera has sent nothing yet") from error
        return self._served.get(key, hub) or self._served.put(key, RelayFeed(hub, self._clock))

    async def _open_other(self, camera: CameraId, stream: StreamName) -> Stream:
        if self._others is None:
            raise NotFound(f"no {stream} streams are served here")
        lease = self._others(camera, stream)
        try:
            await lease.ready(TRACKS_WAIT_S)
        except BaseException:
            lease.release()
            raise
        found = self._served.get((camera, stream), lease.hub)
        if found is not None:  # asked for twice meanwhile; it holds a lease of its own
            lease.release()
            return found
        return self._served.put((camera, stream), RelayFeed(lease.hub, self._clock), lease.release)

    def streams(self) -> Iterable[Stream]:
        return self._served.streams()

    def tidy(self) -> None:
        self._served.tidy()
