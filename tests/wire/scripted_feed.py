"""A feed for tests of the RTSP server: sends what the test tells it to, when it tells it to."""

from collections.abc import Sequence

from vms.format.codecs import audio_track
from vms.media import Codec, Track
from vms.wire.rtsp.server_feed import FeedLine, PacketSink, RtpRun, StartPoint

SPS = bytes.fromhex("6742c01fda014016e840000003004000000ca3c60ca8")
PPS = bytes.fromhex("68ce3c80")
VIDEO = Track(1, Codec.H264, 90_000, (SPS, PPS), width=1280, height=720)
AUDIO = audio_track(2, Codec.PCMU, sample_rate=8000, channels=1)


class ScriptedFeed:
    """One video line, with SSRC 0x11111111, and one of PCMU audio, with 0x22222222."""

    def __init__(self) -> None:
        self.lines = [FeedLine(VIDEO, 96, 0x11111111), FeedLine(AUDIO, 0, 0x22222222)]
        self.starts = 0
        self.stops = 0
        self.sink: PacketSink | None = None
        self.sequence_numbers = [65_530, 100]

    def start(self, sink: PacketSink) -> None:
        self.starts += 1
        self.sink = sink

    def stop(self) -> None:
        self.stops += 1
        self.sink = None

    def join(self) -> Sequence[StartPoint]:
        return [StartPoint(self.sequence_numbers[0], 9000), StartPoint(None, 800)]

    def rtp_timestamp(self, line: int, monotonic_ns: int) -> int:
        return monotonic_ns * self.lines[line].track.clock_rate // 1_000_000_000 & 0xFFFFFFFF

    def push(
        self,
        *payloads: bytes,
        line: int = 0,
        timestamp: int = 0,
        key: bool = False,
        marker: bool = True,
    ) -> None:
        """Send packets, as one run."""
        assert self.sink is not None, "a client plays before media is pushed"
        run = RtpRun(
            line,
            self.lines[line],
            sequence_number=self.sequence_numbers[line],
            timestamp=timestamp,
            payloads=payloads,
            marker=marker,
            starts=key or line == 1,
        )
        self.sequence_numbers[line] = (self.sequence_numbers[line] + len(payloads)) & 0xFFFF
        self.sink.send(run)
