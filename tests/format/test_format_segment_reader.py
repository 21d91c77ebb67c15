from dataclasses import replace

import pytest
from tests.format.format_material import (
    AUDIO,
    IDENTITY,
    VIDEO,
    Recording,
    interleave,
    pictures,
    read_at,
    record,
    sounds,
    unit,
)

from vms.format.errors import FormatError
from vms.format.hybrid import SegmentFile, SegmentWriter, read_samples, read_segment
from vms.format.hybrid.index import build_index, build_rows, parse_index
from vms.format.mp4.boxes import box


@pytest.fixture(scope="module")
def recording() -> Recording:
    video = [each._replace(pts=each.dts + 3600 * (2 - i % 3)) for i, each in enumerate(pictures(4))]
    return record([VIDEO, AUDIO], interleave(video, sounds(4, start=300)))


def _read(data: bytes) -> SegmentFile:
    return read_segment(read_at(data), len(data))


def test_closed_and_open_files_are_read_the_same(recording: Recording) -> None:
    closed = _read(recording.closed)
    assert closed.closed
    assert closed.size == len(recording.closed)
    for data in (recording.open, recording.with_tail):
        opened = _read(data)
        assert not opened.closed
        assert opened.size == len(recording.open)
        assert opened == replace(closed, closed=False, size=opened.size, movie=None)
    assert closed.fragments == recording.fragments
    assert closed.identity == IDENTITY
    assert closed.tracks == (VIDEO, AUDIO)


def test_a_closed_file_is_read_in_few_reads(recording: Recording) -> None:
    reads = []
    answer = read_at(recording.closed)
    read_segment(lambda *at: (reads.append(at), answer(*at))[1], len(recording.closed))
    assert len(reads) <= 3


def test_init_range_is_the_init_segment(recording: Recording) -> None:
    offset, size = _read(recording.closed).init
    assert recording.closed[offset + 4 : offset + 8] == b"ftyp"
    assert recording.writer.header().endswith(recording.closed[offset : offset + size])
    assert offset + size == recording.fragments[0].offset


def test_an_open_file_is_read_up_to_its_last_complete_fragment(recording: Recording) -> None:
    third = recording.fragments[2]
    for size in (third.end - 1, third.offset + 1, third.offset, third.offset + 40):
        segment = _read(recording.open[:size])
        assert segment.fragments == recording.fragments[:2]
        assert segment.size == third.offset
    assert _read(recording.open[: third.end]).fragments == recording.fragments[:3]


def test_space_allocated_ahead_is_not_read(recording: Recording) -> None:
    cut = recording.fragments[2].end
    assert _read(recording.open[:cut] + bytes(5000)).fragments == recording.fragments[:3]


def test_a_file_with_a_damaged_index_is_read_by_scanning(recording: Recording) -> None:
    data = bytearray(recording.closed)
    data[data.index(b"vfrg") + 60] ^= 1
    segment = _read(bytes(data))
    assert segment.fragments == recording.fragments
    assert not segment.closed


def test_unknown_boxes_in_the_index_are_skipped(recording: Recording) -> None:
    """What later versions add must not stop readers of this one."""
    rows = build_rows(recording.fragments, [1, 2])
    data = build_index(rows, b"movie", box(b"vnew", bytes(96)))
    assert parse_index(data).fragments == recording.fragments


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"hello", b"\0\0\0\x14ftypisom\0\0\2\0isom" + bytes(99)])
def test_what_is_no_recording_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        _read(data)


def test_samples_are_the_same_from_the_movie_and_from_the_fragments(recording: Recording) -> None:
    segment = _read(recording.closed)
    answer = read_at(recording.closed)
    tables = read_samples(answer, segment)
    assert tables == read_samples(answer, replace(segment, movie=None))
    assert tables == read_samples(read_at(recording.open), _read(recording.open))
    video = tables[1]
    assert [bytes(video.keys).find(1), sum(video.keys)] == [0, 2]
    stored = [
        recording.closed[offset : offset + size]
        for offset, size in zip(video.offsets, video.sizes, strict=True)
    ]
    assert stored == [each.data for each in pictures(4)]
    assert (video.first_dts, video.end_dts) == (0, 360_000)
    assert tables[2].first_dts == 300


def test_samples_of_some_fragments_are_a_slice_of_all(recording: Recording) -> None:
    segment = _read(recording.closed)
    answer = read_at(recording.closed)
    whole = read_samples(answer, segment)
    for first, last in ((0, 1), (2, 5), (4, None), (3, 3)):
        some = read_samples(answer, segment, first, last)
        for track_id in (1, 2):
            counts = [
                sum(each.samples for each in fragment.tracks if each.track_id == track_id)
                for fragment in segment.fragments
            ]
            start, end = sum(counts[:first]), sum(counts[:last])
            if start == end:
                assert track_id not in some
            else:
                assert some[track_id] == whole[track_id].slice(start, end)


def test_what_a_flush_guessed_is_corrected_from_the_next_fragment() -> None:
    writer = SegmentWriter([VIDEO], IDENTITY)
    data = bytearray()
    for dts in (0, 3600, 7200):
        writer.push(unit(VIDEO, dts, key=dts == 0))
    for dts in (9000, 12_600):
        data += b"".join((writer.flush() or pytest.fail()).buffers)
        writer.push(unit(VIDEO, dts, key=False))
    data += b"".join((writer.flush() or pytest.fail()).buffers)
    data[:0] = writer.header()
    finish = writer.finish()
    data[finish.flip_offset : finish.flip_offset + 16] = finish.flip
    data += finish.tail
    segment = _read(bytes(data))
    assert segment.closed
    for each in (segment, replace(segment, movie=None)):
        assert list(read_samples(read_at(data), each)[1].durations) == [3600, 3600, 1800, 3600, 3600]


def test_samples_of_another_file_are_refused(recording: Recording) -> None:
    other = record([VIDEO], pictures(10))
    segment = _read(recording.closed)
    with pytest.raises(FormatError):
        read_samples(read_at(other.closed), segment)
    with pytest.raises(FormatError):
        read_samples(read_at(other.closed), segment, 1, 3)


def test_names_in_the_identity_may_be_any_text() -> None:
    identity = replace(IDENTITY, camera_id="c" * 63, stream="основной")
    writer = SegmentWriter([VIDEO], identity)
    writer.push(pictures(1)[0])
    writer.flush()
    header = writer.header()
    assert read_segment(read_at(header), len(header)).identity == identity
    with pytest.raises(FormatError):
        SegmentWriter([VIDEO], replace(IDENTITY, stream="x" * 300))
