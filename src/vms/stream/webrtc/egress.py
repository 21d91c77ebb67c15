"""Send one stream to all its viewers: packetise once, walk the viewers in slices, never hold up the loop.

Belongs here: the one sink of a hub that serves every WebRTC viewer, how long a frame may wait for its walk,
the group of pictures for those who join. Does not: the walk (vms.stream.turns), what one viewer gets
(vms.stream.webrtc.viewer).
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence

from vms.common.clock import NS, Clock
from vms.media import AccessUnit, Codec, Gap, Hub, MediaKind, Track
from vms.stream.latency import StreamLatencies
from vms.stream.turns import Turns
from vms.stream.viewability import viewability
from vms.stream.webrtc.packetizer import TrackPacketizer
from vms.stream.webrtc.viewer import KEY_REQUEST_NS, Viewer
from vms.telemetry.logs import get_logger
from vms.wire.webrtc.frame import Frame
from vms.wire.webrtc.peer import CloseReason

log = get_logger(__name__)

SLICE_NS = 500_000
"""How long one walk over viewers may hold the event loop."""
MAX_LAG_NS = 1 * NS  # frames that wait longer for their walk are dropped up to the next key picture
BURST_MAX_FRAMES = 100
BURST_MAX_BYTES = 1 << 20
PACE_NS = 5_000_000
PACE_BYTES = 24_000  # a viewer and PACE_NS: 38 Mb/s, so that a burst of 1 MB takes 0.2 s
DELAYS_KEPT = 1000
SENDABLE = frozenset({Codec.H264, Codec.OPUS, Codec.PCMU, Codec.PCMA})


class Egress:
    """One hub's sink for all viewers. It is attached to the hub while somebody watches.

    delays_ns: of the newest frames, how long the last-served viewer waited from push to send.
    on_changed: called when the stream is no longer what was negotiated with its viewers, or turns into
        one that WebRTC cannot show; their sessions have to end. on_viewers: called when one came or left.
    """

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        on_changed: Callable[["Egress"], None],
        on_viewers: Callable[[], None] = lambda: None,
        latencies: StreamLatencies | None = None,
    ) -> None:
        self.hub = hub
        self.cname = secrets.token_hex(8)
        self.video_ssrc, self.audio_ssrc, self.rtx_ssrc = _three_ssrcs()
        self.frames = 0
        self.frames_overrun = 0
        self.key_requests = 0  # passed on to the hub, because the group of pictures could not answer
        self.delays_ns: deque[int] = deque(maxlen=DELAYS_KEPT)
        self._clock = clock
        self._latencies = latencies or StreamLatencies(clock)
        self._on_changed = on_changed
        self._on_viewers = on_viewers
        self._packetizers: dict[MediaKind, TrackPacketizer] = {}
        self._video_index = 0
        self._video_track = hub.track(MediaKind.VIDEO)
        self._gop: list[Frame] = []
        self._gop_bytes = 0
        self._broken = True  # pictures are missing up to the next key picture
        self._asked_ns = -KEY_REQUEST_NS  # when the camera was asked for one, because of that
        self._turns: Turns[Viewer, Frame] = Turns(
            clock, self._deliver, self._fail, slice_ns=SLICE_NS, on_done=self._done
        )
        self._pumped: dict[Viewer, int] = {}  # when each may send on, earliest first
        self._pacer: asyncio.TimerHandle | None = None

    @property
    def viewers(self) -> Sequence[Viewer]:
        return self._turns.takers

    def prepare(self, kind: MediaKind) -> Track | None:
        """Be ready to send the hub's track of a kind; the track, None when there is none to send."""
        track = self.hub.track(kind)
        if track is None or track.codec not in SENDABLE:
            return None
        packetizer = self._packetizers.get(kind)
        if packetizer is not None and not packetizer.fits(track):
            self._on_changed(self)
            packetizer = None
        if packetizer is None:
            self._packetizers[kind] = TrackPacketizer(track.codec, track.clock_rate)
        return track

    # Sink

    def push(self, unit: AccessUnit) -> None:
        now_ns = self._clock.monotonic_ns()
        video = unit.track.kind is MediaKind.VIDEO
        packetizer = self._packetizers.get(unit.track.kind)
        if packetizer is None:
            return
        if not packetizer.fits(unit.track):
            self._on_changed(self)
            return
        if video:
            if not self._check(unit, now_ns):
                return
            self._latencies.arrived(unit)
        for frame in packetizer.frames(unit, now_ns):
            if video:
                self._remember(frame)
            self._turns.put(frame)
        self._shed(now_ns)

    def gap(self, gap: Gap) -> None:
        """Viewers keep the last picture until the next key picture."""
        self._broken = True
        self._forget_gop()

    # FrameSource

    def add(self, viewer: Viewer) -> None:
        if not self.viewers:
            self._attach()
        self._turns.add(viewer)
        self._on_viewers()

    def remove(self, viewer: Viewer) -> None:
        self._turns.remove(viewer)
        self._pumped.pop(viewer, None)
        if not self.viewers:
            self._detach()
        self._on_viewers()

    def pump(self, viewer: Viewer) -> None:
        if viewer not in self._pumped:
            self._pumped[viewer] = 0
        self._wake()

    def burst(self) -> Sequence[Frame]:
        return self._gop

    def request_key(self) -> None:
        self.key_requests += 1
        self.hub.request_key()

    @property
    def watching(self) -> int:
        """Viewers that it feeds; those that are about to switch to it are not among them yet."""
        return sum(viewer.source is self for viewer in self.viewers)

    @property
    def next_video_index(self) -> int:
        return self._video_index

    @property
    def units_refused(self) -> int:
        return sum(packetizer.units_refused for packetizer in self._packetizers.values())

    def close(self) -> None:
        """Detach from the hub and cancel what is scheduled."""
        self._detach()

    def _attach(self) -> None:
        now_ns = self._clock.monotonic_ns()
        packetizer = self._packetizers[MediaKind.VIDEO]
        video = [unit for unit in self.hub.gop if packetizer.fits(unit.track)]
        self._broken = not video
        if len(video) <= BURST_MAX_FRAMES and sum(len(unit.data) for unit in video) <= BURST_MAX_BYTES:
            for unit in video:
                for frame in packetizer.frames(unit, now_ns):
                    self._remember(frame)
        self.hub.attach(self)

    def _detach(self) -> None:
        self.hub.detach(self)
        self._turns.clear()
        self._forget_gop()
        if self._pacer is not None:
            self._pacer.cancel()
            self._pacer = None

    def _check(self, unit: AccessUnit, now_ns: int) -> bool:
        """Whether a video unit can go on to viewers."""
        if unit.track is not self._video_track or unit.pts != unit.dts:
            self._video_track = unit.track
            if not viewability(self.hub).playable:
                self._on_changed(self)
                return False
        if unit.key:
            self._broken = False
        elif unit.discontinuity or self._broken:
            self._broken = True
            self._forget_gop()
            if now_ns - self._asked_ns >= KEY_REQUEST_NS:  # viewers do not see a hole, and so ask for nothing
                self._asked_ns = now_ns
                self.request_key()
            return False
        return True

    def _remember(self, frame: Frame) -> None:
        self._video_index = frame.index + len(frame.payloads)
        if frame.key:
            self._gop = []
            self._gop_bytes = 0
        elif not self._gop:
            return
        self._gop.append(frame)
        self._gop_bytes += frame.octets
        if len(self._gop) > BURST_MAX_FRAMES or self._gop_bytes > BURST_MAX_BYTES:
            self._forget_gop()

    def _forget_gop(self) -> None:
        self._gop = []
        self._gop_bytes = 0

    def _shed(self, now_ns: int) -> None:
        """When the walks cannot keep up, drop what waits and go on at the next key picture."""
        oldest = self._turns.oldest
        if oldest is None or len(self._turns) < 2 or now_ns - oldest.pushed_ns < MAX_LAG_NS:
            return
        self.frames_overrun += self._turns.shed()
        self._broken = True
        self._forget_gop()

    # the walk

    def _deliver(self, viewer: Viewer, frame: Frame) -> None:
        viewer.deliver(frame, self._turns.now_ns, self)

    def _done(self, frame: Frame) -> None:
        self.frames += 1
        if frame.video:
            waited_ns = self._turns.now_ns - frame.pushed_ns
            self.delays_ns.append(waited_ns)
            self._latencies.sent(waited_ns)

    # pacing

    def _wake(self) -> None:
        """Look at the queues in this turn of the loop."""
        if self._pacer is not None:
            self._pacer.cancel()
        self._pacer = asyncio.get_running_loop().call_later(0, self._pace)

    def _pace(self) -> None:
        """Send what viewers have queued, a piece each; those with more come again after PACE_NS."""
        self._pacer = None
        monotonic_ns = self._clock.monotonic_ns
        now_ns = monotonic_ns()
        end_ns = now_ns + SLICE_NS
        waiting: dict[Viewer, int] = {}
        for viewer, due_ns in tuple(self._pumped.items()):
            if due_ns > now_ns or now_ns >= end_ns:
                waiting[viewer] = due_ns
            elif self._drain(viewer, now_ns):
                waiting[viewer] = now_ns + PACE_NS
                if (port := viewer.blocked_port) is not None:
                    port.when_writable(self._wake)
            now_ns = monotonic_ns()
        self._pumped = {
            viewer: due_ns for viewer, due_ns in waiting.items() if viewer.viewing and viewer.source is self
        }
        if self._pumped:
            delay_s = max(0, min(self._pumped.values()) - now_ns) / NS
            self._pacer = asyncio.get_running_loop().call_later(delay_s, self._pace)

    def _drain(self, viewer: Viewer, now_ns: int) -> bool:
        try:
            return viewer.drain(PACE_BYTES, now_ns)
        except Exception as error:  # noqa: BLE001 - as in Turns: one viewer must never end the others
            self._fail(viewer, error)
            return False

    def _fail(self, viewer: Viewer, error: Exception) -> None:
        log.error("viewer ended by an internal error", camera=viewer.camera_id, exc_info=error)
        viewer.peer.close(CloseReason.ERROR)


def _three_ssrcs() -> tuple[int, int, int]:
    video = secrets.randbits(32) or 1
    return video, video ^ 0x5A5A5A5A, video ^ 0xA5A5A5A5
