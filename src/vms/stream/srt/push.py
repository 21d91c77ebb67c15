"""A push: we call a listener and send it a camera's stream, again and again until it is there.

Belongs here: one push, its back-off and its state. Does not: serving (feed, viewer), reading secrets (vms.app).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum

from vms.common.backoff import Backoff
from vms.common.errors import VmsError
from vms.common.ids import CameraId
from vms.common.srt_url import SrtUrl
from vms.common.stream_name import StreamName
from vms.telemetry.logs import get_logger
from vms.wire.srt import SrtConnection, SrtOptions, SrtPoller, connect, resolved

log = get_logger(__name__)

LASTED_S = 10.0
"""A connection that stood so long has worked: the next failure is a first one."""


class PushState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    FAILED = "failed"  # and tried again after a while


Send = Callable[[SrtConnection], Awaitable[str]]
"""Sends a stream over a connection, until that ends; says why where that was not for the peer."""
Source = Callable[[CameraId, StreamName], AbstractAsyncContextManager[Send]]
"""Holds a stream. Raises a VmsError when it cannot be had now."""


class Push:
    """secret: gives the passphrase, read anew with each try; None when there is none.

    reason: why it is not live, for a person; no credentials. Counters: tries, connected.
    """

    def __init__(
        self,
        camera_id: CameraId,
        stream: StreamName,
        url: SrtUrl,
        secret: Callable[[], Awaitable[str | None]],
        backoff: Backoff | None = None,
    ) -> None:
        self.camera_id = camera_id
        self.stream = stream
        self.state = PushState.CONNECTING
        self.reason = ""
        self.tries = 0
        self.connected = 0
        self.on_change: Callable[[], None] = lambda: None
        self._url = url
        self._secret = secret
        self._backoff = backoff or Backoff()
        self._stood_s = 0.0  # the newest connection

    @property
    def target(self) -> str:
        """Host and port."""
        return f"{self._url.host}:{self._url.port}"

    @property
    def live(self) -> bool:
        return self.state is PushState.LIVE

    async def run(self, poller: SrtPoller, source: Source) -> None:
        """Until cancelled."""
        while True:
            self._stood_s = 0.0
            try:
                reason = await self._once(poller, source)
            except VmsError as error:
                reason = str(error)
            except Exception:
                log.exception("a push failed", camera=self.camera_id, target=self.target)
                reason = "a fault of this program; it is logged"
            if self._stood_s > LASTED_S:
                self._backoff.reset()
            self._become(PushState.FAILED, reason)
            await asyncio.sleep(self._backoff.next_s())

    async def _once(self, poller: SrtPoller, source: Source) -> str:
        self.tries += 1
        url = self._url
        options = SrtOptions(latency_ms=url.latency_ms, key_bytes=url.key_bytes)
        passphrase = await self._secret() or url.passphrase
        async with source(self.camera_id, self.stream) as send:
            address = (await resolved(url.host, url.port), url.port)
            connection = await connect(
                poller, address, stream_id=url.stream_id, passphrase=passphrase, options=options
            )
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            try:
                self.connected += 1
                self._become(PushState.LIVE, "")
                reason = await send(connection)
            finally:
                self._stood_s = loop.time() - began_s
                connection.close()
        return reason or f"{self.target} ended the connection"

    def _become(self, state: PushState, reason: str) -> None:
        if (state, reason) == (self.state, self.reason):
            return
        self.state, self.reason = state, reason
        if state is PushState.FAILED:
            log.warning("a push is not live", camera=self.camera_id, target=self.target, reason=reason)
        else:
            log.info("a push is live", camera=self.camera_id, target=self.target)
        self.on_change()
