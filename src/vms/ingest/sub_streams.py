"""The sub streams of cameras: each pulled while somebody wants it, and a little longer.

A sub stream has a supervisor and a hub of its own; what goes wrong with it never touches the main stream. Its hub stays
while the camera has a sub stream, so that what it consisted of last is known while it is not pulled.

Belongs here: who wants which, when it is pulled. Does not: pulling (supervisor), what is done with the media.
"""

import asyncio
from collections.abc import Callable, Iterable

from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.ingest.source import SourceFactory
from vms.ingest.status import CameraState, StreamStatus
from vms.ingest.supervisor import CameraSupervisor
from vms.media import GapReason, Hub, MediaKind
from vms.media.hub import SinkFailed
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

LINGER_S = 10.0
"""How long it is pulled after the last who wanted it: a viewer who comes back finds it running."""


class SubLease:
    """The right to a sub stream's hub, until released. Implements `HubLease`."""

    def __init__(self, sub: "_Sub") -> None:
        self._sub = sub
        self._held = True

    @property
    def hub(self) -> Hub:
        return self._sub.hub

    async def ready(self, timeout_s: float) -> None:
        """Wait until pictures come. Raises Unavailable with the reason."""
        await self._sub.live(timeout_s)

    def release(self) -> None:
        """Give the hub back; a second time it changes nothing."""
        if self._held:
            self._held = False
            self._sub.released()


class SubStreams:
    """By camera. on_state: told when one has come live, has failed, or is pulled no more."""

    def __init__(
        self,
        clock: Clock,
        open_source: SourceFactory,
        *,
        on_state: Callable[[CameraId], None] = lambda camera_id: None,
        on_sink_failed: SinkFailed | None = None,
        linger_s: float | None = None,
    ) -> None:
        self._clock = clock
        self._open_source = open_source
        self._on_state = on_state
        self._on_sink_failed = on_sink_failed
        self._linger_s = LINGER_S if linger_s is None else linger_s
        self._subs: dict[CameraId, _Sub] = {}

    async def put(self, camera: Camera) -> None:
        """Take a camera as it is configured now; without effect on one that is pulled and did not change."""
        if camera.sub_source is None:
            await self.remove(camera.id)
            return
        as_source = camera.model_copy(update={"source": camera.sub_source})
        known = self._subs.get(camera.id)
        if known is not None:
            known.change(as_source)
            return
        hub = Hub(f"{camera.id}/{StreamName.SUB}", self._on_sink_failed)
        self._subs[camera.id] = _Sub(
            as_source, hub, self._supervisor, lambda: self._on_state(camera.id), self._linger_s
        )

    async def remove(self, camera_id: CameraId) -> None:
        """Pull the camera's sub stream no more and forget it; who holds its hub gets nothing more."""
        sub = self._subs.pop(camera_id, None)
        if sub is not None:
            await sub.end(GapReason.CAMERA_LOST, "the sub stream was removed")

    async def stop(self) -> None:
        subs = tuple(self._subs.values())
        self._subs.clear()
        await asyncio.gather(*(sub.end(GapReason.SYSTEM_STOPPED, "the system was stopped") for sub in subs))

    def lease(self, camera_id: CameraId) -> SubLease:
        """Have it pulled. Raises NotFound for a camera without a sub stream."""
        sub = self._subs.get(camera_id)
        if sub is None:
            raise NotFound(
                f"camera {camera_id} has no sub stream; set its sub_source, or watch its main stream"
            )
        sub.taken()
        return SubLease(sub)

    def hub(self, camera_id: CameraId) -> Hub | None:
        """None for a camera without a sub stream."""
        sub = self._subs.get(camera_id)
        return sub.hub if sub is not None else None

    def status(self, camera_id: CameraId) -> StreamStatus | None:
        """None for a camera without a sub stream; stopped, with what it consisted of last, while nobody wants it."""
        sub = self._subs.get(camera_id)
        return sub.status() if sub is not None else None

    def pulled(self) -> dict[CameraId, bool]:
        """By camera with a sub stream."""
        return {camera_id: sub.supervisor is not None for camera_id, sub in self._subs.items()}

    def hubs(self) -> Iterable[tuple[CameraId, Hub]]:
        return ((camera_id, sub.hub) for camera_id, sub in self._subs.items())

    def _supervisor(self, sub: "_Sub") -> CameraSupervisor:
        return CameraSupervisor(
            sub.camera, sub.hub, self._clock, self._open_source, on_state=sub.state_changed
        )


