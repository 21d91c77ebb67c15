"""The keys that sign recordings: the system's own certification authority, and the node's key that it certified.

Below ``DATA_DIR/keys``:

    evidence-ca.pem       the authority: private key (PKCS#8, encrypted), then its certificates, newest first
    evidence-node.pem     the node: private key (likewise), then its certificate and those above it
    evidence-trusted.pem  certificates of every authority that this system ever had, newest first
    evidence-past.pem     certificates of nodes' keys that were replaced

The private keys are encrypted under a passphrase derived from the installation's secret (``keys/secrets.key``): a
copy of these files alone signs nothing. Each file is written whole and synced before it is given its name.

Belongs here: making, keeping, reading and replacing these keys. Does not: whom to trust (trust), what is signed
(vms.format.hybrid.integrity).
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from vms.common.secrets import KEY_NAME, KeyMismatch, Secrets, load_key
from vms.evidence.certificates import (
    certify_authority,
    certify_node,
    common_name,
    fingerprint,
    key_of,
    pem,
    raw_key,
)
from vms.evidence.errors import EvidenceKeysUnusable

DIRECTORY = "keys"
CA_NAME = "evidence-ca.pem"
NODE_NAME = "evidence-node.pem"
TRUSTED_NAME = "evidence-trusted.pem"
PAST_NAME = "evidence-past.pem"
_LOCK_NAME = ".evidence.lock"
_PURPOSE = "evidence keys"
_MAX_AUTHORITIES = 8
"""Certificates of authorities that go with every signature; when it would be more, the newest goes alone."""
_RENEW_BEFORE = timedelta(days=365)
_SOONEST = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows less was never set: machines without a battery begin in 1970, and know better a minute later."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key and its certificates, its own first; `repr` shows nothing of the key."""

    key: Ed25519PrivateKey
    certificates: tuple[x509.Certificate, ...]

    def __repr__(self) -> str:
        return f"KeyFile({common_name(self.certificates[0])})"


class NodeSigner:
    """Signs for the node, with the key that is in its file now. Implements vms.format.hybrid.Signer.

    Whether the file was replaced is looked at before each use: one stat.
    """

    def __init__(self, path: Path, secrets: Secrets) -> None:
        """Raises EvidenceKeysUnusable."""
        self._path = path
        self._secrets = secrets
        self._lock = Lock()
        self._seen: tuple[int, int, int] | None = None
        self._file: KeyFile
        self._der: tuple[bytes, ...]
        self._current()

    @property
    def node(self) -> str:
        return common_name(self._current()[0].certificates[0])

    @property
    def fingerprint(self) -> str:
        """Of the public key."""
        return fingerprint(raw_key(self._current()[0].key.public_key()))

    def certificates(self) -> Sequence[bytes]:
        """Raises EvidenceKeysUnusable."""
        return self._current()[1]

    def sign(self, data: bytes) -> bytes:
        """Raises EvidenceKeysUnusable."""
        return self._current()[0].key.sign(data)

    def _current(self) -> tuple[KeyFile, tuple[bytes, ...]]:
        with self._lock:
            try:
                stat = self._path.stat()
                seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            except OSError as error:
                if self._seen is None:
                    raise _unreadable(self._path, error) from error
                seen = self._seen  # what was read before still signs
            if seen != self._seen:
                file = _read_key_file(self._path, self._secrets)
                self._file, self._seen = file, seen
                self._der = tuple(each.public_bytes(Encoding.DER) for each in file.certificates)
            return self._file, self._der


def ensure_keys(data_dir: Path, node: str, secrets: Secrets) -> None:
    """Make what is missing of the authority and of the node's key; what is there stays as it is.

    A node's key whose certificate ends within a year is replaced, as is one that is not valid yet: it was made while the
    clock was ahead. Called at every start, before anything is
    recorded. Raises EvidenceKeysUnusable.
    """
    directory = data_dir / DIRECTORY
    with _locked(directory):
        if not (directory / CA_NAME).exists():
            if (directory / NODE_NAME).exists():
                raise EvidenceKeysUnusable(
                    f"{directory / CA_NAME} is missing, though {NODE_NAME} is there; restore it from a backup, or "
                    f"move {NODE_NAME} away to begin with new keys"
                )
            _make_authority(directory, secrets)
        if (directory / NODE_NAME).exists():
            certificate = _read_key_file(directory / NODE_NAME, secrets).certificates[0]
            ahead = _SOONEST <= _clock() < certificate.not_valid_before_utc
            if not ahead and certificate.not_valid_after_utc - _now() > _RENEW_BEFORE:
                return
        _make_node(directory, node, secrets)


def open_signer(data_dir: Path, secrets: Secrets) -> NodeSigner:
    """Who signs recordings on this node. Raises EvidenceKeysUnusable when there are no keys, or unusable ones."""
    return NodeSigner(data_dir / DIRECTORY / NODE_NAME, secrets)


def installation_signer(data_dir: Path) -> NodeSigner:
    """As `open_signer`, with the secret of the installation. Raises EvidenceKeysUnusable."""
    return open_signer(data_dir, read_secrets(data_dir))


def read_secrets(data_dir: Path) -> Secrets:
    """The installation's secret. Raises EvidenceKeysUnusable."""
    path = data_dir / KEY_NAME
    if not path.exists():
        raise EvidenceKeysUnusable(f"there is no {path}; it is made when the system first runs: vms serve")
    try:
        return load_key(path)
    except KeyMismatch as error:
        raise EvidenceKeysUnusable(str(error)) from error


