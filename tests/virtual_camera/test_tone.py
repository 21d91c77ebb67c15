"""The tone decodes to what it should be, and its loop has no seam."""

import itertools

import av
import pytest

from vms.virtual_camera.options import PatternAudio
from vms.virtual_camera.tone import tone_loop


def test_no_audio_is_no_loop() -> None:
    assert tone_loop(PatternAudio.NONE) is None


def test_pcmu_is_one_second_in_packets_of_20_ms_that_decodes_to_the_wave() -> None:
    loop = tone_loop(PatternAudio.PCMU)
    assert loop is not None
    assert (loop.duration, len(loop.units), loop.track.clock_rate) == (8000, 50, 8000)
    context = av.AudioCodecContext.create("pcm_mulaw", "r")
    context.sample_rate, context.layout = 8000, "mono"
    coded = b"".join(unit.payloads[0] for unit in loop.units)
    samples = memoryview(bytes(context.decode(av.Packet(coded))[0].planes[0])).cast("h")[:8000]
    assert max(samples[:800]) == pytest.approx(16384, rel=0.05)
    assert max(samples[1000:]) == pytest.approx(1638, rel=0.1)
    rising = sum(1 for a, b in itertools.pairwise(samples) if a < 0 <= b)
    assert rising == pytest.approx(440, abs=2)


def test_aac_is_eight_seconds_that_decode_again_and_again_without_a_seam() -> None:
    loop = tone_loop(PatternAudio.AAC)
    assert loop is not None
    assert (loop.duration, len(loop.units), loop.track.clock_rate) == (384_000, 375, 48_000)
    context = av.AudioCodecContext.create("aac", "r")
    context.extradata = loop.track.parameter_sets[0]
    samples: list[float] = []
    for unit in [*loop.units, *loop.units[:60]]:
        for frame in context.decode(av.Packet(unit.payloads[0][4:])):
            samples += memoryview(bytes(frame.planes[0])).cast("f")[: frame.samples]
    loud = [index / 48_000 for index, value in enumerate(samples) if abs(value) > 0.3]
    assert max(second % 1 for second in loud) < 0.13
    assert {round(second) for second in loud} == set(range(10))
    seam = samples[383_000:385_000]
    assert max(abs(b - a) for a, b in itertools.pairwise(seam)) < 0.1
