"""What the documentation tells an expert to do works, and finds what was changed."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.evidence.evidence_material import Installation, Signed, install, record_signed

from vms.evidence.certificates import pem
from vms.evidence.keys import rotate_ca, trusted_authorities

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture" / "evidence.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("home"))


def _check(directory: Path, data: bytes, authority: bytes) -> str:
    script = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert script is not None
    (directory / "check.sh").write_text(script[1])
    (directory / "rec.mp4").write_bytes(data)
    (directory / "system.pem").write_bytes(authority)
    done = subprocess.run(
        ["sh", "check.sh", "rec.mp4", "system.pem"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def _right(signed: Signed) -> list[str]:
    return [
        "cert1.pem: OK",
        "Signature Verified Successfully",
        "index: OK",
        "moov and end of the file: OK",
        "beginning: OK",
        f"all {len(signed.fragments)} fragments: OK",
    ]


@pytest.mark.needs("openssl", "xxd", "od")
def test_the_recipe_verifies_a_recording_and_finds_what_was_changed(
    home: Installation, tmp_path: Path
) -> None:
    signed = record_signed(home.signer)
    authority = pem(trusted_authorities(home.data_dir)[:1])
    assert _check(tmp_path, signed.data, authority).splitlines() == _right(signed)
    for offset, lost in (
        (signed.fragments[3].end - 1, _right(signed)[5]),
        (signed.fragments[0].offset - 1, _right(signed)[4]),
        (len(signed.data) - 1, _right(signed)[3]),
    ):
        data = bytearray(signed.data)
        data[offset] ^= 1
        assert lost not in _check(tmp_path, bytes(data), authority)


@pytest.mark.needs("openssl", "xxd", "od")
def test_the_recipe_follows_from_an_old_authority_to_a_new_one(home: Installation, tmp_path: Path) -> None:
    old = pem(trusted_authorities(home.data_dir)[:1])
    rotate_ca(home.data_dir, home.secrets)
    signed = record_signed(home.signer)
    assert _check(tmp_path, signed.data, old).splitlines() == _right(signed)
