"""The live-view service: offers in, answers out, sessions until they end.

Belongs here: sessions and their ends, negotiation of one viewer, metrics. Does not: HTTP (vms.api),
sending (vms.stream.webrtc.egress).
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vms.common.clock import Clock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import WebRtcConfig
from vms.media import MediaKind
from vms.stream.errors import NotViewable, NotViewableReason, OfferInvalid
from vms.stream.hubs import LeaseHub
from vms.stream.webrtc.counters import ViewerCounters
from vms.stream.webrtc.egress import Egress
from vms.stream.webrtc.egresses import Egresses, StreamKey
from vms.stream.webrtc.metrics import stream_metrics
from vms.stream.webrtc.quality import Choice, QualityPolicy
from vms.stream.webrtc.reception import SessionStats
from vms.stream.webrtc.tracks import has_sound_of, negotiate
from vms.stream.webrtc.viewer import FrameSource, Viewer
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily
from vms.wire.errors import ProtocolError
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.negotiation import (
    LocalTransport,
    RemoteOffer,
    write_answer,
    write_restart,
)
from vms.wire.webrtc.peer import CloseReason, IceCredentials
from vms.wire.webrtc.srtp import SrtpProfile

log = get_logger(__name__)

SWEEP_S = 1.0
SHOWN_OF_SESSION = 20  # of a session id in logs: enough to find it, too little to end it


@dataclass(frozen=True, slots=True)
class Session:
    """A viewer's session. etag: quoted, names its ICE session. ufrag: the viewer's.

    section: kind and mid of the section of its offer that carries the transport. stream: that the viewer wants.
    """

    camera_id: CameraId
    etag: str
    ufrag: str
    section: tuple[str, str] = ("video", "")
    stream: StreamName = StreamName.MAIN


@dataclass(frozen=True, slots=True)
class Answer:
    """session_id: unguessable, names the viewer's session and its worker. sdp: the answer."""

    session_id: str
    sdp: str
    session: Session


@dataclass(frozen=True, slots=True)
class Restarted:
    """An ICE restart. session: with its new etag. fragment: our side, an SDP fragment (RFC 8840)."""

    session: Session
    fragment: str


