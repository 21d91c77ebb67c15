"""Which stream suits a tile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vms.common.stream_name import StreamName
from vms.stream.selection import UNKNOWN_SIZE, Size, stream_for

MAIN, SUB = StreamName.MAIN, StreamName.SUB
FULL_HD, SMALL = Size(1920, 1080), Size(640, 360)

pixels = st.integers(0, 8000)
sizes = st.builds(Size, st.integers(1, 8000), st.integers(1, 8000))
subs = st.one_of(st.none(), st.just(UNKNOWN_SIZE), sizes)
currents = st.sampled_from([None, *StreamName])


@pytest.mark.parametrize(
    ("tile", "sub", "stream"),
    [
        ((1920, 1080), SMALL, MAIN),
        ((960, 540), SMALL, MAIN),
        ((914, 514), SMALL, SUB),
        ((480, 270), SMALL, SUB),
        ((480, 270), None, MAIN),
        ((480, 270), UNKNOWN_SIZE, SUB),
        ((1920, 1080), UNKNOWN_SIZE, MAIN),
        ((2000, 400), SMALL, SUB),  # the picture in it is 711 wide
        ((320, 180), Size(160, 90), SUB),  # a small tile
        ((1920, 1080), Size(1280, 720), MAIN),
        ((640, 360), FULL_HD, MAIN),  # sub by name alone
        ((0, 0), SMALL, SUB),  # not shown
    ],
)
def test_a_tile_gets_the_smallest_stream_that_looks_right(
    tile: tuple[int, int], sub: Size | None, stream: StreamName
) -> None:
    assert stream_for(*tile, FULL_HD, sub) is stream


@given(pixels, pixels, sizes, subs, currents, st.integers(0, 4000), st.integers(0, 4000))
def test_a_larger_tile_never_gets_a_lesser_stream(
    width: int, height: int, main: Size, sub: Size | None, current: StreamName | None, wider: int, higher: int
) -> None:
    before = stream_for(width, height, main, sub, current=current)
    if before is MAIN:
        assert stream_for(width + wider, height + higher, main, sub, current=current) is MAIN


@given(pixels, pixels, sizes, subs, currents)
def test_what_was_chosen_stays_chosen_while_nothing_changes(
    width: int, height: int, main: Size, sub: Size | None, current: StreamName | None
) -> None:
    chosen = stream_for(width, height, main, sub, current=current)
    assert chosen in (MAIN, SUB)
    assert stream_for(width, height, main, sub, current=chosen) is chosen


@given(sizes, sizes, st.floats(0.95, 1.05))
def test_a_tile_that_is_resized_by_a_twentieth_does_not_go_there_and_back(
    tile: Size, sub: Size, factor: float
) -> None:
    first = stream_for(*tile, FULL_HD, sub)
    resized = Size(round(tile.width * factor), round(tile.height * factor))
    second = stream_for(*resized, FULL_HD, sub, current=first)
    assert stream_for(*tile, FULL_HD, sub, current=second) is second


@given(pixels, pixels, sizes)
def test_a_camera_with_one_stream_shows_that(width: int, height: int, size: Size) -> None:
    assert stream_for(width, height, size, None) is MAIN
    assert stream_for(width, height, None, size) is SUB
