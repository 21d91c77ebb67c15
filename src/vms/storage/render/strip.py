"""Many thumbnails in one picture: what a timeline needs, in one answer.

Belongs here: putting pictures together. Does not: making them (thumbnails).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vms.format.picture import encode_jpeg
from vms.storage.render.values import Strip, Thumbnail

if TYPE_CHECKING:
    from av import VideoFrame

COLUMNS = 10
_QUALITY = 5
_BLACK, _GREY = b"\x00", b"\x80"


def put_together(cells: Sequence[Thumbnail | None], width: int) -> Strip:
    """The strip of `cells`, each `width` pixels wide (even) and as high as the highest. Blocks: for a thread."""
    import av

    pictures = [_decode(cell.jpeg) if cell is not None else None for cell in cells]
    height = max((each.height for each in pictures if each is not None), default=width * 9 // 16 & ~1)
    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    sheet = av.VideoFrame(columns * width, rows * height, "yuvj420p")
    for plane, shade in zip(sheet.planes, (_BLACK, _GREY, _GREY), strict=True):
        plane.update(shade * plane.buffer_size)
    for index, picture in enumerate(pictures):
        if picture is not None:
            left, top = index % columns * width, index // columns * height
            _lay(
                sheet,
                picture,
                left + (width - picture.width) // 4 * 2,
                top + (height - picture.height) // 4 * 2,
            )
    times = tuple(cell.time_ns if cell is not None else None for cell in cells)
    return Strip(encode_jpeg(sheet, _QUALITY), times, columns, width, height)


def _decode(jpeg: bytes) -> "VideoFrame":
    import av

    decoder = av.CodecContext.create("mjpeg", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    frames = [*decoder.decode(av.Packet(jpeg)), *decoder.decode(None)]
    return frames[0].reformat(format="yuvj420p")


def _lay(sheet: "VideoFrame", picture: "VideoFrame", left: int, top: int) -> None:
    """Copy `picture` to an even place of `sheet`."""
    for number, (into, source) in enumerate(zip(sheet.planes, picture.planes, strict=True)):
        shift = 1 if number else 0
        target, data = memoryview(into), memoryview(source)
        for row in range(source.height):
            at = (row + (top >> shift)) * into.line_size + (left >> shift)
            target[at : at + source.width] = data[
                row * source.line_size : row * source.line_size + source.width
            ]
