"""NAL units between their two framings: a length before each, or a start code.

Everywhere in the system an access unit is a row of NAL units, each behind its length in 4 bytes,
big-endian (ISO 14496-15 with lengthSizeMinusOne 3). Start codes (ITU-T H.264 Annex B) exist only where
another program wants them.

Belongs here: framing, and undoing emulation prevention. Does not: what is in a NAL unit (h264, h265).
"""

from collections.abc import Iterable, Iterator

from vms.format.errors import FormatError

LENGTH_BYTES = 4
_START_CODE = b"\0\0\0\1"
_SHORT_START_CODE = b"\0\0\1"


def split(data: bytes | memoryview) -> Iterator[memoryview]:
    """The NAL units of length-prefixed `data`, as views into it.

    Raises FormatError where a length is 0 or reaches beyond the end.
    """
    view = memoryview(data)
    position, end = 0, len(view)
    while position < end:
        start = position + LENGTH_BYTES
        position = start + int.from_bytes(view[position:start])
        if position > end or position == start or start > end:
            raise FormatError(f"NAL unit at byte {start - LENGTH_BYTES} of {end}: its length is wrong")
        yield view[start:position]


def join(nals: Iterable[bytes | memoryview]) -> bytes:
    """`nals`, each behind its length."""
    parts: list[bytes | memoryview] = []
    for nal in nals:
        parts.append(len(nal).to_bytes(LENGTH_BYTES))
        parts.append(nal)
    return b"".join(parts)


def from_annex_b(data: bytes) -> bytes:
    """Length-prefixed NAL units from a byte stream with start codes (ITU-T H.264 Annex B).

    Zero bytes around start codes are dropped; raises FormatError when there is no start code.
    """
    position = data.find(_SHORT_START_CODE)
    if position < 0:
        raise FormatError(f"no start code in {len(data)} bytes of Annex B stream")
    nals = []
    while position >= 0:
        start = position + len(_SHORT_START_CODE)
        position = data.find(_SHORT_START_CODE, start)
        nal = data[start : position if position >= 0 else len(data)].rstrip(b"\0")
        if nal:
            nals.append(nal)
    return join(nals)


def to_annex_b(data: bytes | memoryview) -> bytes:
    """A byte stream with start codes from length-prefixed NAL units; FormatError as `split`."""
    parts: list[bytes | memoryview] = []
    for nal in split(data):
        parts.append(_START_CODE)
        parts.append(nal)
    return b"".join(parts)


def unescape(nal: bytes) -> bytes:
    """The raw byte sequence payload: `nal` without emulation prevention bytes (ITU-T H.264 §7.4.1)."""
    return nal.replace(b"\0\0\3", b"\0\0")
