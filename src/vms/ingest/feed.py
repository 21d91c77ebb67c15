"""One session of a source: its tracks on one timeline, pushed into a hub.

A source adds its tracks, then hands each access unit to the TrackFeed it got. Nothing is pushed before
the first key picture of a stream that has video.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.format.errors import FormatError
from vms.ingest.track_feed import TrackFeed
from vms.media import AccessUnit, Gap, GapReason, Hub, MediaKind, Track

BEGIN_NS = NS  # not 0, so that decoding times before the first picture stay positive
SESSIONS_APART_NS = NS  # likewise, and more than sound and picture of the last session are apart
ALIGN_NS = NS // 50  # 20 ms: less skew between sound and picture is not noticed (ITU-R BT.1359)
ALIGN_MAX_NS = 5 * NS  # more is not skew, but a sender report that cannot be right
STEP_NS = 2 * NS  # our wall clock moving against the monotonic one by more than this was set


class ReceptionCounters(Protocol):
    """What the network did to one session's packets."""

    @property
    def packets(self) -> int: ...
    @property
    def packets_lost(self) -> int: ...
    @property
    def packets_late(self) -> int: ...
    @property
    def packets_ignored(self) -> int: ...
    @property
    def pictures_broken(self) -> int: ...


class Feed:
    """What one connection to a camera pushes into the camera's hub.

    counters: reads the session's reception, once it is connected.
    fault: why the stream cannot be used, once that is known; the session should be ended.
    waiting: why nothing can come yet though nothing is wrong, as a slug and a text; None once something should.
    due: whether the camera was told to play. undecodable_since_ns: monotonic time of the first picture with
        which nothing could begin: no key picture, or none with parameter sets.
    last_arrival_ns: monotonic time of the newest unit; last_picture_ns: of the newest picture, which sound
        that goes on does not move (of any unit, where there is sound alone).
    request_key: asks the camera for a key picture, once it plays.
    last_picture_capture_ns: when that picture was taken, Unix ns; None before the first.
    delay_ns: by which the transport holds everything back on purpose, so that what is lost can come again.
    """

    def __init__(self, hub: Hub, clock: Clock) -> None:
        self.tracks: list[TrackFeed] = []
        self.pushed = 0
        self.fault: FormatError | None = None
        self.counters: Callable[[], ReceptionCounters] | None = None
        self.request_key: Callable[[], None] | None = None
        self.waiting: tuple[str, str] | None = None
        self.due = False
        self.undecodable_since_ns: int | None = None
        self.last_arrival_ns = clock.monotonic_ns()
        self.last_picture_ns = self.last_arrival_ns
        self.last_picture_capture_ns: int | None = None
        self.delay_ns = 0
        self.wall_minus_monotonic_ns = clock.wall_ns() - clock.monotonic_ns()
        self._hub = hub
        self._clock = clock
        self._has_video = False
        self._origin_ns: int | None = None  # when the first unit arrived
        self._begin_ns = 0  # where on the timeline that is
        self._offsets_ns: dict[int, int] = {}

    def add(self, track: Track) -> TrackFeed:
        """A new line of the stream; add all before the first unit."""
        for known in self._hub.tracks:  # what an earlier session found out of the same encoding
            if known.parameter_sets == track.parameter_sets and known.codec is track.codec:
                track = replace(track, max_reorder=max(known.max_reorder, track.max_reorder))
        feed = TrackFeed(self, track)
        self.tracks.append(feed)
        self._has_video |= track.kind is MediaKind.VIDEO
        return feed

    def remove(self, feed: TrackFeed) -> None:
        """Take back a line that the camera will not send."""
        self.tracks.remove(feed)
        self._offsets_ns.pop(feed.track.id, None)

    def announce(self) -> None:
        """Tell the hub what the stream consists of, as far as that is known."""
        known = [feed.track for feed in self.tracks if _is_known(feed.track)]
        if len(known) == len(self.tracks) or self.pushed:
            self._hub.announce(known)

    def play(self) -> None:
        """The camera was told to play: pictures are due from now on."""
        self.due = True
        self.last_arrival_ns = max(self.last_arrival_ns, self._clock.monotonic_ns())
        self.last_picture_ns = self.last_arrival_ns

    def undecodable(self, arrival_ns: int) -> None:
        """A picture came before the first that can be decoded."""
        if self.undecodable_since_ns is None:
            self.undecodable_since_ns = arrival_ns
        self.last_arrival_ns = self.last_picture_ns = arrival_ns

    def start(self, video: bool, arrival_ns: int) -> int | None:
        """Where on the timeline (ns) a track begins whose first unit arrived; None while it must wait."""
        if self._origin_ns is None:
            if not video and any(feed.track.kind is MediaKind.VIDEO for feed in self.tracks):
                return None
            self._origin_ns = arrival_ns
            self._begin_ns = _continue(self._hub.last_unit, arrival_ns)
            self.announce()
        return self._begin_ns + max(arrival_ns - self._origin_ns, 0)

    def push(self, unit: AccessUnit) -> None:
        self.pushed += 1
        self.last_arrival_ns = unit.arrival_ns
        if unit.track.kind is MediaKind.VIDEO or not self._has_video:
            self.last_picture_ns = unit.arrival_ns
            self.last_picture_capture_ns = unit.capture_ns
        self._hub.push(unit)

    def gap(self, gap: Gap) -> None:
        self._hub.gap(gap)

    def align(self, reported: TrackFeed, ntp_ns: int, rtp_timestamp: int) -> None:
        """Bring sound and picture together once both have sender reports (RFC 3550 §6.4.1).

        The track that lies too early is moved forward.
        """
        self._offsets_ns[reported.track.id] = reported.timeline_ns(rtp_timestamp) - ntp_ns
        if len(self._offsets_ns) < 2:
            return
        latest_ns = max(self._offsets_ns.values())
        for feed in self.tracks:
            offset_ns = self._offsets_ns.get(feed.track.id)
            if offset_ns is not None and ALIGN_NS < latest_ns - offset_ns < ALIGN_MAX_NS:
                feed.shift(latest_ns - offset_ns)
                self._offsets_ns[feed.track.id] = latest_ns

    def tick(self) -> None:
        """Look after the clocks; call about once a second."""
        offset_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
        stepped = abs(offset_ns - self.wall_minus_monotonic_ns) > STEP_NS
        self.wall_minus_monotonic_ns = offset_ns
        if stepped and self.pushed:
            last_ns = self.last_capture_ns
            for feed in self.tracks:
                feed.wall_clock_stepped()
            detail = "this machine's clock was set"
            self._hub.gap(Gap(last_ns, max(self._clock.wall_ns(), last_ns), GapReason.CLOCK_JUMP, detail))

    @property
    def last_capture_ns(self) -> int:
        """Capture time of the newest unit; 0 before the first."""
        return max((feed.last_capture_ns for feed in self.tracks), default=0)

    @property
    def clock_offset_ns(self) -> int | None:
        """The camera's wall clock minus ours at the newest sender report of its first track that has one."""
        return next((f.clock_offset_ns for f in self.tracks if f.clock_offset_ns is not None), None)


def _is_known(track: Track) -> bool:
    return track.kind is MediaKind.AUDIO or bool(track.parameter_sets)


def _continue(last: AccessUnit | None, arrival_ns: int) -> int:
    """Where a session's timeline begins: later than the last one's by the time in between.

    A timeline that stepped back at a reconnection would make some players leave pictures out.
    """
    if last is None:
        return BEGIN_NS
    end_ns = last.dts * NS // last.track.clock_rate
    return end_ns + max(arrival_ns - last.arrival_ns, SESSIONS_APART_NS)
