"""Exports with evidence, made as the simplest exporter would make them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.evidence.evidence_material import Signed
from tests.format.format_material import read_at

from vms.format import nal
from vms.format.hybrid import evidence_source, read_samples, read_segment
from vms.format.mp4 import sample_entries
from vms.format.mp4.boxes import box, mdat_header
from vms.format.mp4.evidence_box import Insertion, Piece, build_evidence_box
from vms.format.mp4.movie import build_movie
from vms.format.mp4.samples import TrackSamples
from vms.media import Codec, MediaKind


@dataclass
class Clip:
    """An export in its parts."""

    header: bytes
    media: bytes
    evidence: bytes
    pieces: list[Piece] = field(default_factory=list)
    tracks: dict[tuple[Codec, int], TrackSamples] = field(default_factory=dict)
    media_offset: int = 0

    @property
    def data(self) -> bytes:
        return self.header + self.media + self.evidence


def export(parts: Sequence[tuple[Signed, int, int]], *, insert: bool = False) -> Clip:
    """A clip of fragments `first` up to `last` of recordings; insert: parameter sets before every key picture."""
    media = bytearray()
    pieces: list[Piece] = []
    tracks: dict[tuple[Codec, int], TrackSamples] = {}
    sources = []
    dts = {}
    for number, (signed, first, last) in enumerate(parts):
        segment = read_segment(read_at(signed.data), len(signed.data))
        sources.append(evidence_source(read_at(signed.data), segment))
        tables = read_samples(read_at(signed.data), segment, first, last)
        start, end = segment.fragments[first].offset, segment.fragments[last - 1].end
        begins = len(media)
        inserted: list[tuple[int, bytes]] = []  # place in the recording
        if insert:
            for table in tables.values():
                if table.track.kind is MediaKind.VIDEO:
                    sets = nal.join(table.track.parameter_sets)
                    inserted += [(o, sets) for o, k in zip(table.offsets, table.keys, strict=True) if k]
        inserted.sort()
        position, insertions = start, []
        for place, sets in inserted:
            media += signed.data[position:place]
            insertions.append(Insertion(len(media), len(sets)))
            media += sets
            position = place
        media += signed.data[position:end]
        pieces.append(Piece(number, first, last, begins, len(media) - begins, tuple(insertions)))
        for table in tables.values():
            kind = (table.track.codec, table.track.clock_rate)
            in_band = insert and table.track.kind is MediaKind.VIDEO
            samples = tracks.setdefault(
                kind,
                TrackSamples(
                    table.track, [sample_entries.build(table.track, in_band=in_band)], len(tracks) + 1
                ),
            )
            sizes = list(table.sizes)
            chunks = []
            for index, offset in enumerate(table.offsets):
                before = sum(len(s) for p, s in inserted if p < offset)
                own = sum(len(s) for p, s in inserted if p == offset)
                sizes[index] += own
                chunks.append(begins + offset - start + before)
            at = dts.get(kind, table.first_dts)
            samples.append(at, table.durations, sizes, table.composition_offsets, table.keys)
            dts[kind] = at + sum(table.durations)
            for chunk in chunks:
                samples.append_chunk(chunk, 1)
    clip = Clip(b"", bytes(media), b"", pieces, tracks)
    clip.media_offset = 0
    movie = build_movie(list(tracks.values()))
    file_type = box(b"ftyp", b"isom", bytes(4), b"isom")
    size = len(file_type) + len(movie) + len(mdat_header(len(media)))
    for each in tracks.values():
        for index, offset in enumerate(each.chunk_offsets):
            each.chunk_offsets[index] = offset + size
    clip.media_offset = size
    clip.header = file_type + build_movie(list(tracks.values())) + mdat_header(len(media))
    clip.pieces = [
        Piece(
            p.source,
            p.first,
            p.last,
            p.offset + size,
            p.size,
            tuple(Insertion(i.offset + size, i.size) for i in p.insertions),
        )
        for p in pieces
    ]
    clip.evidence = build_evidence_box(sources, clip.pieces)
    return clip


def with_tables(clip: Clip) -> bytes:
    """The clip with the movie that its (changed) tables give; their size must be the same."""
    file_type = box(b"ftyp", b"isom", bytes(4), b"isom")
    header = file_type + build_movie(list(clip.tracks.values())) + mdat_header(len(clip.media))
    assert len(header) == clip.media_offset
    return header + clip.media + clip.evidence
