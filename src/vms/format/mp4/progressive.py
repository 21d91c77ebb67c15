"""An ordinary MP4, moov first, out of pieces of recordings; media stays where it is until it is sent.

What follows the header is a list of extents of the recordings, in file order, so that any byte range of
the movie can be served without a temporary file.

Belongs here: which sample goes where, and when it is presented.
Does not: finding the pieces (vms.storage), reading files.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress, count, pairwise
from operator import add, ne

from vms.format.errors import FormatError
from vms.format.mp4 import sample_entries
from vms.format.mp4.boxes import box, mdat_header
from vms.format.mp4.movie import build_movie
from vms.format.mp4.sample_table import SampleTable
from vms.format.mp4.samples import TrackSamples
from vms.media import Codec, MediaKind

CONTINUES_S = Fraction(1, 2)
"""A run whose pictures follow those of the run before within this is taken as its continuation."""

_FILE_TYPE = box(b"ftyp", b"isom", (0x200).to_bytes(4), b"isom", b"iso6", b"mp42")
_U32_MAX = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class MovieRun:
    """A piece of one recording. source: what the caller knows the file by. tables: samples by track id."""

    source: Hashable
    tables: Mapping[int, SampleTable]


@dataclass(frozen=True, slots=True)
class Extent:
    """`size` bytes from `offset` of `source`."""

    source: Hashable
    offset: int
    size: int


class ProgressiveMovie:
    """A movie of `runs`, which are in the order of time.

    header: ftyp, moov and the header of mdat. extents: what follows, in order, none adjacent to the one
        before it in the same source. size: bytes of the whole movie.

    Where a run does not continue the timeline of the one before, time is closed up: its tracks begin
    together, as far apart as they were, when the longest track before them ends; the last sample of a shorter
    one lasts until then. Encodings that differ get sample entries of their own, codecs or clock rates that
    differ get tracks of their own. Raises FormatError when there are no samples, or times run backwards
    within a track.
    """

    def __init__(self, runs: Sequence[MovieRun]) -> None:
        self.extents: list[Extent] = []
        self._tracks: dict[tuple[Codec, int], TrackSamples] = {}
        self._media_size = 0
        shift = Fraction(0)
        for run in runs:
            tables = {track_id: table for track_id, table in run.tables.items() if len(table)}
            if tables:
                shift = self._shift(list(tables.values()), shift)
                self._add(run.source, list(tables.values()), shift)
        if not self._tracks:
            raise FormatError("a movie needs samples")
        self.header = self._build_header()
        self.size = len(self.header) + self._media_size

    def _shift(self, tables: list[SampleTable], shift: Fraction) -> Fraction:
        """Seconds to subtract from decoding times of a run; `shift` is that of the run before."""
        if not self._tracks or self._continues(tables, shift):
            return shift
        before = self._tracks.values()
        decoded = max(Fraction(each.end_dts, each.track.clock_rate) for each in before)
        presented = max(Fraction(each.end_pts, each.track.clock_rate) for each in before)
        return min(
            shift
            for table in tables
            for shift in (
                Fraction(table.first_dts, table.track.clock_rate) - decoded,
                Fraction(table.first_pts, table.track.clock_rate) - presented,
            )
        )

    def _continues(self, tables: list[SampleTable], shift: Fraction) -> bool:
        leader = next((table for table in tables if table.track.kind is MediaKind.VIDEO), tables[0])
        for table in tables:
            before = self._tracks.get(_kind_of_track(table))
            if before is None:
                if table is leader:
                    return False
                continue
            first = _shifted(table, shift)
            if first <= before.end_dts - before.durations[-1]:
                return False
            if table is leader and first - before.end_dts > CONTINUES_S * table.track.clock_rate:
                return False
        return True

    def _add(self, source: Hashable, tables: list[SampleTable], shift: Fraction) -> None:
        chunks = []
        for table in tables:
            samples, entry = self._entry(table)
            samples.append(
                _shifted(table, shift), table.durations, table.sizes, table.composition_offsets, table.keys
            )
            chunks += [(offset, size, many, samples, entry) for offset, size, many in _chunks(table)]
        chunks.sort(key=lambda chunk: chunk[0])
        for offset, size, many, samples, entry in chunks:
            samples.append_chunk(self._media_size, many, entry)
            self._media_size += size
            self._extend(source, offset, size)

    def _entry(self, table: SampleTable) -> tuple[TrackSamples, int]:
        """The track of the movie that the samples belong to, and the number of their sample entry."""
        entry = sample_entries.build(table.track, in_band=table.in_band)
        samples = self._tracks.get(_kind_of_track(table))
        if samples is None:
            track_id = len(self._tracks) + 1
            samples = self._tracks[_kind_of_track(table)] = TrackSamples(table.track, [], track_id)
        if entry not in samples.entries:
            samples.entries.append(entry)
        return samples, samples.entries.index(entry) + 1

    def _extend(self, source: Hashable, offset: int, size: int) -> None:
        last = self.extents[-1] if self.extents else None
        if last is not None and last.source == source and last.offset + last.size == offset:
            self.extents[-1] = Extent(source, last.offset, last.size + size)
        else:
            self.extents.append(Extent(source, offset, size))

    def _build_header(self) -> bytes:
        tracks = list(self._tracks.values())
        media = mdat_header(self._media_size)
        # Offsets need the size of the moov that they stand in; it is the same whatever they are
        large = False
        size = len(_FILE_TYPE) + len(build_movie(tracks)) + len(media)
        if size + self._media_size > _U32_MAX:
            large = True
            size = len(_FILE_TYPE) + len(build_movie(tracks, large=True)) + len(media)
        return _FILE_TYPE + build_movie(tracks, shift=size, large=large) + media


def _kind_of_track(table: SampleTable) -> tuple[Codec, int]:
    return table.track.codec, table.track.clock_rate


def _shifted(table: SampleTable, shift: Fraction) -> int:
    return table.first_dts - round(shift * table.track.clock_rate)


def _chunks(table: SampleTable) -> list[tuple[int, int, int]]:
    """Offset, size and number of samples of every row of samples that lie one after the other."""
    offsets, sizes = table.offsets, table.sizes
    breaks = compress(count(1), map(ne, map(add, offsets, sizes), offsets[1:]))
    edges = [0, *breaks, len(table)]
    chunks = []
    for first, last in pairwise(edges):
        size = offsets[last - 1] + sizes[last - 1] - offsets[first]
        chunks.append((offsets[first], size, last - first))
    return chunks
