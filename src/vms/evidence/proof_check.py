"""What the proof of one recording is worth: its signature, its statement, its lists. For recordings and for clips.

Belongs here: the parts against the signed statement. Does not: finding them in a file (recording_check, clip_check),
media (compare).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from vms.evidence.compare import Progress, Region, compare_fragments, walk_digests
from vms.evidence.report import FragmentResult, FragmentState
from vms.evidence.trust import UNSIGNED, Signature, SignatureState, Trust
from vms.format.errors import FormatError
from vms.format.hybrid import Fragment, Statement
from vms.format.hybrid.index import parse_rows
from vms.format.hybrid.integrity import (
    chain,
    parse_digests,
    parse_signature,
    parse_statement,
    split_digests,
    stripped_beginning_digest,
)
from vms.format.mp4.boxes import HEADER_BYTES

_BELIEVED = frozenset(
    {SignatureState.TRUSTED, SignatureState.UNTRUSTED, SignatureState.EXPIRED, SignatureState.UNCERTIFIED}
)


@dataclass(slots=True)
class CheckedProof:
    """What a proof says, and what of it can be believed, given that its signature can.

    leaves: of the fragments. leaves_right: they are those that were signed. fragments: their index, when it is the
    one that was signed. findings: what is wrong.
    """

    signature: Signature = UNSIGNED
    statement: Statement | None = None
    leaves: list[bytes] = field(default_factory=list)
    leaves_right: bool = False
    fragments: Sequence[Fragment] | None = None
    findings: list[str] = field(default_factory=list)

    @property
    def believed(self) -> bool:
        """Whether what is stated is what somebody signed, whoever that was."""
        return self.statement is not None and self.signature.state in _BELIEVED


def check_proof(
    trust: Trust, rows: bytes, digests: bytes, signature: bytes, stripped_beginning: bytes | None
) -> CheckedProof:
    """Judge whole boxes, ``vfrg``, ``vdig``, ``vsig`` (empty: not there), and a beginning without its flip bytes.

    stripped_beginning: None when it is not known where it ends.
    """
    checked = CheckedProof()
    if not signature:
        return checked
    try:
        signed, certificates, raw = parse_signature(signature[HEADER_BYTES:])
        checked.statement = parse_statement(signed)
    except FormatError as error:
        checked.signature = Signature(SignatureState.BAD, detail=str(error))
        return checked
    statement = checked.statement
    judged = trust.judge(signed, raw, certificates, statement.signed_ns)
    checked.signature = replace(judged, recovered=statement.recovered)
    if judged.state in _BELIEVED and judged.node != statement.node[:64]:
        checked.findings.append(f"signed by the key of {judged.node} for another node, {statement.node}")
    try:
        checked.leaves = split_digests(parse_digests(digests[HEADER_BYTES:]))
    except FormatError:
        checked.leaves = []
    right = chain(statement.start_digest, checked.leaves) == statement.chain_digest
    checked.leaves_right = right and len(checked.leaves) == statement.fragments
    if not checked.leaves_right:
        checked.findings.append("its list of digests was changed")
    if sha256(rows).digest() != statement.index_digest:
        checked.findings.append("its index of fragments was changed")
    else:
        try:
            checked.fragments = parse_rows(memoryview(rows)[HEADER_BYTES:])
        except FormatError as error:
            checked.findings.append(str(error))
    if (
        stripped_beginning is not None
        and stripped_beginning_digest(stripped_beginning) != statement.start_digest
    ):
        checked.findings.append("its beginning was changed: whose footage it is, and how to decode it")
    return checked


def check_media(
    checked: CheckedProof, region: Region, wanted: range, progress: Progress | None = None
) -> list[FragmentResult]:
    """What became of fragments number `wanted` of a signed recording, in `region`."""
    fragments = checked.fragments
    sizes = [each.size for each in fragments] if fragments is not None else None
    if sizes is not None and len(sizes) != len(checked.leaves):
        sizes = None
    if not checked.leaves_right and checked.believed and _same_chain(checked, region, wanted):
        # The list was damaged; the footage leads to what was signed all the same
        checked.leaves, checked.leaves_right = walk_digests(region), True
    results = compare_fragments(region, checked.leaves, sizes, wanted, progress)
    if not checked.believed or not checked.leaves_right:
        results = [_unproven(each) for each in results]
    return [_with_times(each, fragments) for each in results]


def _same_chain(checked: CheckedProof, region: Region, wanted: range) -> bool:
    statement = checked.statement
    assert statement is not None, "believed"
    if len(wanted) != statement.fragments:
        return False
    return chain(statement.start_digest, walk_digests(region)) == statement.chain_digest


def _unproven(result: FragmentResult) -> FragmentResult:
    if result.state is not FragmentState.UNCHANGED:
        return result
    return replace(result, state=FragmentState.UNSIGNED, detail="as listed, but the list is not signed")


def _with_times(result: FragmentResult, fragments: Sequence[Fragment] | None) -> FragmentResult:
    if fragments is None or result.index is None or result.index >= len(fragments):
        return result
    fragment = fragments[result.index]
    return replace(result, start_ns=fragment.start_ns, end_ns=fragment.end_ns)
