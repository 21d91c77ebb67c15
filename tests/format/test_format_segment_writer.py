from dataclasses import replace
from itertools import pairwise

import pytest
from tests.format.format_material import (
    AUDIO,
    IDENTITY,
    NS,
    START_NS,
    VIDEO,
    encoded_video,
    interleave,
    pictures,
    read_at,
    record,
    sounds,
    unit,
)

from vms.format.errors import FormatError
from vms.format.hybrid import Fragment, SegmentWriter, read_segment
from vms.format.mp4.boxes import children, require
from vms.format.mp4.fragment import parse_reference_time
from vms.media import AccessUnit, Codec, Track


def _held(fragment: Fragment, track: Track) -> int:
    return next((each.samples for each in fragment.tracks if each.track_id == track.id), 0)


def test_fragments_end_before_half_a_second_and_at_every_key_picture() -> None:
    recording = record([VIDEO], pictures(4, fps=25, gop=30))
    assert [_held(each, VIDEO) for each in recording.fragments] == [12, 12, 6] * 3 + [10]
    assert [each.key for each in recording.fragments] == [True, False, False] * 3 + [True]
    assert all(each.duration_ns <= NS // 2 for each in recording.fragments)


def test_fragments_follow_each_other_without_a_hole() -> None:
    recording = record([VIDEO, AUDIO], interleave(pictures(5), sounds(5)))
    assert all(before.end == after.offset for before, after in pairwise(recording.fragments))
    assert recording.fragments[0].offset == len(recording.writer.header())


def test_every_unit_is_written_once_and_in_order() -> None:
    units = interleave(pictures(3, gop=40), sounds(3))
    recording = record([VIDEO, AUDIO], units)
    for track in (VIDEO, AUDIO):
        sent = b"".join(each.data for each in units if each.track is track)
        stored = b""
        for fragment in recording.fragments:
            mdat = require(recording.open[fragment.offset : fragment.end], b"mdat")
            video = _held(fragment, VIDEO) * 24
            stored += bytes(mdat[:video] if track is VIDEO else mdat[video:])
        assert stored == sent


def test_media_data_is_handed_out_uncopied() -> None:
    units = pictures(1, gop=5)
    writer = SegmentWriter([VIDEO], IDENTITY)
    written = [each for each in map(writer.push, units) if each]
    assert written[0].buffers[1] is units[0].data


def test_start_time_is_the_capture_time_of_the_first_picture_even_when_sound_comes_first() -> None:
    units = interleave(sounds(1), pictures(1, start=900))
    fragments = record([VIDEO, AUDIO], units).fragments
    picture = next(each for each in units if each.track is VIDEO)
    with_video = next(each for each in fragments if _held(each, VIDEO))
    assert with_video.start_ns == picture.capture_ns
    assert with_video.key


def test_prft_carries_the_capture_time_of_every_fragment() -> None:
    units = [replace_capture(each, i) for i, each in enumerate(pictures(2))]
    recording = record([VIDEO], units)
    for fragment in recording.fragments:
        first = next(children(recording.open[fragment.offset : fragment.end]))
        time = parse_reference_time(first.payload)
        assert (first.kind, time.wall_ns, time.track_id) == (b"prft", fragment.start_ns, 1)
        assert time.media_time == fragment.tracks[0].first_dts


def replace_capture(each: AccessUnit, index: int) -> AccessUnit:
    return each._replace(capture_ns=START_NS + index * 40_000_001 + index % 3)


def test_a_sample_lasts_until_the_next_one_whatever_was_lost_between() -> None:
    units = [unit(VIDEO, dts, key=dts == 0) for dts in (0, 3600, 90_000, 93_600)]
    recording = record([VIDEO], units)
    assert [each.tracks[0].duration for each in recording.fragments] == [3_600 + 86_400, 7_200]


def test_last_samples_last_as_long_as_those_before_them() -> None:
    recording = record([VIDEO, AUDIO], interleave(pictures(1), sounds(1)))
    ends = {each.track_id: each.first_dts + each.duration for f in recording.fragments for each in f.tracks}
    assert ends == {1: 90_000, 2: 8_000}


def test_the_newest_sound_waits_for_the_next_fragment() -> None:
    units = interleave(pictures(2, gop=25), sounds(2))
    writer = SegmentWriter([VIDEO, AUDIO], IDENTITY)
    written = [each.fragment for each in map(writer.push, units) if each]
    for fragment in written:
        video, audio = fragment.tracks
        assert audio.first_dts + audio.duration <= (video.first_dts + video.duration) * 8 / 90


def test_sound_alone_ends_fragments_when_pictures_stall() -> None:
    units = [unit(VIDEO, 0), *sounds(5)]
    recording = record([VIDEO, AUDIO], units)
    assert all(each.duration_ns <= 0.75 * NS for each in recording.fragments)
    assert [each.key for each in recording.fragments if not _held(each, VIDEO)] == [False] * (
        len(recording.fragments) - 1
    )


def test_a_stream_of_sound_alone_has_only_key_fragments() -> None:
    recording = record([AUDIO], sounds(3))
    assert [_held(each, AUDIO) for each in recording.fragments] == [25] * 6
    assert all(each.key for each in recording.fragments)


def test_the_fragment_that_a_flush_ended_early_keeps_its_pictures_in_time() -> None:
    units = pictures(2, gop=100)
    writer = SegmentWriter([VIDEO], IDENTITY)
    data = bytearray()
    for index, each in enumerate(units):
        written = [writer.push(each)]
        if index == 20:
            written.append(writer.flush())
        data += b"".join(b"".join(w.buffers) for w in written if w)
    writer.flush()
    assert sum(writer._pending[1].samples.durations) == 50 * 3600
    assert writer.flush() is None


@pytest.mark.parametrize(
    "wrong",
    [
        unit(VIDEO, 3600),
        unit(VIDEO, 3599),
        unit(VIDEO, 3601, data=b""),
        unit(VIDEO, 3601, pts=-1),
        unit(VIDEO, 3601, pts=1 << 40),
        unit(VIDEO, 1 << 33),
        unit(replace(VIDEO, version=1, width=64), 7200),
        unit(replace(VIDEO, id=7), 7200),
    ],
    ids=["same time", "earlier", "empty", "negative", "far away", "long after", "version", "track"],
)
def test_a_unit_without_a_place_here_is_refused_and_changes_nothing(wrong: AccessUnit) -> None:
    writer = SegmentWriter([VIDEO], IDENTITY)
    writer.push(unit(VIDEO, 3600))
    with pytest.raises(FormatError):
        writer.push(wrong)
    writer.push(unit(VIDEO, 7200, key=False))
    written = writer.flush()
    assert written is not None
    assert written.fragment.tracks[0].samples == 2


def test_a_fragment_never_has_more_buffers_than_one_pwritev_takes() -> None:
    recording_units = [unit(VIDEO, i, key=i == 0) for i in range(5000)]
    writer = SegmentWriter([VIDEO], IDENTITY)
    written = [each for each in map(writer.push, recording_units) if each]
    assert len(written) == 4
    assert max(len(each.buffers) for each in written) <= 1024


def test_huge_pictures_do_not_pile_up() -> None:
    writer = SegmentWriter([VIDEO], IDENTITY)
    data = bytes(20 << 20)
    written = [writer.push(unit(VIDEO, i * 100, key=i == 0, data=data)) for i in range(5)]
    assert [each is not None for each in written] == [False, False, True, False, True]


def test_finish_wants_a_flush_and_a_fragment() -> None:
    writer = SegmentWriter([VIDEO], IDENTITY)
    with pytest.raises(FormatError, match="without a fragment"):
        writer.finish()
    writer.push(unit(VIDEO, 0))
    with pytest.raises(FormatError, match="flush"):
        writer.finish()


def test_a_track_without_parameter_sets_cannot_be_recorded() -> None:
    with pytest.raises(FormatError):
        SegmentWriter([replace(VIDEO, parameter_sets=())], IDENTITY)
    with pytest.raises(FormatError):
        SegmentWriter([], IDENTITY)
    with pytest.raises(FormatError):
        SegmentWriter([VIDEO, VIDEO], IDENTITY)


@pytest.mark.parametrize("codec, names", [(Codec.H264, b"avc1 avc3"), (Codec.H265, b"hvc1 hev1")])
def test_header_says_whether_pictures_carry_their_parameter_sets(codec: Codec, names: bytes) -> None:
    for in_band, name in enumerate(names.split()):
        units = encoded_video(codec, 3, in_band=bool(in_band))
        recording = record([units[0].track], units)
        assert name in recording.writer.header()
        assert recording.finish.tail.count(name) == 1
        segment = read_segment(read_at(recording.closed), len(recording.closed))
        assert segment.in_band == (frozenset({1}) if in_band else frozenset())


def test_a_track_that_nothing_came_for_is_left_out_of_the_final_movie() -> None:
    recording = record([VIDEO, AUDIO], pictures(1), expected={AUDIO.id})
    assert b"ulaw" in recording.writer.header()
    assert b"ulaw" not in recording.finish.tail


def test_a_track_that_nothing_came_for_in_the_first_fragment_is_not_listed() -> None:
    late = sounds(1, start=AUDIO.clock_rate)
    writer = SegmentWriter([VIDEO, AUDIO], IDENTITY)
    for each in pictures(1):
        writer.push(each)
    assert b"ulaw" not in writer.header()
    assert writer.tracks == (VIDEO,)
    with pytest.raises(FormatError, match="is not of this recording"):
        writer.push(late[0])


def test_the_first_fragment_waits_half_a_second_for_a_track_over_key_pictures() -> None:
    shown = pictures(2, gop=1)
    assert record([VIDEO], shown).fragments[0].tracks[0].samples == 1
    waited = record([VIDEO, AUDIO], shown)
    assert [each.tracks[0].samples for each in waited.fragments[:3]] == [12, 1, 1]
    heard = record([VIDEO, AUDIO], interleave(shown, sounds(1.5, start=AUDIO.clock_rate * 3 // 10)))
    assert b"ulaw" in heard.writer.header()
    assert heard.fragments[0].tracks[0].samples == 8


def test_a_header_is_not_known_before_the_first_fragment() -> None:
    writer = SegmentWriter([VIDEO], IDENTITY)
    writer.push(pictures(1)[0])
    with pytest.raises(FormatError, match="before its first fragment"):
        writer.header()
