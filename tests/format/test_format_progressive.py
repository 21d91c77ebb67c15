from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.format.format_material import (
    AUDIO,
    VIDEO,
    Recording,
    interleave,
    pictures,
    read_at,
    record,
    sounds,
)

from vms.format.codecs import audio_track
from vms.format.errors import FormatError
from vms.format.hybrid import SampleTable, read_samples, read_segment
from vms.format.mp4.boxes import children, parse_header, require
from vms.format.mp4.movie import parse_tracks
from vms.format.mp4.progressive import MovieRun, ProgressiveMovie, build_progressive_movie
from vms.format.mp4.samples import parse_sample_tables
from vms.media import Codec


def _tables(recording: Recording, first: int = 0, last: int | None = None) -> dict[int, SampleTable]:
    answer = read_at(recording.closed)
    return read_samples(answer, read_segment(answer, len(recording.closed)), first, last)


def _run(name: str, recording: Recording, first: int = 0, last: int | None = None) -> MovieRun:
    """Whole fragments of a recording."""
    fragments = recording.fragments[first:last]
    return MovieRun(name, _tables(recording, first, last), fragments[0].offset, fragments[-1].end)


def _assemble(movie: ProgressiveMovie, files: dict[object, Recording]) -> bytes:
    body = [
        e.source if isinstance(e.source, bytes) else files[e.source].closed[e.offset : e.offset + e.size]
        for e in movie.extents
    ]
    data = b"".join([movie.header, *body])
    assert len(data) == movie.size
    return data


def _read(data: bytes) -> list[SampleTable]:
    """The tracks of an ordinary MP4, first_dts 0."""
    assert [child.kind for child in children(data)] == [b"ftyp", b"moov", b"mdat"]
    moov = require(data, b"moov")
    return [parse_sample_tables(each.stbl, each.track, 0, each.in_band) for each in parse_tracks(moov)]


def _contents(data: bytes, table: SampleTable) -> list[bytes]:
    return [data[o : o + size] for o, size in zip(table.offsets, table.sizes, strict=True)]


