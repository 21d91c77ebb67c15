"""Reading a recording file: what is in it, where, and how much of it is valid."""

from vms.format.errors import FormatError
from vms.format.hybrid.layout import Beginning, parse_beginning
from vms.format.hybrid.scan import scan
from vms.format.hybrid.tail import read_index
from vms.format.hybrid.types import ReadAt, SegmentFile


def read_segment(read_at: ReadAt, size: int) -> SegmentFile:
    """What a recording of `size` bytes holds.

    A closed file is read by its index (three reads). One that is open, or was torn, is scanned, a read a
    fragment, and counts up to its last complete fragment. Raises FormatError when it is not a recording,
    or not even its beginning is whole.
    """
    beginning = parse_beginning(read_at, size)
    if beginning.media_end is not None:
        try:
            return read_closed(read_at, size, beginning, beginning.media_end)
        except FormatError:
            # Flipped, and then damaged: what is whole of it can still be played
            return read_open(read_at, size, beginning)
    return read_open(read_at, size, beginning)


def read_closed(read_at: ReadAt, size: int, beginning: Beginning, media_end: int) -> SegmentFile:
    """By the index at `media_end`, flipped or not; FormatError when index or moov are not whole."""
    index, movie = read_index(read_at, media_end, size)
    if index.fragments[0].offset != beginning.size:
        raise FormatError("recording: its index does not begin with its first fragment")
    return SegmentFile(
        beginning.identity,
        beginning.tracks,
        beginning.init,
        index.fragments,
        closed=True,
        size=movie + index.movie_size,
        movie=(movie, index.movie_size),
        in_band=beginning.in_band,
        proof=index.proof,
    )


def read_open(read_at: ReadAt, size: int, beginning: Beginning) -> SegmentFile:
    """By scanning."""
    tracks = {track.id: track for track in beginning.tracks}
    fragments = [found.fragment for found in scan(read_at, beginning.size, size, tracks)]
    return SegmentFile(
        beginning.identity,
        beginning.tracks,
        beginning.init,
        fragments,
        closed=False,
        size=fragments[-1].end if fragments else beginning.size,
        in_band=beginning.in_band,
    )
