"""What closes a file: the fragment index, the final moov, and the flip."""

from collections.abc import Callable, Sequence
from zlib import crc32

from vms.format.errors import FormatError
from vms.format.hybrid.index import MAX_INDEX_BYTES, Index, build_index, build_rows, parse_index
from vms.format.hybrid.layout import FLIP_OFFSET, closed_flip
from vms.format.hybrid.types import Finish, Fragment, ReadAt
from vms.format.mp4.boxes import LARGE_HEADER_BYTES, parse_header
from vms.format.mp4.movie import build_movie
from vms.format.mp4.samples import TrackSamples

MAX_MOVIE_BYTES = 256 << 20
_U32_MAX = 0xFFFF_FFFF


def build_finish(
    fragments: Sequence[Fragment],
    tracks: Sequence[TrackSamples],
    track_ids: Sequence[int],
    prove: Callable[[bytes, bytes], bytes] | None = None,
) -> Finish:
    """How to close a file after its last fragment; tracks without samples are left out of the moov.

    prove: gives the boxes of the proof for the ``vfrg`` box and the moov; None leaves the file unsigned.
    Raises FormatError when there is no fragment, and what `prove` raises.
    """
    if not fragments:
        raise FormatError("a recording without a fragment cannot be closed")
    end = fragments[-1].end
    movie = build_movie([each for each in tracks if len(each)], large=end > _U32_MAX)
    rows = build_rows(fragments, track_ids)
    index = build_index(rows, movie, prove(rows, movie) if prove is not None else b"")
    return Finish(end, index + movie, FLIP_OFFSET, closed_flip(end))


def read_index(read_at: ReadAt, offset: int, size: int) -> tuple[Index, int]:
    """The index at `offset` of a file of `size` bytes, and where it ends.

    Raises FormatError unless it is whole, its fragments end where it begins, and the file is long enough
    for the moov that follows.
    """
    header = parse_header(read_at(offset, LARGE_HEADER_BYTES))
    if header.kind != b"uuid" or header.size > min(size - offset, MAX_INDEX_BYTES):
        raise FormatError(f"recording: no whole fragment index at {offset}")
    index, end = parse_index(read_at(offset, header.size)), offset + header.size
    if not index.fragments or index.fragments[-1].end != offset:
        raise FormatError(f"recording: its fragments do not end where its index begins, at {offset}")
    if end + index.movie_size > size or index.movie_size > MAX_MOVIE_BYTES:
        raise FormatError(f"recording: its moov of {index.movie_size} bytes is not whole")
    return index, end


def has_whole_movie(read_at: ReadAt, index: Index, offset: int) -> bool:
    """Whether the moov that `index` speaks of stands, undamaged, at `offset`."""
    return crc32(read_at(offset, index.movie_size)) == index.movie_crc
