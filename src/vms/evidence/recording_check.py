"""Verifying one recording file, however damaged it may be.

Every byte of a closed, signed file is held against the signed statement: its beginning, each fragment, the index, the
final moov; the index box must be as a writer writes it, and nothing may follow. Left are the 16 flip bytes, which
must point to the signed index, or be those of a file that was not flipped yet.

Belongs here: recordings. Does not: clips (clip_check), how recordings hang together (links).
"""

from dataclasses import dataclass

from vms.evidence.compare import Progress, Region
from vms.evidence.errors import NotEvidence
from vms.evidence.proof_check import CheckedProof, check_media, check_proof
from vms.evidence.report import FragmentResult, FragmentState, SourceReport
from vms.evidence.tail_search import Tail, flipped_to, movie_crc, tails
from vms.evidence.trust import UNSIGNED, SignatureState, Trust
from vms.format.errors import FormatError
from vms.format.hybrid import ReadAt, SegmentFile, read_segment
from vms.format.hybrid.index import parse_rows
from vms.format.hybrid.integrity import read_digest, strip_flip
from vms.format.hybrid.layout import (
    FLIP_OFFSET,
    INIT_OFFSET,
    MAX_INIT_BYTES,
    OPEN_FLIP,
    Beginning,
    parse_beginning,
)
from vms.format.mp4.boxes import HEADER_BYTES

_FIRST_OFFSET = slice(HEADER_BYTES + 4, HEADER_BYTES + 12)
_RANK = (
    SignatureState.TRUSTED,
    SignatureState.EXPIRED,
    SignatureState.UNCERTIFIED,
    SignatureState.UNTRUSTED,
    SignatureState.BAD,
    SignatureState.UNSIGNED,
)


def check_recording(
    read_at: ReadAt, size: int, trust: Trust, progress: Progress | None = None
) -> SourceReport:
    """What is to be said of a recording file of `size` bytes.

    progress: told of bytes as they are done. Raises NotEvidence when it is no recording, not even a damaged one.
    """
    try:
        beginning = parse_beginning(read_at, size)
    except FormatError as error:
        beginning, why = None, str(error)
    else:
        why = ""
    flipped = flipped_to(read_at)
    tail, checked = _best_tail(read_at, size, trust, beginning, flipped)
    if tail is not None and checked.statement is not None:
        return _check_signed(_File(read_at, size, beginning, flipped, tail, checked), progress)
    if beginning is None:
        raise NotEvidence(f"it is no recording: {why}")
    return _check_unsigned(read_at, size, tail, checked, flipped)


@dataclass(frozen=True, slots=True)
class _File:
    """A file with a tail that states something."""

    read_at: ReadAt
    size: int
    beginning: Beginning | None
    flipped: int | None
    tail: Tail
    checked: CheckedProof

    @property
    def media(self) -> Region:
        """From the first fragment up to the tail."""
        start = _media_start(self.tail, self.checked, self.beginning)
        return Region(self.read_at, min(start, self.tail.offset), self.tail.offset)


def _best_tail(
    read_at: ReadAt, size: int, trust: Trust, beginning: Beginning | None, flipped: int | None
) -> tuple[Tail | None, CheckedProof]:
    """The tail whose signature is worth most: others may have been put there to be found."""
    best: tuple[tuple[int, bool, int], Tail | None, CheckedProof]
    best = (len(_RANK), True, 0), None, CheckedProof()
    for tail in tails(read_at, size, flipped):
        checked = check_proof(trust, tail.rows, tail.digests, tail.signature, None)
        start = _media_start(tail, checked, beginning)
        stripped = strip_flip(read_at(0, start)) if start <= min(tail.offset, MAX_INIT_BYTES) else b""
        checked = check_proof(trust, tail.rows, tail.digests, tail.signature, stripped)
        rank = _RANK.index(checked.signature.state), not tail.marked, len(checked.findings)
        if rank < best[0]:
            best = rank, tail, checked
        if checked.believed and tail.marked and not checked.findings:
            break
        if not tail.signature and tail.offset == flipped and _whole(read_at, tail):
            break  # and never signed
    return best[1], best[2]


def _whole(read_at: ReadAt, tail: Tail) -> bool:
    if not tail.rows or not tail.as_written(movie_crc(read_at, tail)):
        return False
    try:
        fragments = parse_rows(memoryview(tail.rows)[HEADER_BYTES:])
    except FormatError:
        return False
    return bool(fragments) and fragments[-1].end == tail.offset