class _Sub:
    """camera: with the sub stream's address as its source. supervisor: while it is pulled."""

    def __init__(
        self,
        camera: Camera,
        hub: Hub,
        make: Callable[["_Sub"], CameraSupervisor],
        on_state: Callable[[], None],
        linger_s: float,
    ) -> None:
        self.camera = camera
        self.hub = hub
        self.on_state = on_state
        self.supervisor: CameraSupervisor | None = None
        self._make = make
        self._linger_s = linger_s
        self._leases = 0
        self._ending: tuple[GapReason, str] | None = None
        self._failed = asyncio.Event()  # and has not been live since
        self._look_again = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def taken(self) -> None:
        self._leases += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._task is None:
            self._task = asyncio.create_task(self._pull(), name=f"sub stream {self.hub.name}")

    def released(self) -> None:
        self._leases -= 1
        if self._leases == 0 and self._ending is None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._linger_s, self._unwanted)

    def change(self, camera: Camera) -> None:
        """Take another address, or another name."""
        before, self.camera = self.camera, camera
        if (before.source, before.transport) != (camera.source, camera.transport):
            self._look_again.set()

    async def live(self, timeout_s: float) -> None:
        """Raises Unavailable with the reason, at once when it has just failed or is no more: there is the main stream."""
        waits = [asyncio.ensure_future(self.hub.live()), asyncio.ensure_future(self._failed.wait())]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if self._ending is not None or not waits[0].done():
                ended = self._ending[1] if self._ending is not None else None
                reason = ended or self.status().reason or "it has sent nothing yet"
                raise Unavailable(f"the sub stream does not come: {reason}")
        finally:
            for wait in waits:
                wait.cancel()

    async def end(self, reason: GapReason, detail: str) -> None:
        """For good."""
        self._ending = (reason, detail)
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._look_again.set()
        self._failed.set()
        if self._task is not None:
            await self._task

    def status(self) -> StreamStatus:
        if self.supervisor is not None:
            return self.supervisor.status()
        video, audio = self.hub.track(MediaKind.VIDEO), self.hub.track(MediaKind.AUDIO)
        return StreamStatus(
            CameraState.STOPPED,
            codec=video.codec if video else None,
            width=video.width if video else None,
            height=video.height if video else None,
            audio=audio.codec if audio else None,
        )

    def state_changed(self, supervisor: CameraSupervisor) -> None:
        if supervisor.status().state is CameraState.FAILED:
            self._failed.set()
        else:
            self._failed.clear()
        self.on_state()

    def _unwanted(self) -> None:
        self._idle = None
        self._look_again.set()

    def _why_it_stops(self) -> tuple[GapReason, str]:
        if self._ending is not None:
            return self._ending
        return GapReason.CAMERA_LOST, "its address was changed" if self._leases else "nobody watches it"

    @property
    def _wanted(self) -> bool:
        return self._ending is None and (self._leases > 0 or self._idle is not None)

    def _goes_on(self, supervisor: CameraSupervisor) -> bool:
        """False when it is wanted no more, or from another address; not for one who came back at the last moment."""
        pulled, camera = supervisor.camera, self.camera
        return self._wanted and (pulled.source, pulled.transport) == (camera.source, camera.transport)

    async def _pull(self) -> None:
        """One supervisor after another, until nobody wants the stream."""
        while self._wanted:
            self._look_again.clear()
            self._failed.clear()
            supervisor = self.supervisor = self._make(self)
            supervisor.start()
            while self._goes_on(supervisor):
                await self._look_again.wait()
                self._look_again.clear()
            reason, detail = self._why_it_stops()
            await supervisor.stop(reason, detail)
            self.supervisor = None
            log.info("sub_stream_left", camera=self.hub.name, reason=detail)
        self._task = None
        self.on_state()