def rotate_node(data_dir: Path, secrets: Secrets, node: str | None = None) -> None:
    """Give the node a new key, certified by the present authority. Signers take it with their next signature.

    node: None keeps the name. Raises EvidenceKeysUnusable.
    """
    directory = data_dir / DIRECTORY
    with _locked(directory):
        present = _read_key_file(directory / NODE_NAME, secrets)
        _make_node(directory, node or common_name(present.certificates[0]), secrets)


def rotate_ca(data_dir: Path, secrets: Secrets) -> None:
    """Make a new authority, certified by the old one, and a new key of the node, certified by the new one.

    Old authorities stay trusted for what they signed. Raises EvidenceKeysUnusable.
    """
    directory = data_dir / DIRECTORY
    with _locked(directory):
        old = _read_key_file(directory / CA_NAME, secrets)
        node = _read_key_file(directory / NODE_NAME, secrets)
        key, now = Ed25519PrivateKey.generate(), _now()
        own = certify_authority(key.public_key(), key, None, now)
        crossed = certify_authority(key.public_key(), old.key, old.certificates[0], now)
        follows = len(old.certificates) < _MAX_AUTHORITIES
        above = (crossed, *old.certificates) if follows else (own,)
        # In this order: whatever is signed by is trusted already, wherever a crash stops this
        _write(directory / TRUSTED_NAME, pem([own, *_read_certificates(directory / TRUSTED_NAME)]), 0o644)
        _write_key_file(directory / CA_NAME, KeyFile(key, above), secrets)
        _make_node(directory, common_name(node.certificates[0]), secrets)


def trusted_authorities(data_dir: Path) -> list[x509.Certificate]:
    """Certificates of the authorities of the installation, newest first; none where there are no keys.

    Raises EvidenceKeysUnusable when they cannot be read.
    """
    return _read_certificates(data_dir / DIRECTORY / TRUSTED_NAME)


def node_certificates(data_dir: Path) -> list[x509.Certificate]:
    """The node's certificate and those above it; none where there are no keys. Needs no secret.

    Raises EvidenceKeysUnusable when they cannot be read.
    """
    return _read_certificates(data_dir / DIRECTORY / NODE_NAME)


def past_certificates(data_dir: Path) -> list[x509.Certificate]:
    """Certificates of node keys that were replaced. Raises EvidenceKeysUnusable when they cannot be read."""
    return _read_certificates(data_dir / DIRECTORY / PAST_NAME)


def _make_authority(directory: Path, secrets: Secrets) -> None:
    key = Ed25519PrivateKey.generate()
    own = certify_authority(key.public_key(), key, None, _now())
    known = _read_certificates(directory / TRUSTED_NAME)
    _write(directory / TRUSTED_NAME, pem([own, *known]), 0o644)
    _write_key_file(directory / CA_NAME, KeyFile(key, (own,)), secrets)


def _make_node(directory: Path, node: str, secrets: Secrets) -> None:
    authority = _read_key_file(directory / CA_NAME, secrets)
    replaced = _read_certificates(directory / NODE_NAME)[:1]
    if replaced:
        past = _read_certificates(directory / PAST_NAME)
        _write(directory / PAST_NAME, pem([*replaced, *past]), 0o644)
    key = Ed25519PrivateKey.generate()
    issued = certify_node(key.public_key(), node, authority.key, authority.certificates[0], _now())
    _write_key_file(directory / NODE_NAME, KeyFile(key, (issued, *authority.certificates)), secrets)


def _read_key_file(path: Path, secrets: Secrets) -> KeyFile:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        key = load_pem_private_key(data, _passphrase(secrets))
        certificates = tuple(x509.load_pem_x509_certificates(data))
    except (ValueError, TypeError):
        raise EvidenceKeysUnusable(
            f"{path} is damaged, or was encrypted with another installation's secret; restore it and "
            f"{path.parent / KEY_NAME.name} from the same backup"
        ) from None
    if not isinstance(key, Ed25519PrivateKey) or key_of(certificates[0]) != raw_key(key.public_key()):
        raise EvidenceKeysUnusable(
            f"{path}: its certificate is not of its key; restore the file from a backup"
        )
    return KeyFile(key, certificates)


def _read_certificates(path: Path) -> list[x509.Certificate]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        return list(x509.load_pem_x509_certificates(data))
    except ValueError:
        raise EvidenceKeysUnusable(f"{path} holds no certificates; restore the file from a backup") from None


def _write_key_file(path: Path, file: KeyFile, secrets: Secrets) -> None:
    private = file.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(_passphrase(secrets))
    )
    _write(path, private + pem(file.certificates), 0o600)


def _write(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_name(f"{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise EvidenceKeysUnusable(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time changes the keys."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EvidenceKeysUnusable(f"{directory} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _passphrase(secrets: Secrets) -> bytes:
    return secrets.derive(_PURPOSE).hex().encode()


def _unreadable(path: Path, error: OSError) -> EvidenceKeysUnusable:
    return EvidenceKeysUnusable(
        f"{path} cannot be read: {error.strerror}; keys are made when the system first runs (vms serve), else "
        "restore them from a backup"
    )


def _now() -> datetime:
    """What certificates are dated with."""
    return max(_clock(), _SOONEST)


def _clock() -> datetime:
    return datetime.now(UTC)
