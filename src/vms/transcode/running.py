"""One stream being transcoded: from a leased hub, through a thread, into a hub of our own.

Belongs here: the order of units, what is left out when time is short, when a viewer asks for a key picture.
Does not: decoding and encoding (pictures, sounds), how many there are (service).
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.common.errors import VmsError
from vms.common.ids import CameraId
from vms.media import AccessUnit, Gap, GapReason, Hub, MediaKind, Subscription, Track
from vms.telemetry.logs import get_logger
from vms.transcode.options import TranscodeOptions
from vms.transcode.pictures import PictureTranscoder
from vms.transcode.sounds import SoundTranscoder

log = get_logger(__name__)

READY_TIMEOUT_S = 4.0
RETRY_S = 1.0
LATE_NS = NS // 4
"""A picture that is older when its turn comes is decoded and not encoded, until what is encoded is of now again."""
MAX_WAITING = 100  # units; more, and a gap is told


class HubLease(Protocol):
    """The right to a camera's hub, until released."""

    @property
    def hub(self) -> Hub: ...
    async def ready(self, timeout_s: float) -> None: ...
    def release(self) -> None: ...


class RunningTranscode:
    """hub: what comes out. leases: who holds it; idle_since_ns: monotonic, when the last was given back."""

    def __init__(self, camera_id: CameraId, lease: HubLease, options: TranscodeOptions, clock: Clock) -> None:
        self.camera_id = camera_id
        self.hub = Hub(f"{camera_id} transcoded")
        self.hub.on_key_request = self._want_key  # which costs the camera nothing
        self.pictures = PictureTranscoder(options)
        self.crashes = 0
        self.leases = 0
        self.idle_since_ns = clock.monotonic_ns()
        self._sound: SoundTranscoder | None = None
        self._silent = False  # its sound cannot be had
        self._lease = lease
        self._clock = clock
        self._key_wanted = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"transcode {camera_id}")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End it and give its hub back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._lease.release()
        self._thread.shutdown(wait=False)

    def _want_key(self) -> None:
        self._key_wanted = True

    async def _run(self) -> None:
        while True:
            try:
                await self._lease.ready(READY_TIMEOUT_S)
                await self._transcode()
            except VmsError as error:
                log.info("nothing to transcode yet", camera=self.camera_id, reason=str(error))
            except Exception:
                self.crashes += 1
                log.exception("transcoding crashed", camera=self.camera_id)
            self._tell_gap()
            self.pictures.restart()
            await asyncio.sleep(RETRY_S)

    async def _transcode(self) -> None:
        loop = asyncio.get_running_loop()
        with Subscription(self._lease.hub, max_units=MAX_WAITING) as units:
            async for item in units:
                if isinstance(item, Gap):
                    self.pictures.restart()
                    self.hub.gap(item)
                elif item.track.kind is MediaKind.VIDEO:
                    key, self._key_wanted = self._key_wanted, False
                    late = self._clock.monotonic_ns() - item.arrival_ns > LATE_NS
                    self._push(await loop.run_in_executor(self._thread, self._video, item, not late, key))
                else:
                    self._push(await loop.run_in_executor(self._thread, self._audio, item))

    def _video(self, unit: AccessUnit, wanted: bool, key: bool) -> list[AccessUnit]:
        audio = self._lease.hub.track(MediaKind.AUDIO)
        if audio is not None and self._sound is None and not self._silent:
            self._hear(audio)  # to be announced with the first picture: later it would be another stream
        return self.pictures.units(unit, wanted=wanted, key=key)

    def _audio(self, unit: AccessUnit) -> list[AccessUnit]:
        sound = self._sound
        if sound is None or sound.source is not unit.track:
            sound = self._hear(unit.track)
        return sound.units(unit) if sound is not None else []

    def _hear(self, track: Track) -> SoundTranscoder | None:
        import av

        try:
            self._sound, self._silent = SoundTranscoder(track), False
        except (av.FFmpegError, ValueError) as error:
            if not self._silent:
                log.warning("its sound cannot be transcoded", camera=self.camera_id, reason=str(error))
            self._sound, self._silent = None, True
        return self._sound

    def _push(self, units: list[AccessUnit]) -> None:
        for unit in units:
            if self.pictures.track is None:
                return  # sound alone would be no stream: its tracks are announced with the first picture
            if unit.track not in self.hub.tracks:
                sound = [self._sound.track] if self._sound is not None else []
                self.hub.announce([self.pictures.track, *sound])
            self.hub.push(unit)

    def _tell_gap(self) -> None:
        last = self.hub.last_unit
        if last is not None and self.hub.lasting_gap is None:
            self.hub.gap(Gap(last.capture_ns, None, GapReason.CAMERA_LOST, "the transcoding was interrupted"))
