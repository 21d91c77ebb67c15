"""The certificate that pages are told the hash of: made so that browsers take it, and changed in time."""

from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vms.common.clock import NS
from vms.common.errors import Unavailable
from vms.stream.quic.certificate import (
    SHOWN_NS,
    TOLD_AHEAD_NS,
    OwnCertificates,
    load_certificate,
    make_certificate,
)

NOW_NS = 1_795_600_000 * NS
DAY_NS = 86_400 * NS


def test_it_is_what_browsers_ask_of_one_that_a_page_names() -> None:
    made = make_certificate(NOW_NS)
    certificate = made.certificate
    assert isinstance(made.key, EllipticCurvePrivateKey)
    assert isinstance(made.key.curve, SECP256R1)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < timedelta(days=14)
    assert made.hash == b64encode(sha256(certificate.public_bytes(Encoding.DER)).digest()).decode()
    assert "PrivateKey" not in repr(made)


def test_each_is_shown_only_after_it_was_told_and_before_it_ends() -> None:
    own = OwnCertificates(NOW_NS)
    told_ns = {own.shown.hash: NOW_NS}
    shown = [own.shown]
    for minute in range(30 * 24 * 60):
        at_ns = NOW_NS + minute * 60 * NS
        if not own.advance(at_ns):
            continue
        for each in own.hashes:
            told_ns.setdefault(each, at_ns)
        if own.shown is not shown[-1]:
            shown.append(own.shown)
            assert at_ns - told_ns[own.shown.hash] >= TOLD_AHEAD_NS - 60 * NS
            before = shown[-2].certificate
            assert at_ns < before.not_valid_after_utc.timestamp() * NS - DAY_NS
        certificate = own.shown.certificate
        assert certificate.not_valid_before_utc.timestamp() * NS < at_ns
    assert len(shown) == 1 + 30 * DAY_NS // SHOWN_NS
    assert own.shown.hash in own.hashes


def test_a_clock_that_was_set_back_gets_another_one() -> None:
    own = OwnCertificates(NOW_NS)
    before = own.shown
    assert not own.advance(NOW_NS + DAY_NS)
    assert own.advance(NOW_NS - 300 * DAY_NS)
    assert own.shown is not before
    assert own.shown.certificate.not_valid_before_utc.timestamp() * NS < NOW_NS - 300 * DAY_NS


def write_pair(folder: Path, *, key_of: int = 0) -> tuple[Path, Path]:
    made = [make_certificate(NOW_NS), make_certificate(NOW_NS)]
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(
        made[0].certificate.public_bytes(Encoding.PEM) + made[1].certificate.public_bytes(Encoding.PEM)
    )
    signing = made[key_of].key
    assert isinstance(signing, EllipticCurvePrivateKey)
    key.write_bytes(signing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key


def test_the_installation_s_own_is_shown_with_its_chain(tmp_path: Path) -> None:
    loaded = load_certificate(*write_pair(tmp_path))
    assert len(loaded.chain) == 1


def test_files_that_are_none_are_told_by_name(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    key.write_text("no key")
    with pytest.raises(Unavailable, match=r"key\.pem"):
        load_certificate(certificate, key)
    with pytest.raises(Unavailable, match=r"none\.pem"):
        load_certificate(tmp_path / "none.pem", key)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="belongs to another certificate"):
        load_certificate(*write_pair(tmp_path, key_of=1))
