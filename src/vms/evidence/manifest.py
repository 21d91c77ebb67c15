"""The signed manifest of an archive: which files it holds, with their SHA-256, and what they show.

``manifest.json`` is canonical JSON (RFC 8785 for the values used here: texts, whole numbers, lists, objects; keys in
order, no spaces); ``manifest.sig`` is the Ed25519 signature over its bytes as they are; ``manifest.pem`` the signer's
certificate and those above it. So ``openssl`` and ``sha256sum`` are enough to check an archive.

Belongs here: these three, both ways. Does not: archives as files (archive), making clips (vms.storage).
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from vms.common.clock import parse_rfc3339, rfc3339
from vms.evidence.certificates import UNREADABLE_CERTIFICATE
from vms.evidence.errors import NotEvidence
from vms.evidence.trust import Signature, SignatureState, Trust
from vms.format.hybrid import Signer

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
CERTIFICATES_NAME = "manifest.pem"
MANIFEST_NAMES = (MANIFEST_NAME, SIGNATURE_NAME, CERTIFICATES_NAME)
MAX_MANIFEST_BYTES = 64 << 20
_FORMAT = "vms-archive-1"
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file of an archive. name: with ``/``, relative to the manifest. sha256: hexadecimal.

    camera_id, start_ns, end_ns: what it shows; None for other files. exact: byte for byte as recorded, so that the
    file can be verified by itself; False for one that was made anew, with a time burnt in.
    """

    name: str
    size: int
    sha256: str
    camera_id: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds. node: who made it. details: what else is worth saying; values of JSON, no fractions."""

    created_ns: int
    node: str
    title: str
    files: tuple[ManifestFile, ...]
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """The three files: content, signature, certificates (PEM)."""

    document: bytes
    signature: bytes
    certificates: bytes

    def files(self) -> dict[str, bytes]:
        """By name."""
        return dict(zip(MANIFEST_NAMES, (self.document, self.signature, self.certificates), strict=True))


def sign_manifest(
    files: Iterable[ManifestFile],
    signer: Signer,
    created_ns: int,
    *,
    title: str = "",
    details: Mapping[str, Any] | None = None,
) -> SignedManifest:
    """The manifest of an archive of `files`. Raises what the signer raises, ValueError for a name that leads out."""
    rows = [_row(each) for each in files]
    while True:
        certificates = tuple(signer.certificates())
        document = _canonical(
            {
                "format": _FORMAT,
                "created": rfc3339(created_ns),
                "created_ns": created_ns,
                "node": signer.node,
                "title": title,
                "details": dict(details or {}),
                "files": rows,
            }
        )
        signature = signer.sign(document)
        if certificates == tuple(signer.certificates()):
            break  # else the key was rotated between the two
    return SignedManifest(document, signature, b"".join(map(_pem, certificates)))


def parse_manifest(document: bytes) -> Manifest:
    """Read ``manifest.json``. Raises NotEvidence for what `sign_manifest` does not write."""
    try:
        fields = json.loads(document)
        if fields["format"] != _FORMAT:
            raise NotEvidence(f"{MANIFEST_NAME} is of a format unknown here: {fields['format']!r}")
        files = tuple(_parse_file(row) for row in fields["files"])
        parsed = Manifest(
            int(fields["created_ns"]),
            str(fields["node"]),
            str(fields["title"]),
            files,
            dict(fields["details"]),
        )
        canonical = _canonical(fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotEvidence(f"{MANIFEST_NAME} is no manifest of an archive: {error}") from error
    if canonical != document:
        raise NotEvidence(f"{MANIFEST_NAME} is written in another way than a manifest is")
    names = [each.name for each in files]
    if len(set(names)) != len(names) or any(map(_leads_out, names)):
        raise NotEvidence(f"{MANIFEST_NAME} names a file twice, or one outside of the archive")
    return parsed


def judge_manifest(signed: SignedManifest, manifest: Manifest, trust: Trust) -> Signature:
    """What the manifest's signature is worth. Raises nothing."""
    try:
        chain = x509.load_pem_x509_certificates(signed.certificates)
        certificates = [each.public_bytes(Encoding.DER) for each in chain]
    except UNREADABLE_CERTIFICATE:
        return Signature(SignatureState.BAD, detail=f"{CERTIFICATES_NAME} holds no certificates")
    judged = trust.judge(signed.document, signed.signature, certificates, manifest.created_ns)
    if judged.node != manifest.node[:64]:
        return Signature(
            SignatureState.BAD, detail=f"signed by {judged.node}, and says it is by {manifest.node}"
        )
    return judged


def _row(file: ManifestFile) -> dict[str, Any]:
    if _leads_out(file.name) or file.name in MANIFEST_NAMES:
        raise ValueError(f"{file.name!r} is no name for a file of an archive")
    row: dict[str, Any] = {"name": file.name, "bytes": file.size, "sha256": file.sha256}
    if file.camera_id is not None:
        row |= {"camera_id": file.camera_id, "exact": file.exact}
    for key, at_ns in (("start", file.start_ns), ("end", file.end_ns)):
        if at_ns is not None:
            row[key] = rfc3339(at_ns)
    return row


def _parse_file(row: Mapping[str, Any]) -> ManifestFile:
    if not _SHA256.fullmatch(row["sha256"]):
        raise NotEvidence(f"{MANIFEST_NAME}: {row['sha256']!r} is no SHA-256")
    start_ns, end_ns = (parse_rfc3339(row[key]) if key in row else None for key in ("start", "end"))
    camera_id = row.get("camera_id")
    exact = row.get("exact", True) is True
    size = int(row["bytes"])
    return ManifestFile(str(row["name"]), size, row["sha256"], camera_id, start_ns, end_ns, exact)


def _leads_out(name: str) -> bool:
    parts = name.split("/")
    return not name or "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts)


def _canonical(fields: Mapping[str, Any]) -> bytes:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _pem(certificate: bytes) -> bytes:
    encoded = b64encode(certificate)
    lines: Sequence[bytes] = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    return b"-----BEGIN CERTIFICATE-----\n" + b"\n".join(lines) + b"\n-----END CERTIFICATE-----\n"
