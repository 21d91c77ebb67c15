"""The system's RTSP server: ``rtsp://HOST:8554/CAMERA[/main|/sub]`` for any player.

Belongs here: what a path means, who may watch, waiting for a camera that has to be subscribed to first.
Does not: what is sent (public_feed), RTSP (vms.wire), where hubs come from (the caller).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable

from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.relay.address import parse_stream_path
from vms.relay.lease import HubLease
from vms.relay.metrics import server_metrics
from vms.relay.public_feed import PublicFeed
from vms.relay.streams import ServedHubs
from vms.telemetry.metrics import MetricFamily
from vms.wire.rtsp.auth import ServerAuthenticator
from vms.wire.rtsp.server import RtspServer
from vms.wire.rtsp.server_source import ServerOptions
from vms.wire.rtsp.server_stream import Stream

LIVE_WAIT_S = 5.0
LOGIN_S = 10.0
LIMIT_BYTES = 4 << 20
MAX_CONNECTIONS = 1024

Resolve = Callable[[CameraId, StreamName], Awaitable[HubLease]]


class PublicRtsp:
    """Serves the hubs that `resolve` leases to whoever knows the token.

    resolve: a lease on the hub of a camera's stream, which need not be ready. Raises NotFound for an unknown camera
        and for a stream that it does not have, Unavailable with the reason.
    token: the password, whatever the user name; None lets everyone watch.
    sock: a listening TCP socket in place of host and port; other processes may accept from it too.
    """

    def __init__(
        self,
        resolve: Resolve,
        clock: Clock,
        *,
        token: str | None,
        sock: socket.socket | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._served: ServedHubs[PublicFeed] = ServedHubs(clock, lambda line: ())
        options = ServerOptions(
            authenticator=ServerAuthenticator(None, token) if token is not None else None,
            login_timeout_s=LOGIN_S,
            open_timeout_s=2 * LIVE_WAIT_S,
            max_connections=max_connections,
            limit_bytes=LIMIT_BYTES,
        )
        self._server = RtspServer(self, host=host, port=port, sock=sock, options=options, clock=clock)

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def players(self) -> int:
        """Clients that are being sent to."""
        return self._served.players

    async def start(self) -> None:
        """Serve. Raises CannotListen."""
        await self._server.start()

    async def stop(self) -> None:
        """Say goodbye to clients, listen no more, give every lease back."""
        await self._server.stop()
        self._served.end_all()

    def end(self, camera_id: CameraId, stream: StreamName | None = None) -> None:
        """End the sessions of a camera that is no more, or of one of its streams."""
        self._served.end(camera_id, stream)

    def metrics(self) -> Iterable[MetricFamily]:
        return server_metrics("vms_rtsp", self._server, self._served)

    # StreamSource

    def find(self, path: str) -> Stream | None:
        try:
            key = parse_stream_path(path)
        except NotFound:
            return None
        hub = self._served.hub(key)
        return None if hub is None or hub.lasting_gap is not None else self._served.get(key)

    async def open(self, path: str) -> Stream:
        camera, name = key = parse_stream_path(path)
        lease = await self._resolve(camera, name)
        try:
            await _wait_until_live(lease)
        except BaseException:
            lease.release()
            raise
        stream = self._served.get(key, lease.hub)
        if stream is not None:  # asked for twice meanwhile; it holds a lease of its own
            lease.release()
            return stream
        return self._served.put(key, PublicFeed(lease.hub, self._clock), lease.release)

    def streams(self) -> Iterable[Stream]:
        return self._served.streams()

    def tidy(self) -> None:
        self._served.tidy()


async def _wait_until_live(lease: HubLease) -> None:
    """Raises Unavailable with the reason."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + LIVE_WAIT_S
    await lease.ready(LIVE_WAIT_S)
    try:
        async with asyncio.timeout_at(deadline_s):
            await lease.hub.live()
    except TimeoutError as error:
        gap = lease.hub.lasting_gap
        reason = (gap.detail or gap.reason.value) if gap is not None else "it has sent nothing yet"
        raise Unavailable(f"the camera is not live: {reason}") from error