class StreamService:
    """Serves every WebRTC viewer of this process.

    on_viewers: called when a viewer came or left. lease: where hubs come from. worker: this process's name, which its session ids begin with.
    local_only: serve viewers on this machine alone. adapt: give viewers that lose too much, or that are too slow,
        the camera's sub stream for as long.
    profiles: SRTP profiles, the preferred one first. gso: False never uses UDP GSO.
    """

    def __init__(
        self,
        config: WebRtcConfig,
        lease: LeaseHub,
        clock: Clock,
        *,
        worker: str = "stream-0",
        local_only: bool = True,
        profiles: Sequence[SrtpProfile] = tuple(SrtpProfile),
        gso: bool = True,
        adapt: bool = True,
    ) -> None:
        self.endpoint = WebRtcEndpoint(
            config.port,
            clock,
            extra_addresses=config.addresses,
            local_only=local_only,
            profiles=profiles,
            gso=gso,
        )
        self.on_viewers: Callable[[], None] = lambda: None
        self.sessions_begun = 0
        self.ended: Counter[CloseReason] = Counter()
        self.worker = worker
        self._clock = clock
        self._adapt = adapt
        self._viewers: dict[str, Viewer] = {}
        self._sessions: dict[str, Session] = {}
        self._egresses = Egresses(lease, clock, self._changed, self._viewers_changed)
        self._choices: dict[str, Choice] = {}
        self._selecting: set[asyncio.Task[None]] = set()
        self._past: dict[CameraId, ViewerCounters] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Open the UDP port. Raises PortUnavailable."""
        self.endpoint.open()
        self._sweep()
        addresses = [str(address) for address, _ in self.endpoint.candidates]
        log.info("live view ready", port=self.endpoint.port, addresses=addresses, gso=self.endpoint.gso)

    async def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for task in self._selecting:
            task.cancel()
        for viewer in list(self._viewers.values()):
            viewer.end()
        self.endpoint.close()

    async def offer(self, camera_id: CameraId, sdp: str, stream: StreamName = StreamName.MAIN) -> Answer:
        """Answer a viewer's SDP offer (draft-ietf-wish-whep).

        Raises NotFound for an unknown camera or a stream that it does not have, NotViewable, OfferInvalid,
        TooManyViewers, and Unavailable when the process that pulls the camera does not answer.
        """
        try:
            offer = RemoteOffer.parse(sdp)
        except ProtocolError as error:
            raise OfferInvalid(f"the SDP offer cannot be answered: {error}") from None
        async with self._egresses.using(StreamKey(camera_id, stream)) as egress:
            media, outgoing = negotiate(offer, egress)
            peer = self.endpoint.accept(offer)
        session_id = f"{self.worker}.{secrets.token_urlsafe(18)}"
        session = Session(camera_id, _etag(), offer.ice_ufrag, offer.transport, stream)
        self._sessions[session_id] = session
        viewer = Viewer(
            session_id,
            camera_id,
            peer,
            media,
            source=egress,
            clock=self._clock,
            on_closed=self._closed,
            on_left=self._left,
        )
        if self._adapt:
            viewer.on_report = self._adjust
        self._viewers[session_id] = viewer
        self._choices[session_id] = Choice(stream)
        self.sessions_begun += 1
        return Answer(session_id, write_answer(offer, self._local(peer.ice, egress.cname), outgoing), session)

    async def select(self, session_id: str, stream: StreamName) -> None:
        """Send a session another stream of its camera, from that one's first key picture on.

        The connection, its SSRC, sequence numbers and time go on. One that wants main and was given sub for its
        network's sake tries main again. Raises NotFound for a session that has ended and a stream that the camera
        does not have, NotViewable, and Unavailable.
        """
        await self.session(session_id)
        choice, viewer = self._choices[session_id], self._viewers[session_id]
        if stream is choice.wanted:
            choice.quality.retry(self._clock.monotonic_ns())
            if self._egresses.stream(viewer.following or viewer.source) is choice.current is stream:
                return
        if not await self._switch(session_id, stream):
            return  # a later wish
        if stream is not choice.wanted:
            choice.quality, choice.wanted, choice.fixed = QualityPolicy(), stream, False
        self._sessions[session_id] = replace(await self.session(session_id), stream=stream)

    def session_stats(self, session_id: str) -> SessionStats:
        """How one viewer receives now. Raises NotFound."""
        viewer = self._viewers.get(session_id)
        if viewer is None:
            raise NotFound("no such live-view session; it may have ended already")
        counters, reception = viewer.counters, viewer.reception
        return SessionStats(
            self._egresses.stream(viewer.source),
            counters.frames,
            counters.frames_skipped,
            counters.packets_lost,
            counters.resent,
            counters.key_requests,
            counters.switches,
            viewer.queued_bytes,
            reception.jitter_s,
            reception.fraction_lost,
            reception.round_trip_s,
            reception.estimated_bps,
        )

    async def session(self, session_id: str) -> Session:
        """A session that has not ended. Raises NotFound."""
        session = self._sessions.get(session_id)
        if session is None:
            raise NotFound("no such live-view session; it may have ended already")
        return session

    async def restart(self, session_id: str, ufrag: str) -> Restarted:
        """Restart a session's ICE (RFC 8445 §2.4) for a viewer's new ufrag; media goes on. Raises NotFound."""
        session = replace(await self.session(session_id), etag=_etag(), ufrag=ufrag)
        credentials = self.endpoint.restart(self._viewers[session_id].peer, ufrag)
        self._sessions[session_id] = session
        return Restarted(session, write_restart(*session.section, self._local(credentials, "")))

    async def end(self, session_id: str) -> None:
        """End one session. Raises NotFound."""
        await self.session(session_id)
        self._viewers[session_id].end()

    def end_camera(self, camera_id: CameraId) -> None:
        """End every session of a camera; without effect when it has none."""
        for viewer in [viewer for viewer in self._viewers.values() if viewer.camera_id == camera_id]:
            viewer.end()
        self._past.pop(camera_id, None)

    def end_stream(self, camera_id: CameraId, stream: StreamName) -> None:
        """A camera has a stream no more: end who chose it; who was given it for its network's sake goes back."""
        for viewer in [viewer for viewer in self._viewers.values() if viewer.camera_id == camera_id]:
            choice = self._choices[viewer.session_id]
            if choice.wanted is stream:
                viewer.end()
            elif choice.current is stream and not choice.switching:
                choice.quality = QualityPolicy()
                self._begin_adjusting(viewer.session_id, choice.wanted)

    def viewers(self, camera_id: CameraId) -> int:
        """How many viewers are being sent the camera now."""
        return sum(egress.watching for key, egress in self._egresses if key.camera_id == camera_id)

    @property
    def watched(self) -> Mapping[CameraId, int]:
        """Viewers that are being sent to, by camera."""
        watched: Counter[CameraId] = Counter()
        for key, egress in self._egresses:
            watched[key.camera_id] += egress.watching
        return watched

    def egress(self, camera_id: CameraId, stream: StreamName = StreamName.MAIN) -> Egress | None:
        """What sends a stream to its viewers; None while it has none."""
        return self._egresses.get(StreamKey(camera_id, stream))

    @property
    def session_count(self) -> int:
        """Sessions that have not ended, those that are being set up included."""
        return len(self._sessions)

    def metrics(self) -> Iterable[MetricFamily]:
        totals: dict[CameraId, ViewerCounters] = {}
        for camera_id, past in self._past.items():
            totals.setdefault(camera_id, ViewerCounters()).add(past)
        for viewer in self._viewers.values():
            totals.setdefault(viewer.camera_id, ViewerCounters()).add(viewer.counters)
        yield from stream_metrics(
            self.endpoint,
            dict(self._egresses),
            totals,
            list(self._viewers.values()),
            sessions_begun=self.sessions_begun,
            ended=self.ended,
        )
        yield from self._egresses.latencies.metrics()

    async def _switch(self, session_id: str, stream: StreamName) -> bool:
        """False when another stream was chosen meanwhile."""
        choice, viewer = self._choices[session_id], self._viewers[session_id]
        before, choice.current = choice.current, stream
        try:
            async with self._egresses.using(StreamKey(viewer.camera_id, stream)) as egress:
                if session_id not in self._viewers:
                    raise NotFound("no such live-view session; it has ended")
                if chosen := choice.current is stream:
                    egress.prepare(MediaKind.VIDEO)
                    viewer.switch(egress, sound=has_sound_of(egress, viewer.media))
        except BaseException:
            if choice.current is stream:
                choice.current = before
            raise
        self._tidy(egress)
        return chosen

    def _adjust(self, viewer: Viewer) -> None:
        """At a viewer's report: give it another stream when it cannot take this one, or can again."""
        choice = self._choices[viewer.session_id]
        if choice.wanted is not StreamName.MAIN or choice.switching or choice.fixed:
            return
        lost, skipped = viewer.reception.fraction_lost, viewer.counters.frames_skipped
        stream = choice.quality.step(self._clock.monotonic_ns(), lost, skipped)
        if stream is not choice.current:
            self._begin_adjusting(viewer.session_id, stream)

    def _begin_adjusting(self, session_id: str, stream: StreamName) -> None:
        self._choices[session_id].switching = True
        task = asyncio.get_running_loop().create_task(self._adjust_one(session_id, stream))
        self._selecting.add(task)
        task.add_done_callback(self._selecting.discard)

    async def _adjust_one(self, session_id: str, stream: StreamName) -> None:
        choice = self._choices[session_id]
        try:
            if await self._switch(session_id, stream):
                log.info(
                    "viewer switched for its network",
                    session=session_id[:SHOWN_OF_SESSION],
                    stream=stream.value,
                )
        except (NotFound, NotViewable) as error:  # there is nothing else to send
            choice.fixed = getattr(error, "reason", None) is not NotViewableReason.NOT_LIVE
        except Unavailable as error:
            log.info("viewer not switched", session=session_id[:SHOWN_OF_SESSION], error=str(error))
        finally:
            choice.switching = False

    def _local(self, ice: IceCredentials, cname: str) -> LocalTransport:
        endpoint = self.endpoint
        return LocalTransport(
            ice.ufrag,
            ice.pwd,
            endpoint.dtls.fingerprint,
            endpoint.candidates,
            cname,
            endpoint.tcp_candidates,
        )

    def _viewers_changed(self) -> None:
        self.on_viewers()

    def _changed(self, egress: Egress) -> None:
        """A stream is no longer what its viewers negotiated; they ask again and learn what it is now."""
        for viewer in list(self._viewers.values()):
            if viewer.following is egress:
                viewer.switch(viewer.source)
                self._choices[viewer.session_id].current = self._egresses.stream(viewer.source)
            if viewer.source is egress:
                log.info("live view ended: the stream changed", camera=viewer.camera_id)
                viewer.end()
        self._egresses.drop(egress)

    def _left(self, viewer: Viewer, source: FrameSource) -> None:
        """A viewer switched, or will not after all."""
        for _, egress in list(self._egresses):
            if egress is source:
                self._tidy(egress)

    def _closed(self, viewer: Viewer, reason: CloseReason) -> None:
        self._viewers.pop(viewer.session_id, None)
        self._sessions.pop(viewer.session_id, None)
        self.endpoint.remove(viewer.peer)
        self.ended[reason] += 1
        self._past.setdefault(viewer.camera_id, ViewerCounters()).add(viewer.counters)
        self._choices.pop(viewer.session_id, None)
        for _, egress in list(self._egresses):
            if egress is viewer.source or egress is viewer.following:
                self._tidy(egress)
        log.info(
            "viewer left",
            camera=viewer.camera_id,
            session=viewer.session_id[:SHOWN_OF_SESSION],
            reason=reason.value,
            frames=viewer.counters.frames,
        )

    def _tidy(self, egress: Egress) -> None:
        """Forget an egress that nobody watches or is about to."""
        if not any(egress is v.source or egress is v.following for v in self._viewers.values()):
            self._egresses.drop(egress)

    def _sweep(self) -> None:
        # First of all, so that a sweep that fails is not the last one.
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        self.endpoint.sweep()


def _etag() -> str:
    return f'"{secrets.token_hex(8)}"'
