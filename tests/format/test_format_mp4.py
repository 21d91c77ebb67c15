"""Boxes, sample entries, fragments and sample tables, one at a time."""

from array import array
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.format.format_material import AUDIO, START_NS, VIDEO, encoded_video

from vms.format.codecs import audio_track
from vms.format.errors import FormatError
from vms.format.mp4 import boxes, sample_entries
from vms.format.mp4.fragment import (
    ReferenceTime,
    TrackRun,
    build_movie_fragment,
    build_reference_time,
    ns_from_ntp,
    ntp_from_ns,
    parse_movie_fragment,
    parse_reference_time,
)
from vms.format.mp4.movie import build_movie, parse_tracks
from vms.format.mp4.sample_table import SampleTable
from vms.format.mp4.samples import TrackSamples, parse_sample_tables
from vms.media import Codec, Track

_U32 = st.integers(1, 0xFFFF_FFFF)


def test_boxes_come_out_as_they_went_in() -> None:
    data = boxes.box(b"moov", boxes.box(b"free", b"abc"), boxes.full_box(b"mfhd", 1, 2, b"d"))
    moov = boxes.require(data, b"moov")
    assert [(child.kind, bytes(child.payload)) for child in boxes.children(moov)] == [
        (b"free", b"abc"),
        (b"mfhd", b"\1\0\0\2d"),
    ]
    assert boxes.find(data, b"moov", b"none") is None


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0mdat",  # torn: size 0
        b"\0\0\0\7free",
        b"\0\0\0\x10free",
        b"\0\0\0\1mdat\0\0\0\0\0\0\0\x0f",
        b"\0\0\0\1mdat\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0",
    ],
)
def test_a_box_with_a_wrong_size_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(boxes.children(data))


def test_mdat_gets_a_64_bit_size_only_where_it_needs_one() -> None:
    assert boxes.mdat_header(92) == b"\0\0\0\x64mdat"
    header = boxes.parse_header(boxes.mdat_header(1 << 32))
    assert (header.size, header.header_size) == ((1 << 32) + 16, 16)


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_ntp_keeps_every_nanosecond_past_2036(wall_ns: int) -> None:
    assert ns_from_ntp(ntp_from_ns(wall_ns)) == wall_ns


def test_prft_says_when_its_picture_was_captured() -> None:
    time = ReferenceTime(1, START_NS, 12_345)
    data = build_reference_time(time)
    assert len(data) == 32
    assert parse_reference_time(memoryview(data)[8:]) == time


@st.composite
def _runs(draw: st.DrawFn, track_id: int) -> TrackRun:
    count = draw(st.integers(1, 8))

    def row(each: st.SearchStrategy[int]) -> list[int]:
        return draw(
            st.one_of(st.lists(each, min_size=count, max_size=count), each.map(lambda v: [v] * count))
        )

    return TrackRun(
        track_id,
        draw(st.integers(0, 1 << 48)),
        row(_U32),
        row(st.integers(1, 100_000)),
        row(st.integers(-(1 << 31), (1 << 31) - 1)),
        row(st.integers(0, 1)),
    )


@given(st.integers(1, 1 << 31), _runs(1), _runs(2))
def test_fragments_come_out_as_they_went_in(number: int, video: TrackRun, audio: TrackRun) -> None:
    data = build_movie_fragment(number, [video, audio])
    moof, mdat = boxes.parse_header(data), boxes.parse_header(data[-8:])
    assert mdat.kind == b"mdat"
    assert video.data_offset == moof.size + 8
    assert audio.data_offset == video.data_offset + sum(video.sizes)
    assert moof.size + mdat.size == audio.data_offset + sum(audio.sizes)
    found, runs = parse_movie_fragment(memoryview(data)[8 : moof.size])
    assert found == number
    assert [_plain(run) for run in runs] == [_plain(video), _plain(audio)]


def _plain(run: TrackRun) -> TrackRun:
    lists = (run.durations, run.sizes, run.composition_offsets, run.keys)
    durations, sizes, offsets, keys = (list(map(int, each)) for each in lists)
    return replace(run, durations=durations, sizes=sizes, composition_offsets=offsets, keys=keys)


def test_a_run_that_claims_more_samples_than_it_has_bytes_for_is_refused() -> None:
    run = TrackRun(1, 0, [1, 2], [3, 4], [0, 0], [1, 0])
    data = bytearray(build_movie_fragment(1, [run]))
    count = data.index(b"trun") + 8
    data[count : count + 4] = b"\0\xff\xff\xff"
    with pytest.raises(FormatError):
        parse_movie_fragment(memoryview(data)[8:-8])


_TRACKS = [
    VIDEO,
    AUDIO,
    audio_track(2, Codec.PCMA, sample_rate=16_000, channels=2),
    audio_track(3, Codec.AAC, sample_rate=96_000, channels=2),
    audio_track(3, Codec.OPUS, sample_rate=48_000, channels=2),
]


@pytest.mark.parametrize("track", _TRACKS, ids=lambda track: str(track.codec))
def test_sample_entries_give_their_tracks_back(track: Track) -> None:
    entry = next(boxes.children(sample_entries.build(track)))
    assert sample_entries.parse(entry.kind, entry.payload, track.id, track.clock_rate) == (track, False)


