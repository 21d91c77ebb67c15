"""A transport stream, as its bytes come, into a feed: its first picture line and its first sound.

Times: a transport stream has no wall clock. Its times (90 kHz, pictures and sound on one clock) give the timeline;
capture times follow arrival, as for RTSP cameras without sender reports (track_feed).

Belongs here: which lines become tracks, their times. Does not: packets (vms.format.mpegts), SRT (gateway).
"""

from dataclasses import dataclass

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.format import h264, h265
from vms.format.codecs import VIDEO_CLOCK_RATE, audio_track
from vms.format.errors import FormatError
from vms.format.mpegts import TsDemuxer, TsFrame
from vms.format.mpegts.tables import CLOCK_RATE, Elementary
from vms.ingest.errors import SourceProtocolError, SourceUnsupported
from vms.ingest.feed import Feed
from vms.ingest.track_feed import TrackFeed
from vms.media import Codec, MediaKind, Track
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

PACKETS_A_MESSAGE = 7  # as good as every sender has them
PROGRAM_BYTES = 2 << 20
PROGRAM_NS = 5 * NS
"""A stream that has not said by then what it consists of is none."""
SOUND_NS = NS
"""So long the beginning is kept for sound that is announced, so that a stream begins with all its tracks."""
HELD_BYTES = 8 << 20
STRAY_NS = 5 * NS
"""Sound further than this from where the pictures put it has another clock."""
MAX_UNITS_A_SECOND = 2_000
"""No encoder has as many pictures and sounds, also when it catches up; each costs time that other cameras need."""
CHANGE_COSTS = 50
"""A change of the program counts as so many."""
VIDEO_ID, AUDIO_ID = 1, 2
_SETS = {Codec.H264: (h264.SPS, h264.PPS), Codec.H265: (h265.VPS, h265.SPS, h265.PPS)}
_NAL_TYPE = {Codec.H264: h264.nal_type, Codec.H265: h265.nal_type}


@dataclass(frozen=True, slots=True)
class TsReception:
    """Implements `ReceptionCounters`; packets are those of the transport stream, 188 bytes each."""

    packets: int = 0
    packets_lost: int = 0
    packets_late: int = 0
    packets_ignored: int = 0
    pictures_broken: int = 0


class _TsTrack:
    """One line that became a track."""

    def __init__(self, line: Elementary, feed: TrackFeed) -> None:
        self.line = line
        self.feed = feed
        self.newest: tuple[int, int] | None = None  # ticks of 90 kHz, and of the track
        self.sets: tuple[bytes, ...] = ()

    def ticks(self, pts: int) -> int:
        """Time in ticks of the track. Sound's is rounded in the stream: where it follows, it follows exactly."""
        track = self.feed.track
        if track.kind is MediaKind.VIDEO:
            return pts
        at = round(pts * track.clock_rate / CLOCK_RATE)
        if self.newest is not None and track.codec is Codec.AAC:
            expected = self.newest[1] + 1024
            if abs(at - expected) <= track.clock_rate // 500:
                return expected
        return at


