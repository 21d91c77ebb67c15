"""The system's authority, the node's key, and what becomes of signatures when they are replaced."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.evidence.evidence_material import Installation, install, now_valid_ns, record_signed
from tests.format.format_material import read_at

from vms.common.secrets import Secrets
from vms.evidence import keys
from vms.evidence.certificates import fingerprint, key_of
from vms.evidence.errors import EvidenceKeysUnusable, NoPublicKey
from vms.evidence.keys import (
    CA_NAME,
    NODE_NAME,
    PAST_NAME,
    TRUSTED_NAME,
    ensure_keys,
    open_signer,
    rotate_ca,
    rotate_node,
    trusted_authorities,
)
from vms.evidence.recording_check import check_recording
from vms.evidence.report import Verdict
from vms.evidence.trust import SignatureState, Trust


@pytest.fixture
def home(tmp_path: Path) -> Installation:
    return install(tmp_path / "data")


def _files(home: Installation) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home.data_dir / "keys").iterdir()}


def _judge(home: Installation, trust: Trust, at_ns: int | None = None) -> SignatureState:
    signer = home.signer
    certificates = signer.certificates()
    return trust.judge(b"data", signer.sign(b"data"), certificates, at_ns or now_valid_ns()).state


def test_a_restart_makes_no_new_keys(home: Installation) -> None:
    before = _files(home)
    ensure_keys(home.data_dir, "node-a", home.secrets)
    ensure_keys(home.data_dir, "another name", home.secrets)
    assert _files(home) == before


def test_private_keys_lie_encrypted_and_open_to_nobody_else(home: Installation) -> None:
    for name in (CA_NAME, NODE_NAME):
        path = home.data_dir / "keys" / name
        assert path.stat().st_mode & 0o077 == 0
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
        assert b"BEGIN PRIVATE KEY" not in path.read_bytes()
    with pytest.raises(EvidenceKeysUnusable, match="another installation"):
        open_signer(home.data_dir, Secrets(bytes(32)))


def test_a_signature_counts_for_those_who_trust_authority_or_node(home: Installation) -> None:
    assert _judge(home, home.trust) is SignatureState.TRUSTED
    leaf = home.data_dir / "leaf.pem"
    pem = (home.data_dir / "keys" / NODE_NAME).read_bytes()
    leaf.write_bytes(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    assert _judge(home, Trust.of_files([leaf])) is SignatureState.TRUSTED
    assert _judge(home, Trust()) is SignatureState.UNTRUSTED


def test_a_signature_outside_of_the_validity_of_its_certificate_is_expired(home: Installation) -> None:
    for years in (-1, 11):
        at_ns = now_valid_ns() + years * 366 * 86400 * 1_000_000_000
        assert _judge(home, home.trust, at_ns) is SignatureState.EXPIRED


def test_a_certificate_that_the_authority_never_made_certifies_nothing(
    home: Installation, tmp_path: Path
) -> None:
    stranger = install(tmp_path / "stranger")
    mixed = [stranger.signer.certificates()[0], *home.signer.certificates()[1:]]
    judged = home.trust.judge(b"data", stranger.signer.sign(b"data"), mixed, now_valid_ns())
    assert judged.state is SignatureState.UNCERTIFIED


def test_a_node_key_certifies_no_other(home: Installation, tmp_path: Path) -> None:
    """Or everyone with a node's key could be every node."""
    from datetime import UTC, datetime

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding

    from vms.evidence.certificates import certify_node
    from vms.evidence.keys import _read_key_file

    node = _read_key_file(home.data_dir / "keys" / NODE_NAME, home.secrets)
    key = Ed25519PrivateKey.generate()
    forged = certify_node(key.public_key(), "other", node.key, node.certificates[0], datetime.now(UTC))
    chain = [forged.public_bytes(Encoding.DER), *home.signer.certificates()]
    assert home.trust.judge(b"x", key.sign(b"x"), chain, now_valid_ns()).state is SignatureState.UNCERTIFIED


def test_a_rotated_node_key_is_taken_with_the_next_signature(home: Installation) -> None:
    signer = home.signer
    before = record_signed(signer)
    old = signer.fingerprint
    rotate_node(home.data_dir, home.secrets)
    after = record_signed(signer, number=2)
    assert signer.fingerprint != old
    assert signer.node == "node-a"
    for each in (before, after):
        report = check_recording(read_at(each.data), len(each.data), home.trust)
        assert report.verdict is Verdict.VERIFIED
    assert (home.data_dir / "keys" / PAST_NAME).read_bytes().count(b"BEGIN CERTIFICATE") == 1


def test_a_rotated_authority_is_certified_by_the_old_one(home: Installation, tmp_path: Path) -> None:
    first = home.trust
    before = record_signed(home.signer)
    for _ in range(3):
        rotate_ca(home.data_dir, home.secrets)
    after = record_signed(home.signer, number=2)
    assert len(trusted_authorities(home.data_dir)) == 4
    newest = key_of(trusted_authorities(home.data_dir)[0])
    assert newest is not None
    for trust in (first, home.trust):
        for each in (before, after):
            report = check_recording(read_at(each.data), len(each.data), trust)
            assert report.verdict is Verdict.VERIFIED
    only_newest = Trust(frozenset([newest]))
    assert check_recording(read_at(after.data), len(after.data), only_newest).verdict is Verdict.VERIFIED
    assert check_recording(read_at(before.data), len(before.data), only_newest).verdict is Verdict.UNTRUSTED


