"""The samples of one track of a movie, gathered chunk by chunk, and their ``stbl`` (ISO 14496-12 §8.5–8.7).

Belongs here: sample tables, both ways. Does not: the boxes around them (movie).
"""

from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate, chain, compress, count, repeat
from struct import Struct

from vms.format.errors import FormatError
from vms.format.mp4.arrays import (
    BLOCK,
    blocks,
    fill_big_endian,
    from_big_endian,
    run_lengths,
    to_big_endian,
)
from vms.format.mp4.boxes import Part, box, box_parts, find, full_box, full_box_parts, require, unpack
from vms.format.mp4.fragment import MAX_TIME
from vms.format.mp4.sample_table import SampleTable
from vms.media import MediaKind, Track

_U32_MAX = 0xFFFF_FFFF
_COUNT = Struct(">4xI")
_SIZES = Struct(">4xII")
MAX_SAMPLES = 50_000_000
"""Samples that one table may claim: two weeks at 40 a second."""

_REORDER_WINDOW = 32


class TrackSamples:
    """The samples of one track of a movie, in decoding order; per-sample state is plain numbers.

    track: what it holds; of several encodings the first. track_id: in this movie. entries: the sample
    entries that its chunks refer to. first_dts: of the first sample; `end_dts`: after the last. A chunk is a row of samples that lie one
    after the other in the file.
    """

    __slots__ = (
        "chunk_counts",
        "chunk_entries",
        "chunk_offsets",
        "composition_offsets",
        "durations",
        "end_dts",
        "entries",
        "first_dts",
        "keys",
        "sizes",
        "track",
        "track_id",
    )

    def __init__(self, track: Track, entries: list[bytes], track_id: int | None = None) -> None:
        self.track = track
        self.track_id = track.id if track_id is None else track_id
        self.entries = entries
        self.first_dts = 0
        self.end_dts = 0
        self.sizes = array("I")
        self.durations = array("I")
        self.composition_offsets = array("i")
        self.keys = bytearray()
        self.chunk_offsets = array("Q")
        self.chunk_counts = array("I")
        self.chunk_entries = array("I")

    def __len__(self) -> int:
        return len(self.sizes)

    def append(
        self,
        first_dts: int,
        durations: Sequence[int],
        sizes: Sequence[int],
        composition_offsets: Sequence[int],
        keys: Sequence[int],
    ) -> None:
        """Add samples; the caller adds their chunks. The sample before is stretched, or cut short, up to
        `first_dts`; FormatError when that would leave nothing of it, or more than 32 bits hold."""
        end_dts = first_dts + sum(durations)
        if not self.follows(first_dts) or not 0 <= first_dts <= end_dts <= 2 * MAX_TIME:
            raise FormatError(f"track {self.track_id}: decoding time jumps to {first_dts}")
        if not self.sizes:
            self.first_dts = first_dts
        elif first_dts != self.end_dts:
            self.durations[-1] += first_dts - self.end_dts
        self.end_dts = end_dts
        self.durations.extend(durations)
        self.sizes.extend(sizes)
        self.composition_offsets.extend(composition_offsets)
        self.keys.extend(keys)

    def follows(self, first_dts: int) -> bool:
        """Whether a sample at `first_dts` can come next."""
        return not self.sizes or 0 < self.durations[-1] + first_dts - self.end_dts <= _U32_MAX

    def append_chunk(self, offset: int, samples: int, entry: int = 1) -> None:
        """Say that the next `samples` samples lie at `offset` and are described by `entries[entry - 1]`."""
        self.chunk_offsets.append(offset)
        self.chunk_counts.append(samples)
        self.chunk_entries.append(entry)

    @property
    def first_pts(self) -> int:
        """Presentation time of the first sample. What is presented before it cannot be decoded."""
        return self.first_dts + self.composition_offsets[0]

    @property
    def end_pts(self) -> int:
        """When the last presented sample ends."""
        window = min(len(self), _REORDER_WINDOW)
        durations = self.durations[-window:]
        dts = accumulate(durations, initial=self.end_dts - sum(durations))
        return max(map(sum, zip(dts, durations, self.composition_offsets[-window:], strict=False)))


def build_sample_tables(samples: TrackSamples, large: bool) -> tuple[list[Part], Callable[[int], None]]:
    """stbl in pieces, and what fills in the chunks' offsets once it is known what to add to each.

    large: 64-bit offsets (co64).
    """
    composition = samples.composition_offsets
    parts = full_box_parts(b"stsd", 0, 0, len(samples.entries).to_bytes(4), *samples.entries)
    parts += _counted(b"stts", 0, run_lengths(samples.durations), 8)
    if any(any(block) for block in blocks(composition)):
        version = int(any(min(block) < 0 for block in blocks(composition)))
        parts += _counted(b"ctts", version, run_lengths(composition), 8)
    if samples.track.kind is MediaKind.VIDEO and 0 in samples.keys:
        parts += _counted(b"stss", 0, to_big_endian(_key_numbers(samples.keys)), 4)
    parts += _counted(b"stsc", 0, to_big_endian(_chunk_runs(samples)), 12)
    sizes = bytes(4) + len(samples).to_bytes(4)
    parts += full_box_parts(b"stsz", 0, 0, sizes, to_big_endian(samples.sizes))
    kind, typecode, width = (b"co64", "Q", 8) if large else (b"stco", "I", 4)
    offsets = memoryview(bytearray(width * len(samples.chunk_offsets)))
    parts += _counted(kind, 0, offsets, width)
    return (
        box_parts(b"stbl", *parts),
        lambda shift: fill_big_endian(offsets, typecode, samples.chunk_offsets, shift),
    )


