"""The recording format: a fragmented MP4 while written, an ordinary MP4 once closed.

docs/architecture/recording-format.md describes it byte by byte.

Belongs here: writing, reading, indexing and repairing recording files, as bytes.
Does not: files and disks (vms.storage), plain MP4 (vms.format.mp4).
"""

from vms.format.hybrid.browser_init import hide_tracks
from vms.format.hybrid.evidence_source import evidence_source
from vms.format.hybrid.integrity import PreviousFile, Proof, Sealing, Signer, Statement, fragment_digest
from vms.format.hybrid.reader import read_segment
from vms.format.hybrid.recovery import plan_recovery
from vms.format.hybrid.samples import read_samples
from vms.format.hybrid.types import (
    Finish,
    Fragment,
    FragmentTrack,
    ReadAt,
    Recovery,
    RecoveryAction,
    SegmentFile,
    SegmentIdentity,
    WrittenFragment,
)
from vms.format.hybrid.writer import SegmentWriter
from vms.format.mp4.sample_table import SampleTable

__all__ = [
    "Finish",
    "Fragment",
    "FragmentTrack",
    "PreviousFile",
    "Proof",
    "ReadAt",
    "Recovery",
    "RecoveryAction",
    "SampleTable",
    "Sealing",
    "SegmentFile",
    "SegmentIdentity",
    "SegmentWriter",
    "Signer",
    "Statement",
    "WrittenFragment",
    "evidence_source",
    "fragment_digest",
    "hide_tracks",
    "plan_recovery",
    "read_samples",
    "read_segment",
]
