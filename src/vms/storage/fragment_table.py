"""A segment's fragment table as the blob that the catalog keeps.

Columns, little-endian, deflated: sizes, steps of the start time, durations, key flags. The regular ones
shrink to almost nothing: about 5 bytes a fragment, against 40 in rows.

Belongs here: this one encoding. Does not: where it is stored (catalog), the table in the file
itself (vms.format.hybrid), which remains the truth.
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Sequence

from vms.common.errors import InvalidInput
from vms.format.hybrid import Fragment
from vms.storage.segment import SegmentIndex

_HEAD = struct.Struct("<BIQIQq")  # version, fragments, offset and size of init, first offset, first start
_VERSION = 1
_BYTES_EACH = 4 + 8 + 8 + 1
_MAX_FRAGMENTS = 10_000_000


class FragmentTableDamaged(InvalidInput):
    """The blob is none of ours, or was damaged; the file's own index still has everything."""


def pack(index: SegmentIndex) -> bytes:
    """The blob for a segment's index. Fragments are contiguous, so offsets follow from sizes."""
    fragments = index.fragments
    first_offset = fragments[0].offset if fragments else 0
    first_start_ns = fragments[0].start_ns if fragments else 0
    sizes = array("I", [fragment.size for fragment in fragments])
    steps = array("q", _steps(fragments))
    durations = array("q", [fragment.duration_ns for fragment in fragments])
    keys = bytes(fragment.key for fragment in fragments)
    columns = b"".join((*map(_little_endian, (sizes, steps, durations)), keys))
    head = _HEAD.pack(_VERSION, len(fragments), *index.init, first_offset, first_start_ns)
    return head + zlib.compress(columns, 1)


def unpack(blob: bytes) -> SegmentIndex:
    """What `pack` packed, without the fragments' `tracks`. Raises FragmentTableDamaged."""
    if len(blob) < _HEAD.size:
        raise FragmentTableDamaged(f"a fragment table of {len(blob)} bytes is too short")
    version, count, init_offset, init_size, offset, start_ns = _HEAD.unpack_from(blob)
    if version != _VERSION or count > _MAX_FRAGMENTS:
        raise FragmentTableDamaged(f"a fragment table of version {version} with {count} fragments")
    columns = _inflate(blob[_HEAD.size :], count * _BYTES_EACH)
    sizes = _column("I", columns, 0, count)
    steps = _column("q", columns, 4 * count, count)
    durations = _column("q", columns, 12 * count, count)
    keys = columns[20 * count :]
    fragments = []
    for size, step, duration_ns, key in zip(sizes, steps, durations, keys, strict=True):
        start_ns += step
        fragments.append(Fragment(offset, size, start_ns, duration_ns, bool(key), ()))
        offset += size
        start_ns += duration_ns
    return SegmentIndex((init_offset, init_size), fragments)


def _steps(fragments: Sequence[Fragment]) -> list[int]:
    """From each fragment's end to the next one's start: zero but for jitter and holes."""
    ends = [fragment.end_ns for fragment in fragments]
    return [0, *(after.start_ns - end_ns for after, end_ns in zip(fragments[1:], ends, strict=False))][
        : len(fragments)
    ]


def _inflate(data: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        columns = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise FragmentTableDamaged(f"a fragment table that does not inflate: {error}") from error
    if len(columns) != size:
        raise FragmentTableDamaged(f"a fragment table of {len(columns)} bytes where {size} were due")
    return columns


def _little_endian(column: "array[int]") -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _column(typecode: str, columns: bytes, offset: int, count: int) -> "array[int]":
    column = array(typecode)
    column.frombytes(columns[offset : offset + count * column.itemsize])
    if sys.byteorder == "big":
        column.byteswap()
    return column
