"""One track's way from reassembled access units to the hub: the stream timeline and capture times.

dts and pts follow the camera's RTP clock from a zero that all tracks of the session share. Capture time
follows the camera's sender reports while these agree with our clock, else the arrival of its packets.
A track whose RTP clock jumps against arrival is put on the timeline anew, and the jump is told as a Gap.
"""

from dataclasses import replace
from typing import Protocol

from vms.common.clock import NS
from vms.format.codecs import video_track
from vms.format.errors import FormatError
from vms.ingest.decode_times import DecodeTimes
from vms.media import AccessUnit, Gap, GapReason, MediaKind, Track

EARLIEST_NS = -3 * NS  # media that runs this far ahead of its arrival comes from a clock that jumped
BEHIND_NS = 15 * NS  # beyond what a stalled connection explains before the watchdog ends it
TRUST_NS = 10 * NS  # a camera's wall clock further from ours than this is not used


class Session(Protocol):
    """What a track needs of the session that it is part of."""

    wall_minus_monotonic_ns: int
    delay_ns: int
    last_arrival_ns: int
    fault: FormatError | None

    def start(self, video: bool, arrival_ns: int) -> int | None: ...
    def undecodable(self, arrival_ns: int) -> None: ...
    def push(self, unit: AccessUnit) -> None: ...
    def gap(self, gap: Gap) -> None: ...
    def align(self, reported: "TrackFeed", ntp_ns: int, rtp_timestamp: int) -> None: ...
    def announce(self) -> None: ...