@pytest.mark.parametrize("in_band, kind", [(False, b"hvc1"), (True, b"hev1")])
def test_h265_sample_entry_says_whether_parameter_sets_are_in_band(in_band: bool, kind: bytes) -> None:
    track = encoded_video(Codec.H265, 3)[0].track
    entry = next(boxes.children(sample_entries.build(track, in_band=in_band)))
    assert entry.kind == kind
    assert sample_entries.parse(kind, entry.payload, 1, 90_000) == (track, in_band)


@pytest.mark.parametrize(
    "track",
    [
        replace(VIDEO, parameter_sets=()),
        replace(VIDEO, clock_rate=0),
        replace(VIDEO, width=70_000),
        replace(_TRACKS[3], parameter_sets=()),
        replace(_TRACKS[4], channels=6),
    ],
)
def test_tracks_that_no_mp4_can_describe_are_refused(track: Track) -> None:
    with pytest.raises(FormatError):
        sample_entries.build(track)


@st.composite
def _samples(draw: st.DrawFn) -> tuple[TrackSamples, SampleTable]:
    track = draw(st.sampled_from([VIDEO, AUDIO]))
    samples = TrackSamples(track, [sample_entries.build(track)])
    table = SampleTable(track, draw(st.integers(0, 1000)))
    dts, offset = table.first_dts, 0
    for _ in range(draw(st.integers(1, 5))):
        count = draw(st.integers(1, 6))
        durations = draw(st.lists(st.sampled_from([1, 3600, 70_000]), min_size=count, max_size=count))
        sizes = draw(st.lists(st.integers(1, 1000), min_size=count, max_size=count))
        shifts = draw(st.lists(st.sampled_from([0, 0, 7200, -3600]), min_size=count, max_size=count))
        keys = (
            [1] * count
            if track is AUDIO
            else draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
        )
        offset += draw(st.integers(0, 1 << 33))
        samples.append(dts, durations, sizes, shifts, keys)
        samples.append_chunk(offset, count)
        for size in sizes:
            table.offsets.append(offset)
            offset += size
        dts += sum(durations)
        table.sizes.extend(sizes)
        table.durations.extend(durations)
        table.composition_offsets.extend(shifts)
        table.keys.extend(keys)
    return samples, table


@given(_samples(), st.integers(0, 100))
def test_sample_tables_come_out_as_they_went_in(pair: tuple[TrackSamples, SampleTable], shift: int) -> None:
    samples, table = pair
    moov = boxes.require(build_movie([samples], shift=shift, large=True), b"moov")
    (parsed,) = parse_tracks(moov)
    assert parsed.track == table.track
    read = parse_sample_tables(parsed.stbl, table.track, table.first_dts, False)
    table.offsets = array("Q", [offset + shift for offset in table.offsets])
    assert read == table


def test_the_sample_before_a_hole_lasts_until_its_end() -> None:
    samples = TrackSamples(VIDEO, [])
    samples.append(0, [10, 10], [1, 1], [0, 0], [1, 0])
    samples.append(50, [10], [1], [0], [0])
    assert list(samples.durations) == [10, 40, 10]
    samples.append(55, [10], [1], [0], [0])
    assert list(samples.durations) == [10, 40, 5, 10]
    with pytest.raises(FormatError, match="jumps"):
        samples.append(55, [10], [1], [0], [0])


def _edits(*tracks: TrackSamples) -> list[list[tuple[int, int]]]:
    moov = boxes.require(build_movie(tracks), b"moov")
    lists = []
    for child in boxes.children(moov):
        if child.kind == b"trak":
            elst = boxes.find(child.payload, b"edts", b"elst")
            rows = [] if elst is None else [elst[i : i + 12] for i in range(8, len(elst), 12)]
            lists.append([(int.from_bytes(r[:4]), int.from_bytes(r[4:8], signed=True)) for r in rows])
    return lists


def _track_samples(track: Track, first_dts: int, shift: int = 0) -> TrackSamples:
    samples = TrackSamples(track, [sample_entries.build(track)])
    step = track.clock_rate // 10
    samples.append(first_dts, [step] * 10, [5] * 10, [shift] * 10, [1] * 10)
    samples.append_chunk(100, 10)
    return samples


def test_reordering_delay_is_edited_away() -> None:
    assert _edits(_track_samples(VIDEO, 90_000, 18_000)) == [[(90_000, 18_000)]]


def test_no_edit_list_is_written_where_nothing_is_to_edit() -> None:
    assert _edits(_track_samples(VIDEO, 90_000)) == [[]]


def test_sound_that_begins_later_waits() -> None:
    assert _edits(_track_samples(VIDEO, 90_000), _track_samples(AUDIO, 12_000)) == [
        [],
        [(45_000, -1), (90_000, 0)],
    ]


def test_sound_that_begins_before_the_first_picture_is_heard_from_the_picture_on() -> None:
    assert _edits(_track_samples(VIDEO, 90_000), _track_samples(AUDIO, 6_000)) == [
        [],
        [(67_500, 2_000)],
    ]
