"""Pictures that WebRTC cannot carry become pictures that it can."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.transcode.transcode_material import START_NS, brightness, filmed, heard

from vms.common.clock import NS
from vms.media import AccessUnit, Codec
from vms.stream.viewability import viewability_of
from vms.transcode import TranscodeOptions
from vms.transcode.pictures import PictureTranscoder
from vms.transcode.sounds import SoundTranscoder


def _all(transcoder: PictureTranscoder, units: Sequence[AccessUnit]) -> list[AccessUnit]:
    return [out for unit in units for out in transcoder.units(unit)]


@pytest.mark.parametrize(("codec", "b_frames"), [(Codec.H264, 2), (Codec.H265, 0), (Codec.H265, 2)])
def test_what_comes_out_can_be_carried_by_webrtc_and_shows_the_same(codec: Codec, b_frames: int) -> None:
    source = filmed(codec, b_frames=b_frames)

    out = _all(PictureTranscoder(TranscodeOptions()), source)

    assert len(out) >= len(source) - 4  # the decoder still holds those that B-frames might follow
    assert viewability_of([out[0].track], reorders=any(u.pts != u.dts for u in out)).playable
    assert out[0].key
    shown = dict(brightness(source))
    for pts, light in brightness(out):
        assert light == pytest.approx(shown[pts], abs=3)


def test_every_picture_keeps_the_time_at_which_it_was_captured() -> None:
    out = _all(PictureTranscoder(TranscodeOptions()), filmed(Codec.H265))

    assert [unit.capture_ns for unit in out] == [START_NS + unit.pts * NS // 90_000 for unit in out]
    assert all(later.pts > unit.pts for unit, later in pairwise(out))


def test_a_tall_picture_becomes_smaller_and_keeps_its_shape() -> None:
    out = _all(PictureTranscoder(TranscodeOptions(max_height=90)), filmed(Codec.H265, 5))

    assert (out[0].track.width, out[0].track.height) == (160, 90)


def test_key_pictures_come_regularly_and_when_one_is_asked_for() -> None:
    transcoder = PictureTranscoder(TranscodeOptions(key_interval_s=0.8))
    source = filmed(Codec.H264, 60, b_frames=0)

    out = [o for at, unit in enumerate(source) for o in transcoder.units(unit, key=at == 30)]

    assert [at for at, unit in enumerate(out) if unit.key] == [0, 20, 30, 50]


def test_pictures_for_which_there_is_no_time_are_left_out_and_counted_and_the_rest_decodes() -> None:
    transcoder = PictureTranscoder(TranscodeOptions())
    source = filmed(Codec.H264, b_frames=0)

    out = [o for at, unit in enumerate(source) for o in transcoder.units(unit, wanted=at >= 25)]

    assert out[0].key
    assert [light for _, light in brightness(out)] == pytest.approx(
        [light for _, light in brightness(source)][-len(out) :], abs=3
    )
    assert transcoder.skipped == 25
    assert len(out) == len(source) - 25


def test_a_broken_picture_is_counted_and_the_next_key_picture_mends_it() -> None:
    transcoder = PictureTranscoder(TranscodeOptions())
    source = filmed(Codec.H264, 45, b_frames=0)
    broken = [
        unit._replace(data=bytes((0, 0, 0, 2, 0x41, 0))) if at == 5 else unit
        for at, unit in enumerate(source)
    ]

    out = _all(transcoder, broken)

    assert transcoder.broken >= 1
    assert out[-1].pts == source[-1].pts
    assert dict(brightness(out))[source[-1].pts] == pytest.approx(40 + 3 * 44, abs=3)


def test_after_a_loss_it_goes_on_with_a_key_picture_that_says_so() -> None:
    transcoder = PictureTranscoder(TranscodeOptions())
    source = filmed(Codec.H264, 60, b_frames=0)
    first = _all(transcoder, source[:10])
    transcoder.restart()

    out = _all(transcoder, source[15:])

    assert first
    assert not any(unit.discontinuity for unit in first)
    assert (out[0].key, out[0].discontinuity, out[0].pts) == (True, True, source[20].pts)
    assert not any(unit.discontinuity for unit in out[1:])


def test_pictures_made_of_one_that_was_lost_do_not_come_out() -> None:
    transcoder = PictureTranscoder(TranscodeOptions())
    source = filmed(Codec.H264, 60, b_frames=0)
    source[12] = source[12]._replace(discontinuity=True)  # 11 was lost

    out = _all(transcoder, [*source[:11], *source[12:]])

    assert [unit.pts for unit in out] == [unit.pts for unit in [*source[:11], *source[20:]]]
    assert [unit.pts for unit in out if unit.discontinuity] == [source[20].pts]


def test_a_key_picture_that_is_asked_for_while_none_can_come_out_comes_with_the_next_that_can() -> None:
    transcoder = PictureTranscoder(TranscodeOptions(key_interval_s=100))
    source = filmed(Codec.H264, 50, b_frames=0)

    out = [o for at, unit in enumerate(source) for o in transcoder.units(unit, wanted=at != 30, key=at == 30)]

    assert [unit.pts for unit in out if unit.key] == [source[0].pts, source[31].pts]


@pytest.mark.parametrize("version", [0, 1])
def test_where_pictures_begin_anew_those_held_back_come_first_and_time_does_not_step_back(
    version: int,
) -> None:
    transcoder = PictureTranscoder(TranscodeOptions())
    first = filmed(Codec.H264, 18, b_frames=2)
    anew = filmed(Codec.H264, 20, b_frames=0, at=max(unit.dts for unit in first) + 3600)
    track = replace(anew[0].track, version=version)
    anew = [unit._replace(track=track) for unit in anew]
    assert anew[0].pts < max(unit.pts for unit in first)
    anew[0] = anew[0]._replace(discontinuity=True)

    out = _all(transcoder, [*first, *anew])

    assert all(later.dts > unit.dts for unit, later in pairwise(out))
    assert out[-1].pts == anew[-1].pts


def test_another_codec_and_size_in_mid_stream_is_another_version_of_the_track() -> None:
    transcoder = PictureTranscoder(TranscodeOptions())

    before = _all(transcoder, filmed(Codec.H264, b_frames=0))
    after = _all(transcoder, filmed(Codec.H265, width=480, height=272, at=90_000 * 60))

    assert (before[0].track.width, after[-1].track.width) == (320, 480)
    assert after[-1].track.version == before[0].track.version + 1
    assert len(brightness([*before, *after])) >= 76


def test_an_encoder_that_this_machine_lacks_is_replaced_by_the_one_that_needs_nothing() -> None:
    out = _all(PictureTranscoder(TranscodeOptions(encoder="h264_nvenc")), filmed(Codec.H265, 10, b_frames=0))

    assert len(brightness(out)) >= 8


@pytest.mark.parametrize("nonsense", [{"most": 0}, {"max_height": 4}, {"bitrate": 5}, {"encoder": "theora"}])
def test_options_that_cannot_be_are_refused(nonsense: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"cannot be|no encoder"):
        TranscodeOptions(**nonsense)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 2)])
def test_aac_becomes_opus_at_the_same_times(rate: int, channels: int) -> None:
    source = heard(2.0, rate=rate, channels=channels)
    transcoder = SoundTranscoder(source[0].track)

    out = [o for unit in source for o in transcoder.units(unit)]

    assert {unit.track.codec for unit in out} == {Codec.OPUS}
    assert len(out) == pytest.approx(100, abs=5)
    for unit in out:
        assert unit.capture_ns == pytest.approx(START_NS + unit.pts * NS // 48_000, abs=NS // 1000)
    assert {later.pts - unit.pts for unit, later in pairwise(out)} == {960}


def test_sound_that_webrtc_carries_goes_through_untouched() -> None:
    source = heard(0.5)
    opus = [o for unit in source for o in SoundTranscoder(source[0].track).units(unit)]

    assert SoundTranscoder(opus[0].track).units(opus[0]) == [opus[0]]


def test_sound_that_jumps_goes_on_from_where_it_jumped_to() -> None:
    source = heard(2.0)
    later = [unit._replace(pts=unit.pts + 160_000, dts=unit.dts + 160_000) for unit in source[20:]]
    transcoder = SoundTranscoder(source[0].track)

    out = [o for unit in [*source[:10], *later] for o in transcoder.units(unit)]

    steps = [(at, b.pts - a.pts) for at, (a, b) in enumerate(pairwise(out)) if b.pts - a.pts != 960]
    assert len(steps) == 1
    assert steps[0][1] > 400_000
    assert out[steps[0][0] + 1].discontinuity


def test_sound_that_says_it_is_a_little_before_what_came_out_already_does_not_step_back() -> None:
    source = heard(3.0)
    back = [unit._replace(pts=unit.pts - 8_000, dts=unit.dts - 8_000) for unit in source[20:]]
    transcoder = SoundTranscoder(source[0].track)

    out = [o for unit in [*source[:20], *back] for o in transcoder.units(unit)]

    assert all(later.pts > unit.pts for unit, later in pairwise(out))
    assert out[-1].pts == pytest.approx(back[-1].pts * 3, abs=3 * 4_800)


def test_sound_whose_channels_change_in_mid_stream_goes_on() -> None:
    one, both = heard(1.0, channels=1), heard(1.0, channels=2)
    shift = one[-1].pts + 1024
    after = [u._replace(track=one[0].track, pts=u.pts + shift, dts=u.dts + shift) for u in both]
    transcoder = SoundTranscoder(one[0].track)

    out = [o for unit in [*one, *after] for o in transcoder.units(unit)]

    assert len(out) == pytest.approx(100, abs=8)
