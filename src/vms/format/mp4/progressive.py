"""An ordinary MP4, moov first, out of pieces of recordings; media stays where it is until it is sent.

What follows the header is a list of extents of the recordings, in file order, so that any byte range of
the movie can be served without a temporary file. Pieces are laid down whole, byte for byte, with all that stands
between their samples: so digests of fragments hold for the movie as well (vms.format.mp4.evidence_box).

Belongs here: which sample goes where, and when it is presented.
Does not: finding the pieces (vms.storage), reading files.
"""

from array import array
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import compress, count, pairwise
from operator import add, ne
from typing import overload

from vms.format import nal
from vms.format.errors import FormatError
from vms.format.mp4 import sample_entries
from vms.format.mp4.boxes import box, mdat_header
from vms.format.mp4.movie import Shown, build_movie_parts
from vms.format.mp4.sample_table import SampleTable
from vms.format.mp4.samples import TrackSamples
from vms.media import Codec, MediaKind, Track

CONTINUES_S = Fraction(1, 2)
"""A run whose pictures follow those of the run before within this is taken as its continuation."""

_FILE_TYPE = box(b"ftyp", b"isom", (0x200).to_bytes(4), b"isom", b"iso6", b"mp42")
_U32_MAX = 0xFFFF_FFFF
_MOST_SAMPLE_BYTES = 44  # rows of stts, ctts, stss, stsc, stsz, co64
_MOST_TRACK_BYTES = 1 << 20
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class MovieRun:
    """Bytes `start` up to `end` of one recording. source: what the caller knows the file by.

    tables: all samples that lie there, by track id. from_s, until_s: what is presented before, and from then on, is
    not shown, in seconds of the tables' timeline; from_s counts for the first run of a movie, until_s for the last.
    """

    source: Hashable
    tables: Mapping[int, SampleTable]
    start: int
    end: int
    from_s: Fraction | None = None
    until_s: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """`size` bytes from `offset` of `source`: what `MovieRun` calls a file, or `bytes`, which are the data."""

    source: Hashable
    offset: int
    size: int


class Extents(Sequence[Extent]):
    """Extents in flat arrays, none adjacent to the one before it in the same source."""

    def __init__(self) -> None:
        self.sources: list[Hashable] = []
        self._source_ends = array("I")  # of each of `sources`, how many extents there are up to its end
        self._offsets = array("Q")
        self._sizes = array("Q")

    def extend(self, source: Hashable, offset: int, size: int) -> None:
        """Add bytes at the end."""
        same = bool(self.sources) and self.sources[-1] == source
        if same and self._offsets[-1] + self._sizes[-1] == offset:
            self._sizes[-1] += size
            return
        self._offsets.append(offset)
        self._sizes.append(size)
        if same:
            self._source_ends[-1] += 1
        else:
            self.sources.append(source)
            self._source_ends.append(len(self._offsets))

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[Extent]:
        first = 0
        for source, end in zip(self.sources, self._source_ends, strict=True):
            for index in range(first, end):
                yield Extent(source, self._offsets[index], self._sizes[index])
            first = end

    @overload
    def __getitem__(self, index: int) -> Extent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Extent]: ...
    def __getitem__(self, index: int | slice) -> Extent | Sequence[Extent]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        source = self.sources[bisect_right(self._source_ends, place)]
        return Extent(source, self._offsets[place], self._sizes[place])


@dataclass(slots=True)
class MoviePiece:
    """Where a run lies: `size` bytes from `offset` of the movie, what was inserted included.

    insertions: offset in the movie and size of every parameter set put before a key picture, one after the other.
    """

    offset: int
    size: int
    insertions: "array[int]" = field(default_factory=lambda: array("Q"))


@dataclass(frozen=True, slots=True)
class ProgressiveMovie:
    """header: ftyp, moov and the header of mdat. extents: what follows, in order. size: bytes of it all.

    pieces: one a run that has samples; they fill the mdat.
    """

    header: bytearray
    extents: Extents
    size: int
    pieces: Sequence[MoviePiece]


