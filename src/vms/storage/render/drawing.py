"""Pictures with a bar below them that says when they were captured: nothing of the footage is hidden.

Belongs here: laying pictures and text into frames. Does not: decoding and encoding (burn_in), glyphs (vms.format).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from vms.common.clock import NS
from vms.format.bitmap_font import GLYPH_COLUMNS, GLYPH_ROWS, text_rows

if TYPE_CHECKING:
    from av import VideoFrame

LINE_CHARACTERS = 48  # that a picture's width has room for, however wide it is
MIN_WIDTH = 32 * GLYPH_COLUMNS  # a time and its offset need so many pixels; smaller pictures are made larger
_PAPER, _INK, _GREY = 16, 235, 128


class Easel:
    """Where pictures of a clip are drawn: `width` by `height` pixels, all of the same size.

    picture_height: the part of it that shows the footage; the bar is below.
    """

    def __init__(self, width: int, height: int) -> None:
        """width, height: of the footage; odd ones lose a pixel, small ones are enlarged."""
        times = -(-MIN_WIDTH // max(width, 1))
        self.width = max(width * times & ~1, 2)
        self.picture_height = max(height * times & ~1, 2)
        self.scale = max(1, self.width // (LINE_CHARACTERS * GLYPH_COLUMNS))
        self.bar_height = (GLYPH_ROWS + 4) * self.scale + 1 & ~1
        self.height = self.picture_height + self.bar_height

    def draw(self, picture: "VideoFrame", text: str) -> "VideoFrame":
        """`picture` with `text` in the bar below it, in yuv420p."""
        shown = picture.reformat(width=self.width, height=self.picture_height, format="yuv420p")
        frame = self._blank()
        for into, source in zip(frame.planes, shown.planes, strict=True):
            target, data = memoryview(into), memoryview(source)
            if into.line_size == source.line_size:
                size = source.height * source.line_size
                target[:size] = data[:size]
                continue
            for row in range(source.height):
                at, of = row * into.line_size, row * source.line_size
                target[at : at + source.width] = data[of : of + source.width]
        self._write(frame, text, self.picture_height + 2 * self.scale)
        return frame

    def card(self, lines: Sequence[str], text: str) -> "VideoFrame":
        """A black picture with `lines` in its middle, and `text` in the bar."""
        frame = self._blank()
        step = (GLYPH_ROWS + 4) * self.scale
        top = max((self.picture_height - step * len(lines)) // 2, 0)
        for number, line in enumerate(lines):
            if top + (number + 1) * step <= self.picture_height:
                self._write(frame, line, top + number * step)
        self._write(frame, text, self.picture_height + 2 * self.scale)
        return frame

    def bar(self, text: str) -> list[bytes]:
        """The rows of luma of `text`, each drawn `scale` times from `scale * 2` rows below the picture."""
        room = self.width // (GLYPH_COLUMNS * self.scale) - 1
        return text_rows(text[:room], self.scale, _INK, _PAPER)

    def _blank(self) -> "VideoFrame":
        import av

        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        for plane, shade in zip(frame.planes, (_PAPER, _GREY, _GREY), strict=True):
            plane.update(bytes((shade,)) * plane.buffer_size)
        return frame

    def _write(self, frame: "VideoFrame", text: str, top: int) -> None:
        plane = frame.planes[0]
        target, at = memoryview(plane), top * plane.line_size + GLYPH_COLUMNS * self.scale // 2
        for row in self.bar(text):
            for _ in range(self.scale):
                target[at : at + len(row)] = row
                at += plane.line_size


def wall_text(wall_ns: int, zone: ZoneInfo) -> str:
    """``2026-11-23 09:00:00.123 -03:00``: local time in milliseconds, rounded down, and its offset from UTC."""
    seconds, ns = divmod(wall_ns, NS)
    local = datetime.fromtimestamp(seconds, zone)
    offset = local.utcoffset() or timedelta()
    sign, minutes = ("-", -offset) if offset < timedelta() else ("+", offset)
    hours, rest = divmod(int(minutes.total_seconds()) // 60, 60)
    return f"{local:%Y-%m-%d %H:%M:%S}.{ns // 1_000_000:03d} {sign}{hours:02d}:{rest:02d}"
