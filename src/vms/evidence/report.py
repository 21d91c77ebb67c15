"""What verification found, as values and as JSON.

Belongs here: the results. Does not: finding them (recording_check, clip_check, links), printing them (vms.commands).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from vms.common.clock import rfc3339
from vms.evidence.trust import UNSIGNED, Signature, SignatureState
from vms.format.hybrid import PreviousFile, SegmentIdentity


class FragmentState(StrEnum):
    UNCHANGED = "unchanged"  # byte for byte what was signed
    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"  # stands at another place than it was signed at
    DUPLICATED = "duplicated"  # a copy of one that stands in its place, too
    FOREIGN = "foreign"  # no fragment of this recording
    UNSIGNED = "unsigned"  # nothing signed speaks of it


class Verdict(StrEnum):
    VERIFIED = "verified"  # everything unchanged, signed by a trusted key
    CHANGED = "changed"
    UNTRUSTED = "untrusted"  # unchanged, but whose signature it is, or whether it counts, is open
    INCOMPLETE = "incomplete"  # verified by itself, but a recording between others is not here
    UNSIGNED = "unsigned"
    RECORDING = "recording"  # not closed, so not signed yet
    UNREADABLE = "unreadable"


_WORST_FIRST = (
    Verdict.UNREADABLE,
    Verdict.CHANGED,
    Verdict.UNTRUSTED,
    Verdict.INCOMPLETE,
    Verdict.UNSIGNED,
    Verdict.RECORDING,
    Verdict.VERIFIED,
)


class LinkState(StrEnum):
    """How a recording hangs on the one before it."""

    FOLLOWS = "follows"
    FIRST = "first"  # names no predecessor
    OLDEST = "oldest"  # names one that is not here, as is no older one
    MISSING = "missing"  # names one that is not here, though older ones are
    DIFFERENT = "different"  # the predecessor here ends otherwise than the one it names
    REORDERED = "reordered"  # begins before its predecessor does
    DUPLICATE = "duplicate"  # a copy of another file in the same place
    COPY = "copy"  # a copy of a file in another of the places that were named, as tiers have them for a while
    CONFLICTING = "conflicting"  # another file here says that it is the same recording, and differs
    UNSIGNED = "unsigned"


BROKEN_LINKS = frozenset(
    {
        LinkState.DIFFERENT,
        LinkState.REORDERED,
        LinkState.DUPLICATE,
        LinkState.CONFLICTING,
    }
)
"""Where what is here contradicts itself. That one is MISSING proves nothing of those that are here: retention deletes,
and keeps footage of events longer."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The one that counts for all of them together; VERIFIED for none."""
    return min(verdicts, key=_WORST_FIRST.index, default=Verdict.VERIFIED)


@dataclass(frozen=True, slots=True)
class FragmentResult:
    """One fragment. index: in its recording, from 0; None for foreign bytes. offset: where it stands; None when it is
    missing. start_ns, end_ns: of its footage, as signed; None where that is not known."""

    index: int | None
    state: FragmentState
    offset: int | None
    size: int
    start_ns: int | None = None
    end_ns: int | None = None
    detail: str = ""
    many: int = 1
    """More than 1 in `merged` results: so many fragments in a row, from `index` on, that are all alike."""


def merged(fragments: Iterable[FragmentResult]) -> tuple[FragmentResult, ...]:
    """`fragments` with rows of those that are alike as one: what is known of an hour fits in some bytes."""
    rows: list[FragmentResult] = []
    for each in fragments:
        last = rows[-1] if rows else None
        if (
            last is not None
            and last.index is not None
            and each.index == last.index + last.many
            and (each.state, each.detail) == (last.state, last.detail)
            and (last.offset is None) == (each.offset is None)
        ):
            size, many = last.size + each.size, last.many + each.many
            rows[-1] = replace(last, size=size, many=many, end_ns=each.end_ns)
        else:
            rows.append(each)
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """A recording, or what a clip holds of one.

    first, last: which of its `total` fragments should be here. start_ns, end_ns: of their footage.
    findings: what is not as it was signed, besides fragments. notes: what is worth knowing, and no fault.
    """

    identity: SegmentIdentity | None
    signature: Signature = UNSIGNED
    first: int = 0
    last: int = 0
    total: int = 0
    start_ns: int | None = None
    end_ns: int | None = None
    chain_digest: bytes = b""
    previous: PreviousFile | None = None
    fragments: tuple[FragmentResult, ...] = ()
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    open: bool = False

    @property
    def verdict(self) -> Verdict:
        good = {FragmentState.UNCHANGED, FragmentState.UNSIGNED}
        state = self.signature.state
        if self.findings or state is SignatureState.BAD or any(f.state not in good for f in self.fragments):
            return Verdict.CHANGED
        if state is SignatureState.UNSIGNED:
            return Verdict.RECORDING if self.open else Verdict.UNSIGNED
        if any(f.state is FragmentState.UNSIGNED for f in self.fragments):
            return Verdict.UNSIGNED
        return Verdict.VERIFIED if state is SignatureState.TRUSTED else Verdict.UNTRUSTED

    def count(self) -> dict[str, int]:
        """How many fragments there are in each state; states without any are left out."""
        counts: dict[str, int] = {}
        for each in self.fragments:
            counts[each.state.value] = counts.get(each.state.value, 0) + each.many
        return counts


