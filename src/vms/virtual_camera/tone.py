"""The sound of the drawn picture: a quiet 440 Hz tone, loud for the first tenth of every second.

Played on the wall clock, so that sound and the picture's clock can be compared. The loops end where
they begin, in the wave and in the codec's state.

Belongs here: making the sound, coded. Does not: when it is played (players).
"""

import math
from array import array

import av

from vms.format.codecs import audio_track
from vms.media import Codec, Track
from vms.virtual_camera.footage import G711_FRAME_BYTES, LoopLine, loop_line
from vms.virtual_camera.options import PatternAudio

TONE_HZ = 440
_LOUD, _QUIET = 0.5, 0.05
_LOUD_PART_OF_SECOND = 0.1
_AAC_RATE_HZ, _AAC_FRAME, _AAC_LOOP_S = 48_000, 1024, 8  # 375 frames are 8 s exactly
_AAC_BIT_RATE = 64_000
_PCMU_RATE_HZ = 8_000


def tone_loop(kind: PatternAudio) -> LoopLine | None:
    """The tone as a loop that begins on a whole second of the wall clock; its duration divides a minute.

    AAC begins on multiples of 8 s of Unix time. None for no audio.
    """
    match kind:
        case PatternAudio.PCMU:
            return _pcmu()
        case PatternAudio.AAC:
            return _aac()
        case PatternAudio.NONE:
            return None


def _wave(rate_hz: int) -> "array[float]":
    """One second; 440 whole waves, so that it repeats without a step."""
    return array(
        "f",
        (
            (_LOUD if index < rate_hz * _LOUD_PART_OF_SECOND else _QUIET)
            * math.sin(2 * math.pi * TONE_HZ * index / rate_hz)
            for index in range(rate_hz)
        ),
    )


def _pcmu() -> LoopLine:
    coded = bytes(_mu_law(round(value * 32767)) for value in _wave(_PCMU_RATE_HZ))
    samples = [
        (start, start, True, coded[start : start + G711_FRAME_BYTES])
        for start in range(0, len(coded), G711_FRAME_BYTES)
    ]
    track = audio_track(2, Codec.PCMU, sample_rate=_PCMU_RATE_HZ, channels=1)
    return loop_line(track, samples, _PCMU_RATE_HZ)


def _mu_law(sample: int) -> int:
    """One 16-bit sample in PCMU (ITU-T G.711)."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = max(0, magnitude.bit_length() - 8)
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0xF) & 0xFF


def _aac() -> LoopLine:
    frames_a_loop = _AAC_RATE_HZ * _AAC_LOOP_S // _AAC_FRAME
    frames, track = _encode_aac(2 * frames_a_loop + 2)
    # One frame of priming comes first. From the second loop on the encoder is in its steady state.
    steady = frames[1 + frames_a_loop : 1 + 2 * frames_a_loop]
    samples = [(index * _AAC_FRAME, index * _AAC_FRAME, True, data) for index, data in enumerate(steady)]
    return loop_line(track, samples, _AAC_RATE_HZ * _AAC_LOOP_S)


def _encode_aac(count: int) -> tuple[list[bytes], Track]:
    context = av.AudioCodecContext.create("aac", "w")
    context.sample_rate = _AAC_RATE_HZ
    context.layout = "mono"
    context.format = "fltp"
    context.bit_rate = _AAC_BIT_RATE
    context.open()
    second = _wave(_AAC_RATE_HZ)
    endless = second + second[:_AAC_FRAME]
    frames: list[bytes] = []
    for index in range(count):
        start = index * _AAC_FRAME % _AAC_RATE_HZ
        frame = av.AudioFrame(format="fltp", layout="mono", samples=_AAC_FRAME)
        frame.sample_rate = _AAC_RATE_HZ
        frame.pts = index * _AAC_FRAME
        frame.planes[0].update(endless[start : start + _AAC_FRAME].tobytes())
        frames += [bytes(packet) for packet in context.encode(frame)]
    configuration = bytes(context.extradata or b"")
    return frames, audio_track(
        2, Codec.AAC, sample_rate=_AAC_RATE_HZ, channels=1, parameter_sets=(configuration,)
    )