class TrackFeed:
    """Implements `vms.wire.rtsp.client.MediaReceiver` for one track of a feed."""

    def __init__(self, session: Session, track: Track) -> None:
        self.track = track
        self.units = 0
        self.bytes = 0
        self.clock_offset_ns: int | None = None
        self._session = session
        self._video = track.kind is MediaKind.VIDEO
        self._started = False
        self._discontinuity = True
        self._rate = track.clock_rate
        self._decode_times = DecodeTimes(track.max_reorder, track.clock_rate // 25)
        self._base = 0  # pts = rtp_timestamp - base
        self._rtp0 = 0
        self._anchor_ns = 0  # monotonic time at which the picture of rtp0 would have arrived undelayed
        self._report: tuple[int, int] | None = None  # (Unix ns, RTP timestamp) of a trusted sender report
        self._last_pts = 0
        self._last_capture_ns = 0
        self._last_dts = -1

    # MediaReceiver

    def access_unit(self, data: bytes, rtp_timestamp: int, key: bool, lost: bool, arrival_ns: int) -> None:
        if not self._started and not self._start(rtp_timestamp, key, arrival_ns):
            return
        track, session = self.track, self._session
        elapsed_ns = (rtp_timestamp - self._rtp0) * NS // self._rate
        delay_ns = arrival_ns - self._anchor_ns - elapsed_ns
        if not EARLIEST_NS < delay_ns < BEHIND_NS:
            self._jump(rtp_timestamp, arrival_ns)
            elapsed_ns = 0
        elif delay_ns < 0:
            self._anchor_ns += delay_ns
        else:
            self._anchor_ns += delay_ns >> 10  # follows a slow camera clock within a minute
        if self._report is None:
            capture_ns = self._anchor_ns + elapsed_ns + session.wall_minus_monotonic_ns - session.delay_ns
        else:
            capture_ns = self._report[0] + (rtp_timestamp - self._report[1]) * NS // self._rate
        capture_ns = max(capture_ns, self._last_capture_ns)
        pts = rtp_timestamp - self._base
        if lost:
            self._lost(capture_ns)
        dts = self._decode_times.next(pts) if self._video else pts
        if dts <= self._last_dts:
            dts = self._last_dts + 1
        if key and self._decode_times.depth > track.max_reorder:  # found out since the last key picture
            depth = self._decode_times.depth
            self._replace(replace(track, max_reorder=depth, version=track.version + 1))
            track = self.track
        self.units += 1
        self.bytes += len(data)
        discontinuity, self._discontinuity = self._discontinuity, False
        self._last_dts = dts
        self._last_pts = pts
        self._last_capture_ns = capture_ns
        session.push(AccessUnit(track, data, dts, pts, key, discontinuity, capture_ns, arrival_ns))

    def parameter_sets(self, sets: tuple[bytes, ...]) -> None:
        if sets == self.track.parameter_sets:
            return
        version = self.track.version + 1 if self.track.parameter_sets else 0
        try:
            track = video_track(self.track.id, self.track.codec, sets, version)
        except FormatError as error:
            self._session.fault = error  # told by the supervisor; nothing may be raised into a protocol
            return
        self._replace(track)
        self._decode_times = DecodeTimes(self.track.max_reorder, self.track.clock_rate // 25)

    def sender_report(self, ntp_ns: int, rtp_timestamp: int, arrival_ns: int) -> None:
        self.clock_offset_ns = ntp_ns - (arrival_ns + self._session.wall_minus_monotonic_ns)
        trusted = abs(self.clock_offset_ns) <= TRUST_NS
        self._report = (ntp_ns, rtp_timestamp) if trusted else None
        if self._started:
            self._session.align(self, ntp_ns, rtp_timestamp)

    # for the feed

    def timeline_ns(self, rtp_timestamp: int) -> int:
        """Where on the stream timeline an RTP timestamp lies, in ns."""
        return (rtp_timestamp - self._base) * NS // self.track.clock_rate

    def shift(self, forward_ns: int) -> None:
        """Put what follows later on the timeline; forward only, so that decoding times keep rising."""
        self._base -= forward_ns * self.track.clock_rate // NS

    def wall_clock_stepped(self) -> None:
        """Our own clock was set: capture times may fall once, told as a discontinuity."""
        self._report = None
        self._last_capture_ns = 0
        self._discontinuity = True

    @property
    def last_capture_ns(self) -> int:
        return self._last_capture_ns

    def _start(self, rtp_timestamp: int, key: bool, arrival_ns: int) -> bool:
        if self._video and not (key and self.track.parameter_sets):
            self._session.undecodable(arrival_ns)
            return False
        start_ns = self._session.start(self._video, arrival_ns)
        if start_ns is None:
            return False
        self._started = True
        self._place(rtp_timestamp, arrival_ns, start_ns)
        return True

    def _place(self, rtp_timestamp: int, arrival_ns: int, timeline_ns: int) -> None:
        self._base = rtp_timestamp - timeline_ns * self.track.clock_rate // NS
        self._rtp0 = rtp_timestamp
        self._anchor_ns = arrival_ns

    def _jump(self, rtp_timestamp: int, arrival_ns: int) -> None:
        since_ns = max(arrival_ns - self._session.last_arrival_ns, 0)
        last_timeline_ns = self._last_pts * NS // self.track.clock_rate
        self._place(rtp_timestamp, arrival_ns, last_timeline_ns + since_ns + NS // 25)
        self._report = None
        self._discontinuity = True
        if self._video:
            now_ns = arrival_ns + self._session.wall_minus_monotonic_ns - self._session.delay_ns
            detail = "the camera's clock jumped"
            self._session.gap(
                Gap(self._last_capture_ns, max(now_ns, self._last_capture_ns), GapReason.CLOCK_JUMP, detail)
            )
            self._decode_times = DecodeTimes(self._decode_times.depth, self.track.clock_rate // 25)

    def _lost(self, capture_ns: int) -> None:
        self._discontinuity = True
        if self._video and self._last_capture_ns:
            detail = "packets from the camera were lost"
            self._session.gap(Gap(self._last_capture_ns, capture_ns, GapReason.PACKET_LOSS, detail))

    def _replace(self, track: Track) -> None:
        self.track = track
        self._rate = track.clock_rate
        self._session.announce()
