"""Live view over WebTransport: who may watch, on which feed, and what viewers ask for.

Belongs here: requests and their tokens, shares in feeds, bounds over all connections, counters.
Does not: QUIC (connection, listener), what one viewer gets (viewer).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from vms.common.clock import Clock
from vms.common.errors import InvalidInput, NotFound, Unavailable, VmsError
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName, parse_stream_name
from vms.stream.errors import NotViewable, NotViewableReason, Refused
from vms.stream.feed_pool import FeedPool, FeedShare
from vms.stream.http.request import parse_target
from vms.stream.http.token import WATCH, check
from vms.stream.hubs import LeaseHub
from vms.stream.quic import messages
from vms.stream.quic.connection import SessionRequest, ViewerConnection
from vms.stream.quic.feed import Feed
from vms.stream.quic.strangers import Strangers
from vms.stream.quic.viewer import WebTransportViewer
from vms.stream.wishes import Wishes
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind

log = get_logger(__name__)

READY_TIMEOUT_S = 4.0
GOING_AWAY, GONE, FAILED = 1, 2, 3
"""Codes of sessions that end: the server stops; the stream is no longer there; a wish could not be met."""
VIEWER_COUNTERS = ("sent", "skipped", "resets", "refused", "sound_sent", "sound_dropped")
_PATH = re.compile(r"/api/live/([^/]+)")


class WebTransportService:
    """Implements Sessions. secret: of the tokens. hold_ns: see Outbox. on_viewers: called when one came or left."""

    def __init__(
        self, lease: LeaseHub, secret: bytes, clock: Clock, *, max_viewers: int, hold_ns: int
    ) -> None:
        self.on_viewers: Callable[[], None] = lambda: None
        self.connections: set[ViewerConnection] = set()
        self.clock = clock
        self.begun = 0
        self.refused_requests = 0
        self.turned_away = 0
        self.failed_datagrams = 0
        self.feeds = FeedPool(
            lease,
            lambda hub: Feed(hub, clock),
            _require_playable,
            ready_timeout_s=READY_TIMEOUT_S,
            counters=("refused",),
        )
        self._secret = secret
        self._max_viewers = max_viewers
        self._hold_ns = hold_ns
        self._shares: dict[WebTransportViewer, FeedShare[Feed]] = {}
        self._wishes: Wishes[WebTransportViewer] = Wishes(_refused, _failed)
        self._past: Counter[str] = Counter()
        self._strangers: Strangers[ViewerConnection] = Strangers()
        self._admitted: set[ViewerConnection] = set()  # viewers, and who waits for a camera with a good token

    @property
    def viewers(self) -> Iterable[WebTransportViewer]:
        return self._shares.keys()

    @property
    def watched(self) -> Mapping[CameraId, int]:
        """Viewers by camera."""
        return Counter(viewer.camera_id for viewer in self.viewers)

    def takes(self, host: str) -> bool:
        """Whether a host may open one more connection; counted when it may not."""
        taken = self._strangers.takes(host)
        self.turned_away += not taken
        return taken

    def stop(self) -> None:
        """Say goodbye to every viewer."""
        for connection in list(self.connections):
            connection.end(GOING_AWAY, "the server is stopping")

    def end_camera(self, camera_id: CameraId) -> None:
        """End the viewers of a camera that is no longer configured."""
        for viewer in [each for each in self.viewers if each.camera_id == camera_id]:
            viewer.line.end(GONE, "the camera is no longer configured")

    def end_stream(self, camera_id: CameraId, stream: StreamName) -> None:
        """End the viewers of a stream that a camera has no more."""
        for viewer in [each for each in self.viewers if (each.camera_id, each.stream) == (camera_id, stream)]:
            viewer.line.end(GONE, f"the camera has no {stream} stream any more")

    # Sessions

    def opened(self, connection: ViewerConnection) -> None:
        self.connections.add(connection)
        self._estrange(connection)

    def gone(self, connection: ViewerConnection) -> None:
        self._strangers.forget(connection)

    def over(self, connection: ViewerConnection) -> None:
        self.connections.discard(connection)
        self._strangers.ended(connection)
        self._admitted.discard(connection)
        viewer = connection.viewer
        share = self._shares.pop(viewer, None) if viewer is not None else None
        if viewer is None or share is None:
            return
        self._wishes.cancel(viewer)
        self._past.update({name: getattr(viewer, name) for name in VIEWER_COUNTERS})
        viewer.leave()
        share.release()
        self.on_viewers()

    async def begin(self, connection: ViewerConnection, request: SessionRequest) -> WebTransportViewer:
        """Raises Refused, InvalidInput, NotFound, NotViewable and Unavailable."""
        try:
            camera_id, stream = self._checked(request)
            self._admit(connection)
            share = await self.feeds.acquire(camera_id, stream)
        except VmsError:
            self.refused_requests += 1
            if connection in self._admitted:
                self._admitted.discard(connection)
                self._estrange(connection)
            raise
        viewer = WebTransportViewer(camera_id, stream, connection, self.clock, self._hold_ns)
        self._shares[viewer] = share
        self.begun += 1
        viewer.watch(share.feed, stream)
        self.on_viewers()
        return viewer

    def asked(self, viewer: WebTransportViewer, message: bytes) -> None:
        said = messages.parse(message)
        if said["type"] == "sound":
            if not isinstance(said.get("on"), bool):
                raise InvalidInput("sound is on or it is not: true or false")
            viewer.sound.listen(said["on"])
            return
        if said["type"] != "select":
            raise InvalidInput("no message of this type is known")
        stream = parse_stream_name(said.get("stream"))
        self._wishes.begin(viewer, lambda: self._select(viewer, stream))

    # MetricSource

    def metrics(self) -> Iterable[MetricFamily]:
        gauge, counter = MetricKind.GAUGE, MetricKind.COUNTER
        watched = [((camera_id,), float(count)) for camera_id, count in self.watched.items()]
        yield MetricFamily(
            "vms_webtransport_viewers", gauge, "viewers over WebTransport", ("camera",), watched
        )
        totals = {
            "vms_webtransport_sessions": ("viewers over WebTransport that came", self.begun),
            "vms_webtransport_refused": (
                "sessions over WebTransport that were refused",
                self.refused_requests,
            ),
            "vms_webtransport_turned_away": (
                "datagrams that would have begun a connection from a host that has as many as are taken",
                self.turned_away,
            ),
            "vms_webtransport_datagrams_failed": (
                "datagrams that could not be handled, which is a fault of this program",
                self.failed_datagrams,
            ),
            "vms_webtransport_pictures_refused": (
                "pictures that cannot be sent because they break their standard",
                self._total("refused") + self.feeds.total("refused"),
            ),
            "vms_webtransport_pictures": ("pictures handed to viewers' connections", self._total("sent")),
            "vms_webtransport_pictures_skipped": (
                "pictures left out for viewers because a newer key picture made them useless",
                self._total("skipped"),
            ),
            "vms_webtransport_pictures_reset": (
                "pictures that were begun and not sent to their end, for the same reason",
                self._total("resets"),
            ),
            "vms_webtransport_sound": (
                "frames of sound handed to viewers' connections",
                self._total("sound_sent"),
            ),
            "vms_webtransport_sound_dropped": (
                "frames of sound left out for viewers because they were late",
                self._total("sound_dropped"),
            ),
        }
        for name, (text, value) in totals.items():
            yield MetricFamily(name, counter, text, (), [((), float(value))])

    def _total(self, name: str) -> int:
        return self._past[name] + sum(int(getattr(viewer, name)) for viewer in self.viewers)

    # connections

    def _admit(self, connection: ViewerConnection) -> None:
        """Raises Unavailable."""
        if len(self._admitted) >= self._max_viewers:
            raise Unavailable("this server has as many viewers as it takes; try again later")
        self._strangers.forget(connection)
        self._admitted.add(connection)

    def _estrange(self, connection: ViewerConnection) -> None:
        ended = self._strangers.add(connection)
        if ended is not None:
            ended.end(0, "")

    # feeds

    def _checked(self, request: SessionRequest) -> tuple[CameraId, StreamName]:
        """Raises NotFound, Refused, InvalidInput."""
        target = parse_target(request.target)
        match = _PATH.fullmatch(target[0]) if target is not None else None
        if target is None or match is None:
            raise NotFound("nothing is served at this path; ask GET /api/v1/cameras/{id}/live for a URL")
        if request.origin is not None and not _same_host(request.origin, request.authority):
            raise Refused("the page is of another host than this server", known=True)
        camera_id = CameraId(match[1])
        check(self._secret, target[1].get("token", ""), camera_id, WATCH, self.clock.wall_ns())
        return camera_id, parse_stream_name(target[1].get("stream", StreamName.MAIN.value))

    async def _select(self, viewer: WebTransportViewer, stream: StreamName) -> None:
        share = await self.feeds.acquire(viewer.camera_id, stream)
        before, self._shares[viewer] = self._shares[viewer], share
        viewer.watch(share.feed, stream)
        before.release()


def _require_playable(feed: Feed) -> None:
    """Raises NotViewable."""
    if feed.track is None:
        reason = NotViewableReason.CODEC if feed.hub.tracks else NotViewableReason.NOT_LIVE
        raise NotViewable(reason, "the stream has no H.264 or H.265, or nothing has come from the camera yet")


def _refused(viewer: WebTransportViewer, error: VmsError) -> None:
    log.info("a viewer keeps its stream", camera=viewer.camera_id, reason=str(error))


def _failed(viewer: WebTransportViewer) -> None:
    viewer.line.end(FAILED, "this is a fault of the server; it is logged")


def _same_host(origin: str, authority: str) -> bool:
    """Whether a page is of the host that it connects to, whatever the ports."""
    try:
        page, here = urlsplit(origin), urlsplit(f"//{authority}")
        return page.hostname is not None and page.hostname == here.hostname
    except ValueError:
        return False
