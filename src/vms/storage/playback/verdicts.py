"""What verification says of one recording, in the words of the API.

Belongs here: from reports of vms.evidence to a verdict on a recording, and on several. Does not: reading (verification).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from vms.evidence.report import SourceReport, Verdict
from vms.evidence.trust import SignatureState
from vms.format.hybrid import PreviousFile
from vms.storage.segment import Segment


@dataclass(frozen=True, slots=True)
class VerifiedSegment:
    """What signature and digests of one recording say of it. Implements the API's VerifiedSegment.

    state: verified, changed, unsigned, recording (not closed yet), unreadable, or untrusted. signed_ns, node,
    key_fingerprint: None where it is not signed. recovered: signed by repair after a crash. follows: whether the
    recording that it names before it is here and is what it was then; None where that cannot be said. detail: for a
    person. previous, chain_digest: as signed.
    """

    id: UUID
    start_ns: int
    end_ns: int
    state: str
    signed_ns: int | None = None
    node: str | None = None
    key_fingerprint: str | None = None
    recovered: bool = False
    follows: bool | None = None
    detail: str = ""
    previous: PreviousFile | None = None
    chain_digest: bytes = b""

    def linked(self, follows: bool | None, detail: str) -> "VerifiedSegment":
        """The same, and how it hangs on the recording before; one that hangs on another is changed."""
        state = "changed" if follows is False and self.state == "verified" else self.state
        said = "; ".join(part for part in (self.detail, detail) if part)
        return replace(self, follows=follows, state=state, detail=said)


@dataclass(frozen=True, slots=True)
class Verification:
    """Of a range. state: verified, unverified (nothing is recorded then), changed, unsigned, or partial: some of it is
    not verified. segments: by start; of a range that was too much for one answer, those that were looked at."""

    state: str
    segments: Sequence[VerifiedSegment]


def verdict(segments: Sequence[VerifiedSegment], *, complete: bool) -> Verification:
    """complete: nothing of the range was left for later."""
    states = {segment.state for segment in segments}
    if not segments:
        state = "unverified" if complete else "partial"
    elif "changed" in states:
        state = "changed"
    elif len(states) > 1 or not complete:
        state = "partial"
    else:
        (only,) = states
        state = only if only in ("verified", "unsigned") else "partial"
    return Verification(state, segments)


def judged(segment: Segment, report: SourceReport) -> VerifiedSegment:
    """What `report` says of the recording that should be `segment`."""
    signature = report.signature
    state, findings = str(report.verdict), list(report.findings)
    identity = report.identity
    if identity is not None and (identity.segment_id, identity.camera_id) != (segment.id, segment.camera_id):
        state = str(Verdict.CHANGED)
        findings.insert(0, f"it is another recording: {identity.segment_id} of {identity.camera_id}")
    elif report.open:
        state = str(Verdict.CHANGED)
        findings.insert(0, "it was closed once, and says that it is still being recorded")
    signed = signature.state is not SignatureState.UNSIGNED
    return VerifiedSegment(
        segment.id,
        segment.start_ns,
        segment.end_ns,
        state,
        signature.signed_ns if signed else None,
        (signature.node or None) if signed else None,
        (signature.fingerprint or None) if signed else None,
        signature.recovered,
        detail=_detail(report, findings),
        previous=report.previous,
        chain_digest=report.chain_digest,
    )


def _detail(report: SourceReport, findings: Sequence[str]) -> str:
    counts = {state: many for state, many in report.count().items() if state not in ("unchanged", "unsigned")}
    parts = [f"{many} fragments {state}" for state, many in counts.items()]
    return "; ".join([*parts, *findings, *filter(None, [report.signature.detail]), *report.notes])
