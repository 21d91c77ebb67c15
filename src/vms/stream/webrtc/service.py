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
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.config import WebRtcConfig
from vms.media import Codec, Hub, MediaKind
from vms.stream.errors import OfferInvalid
from vms.stream.hubs import HubLease, LeaseHub
from vms.stream.viewability import viewability
from vms.stream.webrtc.egress import Egress
from vms.stream.webrtc.metrics import stream_metrics
from vms.stream.webrtc.viewer import Viewer, ViewerCounters, ViewerMedia
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily
from vms.wire.errors import ProtocolError
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.frame import HeaderFormat
from vms.wire.webrtc.negotiation import (
    ABS_CAPTURE_TIME,
    PLAYOUT_DELAY,
    LocalTransport,
    Outgoing,
    RemoteOffer,
    SendFormat,
    write_answer,
)
from vms.wire.webrtc.peer import CloseReason
from vms.wire.webrtc.srtp import SrtpProfile

log = get_logger(__name__)

SWEEP_S = 1.0
READY_TIMEOUT_S = 4.0  # for a subscription that has to be begun first; browsers give up later
SHOWN_OF_SESSION = 20  # of a session id in logs: enough to find it, too little to end it
AUDIO_ENCODINGS = {Codec.OPUS: ("opus", 2), Codec.PCMU: ("PCMU", 1), Codec.PCMA: ("PCMA", 1)}
"""SDP names and channels; Opus is always announced with 2, whatever it carries (RFC 7587 §4.1)."""


@dataclass(frozen=True, slots=True)
class Session:
    """A viewer's session. etag: quoted, names the one ICE session that it will have. ufrag: the viewer's."""

    camera_id: CameraId
    etag: str
    ufrag: str


@dataclass(frozen=True, slots=True)
class Answer:
    """session_id: unguessable, names the viewer's session and its worker. sdp: the answer."""

    session_id: str
    sdp: str
    session: Session