def build_progressive_movie(runs: Iterable[MovieRun]) -> ProgressiveMovie:
    """A movie of `runs`, which are in the order of time; each is let go of before the next is asked for.

    Raises FormatError as `MovieBuilder` does.
    """
    builder = MovieBuilder()
    for run in runs:
        builder.add(run)
    return builder.finish()


class MovieBuilder:
    """A movie that is put together run by run, in the order of time.

    What is kept of a sample is 13 bytes in flat arrays.

    Runs are laid down whole. Where one does not continue the timeline of the one before, time is closed up: its tracks begin
    together, as far apart as they were, when the longest track before them ends; the last sample of a shorter
    one lasts until then. Codecs or clock rates that differ get tracks of their own, encodings that differ get
    sample entries of their own; from the first such change on, key pictures get their parameter sets put
    before them unless they bring them.
    """

    def __init__(self) -> None:
        self._extents = Extents()
        self._tracks: dict[tuple[Codec, int], TrackSamples] = {}
        self._encodings: dict[tuple[Codec, int], list[Track]] = {}  # of each track, one a sample entry
        self._in_band: set[tuple[Codec, int]] = set()  # tracks with parameter sets in their samples
        self._media_size = 0
        self._shifted = Fraction(0)
        self._pieces: list[MoviePiece] = []
        self._from_s: Fraction | None = None
        self._until_s: Fraction | None = None

    def add(self, run: MovieRun) -> bool:
        """False when there is no sample in it: then it is left out.

        Raises FormatError when times run backwards within a track, or samples overlap or do not lie in the run.
        """
        tables = [table for table in run.tables.values() if len(table)]
        if not tables:
            return False
        if not self._tracks:
            self._from_s = run.from_s
        self._shifted = self._shift(tables, self._shifted)
        self._until_s = None if run.until_s is None else run.until_s - self._shifted
        self._add(run, tables, self._shifted)
        return True

    def finish(self) -> ProgressiveMovie:
        """Raises FormatError when there are no samples."""
        if not self._tracks:
            raise FormatError("a movie needs samples")
        for kind in self._in_band:
            # All entries of a track: FFmpeg drops samples whose entry is of another type than the first
            entries = [sample_entries.build(track, in_band=True) for track in self._encodings[kind]]
            self._tracks[kind].entries = entries
        tracks = list(self._tracks.values())
        media = mdat_header(self._media_size)
        most = sum(_MOST_SAMPLE_BYTES * len(each) + _MOST_TRACK_BYTES for each in tracks)
        shown = Shown(self._from_s, self._until_s)
        movie, place = build_movie_parts(tracks, self._media_size + most > _U32_MAX, shown)
        parts = [_FILE_TYPE, *movie, media]
        size = sum(map(len, parts))
        place(size)
        header, position = bytearray(size), 0
        for part in parts:
            for first in range(0, len(part), _COPY_BYTES):  # a block at a time, as in arrays
                piece = part[first : first + _COPY_BYTES]
                header[position : position + len(piece)] = piece
                position += len(piece)
        for each in self._pieces:
            each.offset += size
            for index in range(0, len(each.insertions), 2):
                each.insertions[index] += size
        return ProgressiveMovie(header, self._extents, size + self._media_size, self._pieces)

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

    def _add(self, run: MovieRun, tables: list[SampleTable], shift: Fraction) -> None:
        chunks: list[_Chunk] = []
        for table in tables:
            samples, entry = self._entry(table)
            sets = self._sets_to_insert(table)
            sizes = _with_sets(table, len(sets)) if sets else table.sizes
            samples.append(
                _shifted(table, shift), table.durations, sizes, table.composition_offsets, table.keys
            )
            chunks += [
                (offset, size, many, samples, entry, sets if key else b"")
                for offset, size, many, key in _chunks(table, part_at_keys=bool(sets))
            ]
        chunks.sort(key=_offset_of_chunk)
        self._pieces.append(self._lay_down(run, chunks))

    def _lay_down(self, run: MovieRun, chunks: "list[_Chunk]") -> MoviePiece:
        """All bytes of `run`, parameter sets between them, as the next piece of the media."""
        piece = MoviePiece(self._media_size, 0)
        taken = end = run.start  # bytes of the run that are laid down; where the chunk before ends
        grown = self._media_size - run.start
        for offset, size, many, samples, entry, sets in chunks:
            if offset < end:
                raise FormatError(f"samples overlap, or lie before their fragments, at {offset}")
            end = offset + size
            samples.append_chunk(grown + offset, many, entry)
            if sets:
                piece.insertions.extend((grown + offset, len(sets)))
                if offset > taken:
                    self._extents.extend(run.source, taken, offset - taken)
                self._extents.extend(sets, 0, len(sets))
                taken = offset
                grown += len(sets)
        if end > run.end:
            raise FormatError(f"samples lie behind their fragments, up to {end}")
        if run.end > taken:
            self._extents.extend(run.source, taken, run.end - taken)
        self._media_size = grown + run.end
        piece.size = self._media_size - piece.offset
        return piece

    def _entry(self, table: SampleTable) -> tuple[TrackSamples, int]:
        """The track of the movie that the samples belong to, and the number of their sample entry."""
        kind = _kind_of_track(table)
        entry = sample_entries.build(table.track)
        samples = self._tracks.get(kind)
        if samples is None:
            samples = self._tracks[kind] = TrackSamples(table.track, [], len(self._tracks) + 1)
            self._encodings[kind] = []
        if table.in_band:
            self._in_band.add(kind)
        if entry not in samples.entries:
            samples.entries.append(entry)
            self._encodings[kind].append(table.track)
        return samples, samples.entries.index(entry) + 1

    def _sets_to_insert(self, table: SampleTable) -> bytes:
        """What key pictures need before them: their parameter sets, from the first change of encoding on.

        Players that keep to the first sample entry, and FFmpeg's parser, know no others.
        """
        kind = _kind_of_track(table)
        if table.in_band or len(self._encodings[kind]) < 2 or table.track.kind is not MediaKind.VIDEO:
            return b""
        self._in_band.add(kind)
        return nal.join(table.track.parameter_sets)


