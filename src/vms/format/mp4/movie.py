"""``moov``: what a file is about (ISO 14496-12 §8.2–8.4, §8.6.6), for fragments and for ordinary movies.

Belongs here: the boxes around the sample tables, and reading tracks back.
Does not: the tables themselves (samples), sample entries (sample_entries).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from struct import Struct

from vms.format.errors import FormatError
from vms.format.mp4 import sample_entries
from vms.format.mp4.boxes import (
    UNITY_MATRIX,
    Box,
    Part,
    box,
    box_parts,
    children,
    full_box,
    require,
    unpack,
)
from vms.format.mp4.samples import TrackSamples, build_sample_tables, empty_sample_tables
from vms.media import MediaKind, Track

TIMESCALE = 90_000
"""Ticks a second of movie headers and edit lists; video needs no rounding in it."""

_U32 = Struct(">I")
_U32_MAX = 0xFFFF_FFFF
_UNDETERMINED = 0x55C4  # "und", 5 bits a letter
_TRACK_ENABLED_IN_MOVIE = 3
_HANDLERS = {MediaKind.VIDEO: (b"vide", b"VideoHandler\0"), MediaKind.AUDIO: (b"soun", b"SoundHandler\0")}
_DATA_INFORMATION = box(
    b"dinf",
    full_box(b"dref", 0, 0, (1).to_bytes(4), full_box(b"url ", 0, 1)),  # flags 1: in this file
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a movie is shown: from a presentation time up to another, in seconds of its media; None: all there is."""

    from_s: Fraction | None = None
    until_s: Fraction | None = None


@dataclass(frozen=True, slots=True)
class ParsedTrack:
    """A track of a moov. in_band: its samples carry parameter sets. stbl: payload of its sample tables."""

    track: Track
    in_band: bool
    stbl: memoryview


_ALL = Shown()


def build_fragmented_movie(tracks: Sequence[Track], in_band: frozenset[int], *extra: bytes) -> bytes:
    """The moov of an init segment: tracks, mvex, then the boxes of `extra`."""
    traks: list[Part] = []
    for track in tracks:
        tables = empty_sample_tables(sample_entries.build(track, in_band=track.id in in_band))
        traks += _track(track, track.id, 0, b"", _media(track, 0, [tables]))
    defaults = [
        # track_ID, default_sample_description_index 1, and no other default
        full_box(b"trex", 0, 0, Struct(">5I").pack(track.id, 1, 0, 0, 0))
        for track in tracks
    ]
    header = _movie_header(0, max(track.id for track in tracks) + 1)
    return b"".join(box_parts(b"moov", header, *traks, box(b"mvex", *defaults), *extra))


def build_movie(tracks: Sequence[TrackSamples], shift: int = 0, large: bool = False) -> bytes:
    """The moov of an ordinary movie, with full sample tables and edit lists.

    shift: added to every chunk's offset. large: 64-bit offsets.
    """
    parts, place = build_movie_parts(tracks, large)
    place(shift)
    return b"".join(parts)


def build_movie_parts(
    tracks: Sequence[TrackSamples], large: bool, shown: Shown = _ALL
) -> tuple[list[Part], Callable[[int], None]]:
    """As `build_movie`, in pieces, and what fills in the offsets once it is known what to add to each.

    The first picture, or what is presented at `shown.from_s`, is presented at 0. A track that begins later gets an
    empty edit; what is presented earlier, or from `shown.until_s` on, is there and not shown.
    """
    leader = next((each for each in tracks if each.track.kind is MediaKind.VIDEO), None)
    if leader is None:
        leader = min(tracks, key=lambda each: each.first_pts / each.track.clock_rate)
    zero_s = Fraction(leader.first_pts, leader.track.clock_rate)
    if shown.from_s is not None:
        zero_s = max(zero_s, shown.from_s)
    traks: list[Part] = []
    places: list[Callable[[int], None]] = []
    longest = 0
    for each in tracks:
        edits, duration = _edit_list(each, zero_s, shown.until_s)
        longest = max(longest, duration)
        tables, place = build_sample_tables(each, large)
        places.append(place)
        media = _media(each.track, each.end_dts - each.first_dts, tables)
        traks += _track(each.track, each.track_id, duration, edits, media)
    header = _movie_header(longest, max(each.track_id for each in tracks) + 1)

    def place_all(shift: int) -> None:
        for place in places:
            place(shift)

    return box_parts(b"moov", header, *traks), place_all


