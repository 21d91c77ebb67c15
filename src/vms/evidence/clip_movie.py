"""Whether an export's movie shows the fragments that it holds: all of their samples, in order, as they were timed.

Fragments that are unchanged prove nothing when the sample tables point elsewhere, leave samples out, or show them in
another order. So the tables are held against those that the fragments themselves give.

Belongs here: an export's ``moov`` against its fragments. Does not: the fragments (clip_check).
"""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, combinations
from struct import Struct

from vms.evidence.clip_file import PieceBytes
from vms.format import nal
from vms.format.errors import FormatError
from vms.format.hybrid.layout import Beginning
from vms.format.hybrid.scan import read_fragment
from vms.format.mp4 import sample_entries
from vms.format.mp4.arrays import from_big_endian
from vms.format.mp4.boxes import HEADER_BYTES, Box, children, find, require, unpack
from vms.format.mp4.movie import TIMESCALE, ParsedTrack, build_fragmented_movie, parse_tracks
from vms.format.mp4.sample_table import SampleTable
from vms.format.mp4.samples import parse_sample_tables
from vms.media import Codec, MediaKind, Track

_Kind = tuple[Codec, int]
_ALLOWED = {
    b"moov": {b"mvhd", b"trak", b"udta", b"meta"},
    b"trak": {b"tkhd", b"edts", b"mdia"},
    b"edts": {b"elst"},
    b"mdia": {b"mdhd", b"hdlr", b"minf"},
    b"minf": {b"vmhd", b"smhd", b"dinf", b"stbl"},
    b"stbl": {b"stsd", b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64"},
}
# What follows the lengths in mvhd (up to the next track's id) and in tkhd, whatever their version
_MOVIE_TAIL = slice(-80, -4)
_TRACK_TAIL = slice(-60, None)
_HEADER_SIZES = {b"mvhd": (100, 112), b"tkhd": (84, 96), b"mdhd": (24, 36)}
"""Of payloads, in version 0 and 1."""
_SAID_CUT_S = 0.5
_IN_SYNC_S = 0.1


@dataclass(slots=True)
class _Samples:
    """What the fragments hold for one track of the movie. track: as the first recording describes it. free: samples
    whose duration the export may set, since what follows them is of another piece. starts: of each piece its number,
    its first sample here, and that one's decoding time. ending: the first sample of the last piece; from the second
    on, an export may end."""

    track: Track
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    durations: "array[int]" = field(default_factory=lambda: array("q"))
    composition_offsets: "array[int]" = field(default_factory=lambda: array("i"))
    keys: bytearray = field(default_factory=bytearray)
    free: set[int] = field(default_factory=set)
    starts: list[tuple[int, int, int]] = field(default_factory=list)
    ending: int = 0
    end_dts: int = -1

    def up_to(self, count: int) -> float:
        """Leave out all samples but the first `count`, when an export may; seconds that are left out then."""
        if not self.ending < count < len(self.sizes):
            return 0.0
        left_out_s = sum(self.durations[count:]) / self.track.clock_rate
        for column in (self.offsets, self.sizes, self.durations, self.composition_offsets, self.keys):
            del column[count:]
        self.free.add(count - 1)
        return left_out_s


@dataclass(frozen=True, slots=True)
class ClipPiece:
    """A piece whose fragments are all there, and where it stands in the file."""

    start: int
    end: int
    data: PieceBytes
    beginning: Beginning


def check_movie(moov: bytes, pieces: Sequence[ClipPiece]) -> tuple[list[str], list[str]]:
    """Findings and notes about the payload of an export's ``moov``, whose media are `pieces`."""
    try:
        findings = _strange_boxes(memoryview(moov), b"moov")
        expected = _expected(pieces)
        notes: list[str] = []
        zeros: list[dict[int, float]] = []
        for trak, parsed in zip(_traks(moov), parse_tracks(moov), strict=True):
            found, noted = _check_track((moov, trak, parsed), expected, pieces, zeros)
            findings += found
            notes += noted
        findings += _check_sync(zeros)
    except FormatError as error:
        return [f"its table of contents cannot be read: {error}"], []
    if expected:
        names = ", ".join(codec for codec, _ in expected)
        findings.append(f"edited: samples that it holds are not shown: {names}")
    return list(dict.fromkeys(findings)), notes


def _traks(moov: bytes) -> list[Box]:
    return [child for child in children(moov) if child.kind == b"trak"]


def _strange_boxes(payload: memoryview, kind: bytes) -> list[str]:
    findings = []
    for child in children(payload):
        if child.kind not in _ALLOWED[kind]:
            findings.append(f"edited: its {kind.decode()} has a box {child.kind!r}, which no export has")
        elif child.kind in _HEADER_SIZES:
            version = child.payload[0] if len(child.payload) else 2
            if version > 1 or len(child.payload) != _HEADER_SIZES[child.kind][version]:
                findings.append(f"edited: its {child.kind.decode()} has another size than an exporter writes")
        elif child.kind in _ALLOWED:
            findings += _strange_boxes(child.payload, child.kind)
    return findings


def _strange_headers(moov: bytes, trak: memoryview, track: Track) -> list[str]:
    """Whether the headers say how fast, how large and where from as an exporter does; lengths may differ."""
    usual = memoryview(build_fragmented_movie([track], frozenset()))[HEADER_BYTES:]
    usual_trak = require(usual, b"trak")
    same = (
        bytes(require(moov, b"mvhd")[_MOVIE_TAIL]) == bytes(require(usual, b"mvhd")[_MOVIE_TAIL])
        and bytes(require(trak, b"tkhd")[_TRACK_TAIL]) == bytes(require(usual_trak, b"tkhd")[_TRACK_TAIL])
        and bytes(require(trak, b"tkhd")[1:4]) == bytes(require(usual_trak, b"tkhd")[1:4])
        and bytes(require(trak, b"mdia", b"hdlr")) == bytes(require(usual_trak, b"mdia", b"hdlr"))
    )
    media, usual_media = require(trak, b"mdia", b"minf"), require(usual_trak, b"mdia", b"minf")
    for kind in (b"vmhd", b"smhd", b"dinf"):
        found, wanted = find(media, kind), find(usual_media, kind)
        same = same and (found and bytes(found)) == (wanted and bytes(wanted))
    return [] if same else ["edited: its headers say otherwise how to show it than an exporter does"]


def _expected(pieces: Sequence[ClipPiece]) -> dict[_Kind, _Samples]:
    """The samples of all fragments, by codec and clock rate: an export has a track for each."""
    samples: dict[_Kind, _Samples] = {}
    for number, piece in enumerate(pieces):
        tracks = {track.id: track for track in piece.beginning.tracks}
        for each in samples.values():
            if len(each.sizes):
                each.free.add(len(each.sizes) - 1)
            each.end_dts = -1
        position = 0
        while position < piece.data.size:
            found, _ = read_fragment(piece.data.read_at, position, piece.data.size, tracks)
            for run in found.runs:
                track = tracks[run.track_id]
                rows = samples.setdefault((track.codec, track.clock_rate), _Samples(track))
                if rows.end_dts < 0:
                    rows.starts.append((number, len(rows.sizes), run.first_dts))
                elif rows.end_dts != run.first_dts:
                    rows.durations[-1] += run.first_dts - rows.end_dts
                rows.end_dts = run.first_dts + sum(run.durations)
                _add(rows, piece.data, run.data_offset, run.sizes)
                rows.durations.extend(iter(run.durations))
                rows.composition_offsets.extend(run.composition_offsets)
                rows.keys.extend(run.keys)
            position = found.fragment.end
    for rows in samples.values():
        rows.free.add(len(rows.sizes) - 1)
        number, index, _ = rows.starts[-1]
        rows.ending = index if number == len(pieces) - 1 else len(rows.sizes)
    return samples


def _add(rows: _Samples, data: PieceBytes, offset: int, sizes: Sequence[int]) -> None:
    ends = {each.offset + each.size: each.size for each in data.inserted}
    for start, size in zip(accumulate(sizes[:-1], initial=offset), sizes, strict=True):
        place = data.place(start)
        before = ends.get(place, 0)
        last = data.place(start + size - 1)
        if last - place != size - 1:
            raise FormatError("bytes were inserted in the middle of a sample")
        rows.offsets.append(place - before)
        rows.sizes.append(size + before)


def _check_track(
    movie: tuple[bytes, Box, ParsedTrack],
    expected: dict[_Kind, _Samples],
    pieces: Sequence[ClipPiece],
    zeros: list[dict[int, float]],
) -> tuple[list[str], list[str]]:
    moov, trak, parsed = movie
    track = parsed.track
    name = "pictures" if track.kind is MediaKind.VIDEO else "sounds"
    rows = expected.pop((track.codec, track.clock_rate), None)
    if rows is None:
        return [f"edited: a track of {name} ({track.codec}) is of none of its recordings"], []
    table = parse_sample_tables(parsed.stbl, track, 0, parsed.in_band)
    left_out_s = rows.up_to(len(table))
    findings = _compare(table, rows, name) + _check_entries(parsed.stbl, track, pieces)
    findings += _strange_tables(parsed.stbl, table, len(_entries(parsed.stbl)))
    edit, found, notes = _check_edits(find(trak.payload, b"edts", b"elst"), table, name, left_out_s)
    if len(table) == len(rows.sizes):
        zeros.append(_piece_zeros(rows, table, edit))
    findings += _strange_headers(moov, trak.payload, replace(rows.track, id=track.id))
    return findings + found, notes


def _compare(table: SampleTable, rows: _Samples, name: str) -> list[str]:
    shown = list(zip(table.offsets, table.sizes, strict=True))
    held = list(zip(rows.offsets, rows.sizes, strict=True))
    if shown != held:
        missing, strange = len(set(held) - set(shown)), len(set(shown) - set(held))
        if missing or strange:
            return [
                f"edited: of {len(held)} {name} that it holds it does not show {missing}, and it shows {strange} "
                "that are of no fragment"
            ]
        return [f"edited: it shows its {name} in another order than they were recorded in"]
    findings = []
    retimed = sum(
        one != other and index not in rows.free
        for index, (one, other) in enumerate(zip(table.durations, rows.durations, strict=True))
    )
    if retimed or table.composition_offsets != rows.composition_offsets:
        findings.append(f"edited: its {name} are timed otherwise than they were recorded")
    if table.keys != rows.keys and name == "pictures":
        findings.append("edited: it names other key pictures than were recorded")
    return findings


def _check_entries(stbl: memoryview, track: Track, pieces: Sequence[ClipPiece]) -> list[str]:
    """Whether every chunk is decoded with the parameter sets of the recording that it is of."""
    entries = _entries(stbl)
    starts = [piece.start for piece in pieces]
    allowed = [
        {
            sample_entries.build(each, in_band=in_band)
            for each in piece.beginning.tracks
            if (each.codec, each.clock_rate) == (track.codec, track.clock_rate)
            for in_band in (False, True)
        }
        for piece in pieces
    ]
    for offset, entry in _chunk_entries(stbl):
        piece = bisect_right(starts, offset) - 1
        if piece < 0 or not 0 < entry <= len(entries) or entries[entry - 1] not in allowed[piece]:
            return ["edited: it has its samples decoded otherwise than they were recorded"]
    return []


def _entries(stbl: memoryview) -> list[bytes]:
    payload = require(stbl, b"stsd")[8:]
    found, position = [], 0
    for child in children(payload):
        size = 8 + len(child.payload)
        found.append(bytes(payload[position : position + size]))
        position += size
    return found


def _chunk_entries(stbl: memoryview) -> list[tuple[int, int]]:
    """Offset and number of the sample entry of each chunk (ISO 14496-12 §8.7.4)."""
    large = find(stbl, b"co64")
    offsets = (
        from_big_endian("I", require(stbl, b"stco")[8:]) if large is None else from_big_endian("Q", large[8:])
    )
    runs = from_big_endian("I", require(stbl, b"stsc")[8:])
    firsts, entries = runs[::3], runs[2::3]
    result = []
    for index, entry in enumerate(entries):
        end = firsts[index + 1] if index + 1 < len(firsts) else len(offsets) + 1
        result += [(offset, entry) for offset in offsets[firsts[index] - 1 : end - 1]]
    return result


def _check_edits(
    edits: memoryview | None, table: SampleTable, name: str, left_out_s: float
) -> tuple[tuple[float, float], list[str], list[str]]:
    """The edit list may delay a track, and cut at either end (ISO 14496-12 §8.6.6); nothing else.

    left_out_s: seconds at the end that the tables do not list at all. Gives how long the track waits and where in it it begins, in seconds; then findings and notes.
    """
    rate = table.track.clock_rate
    if edits is None:
        return (0.0, 0.0), [], _cut_off(name, left_out_s)
    if len(edits) < 8:
        raise FormatError(f"elst: {len(edits)} bytes")
    layout = Struct(">Qqhh" if edits[0] == 1 else ">Iihh")
    if (len(edits) - 8) % layout.size or edits[0] > 1 or any(edits[1:4]):
        raise FormatError(f"elst: {len(edits)} bytes of version {edits[0]}")
    rows = [unpack(layout, edits, at, "elst") for at in range(8, len(edits), layout.size)]
    shown = [row for row in rows if row[1] >= 0]
    usual = len(shown) == 1 and len(rows) <= 2 and rows[-1][1] >= 0 and all(row[2:] == (1, 0) for row in rows)
    if not usual or int.from_bytes(edits[4:8]) != len(rows):
        return (0.0, 0.0), [f"edited: its {name} are cut together by an edit list of {len(rows)} entries"], []
    waits_s = rows[0][0] / TIMESCALE if len(rows) == 2 else 0.0
    duration, media_time = shown[0][:2]
    skipped_s = (media_time - min(table.composition_offsets[:32], default=0)) / rate
    left_s = (sum(table.durations) - media_time) / rate - duration / TIMESCALE
    notes = []
    if skipped_s > _SAID_CUT_S:
        notes.append(f"cut: the first {skipped_s:.1f} s of its {name} are there, but not shown")
    notes += _cut_off(name, left_s + left_out_s)
    return (waits_s, media_time / rate), [], notes


def _cut_off(name: str, left_s: float) -> list[str]:
    if left_s <= _SAID_CUT_S:
        return []
    return [f"cut: the last {left_s:.1f} s of its {name} are there, but not shown"]


def _piece_zeros(rows: _Samples, table: SampleTable, edit: tuple[float, float]) -> dict[int, float]:
    """For each piece by number, which time of the recording the movie's zero would be, going by this track."""
    waits_s, begins_s = edit
    rate = table.track.clock_rate
    zeros = {}
    before, elapsed = 0, 0
    for piece, index, first_dts in rows.starts:
        elapsed += sum(table.durations[before:index])
        before = index
        zeros[piece] = first_dts / rate - (waits_s + elapsed / rate - begins_s)
    return zeros


def _check_sync(zeros: Sequence[dict[int, float]]) -> list[str]:
    """Whether tracks that were recorded together are shown together."""
    for one, other in combinations(zeros, 2):
        if any(abs(one[piece] - other[piece]) > _IN_SYNC_S for piece in one.keys() & other.keys()):
            return ["edited: pictures and sound are shifted against each other"]
    return []


def _strange_tables(stbl: memoryview, table: SampleTable, entries: int) -> list[str]:
    """Whether players will read the tables as they were read here."""
    for child in children(stbl):
        version = int(child.kind == b"ctts" and min(table.composition_offsets, default=0) < 0)
        if bytes(child.payload[:4]) != bytes((version, 0, 0, 0)):
            return [f"edited: its {child.kind.decode()} is of another version than an exporter writes"]
    if int.from_bytes(require(stbl, b"stsd")[4:8]) != entries:
        return ["edited: it says otherwise how many sample entries it has"]
    return []


def inserted_sets(piece: ClipPiece) -> set[bytes]:
    """What may be inserted: the parameter sets of one of the recording's own tracks."""
    return {nal.join(track.parameter_sets) for track in piece.beginning.tracks if track.parameter_sets}
