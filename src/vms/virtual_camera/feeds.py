"""What the RTSP server sends for one virtual camera: footage that loops, or the drawn picture.

Belongs here: the clocks of a camera's lines, what starts and stops with its audience.
Does not: the server (vms.wire.rtsp), when a packet leaves (pacing), what is in it (footage, pattern).
"""

from collections.abc import Sequence
from random import Random

from vms.common.clock import NS, Clock
from vms.media import Track
from vms.virtual_camera.footage import Footage, LoopLine
from vms.virtual_camera.pacing import Pace, Pacer
from vms.virtual_camera.pattern import LivePicture, PatternSource
from vms.virtual_camera.players import LivePlayer, LoopPlayer, RtpClock
from vms.wire.rtsp.server_description import payload_type
from vms.wire.rtsp.server_feed import FeedLine, PacketSink, StartPoint


def _lines(tracks: Sequence[Track], rng: Random) -> list[FeedLine]:
    return [
        FeedLine(track, payload_type(track.codec, line), rng.randrange(1, 1 << 32))
        for line, track in enumerate(tracks)
    ]


def _clocks(lines: Sequence[FeedLine], rng: Random) -> list[RtpClock]:
    return [RtpClock(rng.randrange(1 << 32), line.track.clock_rate) for line in lines]


def _frame_ns(line: LoopLine) -> int:
    """How long one audio frame lasts: a camera sends it when its last sample was captured."""
    return line.duration * NS // line.track.clock_rate // len(line.units)


class FootageFeed:
    """Footage in a loop. It begins anew for the first client after a time without any.

    phase: 0..1, how far into the footage this camera is when it begins, so that cameras that show the
    same do not all send their key pictures at once.
    """

    def __init__(self, footage: Footage, pacer: Pacer, pace: Pace, clock: Clock, phase: float = 0.0) -> None:
        self._pacer = pacer
        self._clock = clock
        self.lines = _lines([line.track for line in footage.lines], pace.rng)
        self._rtp_clocks = _clocks(self.lines, pace.rng)
        video = footage.lines[0]
        self._period_ns = video.duration * NS // video.track.clock_rate
        self._phase_ns = int(self._period_ns * phase)
        self._reorder_ns = int(footage.reorder_s * NS)
        # Audio is sent when it ends; the video's reordering delay may have made room for that already.
        self._delays_ns = [0] + [max(0, _frame_ns(line) - self._reorder_ns) for line in footage.lines[1:]]
        audio_pace = Pace((0, 0), 0, pace.rng)
        self._players = [
            LoopPlayer(
                line,
                self.lines[line],
                audio_pace if line else pace,
                loop,
                self._period_ns if line else None,
            )
            for line, loop in enumerate(footage.lines)
        ]

    def start(self, sink: PacketSink) -> None:
        now_ns = self._clock.monotonic_ns()
        zero_ns = now_ns - self._phase_ns
        for line, player in enumerate(self._players):
            captured = self.rtp_timestamp(line, zero_ns - self._reorder_ns)
            player.begin(sink, zero_ns + self._delays_ns[line], captured, now_ns)
            self._pacer.add(player, now_ns)

    def stop(self) -> None:
        for player in self._players:
            player.end()
            self._pacer.remove(player)

    def want_key(self) -> None:
        """Footage has its key pictures where it has them."""

    def join(self) -> Sequence[StartPoint]:
        sequence_number, timestamp = self._players[0].next_key()
        # The other lines begin with that picture; with which packet is not known yet.
        now_ns = self._clock.monotonic_ns()
        ahead = (timestamp - self.rtp_timestamp(0, now_ns) + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        captured_ns = now_ns + ahead * NS // self._rtp_clocks[0].rate
        others = [
            StartPoint(None, self.rtp_timestamp(line, captured_ns)) for line in range(1, len(self.lines))
        ]
        return [StartPoint(sequence_number, timestamp), *others]

    def rtp_timestamp(self, line: int, monotonic_ns: int) -> int:
        return self._rtp_clocks[line].at(monotonic_ns)


class PatternFeed:
    """The drawn picture, and the tone that goes with it when there is one."""

    def __init__(
        self, source: PatternSource, tone: LoopLine | None, pacer: Pacer, pace: Pace, clock: Clock
    ) -> None:
        self._source = source
        self._pacer = pacer
        self._clock = clock
        tracks = [source.track] if tone is None else [source.track, tone.track]
        self.lines = _lines(tracks, pace.rng)
        self._rtp_clocks = _clocks(self.lines, pace.rng)
        self._video = LivePlayer(0, self.lines[0], pace, source.interval_ns)
        self._tone = tone
        self._audio = (
            LoopPlayer(1, self.lines[1], Pace((0, 0), 0, pace.rng), tone) if tone is not None else None
        )

    def start(self, sink: PacketSink) -> None:
        self._video.begin(sink)
        self._source.subscribe(self._take)
        if self._audio is not None and self._tone is not None:
            now_ns = self._clock.monotonic_ns()
            loop_ns = self._tone.duration * NS // self._tone.track.clock_rate
            zero_ns = now_ns - self._clock.wall_ns() % loop_ns
            delay_ns = _frame_ns(self._tone)
            self._audio.begin(sink, zero_ns + delay_ns, self.rtp_timestamp(1, zero_ns), now_ns)
            self._pacer.add(self._audio, now_ns)

    def stop(self) -> None:
        self._source.unsubscribe(self._take)
        self._video.end()
        self._pacer.remove(self._video)
        if self._audio is not None:
            self._audio.end()
            self._pacer.remove(self._audio)

    def want_key(self) -> None:
        """Encode a key picture soon."""
        self._source.want_key()

    def join(self) -> Sequence[StartPoint]:
        # A camera gives a new client a key picture at once; its number is known when it is encoded.
        self.want_key()
        now_ns = self._clock.monotonic_ns()
        return [StartPoint(None, self.rtp_timestamp(line, now_ns)) for line in range(len(self.lines))]

    def rtp_timestamp(self, line: int, monotonic_ns: int) -> int:
        return self._rtp_clocks[line].at(monotonic_ns)

    def _take(self, picture: LivePicture) -> None:
        now_ns = self._clock.monotonic_ns()
        timestamp = self.rtp_timestamp(0, picture.captured_ns)
        if self._video.offer(now_ns, timestamp, picture.payloads, picture.key):
            next_ns = self._video.advance(now_ns)
            if next_ns is not None:
                self._pacer.add(self._video, next_ns)
