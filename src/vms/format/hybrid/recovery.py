"""Deciding, at start, what a file whose writer may have died needs.

Belongs here: the decision, and the bytes that carry it out. Does not: writing them (vms.storage).
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from vms.format.errors import FormatError
from vms.format.hybrid.index import MAX_INDEX_BYTES, parse_index
from vms.format.hybrid.integrity import (
    SIGNATURE_KIND,
    Sealing,
    Statement,
    beginning_digest,
    build_digests,
    build_proof,
    build_signature,
    chain,
    parse_signature,
    parse_statement,
    read_digest,
)
from vms.format.hybrid.layout import FLIP_OFFSET, Beginning, closed_flip, is_torn_beginning, parse_beginning
from vms.format.hybrid.reader import read_closed
from vms.format.hybrid.scan import ScannedFragment, scan
from vms.format.hybrid.tail import build_finish, has_whole_movie, read_index
from vms.format.hybrid.types import ReadAt, Recovery, RecoveryAction, SegmentFile
from vms.format.mp4 import sample_entries
from vms.format.mp4.samples import TrackSamples

Seal = Callable[[SegmentFile, list[bytes]], Sealing | None]
"""Says how a rebuilt file is signed, given what is in it and its fragments' digests; None: not at all."""


def plan_recovery(read_at: ReadAt, size: int, seal: Seal | None = None) -> Recovery:
    """What to do with a file of `size` bytes, wherever its writer was interrupted.

    seal: with it, a rebuilt file is signed as recovered, for which its fragments are read and hashed. A file
    whose tail is whole keeps the proof that it has; so does one of which all is there that was signed, and only the
    rest of its tail is damaged.

    Carrying a plan out may be interrupted, too: planned again, the file comes out the same. Raises
    FormatError when it is not a recording; such a file must be left alone.
    """
    try:
        beginning = parse_beginning(read_at, size)
    except FormatError:
        if is_torn_beginning(read_at):
            return Recovery(RecoveryAction.EMPTY, 0, b"", FLIP_OFFSET, b"", None)
        raise
    media_end = beginning.media_end
    if media_end is not None:
        closed = _whole(read_at, size, beginning, media_end)
        if closed is not None:
            return Recovery(RecoveryAction.INTACT, size, b"", FLIP_OFFSET, b"", closed)
    tracks = {track.id: track for track in beginning.tracks}
    found = list(scan(read_at, beginning.size, size, tracks))
    if not found:
        return Recovery(RecoveryAction.EMPTY, 0, b"", FLIP_OFFSET, b"", None)
    end = found[-1].fragment.end
    closed = _whole(read_at, size, beginning, end)
    if closed is not None:
        return Recovery(RecoveryAction.FLIP, closed.size, b"", FLIP_OFFSET, closed_flip(end), closed)
    return _rebuild(read_at, beginning, found, seal)


def _whole(read_at: ReadAt, size: int, beginning: Beginning, media_end: int) -> SegmentFile | None:
    """The file as closed at `media_end`, when index and moov stand there undamaged."""
    try:
        index, movie = read_index(read_at, media_end, size)
        if not has_whole_movie(read_at, index, movie):
            return None
        return read_closed(read_at, size, beginning, media_end)
    except FormatError:
        return None


def _rebuild(
    read_at: ReadAt, beginning: Beginning, found: list[ScannedFragment], seal: Seal | None
) -> Recovery:
    tables = {
        track.id: TrackSamples(track, [sample_entries.build(track, in_band=track.id in beginning.in_band)])
        for track in beginning.tracks
    }
    kept = []
    for each in found:
        if not all(tables[run.track_id].follows(run.first_dts) for run in each.runs):
            break  # times that fall back are no writer's work; what came before is still good
        for run in each.runs:
            samples = tables[run.track_id]
            samples.append(run.first_dts, run.durations, run.sizes, run.composition_offsets, run.keys)
            samples.append_chunk(run.data_offset, len(run.sizes))
        kept.append(each.fragment)
    segment = SegmentFile(
        beginning.identity,
        beginning.tracks,
        beginning.init,
        kept,
        closed=False,
        size=kept[-1].end,
        in_band=beginning.in_band,
    )
    prove = _prove(read_at, segment, seal) if seal is not None else None
    finish = build_finish(kept, list(tables.values()), list(tables), prove)
    index_size = int.from_bytes(finish.tail[:4])
    size, movie = finish.tail_offset + len(finish.tail), finish.tail_offset + index_size
    proof = parse_index(finish.tail[:index_size]).proof if prove is not None else None
    closed = replace(segment, closed=True, size=size, movie=(movie, size - movie), proof=proof)
    return Recovery(
        RecoveryAction.REBUILD, finish.tail_offset, finish.tail, finish.flip_offset, finish.flip, closed
    )


def _prove(read_at: ReadAt, segment: SegmentFile, seal: Seal) -> Callable[[bytes, bytes], bytes]:
    digests = [read_digest(read_at, each.offset, each.size) for each in segment.fragments]
    beginning = read_at(0, segment.fragments[0].offset)
    signed = _signed_before(read_at, segment, chain(beginning_digest(beginning), digests))

    def prove(rows: bytes, movie: bytes) -> bytes:
        if signed is not None and signed.covers(rows, movie):
            return build_digests(b"".join(digests)) + signed.box
        sealing = seal(segment, digests)
        if sealing is None:
            return b""
        sealed = replace(sealing, recovered=True)
        return build_proof(segment.identity, beginning, segment.fragments, sealed, rows=rows, movie=movie)

    return prove


class _SignedBefore(NamedTuple):
    """What was signed when the file was closed, and the whole ``vsig`` box."""

    statement: Statement
    box: bytes

    def covers(self, rows: bytes, movie: bytes) -> bool:
        digests = sha256(rows).digest(), sha256(movie).digest()
        return digests == (self.statement.index_digest, self.statement.movie_digest)


def _signed_before(read_at: ReadAt, segment: SegmentFile, chain_digest: bytes) -> _SignedBefore | None:
    """The statement that was signed about just these fragments, from what is left of a tail."""
    data = read_at(segment.size, MAX_INDEX_BYTES)
    at = data.find(SIGNATURE_KIND)
    while at >= 4:
        size = int.from_bytes(data[at - 4 : at])
        try:
            signed, certificates, signature = parse_signature(data[at + 4 : at - 4 + size])
            statement = parse_statement(signed)
        except FormatError:
            at = data.find(SIGNATURE_KIND, at + 1)
            continue
        if statement.chain_digest == chain_digest and statement.identity == segment.identity:
            return _SignedBefore(statement, build_signature(signed, certificates, signature))
        at = data.find(SIGNATURE_KIND, at + 1)
    return None
