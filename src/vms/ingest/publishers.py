"""Publishers: who sends a camera's stream to us by WHIP (RFC 9725) or SRT, instead of being pulled.

A camera whose source is `whip://publish` opens a place for one publisher. An offer takes the place; when the
publisher goes, the place is free again. The UDP port is open while this process has such a camera.

Belongs here: places, sessions, the endpoint. Does not: HTTP (vms.api), RTP (vms.wire.webrtc.receiver), SRT
(vms.ingest.srt), what a source does with its place (vms.ingest.whip_source).
"""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.ingest.errors import OfferRefused, PublisherPresent, SourceUnsupported
from vms.ingest.feed import Feed
from vms.ingest.publication import Publication
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind
from vms.wire.errors import ProtocolError
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.negotiation import LocalTransport, RemoteOffer, write_restart
from vms.wire.webrtc.peer import CloseReason, Peer
from vms.wire.webrtc.reception import choose_incoming, write_reception_answer

log = get_logger(__name__)

SWEEP_S = 1.0
PLACE_TIMEOUT_S = (
    4.0  # for a camera that is about to open its place: it was just added, or its publisher left
)
GONE_NS = 3 * NS  # a publisher that is silent for so long makes room for another


@dataclass(frozen=True, slots=True)
class PublishSession:
    """A publisher's session. etag: quoted, names its ICE session. ufrag: the publisher's.

    section: kind and a=mid of the one that carries the transport.
    """

    camera_id: CameraId
    etag: str
    ufrag: str
    section: tuple[str, str] = ("video", "")


@dataclass(frozen=True, slots=True)
class PublishAnswer:
    """session_id: unguessable, names the session and its worker. sdp: the answer."""

    session_id: str
    sdp: str
    session: PublishSession


@dataclass(frozen=True, slots=True)
class PublishRestarted:
    """An ICE restart. fragment: our side, an SDP fragment (RFC 8840)."""

    session: PublishSession
    fragment: str


class Published(Protocol):
    """A publisher that has its place, by WHIP or SRT."""

    @property
    def last_packet_ns(self) -> int:
        """Monotonic time of the last that came of it."""

    def end(self) -> None:
        """Send it away; without effect on one that has ended."""


class Place:
    """Where one camera's publisher is. ended: set when one that had brought media has gone.

    on_change: told when a publisher has come or gone.
    """

    def __init__(self, camera_id: CameraId, feed: Feed, tell_waiting: Callable[[], None]) -> None:
        self.camera_id = camera_id
        self.feed = feed
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.on_change: Callable[[], None] | None = None
        self._publication: Published | None = None
        self._tell_waiting = tell_waiting

    @property
    def publication(self) -> Published | None:
        return self._publication

    @publication.setter
    def publication(self, publication: Published | None) -> None:
        self._publication = publication
        if self.on_change is not None:
            self.on_change()
        self._tell_waiting()

    @property
    def is_open(self) -> bool:
        return self.publication is None and not self.ended.done()


