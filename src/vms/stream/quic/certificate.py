"""The certificate that browsers are shown: one that we make ourselves, which they are told the hash of.

A page may name certificates by their SHA-256 hash (W3C WebTransport §serverCertificateHashes) when their key is of
ECDSA P-256 and they are valid for 14 days at most. So a new one is made in time, and told before it is shown.

Belongs here: making and changing them. Does not: who is told the hashes (vms.app), TLS (aioquic).
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from vms.common.clock import NS
from vms.common.errors import Unavailable

VALID = timedelta(days=13)
"""The limit is 14 days; clocks differ."""
_BACKDATED = timedelta(hours=12)
SHOWN_NS = 9 * 86_400 * NS
"""After so long the next one is shown …"""
TOLD_AHEAD_NS = 600 * NS
"""… and so long before that it is told: a page connects within a minute of being told."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """chain: after the certificate itself. `repr` shows no key."""

    certificate: x509.Certificate
    key: object = field(repr=False)
    chain: Sequence[x509.Certificate] = ()

    @property
    def hash(self) -> str:
        """SHA-256 of the certificate's DER, in base64."""
        return b64encode(self.certificate.fingerprint(hashes.SHA256())).decode()


class OwnCertificates:
    """Those that we make: the one that is shown, and the next one when its time comes near.

    `advance` moves on; call it now and then. Nothing is kept on a disk: who starts anew shows a new one.
    """

    def __init__(self, now_ns: int) -> None:
        self.shown = make_certificate(now_ns)
        self._since_ns = now_ns
        self._next: Certificate | None = None

    @property
    def hashes(self) -> Sequence[str]:
        """What pages are to be told: of the certificate that is shown, and of the next."""
        return [each.hash for each in (self.shown, self._next) if each is not None]

    def advance(self, now_ns: int) -> bool:
        """True when something has changed. now_ns: wall-clock time (Unix)."""
        age_ns = now_ns - self._since_ns
        if age_ns < 0 or (self._next is not None and age_ns >= SHOWN_NS):
            # A clock that was set back makes what is shown not valid yet
            self.shown = self._next if self._next is not None and age_ns >= 0 else make_certificate(now_ns)
            self._next, self._since_ns = None, now_ns
            return True
        if self._next is None and age_ns >= SHOWN_NS - TOLD_AHEAD_NS:
            self._next = make_certificate(now_ns)
            return True
        return False


def make_certificate(now_ns: int) -> Certificate:
    """A self-made certificate of ECDSA P-256; browsers find it by its hash, so its name says nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vms")])
    begin = datetime.fromtimestamp(now_ns // NS, UTC) - _BACKDATED
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certificate(built, key)


def load_certificate(certificate: Path, key: Path) -> Certificate:
    """The installation's own, from PEM files. Raises Unavailable."""
    try:
        first, *chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        private = load_pem_private_key(key.read_bytes(), password=None)
        if private.public_key() != first.public_key():
            raise ValueError("the key belongs to another certificate")
        return Certificate(first, private, chain)
    except (OSError, ValueError, TypeError) as error:  # TypeError: the key has a passphrase
        reason = getattr(error, "strerror", None) or error
        raise Unavailable(
            f"the certificate {certificate} and the key {key} cannot be used for WebTransport ({reason}); "
            "http.tls needs a PEM certificate chain and the PEM key that belongs to it, without a passphrase"
        ) from error
