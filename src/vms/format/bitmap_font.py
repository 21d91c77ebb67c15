"""A bitmap font of 5 by 7 dots, enough to write a time and a camera's name into a picture.

Belongs here: glyphs and lines of text as rows of luma bytes. Does not: where text stands in a picture.
"""

from functools import lru_cache

GLYPH_COLUMNS = 6  # five of dots and one of space
GLYPH_ROWS = 7

# A row of a glyph is five bits, the leftmost dot the highest.
_GLYPHS: dict[str, tuple[int, ...]] = {
    " ": (0, 0, 0, 0, 0, 0, 0),
    "-": (0, 0, 0, 31, 0, 0, 0),
    "+": (0, 4, 4, 31, 4, 4, 0),
    ".": (0, 0, 0, 0, 0, 12, 12),
    ":": (0, 12, 12, 0, 12, 12, 0),
    "/": (1, 1, 2, 4, 8, 16, 16),
    "#": (10, 10, 31, 10, 31, 10, 10),
    "?": (14, 17, 1, 2, 4, 0, 4),
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    "A": (14, 17, 17, 31, 17, 17, 17),
    "B": (30, 17, 17, 30, 17, 17, 30),
    "C": (14, 17, 16, 16, 16, 17, 14),
    "D": (28, 18, 17, 17, 17, 18, 28),
    "E": (31, 16, 16, 30, 16, 16, 31),
    "F": (31, 16, 16, 30, 16, 16, 16),
    "G": (14, 17, 16, 23, 17, 17, 15),
    "H": (17, 17, 17, 31, 17, 17, 17),
    "I": (14, 4, 4, 4, 4, 4, 14),
    "J": (7, 2, 2, 2, 2, 18, 12),
    "K": (17, 18, 20, 24, 20, 18, 17),
    "L": (16, 16, 16, 16, 16, 16, 31),
    "M": (17, 27, 21, 21, 17, 17, 17),
    "N": (17, 17, 25, 21, 19, 17, 17),
    "O": (14, 17, 17, 17, 17, 17, 14),
    "P": (30, 17, 17, 30, 16, 16, 16),
    "Q": (14, 17, 17, 17, 21, 18, 13),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "S": (15, 16, 16, 14, 1, 1, 30),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 17, 17, 14),
    "V": (17, 17, 17, 17, 17, 10, 4),
    "W": (17, 17, 17, 21, 21, 21, 10),
    "X": (17, 17, 10, 4, 10, 17, 17),
    "Y": (17, 17, 17, 10, 4, 4, 4),
    "Z": (31, 1, 2, 4, 8, 16, 31),
}


@lru_cache(maxsize=1024)
def _glyph_row(character: str, row: int, scale: int, ink: int, paper: int) -> bytes:
    dots = _GLYPHS.get(character.upper(), _GLYPHS["?"])[row] << 1
    lit, unlit = bytes((ink,)) * scale, bytes((paper,)) * scale
    return b"".join(lit if dots >> column & 1 else unlit for column in range(GLYPH_COLUMNS - 1, -1, -1))


def text_rows(text: str, scale: int, ink: int = 235, paper: int = 16) -> list[bytes]:
    """`text` as 7 rows of luma, each `len(text) * 6 * scale` bytes, to be drawn `scale` times each.

    ink, paper: luma of the dots and of what is behind them. A character without a glyph shows as ``?``.
    """
    return [
        b"".join(_glyph_row(character, row, scale, ink, paper) for character in text)
        for row in range(GLYPH_ROWS)
    ]