class Publishers:
    """The publishers of this process.

    port: UDP port for all of them, 0 for any free one. addresses: offered besides this machine's own.
    worker: this process's name, which session ids begin with. local_only: of this machine alone.
    """

    def __init__(
        self,
        port: int,
        clock: Clock,
        *,
        worker: str = "media-0",
        addresses: Sequence[str] = (),
        local_only: bool = True,
    ) -> None:
        self.sessions_begun = 0
        self.ended: Counter[CloseReason] = Counter()
        self._port = port
        self._clock = clock
        self._worker = worker
        self._addresses = addresses
        self._local_only = local_only
        self._places: dict[CameraId, Place] = {}
        self._sessions: dict[str, PublishSession] = {}
        self._publications: dict[str, Publication] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._endpoint: WebRtcEndpoint | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The UDP port, once it is open."""
        return self._endpoint.port if self._endpoint is not None else self._port

    @contextlib.contextmanager
    def place(self, camera_id: CameraId, feed: Feed) -> Iterator[Place]:
        """Take publishers of a camera for as long as the context lasts.

        Raises PortUnavailable, and SourceUnsupported where the camera's place is open already.
        """
        if camera_id in self._places:
            raise SourceUnsupported(f"{camera_id}: one stream of a camera can be published; pull the other")
        self._open()
        place = self._places[camera_id] = Place(camera_id, feed, self._tell_waiting)
        self._tell_waiting()
        try:
            yield place
        finally:
            del self._places[camera_id]
            if place.publication is not None:
                place.publication.end()
            if not self._places:
                self._close()

    async def offer(self, camera_id: CameraId, sdp: str, *, take_over: bool = False) -> PublishAnswer:
        """Answer a publisher's SDP offer (RFC 9725 §4.2).

        take_over: end the publisher that is there. Raises OfferRefused, PublisherPresent, and Unavailable when the
        camera takes none now.
        """
        try:
            offer = RemoteOffer.parse(sdp)
            incoming = choose_incoming(offer)
        except ProtocolError as error:
            raise OfferRefused(f"the SDP offer cannot be answered: {error}") from None
        self._make_room(camera_id, take_over=take_over)
        place = await self._open_place(camera_id)
        endpoint = self._endpoint
        assert endpoint is not None
        peer = endpoint.accept(offer)
        session_id = f"{self._worker}.{secrets.token_urlsafe(18)}"
        publication = Publication(
            peer,
            incoming,
            place.feed,
            self._clock,
            on_closed=lambda reason, media: self._closed(place, session_id, reason, media=media),
        )
        place.publication = publication
        session = PublishSession(camera_id, _etag(), offer.ice_ufrag, offer.transport)
        self._sessions[session_id] = session
        self._publications[session_id] = publication
        self.sessions_begun += 1
        return PublishAnswer(session_id, write_reception_answer(offer, self._local(peer), incoming), session)

    async def session(self, session_id: str) -> PublishSession:
        """A session that has not ended. Raises NotFound."""
        session = self._sessions.get(session_id)
        if session is None:
            raise NotFound("no such WHIP session; it may have ended already")
        return session

    async def restart(self, session_id: str, ufrag: str) -> PublishRestarted:
        """Restart a publisher's ICE with its new ufrag. Raises NotFound."""
        session = replace(await self.session(session_id), etag=_etag(), ufrag=ufrag)
        peer = self._publications[session_id].peer
        assert self._endpoint is not None
        credentials = self._endpoint.restart(peer, ufrag)
        self._sessions[session_id] = session
        local = replace(self._local(peer), ice_ufrag=credentials.ufrag, ice_pwd=credentials.pwd)
        return PublishRestarted(session, write_restart(*session.section, local))

    async def end(self, session_id: str) -> None:
        """End one session. Raises NotFound."""
        await self.session(session_id)
        self._publications[session_id].end()

    def metrics(self) -> Iterable[MetricFamily]:
        yield MetricFamily(
            "vms_publishers", MetricKind.GAUGE, "publishers now", (), [((), float(len(self._sessions)))]
        )
        yield MetricFamily(
            "vms_publisher_sessions",
            MetricKind.COUNTER,
            "publishers that came",
            (),
            [((), float(self.sessions_begun))],
        )
        yield MetricFamily(
            "vms_publisher_sessions_ended",
            MetricKind.COUNTER,
            "publishers that went, by reason",
            ("reason",),
            [((reason.value,), float(count)) for reason, count in self.ended.items()],
        )
        counters = [publication.counters for publication in self._publications.values()]
        for name, text in (
            (
                "packets_repaired",
                "packets that came when they were asked for again, of the present publishers",
            ),
            ("packets_forged", "packets that were not authentic or came twice, of the present publishers"),
        ):
            value = float(sum(getattr(each, name) for each in counters))
            yield MetricFamily(f"vms_publisher_{name}", MetricKind.GAUGE, text, (), [((), value)])

    def _make_room(self, camera_id: CameraId, *, take_over: bool) -> None:
        place = self._places.get(camera_id)
        present = place.publication if place is not None else None
        if present is None:
            return
        silent_ns = self._clock.monotonic_ns() - present.last_packet_ns
        if not take_over and silent_ns < GONE_NS:
            raise PublisherPresent(
                f"{camera_id} is being published already; end that, or add ?replace=true to take its place"
            )
        present.end()

    async def _open_place(self, camera_id: CameraId) -> Place:
        try:
            async with asyncio.timeout(PLACE_TIMEOUT_S):
                while (place := self._places.get(camera_id)) is None or not place.is_open:
                    if place is not None and place.publication is not None:
                        raise PublisherPresent(f"{camera_id} is being published already; somebody was faster")
                    changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.append(changed)
                    await changed
                return place
        except TimeoutError:
            raise Unavailable(f"{camera_id} takes no publisher now; see its state, and try again") from None

    def _closed(self, place: Place, session_id: str, reason: CloseReason, *, media: bool) -> None:
        self.ended[reason] += 1
        del self._sessions[session_id]
        publication = self._publications.pop(session_id)
        if self._endpoint is not None:
            self._endpoint.remove(publication.peer)
        if media and not place.ended.done():
            place.ended.set_result(_WHY.get(reason, "the publisher left"))
        place.publication = None

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)

    def _open(self) -> None:
        if self._endpoint is not None:
            return
        endpoint = WebRtcEndpoint(
            self._port, self._clock, extra_addresses=self._addresses, local_only=self._local_only
        )
        endpoint.open()
        self._endpoint = endpoint
        self._sweep(endpoint)
        log.info("open for publishers", port=endpoint.port)

    def _close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._endpoint is not None:
            endpoint, self._endpoint = self._endpoint, None
            endpoint.close()

    def _sweep(self, endpoint: WebRtcEndpoint) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep, endpoint)
        endpoint.sweep()

    def _local(self, peer: Peer) -> LocalTransport:
        endpoint = self._endpoint
        assert endpoint is not None
        return LocalTransport(
            peer.ufrag, peer.pwd, endpoint.dtls.fingerprint, endpoint.candidates, "publisher"
        )


_WHY: dict[CloseReason, str] = {
    CloseReason.LEFT: "the publisher stopped",
    CloseReason.ENDED: "the publisher's session was ended",
    CloseReason.CONSENT: "the publisher went away without a word",
}


def _etag() -> str:
    return f'"{secrets.token_hex(8)}"'
