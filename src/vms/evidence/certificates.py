"""X.509 certificates for Ed25519 keys (RFC 5280, RFC 8410): making them, and what is said of them.

A certification authority certifies the nodes of its system. One that replaces another is certified by it, so that
who trusts the old one can follow.

Belongs here: single certificates and keys. Does not: files (keys), whom to trust (trust).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from vms.common.clock import NS

CA_DAYS = 40 * 365
NODE_DAYS = 10 * 365
_BACKDATED = timedelta(days=1)
"""Clocks that are set right soon after the first start must not make signatures older than their key."""
UNREADABLE_CERTIFICATE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for certificates that were damaged, also long after they were loaded."""
_COMMON_NAME_BYTES = 64
_ORGANIZATION = "VMS Enterprise"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def raw_key(key: Ed25519PublicKey) -> bytes:
    """The 32 bytes of a public key (RFC 8032)."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(raw: bytes) -> str:
    """How people tell keys apart: SHA-256 of the public key in DER (SubjectPublicKeyInfo), in hexadecimal."""
    key = Ed25519PublicKey.from_public_bytes(raw)
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def key_of(certificate: x509.Certificate) -> bytes | None:
    """The 32 bytes of the certified key; None when it is not of Ed25519."""
    try:
        key = certificate.public_key()
    except UNREADABLE_CERTIFICATE:
        return None
    return raw_key(key) if isinstance(key, Ed25519PublicKey) else None


def common_name(certificate: x509.Certificate) -> str:
    """Whose certificate it is."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def valid_at(certificate: x509.Certificate, at_ns: int) -> bool:
    """Whether `at_ns` lies in the certificate's validity."""
    return _ns(certificate.not_valid_before_utc) <= at_ns <= _ns(certificate.not_valid_after_utc)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may certify others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Certificates as text, one after the other."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def certify_authority(
    key: Ed25519PublicKey,
    issuer_key: Ed25519PrivateKey,
    issuer: x509.Certificate | None,
    now: datetime,
) -> x509.Certificate:
    """A certificate of the authority `key`: its own (issuer None, `issuer_key` its own), or the one of the authority
    before it."""
    name = _name(f"VMS evidence CA {fingerprint(raw_key(key))[:16]}")
    usage = _usage(certifies=True)
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    builder = _builder(key, name, issuer.subject if issuer else name, now, CA_DAYS)
    builder = builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)
    return _sign(builder, issuer_key)


def certify_node(
    key: Ed25519PublicKey, node: str, issuer_key: Ed25519PrivateKey, issuer: x509.Certificate, now: datetime
) -> x509.Certificate:
    """A certificate by which `issuer` says that `key` signs for `node`."""
    builder = _builder(key, _name(_shortened(node)), issuer.subject, now, NODE_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return _sign(builder.add_extension(_usage(certifies=False), critical=True), issuer_key)


def _builder(
    key: Ed25519PublicKey, subject: x509.Name, issuer: x509.Name, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, key: Ed25519PrivateKey) -> x509.Certificate:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return builder.add_extension(identifier, critical=False).sign(key, algorithm=None)


def _shortened(node: str) -> str:
    """As much of a node's name as a common name holds; at least a letter."""
    return node.encode()[:_COMMON_NAME_BYTES].decode(errors="ignore") or "node"


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(*, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certifies,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1) * NS
