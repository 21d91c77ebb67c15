"""Sample tables out of recordings: for exports, snapshots and everything that wants single samples."""

from itertools import accumulate
from operator import add

from vms.format.errors import FormatError
from vms.format.hybrid.scan import read_fragment
from vms.format.hybrid.types import ReadAt, SegmentFile
from vms.format.mp4.boxes import parse_header
from vms.format.mp4.fragment import TrackRun
from vms.format.mp4.movie import parse_tracks
from vms.format.mp4.sample_table import SampleTable
from vms.format.mp4.samples import parse_sample_tables

_U32_MAX = 0xFFFF_FFFF


def read_samples(
    read_at: ReadAt, segment: SegmentFile, first: int = 0, last: int | None = None
) -> dict[int, SampleTable]:
    """The samples of ``segment.fragments[first:last]`` by track id; tracks without any have no entry.

    The whole of a closed file is read from its final moov (one read), anything else from its fragments (a
    read a fragment). Raises FormatError when the file is not what `segment` says.
    """
    fragments = segment.fragments[first:last]
    if segment.movie is not None and len(fragments) == len(segment.fragments):
        return _from_movie(read_at, segment, segment.movie)
    known = {track.id: track for track in segment.tracks}
    tables: dict[int, SampleTable] = {}
    ends: dict[int, int] = {}  # decoding time after each table's last sample
    for fragment in fragments:
        found, _ = read_fragment(read_at, fragment.offset, fragment.end, known)
        for run in found.runs:
            table = tables.get(run.track_id)
            if table is None:
                track = known[run.track_id]
                table = SampleTable(track, run.first_dts, in_band=track.id in segment.in_band)
                tables[track.id] = table
                ends[track.id] = run.first_dts
            _append(table, run, ends[run.track_id])
            ends[run.track_id] = run.first_dts + sum(run.durations)
    return tables


def _append(table: SampleTable, run: TrackRun, end_dts: int) -> None:
    # What a fragment's last sample lasts was a guess where the writer was flushed; the next one knows
    stretched = run.first_dts - end_dts
    if stretched:
        last = table.durations[-1] + stretched
        if not 0 < last <= _U32_MAX:
            raise FormatError(f"track {run.track_id}: decoding time jumps to {run.first_dts}")
        table.durations[-1] = last
    table.offsets.extend(accumulate(run.sizes[:-1], initial=run.data_offset))
    table.sizes.extend(run.sizes)
    table.durations.extend(run.durations)
    table.composition_offsets.extend(run.composition_offsets)
    table.keys.extend(run.keys)


def _from_movie(read_at: ReadAt, segment: SegmentFile, movie: tuple[int, int]) -> dict[int, SampleTable]:
    offset, size = movie
    data = read_at(offset, size)
    header = parse_header(data)
    if header.kind != b"moov" or header.size != size or len(data) != size:
        raise FormatError(f"recording: no moov of {size} bytes at {offset}")
    first_dts: dict[int, int] = {}
    for fragment in segment.fragments:
        for held in fragment.tracks:
            first_dts.setdefault(held.track_id, held.first_dts)
    known = {track.id: track for track in segment.tracks}
    tables = {}
    for parsed in parse_tracks(memoryview(data)[header.header_size :]):
        track_id = parsed.track.id
        if track_id not in first_dts or track_id not in known:
            raise FormatError(f"recording: track {track_id} of its moov is not in its fragments")
        table = parse_sample_tables(parsed.stbl, known[track_id], first_dts[track_id], parsed.in_band)
        if max(map(add, table.offsets, table.sizes), default=0) > offset:
            raise FormatError(f"recording: samples of track {track_id} lie beyond its media data")
        tables[track_id] = table
    return tables
