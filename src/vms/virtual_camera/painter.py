"""Draw the test picture: a clock for people, a clock for programs, something that moves.

Pictures are planes of bytes (YUV 4:2:0, limited range, BT.601), made from a background that is drawn
once and rows that are laid over it, so that a picture costs a fraction of a millisecond without numpy.
A band of noise at the bottom, as high as the bit rate asks for, gives the encoder something to spend
its bits on; a picture without it would stay far below a camera's rate.

Belongs here: what is in the picture. Does not: encoding it (`pattern`), the strip's layout (`clock_strip`).
"""

import random
from typing import NamedTuple

from vms.common.clock import rfc3339
from vms.format.bitmap_font import GLYPH_COLUMNS, GLYPH_ROWS, text_rows
from vms.virtual_camera.clock_strip import clock_row, strip_rows

_NOISE_POOL_BYTES = 1 << 20
_NOISE_BITS_PER_PIXEL = 1.0  # what x264 spends on noise at a middling quantiser; measured
_BARS = (  # luma, Cb, Cr of the 75% colour bars (ITU-R BT.471)
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
)


class Planes(NamedTuple):
    """One YUV 4:2:0 picture; rows of `y` are as far apart as the strides say."""

    y: bytearray
    u: bytearray
    v: bytearray


class Painter:
    """Draws picture after picture of one camera. Not for several threads at once."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        strides: tuple[int, int],
        name: str,
        camera: int,
        noise_bits: float,
    ) -> None:
        """strides: bytes from row to row of luma and of chroma. noise_bits: to be spent on noise, a picture."""
        self._width, self._height = width, height
        self._stride, self._chroma_stride = strides
        self._camera = camera
        self._strip_rows = strip_rows(height)
        self._scale = max(1, width // (26 * GLYPH_COLUMNS))
        self._noise_rows = min(height // 3, int(noise_bits / _NOISE_BITS_PER_PIXEL / width))
        self._noise = memoryview(random.Random(camera).randbytes(_NOISE_POOL_BYTES))  # noqa: S311 - a picture
        self._box = height // 8 & ~1
        self._background = self._draw_background(name)

    def paint(self, wall_ns: int, number: int) -> Planes:
        """The picture captured at `wall_ns`, the `number`-th of its stream."""
        y, u, v = (bytearray(plane) for plane in self._background)
        self._lay_rows(y, [clock_row(self._width, wall_ns // 1_000_000, self._camera)], self._strip_rows, 0)
        time_text = rfc3339(wall_ns).replace("T", " ").replace("Z", " ")
        self._lay_text(y, f" {time_text}", self._scale, self._time_top)
        self._lay_text(y, f" #{number:08d} ", self._small_scale, self._name_top, right=True)
        self._lay_noise(y, number)
        self._lay_box(Planes(y, u, v), number)
        return Planes(y, u, v)

    @property
    def _small_scale(self) -> int:
        return max(1, self._scale // 2)

    @property
    def _time_top(self) -> int:
        return self._strip_rows + self._scale * 3

    @property
    def _name_top(self) -> int:
        return self._time_top + (GLYPH_ROWS + 3) * self._scale

    @property
    def _field(self) -> tuple[int, int]:
        """First and last row of the field in which the box moves; even rows."""
        top = self._name_top + (GLYPH_ROWS + 3) * self._small_scale + 1 & ~1
        return top, self._height - self._noise_rows & ~1

    def _draw_background(self, name: str) -> Planes:
        width, height = self._width, self._height
        edges = [bar * (width // 2) // len(_BARS) * 2 for bar in range(len(_BARS) + 1)]
        spans = [edges[bar + 1] - edges[bar] for bar in range(len(_BARS))]
        luma = b"".join(bytes((bar[0],)) * span for bar, span in zip(_BARS, spans, strict=True))
        cb, cr = (
            b"".join(bytes((bar[part],)) * (span // 2) for bar, span in zip(_BARS, spans, strict=True))
            for part in (1, 2)
        )
        top, _ = self._field
        y = bytearray(b"\x10" * (self._stride * height))
        u, v = (bytearray(b"\x80" * (self._chroma_stride * (height // 2))) for _ in range(2))
        self._lay_rows(y, [luma], height - top, top)
        for row in range(top // 2, (height - self._noise_rows) // 2):
            at = row * self._chroma_stride
            u[at : at + len(cb)] = cb
            v[at : at + len(cr)] = cr
        self._lay_text(y, f" {name}", self._small_scale, self._name_top)
        return Planes(y, u, v)

    def _lay_rows(self, y: bytearray, rows: list[bytes], times: int, top: int, left: int = 0) -> None:
        at = top * self._stride + left
        for row in rows:
            for _ in range(times):
                y[at : at + len(row)] = row
                at += self._stride

    def _lay_text(self, y: bytearray, text: str, scale: int, top: int, *, right: bool = False) -> None:
        room = self._width // (GLYPH_COLUMNS * scale)
        rows = text_rows(text[:room], scale)
        self._lay_rows(y, rows, scale, top, self._width - len(rows[0]) if right else 0)

    def _lay_noise(self, y: bytearray, number: int) -> None:
        places = random.Random(number)  # noqa: S311 - a picture
        for row in range(self._height - self._noise_rows, self._height):
            start = places.randrange(_NOISE_POOL_BYTES - self._width)
            at = row * self._stride
            y[at : at + self._width] = self._noise[start : start + self._width]

    def _lay_box(self, planes: Planes, number: int) -> None:
        top, bottom = self._field
        size = min(self._box, bottom - top)
        left = _bounce(number * 6, self._width - size) & ~1
        upper = top + _bounce(number * 4, bottom - top - size) & ~1
        self._lay_rows(planes.y, [b"\xd2" * size], size, upper, left)
        half = size // 2
        for row in range(upper // 2, upper // 2 + half):
            at = row * self._chroma_stride + left // 2
            planes.u[at : at + half] = b"\x10" * half
            planes.v[at : at + half] = b"\x92" * half


def _bounce(distance: int, room: int) -> int:
    """Where something is that moves to and fro within `room` after going `distance`."""
    if room <= 0:
        return 0
    distance %= 2 * room
    return distance if distance <= room else 2 * room - distance
