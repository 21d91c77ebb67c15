"""What an export takes along of a recording, so that it can be verified without it.

Belongs here: reading it out of a recording. Does not: the box that it goes into (vms.format.mp4.evidence_box).
"""

from vms.format.hybrid.index import build_rows
from vms.format.hybrid.integrity import build_digests, build_signature, strip_flip
from vms.format.hybrid.types import ReadAt, SegmentFile
from vms.format.mp4.evidence_box import EvidenceSource


def evidence_source(read_at: ReadAt, segment: SegmentFile) -> EvidenceSource:
    """The source for `segment`, as `read_segment` gave it. One read.

    Of a recording that is still open, or was never signed, it says which fragments there are, and no more.
    """
    beginning = strip_flip(read_at(0, sum(segment.init)))
    rows = build_rows(segment.fragments, [track.id for track in segment.tracks])
    proof = segment.proof
    if proof is None:
        return EvidenceSource(beginning, rows)
    signature = build_signature(proof.signed, proof.certificates, proof.signature)
    return EvidenceSource(beginning, rows, build_digests(proof.digests), signature)
