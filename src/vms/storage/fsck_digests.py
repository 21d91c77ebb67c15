"""Judging the digests and signatures of a volume's recordings in the course of a check.

Belongs here: from what vms.evidence says to findings. Does not: the check (fsck), the cryptography (vms.evidence).
"""

from collections import OrderedDict
from collections.abc import Iterator
from uuid import UUID

from vms.evidence.report import FileReport, Verdict
from vms.evidence.trust import Trust
from vms.evidence.verify import verify_file
from vms.storage.body import Body
from vms.storage.findings import Kind
from vms.storage.segment import Segment

_REMEMBERED = 10_000  # recordings whose chain digest is known, so that a later one can be held against it
_KINDS = {
    Verdict.CHANGED: Kind.CHANGED,
    Verdict.UNTRUSTED: Kind.UNTRUSTED,
    Verdict.UNSIGNED: Kind.UNSIGNED,
    Verdict.UNREADABLE: Kind.UNREADABLE,
}


class DigestJudge:
    """Says what is wrong with a recording's digests. One for a whole volume, files in the order of time.

    A predecessor that is not there is no fault: retention deletes, and keeps footage of events and evidence longer.
    """

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._chains: OrderedDict[UUID, bytes] = OrderedDict()

    def __call__(self, row: Segment, body: Body, chain: bytes | None) -> Iterator[tuple[Kind, str]]:
        """chain: the digest that the catalog has. Raises what reading raises."""
        report = verify_file(row.path.name, body.read_at, body.size_bytes, self._trust)
        kind = _KINDS.get(report.verdict)
        if kind is Kind.UNSIGNED and chain is not None:
            yield Kind.CHANGED, "it was signed when its row was made, and is not any more"
        elif kind is not None:
            yield kind, _describe(report)
        elif chain is not None and chain not in {source.chain_digest for source in report.sources}:
            yield Kind.CHANGED, "it is signed, and not the recording that its row was made of"
        for source in report.sources:
            before = source.previous
            known = self._chains.get(before.segment_id) if before is not None else None
            if before is not None and known is not None and known != before.chain_digest:
                detail = f"it follows {before.segment_id}, which is another one now than when this was signed"
                yield Kind.CHAIN_BROKEN, detail
            self._remember(row.id, source.chain_digest)

    def _remember(self, segment_id: UUID, chain_digest: bytes) -> None:
        if chain_digest:
            self._chains[segment_id] = chain_digest
            if len(self._chains) > _REMEMBERED:
                self._chains.popitem(last=False)


def _describe(report: FileReport) -> str:
    said = [report.error, *report.findings]
    for source in report.sources:
        said += source.findings
        said += [
            f"{many} fragments {state}" for state, many in source.count().items() if state != "unchanged"
        ]
        said.append(source.signature.detail)
    return "; ".join(dict.fromkeys(text for text in said if text))