def empty_sample_tables(entry: bytes) -> bytes:
    """The stbl of a track whose samples are all in fragments."""
    return box(
        b"stbl",
        full_box(b"stsd", 0, 0, (1).to_bytes(4), entry),
        full_box(b"stts", 0, 0, bytes(4)),
        full_box(b"stsc", 0, 0, bytes(4)),
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )


def _counted(kind: bytes, version: int, rows: memoryview, width: int) -> list[Part]:
    """A box of rows of `width` bytes, their number before them."""
    return full_box_parts(kind, version, 0, (len(rows) // width).to_bytes(4), rows)


def _key_numbers(keys: bytearray) -> "array[int]":
    numbers = array("I")
    for first in range(0, len(keys), BLOCK):
        numbers.extend(compress(count(first + 1), keys[first : first + BLOCK]))
    return numbers


def _chunk_runs(samples: TrackSamples) -> "array[int]":
    runs = array("I")
    before = (0, 0)
    for index, now in enumerate(zip(samples.chunk_counts, samples.chunk_entries, strict=True), 1):
        if now != before:
            runs.extend((index, *now))
            before = now
    return runs


def parse_sample_tables(stbl: memoryview, track: Track, first_dts: int, in_band: bool) -> SampleTable:
    """The samples of a stbl that `build_sample_tables` wrote. Raises FormatError.

    first_dts: of the first sample, which an ordinary movie does not say.
    """
    sizes_box = require(stbl, b"stsz")
    constant, total = unpack(_SIZES, sizes_box, 0, "stsz")
    if constant or len(sizes_box) - _SIZES.size != 4 * total or total > MAX_SAMPLES:
        raise FormatError(f"stsz: {len(sizes_box)} bytes for {total} samples")
    sizes = from_big_endian("I", sizes_box[_SIZES.size :])
    table = SampleTable(track, first_dts, sizes=sizes, in_band=in_band)
    table.durations = _expand("I", _numbers(require(stbl, b"stts"), "stts", 2), total, "stts")
    composition = find(stbl, b"ctts")
    table.composition_offsets = (
        array("i", bytes(4 * total))
        if composition is None
        else _expand("i", _numbers(composition, "ctts", 2), total, "ctts")
    )
    table.keys = _keys(find(stbl, b"stss"), total)
    table.offsets = _offsets(stbl, sizes)
    return table


def _numbers(payload: memoryview, name: str, width: int) -> "array[int]":
    (rows,) = unpack(_COUNT, payload, 0, name)
    if len(payload) - _COUNT.size != 4 * width * rows:
        raise FormatError(f"{name}: {len(payload)} bytes for {rows} rows")
    return from_big_endian("I", payload[_COUNT.size :])


def _expand(typecode: str, runs: "array[int]", total: int, name: str) -> "array[int]":
    counts, values = runs[::2], array(typecode, runs[1::2].tobytes())
    if sum(counts) != total:
        raise FormatError(f"{name}: {sum(counts)} samples instead of {total}")
    return array(typecode, chain.from_iterable(map(repeat, values, counts)))


def _keys(payload: memoryview | None, total: int) -> bytearray:
    if payload is None:
        return bytearray(b"\1") * total
    keys = bytearray(total)
    for number in _numbers(payload, "stss", 1):
        if not 0 < number <= total:
            raise FormatError(f"stss: sample {number} of {total}")
        keys[number - 1] = 1
    return keys


def _offsets(stbl: memoryview, sizes: "array[int]") -> "array[int]":
    chunk_offsets = _chunk_offsets(stbl)
    counts = _chunk_counts(_numbers(require(stbl, b"stsc"), "stsc", 3), len(chunk_offsets), len(sizes))
    offsets = array("Q")
    start = 0
    for chunk_offset, samples in zip(chunk_offsets, counts, strict=True):
        chunk = accumulate(sizes[start : start + samples - 1], initial=chunk_offset)
        try:
            offsets.extend(chunk)
        except OverflowError as cause:
            raise FormatError(f"co64: a chunk at {chunk_offset}") from cause
        start += samples
    return offsets


def _chunk_offsets(stbl: memoryview) -> "array[int]":
    large = find(stbl, b"co64")
    payload, name, typecode, width = (
        (require(stbl, b"stco"), "stco", "I", 4) if large is None else (large, "co64", "Q", 8)
    )
    (rows,) = unpack(_COUNT, payload, 0, name)
    if len(payload) - _COUNT.size != width * rows:
        raise FormatError(f"{name}: {len(payload)} bytes for {rows} chunks")
    return from_big_endian(typecode, payload[_COUNT.size :])


def _chunk_counts(runs: "array[int]", chunks: int, samples: int) -> "array[int]":
    """How many samples each chunk has (§8.7.4)."""
    firsts, per_chunk = runs[::3], runs[1::3]
    counts = array("I")
    for index, (first, many) in enumerate(zip(firsts, per_chunk, strict=True)):
        end = firsts[index + 1] if index + 1 < len(firsts) else chunks + 1
        if first != len(counts) + 1 or not first < end <= chunks + 1 or not 0 < many <= samples:
            raise FormatError(f"stsc: run {index} of chunks is out of order")
        counts.extend(array("I", [many]) * (end - first))
    if sum(counts) != samples:
        raise FormatError(f"stsc: {sum(counts)} samples instead of {samples}")
    return counts
