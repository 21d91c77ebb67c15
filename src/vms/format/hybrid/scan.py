"""Finding the complete fragments of a file that has no index yet, and reading one fragment.

A fragment counts when its three boxes are whole, in order, and agree with each other on every sample.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vms.common.clock import NS
from vms.format.errors import FormatError
from vms.format.hybrid.types import Fragment, FragmentTrack, ReadAt
from vms.format.mp4.boxes import BoxHeader, parse_header
from vms.format.mp4.fragment import (
    ReferenceTime,
    TrackRun,
    parse_movie_fragment,
    parse_reference_time,
)
from vms.media import MediaKind, Track

_FIRST_READ = 4096
_U32_MAX = 0xFFFF_FFFF
_MAX_HEAD_BYTES = 1 << 20


class ScannedFragment(NamedTuple):
    """A fragment and its runs; `data_offset` of each is from the start of the file."""

    fragment: Fragment
    runs: list[TrackRun]


def scan(read_at: ReadAt, offset: int, size: int, tracks: Mapping[int, Track]) -> Iterator[ScannedFragment]:
    """The complete fragments from `offset` of a file of `size` bytes, up to the first that is not."""
    sequence_number = 1
    while True:
        try:
            found, number = read_fragment(read_at, offset, size, tracks)
        except FormatError:
            return
        if number != sequence_number:
            return
        yield found
        sequence_number += 1
        offset = found.fragment.end


def read_fragment(
    read_at: ReadAt, offset: int, size: int, tracks: Mapping[int, Track]
) -> tuple[ScannedFragment, int]:
    """The fragment at `offset`, and its sequence number. Raises FormatError unless it is complete."""
    head = read_at(offset, min(_FIRST_READ, size - offset))
    reference = _box_at(head, 0, b"prft")
    moof = _box_at(head, reference.size, b"moof")
    head_size = reference.size + moof.size
    if head_size > _MAX_HEAD_BYTES:
        raise FormatError(f"fragment at {offset}: a moof of {moof.size} bytes")
    if head_size + 8 > len(head):
        head = read_at(offset, head_size + 8)
    media = _box_at(head, head_size, b"mdat")
    end = offset + head_size + media.size
    if end > size or end - offset > _U32_MAX:
        raise FormatError(f"fragment at {offset}: it ends at {end}, the file at {size}")
    view = memoryview(head)
    time = parse_reference_time(view[reference.header_size : reference.size])
    number, runs = parse_movie_fragment(view[reference.size + moof.header_size : head_size])
    position = moof.size + media.header_size
    if len({run.track_id for run in runs}) != len(runs):
        raise FormatError(f"fragment at {offset}: a track stands in it twice")
    for run in runs:
        if run.data_offset != position or run.track_id not in tracks:
            raise FormatError(f"fragment at {offset}: track {run.track_id} does not fit its media data")
        run.data_offset += offset + reference.size
        position += sum(run.sizes)
    if any(sum(run.durations) > _U32_MAX for run in runs):
        raise FormatError(f"fragment at {offset}: it lasts longer than 32 bits of ticks")
    if position != moof.size + media.size:
        raise FormatError(f"fragment at {offset}: its media data has another size than its samples")
    return ScannedFragment(describe(offset, end - offset, time, runs, tracks), runs), number


def describe(
    offset: int, size: int, time: ReferenceTime, runs: list[TrackRun], tracks: Mapping[int, Track]
) -> Fragment:
    """The `Fragment` of `runs`; `time` is of the first run of video, else of the first run."""
    video = {track_id for track_id, track in tracks.items() if track.kind is MediaKind.VIDEO}
    leader = next((run for run in runs if run.track_id in video), runs[0])
    held = tuple(
        FragmentTrack(run.track_id, run.first_dts, sum(run.durations), len(run.sizes)) for run in runs
    )
    key = bool(leader.keys[0]) if leader.track_id in video else not video
    duration_ns = sum(leader.durations) * NS // tracks[leader.track_id].clock_rate
    return Fragment(offset, size, time.wall_ns, duration_ns, key, held)


def _box_at(head: bytes, position: int, kind: bytes) -> BoxHeader:
    header = parse_header(head[position : position + 16])
    if header.kind != kind:
        raise FormatError(f"fragment: {header.kind!r} instead of {kind!r}")
    return header
