"""Live streams by SRT: callers that want one get it, and pushes are sent theirs.

Belongs here: connections and the streams they get, shares in feeds. Does not: who is let in (access), SRT itself
(vms.wire.srt), what a viewer misses (viewer), what publishers send.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable, VmsError
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.stream.feed_pool import FeedPool
from vms.stream.hubs import LeaseHub
from vms.stream.srt.access import SrtAccess
from vms.stream.srt.feed import Feed
from vms.stream.srt.metrics import families, tally
from vms.stream.srt.push import Push, Send
from vms.stream.srt.viewer import SrtViewer
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily
from vms.wire.srt import (
    Address,
    Mode,
    SrtConnection,
    SrtListener,
    SrtOptions,
    SrtPoller,
    StreamIdInvalid,
    parse_stream_id,
)

log = get_logger(__name__)

READY_TIMEOUT_S = 10.0
LOOK_EVERY_S = 0.5
LOOK_AT = 100  # viewers at a time
NOT_FOUND, NOT_LIVE = "not_found", "not_live"
"""Why callers are closed after their handshake."""


class SrtService:
    """address: to listen on; None listens nowhere. access: decides on callers.

    on_publisher: gets the connections of callers with media that `access.publisher` let in. on_viewers: called when
    a viewer came or left, or the state of a push changed.
    """

    def __init__(
        self,
        lease: LeaseHub,
        access: SrtAccess,
        clock: Clock,
        *,
        address: Address | None,
        options: SrtOptions | None = None,
        pushes: Sequence[Push] = (),
        max_viewers: int = 1000,
    ) -> None:
        self.on_publisher: Callable[[SrtConnection], None] | None = None
        self.on_viewers: Callable[[], None] = lambda: None
        self.access = access
        self.pushes = tuple(pushes)
        self.viewers: set[SrtViewer] = set()
        self.poller = SrtPoller()
        self.feeds = FeedPool(
            lease,
            lambda hub: Feed(hub, clock),
            _require_holdable,
            ready_timeout_s=READY_TIMEOUT_S,
            counters=("refused", "overrun"),
        )
        self._address = address
        self._options = options or SrtOptions()
        self._max_viewers = max_viewers
        self._listener: SrtListener | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._past: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._looking: asyncio.TimerHandle | None = None
        self._unseen: list[SrtViewer] = []

    @property
    def port(self) -> int:
        """That was bound; 0 when it does not listen."""
        return self._listener.address[1] if self._listener is not None else 0

    @property
    def watched(self) -> Mapping[CameraId, int]:
        """Viewers and pushes by camera."""
        return Counter(viewer.camera_id for viewer in self.viewers)

    async def start(self) -> None:
        """Raises SrtUnavailable without the library, Unavailable when the port is taken."""
        await self.poller.start()
        try:
            if self._address is not None:
                listener = SrtListener(
                    self.poller,
                    self._address,
                    self._options,
                    self.access,
                    self._called,
                    max_connections=self._max_viewers,
                )
                await listener.start()
                self._listener = listener
                log.info("SRT ready", host=self._address[0], port=self.port)
        except BaseException:
            await self.poller.stop()
            raise
        for push in self.pushes:
            push.on_change = self._changed
            self._run(push.run(self.poller, self._source))
        self._look()

    async def stop(self) -> None:
        """End every connection."""
        if self._looking is not None:
            self._looking.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for viewer in list(self.viewers):
            viewer.end()
        if self._listener is not None:
            await self._listener.stop()
        await self.poller.stop()

    def end_camera(self, camera_id: CameraId) -> None:
        """End the viewers of a camera that is no longer configured; pushes of it wait for it to come again."""
        for viewer in [each for each in self.viewers if each.camera_id == camera_id]:
            viewer.end(f"there is no camera {camera_id} any more")

    def end_stream(self, camera_id: CameraId, stream: StreamName) -> None:
        """End the viewers of a stream that a camera has no more."""
        for viewer in [each for each in self.viewers if (each.camera_id, each.stream) == (camera_id, stream)]:
            viewer.end(f"camera {camera_id} has no stream {stream} any more")

    # MetricSource

    def metrics(self) -> Iterable[MetricFamily]:
        totals = Counter(self._past)
        for viewer in self.viewers:
            totals.update(tally(viewer))
        totals.update({name: self.feeds.total(name) for name in ("refused", "overrun")})
        refused = Counter(self._closed)
        if self._listener is not None:
            totals.update(calls=self._listener.calls)
            refused.update(dict(self._listener.refused))  # whole: the library's thread adds to it
        return families(list(self.viewers), totals, refused, self.pushes)

    # callers

    def _called(self, connection: SrtConnection) -> None:
        try:
            wanted = parse_stream_id(connection.stream_id)
        except StreamIdInvalid:  # cannot be: it was let in by it
            connection.close()
            return
        if wanted.mode is Mode.PUBLISH:
            if self.on_publisher is None:
                connection.close()
            else:
                self.on_publisher(connection)
            return
        self._run(self._serve(wanted.camera_id, wanted.stream, connection))

    async def _serve(self, camera_id: CameraId, stream: StreamName, connection: SrtConnection) -> None:
        try:
            async with self._source(camera_id, stream) as send:
                await send(connection)
        except VmsError as error:
            self._closed[NOT_FOUND if isinstance(error, NotFound) else NOT_LIVE] += 1
            log.info("a SRT caller gets nothing", camera=camera_id, stream=stream.value, reason=str(error))
        finally:
            connection.close()

    @asynccontextmanager
    async def _source(self, camera_id: CameraId, stream: StreamName) -> AsyncIterator[Send]:
        """What sends a stream over a connection until that ends. Raises NotFound, Unavailable."""
        share = await self.feeds.acquire(camera_id, stream)
        try:
            yield lambda connection: self._send(camera_id, stream, share.feed, connection)
        finally:
            share.release()

    async def _send(
        self, camera_id: CameraId, stream: StreamName, feed: Feed, connection: SrtConnection
    ) -> str:
        if connection.closed:
            return ""
        gone = asyncio.Event()
        room = self._options.send_buffer_bytes
        viewer = SrtViewer(camera_id, stream, connection, room, gone.set)
        self.viewers.add(viewer)
        self.on_viewers()
        try:
            viewer.watch(feed)
            await gone.wait()
            return viewer.ended
        finally:
            viewer.end()
            self.viewers.discard(viewer)
            self._past.update(tally(viewer))
            self._past.update(ended=1)
            self.on_viewers()

    # upkeep

    def _changed(self) -> None:
        self.on_viewers()

    def _look(self) -> None:
        """Learn how connections fare, some at a time."""
        if not self._unseen:
            self._unseen = list(self.viewers)
        for viewer in self._unseen[:LOOK_AT]:
            viewer.look()
        del self._unseen[:LOOK_AT]
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("serving a SRT connection failed", exc_info=task.exception())


def _require_holdable(feed: Feed) -> None:
    """Raises Unavailable. A hub that knows no tracks yet may turn out to have some."""
    if feed.hub.tracks and not feed.holds:
        raise Unavailable("a transport stream can hold none of the camera's tracks")
