"""The hub of one stream of a camera, fed from the process that has it, for as long as somebody wants it.

A session with the relay is made where `locate` says the camera is, and made again when it ends; the hub
stays. What is missing meanwhile is told as a gap that lasts.

Belongs here: sessions one after another, their reasons, the gap between. Does not: how many want it (pool),
what a session delivers (receiver).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from vms.common.backoff import Backoff
from vms.common.camera import Transport
from vms.common.clock import Clock
from vms.common.errors import Unavailable, VmsError
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Gap, GapReason, Hub
from vms.relay.address import RelayAddress, UnixAddress, stream_path
from vms.relay.receiver import StreamReceiver
from vms.telemetry.logs import get_logger
from vms.wire.errors import RequestRefused, UnsupportedMedia
from vms.wire.rtsp.client import RtspSession

log = get_logger(__name__)

Locate = Callable[[CameraId, StreamName], RelayAddress | None]

FIRST_RETRY_S, LONGEST_RETRY_S = 0.05, 1.0
_ANSWER_S = 10.0


class Subscription:
    """leases: how many hold it; kept by the pool. sessions, failures, crashes: counters."""

    def __init__(
        self, camera_id: CameraId, locate: Locate, clock: Clock, *, stream: StreamName = StreamName.MAIN
    ) -> None:
        self.camera_id = camera_id
        self.stream = stream
        self.hub = Hub(stream_path(camera_id, stream))
        self.leases = 0
        self.sessions = 0
        self.failures = 0
        self.crashes = 0
        self._units_broken = 0
        self._receiver: StreamReceiver | None = None
        self._reason = "the relay has not answered yet"
        self._locate = locate
        self._clock = clock
        self._address: RelayAddress | None = None  # of the session that is open or being opened
        self._session: RtspSession | None = None
        self._playing = asyncio.Event()
        self._look_again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def playing(self) -> bool:
        """Whether a session is under way."""
        return self._playing.is_set()

    @property
    def units_broken(self) -> int:
        return self._units_broken + (self._receiver.units_broken if self._receiver else 0)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def ready(self, timeout_s: float) -> None:
        """Wait until a session is under way. Raises Unavailable with the reason when none comes about."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._playing.wait()
        except TimeoutError as error:
            raise Unavailable(f"{self.hub.name}: {self._reason}") from error

    def moved(self) -> None:
        """The camera may be elsewhere now: look at once, and leave a session with where it was."""
        address = self._locate(self.camera_id, self.stream)
        # Where nobody knows where it is, a session that works is left alone.
        if self._address is not None and address is not None and address != self._address:
            self._reason = "the camera moved to another process"
            if self._session is not None:
                self._session.leave()
        self._look_again.set()

    async def stop(self) -> None:
        """End the session and let the hub be."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while True:
            self._look_again.clear()
            address = self._address = self._locate(self.camera_id, self.stream)
            try:
                if address is None:
                    raise Unavailable("no process has the camera now")
                await self._play(address)
                self._reason = "the relay ended the session"
            except VmsError as error:
                self._reason = _reason(error)
            except Exception as error:
                self.crashes += 1
                self._reason = "an internal error ended the session"
                log.exception("relay_session_crashed", camera=self.hub.name, exc_info=error)
            self._address = None
            if self._playing.is_set():
                self._playing.clear()
                backoff.reset()
            self._tell_gap(address)
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff.next_s()):
                    await self._look_again.wait()

    async def _play(self, address: RelayAddress) -> None:
        """One session, until it ends. Raises VmsError."""
        session = await RtspSession.open(
            address.url(self.camera_id, self.stream),
            transport=Transport.TCP,
            clock=self._clock,
            timeout_s=_ANSWER_S,
            unix_path=address.path if isinstance(address, UnixAddress) else None,
        )
        try:
            if not session.media:
                raise UnsupportedMedia("the relay offers no line")
            receiver = StreamReceiver(self.hub, session.media, resumes=self.hub.last_unit is not None)
            for line, media in zip(receiver.lines, session.media, strict=True):
                await session.setup(media, line, side=line, trust_markers=True)
            self._receiver = receiver
            receiver.announce()
            self._session = session
            await session.play()
            self.hub.on_key_request = session.request_key_picture
            self.sessions += 1
            self._playing.set()
            log.info("relay_subscribed", camera=self.hub.name, relay=str(address))
            await session.wait()
        finally:
            self.hub.on_key_request = None
            self._session = None
            self._units_broken = self.units_broken
            self._receiver = None
            await session.close()

    def _tell_gap(self, address: RelayAddress | None) -> None:
        """What was received up to now goes on somewhere, and we do not see it."""
        self.failures += 1
        last = self.hub.last_unit
        if last is None or self.hub.lasting_gap is not None:
            return
        detail = f"relay from {address or 'nowhere'}: {self._reason}"
        self.hub.gap(Gap(last.capture_ns, None, GapReason.CAMERA_LOST, detail))
        log.warning("relay_lost", camera=self.hub.name, reason=self._reason)


def _reason(error: VmsError) -> str:
    """In words for a person who wants to see the camera."""
    if isinstance(error, RequestRefused):
        if error.status == 404:
            return "the process that should have the camera does not have it"
        if error.status == 503:
            return error.reason
    return str(error)
