"""Sound of one stream → Opus, where it is AAC; what WebRTC carries already goes through as it is.

Belongs here: decoding, resampling, encoding sound. Does not: pictures (pictures), threads (service).
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from vms.common.clock import NS
from vms.format.codecs import OPUS_CLOCK_RATE, audio_track
from vms.media import AccessUnit, Codec, Track

if TYPE_CHECKING:
    import av
    from av import AudioCodecContext, AudioResampler

FRAME_SAMPLES = 960  # 20 ms, what WebRTC expects (RFC 7587 §4.2)
BITRATE = 64_000
TOUCH_SAMPLES = OPUS_CLOCK_RATE // 10
"""Where the sound is this far from where it should be, it goes on from there: packets were lost."""
ANEW_SAMPLES = OPUS_CLOCK_RATE
"""Sound further than this before what has come out has a timeline of its own; nearer, what overlaps is left out."""
AS_IT_IS = frozenset({Codec.OPUS, Codec.PCMU, Codec.PCMA})


class SoundTranscoder:
    """One audio line. broken: frames that could not be decoded."""

    def __init__(self, source: Track) -> None:
        """Raises av.FFmpegError, ValueError when its sound cannot be decoded."""
        self.broken = 0
        self.source = source
        self.track = source
        if source.codec in AS_IT_IS:
            return
        channels = 1 if source.channels == 1 else 2
        self.track = audio_track(source.id, Codec.OPUS, sample_rate=OPUS_CLOCK_RATE, channels=channels)
        layout = self._layout = "mono" if channels == 1 else "stereo"
        self._decoder = _decoder(source, layout)
        self._encoder = _encoder(layout)
        self._resampler = _resampler(layout)
        self._next: int | None = None  # in samples at 48 kHz: where the next frame belongs
        self._behind: AccessUnit | None = None  # whose times hold for it

    def units(self, unit: AccessUnit) -> list[AccessUnit]:
        """What comes out when `unit` goes in."""
        if self.track is self.source:
            return [unit]
        import av

        at = unit.pts * OPUS_CLOCK_RATE // self.source.clock_rate
        try:
            frames = self._decoder.decode(av.Packet(unit.data))
        except av.FFmpegError:
            self.broken += 1
            return []
        ahead = self._next - at if self._next is not None else None
        if ahead is not None and TOUCH_SAMPLES < ahead <= ANEW_SAMPLES:
            return []  # came out already; time never steps back by it
        jumped = ahead is None or abs(ahead) > TOUCH_SAMPLES or unit.discontinuity
        if jumped:
            self._next = at if ahead is None or not 0 < ahead <= ANEW_SAMPLES else at + ahead
            self._resampler = _resampler(self._layout)
        self._behind = unit
        out: list[AccessUnit] = []
        for frame in frames:
            frame.pts = None
            for piece in self._resampled(frame):
                out += self._encode(piece, at, jumped and not out)
        return out

    def _resampled(self, frame: "av.AudioFrame") -> Sequence["av.AudioFrame"]:
        try:
            return self._resampler.resample(frame)
        except ValueError:  # its channels or its rate changed in mid-stream
            self._resampler = _resampler(self._layout)
            return self._resampler.resample(frame)

    def _encode(self, piece: "av.AudioFrame", at: int, discontinuity: bool) -> list[AccessUnit]:
        assert self._next is not None and self._behind is not None
        piece.pts, piece.time_base = self._next, Fraction(1, OPUS_CLOCK_RATE)
        pts, self._next = self._next, self._next + piece.samples
        capture_ns = self._behind.capture_ns + (pts - at) * NS // OPUS_CLOCK_RATE
        return [
            AccessUnit(
                self.track, bytes(packet), pts, pts, True, discontinuity, capture_ns, self._behind.arrival_ns
            )
            for packet in self._encoder.encode(piece)
        ]


def _decoder(track: Track, layout: str) -> "AudioCodecContext":
    import av

    decoder = av.CodecContext.create("aac", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = track.sample_rate or track.clock_rate
    decoder.layout = layout
    if track.parameter_sets:
        decoder.extradata = track.parameter_sets[0]
    return decoder


def _encoder(layout: str) -> "AudioCodecContext":
    import av

    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = OPUS_CLOCK_RATE, layout, "s16"
    encoder.bit_rate = BITRATE
    encoder.options = {"application": "lowdelay", "frame_duration": "20"}
    encoder.time_base = Fraction(1, OPUS_CLOCK_RATE)
    return encoder


def _resampler(layout: str) -> "AudioResampler":
    import av

    return av.AudioResampler("s16", layout, OPUS_CLOCK_RATE, frame_size=FRAME_SAMPLES)
