"""Live view over WebSocket: who may watch, on which feed, and what viewers ask for.

Belongs here: handshakes and their tokens, shares in feeds, changes of stream, the way to recordings and back.
Does not: what one viewer gets (viewer), the pace of recordings (recorded), HTTP itself (vms.stream.http).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any

from vms.common.clock import Clock, parse_rfc3339
from vms.common.errors import InvalidInput, NotFound, Unavailable, VmsError
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName, parse_stream_name
from vms.stream.errors import NotViewable, NotViewableReason
from vms.stream.feed_pool import FeedPool, FeedShare
from vms.stream.http.request import Request, Router
from vms.stream.http.token import WATCH, check
from vms.stream.hubs import LeaseHub
from vms.stream.websocket import messages
from vms.stream.websocket.connection import WebSocketConnection
from vms.stream.websocket.feed import Feed
from vms.stream.websocket.framing import CloseCode, accept_key
from vms.stream.websocket.recorded import MAX_SPEED, MIN_SPEED, Recorded, RecordedFragments, Speed, show
from vms.stream.websocket.viewer import FAULT, WebSocketViewer
from vms.stream.wishes import Wishes
from vms.telemetry.metrics import MetricFamily, MetricKind

MAX_VIEWERS = 2_000
MAX_PLAYING = 50
"""Of them, how many may be shown recordings at a time: those read disks."""
READY_TIMEOUT_S = 4.0
_LATEST_NS = 1 << 62  # in 2116; catalogs hold 63 bits
PATH = "/live/{camera_id}"

OnReport = Callable[[CameraId, Mapping[str, float]], None]


def live_path(camera_id: CameraId, stream: StreamName, token: str) -> str:
    """Path and query of a camera's live view; the scheme is ws or wss."""
    return f"/live/{camera_id}?stream={stream.value}&token={token}"


