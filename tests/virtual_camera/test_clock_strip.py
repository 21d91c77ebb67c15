"""The clock strip reads back what was drawn, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from vms.virtual_camera.clock_strip import CELLS, MIN_WIDTH, ClockReading, clock_row, read_clock, strip_rows

LATEST_MS = (1 << 44) - 1


def picture(width: int, height: int, wall_ms: int, camera: int) -> bytes:
    """Luma alone: the strip over mid-grey."""
    rows = strip_rows(height)
    return clock_row(width, wall_ms, camera) * rows + b"\x80" * (width * (height - rows))


@given(st.integers(MIN_WIDTH, 2000), st.integers(180, 1200), st.integers(0, LATEST_MS), st.integers(0, 255))
def test_any_time_reads_back_from_a_picture_of_any_size(
    width: int, height: int, wall_ms: int, camera: int
) -> None:
    luma = picture(width, height, wall_ms, camera)
    assert read_clock(luma, width, height, channels=1) == ClockReading(wall_ms, camera)


def test_rows_may_be_padded_and_have_three_or_four_channels() -> None:
    luma = picture(640, 360, 1_795_444_966_359, 3)
    for channels in (3, 4):
        rows = [luma[row * 640 : row * 640 + 640] for row in range(360)]
        pixels = b"".join(bytes(v for v in row for _ in range(channels)) + b"\0" * 32 for row in rows)
        reading = read_clock(pixels, 640, 360, stride=640 * channels + 32, channels=channels)
        assert reading == ClockReading(1_795_444_966_359, 3)


@given(st.integers(0, LATEST_MS), st.integers(4, CELLS - 1))
def test_a_reading_with_a_wrong_cell_is_no_reading(wall_ms: int, cell: int) -> None:
    row = bytearray(clock_row(640, wall_ms, 1))
    row[cell * 10 : cell * 10 + 10] = bytes(251 - value for value in row[cell * 10 : cell * 10 + 10])
    luma = bytes(row) * strip_rows(360) + bytes(640 * (360 - strip_rows(360)))
    assert read_clock(luma, 640, 360, channels=1) is None


@given(st.binary(max_size=5000), st.integers(1, 200), st.integers(1, 30))
def test_what_holds_no_clock_gives_none(pixels: bytes, width: int, height: int) -> None:
    read_clock(pixels, width, height)
    assert read_clock(bytes(64 * 64 * 3), 64, 64) is None
    assert read_clock(b"\xff" * (64 * 64 * 3), 64, 64) is None
    assert read_clock(b"", 640, 360) is None
