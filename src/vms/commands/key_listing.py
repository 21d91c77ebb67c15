"""What ``vms keys`` does: show the keys that sign recordings, give the public ones, replace them.

Belongs here: words. Does not: the options (keys), the keys themselves (vms.evidence.keys).
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from rich.markup import escape

from vms.config import load_config
from vms.evidence.certificates import common_name, fingerprint, key_of, pem
from vms.evidence.errors import EvidenceKeysUnusable
from vms.evidence.keys import (
    node_certificates,
    past_certificates,
    read_secrets,
    rotate_ca,
    rotate_node,
    trusted_authorities,
)


def show_keys(data_dir: Path) -> None:
    """Print authorities and node keys. Raises EvidenceKeysUnusable."""
    authorities, node = _authorities(data_dir), node_certificates(data_dir)
    out = Console(highlight=False, soft_wrap=True)
    for index, certificate in enumerate(authorities):
        _print(out, "authority" if index == 0 else "former authority", certificate)
    if node:
        _print(out, "node", node[0])
    for certificate in past_certificates(data_dir):
        _print(out, "former node key", certificate)


def export_key(data_dir: Path, output: Path | None, *, node: bool, public_key: bool) -> str:
    """The certificate, or bare public key, as text; empty when it was written to `output`.

    Raises EvidenceKeysUnusable.
    """
    authorities = _authorities(data_dir)
    certificate = node_certificates(data_dir)[0] if node else authorities[0]
    text = (
        certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        if public_key
        else pem([certificate])
    )
    if output is None:
        return text.decode()
    try:
        output.write_bytes(text)
    except OSError as error:
        raise EvidenceKeysUnusable(f"{output} cannot be written: {error.strerror}") from error
    return ""


def rotate_keys(data_dir: Path, *, ca: bool) -> None:
    """Replace the node's key, and with `ca` the authority. Raises EvidenceKeysUnusable."""
    _authorities(data_dir)
    secrets = read_secrets(data_dir)
    if ca:
        rotate_ca(data_dir, secrets)
    else:
        rotate_node(data_dir, secrets)


def data_directory(config: Path | None, data_dir: Path | None) -> Path:
    """Raises ConfigError."""
    return load_config(config, data_dir).data_dir


def _authorities(data_dir: Path) -> list[x509.Certificate]:
    found = trusted_authorities(data_dir)
    if not found:
        raise EvidenceKeysUnusable(
            f"there are no keys in {data_dir / 'keys'}; they are made when the system first runs: vms serve"
        )
    return found


def _print(out: Console, what: str, certificate: x509.Certificate) -> None:
    key = key_of(certificate)
    assert key is not None, "made by us"
    validity = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
    out.print(f"[bold]{what}[/]  {escape(common_name(certificate))}  {validity}")
    out.print(f"  {fingerprint(key)}")
