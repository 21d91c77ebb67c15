from pathlib import Path
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from tests.storage.playback.shelf import NOON_NS, PORCH, demux

from vms.common.clock import NS
from vms.media import Codec
from vms.storage.playback.cutlist import choose, cut_list
from vms.storage.playback.timeline import TOUCH_NS
from vms.storage.segment import Segment


def file(number: int, start_s: float, end_s: float) -> Segment:
    start_ns, end_ns = round(start_s * NS), round(end_s * NS)
    return Segment(UUID(int=number), PORCH, "main", Path("x"), start_ns, end_ns, 1, True, Codec.H264, None)


def numbers(files: list[Segment], start_s: float = 0) -> list[int]:
    return [segment.id.int for segment in choose(files, round(start_s * NS))]


def test_files_of_one_recording_follow_each_other():
    assert numbers([file(1, 0, 10), file(2, 10, 20), file(3, 20.04, 30)]) == [1, 2, 3]


def test_the_recording_being_shown_is_kept_to_while_it_lasts():
    mine = [file(1, 0, 10), file(2, 10, 20), file(3, 20, 30)]
    other = [file(4, 3, 13), file(5, 13, 23), file(6, 23, 33)]
    assert numbers(mine + other) == [1, 2, 3, 6]


def test_the_other_recording_takes_over_where_one_ends():
    assert numbers([file(1, 0, 10), file(2, 4, 14), file(3, 14, 24), file(4, 40, 50)]) == [1, 2, 3, 4]


def test_a_file_within_another_is_not_shown():
    assert numbers([file(1, 0, 100), file(2, 10, 20), file(3, 50, 99)]) == [1]


def test_of_several_that_cover_the_start_the_one_that_reaches_furthest_is_shown():
    assert numbers([file(1, 0, 10), file(2, 2, 30), file(3, 3, 20)], start_s=5) == [2]


stretches = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), max_size=15)


@given(stretches, st.integers(0, 300))
def test_all_that_is_recorded_is_shown_and_no_file_in_vain(lengths, start_s):
    files = [file(number, at, at + length) for number, (at, length) in enumerate(lengths)]
    files = [each for each in files if each.end_ns > start_s * NS]
    chosen = choose(files, start_s * NS)
    assert len({segment.id for segment in chosen}) == len(chosen)
    until_ns = start_s * NS
    for segment in chosen:
        assert segment.end_ns > until_ns
        until_ns = segment.end_ns
    for second in range(start_s, 361):
        moment = second * NS + NS // 2
        recorded = any(segment.start_ns <= moment < segment.end_ns for segment in files)
        shown = any(segment.start_ns <= moment < segment.end_ns for segment in chosen)
        assert recorded == shown


async def test_a_file_that_retention_deletes_meanwhile_is_left_out(shelf, plain_movie):
    segments = shelf.record(demux(plain_movie), file_s=3)
    starts = []
    async for cuts in cut_list(shelf, PORCH, NOON_NS, NOON_NS + 60 * NS):
        starts += [round((cut.start_ns - NOON_NS) / NS) for cut in cuts]
        if segments[2].id in shelf.files:
            shelf.delete(segments[2].id)
            assert not shelf.leaked[2:]
        cuts[0].opened.close()
    assert starts == [0, 3, 9]


async def test_who_stops_iterating_leaves_no_file_open(shelf, plain_movie):
    shelf.record(demux(plain_movie), file_s=3)
    listing = cut_list(shelf, PORCH, NOON_NS, NOON_NS + 60 * NS)
    async for cuts in listing:
        cuts[0].opened.close()
        break
    await listing.aclose()
    assert not shelf.leaked


def test_touching_means_the_same_everywhere():
    assert numbers([file(1, 0, 10), file(2, 10 + TOUCH_NS / NS, 20), file(3, 5, 19)]) == [1, 2]
