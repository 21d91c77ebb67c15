"""Whose signatures count, and what a signature is worth.

Trust is in public keys: of an authority, for all nodes that it certified, or of a node.

Belongs here: judging certificates and signatures. Does not: what was signed (recording_check, clip_check).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from vms.evidence.certificates import (
    UNREADABLE_CERTIFICATE,
    common_name,
    fingerprint,
    is_authority,
    key_of,
    raw_key,
    valid_at,
)
from vms.evidence.errors import NoPublicKey
from vms.evidence.keys import trusted_authorities

_BIT_STRING_OF_64_BYTES = b"\x03\x41\0"


class SignatureState(StrEnum):
    TRUSTED = "trusted"  # right, and by a key that is trusted, or that a trusted one certified
    UNTRUSTED = "untrusted"  # right, by a key of which nobody said that it may be trusted
    BAD = "bad"  # not by the key that it names, over what is stated
    UNCERTIFIED = "uncertified"  # right, but its certificates do not certify its key
    EXPIRED = "expired"  # right, but signed outside of its certificates' validity
    UNSIGNED = "unsigned"  # there is none


@dataclass(frozen=True, slots=True)
class Signature:
    """What a signature is worth. node: whom the certificate names. fingerprint: of the signing key.

    authority: fingerprint of the last key above it in its certificates. detail: for people.
    """

    state: SignatureState
    node: str = ""
    fingerprint: str = ""
    authority: str = ""
    signed_ns: int | None = None
    recovered: bool = False
    detail: str = ""


UNSIGNED = Signature(SignatureState.UNSIGNED, detail="it carries no signature")


@dataclass(frozen=True, slots=True)
class Trust:
    """keys: public keys that are trusted, 32 bytes each."""

    keys: frozenset[bytes] = frozenset()

    @classmethod
    def of_files(cls, paths: Iterable[Path]) -> Self:
        """The keys and certificates (PEM) in files. Raises NoPublicKey."""
        keys: set[bytes] = set()
        for path in paths:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise NoPublicKey(f"{path}: {error.strerror}; name a file with a public key (PEM)") from error
            keys |= _keys_in(data, str(path))
        return cls(frozenset(keys))

    @classmethod
    def of_data_dir(cls, data_dir: Path) -> Self:
        """Every authority that the installation in `data_dir` ever had. Raises EvidenceKeysUnusable."""
        keys = (key_of(each) for each in trusted_authorities(data_dir))
        return cls(frozenset(key for key in keys if key is not None))

    def judge(self, data: bytes, signature: bytes, certificates: Iterable[bytes], at_ns: int) -> Signature:
        """What `signature` over `data`, said to be made at `at_ns`, is worth. Raises nothing."""
        unreadable = Signature(SignatureState.BAD, detail="its certificates cannot be read")
        try:
            chain = [_load(each) for each in certificates]
            key = key_of(chain[0]) if chain else None
            return unreadable if key is None else self._judge(data, signature, chain, key, at_ns)
        except UNREADABLE_CERTIFICATE:
            return unreadable

    def _judge(
        self, data: bytes, signature: bytes, chain: list[x509.Certificate], key: bytes, at_ns: int
    ) -> Signature:
        state, detail = self._state(chain, key, at_ns)
        if not _verifies(key, signature, data):
            state, detail = SignatureState.BAD, "the signature is not by this key over what is stated"
        last = key_of(chain[-1])
        return Signature(
            state,
            common_name(chain[0]),
            fingerprint(key),
            fingerprint(last) if last is not None else "",
            at_ns,
            detail=detail,
        )

    def _state(self, chain: list[x509.Certificate], key: bytes, at_ns: int) -> tuple[SignatureState, str]:
        broken = _broken_link(chain)
        if broken is not None:
            return SignatureState.UNCERTIFIED, broken
        path = self._trusted_path(chain, key)
        late = next((each for each in (path or chain[:1]) if not valid_at(each, at_ns)), None)
        if late is not None:
            return (
                SignatureState.EXPIRED,
                f"signed outside of the validity of the certificate of {common_name(late)}",
            )
        if path is None:
            return SignatureState.UNTRUSTED, (
                "the signature is right, but nobody said that this key may be trusted: compare its fingerprint with "
                "that of the system it should come from (vms keys show), and give that system's key with --key"
            )
        return SignatureState.TRUSTED, ""

    def _trusted_path(self, chain: list[x509.Certificate], key: bytes) -> list[x509.Certificate] | None:
        """The certificates from the signer's up to what a trusted key certified; None: it leads to none."""
        if key in self.keys:
            return chain[:1]
        for index, certificate in enumerate(chain):
            if any(_certified_by(certificate, trusted) for trusted in self.keys):
                return chain[: index + 1]
        return None


def _load(der: bytes) -> x509.Certificate:
    """Raises ValueError, also where the signature, which nothing signs, is written in another way than usual."""
    certificate = x509.load_der_x509_certificate(der)
    if not der.endswith(_BIT_STRING_OF_64_BYTES + certificate.signature):
        raise ValueError("its signature is not of Ed25519")
    return certificate


def _broken_link(chain: list[x509.Certificate]) -> str | None:
    """What is wrong with a row of certificates in which each should be certified by the next, the last by itself."""
    if len(chain) == 1:
        return None
    for lower, upper in pairwise([*chain, chain[-1]]):
        try:
            lower.verify_directly_issued_by(upper)
        except (InvalidSignature, TypeError, ValueError):
            return f"the certificate of {common_name(lower)} is not by {common_name(upper)}"
        if not is_authority(upper):
            return f"{common_name(upper)} may certify nobody"
    return None


def _certified_by(certificate: x509.Certificate, key: bytes) -> bool:
    return _verifies(key, certificate.signature, certificate.tbs_certificate_bytes)


def _verifies(key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _keys_in(data: bytes, name: str) -> set[bytes]:
    found: set[bytes] = set()
    if b"BEGIN CERTIFICATE" in data:
        try:
            # Of several the first: the others are those above it, which need not be trusted
            key = key_of(x509.load_pem_x509_certificates(data)[0])
        except ValueError as error:
            raise NoPublicKey(f"{name}: its certificate cannot be read: {error}") from error
        if key is not None:
            found.add(key)
    elif b"BEGIN PUBLIC KEY" in data:
        try:
            public = load_pem_public_key(data)
        except ValueError as error:
            raise NoPublicKey(f"{name}: its public key cannot be read: {error}") from error
        if isinstance(public, Ed25519PublicKey):
            found.add(raw_key(public))
    if not found:
        raise NoPublicKey(
            f"{name} holds no Ed25519 public key; give a PEM public key or certificate, as `vms keys export` writes it"
        )
    return found
