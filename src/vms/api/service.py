"""The API as a service of the system: uvicorn inside the process's own event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator, Sequence

import uvicorn

from vms.api.alarms import AlarmBoard
from vms.api.application import ApiSettings, create_app
from vms.api.auth import Authenticator
from vms.api.http_protocol import BoundedHttpProtocol
from vms.api.listener import listen, url_of
from vms.api.ports import Ports
from vms.common.tls import server_context
from vms.config import HttpConfig, is_loopback
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricSource

log = get_logger(__name__)

STOP_TIMEOUT_S = 3


class ApiService:
    """Serves the API and the web app from `start` to `stop`.

    session_secret: 32 bytes that stay the same over restarts, so that browsers stay logged in.
    """

    def __init__(
        self, config: HttpConfig, ports: Ports, session_secret: bytes, listener: socket.socket | None = None
    ) -> None:
        """listener: listens already, for all processes that serve the API; None: one of its own."""
        token = config.token.get_secret_value() if config.token is not None else None
        settings = ApiSettings(token, session_secret, is_loopback(config.host))
        self._config = config
        self._ports = ports
        self._app = create_app(ports, settings)
        self._alarms: AlarmBoard = self._app.state.alarm_board
        self._listener = listener
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port = config.port

    @property
    def sources(self) -> Sequence[MetricSource]:
        """Who counts in this process."""
        return [*self._ports.metrics, *self._app.state.metric_sources]

    @property
    def authenticator(self) -> Authenticator:
        """Who is let in; sessions that end elsewhere have to be told it (vms.app.revocations)."""
        authenticator: Authenticator = self._app.state.authenticator
        return authenticator

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it; the port is the bound one after `start`."""
        return url_of(self._config.host, self.port, self._config.scheme)

    @property
    def tls_context(self) -> ssl.SSLContext | None:
        """What new connections are served with; None before `start`, and without TLS."""
        return self._server.config.ssl if self._server is not None else None

    async def start(self) -> None:
        """Listen. Raises AddressUnavailable; Unavailable when the certificate cannot be used."""
        tls = self._config.tls
        if tls is not None:
            server_context(tls.certificate, tls.key)
        listener = self._listener or listen(self._config.host, self._config.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=BoundedHttpProtocol,
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=tls.certificate if tls is not None else None,
            ssl_keyfile=tls.key if tls is not None else None,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=STOP_TIMEOUT_S + 2,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="api")
        self._serving.add_done_callback(_report_end)
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait((ready, self._serving), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            listener.close()
            await self._serving
        await self._alarms.start()
        log.info("listening", at=self.url)

    async def stop(self) -> None:
        """Answer what was begun, for at most `STOP_TIMEOUT_S`, and close every connection."""
        await self._alarms.stop()
        server, serving = self._server, self._serving
        self._server = self._serving = None
        if server is None or serving is None:
            return
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: signals belong to the process.

    ready: set when it takes connections.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A download may take hours: what is not finished in time is told so by its closed connection.
        end = asyncio.get_running_loop().call_later(STOP_TIMEOUT_S, self._abort_connections)
        try:
            await super().shutdown(sockets)
        finally:
            end.cancel()

    def _abort_connections(self) -> None:
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, BoundedHttpProtocol):
                connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _report_end(serving: asyncio.Task[None]) -> None:
    if not serving.cancelled() and (error := serving.exception()) is not None:
        log.error("the API has ended by an internal error", exc_info=error)