def test_rotation_that_is_interrupted_leaves_keys_that_work(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vms.evidence import keys

    real = keys._write
    for stop_after in range(4):
        left = [stop_after]

        def write(path: Path, data: bytes, mode: int, left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            real(path, data, mode)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(keys, "_write", write)
            rotate_ca(home.data_dir, home.secrets)
        ensure_keys(home.data_dir, "node-a", home.secrets)
        assert _judge(home, home.trust) is SignatureState.TRUSTED


def test_a_lost_authority_is_not_replaced_in_silence(home: Installation) -> None:
    (home.data_dir / "keys" / CA_NAME).unlink()
    with pytest.raises(EvidenceKeysUnusable, match="restore it from a backup"):
        ensure_keys(home.data_dir, "node-a", home.secrets)


def test_errors_say_what_to_do(tmp_path: Path, home: Installation) -> None:
    with pytest.raises(EvidenceKeysUnusable, match="vms serve"):
        open_signer(tmp_path / "nothing", home.secrets)
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("hello")
    with pytest.raises(NoPublicKey, match="vms keys export"):
        Trust.of_files([nothing])
    with pytest.raises(NoPublicKey, match="No such file"):
        Trust.of_files([tmp_path / "none.pem"])


def test_no_repr_shows_a_key(home: Installation) -> None:
    from vms.evidence.keys import _read_key_file

    assert repr(_read_key_file(home.data_dir / "keys" / NODE_NAME, home.secrets)) == "KeyFile(node-a)"


@pytest.mark.needs("openssl")
def test_openssl_verifies_certificates_and_signature(home: Installation, tmp_path: Path) -> None:
    """As docs/architecture/evidence.md tells an expert to do it."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from vms.format.hybrid import read_segment

    rotate_ca(home.data_dir, home.secrets)
    signed = record_signed(home.signer)
    proof = read_segment(read_at(signed.data), len(signed.data)).proof
    assert proof is not None
    chain = [x509.load_der_x509_certificate(each) for each in proof.certificates]
    (tmp_path / "node.pem").write_bytes(chain[0].public_bytes(Encoding.PEM))
    (tmp_path / "above.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in chain[1:]))
    (tmp_path / "statement").write_bytes(proof.signed)
    (tmp_path / "signature").write_bytes(proof.signature)
    keys = home.data_dir / "keys"

    def openssl(*arguments: str | Path) -> str:
        return subprocess.run(
            ["openssl", *map(str, arguments)], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    assert (
        openssl("verify", "-CAfile", keys / TRUSTED_NAME, "-untrusted", "above.pem", "node.pem")
        == "node.pem: OK\n"
    )
    (tmp_path / "node.pub").write_text(openssl("x509", "-in", "node.pem", "-noout", "-pubkey"))
    verify = ["pkeyutl", "-verify", "-pubin", "-inkey", "node.pub", "-rawin", "-in", "statement"]
    assert "Successfully" in openssl(*verify, "-sigfile", "signature")
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", "node.pub", "-outform", "DER"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    ).stdout
    import hashlib

    key = key_of(chain[0])
    assert key is not None
    assert hashlib.sha256(der).hexdigest() == fingerprint(key) == home.signer.fingerprint
    (tmp_path / "statement").write_bytes(proof.signed[:-1] + b"x")
    with pytest.raises(subprocess.CalledProcessError):
        openssl(*verify, "-sigfile", "signature")


# -- clocks, names, processes ------------------------------------------------------------------------------


@pytest.mark.parametrize("node", ["é" * 64, "名" * 64, "😀" * 70, "a" * 300, ""])
def test_keys_are_made_for_a_node_of_any_name(tmp_path: Path, node: str) -> None:
    home = install(tmp_path, node)
    assert node.startswith(home.signer.node) or not node
    signed = record_signed(home.signer)
    report = check_recording(read_at(signed.data), len(signed.data), home.trust)
    assert report.verdict is Verdict.VERIFIED, report


@pytest.mark.parametrize("years", [-30, 30])
def test_keys_that_a_wrong_clock_dated_are_replaced_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    wrong = datetime.now(UTC) + timedelta(days=365 * years)
    with monkeypatch.context() as clock:
        clock.setattr(keys, "_clock", lambda: wrong)
        home = install(tmp_path)
    ensure_keys(tmp_path, "node-a", home.secrets)
    assert _judge(home, home.trust) is SignatureState.TRUSTED


def test_a_start_with_a_clock_that_was_never_set_replaces_no_key(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _files(home)
    monkeypatch.setattr(keys, "_clock", lambda: datetime(1970, 1, 1, tzinfo=UTC))
    ensure_keys(home.data_dir, "node-a", home.secrets)
    assert _files(home) == before


def test_processes_that_rotate_at_once_leave_one_whole_row_of_keys(tmp_path: Path) -> None:
    home = install(tmp_path)
    command = [sys.executable, "-m", "vms", "keys", "rotate", "--data-dir", str(tmp_path)]
    running = [
        subprocess.Popen([*command, *(["--ca"] if number % 2 else [])], stdout=subprocess.DEVNULL)
        for number in range(4)
    ]
    signatures = []
    while any(each.poll() is None for each in running):
        signer = home.signer
        before, signature = tuple(signer.certificates()), signer.sign(b"data")
        if before == tuple(signer.certificates()):
            signatures.append((signature, before))
    assert [each.returncode for each in running] == [0] * 4
    assert len(keys.trusted_authorities(tmp_path)) == 3
    assert len({each.serial_number for each in keys.past_certificates(tmp_path)}) == 4
    assert _judge(home, home.trust) is SignatureState.TRUSTED
    assert signatures
    assert {home.trust.judge(b"data", *each, now_valid_ns()).state for each in signatures} == {
        SignatureState.TRUSTED
    }