def _media_start(tail: Tail, checked: CheckedProof, beginning: Beginning | None) -> int:
    if checked.fragments:
        return checked.fragments[0].offset
    if beginning is not None:
        return beginning.size
    return int.from_bytes(tail.rows[_FIRST_OFFSET]) or tail.offset


def _check_signed(file: _File, progress: Progress | None) -> SourceReport:
    checked, region = file.checked, file.media
    statement = checked.statement
    assert statement is not None, "looked at before"
    total = statement.fragments if checked.believed else len(checked.leaves)
    results = check_media(checked, region, range(min(total, len(checked.leaves))), progress)
    findings = list(checked.findings)
    if file.beginning is None:
        findings.append("its beginning is damaged: players cannot open it")
    findings += _tail_findings(file)
    found, noted = _flip(file, _signed_end(file))
    findings, notes = findings + found, list(noted)
    if statement.recovered:
        notes.append("signed by repair after a crash, not by the recorder as it wrote")
    return SourceReport(
        statement.identity,
        checked.signature,
        0,
        total,
        total,
        statement.start_ns,
        statement.end_ns,
        statement.chain_digest,
        statement.previous,
        tuple(results),
        tuple(dict.fromkeys(findings)),
        tuple(notes),
    )


def _tail_findings(file: _File) -> list[str]:
    tail, checked, findings = file.tail, file.checked, []
    assert checked.statement is not None, "looked at before"
    moved = checked.fragments is not None and checked.fragments[-1].end != tail.offset
    if moved:
        findings.append("its fragments do not fill the room that they were recorded in")
    end = _signed_end(file)
    if end is None:
        findings.append("its table of contents (the final moov) was changed, or is cut off")
    elif end != file.size:
        findings.append(f"{file.size - end} bytes follow its end")
    if not findings and not checked.findings and not tail.as_written(movie_crc(file.read_at, tail)):
        findings.append("its index box is not as it was written")
    return findings


def _signed_end(file: _File) -> int | None:
    """Where the file ends by its signed moov; None when there is no such moov."""
    tail, statement = file.tail, file.checked.statement
    assert statement is not None, "looked at before"
    if not file.checked.believed:
        return tail.movie + tail.movie_size if tail.movie_size >= 0 else None
    for size in dict.fromkeys((tail.movie_size, file.size - tail.movie)):
        fits = 0 <= size <= file.size - tail.movie
        if fits and read_digest(file.read_at, tail.movie, size) == statement.movie_digest:
            return tail.movie + size
    return None


def _flip(file: _File, end: int | None) -> tuple[list[str], list[str]]:
    """Findings and notes about the 16 bytes that no signature covers."""
    if file.flipped == file.tail.offset:
        return [], []
    if file.read_at(FLIP_OFFSET, INIT_OFFSET - FLIP_OFFSET) == OPEN_FLIP and end == file.size:
        return [], [
            "its 16 flip bytes say that it is still open, though all of it is there and signed: it was interrupted in "
            "the last step of closing, or they were set back"
        ]
    return ["its 16 flip bytes do not point to its signed index"], []


def _check_unsigned(
    read_at: ReadAt, size: int, tail: Tail | None, checked: CheckedProof, flipped: int | None
) -> SourceReport:
    segment = read_segment(read_at, size)
    findings: list[str] = []
    notes: list[str] = []
    signature = checked.signature
    if flipped is not None and not segment.closed:
        findings.append("it was closed once, and its end is damaged or cut off")
    elif not segment.closed:
        notes.append(
            "it is not closed, so not signed yet: it is being recorded, or its recorder died (vms serve repairs that)"
        )
    elif tail is not None and tail.digests and not tail.signature:
        findings.append("it lists digests, but its signature is gone")
    elif signature.state is SignatureState.UNSIGNED:
        notes.append("it was never signed: recorded before signing was there, or without keys")
    if segment.closed and segment.size != size:
        findings.append(f"{size - segment.size} bytes follow its end")
    fragments = segment.fragments
    return SourceReport(
        segment.identity,
        UNSIGNED if signature.state is SignatureState.UNSIGNED else signature,
        0,
        len(fragments),
        len(fragments),
        fragments[0].start_ns if fragments else None,
        fragments[-1].end_ns if fragments else None,
        fragments=tuple(_unsigned(segment)),
        findings=tuple(findings),
        notes=tuple(notes),
        open=not segment.closed and not findings,
    )


def _unsigned(segment: SegmentFile) -> list[FragmentResult]:
    return [
        FragmentResult(index, FragmentState.UNSIGNED, each.offset, each.size, each.start_ns, each.end_ns)
        for index, each in enumerate(segment.fragments)
    ]
