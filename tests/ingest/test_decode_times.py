import itertools

from hypothesis import given
from hypothesis import strategies as st

from vms.ingest.decode_times import DecodeTimes


def test_without_reordering_pictures_are_decoded_when_shown() -> None:
    times = DecodeTimes(0, 3600)
    assert [times.next(pts) for pts in (0, 3600, 7300)] == [0, 3600, 7300]


def test_b_frames_are_decoded_in_the_order_they_arrive() -> None:
    # shown I0 B1 B2 P3 B4 B5 P6, sent I0 P3 B1 B2 P6 B4 B5
    sent = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    times = DecodeTimes(1, 1)
    decoded = [times.next(pts + 10) for pts in sent]
    assert decoded == list(range(9, 19))


def test_a_stream_that_reorders_without_saying_so_is_found_out() -> None:
    times = DecodeTimes(0, 3600)
    decoded = [times.next(pts * 3600) for pts in (0, 3, 1, 2, 6, 4, 5)]
    assert times.depth == 1
    assert all(a < b for a, b in itertools.pairwise(decoded))


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=100), st.integers(0, 4))
def test_decoding_times_always_rise(presentation: list[int], depth: int) -> None:
    times = DecodeTimes(depth, 3600)
    decoded = [times.next(pts) for pts in presentation]
    assert all(a < b for a, b in itertools.pairwise(decoded))
    assert times.depth <= 16