class WebSocketService:
    """secret: of the tokens. recorded: where recordings come from; None: there are none here.

    on_report: called with what a viewer measured, in seconds by stage. on_viewers: called when one came or left.
    """

    def __init__(
        self,
        lease: LeaseHub,
        secret: bytes,
        clock: Clock,
        *,
        recorded: RecordedFragments | None = None,
        max_viewers: int = MAX_VIEWERS,
    ) -> None:
        self.on_report: OnReport = lambda camera_id, stages: None
        self.on_viewers: Callable[[], None] = lambda: None
        self.viewers: set[WebSocketViewer] = set()
        self.begun = 0
        self.feeds = FeedPool(
            lease,
            lambda hub: Feed(hub, clock),
            _require_playable,
            ready_timeout_s=READY_TIMEOUT_S,
            counters=("refused", "overrun"),
        )
        self._secret = secret
        self._clock = clock
        self._recorded = recorded
        self._max_viewers = max_viewers
        self._joining = 0  # of those whose stream is waited for
        self._shares: dict[WebSocketViewer, FeedShare[Feed]] = {}
        self._wishes: Wishes[WebSocketViewer] = Wishes(_refused, _failed, self._wish_over)
        self._speeds: dict[WebSocketViewer, Speed] = {}
        self._past: Counter[str] = Counter()

    def register(self, router: Router) -> None:
        """Serve the path of live view."""
        router.upgrade(PATH, self.upgrade)

    async def stop(self) -> None:
        for viewer in list(self.viewers):
            viewer.end(CloseCode.GOING_AWAY, "the server is stopping")

    def end_camera(self, camera_id: CameraId) -> None:
        """End the viewers of a camera that is no longer configured."""
        for viewer in [each for each in self.viewers if each.camera_id == camera_id]:
            viewer.end(CloseCode.GOING_AWAY, "the camera is no longer configured")

    def end_stream(self, camera_id: CameraId, stream: StreamName) -> None:
        """End the viewers of a stream that a camera has no more."""
        for viewer in [each for each in self.viewers if (each.camera_id, each.stream) == (camera_id, stream)]:
            viewer.end(CloseCode.GOING_AWAY, f"the camera has no {stream} stream any more")

    @property
    def watched(self) -> Mapping[CameraId, int]:
        """Viewers by camera."""
        return Counter(viewer.camera_id for viewer in self.viewers)

    async def upgrade(self, request: Request) -> asyncio.Protocol:
        """Take over a connection. Raises Refused, InvalidInput, NotFound, NotViewable and Unavailable."""
        accept = accept_key(request.method, request.headers)
        camera_id = CameraId(request.parameters["camera_id"])
        check(self._secret, request.query.get("token", ""), camera_id, WATCH, self._clock.wall_ns())
        stream = parse_stream_name(request.query.get("stream", StreamName.MAIN.value))
        if len(self.viewers) + self._joining >= self._max_viewers:
            raise Unavailable("this server has as many viewers as it takes; try again later")
        self._joining += 1
        try:
            share = await self.feeds.acquire(camera_id, stream)
        finally:
            self._joining -= 1
        viewer = WebSocketViewer(camera_id, stream, self)
        self.viewers.add(viewer)
        self._shares[viewer] = share
        return WebSocketConnection(accept, viewer)

    # ViewerOwner

    def begin(self, viewer: WebSocketViewer) -> None:
        self.begun += 1
        viewer.watch(self._shares[viewer].feed)
        self.on_viewers()

    def left(self, viewer: WebSocketViewer) -> None:
        self.viewers.discard(viewer)
        self._past.update(sent=viewer.sent, skipped=viewer.skipped)
        self._wishes.cancel(viewer)
        self._shares.pop(viewer).release()
        self.on_viewers()

    def asked(self, viewer: WebSocketViewer, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "report":
                self.on_report(viewer.camera_id, messages.stages_of(message))
            case "select":
                stream = parse_stream_name(message.get("stream"))
                self._wishes.begin(viewer, lambda: self._select(viewer, stream))
            case "live":
                self._wishes.begin(viewer, lambda: self._select(viewer, viewer.stream))
            case "seek":
                self._seek(viewer, message.get("at"))
            case "speed":
                self._change_speed(viewer, message.get("factor"))
            case _:
                raise InvalidInput("no message of this type is known")

    # MetricSource

    def metrics(self) -> Iterable[MetricFamily]:
        gauge, counter = MetricKind.GAUGE, MetricKind.COUNTER
        watched = [((camera_id,), float(count)) for camera_id, count in self.watched.items()]
        yield MetricFamily("vms_websocket_viewers", gauge, "viewers over WebSocket", ("camera",), watched)
        totals = {
            "vms_websocket_sessions": ("viewers over WebSocket that came", self.begun),
            "vms_websocket_messages": ("media messages sent to viewers", self._total("sent")),
            "vms_websocket_messages_skipped": (
                "media messages left out for viewers that were too slow",
                self._total("skipped"),
            ),
            "vms_websocket_units_refused": (
                "pictures and sounds that cannot be written as MP4",
                self.feeds.total("refused"),
            ),
            "vms_websocket_overrun": (
                "messages that no viewer got because serving could not keep up",
                self.feeds.total("overrun"),
            ),
        }
        for name, (text, value) in totals.items():
            yield MetricFamily(name, counter, text, (), [((), float(value))])

    def _total(self, name: str) -> int:
        return self._past[name] + sum(int(getattr(viewer, name)) for viewer in self.viewers)

    async def _select(self, viewer: WebSocketViewer, stream: StreamName) -> None:
        """Go on with the present of a stream."""
        share = await self.feeds.acquire(viewer.camera_id, stream)
        before, self._shares[viewer] = self._shares[viewer], share
        viewer.stream = stream
        viewer.watch(share.feed)
        before.release()

    # recordings

    def _seek(self, viewer: WebSocketViewer, at: object) -> None:
        if self._recorded is None:
            raise NotFound("no recordings are shown by this server")
        if viewer not in self._speeds and len(self._speeds) >= MAX_PLAYING:
            raise Unavailable("as many viewers are shown recordings as this server takes; try again later")
        try:
            from_ns = parse_rfc3339(at) if isinstance(at, str) else 0
        except ValueError:
            from_ns = 0
        if not 0 < from_ns < _LATEST_NS:
            raise InvalidInput("at must be a time such as 2026-11-25T10:00:00Z")
        recorded = self._recorded
        self._wishes.begin(
            viewer, lambda: self._show(viewer, from_ns, recorded.play(viewer.camera_id, from_ns))
        )
        self._speeds[viewer] = Speed(
            from_ns, self._clock
        )  # from here on it counts as one that is shown recordings

    async def _show(
        self, viewer: WebSocketViewer, from_ns: int, footage: AsyncGenerator[Recorded, None]
    ) -> None:
        """The present goes on until there is something to show instead of it."""
        try:
            first = await anext(footage, None)
            viewer.leave()
            self._speeds[viewer] = speed = Speed(from_ns, self._clock)
            viewer.say(
                messages.text(
                    type="hello", camera=viewer.camera_id, stream="main", mode="recorded", at_ms=from_ns / 1e6
                )
            )
            await show(viewer, first, footage, self._clock, speed)
        finally:
            await footage.aclose()

    def _change_speed(self, viewer: WebSocketViewer, factor: object) -> None:
        speed = self._speeds.get(viewer)
        if speed is None:
            raise InvalidInput("only recordings have another speed than that of the present")
        if not isinstance(factor, int | float) or not MIN_SPEED <= factor <= MAX_SPEED:
            raise InvalidInput(f"factor must be between {MIN_SPEED:g} and {MAX_SPEED:g}")
        speed.change(float(factor))

    def _wish_over(self, viewer: WebSocketViewer) -> None:
        self._speeds.pop(viewer, None)


def _require_playable(feed: Feed) -> None:
    """Raises NotViewable."""
    if not feed.playable:
        reason = NotViewableReason.CODEC if feed.hub.tracks else NotViewableReason.NOT_LIVE
        raise NotViewable(
            reason, "the stream has nothing that browsers play, or nothing has come from the camera yet"
        )


def _refused(viewer: WebSocketViewer, error: VmsError) -> None:
    viewer.say(messages.error("unavailable", str(error)))


def _failed(viewer: WebSocketViewer) -> None:
    viewer.end(CloseCode.INTERNAL_ERROR, FAULT)
