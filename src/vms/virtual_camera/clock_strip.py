"""A clock in the picture that a program reads, however much the picture was compressed or scaled.

The strip lies along the top edge, `height // 30` pixels high (an even number, at least 8), and is
64 equal cells wide, white for 1 and black for 0, the most significant bit of each field leftmost:

    cell    0–3   sync, always 1010
    cell   4–47   milliseconds since the Unix epoch, UTC, when the picture was captured
    cell  48–55   number of the picture's camera, 1 to 255
    cell  56–63   CRC-8 (polynomial 0x07, initial value 0) of the 52 bits in cells 4–55, first bit first

Places are fractions of the picture, so a scaled picture reads as well, from 256 pixels of width on. A
reading whose sync or CRC does not hold is no reading.

Belongs here: the layout, drawing it, reading it. Does not: the rest of the picture (`painter`).
"""

from typing import NamedTuple

CELLS = 64
MIN_WIDTH = 256  # four pixels a cell: what a reading needs
_SYNC = 0b1010
_TIME_BITS = 44
_BLACK, _WHITE = 16, 235  # limited-range luma (ITU-R BT.601)


class ClockReading(NamedTuple):
    """wall_ms: capture time, milliseconds since the Unix epoch; camera: the number of the camera."""

    wall_ms: int
    camera: int


def strip_rows(height: int) -> int:
    """How many pixel rows at the top of a picture of `height` rows belong to the strip."""
    return max(8, height // 30 & ~1)


def clock_row(width: int, wall_ms: int, camera: int) -> bytes:
    """One luma row of the strip; all its rows are the same."""
    fields = (wall_ms & (1 << _TIME_BITS) - 1) << 8 | camera & 0xFF
    word = _SYNC << 60 | fields << 8 | _crc8(fields)
    edges = [cell * width // CELLS for cell in range(CELLS + 1)]
    return b"".join(
        bytes((_WHITE if word >> (CELLS - 1 - cell) & 1 else _BLACK,)) * (edges[cell + 1] - edges[cell])
        for cell in range(CELLS)
    )


def read_clock(
    rgb: bytes | bytearray | memoryview, width: int, height: int, stride: int | None = None, channels: int = 3
) -> ClockReading | None:
    """Read the clock in a picture; None when there is none that can be trusted.

    rgb: rows of `stride` bytes (default `width * channels`), `channels` bytes a pixel: 3 for RGB,
        4 for RGBA, 1 for luma alone. Anything with the buffer protocol will do.
    """
    pixels = memoryview(rgb).cast("B")
    stride = stride or width * channels
    if width < MIN_WIDTH or len(pixels) < stride * (height - 1) + width * channels:
        return None
    row_count = max(2, height // 30)
    rows = [row_count * part // 8 * stride for part in (3, 4, 5)]
    word = 0
    for cell in range(CELLS):
        columns = [((4 * cell + part) * width // (4 * CELLS)) * channels for part in (1, 2, 3)]
        # The second channel is green in RGB and closest to luma.
        level = sum(pixels[row + column + (channels > 1)] for row in rows for column in columns)
        word = word << 1 | (level > 9 * 128)
    fields = word >> 8 & (1 << 52) - 1
    if word >> 60 != _SYNC or _crc8(fields) != word & 0xFF:
        return None
    return ClockReading(wall_ms=fields >> 8, camera=fields & 0xFF)


def _crc8(fields: int) -> int:
    crc = 0
    for bit in range(51, -1, -1):
        carry = crc >> 7 ^ fields >> bit & 1
        crc = crc << 1 & 0xFF ^ (0x07 if carry else 0)
    return crc