class StreamService:
    """Serves every WebRTC viewer of this process.

    on_viewers: called when a viewer came or left. lease: where hubs come from. worker: this process's name, which its session ids begin with.
    local_only: serve viewers on this machine alone.
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
        self._lease = lease
        self._clock = clock
        self._viewers: dict[str, Viewer] = {}
        self._sessions: dict[str, Session] = {}
        self._egresses: dict[CameraId, Egress] = {}
        self._leases: dict[Egress, HubLease] = {}
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
        for viewer in list(self._viewers.values()):
            viewer.end()
        self.endpoint.close()

    async def offer(self, camera_id: CameraId, sdp: str) -> Answer:
        """Answer a viewer's SDP offer (draft-ietf-wish-whep).

        Raises NotFound for an unknown camera, NotViewable, OfferInvalid, TooManyViewers, and Unavailable when
        the process that pulls the camera does not answer.
        """
        try:
            offer = RemoteOffer.parse(sdp)
        except ProtocolError as error:
            raise OfferInvalid(f"the SDP offer cannot be answered: {error}") from None
        lease = self._lease(camera_id)
        try:
            await lease.ready(READY_TIMEOUT_S)
            viewability(lease.hub).require()
            egress = self._egress(camera_id, lease.hub)
            media, outgoing = _negotiate(offer, egress)
            peer = self.endpoint.accept(offer)
        except BaseException:
            lease.release()
            raise
        self._hold(camera_id, egress, lease)
        session_id = f"{self.worker}.{secrets.token_urlsafe(18)}"
        session = Session(camera_id, f'"{secrets.token_hex(8)}"', offer.ice_ufrag)
        self._sessions[session_id] = session
        self._viewers[session_id] = Viewer(
            session_id, camera_id, peer, media, source=egress, clock=self._clock, on_closed=self._closed
        )
        self.sessions_begun += 1
        local = LocalTransport(
            peer.ufrag, peer.pwd, self.endpoint.dtls.fingerprint, self.endpoint.candidates, egress.cname
        )
        return Answer(session_id, write_answer(offer, local, outgoing), session)

    async def session(self, session_id: str) -> Session:
        """A session that has not ended. Raises NotFound."""
        session = self._sessions.get(session_id)
        if session is None:
            raise NotFound("no such live-view session; it may have ended already")
        return session

    async def end(self, session_id: str) -> None:
        """End one session. Raises NotFound."""
        await self.session(session_id)
        self._viewers[session_id].end()

    def end_camera(self, camera_id: CameraId) -> None:
        """End every session of a camera; without effect when it has none."""
        for viewer in [viewer for viewer in self._viewers.values() if viewer.camera_id == camera_id]:
            viewer.end()
        self._past.pop(camera_id, None)

    def viewers(self, camera_id: CameraId) -> int:
        """How many viewers are being sent the camera now."""
        egress = self._egresses.get(camera_id)
        return len(egress.viewers) if egress is not None else 0

    @property
    def watched(self) -> Mapping[CameraId, int]:
        """Viewers that are being sent to, by camera."""
        return {camera_id: len(egress.viewers) for camera_id, egress in self._egresses.items()}

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
        return stream_metrics(self.endpoint, self._egresses, totals, self.sessions_begun, self.ended)

    def _egress(self, camera_id: CameraId, hub: Hub) -> Egress:
        egress = self._egresses.get(camera_id)
        if egress is not None and egress.hub is not hub:
            self._changed(egress)
            egress = None
        return egress or Egress(hub, self._clock, self._changed, self._viewers_changed)

    def _viewers_changed(self) -> None:
        self.on_viewers()

    def _hold(self, camera_id: CameraId, egress: Egress, lease: HubLease) -> None:
        """Keep one lease for each egress in use."""
        self._egresses[camera_id] = egress
        if egress in self._leases:
            lease.release()
        else:
            self._leases[egress] = lease

    def _changed(self, egress: Egress) -> None:
        """A stream is no longer what its viewers negotiated; they ask again and learn what it is now."""
        for viewer in [viewer for viewer in self._viewers.values() if viewer.source is egress]:
            log.info("live view ended: the stream changed", camera=viewer.camera_id)
            viewer.end()
        self._close(egress)

    def _closed(self, viewer: Viewer, reason: CloseReason) -> None:
        self._viewers.pop(viewer.session_id, None)
        self._sessions.pop(viewer.session_id, None)
        self.endpoint.remove(viewer.peer)
        self.ended[reason] += 1
        self._past.setdefault(viewer.camera_id, ViewerCounters()).add(viewer.counters)
        self._tidy(viewer.camera_id)
        log.info(
            "viewer left",
            camera=viewer.camera_id,
            session=viewer.session_id[:SHOWN_OF_SESSION],
            reason=reason.value,
            frames=viewer.counters.frames,
        )

    def _tidy(self, camera_id: CameraId) -> None:
        """Forget the egress of a camera that nobody watches or is about to."""
        if any(viewer.camera_id == camera_id for viewer in self._viewers.values()):
            return
        egress = self._egresses.pop(camera_id, None)
        if egress is not None:
            self._close(egress)

    def _close(self, egress: Egress) -> None:
        egress.close()
        lease = self._leases.pop(egress, None)
        if lease is not None:
            lease.release()

    def _sweep(self) -> None:
        # First of all, so that a sweep that fails is not the last one.
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        self.endpoint.sweep()


def _negotiate(offer: RemoteOffer, egress: Egress) -> tuple[ViewerMedia, list[Outgoing]]:
    """What of a stream goes where in an offer. Raises OfferInvalid when the video goes nowhere."""
    track = egress.prepare(MediaKind.VIDEO)
    assert track is not None, "a stream without H.264 is not viewable"
    profile = track.parameter_sets[0][1:2].hex() if track.parameter_sets else "42"
    video = offer.h264(profile)
    if video is None:
        raise OfferInvalid(
            "the SDP offer receives no H.264 video with packetization-mode=1; "
            "add a transceiver for video with direction recvonly"
        )
    media = ViewerMedia(_header_format(video, egress.video_ssrc), track.clock_rate, egress.cname)
    outgoing = [Outgoing(video, egress.video_ssrc)]
    track = egress.prepare(MediaKind.AUDIO)
    if track is not None and track.codec in AUDIO_ENCODINGS:
        encoding, channels = AUDIO_ENCODINGS[track.codec]
        audio = offer.audio(encoding, track.clock_rate, channels)
        if audio is not None:
            header_format = _header_format(audio, egress.audio_ssrc)
            media = replace(media, audio=header_format, audio_clock_rate=track.clock_rate)
            outgoing.append(Outgoing(audio, egress.audio_ssrc))
    return media, outgoing


def _header_format(send: SendFormat, ssrc: int) -> HeaderFormat:
    return HeaderFormat(
        ssrc,
        send.payload_type,
        playout_delay=send.extensions.get(PLAYOUT_DELAY),
        abs_capture_time=send.extensions.get(ABS_CAPTURE_TIME),
    )
