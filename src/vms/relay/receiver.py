"""What a relay sends, put back together: access units, tracks and gaps into a hub.

Belongs here: one session's media. Does not: the session (subscription), RTP (vms.wire), who asked for it (pool).
"""

from collections.abc import Sequence

from vms.media import AccessUnit, Gap, GapReason, Hub, MediaKind, Track
from vms.relay import notices, unit_extension
from vms.relay.unit_extension import UnitTimes, UnitTimesParser
from vms.wire.errors import UnsupportedMedia
from vms.wire.rtcp import Application
from vms.wire.rtp import timestamp_delta
from vms.wire.rtsp.client import MediaLine


class StreamReceiver:
    """All lines of one session with a relay.

    resumes: the hub had media before, so that the first unit of each line is a discontinuity.
    """

    def __init__(self, hub: Hub, media: Sequence[MediaLine], *, resumes: bool) -> None:
        """Raises UnsupportedMedia, ProtocolError when the description is no relay's."""
        self.hub = hub
        self.units = 0
        self.units_broken = 0
        self._known = {track.id: track for track in hub.tracks}
        self._gap_told = False
        self.lines = [LineReceiver(self, line, resumes=resumes) for line in media]
        lead = next((line for line in self.lines if line.track.kind is MediaKind.VIDEO), self.lines[0])
        lead.leads = True

    def announce(self) -> None:
        self.hub.announce([line.track for line in self.lines])

    def same(self, track: Track) -> Track:
        """The object that stands for `track`, so that units can be compared by it."""
        known = self._known.get(track.id)
        if known == track:
            return known
        self._known[track.id] = track
        return track

    def take_track(self, track: Track) -> None:
        """A line has this track from now on."""
        for line in self.lines:
            if line.track.id == track.id and line.track != track:
                line.track = self.same(track)
                self.announce()


class LineReceiver:
    """Implements MediaReceiver and SideReceiver (vms.wire.rtsp.client) for one line.

    leads: a hole in this line's packets is told as a gap. units_broken (of the stream): those whose packets came
    without what belongs to them.
    """

    def __init__(self, stream: StreamReceiver, line: MediaLine, *, resumes: bool) -> None:
        description = line.description
        if line.codec is None or description is None or not unit_extension.is_announced(description):
            raise UnsupportedMedia(f"line {line.index} is no relay's: it announces no access-unit extension")
        track = notices.parse_track_attribute(description.attribute(notices.TRACK_ATTRIBUTE) or "")
        if track.codec is not line.codec or track.clock_rate != line.clock_rate:
            raise UnsupportedMedia(f"line {line.index}: its track is another than its packets'")
        self.track = stream.same(track)
        self.leads = False
        self._stream = stream
        self._parser = UnitTimesParser(description)
        self._times: UnitTimes | None = None
        self._timestamp = 0
        self._broken = resumes  # something before the next unit is missing
        self._last_capture_ns = 0

    def header_extension(self, timestamp: int, profile: int, extension: bytes) -> None:
        self._times = self._parser.parse(profile, extension)
        self._timestamp = timestamp

    def access_unit(self, data: bytes, rtp_timestamp: int, key: bool, lost: bool, arrival_ns: int) -> None:
        times, self._times = self._times, None
        timestamp = rtp_timestamp & 0xFFFFFFFF
        if times is None or timestamp != self._timestamp:  # its first packet is missing
            self._stream.units_broken += 1
            self._broken = True
            return
        capture_ns, dts, is_key, discontinuity = times
        if lost:
            self._tell_loss(capture_ns)
            self._broken = True
        pts = dts + timestamp_delta(timestamp, dts & 0xFFFFFFFF)
        unit = AccessUnit(
            self.track, data, dts, pts, is_key, discontinuity or self._broken, capture_ns, arrival_ns
        )
        self._broken = False
        self._last_capture_ns = capture_ns
        self._stream.units += 1
        self._stream.hub.push(unit)

    def parameter_sets(self, sets: tuple[bytes, ...]) -> None:
        """Not used: the track is told whole, with all that belongs to it."""

    def sender_report(self, ntp_ns: int, rtp_timestamp: int, arrival_ns: int) -> None:
        """Not used: every unit brings its capture time."""

    def application(self, packet: Application) -> None:
        if packet.name == notices.GAP:
            self._stream.hub.gap(notices.parse_gap(packet))
        elif packet.name == notices.TRACK:
            self._stream.take_track(notices.parse_track(packet))

    def _tell_loss(self, capture_ns: int) -> None:
        if self.leads and self._last_capture_ns:
            detail = "relay: this process or the one it subscribes to was too slow"
            end_ns = max(capture_ns, self._last_capture_ns)
            self._stream.hub.gap(Gap(self._last_capture_ns, end_ns, GapReason.OVERRUN, detail))