def test_a_movie_of_one_recording_has_its_samples_in_its_order() -> None:
    units = interleave(pictures(4), sounds(4))
    recording = record([VIDEO, AUDIO], units)
    movie = build_progressive_movie([_run("a", recording)])
    data = _assemble(movie, {"a": recording})
    for table, track in zip(_read(data), (VIDEO, AUDIO), strict=True):
        assert _contents(data, table) == [each.data for each in units if each.track is track]
        assert set(table.durations) == {track.clock_rate // (25 if track is VIDEO else 50)}


def test_a_run_is_one_extent_and_lies_in_the_movie_byte_for_byte() -> None:
    recording = record([VIDEO, AUDIO], interleave(pictures(4), sounds(4)))
    movie = build_progressive_movie([_run("a", recording, 2, 5)])
    data, (piece,) = _assemble(movie, {"a": recording}), movie.pieces
    assert len(movie.extents) == 1
    start, end = recording.fragments[2].offset, recording.fragments[4].end
    assert data[piece.offset : piece.offset + piece.size] == recording.closed[start:end]
    assert piece.offset + piece.size == len(data)


def test_samples_that_are_not_in_the_run_are_refused() -> None:
    recording = record([VIDEO], pictures(4))
    run = _run("a", recording)
    for wrong in (replace(run, start=run.start + 2000), replace(run, end=run.end - 1)):
        with pytest.raises(FormatError, match="their fragments"):
            build_progressive_movie([wrong])


def test_recordings_that_continue_each_other_are_joined_without_a_seam() -> None:
    units = interleave(pictures(8, gop=25), sounds(8))
    first, second = (
        [u for u in units if u.dts < 4 * u.track.clock_rate],
        [u for u in units if u.dts >= 4 * u.track.clock_rate],
    )
    files = {"a": record([VIDEO, AUDIO], first), "b": record([VIDEO, AUDIO], second)}
    movie = build_progressive_movie([_run(name, file) for name, file in files.items()])
    video, audio = _read(_assemble(movie, files))
    assert set(video.durations) == {3600}
    assert set(audio.durations) == {160}


def test_a_hole_is_closed_up_and_sound_stays_with_its_pictures() -> None:
    """The second run begins ten seconds later, its sound 0.1 s after its pictures."""
    files = {
        "a": record([VIDEO, AUDIO], interleave(pictures(2), sounds(1.5))),
        "b": record([VIDEO, AUDIO], interleave(pictures(2, start=1_080_000), sounds(1, start=96_800))),
    }
    movie = build_progressive_movie([_run(name, file) for name, file in files.items()])
    video, audio = _read(_assemble(movie, files))
    assert set(video.durations) == {3600}
    assert list(audio.durations) == [160] * 74 + [160 + 4000 + 800] + [160] * 50


def test_pictures_of_a_run_never_come_before_those_of_the_run_before() -> None:
    reordered = [each._replace(pts=each.dts + 7200) for each in pictures(1)]
    files = {"a": record([VIDEO], reordered), "b": record([VIDEO], pictures(1))}
    movie = build_progressive_movie([_run(name, file) for name, file in files.items()])
    (video,) = _read(_assemble(movie, files))
    shown = [sum(video.durations[:i]) + video.composition_offsets[i] for i in range(50)]
    assert shown == [7200 + i * 3600 for i in range(50)]


def test_pictures_wait_where_sound_lasts_longer() -> None:
    files = {
        "a": record([VIDEO, AUDIO], interleave(pictures(1), sounds(2))),
        "b": record([VIDEO, AUDIO], interleave(pictures(1), sounds(1))),
    }
    movie = build_progressive_movie([_run(name, file) for name, file in files.items()])
    video, audio = _read(_assemble(movie, files))
    assert list(video.durations) == [3600] * 24 + [3600 + 90_000] + [3600] * 25
    assert set(audio.durations) == {160}


def test_parameter_sets_that_change_get_a_sample_entry_of_their_own() -> None:
    other = replace(VIDEO, parameter_sets=(VIDEO.parameter_sets[0], b"\x68\xee\x3c\x80"), version=1)
    files = {"a": record([VIDEO], pictures(1)), "b": record([other], pictures(1, track=other, start=90_000))}
    movie = build_progressive_movie([_run(name, files[name]) for name in ("a", "b", "a")])
    assert movie.header.count(b"avcC") == 2
    stsc = require(require(movie.header, b"moov"), b"trak", b"mdia", b"minf", b"stbl", b"stsc")
    rows = [[int.from_bytes(stsc[i + j : i + j + 4]) for j in (0, 4, 8)] for i in range(8, len(stsc), 12)]
    entries = [row[2] for row in rows]
    assert [entries[i] for i in range(len(entries)) if not i or entries[i] != entries[i - 1]] == [1, 2, 1]


def test_sound_of_another_codec_gets_a_track_of_its_own() -> None:
    alaw = audio_track(2, Codec.PCMA, sample_rate=8000, channels=1)
    files = {
        "a": record([VIDEO, AUDIO], interleave(pictures(1), sounds(1))),
        "b": record([VIDEO, alaw], interleave(pictures(1), sounds(1, track=alaw))),
    }
    movie = build_progressive_movie([_run(name, file) for name, file in files.items()])
    tables = _read(_assemble(movie, files))
    assert [table.track.codec for table in tables] == [Codec.H264, Codec.PCMU, Codec.PCMA]
    assert [table.track.id for table in tables] == [1, 2, 3]


def test_offsets_beyond_4_gib_are_written_with_64_bits() -> None:
    recording = record([VIDEO], pictures(10))
    table = _tables(recording)[1]
    for index in range(len(table)):
        table.sizes[index] = 20 << 20
    offsets = range(0, len(table) * (20 << 20), 20 << 20)
    table.offsets = type(table.offsets)("Q", offsets)
    movie = build_progressive_movie([MovieRun("a", {1: table}, 0, 250 * (20 << 20))])
    assert movie.size == len(movie.header) + 250 * (20 << 20)
    assert b"co64" in movie.header
    assert parse_header(movie.header[-16:]).size == movie.size - (len(movie.header) - 16)


def test_small_movies_have_32_bit_offsets() -> None:
    assert b"stco" in build_progressive_movie([_run("a", record([VIDEO], pictures(1)))]).header


def test_a_movie_needs_samples() -> None:
    with pytest.raises(FormatError):
        build_progressive_movie([])
    with pytest.raises(FormatError):
        build_progressive_movie([MovieRun("a", {1: SampleTable(VIDEO, 0)}, 0, 0)])


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 4), st.integers(0, 10)), min_size=1, max_size=5))
def test_any_row_of_pieces_gives_a_movie_with_every_sample_in_place(
    pieces: list[tuple[int, int, int]],
) -> None:
    recording = _RECORDING
    runs, expected = [], {1: [], 2: []}
    for first, many, shift in pieces:
        if first >= len(recording.fragments):
            continue
        run = _run("a", recording, first, first + many)
        tables = run.tables
        for track_id, table in tables.items():
            expected[track_id] += _contents(recording.closed, table)
            table.first_dts += shift * table.track.clock_rate
        runs.append(run)
    if not any(run.tables for run in runs):
        return
    movie = build_progressive_movie(runs)
    data = _assemble(movie, {"a": recording})
    for table in _read(data):
        assert _contents(data, table) == expected[table.track.id if table.track.kind == "video" else 2]


_RECORDING = record([VIDEO, AUDIO], interleave(pictures(4, gop=30), sounds(4, start=77)))