_Chunk = tuple[int, int, int, TrackSamples, int, bytes]
"""Offset, size, number of samples, their track, their sample entry, and parameter sets to be put before."""


def _offset_of_chunk(chunk: _Chunk) -> int:
    return chunk[0]


def _kind_of_track(table: SampleTable) -> tuple[Codec, int]:
    return table.track.codec, table.track.clock_rate


def _shifted(table: SampleTable, shift: Fraction) -> int:
    return table.first_dts - round(shift * table.track.clock_rate)


def _with_sets(table: SampleTable, sets_size: int) -> "array[int]":
    """Sizes of the samples, those of key pictures with `sets_size` bytes more."""
    sizes = table.sizes[:]
    for index in compress(count(), table.keys):
        sizes[index] += sets_size
    return sizes


def _chunks(table: SampleTable, *, part_at_keys: bool) -> list[tuple[int, int, int, bool]]:
    """Offset, size and number of samples of every row of samples that lie one after the other, and whether
    it begins with a key picture. part_at_keys: rows end before key pictures."""
    offsets, sizes = table.offsets, table.sizes
    breaks: Iterable[int] = compress(count(1), map(ne, map(add, offsets, sizes), offsets[1:]))
    if part_at_keys:
        breaks = sorted({*breaks, *compress(count(), table.keys)} - {0})
    edges = [0, *breaks, len(table)]
    chunks = []
    for first, last in pairwise(edges):
        size = offsets[last - 1] + sizes[last - 1] - offsets[first]
        chunks.append((offsets[first], size, last - first, bool(table.keys[first])))
    return chunks
