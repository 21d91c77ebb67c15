"""Verifying an export by the evidence box that it carries.

Held against what its sources' recorders signed: every fragment in it; that nothing but fragments, and parameter sets of
the same recording, stands between its first and last byte of media; and that its movie shows exactly these, in order.
What lies before, after and between the pieces was left out by whoever made the export, and is said.

Belongs here: exports with evidence. Does not: recordings (recording_check), archives (archive).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from uuid import UUID

from vms.evidence.clip_file import ClipFile, PieceBytes
from vms.evidence.clip_movie import ClipPiece, check_movie, inserted_sets
from vms.evidence.compare import Progress, Region
from vms.evidence.proof_check import CheckedProof, check_media, check_proof
from vms.evidence.report import FragmentResult, FragmentState, SourceReport
from vms.evidence.trust import SignatureState, Trust
from vms.format.errors import FormatError
from vms.format.hybrid import ReadAt
from vms.format.hybrid.index import parse_rows
from vms.format.hybrid.layout import FLIP_OFFSET, OPEN_FLIP, Beginning, parse_beginning
from vms.format.mp4.boxes import HEADER_BYTES
from vms.format.mp4.evidence_box import Evidence, EvidenceSource, Piece, parse_evidence_box

_SHOWN_GAP_S = 1.0
_WHOLE = frozenset({FragmentState.UNCHANGED, FragmentState.UNSIGNED})


def check_clip(
    read_at: ReadAt, clip: ClipFile, trust: Trust, progress: Progress | None = None
) -> tuple[list[SourceReport], list[str], list[str]]:
    """What is to be said of an export: of each piece, then findings and notes about all of it."""
    findings, notes = list(clip.findings), list[str]()
    try:
        evidence = parse_evidence_box(read_at(*clip.evidence))
    except FormatError as error:
        return [], [*findings, f"its evidence is damaged: {error}"], notes
    findings += _coverage(clip, evidence)
    proofs = [_check_source(trust, source) for source in evidence.sources]
    reports: list[SourceReport] = []
    pieces: list[ClipPiece] = []
    for piece in evidence.pieces:
        report, found = _check_piece(
            read_at, evidence.sources[piece.source], proofs[piece.source], piece, progress
        )
        reports.append(report)
        pieces += found
    if len(pieces) == len(evidence.pieces):
        found_there, noted = check_movie(read_at(*clip.movie), pieces)
        findings, notes = findings + found_there, notes + noted
    else:
        notes.append("what it shows was not compared with what it holds, since that was changed")
    return reports, findings + _out_of_order(reports), notes + _breaks(reports)


def _coverage(clip: ClipFile, evidence: Evidence) -> list[str]:
    """Whether the pieces are all that the media consist of."""
    position, end = clip.media[0], sum(clip.media)
    for piece in evidence.pieces:
        if piece.offset != position:
            return [f"bytes {position} to {piece.offset} are of no recording"]
        position = piece.offset + piece.size
    return [] if position == end else [f"bytes {position} to {end} are of no recording"]


def _check_source(trust: Trust, source: EvidenceSource) -> CheckedProof:
    checked = check_proof(trust, source.rows, source.digests, source.signature, source.beginning)
    if checked.fragments is None and not source.signature:
        try:
            checked.fragments = parse_rows(memoryview(source.rows)[HEADER_BYTES:])
        except FormatError as error:
            checked.findings.append(str(error))
    return checked


def _check_piece(
    read_at: ReadAt,
    source: EvidenceSource,
    checked: CheckedProof,
    piece: Piece,
    progress: Progress | None,
) -> tuple[SourceReport, list[ClipPiece]]:
    findings = list(checked.findings)
    results: list[FragmentResult] = []
    whole: list[ClipPiece] = []
    beginning = _beginning(source)
    try:
        data = PieceBytes(read_at, piece)
    except FormatError as error:
        findings.append(str(error))
    else:
        results = _fragments(checked, data, piece, progress)
        if beginning is not None:
            whole.append(ClipPiece(piece.offset, piece.offset + piece.size, data, beginning))
            findings += _strange_insertions(read_at, whole[0])
    if beginning is None:
        findings.append("the beginning of its recording cannot be read")
    if not results or any(each.state not in _WHOLE for each in results):
        whole = []
    return _report(checked, piece, results, findings, beginning), whole


def _fragments(
    checked: CheckedProof, data: PieceBytes, piece: Piece, progress: Progress | None
) -> list[FragmentResult]:
    wanted = range(piece.first, piece.last)
    if checked.statement is not None:
        inside = range(piece.first, min(piece.last, len(checked.leaves)))
        results = check_media(checked, Region(data.read_at, 0, data.size), inside, progress)
    else:
        results = _unsigned(checked, data, wanted)
    return [
        replace(each, offset=data.place(each.offset) if each.offset is not None else None) for each in results
    ]


def _unsigned(checked: CheckedProof, data: PieceBytes, wanted: range) -> list[FragmentResult]:
    """As the list of the export says, which nobody signed."""
    fragments = checked.fragments or ()
    results, position = [], 0
    for index in wanted:
        if index >= len(fragments):
            break
        each = fragments[index]
        results.append(
            FragmentResult(index, FragmentState.UNSIGNED, position, each.size, each.start_ns, each.end_ns)
        )
        position += each.size
    if position != data.size or len(results) != len(wanted):
        return []
    return results


def _report(
    checked: CheckedProof,
    piece: Piece,
    results: Sequence[FragmentResult],
    findings: list[str],
    beginning: Beginning | None,
) -> SourceReport:
    statement, fragments = checked.statement, checked.fragments
    known = fragments is not None and piece.last <= len(fragments)
    total = statement.fragments if statement is not None else len(fragments or ())
    notes = []
    if checked.signature.recovered:
        notes.append("signed by repair after a crash, not by the recorder as it wrote")
    if not known:
        findings.append(f"it names fragments {piece.first} to {piece.last} of a recording of {total}")
    if not results:
        findings.append("its fragments are not what it says that they are")
    said = statement or beginning
    if checked.signature.state is SignatureState.UNSIGNED:
        notes.append("its recording was not signed, or not yet when this was cut from it")
    return SourceReport(
        said.identity if said is not None else None,
        checked.signature,
        piece.first,
        piece.last,
        total,
        fragments[piece.first].start_ns if fragments is not None and known else None,
        fragments[piece.last - 1].end_ns if fragments is not None and known else None,
        statement.chain_digest if statement is not None else b"",
        statement.previous if statement is not None else None,
        tuple(results),
        tuple(dict.fromkeys(findings)),
        tuple(notes),
    )


def _beginning(source: EvidenceSource) -> Beginning | None:
    data = source.beginning[:FLIP_OFFSET] + OPEN_FLIP + source.beginning[FLIP_OFFSET:]
    try:
        return parse_beginning(lambda offset, size: data[offset : offset + size], len(data))
    except FormatError:
        return None


def _strange_insertions(read_at: ReadAt, piece: ClipPiece) -> list[str]:
    allowed = inserted_sets(piece)
    strange = sum(read_at(each.offset, each.size) not in allowed for each in piece.data.inserted)
    return [f"{strange} insertions are no parameter sets of the recording"] if strange else []


def _out_of_order(reports: Sequence[SourceReport]) -> list[str]:
    """Whether the pieces of each camera go on in time, and none shows a fragment again."""
    ends: dict[UUID, int] = {}  # of each recording, the fragment after the last one shown
    newest: dict[tuple[str, str], int] = {}  # of each camera's stream, when its last piece began
    for report in reports:
        if report.identity is None:
            continue
        camera = report.identity.camera_id, report.identity.stream
        start_ns = report.start_ns if report.start_ns is not None else newest.get(camera, 0)
        if report.first < ends.get(report.identity.segment_id, 0) or start_ns < newest.get(camera, start_ns):
            return ["edited: its pieces stand in another order than they were recorded in, or twice"]
        ends[report.identity.segment_id] = report.last
        newest[camera] = start_ns
    return []


def _breaks(reports: Sequence[SourceReport]) -> list[str]:
    """Where footage is left out between two pieces."""
    notes = []
    for before, after in pairwise(reports):
        if before.end_ns is None or after.start_ns is None:
            continue
        left_out_s = (after.start_ns - before.end_ns) / 1e9
        if before.identity and after.identity and before.identity.camera_id != after.identity.camera_id:
            notes.append(f"goes on with another camera: {after.identity.camera_id}")
        elif abs(left_out_s) > _SHOWN_GAP_S:
            notes.append(f"break: {left_out_s:.1f} s of time lie between two of its pieces")
    return notes
