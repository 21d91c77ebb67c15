"""What makes an export evidence: who signs its manifest, and whether its clips still carry the proof of recordings.

Belongs here: asking vms.evidence. Does not: signatures and proofs themselves (vms.evidence).
All functions block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vms.evidence.errors import EvidenceKeysUnusable
from vms.evidence.keys import installation_signer
from vms.evidence.manifest import MANIFEST_NAME, ManifestFile, sign_manifest
from vms.evidence.report import Verdict
from vms.evidence.trust import Trust
from vms.evidence.verify import Watch, verify_file
from vms.format.hybrid import Signer
from vms.storage.body import Body
from vms.storage.render.progress import Progress
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How exports are signed and verified. signer: None where there are no keys. node: for people, where nobody signs."""

    signer: Signer | None = None
    trust: Trust = field(default_factory=Trust)
    node: str = ""


def installation_evidence(data_dir: Path, node: str) -> Evidence:
    """With the keys of the installation; without usable ones exports are made all the same, unsigned."""
    try:
        return Evidence(installation_signer(data_dir), Trust.of_data_dir(data_dir), node)
    except EvidenceKeysUnusable as error:
        log.error("an export will not be signed", reason=str(error))
        return Evidence(node=node)


def manifest_files(
    evidence: Evidence,
    files: Sequence[ManifestFile],
    created_ns: int,
    title: str,
    details: Mapping[str, Any],
) -> Mapping[str, bytes]:
    """The manifest of an archive and what signs it, by name. details: no fractions in it. Raises EvidenceKeysUnusable."""
    if evidence.signer is None:
        unsigned = sign_manifest(files, _Nobody(evidence.node), created_ns, title=title, details=details)
        return {MANIFEST_NAME: unsigned.document}
    return sign_manifest(files, evidence.signer, created_ns, title=title, details=details).files()


def verify_clip(name: str, clip: Body, evidence: Evidence, progress: Progress) -> bool | None:
    """Whether everything that a copied clip shows is signed and unchanged; None when it carries no signed proof.

    Raises Stopped, OSError, FormatError.
    """

    def read_at(offset: int, size: int) -> bytes:
        progress.check()
        return clip.read_at(offset, size)

    report = verify_file(name, read_at, clip.size_bytes, evidence.trust, Watch())
    if report.kind != "export" or report.verdict in {Verdict.UNSIGNED, Verdict.RECORDING}:
        return None
    return report.verdict is Verdict.VERIFIED


@dataclass(frozen=True, slots=True)
class _Nobody:
    """Signs nothing. Implements Signer."""

    node: str

    def certificates(self) -> Sequence[bytes]:
        return ()

    def sign(self, data: bytes) -> bytes:
        return b""
