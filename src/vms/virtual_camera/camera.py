"""A process of virtual cameras: options in, RTSP URLs out.

Belongs here: putting footage or pattern, feeds and the RTSP server together; faults that options ask for.
Does not: any of those parts.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import uvloop

from vms.common.clock import Clock, SystemClock
from vms.common.source_url import SourceUrl, with_credentials
from vms.telemetry.logs import get_logger
from vms.virtual_camera.feeds import FootageFeed, PatternFeed
from vms.virtual_camera.footage import LoopLine, load
from vms.virtual_camera.options import CameraOptions
from vms.virtual_camera.pacing import Pace, Pacer
from vms.virtual_camera.pattern import PatternOptions, PatternSource
from vms.virtual_camera.tone import tone_loop
from vms.wire.rtsp.auth import ServerAuthenticator
from vms.wire.rtsp.server import RtspServer, ServerOptions, Stream

log = get_logger(__name__)

_Feed = FootageFeed | PatternFeed

MAX_ENCODERS = 4
_PHASE_STEP = 0.6180339887  # the golden section spreads any number of phases evenly


@dataclass(frozen=True, slots=True)
class VirtualCamera:
    """One camera of a server. url: without credentials; source: with them, as a system under test needs it.

    sub_url, sub_source: of its sub stream, where it has one.
    """

    number: int
    url: str
    source: SourceUrl
    sub_url: str | None = None
    sub_source: SourceUrl | None = None


class VirtualCameraServer:
    """The cameras that `options` ask for, served until stopped.

    cameras: known after `start`; they keep their URLs over `drop` and over `stop` and `start`.
    """

    def __init__(self, options: CameraOptions, clock: Clock | None = None) -> None:
        self.options = options
        self.cameras: list[VirtualCamera] = []
        self._clock = clock or SystemClock()
        self._rng = Random(options.seed)  # noqa: S311 - jitter and loss, guards nothing
        self._pacer = Pacer(self._clock)
        self._streams: dict[str, Stream] = {}
        self._server: RtspServer | None = None
        self._dropping: asyncio.Task[None] | None = None

    @property
    def urls(self) -> list[str]:
        """The cameras' URLs without credentials, /camera-1 first."""
        return [camera.url for camera in self.cameras]

    @property
    def viewer_count(self) -> int:
        """Clients that are being sent to, over all cameras."""
        return sum(stream.receiver_count for stream in self._streams.values())

    async def start(self) -> None:
        """Read the footage and serve. Raises FootageInvalid, CannotListen."""
        if self._server is None:
            feeds: dict[str, _Feed] = {
                f"/camera-{number}": feed for number, feed in enumerate(await self._make_feeds(), 1)
            }
            if self.options.sub:
                subs = await self._make_sub_feeds()
                feeds |= {f"/camera-{number}/sub": feed for number, feed in enumerate(subs, 1)}
            self._streams = {
                path: Stream(feed, self._clock, want_key=feed.want_key) for path, feed in feeds.items()
            }
            self._server = RtspServer(
                self._streams,
                host=self.options.host,
                port=self.options.port,
                options=self._server_options(),
                clock=self._clock,
            )
        await self._server.start()
        self.cameras = [self._camera(number) for number in range(1, self.options.count + 1)]
        if self.options.drop_after_s is not None and self._dropping is None:
            self._dropping = asyncio.create_task(self._drop_later(self.options.drop_after_s))

    async def stop(self) -> None:
        """Tell clients goodbye and release everything."""
        if self._dropping is not None:
            self._dropping.cancel()
            await asyncio.gather(self._dropping, return_exceptions=True)
            self._dropping = None
        if self._server is not None:
            await self._server.stop()
        self._pacer.close()

    async def drop(self, for_s: float) -> None:
        """Break off every connection and take none for a while, as when a camera loses power."""
        assert self._server is not None, "started before it is dropped"
        await self._server.stop(farewell=False)
        log.info("virtual_cameras_dropped", for_s=for_s)
        await asyncio.sleep(for_s)
        await self._server.start()
        log.info("virtual_cameras_returned")

    async def _drop_later(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self.drop(self.options.drop_for_s)

    def _server_options(self) -> ServerOptions:
        options = self.options
        authenticator = None
        if options.user is not None and options.password is not None:
            authenticator = ServerAuthenticator(options.user, options.password)
        share = options.loss_percent / 100
        return ServerOptions(
            authenticator=authenticator,
            max_connections=max(1024, 4 * options.count),
            leave_out=(lambda: self._rng.random() < share) if share else None,
        )

    def _camera(self, number: int) -> VirtualCamera:
        assert self._server is not None
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        url = f"rtsp://{host}:{self._server.port}/camera-{number}"
        if not self.options.sub:
            return VirtualCamera(number, url, self._source(url))
        sub_url = f"{url}/sub"
        return VirtualCamera(number, url, self._source(url), sub_url, self._source(sub_url))

    def _source(self, url: str) -> SourceUrl:
        if self.options.user is not None and self.options.password is not None:
            return with_credentials(url, self.options.user, self.options.password)
        return SourceUrl(url)

    async def _make_feeds(self) -> Sequence[_Feed]:
        return await (self._make_pattern_feeds() if self.options.pattern else self._make_footage_feeds())

    async def _make_footage_feeds(self) -> list[FootageFeed]:
        paths: tuple[Path, ...] = self.options.files
        footage = {path: await asyncio.to_thread(load, path) for path in dict.fromkeys(paths)}
        return [
            FootageFeed(
                footage[paths[index % len(paths)]],
                self._pacer,
                self._pace(index),
                self._clock,
                phase=index // len(paths) * _PHASE_STEP % 1,
            )
            for index in range(self.options.count)
        ]

    async def _make_pattern_feeds(self) -> list[PatternFeed]:
        options = self.options
        form = PatternOptions(
            width=options.width,
            height=options.height,
            frames_per_second=options.frames_per_second,
            bitrate=options.bitrate,
            name="",
            camera=0,
        )
        return await self._feeds_of(form, await asyncio.to_thread(tone_loop, options.audio))

    async def _make_sub_feeds(self) -> list[PatternFeed]:
        options = self.options
        form = PatternOptions(
            width=options.sub_width,
            height=options.sub_height,
            frames_per_second=options.sub_frames_per_second,
            bitrate=options.sub_bitrate,
            name=" sub",
            camera=0,
        )
        return await self._feeds_of(form, None)

    async def _feeds_of(self, form: PatternOptions, tone: LoopLine | None) -> list[PatternFeed]:
        """form: of every camera's picture; what its name holds goes behind the camera's."""
        count = self.options.count
        encoders = min(count, MAX_ENCODERS)
        sources = []
        for number in range(1, encoders + 1):
            name = f"picture {number} of {encoders}" if count > encoders else f"camera {number}"
            own = form._replace(name=name + form.name, camera=number)
            sources.append(await asyncio.to_thread(PatternSource, own, self._clock))
        return [
            PatternFeed(sources[index % encoders], tone, self._pacer, self._pace(index), self._clock)
            for index in range(count)
        ]

    def _pace(self, index: int) -> Pace:
        shortest, longest = (round(ms * 1e6) for ms in self.options.spread_ms)
        rng = Random(self._rng.random() + index)  # noqa: S311 - numbers of streams and jitter
        return Pace((shortest, longest), round(self.options.jitter_ms * 1e6), rng)


async def serve(
    options: CameraOptions,
    stopping: asyncio.Event,
    on_ready: Callable[[Sequence[VirtualCamera]], None] | None = None,
) -> None:
    """Serve cameras until `stopping` is set; `on_ready` is told them once they can be watched."""
    server = VirtualCameraServer(options)
    await server.start()
    try:
        if on_ready is not None:
            on_ready(server.cameras)
        await stopping.wait()
    finally:
        await server.stop()


def run(options: CameraOptions, on_ready: Callable[[Sequence[VirtualCamera]], None] | None = None) -> None:
    """Serve cameras until SIGINT or SIGTERM. Raises FootageInvalid, CannotListen."""

    async def until_signalled() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await serve(options, stopping, on_ready)

    uvloop.run(until_signalled())
