"""Which stream of a camera suits a tile: as few bits and pictures to decode as will look right.

A wall of 16 cameras in 4K would cost a browser 16 decodes of 8 megapixels to show tiles of 480 × 270.

Belongs here: sizes → a stream. Does not: whether a browser can play it (viewability), who asks (the API).
"""

from typing import NamedTuple

from vms.common.stream_name import StreamName

ENOUGH = 0.7
"""Sub is taken where it has so much of the pixels that the tile shows along each side; less looks soft."""
ENOUGH_TO_STAY = 0.6
"""One that is shown already stays so long: a tile that is resized a little must not go back and forth …"""
ENOUGH_TO_GO = 0.8
"""… and main is left only for a sub that is better than just enough."""
SMALL_TILE_HEIGHT = 200  # device pixels; main is never worth it in one of these
TYPICAL_SUB_WIDTH, TYPICAL_SUB_HEIGHT = 640, 360


class Size(NamedTuple):
    """Pixels."""

    width: int
    height: int


UNKNOWN_SIZE = Size(0, 0)
"""Of a stream that was not pulled yet."""


def stream_for(
    tile_width: int,
    tile_height: int,
    main: Size | None,
    sub: Size | None,
    *,
    current: StreamName | None = None,
) -> StreamName:
    """MAIN or SUB, for a tile of so many device pixels, into which the picture is fitted whole.

    main, sub: how large their pictures are; UNKNOWN_SIZE while that is not known: a sub stream is then taken for one of
    640 × 360. None for a stream that the camera does not have. current: what the tile shows now; COMPAT counts as MAIN.
    """
    if sub is None:
        return StreamName.MAIN
    if main is None:
        return StreamName.SUB
    width, height = sub if sub.width > 0 and sub.height > 0 else (TYPICAL_SUB_WIDTH, TYPICAL_SUB_HEIGHT)
    if main.width > 0 and main.height > 0 and width * height >= main.width * main.height:
        return StreamName.MAIN  # it is sub by name alone
    if tile_height <= SMALL_TILE_HEIGHT:
        return StreamName.SUB
    enough = ENOUGH
    if current is not None:
        enough = ENOUGH_TO_STAY if current is StreamName.SUB else ENOUGH_TO_GO
    enlarged = min(tile_width / width, tile_height / height)
    return StreamName.SUB if enlarged * enough <= 1 else StreamName.MAIN