@dataclass(slots=True)
class FileReport:
    """A file. kind: ``recording``, ``export``, ``archive``, ``manifest`` or ``unknown``. error: why it could not be read.

    link, link_detail: of a recording verified together with others.
    """

    name: str
    kind: str
    size: int = 0
    sources: Sequence[SourceReport] = ()
    findings: Sequence[str] = ()
    notes: Sequence[str] = ()
    error: str = ""
    link: LinkState | None = None
    link_detail: str = ""
    vouched: bool = False
    """A signed, trusted manifest lists this file with its digest."""

    @property
    def verdict(self) -> Verdict:
        if self.error:
            return Verdict.UNREADABLE
        if self.findings or self.link in BROKEN_LINKS:
            return Verdict.CHANGED
        own = worst(source.verdict for source in self.sources)
        if self.link is LinkState.MISSING:
            own = worst([own, Verdict.INCOMPLETE])
        if self.vouched and own in (Verdict.UNSIGNED, Verdict.RECORDING):
            return Verdict.VERIFIED
        return own if self.sources or self.vouched else Verdict.UNSIGNED


@dataclass(slots=True)
class Report:
    """Everything that was verified in one go."""

    files: list[FileReport] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    signature: Signature | None = None
    """Of the manifest of an archive."""

    @property
    def verdict(self) -> Verdict:
        own = [Verdict.CHANGED] if self.findings else []
        if self.signature is not None:
            own.append(SourceReport(None, self.signature).verdict)
        return worst([*own, *(file.verdict for file in self.files)])

    @property
    def exit_code(self) -> int:
        """0: all unchanged and signed by a trusted key. 1: not so. 2: something could not be read."""
        if not self.files or self.verdict is Verdict.UNREADABLE:
            return 2
        return 0 if self.verdict is Verdict.VERIFIED else 1


def report_json(report: Report) -> dict[str, Any]:
    """All of it, for machines. Fragments that are alike stand together as ``first`` to ``last``, inclusive."""
    document: dict[str, Any] = {
        "verdict": report.verdict.value,
        "exit_code": report.exit_code,
        "findings": report.findings,
        "notes": report.notes,
        "files": [_file(each) for each in report.files],
    }
    if report.signature is not None:
        document["manifest_signature"] = signature_json(report.signature)
    return document


def signature_json(signature: Signature) -> dict[str, Any]:
    """A signature, for machines."""
    return {
        "state": signature.state.value,
        "node": signature.node,
        "key_fingerprint": signature.fingerprint,
        "authority_fingerprint": signature.authority,
        "signed_at": _time(signature.signed_ns),
        "recovered": signature.recovered,
        "detail": signature.detail,
    }


def _file(file: FileReport) -> dict[str, Any]:
    return {
        "name": file.name,
        "kind": file.kind,
        "bytes": file.size,
        "verdict": file.verdict.value,
        "error": file.error or None,
        "findings": list(file.findings),
        "notes": list(file.notes),
        "vouched_by_manifest": file.vouched,
        "link": file.link.value if file.link is not None else None,
        "link_detail": file.link_detail,
        "sources": [_source(each) for each in file.sources],
    }


def _source(source: SourceReport) -> dict[str, Any]:
    identity, previous = source.identity, source.previous
    return {
        "verdict": source.verdict.value,
        "segment_id": str(identity.segment_id) if identity else None,
        "camera_id": identity.camera_id if identity else None,
        "stream": identity.stream if identity else None,
        "start": _time(source.start_ns),
        "end": _time(source.end_ns),
        "first_fragment": source.first,
        "end_fragment": source.last,
        "total_fragments": source.total,
        "chain_digest": source.chain_digest.hex() or None,
        "previous": _previous(previous),
        "signature": signature_json(source.signature),
        "fragment_counts": source.count(),
        "fragments": _runs(source.fragments),
        "findings": list(source.findings),
        "notes": list(source.notes),
    }


def _previous(previous: PreviousFile | None) -> dict[str, str] | None:
    if previous is None:
        return None
    return {"segment_id": str(UUID(int=previous.segment_id.int)), "chain_digest": previous.chain_digest.hex()}


def _runs(fragments: Sequence[FragmentResult]) -> list[dict[str, Any]]:
    return [
        {
            "first": each.index,
            "last": each.index + each.many - 1 if each.index is not None else None,
            "state": each.state.value,
            "start": _time(each.start_ns),
            "end": _time(each.end_ns),
            "offset": each.offset,
            "bytes": each.size,
            "detail": each.detail,
        }
        for each in merged(fragments)
    ]


def _time(at_ns: int | None) -> str | None:
    if at_ns is None:
        return None
    try:
        return rfc3339(at_ns)
    except (ValueError, OverflowError):
        return f"{at_ns} ns"
