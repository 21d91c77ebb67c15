"""The sound of a clip that is encoded again: whatever it was becomes AAC, and what is missing becomes silence.

Belongs here: decoding, placing and encoding sound. Does not: pictures (burn_in).
All methods block, in one thread at a time.
"""

from fractions import Fraction
from typing import TYPE_CHECKING

from vms.format.hybrid import SampleTable
from vms.media import Codec, Track
from vms.storage.playback.cutlist import Cut

if TYPE_CHECKING:
    import av

_DECODERS = {Codec.AAC: "aac", Codec.OPUS: "opus", Codec.PCMU: "pcm_mulaw", Codec.PCMA: "pcm_alaw"}
_TOUCH_S = Fraction(1, 25)  # a frame that is no further from where the sound so far ends follows it
_SILENCE_SAMPLES = 1024


class Sound:
    """The sound track of `output`, as the first track that is heard has it."""

    def __init__(self, output: "av.container.OutputContainer", track: Track) -> None:
        import av

        self._output = output
        self._rate = track.sample_rate or track.clock_rate
        self._layout = "mono" if track.channels == 1 else "stereo"
        self._stream = output.add_stream("aac", rate=self._rate, layout=self._layout)
        self._resampler = av.AudioResampler("fltp", self._layout, self._rate)
        self._heard = 0  # samples so far

    def add(
        self, cut: Cut, table: SampleTable, origin_s: Fraction, from_s: Fraction, until_s: Fraction
    ) -> None:
        """What is heard while a cut is shown.

        origin_s: of the stream's timeline, where the cut's first picture is; from_s, until_s: where that and the cut's
        end are in the clip. What cannot be decoded is silent. Raises FormatError, OSError.
        """
        import av

        name = _DECODERS.get(table.track.codec)
        if name is None:
            return
        decoder = _decoder(name, table.track)
        resampler = av.AudioResampler("fltp", self._layout, self._rate)
        dts = table.first_dts
        for index in range(len(table)):
            at_s = Fraction(dts, table.track.clock_rate) - origin_s + from_s
            dts += table.durations[index]
            if at_s < from_s - _TOUCH_S or at_s >= until_s:
                continue
            try:
                data = cut.opened.read_at(table.offsets[index], table.sizes[index])
                frames = decoder.decode(av.Packet(data))
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                frame.pts = None
                for heard in resampler.resample(frame):
                    self._place(heard, at_s)

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._output.mux(self._stream.encode(None))

    def _place(self, frame: "av.AudioFrame", at_s: Fraction) -> None:
        missing = round(at_s * self._rate) - self._heard
        if missing < -_TOUCH_S * self._rate:
            return  # its time has been heard already
        if missing > _TOUCH_S * self._rate:
            self._be_silent(missing)
        self._encode(frame)

    def _be_silent(self, samples: int) -> None:
        import av

        while samples > 0:
            count = min(samples, _SILENCE_SAMPLES)
            silence = av.AudioFrame("fltp", self._layout, count)
            silence.sample_rate = self._rate
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            self._encode(silence)
            samples -= count

    def _encode(self, frame: "av.AudioFrame") -> None:
        frame.pts, frame.time_base = self._heard, Fraction(1, self._rate)
        self._heard += frame.samples
        self._output.mux(self._stream.encode(frame))


def _decoder(name: str, track: Track) -> "av.AudioCodecContext":
    import av

    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = track.sample_rate or track.clock_rate
    decoder.layout = "mono" if track.channels == 1 else "stereo"
    if track.codec is Codec.AAC and track.parameter_sets:
        decoder.extradata = track.parameter_sets[0]
    return decoder
