"""One WebRTC viewer of one camera: what it is sent, when it skips, what it asks for.

Belongs here: the burst at join, the bounded queue, NACK and PLI, sender reports, the change to another stream.
Does not: the walk over all viewers (vms.stream.webrtc.egress), the transport (vms.wire.webrtc), which stream is
right (vms.stream.webrtc.quality).
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.common.ids import CameraId
from vms.media import Codec
from vms.stream.webrtc.counters import ViewerCounters
from vms.stream.webrtc.reception import Reception
from vms.wire import rtcp
from vms.wire.webrtc.frame import Frame, HeaderFormat
from vms.wire.webrtc.peer import CloseReason, Peer
from vms.wire.webrtc.rtp_stream import RtpStream
from vms.wire.webrtc.udp import DatagramPort

REPORT_NS = 1 * NS
KEY_REQUEST_NS = 1 * NS  # PLI and FIR are answered at most this often
QUEUE_MAX_BYTES = 2 << 20  # a burst of 1 MB and what comes while it is sent
QUEUE_MAX_FRAMES = 300
RESENDS_PER_SECOND = 500  # looked for, found or not: ten times the loss that a picture survives at 4 Mb/s


class FrameSource(Protocol):
    """What a viewer needs of the egress that feeds it."""

    def add(self, viewer: "Viewer") -> None: ...
    def remove(self, viewer: "Viewer") -> None: ...
    def pump(self, viewer: "Viewer") -> None:
        """Call `viewer.drain` soon, and again until its queue is empty."""

    def burst(self) -> Sequence[Frame]:
        """Video since the newest key picture, empty when that is too much to send at once."""

    def request_key(self) -> None:
        """Ask the camera for a key picture, because none of the group of pictures can be given."""

    @property
    def next_video_index(self) -> int:
        """Number of the first packet of the next video frame."""


@dataclass(frozen=True, slots=True)
class ViewerMedia:
    """How the tracks were negotiated; audio is None when the viewer gets none, rtx without retransmissions."""

    video: HeaderFormat
    video_clock_rate: int
    cname: str
    audio: HeaderFormat | None = None
    audio_clock_rate: int = 0
    audio_codec: Codec | None = None
    rtx: HeaderFormat | None = None


@dataclass(slots=True)
class _ReferenceTime:
    """A receiver's clock reading, to be answered with DLRR (RFC 3611 §4.5)."""

    ssrc: int
    last_rr: int
    received_ns: int


@dataclass(slots=True)
class _Queued:
    frame: Frame
    resume_at: int | None = field(default=None)  # run to go on with, None when it is not begun


