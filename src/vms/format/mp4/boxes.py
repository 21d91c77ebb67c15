"""Boxes: the sized, typed containers of ISO 14496-12 §4.2, written and read.

Reading expects an attacker: a size is believed only where the bytes are there.
"""

from collections.abc import Iterator
from struct import Struct, error
from typing import Any, NamedTuple

from vms.format.errors import FormatError

HEADER_BYTES = 8
LARGE_HEADER_BYTES = 16
_LARGE_SIZE = 1

# One matrix that transforms nothing (§8.2.2)
UNITY_MATRIX = Struct(">9I").pack(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class Box(NamedTuple):
    """A box found while reading: its type and what follows its header."""

    kind: bytes
    payload: memoryview


class BoxHeader(NamedTuple):
    """size: of the whole box, header included. header_size: 8, or 16 with a 64-bit size."""

    kind: bytes
    size: int
    header_size: int


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of `parts`, one after the other; its size must fit 32 bits."""
    return b"".join(((HEADER_BYTES + sum(map(len, parts))).to_bytes(4), kind, *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box that begins with its version and flags (§4.2)."""
    return box(kind, (version << 24 | flags).to_bytes(4), *parts)


Part = bytes | memoryview
"""A piece of a box; large ones are views, which are copied once, when everything is put together."""


def box_parts(kind: bytes, *parts: Part) -> list[Part]:
    """As `box`, in pieces that are still to be put together."""
    return [(HEADER_BYTES + sum(map(len, parts))).to_bytes(4) + kind, *parts]


def full_box_parts(kind: bytes, version: int, flags: int, *parts: Part) -> list[Part]:
    """As `full_box`, in pieces."""
    return box_parts(kind, (version << 24 | flags).to_bytes(4), *parts)


def mdat_header(payload_size: int) -> bytes:
    """The header of an mdat, with a 64-bit size only where that is needed."""
    size = HEADER_BYTES + payload_size
    if size < 1 << 32:
        return size.to_bytes(4) + b"mdat"
    return large_header(b"mdat", LARGE_HEADER_BYTES + payload_size)


def large_header(kind: bytes, size: int) -> bytes:
    """The 16-byte header of a box of `size` bytes, header included."""
    return _LARGE_SIZE.to_bytes(4) + kind + size.to_bytes(8)


def parse_header(data: bytes | memoryview) -> BoxHeader:
    """The box header that `data` begins with.

    Raises FormatError when it is cut off, when the size is smaller than the header, and for a size of 0
    (*up to the end of the file*), which in a recording only a torn write leaves behind.
    """
    size, kind, header_size = int.from_bytes(data[:4]), bytes(data[4:8]), HEADER_BYTES
    if size == _LARGE_SIZE:
        size, header_size = int.from_bytes(data[8:16]), LARGE_HEADER_BYTES
    if len(data) < header_size or size < header_size:
        raise FormatError(f"no box header: {bytes(data[:16]).hex(' ')}")
    return BoxHeader(kind, size, header_size)


def children(data: bytes | memoryview) -> Iterator[Box]:
    """The boxes that `data` consists of. FormatError when they do not fill it exactly."""
    view = memoryview(data)
    position = 0
    while position < len(view):
        kind, size, header_size = parse_header(view[position : position + LARGE_HEADER_BYTES])
        if position + size > len(view):
            raise FormatError(f"box {kind!r} of {size} bytes reaches beyond its parent")
        yield Box(kind, view[position + header_size : position + size])
        position += size


def find(data: bytes | memoryview, *path: bytes) -> memoryview | None:
    """The payload of the first box along `path`, e.g. ``find(trak, b"mdia", b"mdhd")``."""
    payload = memoryview(data)
    for kind in path:
        found = next((child.payload for child in children(payload) if child.kind == kind), None)
        if found is None:
            return None
        payload = found
    return payload


def require(data: bytes | memoryview, *path: bytes) -> memoryview:
    """`find` for a box that must be there; FormatError when it is not."""
    payload = find(data, *path)
    if payload is None:
        raise FormatError(f"no box {'/'.join(kind.decode('latin-1') for kind in path)}")
    return payload


def unpack(layout: Struct, data: bytes | memoryview, offset: int, name: str) -> tuple[Any, ...]:
    """The fields of `layout` at `offset`; FormatError when `data` ends before."""
    try:
        return layout.unpack_from(data, offset)
    except error as cause:
        raise FormatError(f"box {name} ends after {len(data)} bytes, in the middle") from cause