def _edit_list(samples: TrackSamples, zero_s: Fraction, until_s: Fraction | None) -> tuple[bytes, int]:
    """edts, and how long the track lasts in the movie, in ticks of TIMESCALE (§8.6.6).

    zero_s: presentation time at which the movie starts. until_s: at which it ends; None: with the track.
    """
    rate = samples.track.clock_rate
    start = samples.first_pts - floor(zero_s * rate)
    skipped = max(-start, 0)
    empty = max(start, 0) * TIMESCALE // rate
    whole = samples.end_pts - samples.first_pts
    end = whole if until_s is None else min(whole, ceil(until_s * rate) - samples.first_pts)
    presented = max(end - skipped, 1)
    duration = -(-presented * TIMESCALE // rate)
    media_time = samples.first_pts - samples.first_dts + skipped
    if not empty and not media_time and end == whole:
        return b"", duration
    entries = [(empty, -1)] if empty else []
    entries.append((duration, media_time))
    large = max(duration, media_time, empty) > _U32_MAX >> 1
    layout = Struct(">Qqhh" if large else ">Iihh")
    rows = b"".join(layout.pack(length, time, 1, 0) for length, time in entries)
    edits = full_box(b"elst", int(large), 0, len(entries).to_bytes(4), rows)
    return box(b"edts", edits), empty + duration


def _movie_header(duration: int, next_track_id: int) -> bytes:
    version = int(duration > _U32_MAX)
    # creation and modification time 0: the footage's own time stands in prft and in the catalog
    times = Struct(">QQIQ" if version else ">IIII").pack(0, 0, TIMESCALE, duration)
    rate_and_volume = Struct(">IH10x").pack(0x10000, 0x100)
    return full_box(
        b"mvhd", version, 0, times, rate_and_volume, UNITY_MATRIX, bytes(24), next_track_id.to_bytes(4)
    )


def _track(track: Track, track_id: int, duration: int, edits: bytes, media: Sequence[Part]) -> list[Part]:
    version = int(duration > _U32_MAX)
    times = Struct(">QQI4xQ" if version else ">III4xI").pack(0, 0, track_id, duration)
    volume = 0x100 if track.kind is MediaKind.AUDIO else 0
    # layer 0; alternate_group: tracks of a kind would exclude each other, we have one of each
    layer = Struct(">8xhhHxx").pack(0, 0, volume)
    size = Struct(">II").pack(track.width << 16, track.height << 16)
    header = full_box(b"tkhd", version, _TRACK_ENABLED_IN_MOVIE, times, layer, UNITY_MATRIX, size)
    return box_parts(b"trak", header, edits, *media)


def _media(track: Track, duration: int, tables: Sequence[Part]) -> list[Part]:
    version = int(duration > _U32_MAX)
    times = Struct(">QQIQ" if version else ">IIII").pack(0, 0, track.clock_rate, duration)
    handler, name = _HANDLERS[track.kind]
    media_header = (
        full_box(b"vmhd", 0, 1, bytes(8))
        if track.kind is MediaKind.VIDEO
        else full_box(b"smhd", 0, 0, bytes(4))
    )
    return box_parts(
        b"mdia",
        full_box(b"mdhd", version, 0, times, _UNDETERMINED.to_bytes(2), bytes(2)),
        full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), name),
        *box_parts(b"minf", media_header, _DATA_INFORMATION, *tables),
    )


def parse_tracks(moov: bytes | memoryview) -> list[ParsedTrack]:
    """The tracks of a moov's payload that this module wrote. Raises FormatError."""
    tracks = [_parse_track(child) for child in children(moov) if child.kind == b"trak"]
    ids = {parsed.track.id for parsed in tracks}
    if not tracks or len(ids) != len(tracks):
        raise FormatError(f"moov: {len(tracks)} tracks with {len(ids)} ids")
    return tracks


def _parse_track(trak: Box) -> ParsedTrack:
    header = require(trak.payload, b"tkhd")
    (track_id,) = unpack(_U32, header, 20 if len(header) and header[0] == 1 else 12, "tkhd")
    media_header = require(trak.payload, b"mdia", b"mdhd")
    large = len(media_header) > 0 and media_header[0] == 1
    (clock_rate,) = unpack(_U32, media_header, 20 if large else 12, "mdhd")
    if not track_id or not clock_rate:
        raise FormatError(f"trak: track_ID {track_id}, timescale {clock_rate}")
    stbl = require(trak.payload, b"mdia", b"minf", b"stbl")
    entries = require(stbl, b"stsd")
    entry = next(children(entries[8:]), None)
    if entry is None:
        raise FormatError("stsd: no sample entry")
    track, in_band = sample_entries.parse(entry.kind, entry.payload, track_id, clock_rate)
    return ParsedTrack(track, in_band, stbl)
