"""Keep one camera connected: connect, watch its pictures, wait, try again.

A camera that is wrong never hurts another: whatever a session raises ends that session alone.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping

from vms.common.backoff import Backoff
from vms.common.camera import Camera
from vms.common.clock import NS, Clock
from vms.ingest.errors import NoFrames, SourceError, SourceProtocolError, SourceUnreachable
from vms.ingest.feed import Feed
from vms.ingest.rates import RateMeter
from vms.ingest.source import SourceFactory
from vms.ingest.status import CameraState, StreamStatus
from vms.media import Gap, GapReason, Hub, MediaKind
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

CONNECT_S = 60.0  # no source takes as long: each of its requests has a time-out of its own
NO_FRAMES_S = 10.0
KEY_PICTURE_S = 60.0  # cameras that save bandwidth send a key picture as seldom as every 40 s
TICK_S = 1.0
RECEPTION = ("packets", "packets_lost", "packets_late", "packets_ignored", "pictures_broken")


class CameraSupervisor:
    """Runs one camera's source into its hub until stopped. The hub outlives every session."""

    def __init__(
        self,
        camera: Camera,
        hub: Hub,
        clock: Clock,
        open_source: SourceFactory,
        *,
        backoff: Backoff | None = None,
        no_frames_s: float = NO_FRAMES_S,
        tick_s: float = TICK_S,
        on_state: Callable[["CameraSupervisor"], None] = lambda _: None,
    ) -> None:
        """on_state: told when the camera has come live or has failed."""
        self.hub = hub
        self.sessions = 0
        self.failures = 0
        self.crashes = 0
        self.key_requests = 0  # sent to the camera
        self._past: Counter[str] = Counter()  # reception of the sessions that ended
        self._camera = camera
        self._clock = clock
        self._open_source = open_source
        self._backoff = backoff or Backoff()
        self._no_frames_s = no_frames_s
        self._tick_s = tick_s
        self._on_state = on_state
        self._state = CameraState.CONNECTING
        self._reason: tuple[str, str] | None = None
        self._rates = RateMeter()
        self._feed: Feed | None = None
        self._last_frame_ns: int | None = None  # of the sessions that ended
        self._media_untold = False  # the last session brought media, and its end was not told yet
        self._task: asyncio.Task[None] | None = None

    @property
    def camera(self) -> Camera:
        return self._camera

    def start(self) -> None:
        self.hub.on_key_request = self._request_key
        self._task = asyncio.create_task(self._run(), name=f"camera {self.hub.name}")

    async def stop(self, reason: GapReason, detail: str) -> None:
        """Disconnect; the hub stays, and its sinks are told why nothing comes."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self.hub.on_key_request = None
        self._tell_gap(reason, detail)
        self._state = CameraState.STOPPED

    def rename(self, camera: Camera) -> None:
        """Take a change that needs no new connection."""
        self._camera = camera

    def status(self) -> StreamStatus:
        video = self.hub.track(MediaKind.VIDEO)
        audio = self.hub.track(MediaKind.AUDIO)
        rates = self._rates.rates() if self._state is CameraState.LIVE else None
        feed = self._feed
        offset_ns = feed.clock_offset_ns if feed else None
        return StreamStatus(
            state=self._state,
            reason=self._reason[1] if self._reason else None,
            reason_code=self._reason[0] if self._reason else None,
            codec=video.codec if video else None,
            width=video.width if video else None,
            height=video.height if video else None,
            fps=round(rates[0], 2) if rates else None,
            bitrate=rates[1] if rates else None,
            audio=audio.codec if audio else None,
            last_frame_ns=(feed.last_picture_capture_ns if feed else None) or self._last_frame_ns,
            clock_offset_ms=offset_ns / 1e6 if offset_ns is not None else None,
        )

    def reception(self) -> Mapping[str, int]:
        """Packets and broken pictures of all sessions so far, by the names of `ReceptionCounters`."""
        return self._past + _reception(self._feed)

    def _request_key(self) -> None:
        if self._feed is not None and self._feed.request_key is not None:
            self.key_requests += 1
            self._feed.request_key()

    async def _run(self) -> None:
        while True:
            self._state = CameraState.CONNECTING
            error = await self._session()
            self._failed(error)
            await asyncio.sleep(self._backoff.next_s())

    async def _session(self) -> SourceError:
        """Run one connection to its end, and say how it ended."""
        self.sessions += 1
        self._rates = RateMeter()
        feed = self._feed = Feed(self.hub, self._clock)
        source = asyncio.create_task(self._open_source(self._camera, self._clock).run(feed))
        try:
            while not source.done():
                await asyncio.wait([source], timeout=self._tick_s)
                self._tick(feed)
            await source
            return SourceError("the source ended without a reason")
        except SourceError as error:
            return error
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.crashes += 1
            log.exception("camera session crashed", camera=self.hub.name)
            return SourceError(f"internal error ({type(error).__name__}); the log has the cause")
        finally:
            source.cancel()
            await asyncio.wait([source])
            self._past += _reception(feed)
            self._media_untold = feed.pushed > 0
            self._last_frame_ns = feed.last_picture_capture_ns or self._last_frame_ns
            self._feed = None
            if not source.cancelled():
                source.exception()  # taken above, or ended by the watchdog

    def _tick(self, feed: Feed) -> None:
        feed.tick()
        if feed.fault is not None:
            raise SourceProtocolError(f"the stream cannot be used: {feed.fault}")
        if feed.waiting is not None:
            self._state = CameraState.CONNECTING
            self._reason = feed.waiting
            return
        now_ns = self._clock.monotonic_ns()
        video = [track for track in feed.tracks if track.track.kind is MediaKind.VIDEO]
        self._rates.sample(
            now_ns, sum(track.units for track in video), sum(track.bytes for track in feed.tracks)
        )
        if feed.pushed and self._state is not CameraState.LIVE:
            self._state = CameraState.LIVE
            self._reason = None
            self._backoff.reset()
            log.info("camera live", camera=self.hub.name)
            self._on_state(self)
        self._watch(feed, now_ns)

    def _watch(self, feed: Feed, now_ns: int) -> None:
        silent_s = (now_ns - feed.last_picture_ns) / NS
        if not feed.due and not feed.pushed:
            if silent_s > CONNECT_S:
                raise SourceUnreachable(f"no stream was begun in {silent_s:.0f} s")
            return
        if silent_s > self._no_frames_s:
            what = "picture" if feed.pushed or not _reception(feed)["packets"] else "whole picture"
            raise NoFrames(f"no {what} for {silent_s:.0f} s; the connection is opened anew")
        since_ns = feed.undecodable_since_ns
        if not feed.pushed and since_ns is not None and now_ns - since_ns > KEY_PICTURE_S * NS:
            raise NoFrames(
                f"pictures come, but no key picture in {KEY_PICTURE_S:.0f} s; "
                "set a shorter interval of key frames (I-frames) in the camera"
            )

    def _failed(self, error: SourceError) -> None:
        self.failures += 1
        repeated = self._reason is not None and self._reason[0] == error.code
        self._state = CameraState.FAILED
        self._reason = (error.code, str(error))
        if not repeated:
            log.warning("camera failed", camera=self.hub.name, code=error.code, reason=str(error))
        self._tell_gap(error.gap_reason, str(error))
        if not repeated:
            self._on_state(self)

    def _tell_gap(self, reason: GapReason, detail: str) -> None:
        last = self.hub.last_unit
        if self._media_untold and last is not None:
            self._media_untold = False
            self.hub.gap(Gap(last.capture_ns, None, reason, detail))


def _reception(feed: Feed | None) -> Counter[str]:
    if feed is None or feed.counters is None:
        return Counter()
    counters = feed.counters()
    return Counter({name: getattr(counters, name) for name in RECEPTION})