class Viewer:
    """Implements `PeerListener`. `session_id` names it to the API; `viewing` is set while media flows.

    source: what feeds it. following: what will, from its first key picture on; None when no switch is under way.
    on_left: called with a source that it does not use any more, before the session's end.
    on_report: called after each receiver report, about once a second.
    """

    def __init__(
        self,
        session_id: str,
        camera_id: CameraId,
        peer: Peer,
        media: ViewerMedia,
        *,
        source: FrameSource,
        clock: Clock,
        on_closed: Callable[["Viewer", CloseReason], None],
        on_left: Callable[["Viewer", FrameSource], None] = lambda viewer, source: None,
    ) -> None:
        self.session_id = session_id
        self.camera_id = camera_id
        self.peer = peer
        self.counters = ViewerCounters()
        self.viewing = False
        self.source = source
        self.following: FrameSource | None = None
        self.reception = Reception()
        self.media = media
        self._clock = clock
        self._on_closed = on_closed
        self._on_left = on_left
        self.on_report: Callable[[Viewer], None] = lambda viewer: None
        self._sound = self._following_sound = True
        self._video: RtpStream | None = None
        self._audio: RtpStream | None = None
        self._queue: deque[_Queued] = deque()
        self._queue_bytes = 0
        self._awaiting_key = True
        self._video_from = 0  # video frames below this number are in the queue already, or were skipped
        self._report_due_ns = 0
        self._reference: _ReferenceTime | None = None
        self._key_answered_ns: int | None = None
        self._key_asked_ns = clock.monotonic_ns()  # of the source; the first time by connected and switch
        self._resends_left = float(RESENDS_PER_SECOND)
        self._resends_ns = 0
        peer.listener = self

    # PeerListener

    def connected(self) -> None:
        assert self.peer.srtp is not None
        media, sender = self.media, self.peer.srtp.rtp
        self._video = RtpStream(media.video, media.video_clock_rate, sender, media.rtx)
        if media.audio is not None:
            self._audio = RtpStream(media.audio, media.audio_clock_rate, sender)
        self.viewing = True
        self.source.add(self)
        if frames := self.source.burst():
            self._queue_burst(frames)
        else:
            self.source.request_key()

    def feedback(self, packets: Sequence[rtcp.Packet]) -> None:
        now_ns = self._clock.monotonic_ns()
        video = self._video
        if not self.viewing or video is None:
            return
        ssrc = video.header_format.ssrc
        for packet in packets:
            match packet:
                case rtcp.Nack() if packet.media_ssrc == ssrc:
                    self._resend(video, packet.sequence_numbers, now_ns)
                case rtcp.PictureLossIndication() if packet.media_ssrc == ssrc:
                    self._answer_key_request(now_ns)
                case rtcp.FullIntraRequest() if any(asked == ssrc for asked, _ in packet.requests):
                    self._answer_key_request(now_ns)
                case rtcp.ReceiverReferenceTime():
                    if self._reference is None:
                        self._report_due_ns = 0  # capture times are shown once the first is answered
                    self._reference = _ReferenceTime(packet.ssrc, rtcp.middle_32(packet.ntp), now_ns)
                case rtcp.ReceiverReport() | rtcp.SenderReport():
                    self._note_reports(packet.reports, ssrc)
                case rtcp.ReceiverEstimatedBitrate() if ssrc in packet.media_ssrcs:
                    self.reception.estimated_bps = packet.bitrate_bps

    def closed(self, reason: CloseReason) -> None:
        self.viewing = False
        self._queue.clear()
        self._queue_bytes = 0
        self.source.remove(self)
        if self.following is not None:
            self.following.remove(self)
        self._on_closed(self, reason)

    def switch(self, source: FrameSource, *, sound: bool = True) -> None:
        """Be fed by another source of the same codec; by the one so far up to the new one's first key picture.

        SSRC, sequence numbers and time go on. sound: whether the source's audio is what was negotiated; without it
        the viewer gets none.
        """
        if source is self.following:
            return
        if self.following is not None:
            given_up, self.following = self.following, None
            if source is not given_up:
                given_up.remove(self)
                self._on_left(self, given_up)
        if source is self.source:
            return
        self.following, self._following_sound = source, sound
        if not self.viewing:
            self._take_over()
            return
        source.add(self)
        if frames := source.burst():
            self._take_over()
            self._queue_burst(frames)
        else:
            source.request_key()

    # called by the egress

    def deliver(self, frame: Frame, now_ns: int, source: FrameSource) -> None:
        """Send a frame of a source now, or queue it, or leave it out."""
        path = self.peer.path
        if not self.viewing or path is None:
            return
        if source is not self.source:
            # The walk of the source that was left may not be over; the next one's has begun.
            if source is not self.following or not frame.video:
                return
            if not frame.key:
                self._ask_again(source, now_ns)
                return
            self._take_over()
        port, to = path
        if not frame.video:
            # Late audio is worthless, so it never waits: when the socket is full it is lost.
            if self._audio is not None and self._sound and not port.blocked:
                self._audio.send(frame, port, to, now_ns)
            return
        if frame.index < self._video_from:
            return
        if self._awaiting_key and not frame.key:
            if not port.blocked:
                self._ask_again(source, now_ns)
            return
        self._awaiting_key = False
        if self._queue or port.blocked:
            if not self._queue:
                self.source.pump(self)
            self._enqueue(frame)
            return
        assert self._video is not None
        self.counters.frames += 1
        resume_at = self._video.send(frame, port, to, now_ns)
        if resume_at is not None:
            self._enqueue(frame, resume_at)
            self.source.pump(self)
        if now_ns >= self._report_due_ns:
            self._report(now_ns)

    def drain(self, most_bytes: int, now_ns: int) -> bool:
        """Send some of the queue, some `most_bytes` of it at most; whether anything is left in it."""
        path, video = self.peer.path, self._video
        if not self.viewing or path is None or video is None:
            return False
        port, to = path
        queue = self._queue
        while queue and most_bytes > 0 and not port.blocked:
            item = queue[0]
            if item.resume_at is None:
                self.counters.frames += 1
                resume_at = video.send(item.frame, port, to, now_ns)
            else:
                resume_at = video.resume(item.resume_at, port, to)
            if resume_at is not None:
                item.resume_at = resume_at
                break
            queue.popleft()
            most_bytes -= item.frame.octets
            self._queue_bytes -= item.frame.octets
        if now_ns >= self._report_due_ns:
            self._report(now_ns)
        return bool(queue)

    @property
    def blocked_port(self) -> DatagramPort | None:
        """The socket that the queue waits for, None when it does not wait for one."""
        path = self.peer.path
        return path[0] if path is not None and path[0].blocked else None

    @property
    def queued_bytes(self) -> int:
        return self._queue_bytes

    def skip_to_key(self) -> None:
        """Leave out video up to the next key picture."""
        self.counters.frames_skipped += len(self._queue)
        self._queue.clear()
        self._queue_bytes = 0
        self._awaiting_key = True

    def end(self, reason: CloseReason = CloseReason.ENDED) -> None:
        """Say goodbye and close the connection."""
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        farewell: list[rtcp.Packet] = [*self._reports(self._clock.monotonic_ns())]
        if farewell:
            farewell.append(rtcp.Bye(tuple(stream.header_format.ssrc for stream in streams)))
        self.peer.close(reason, farewell)

    def _take_over(self) -> None:
        """Be fed by the source that follows, from its next key picture or its burst on."""
        assert self.following is not None
        left, self.source, self.following = self.source, self.following, None
        self._sound = self._following_sound
        left.remove(self)
        for stream in (self._video, self._audio):
            if stream is not None:
                stream.follow_other_source()
        # What has begun is finished, so that the sequence has no hole; what waits behind it is superseded.
        begun = [item for item in self._queue if item.resume_at is not None]
        self._queue.clear()
        self._queue.extend(begun)
        self._queue_bytes = sum(item.frame.octets for item in begun)
        self._video_from = 0
        self._awaiting_key = True
        self.counters.switches += 1
        if begun:
            self.source.pump(self)
        self._on_left(self, left)

    def _ask_again(self, source: FrameSource, now_ns: int) -> None:
        """While no key picture comes: the request for it may have been lost, or the camera have been away."""
        if now_ns - self._key_asked_ns >= KEY_REQUEST_NS and not source.burst():
            self._key_asked_ns = now_ns
            source.request_key()

    def _queue_burst(self, frames: Sequence[Frame]) -> None:
        """Send the group of pictures so far, then go on with what comes next."""
        self._queue.extend(map(_Queued, frames))
        self._queue_bytes += sum(frame.octets for frame in frames)
        self._video_from = self.source.next_video_index
        self._awaiting_key = False
        self.source.pump(self)

    def _enqueue(self, frame: Frame, resume_at: int | None = None) -> None:
        full = self._queue_bytes + frame.octets > QUEUE_MAX_BYTES or len(self._queue) >= QUEUE_MAX_FRAMES
        if full and self._queue:  # an empty one takes any picture: there is no smaller one to wait for
            self.skip_to_key()
            if not frame.key:
                self.counters.frames_skipped += 1
                return
            self._awaiting_key = False
        self._queue.append(_Queued(frame, resume_at))
        self._queue_bytes += frame.octets

    def _resend(self, stream: RtpStream, sequence_numbers: Sequence[int], now_ns: int) -> None:
        path = self.peer.path
        if path is None:
            return
        earned = (now_ns - self._resends_ns) * RESENDS_PER_SECOND / NS
        self._resends_left = min(self._resends_left + earned, RESENDS_PER_SECOND)
        self._resends_ns = now_ns
        self.counters.nacks += len(sequence_numbers)
        for sequence_number in sequence_numbers:
            if self._resends_left < 1:
                return
            self._resends_left -= 1
            if stream.resend(sequence_number, *path):
                self.counters.resent += 1

    def _answer_key_request(self, now_ns: int) -> None:
        self.counters.key_requests += 1
        answered_ns = self._key_answered_ns
        if self._queue or (answered_ns is not None and now_ns - answered_ns < KEY_REQUEST_NS):
            return
        frames = self.source.burst()
        if not frames:
            self.source.request_key()
            return
        self._key_answered_ns = now_ns
        self.counters.key_requests_answered += 1
        # Receivers throw away pictures older than the last shown: RtpStream sends each a tick after the one before.
        self._queue_burst(frames)

    def _note_reports(self, reports: Sequence[rtcp.ReportBlock], ssrc: int) -> None:
        for report in reports:
            if report.ssrc == ssrc:
                self.reception.note(report, self.media.video_clock_rate, self._clock.wall_ns())
                self.counters.packets_lost = self.reception.packets_lost
                self.on_report(self)

    def _report(self, now_ns: int) -> None:
        # At random around the interval (RFC 3550 §6.2), so that viewers who came together do not all get
        # theirs with the same picture and make its last viewer wait.
        self._report_due_ns = now_ns + round(REPORT_NS * random.uniform(0.5, 1.5))  # noqa: S311
        packets = self._reports(now_ns)
        if packets:
            self.peer.send_rtcp(packets)

    def _reports(self, now_ns: int) -> list[rtcp.Packet]:
        """A sender report a track, their description, and the answer to the viewer's reference time."""
        wall_ns = self._clock.wall_ns()
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        packets: list[rtcp.Packet] = [report for s in streams if (report := s.report(wall_ns)) is not None]
        if not packets:
            return []
        packets += [rtcp.SourceDescription(s.header_format.ssrc, self.media.cname) for s in streams]
        if self._reference is not None:
            delay = (now_ns - self._reference.received_ns) * 65536 // NS
            packets.append(
                rtcp.DelaySinceLastReference(
                    self.media.video.ssrc, self._reference.ssrc, self._reference.last_rr, delay
                )
            )
        return packets
