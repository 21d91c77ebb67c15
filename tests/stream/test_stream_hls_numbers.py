"""What RFC 8216bis asks of playlists, for cameras of every kind: numbers, durations, parts, discontinuities."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stream.scripted_stream import h264_pictures, track_of

from vms.common.clock import NS
from vms.format import nal
from vms.media import AccessUnit
from vms.stream.hls.parts import part_target_ns
from vms.stream.hls.playlist import media, rendition_edge
from vms.stream.hls.rendition import RING_MAX_BYTES, RING_SEGMENTS, Rendition
from vms.stream.hls.timeline import SLOT_NS, TARGET_DURATION_S, Timeline

START_NS = 1_790_000_000 * NS
TRACK = track_of(h264_pictures(2))
KEY = nal.join([b"\x65key picture"])
DELTA = nal.join([b"\x41delta"])


def units(
    count: int,
    *,
    fps: float = 25,
    gop: int = 25,
    start_ns: int = START_NS,
    first: int = 0,
    track: object = TRACK,
    discontinuity: bool = False,
    size: int = 0,
) -> list[AccessUnit]:
    """Pictures of one camera; `first` is the number of the first in its group."""
    step = int(90_000 / fps)
    made = []
    for number in range(count):
        key = (first + number) % gop == 0
        data = (KEY if key else DELTA) + (nal.join([b"\x0c" + bytes(size)]) if size else b"")
        dts = number * step
        capture_ns = start_ns + dts * NS // 90_000
        made.append(AccessUnit(track, data, dts, dts, key, discontinuity and number == 0, capture_ns, 0))
    return made


def feed(stream: list[AccessUnit], rendition: Rendition | None = None) -> Rendition:
    rendition = rendition or Rendition(Timeline(), part_target_ns(NS / 25))
    for unit in stream:
        rendition.push(unit)
    return rendition


def playlist_of(rendition: Rendition, **options: bool) -> str:
    return media("video", rendition, rendition._timeline, **options)


CAMERAS = st.builds(
    units,
    st.integers(300, 600),
    fps=st.sampled_from([5, 10, 12.5, 15, 25, 30]),
    gop=st.sampled_from([1, 10, 25, 50, 63, 250]),
    start_ns=st.integers(START_NS, START_NS + 10 * NS),
)


@settings(max_examples=40, deadline=None)
@given(CAMERAS)
def test_numbers_rise_by_one_and_are_the_slots_of_capture_time(stream: list[AccessUnit]) -> None:
    segments = list(feed(stream).segments)
    numbers = [segment.number for segment in segments]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(segment.capture_ns // SLOT_NS == segment.number for segment in segments)


@settings(max_examples=40, deadline=None)
@given(CAMERAS)
def test_no_segment_and_no_part_is_longer_than_the_playlist_says(stream: list[AccessUnit]) -> None:
    rendition = feed(stream)
    for segment in rendition.segments:
        assert segment.duration_ns <= (TARGET_DURATION_S + 0.5) * NS  # rounds to the target (§4.4.3.1)
        assert all(0 < part.duration_ns <= rendition.part_target_ns for part in segment.parts)


@settings(max_examples=40, deadline=None)
@given(CAMERAS, st.integers(1, 250))
def test_a_worker_that_begins_later_gives_the_same_segments_the_same_numbers(
    stream: list[AccessUnit], left_out: int
) -> None:
    """As after a restart, too: nothing is remembered."""
    early, late = feed(stream), feed(stream[left_out:])
    shared = [
        segment
        for segment in list(late.segments)[1:]  # its first may be only the end of one
        if segment.complete and early.segment(segment.number) is not None
    ]
    for segment in shared:
        other = early.segment(segment.number)
        assert other is not None
        assert (other.capture_ns, other.init) == (segment.capture_ns, segment.init)
        assert [part.data for part in other.parts] == [part.data for part in segment.parts]


@settings(max_examples=20, deadline=None)
@given(CAMERAS)
def test_the_body_of_a_segment_is_its_parts(stream: list[AccessUnit]) -> None:
    rendition = feed(stream)
    for segment in rendition.segments:
        assert b"".join(segment.body) == b"".join(part.data for part in segment.parts)
        assert segment.missing or not segment.complete or segment.parts


def test_segments_begin_with_key_pictures_where_there_are_some() -> None:
    rendition = feed(units(600, gop=50))
    assert all(segment.parts[0].independent for segment in list(rendition.segments)[:-1])


def test_parts_are_as_long_as_the_rfc_wants_them() -> None:
    """At least 85% of the target, but for the last of a segment (§4.4.4.9)."""
    rendition = feed(units(600))
    for segment in list(rendition.segments)[:-1]:
        assert all(part.duration_ns >= 0.85 * rendition.part_target_ns for part in segment.parts[:-1])


def test_a_long_group_of_pictures_makes_no_long_segment() -> None:
    rendition = feed(units(600, gop=1000))
    assert len(rendition.segments) > 9
    assert [segment.parts[0].independent for segment in rendition.segments][1:6] == [False] * 5


def test_a_gap_makes_missing_segments_and_a_discontinuity() -> None:
    rendition = feed(units(100))
    last = rendition.segments[-1].number
    rendition.interrupt()
    feed(units(200, start_ns=START_NS + 13 * NS, discontinuity=True), rendition)
    numbers = [segment.number for segment in rendition.segments]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    missing = [segment.number for segment in rendition.segments if segment.missing]
    assert missing and missing[0] == last + 1
    text = playlist_of(rendition)
    assert text.count("#EXT-X-GAP\n") == len(missing)
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME" in text
    after = text[text.index("#EXT-X-DISCONTINUITY\n") :]
    assert f"video/{missing[-1] + 1}.0.mp4" in after


def test_a_gap_of_hours_begins_the_playlist_anew_with_higher_numbers() -> None:
    rendition = feed(units(100))
    before = rendition.segments[-1].number
    rendition.interrupt()
    feed(units(100, start_ns=START_NS + 7200 * NS, discontinuity=True), rendition)
    assert not any(segment.missing for segment in rendition.segments)
    assert rendition.segments[0].number >= before + 3000


def test_a_clock_that_was_set_back_does_not_set_numbers_back() -> None:
    rendition = feed(units(200))
    before = rendition.segments[-1].number
    feed(units(200, start_ns=START_NS - 3600 * NS, discontinuity=True), rendition)
    numbers = [segment.number for segment in rendition.segments]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] > before
    assert "#EXT-X-DISCONTINUITY\n" in playlist_of(rendition)


def test_other_parameter_sets_get_an_init_segment_and_a_discontinuity() -> None:
    rendition = feed(units(150))
    other = track_of(h264_pictures(2, width=640), version=1)
    tail = [
        unit._replace(dts=unit.dts + 150 * 3600, pts=unit.pts + 150 * 3600)
        for unit in units(200, start_ns=START_NS + 6 * NS, track=other)
    ]
    feed(tail, rendition)
    text = playlist_of(rendition)
    assert len(set(re.findall(r'#EXT-X-MAP:URI="video/([^?]+)', text))) == 2
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    for first, second in zip(list(rendition.segments), list(rendition.segments)[1:], strict=False):
        assert first.number + 1 == second.number


def test_discontinuity_sequence_counts_the_tags_that_have_left_the_playlist() -> None:
    rendition = feed(units(100))
    feed(units(2000, start_ns=START_NS + 8 * NS, discontinuity=True), rendition)
    timeline = rendition._timeline
    text = playlist_of(rendition)
    assert "#EXT-X-DISCONTINUITY\n" not in text
    sequence = int(re.findall(r"DISCONTINUITY-SEQUENCE:(\d+)", text)[0])
    assert sequence == 1 == timeline.discontinuities(rendition.segments[0].number)


def test_the_ring_is_bounded_in_segments_and_in_bytes() -> None:
    rendition = feed(units(1500))
    assert len(rendition.segments) <= RING_SEGMENTS
    rendition = feed(units(600, size=200_000))
    assert rendition.bytes <= RING_MAX_BYTES
    assert rendition.bytes == sum(segment.size for segment in rendition.segments)
    assert len(rendition.segments) < RING_SEGMENTS


def test_one_segment_beyond_the_bound_is_cut_off_and_counted() -> None:
    rendition = feed(units(400, size=1_500_000))
    assert rendition.overruns
    assert rendition.bytes <= RING_MAX_BYTES + 15_000_000


def test_a_delta_update_skips_what_is_older_than_it_says() -> None:
    rendition = feed(units(1500))
    whole, delta = playlist_of(rendition), playlist_of(rendition, skip=True)
    (skipped,) = map(int, re.findall(r"SKIPPED-SEGMENTS=(\d+)", delta))
    assert skipped > 0
    assert whole.count("#EXTINF") == delta.count("#EXTINF") + skipped
    until_s = float(re.findall(r"CAN-SKIP-UNTIL=([\d.]+)", whole)[0])
    kept = [float(each) for each in re.findall(r"#EXTINF:([\d.]+)", delta)]
    assert until_s >= 6 * TARGET_DURATION_S
    assert sum(kept) + sum(part.duration_ns for part in rendition.segments[-1].parts) / NS >= until_s


@pytest.mark.parametrize("gop", [1, 25, 60, 1000])
def test_the_hint_names_the_next_part(gop: int) -> None:
    rendition = Rendition(Timeline())
    hinted: list[str] = []
    made: list[str] = []
    for unit in units(300, gop=gop):
        rendition.push(unit)
        if not rendition.segments:
            continue
        number, part = rendition_edge(rendition)
        if not hinted or hinted[-1] != f"{number}.{part}":
            hinted.append(f"{number}.{part}")
        made = [
            f"{segment.number}.{index}"
            for segment in rendition.segments
            for index in range(len(segment.parts))
        ]
    assert [hint for hint in hinted if hint not in made] == hinted[-1:]  # only the one that is still to come


@pytest.mark.parametrize("fps", [1, 2, 3])
def test_a_slow_camera_has_parts_of_whole_pictures(fps: int) -> None:
    rendition = feed(units(60, fps=fps, gop=4), Rendition(Timeline(), NS // fps * 21 // 20))
    assert all(len(segment.parts) for segment in rendition.segments)
    assert all(segment.duration_ns < TARGET_DURATION_S * NS for segment in rendition.segments)