class TsFeed:
    """Fills `feed` from the bytes of one connection."""

    def __init__(self, feed: Feed, camera_id: CameraId) -> None:
        self._feed = feed
        self._camera_id = camera_id
        self._demuxer = TsDemuxer()
        self._lines: list[Elementary] = []  # as the program was when tracks were last looked at
        self._tracks: dict[int, _TsTrack] = {}  # by PID
        self._held: list[tuple[TsFrame, int]] | None = []  # None once the stream has begun
        self._held_bytes = 0
        self._bytes = 0
        self._first_ns: int | None = None
        self._zero: tuple[int, int] | None = None  # time (90 kHz) and arrival of the first unit
        self._second_ns = 0
        self._in_second = 0
        self._messages_lost = 0
        feed.counters = self.reception

    def reception(self) -> TsReception:
        counters = self._demuxer.counters
        lost = counters.lost + PACKETS_A_MESSAGE * self._messages_lost
        return TsReception(counters.packets, lost, 0, counters.resyncs, counters.broken)

    def data(self, data: bytes, arrival_ns: int) -> None:
        """Take what came. Raises SourceProtocolError, SourceUnsupported: the connection is of no use."""
        if self._first_ns is None:
            self._first_ns = arrival_ns
        self._bytes += len(data)
        frames = self._demuxer.feed(data)
        changed = self._demuxer.lines != self._lines
        self._spend(len(frames) + CHANGE_COSTS * changed, arrival_ns)
        if changed:
            self._program_changed()
        if not self._lines and (self._bytes > PROGRAM_BYTES or arrival_ns - self._first_ns > PROGRAM_NS):
            raise SourceProtocolError(
                f"{self._camera_id}: what comes is no MPEG transport stream, or one that does not say what it "
                "consists of (PAT and PMT); set the encoder to MPEG-TS"
            )
        for frame in frames:
            self._take(frame, arrival_ns)
        if self._held is not None and self._lines:
            self._begin_when_known(arrival_ns)

    def lost(self, messages: int) -> None:
        """So many messages before what follows were given up."""
        self._messages_lost += messages
        self._demuxer.lost()

    def end(self, arrival_ns: int) -> None:
        """The connection ended: a last picture that is known to be whole is pushed."""
        if self._held is None:
            for frame in self._demuxer.flush(torn=True):
                self._push(frame, arrival_ns)

    def close(self) -> None:
        """Take the tracks back, as if nobody had come."""
        for track in self._tracks.values():
            self._feed.remove(track.feed)
        self._tracks.clear()

    def _spend(self, units: int, arrival_ns: int) -> None:
        if arrival_ns - self._second_ns > NS:
            self._second_ns, self._in_second = arrival_ns, 0
        self._in_second += units
        if self._in_second > MAX_UNITS_A_SECOND:
            raise SourceProtocolError(
                f"{self._camera_id}: more than {MAX_UNITS_A_SECOND} pictures and sounds a second"
            )

    # what the stream consists of

    def _program_changed(self) -> None:
        self._lines = self._demuxer.lines
        chosen = self._chosen()
        if not chosen:
            names = ", ".join(line.name for line in self._lines) or "nothing"
            raise SourceUnsupported(
                f"{self._camera_id}: the encoder sends {names}; set it to H.264 or H.265, and sound to AAC or Opus"
            )
        left_out = [line.name for line in self._lines if line.pid not in chosen]
        if left_out:
            log.info("lines of the stream are left out", camera=self._camera_id, lines=left_out)
        gone = [pid for pid, track in self._tracks.items() if chosen.get(pid) != track.line]
        for pid in gone:
            self._feed.remove(self._tracks.pop(pid).feed)
        if gone:
            self._feed.announce()

    def _chosen(self) -> dict[int, Elementary]:
        """The first line of each kind, by PID, as the demuxer takes them."""
        found: dict[MediaKind, Elementary] = {}
        for line in self._lines:
            if line.codec is not None:
                found.setdefault(line.codec.kind, line)
        return {line.pid: line for line in found.values()}

    def _begin_when_known(self, arrival_ns: int) -> None:
        held, first_ns = self._held, self._first_ns
        assert held is not None and first_ns is not None
        sound = {
            pid for pid, line in self._chosen().items() if line.codec and line.codec.kind is MediaKind.AUDIO
        }
        waits = sound - {frame.pid for frame, _ in held}
        began_ns = held[0][1] if held else arrival_ns
        if waits and arrival_ns - began_ns < SOUND_NS and self._held_bytes < HELD_BYTES:
            return
        self._held = None
        for pid, line in self._chosen().items():
            if line.codec is not None and line.codec.kind is MediaKind.VIDEO:
                self._tracks[pid] = self._video(line)
        for frame, _ in held:
            self._track(frame)
        for frame, came_ns in held:
            self._push(frame, came_ns)

    def _take(self, frame: TsFrame, arrival_ns: int) -> None:
        if self._held is None:
            self._push(frame, arrival_ns)
        else:
            self._held.append((frame, arrival_ns))
            self._held_bytes += len(frame.data)

    def _track(self, frame: TsFrame) -> _TsTrack | None:
        """The track of a frame, made when it is the first; None for sound that does not say what it is."""
        track, line = self._tracks.get(frame.pid), self._chosen().get(frame.pid)
        if line is None or line.codec is not frame.codec:
            return None  # of the program as it was before it changed
        if frame.codec.kind is MediaKind.VIDEO:
            if track is None:
                track = self._tracks[frame.pid] = self._video(line)
            return track
        if track is not None and _same_sound(track.feed.track, frame):
            return track
        return self._sound(frame, line, track)

    def _video(self, line: Elementary) -> _TsTrack:
        assert line.codec is not None
        return _TsTrack(line, self._feed.add(Track(VIDEO_ID, line.codec, VIDEO_CLOCK_RATE)))

    def _sound(self, frame: TsFrame, line: Elementary, before: _TsTrack | None) -> _TsTrack | None:
        if not frame.channels:
            return before
        try:
            made = audio_track(
                AUDIO_ID,
                frame.codec,
                sample_rate=frame.sample_rate,
                channels=frame.channels,
                parameter_sets=frame.parameter_sets,
                version=before.feed.track.version + 1 if before is not None else 0,
            )
        except FormatError:
            return before
        if before is not None:
            self._feed.remove(before.feed)
        track = self._tracks[frame.pid] = _TsTrack(line, self._feed.add(made))
        if self._feed.pushed:
            self._feed.announce()
        return track

    # frames

    def _push(self, frame: TsFrame, arrival_ns: int) -> None:
        track = self._track(frame)
        if track is None:
            return
        feed, video = track.feed, frame.codec.kind is MediaKind.VIDEO
        if video and frame.parameter_sets:
            self._parameter_sets(track, frame)
        if feed.units == 0 and self._zero is not None:
            placed_ns = self._zero[1] + (frame.pts - self._zero[0]) * NS // CLOCK_RATE
            if abs(placed_ns - arrival_ns) < STRAY_NS:
                if placed_ns < self._zero[1]:
                    return  # sound from before the first picture
                arrival_ns = placed_ns
        lost = frame.discontinuity and feed.units > 0
        ticks = track.ticks(frame.pts)
        feed.access_unit(frame.data, ticks, frame.key, lost, arrival_ns)
        if feed.units == 0:
            return
        track.newest = frame.pts, ticks
        if self._zero is None:
            self._zero = frame.pts, arrival_ns
        if video and frame.key:
            self._align()

    def _align(self) -> None:
        """All lines have one clock; what its jumps tore apart comes together again."""
        for track in self._tracks.values():
            if track.newest is not None:
                self._feed.align(track.feed, track.newest[0] * NS // CLOCK_RATE, track.newest[1])

    def _parameter_sets(self, track: _TsTrack, frame: TsFrame) -> None:
        kinds, nal_type = _SETS[frame.codec], _NAL_TYPE[frame.codec]
        given = tuple(dict.fromkeys(frame.parameter_sets))
        named = {nal_type(each) for each in given}
        kept = tuple(each for each in track.sets if nal_type(each) not in named)
        sets = tuple(sorted(given + kept, key=lambda each: kinds.index(nal_type(each))))
        if sets != track.sets and {nal_type(each) for each in sets} >= set(kinds):
            track.feed.parameter_sets(sets)
        track.sets = sets


def _same_sound(track: Track, frame: TsFrame) -> bool:
    if not frame.channels:
        return True
    return (track.codec, track.sample_rate, track.channels) == (
        frame.codec,
        frame.sample_rate,
        frame.channels,
    ) and (not frame.parameter_sets or track.parameter_sets == frame.parameter_sets)
