"""Keys from the command line, and a recording decrypted with nothing but its file and its key."""

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vms.cli import app
from vms.common.errors import VmsError
from vms.config import EncryptionConfig, KeySource
from vms.format.errors import FormatError
from vms.storage.bodies import create_body
from vms.storage.decrypting import NotDecrypted
from vms.storage.keyring import Keyring, KeyUnknown, KeyUnusable, key_id, load_keyring


def vms(*arguments: object) -> str:
    """What the command prints; its typed error is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if isinstance(result.exception, VmsError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def sealed(path: Path, keyring: Keyring, plain: bytes) -> None:
    body = create_body(os.open(path, os.O_RDWR | os.O_CREAT), keyring)
    body.write([plain], 0)
    body.close()


def test_a_new_key_is_only_its_owners_and_a_volume_can_use_it(tmp_path: Path) -> None:
    file = tmp_path / "volume.key"
    output = vms("volume-key", "new", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keyring = load_keyring(EncryptionConfig(key_file=file))
    assert keyring.current is not None
    assert keyring.current.hex() in output
    assert file.read_text().strip() not in output, "the key itself is not shown"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "volume.key"
    vms("volume-key", "new", file)
    before = file.read_bytes()
    with pytest.raises(KeyUnusable, match="exists already"):
        vms("volume-key", "new", file)
    assert file.read_bytes() == before


def test_a_recording_is_decrypted_with_its_file_and_key_alone(tmp_path: Path) -> None:
    for name in ("old", "new"):
        vms("volume-key", "new", tmp_path / f"{name}.key")
    old = load_keyring(EncryptionConfig(key_file=tmp_path / "old.key"))
    sealed(tmp_path / "r.mp4", old, b"footage" * 100_000)
    keys = ["--volume-key", tmp_path / "new.key", "--volume-key", tmp_path / "old.key"]
    assert "700000 bytes" in vms("decrypt", tmp_path / "r.mp4", "-o", tmp_path / "out.mp4", *keys)
    assert (tmp_path / "out.mp4").read_bytes() == b"footage" * 100_000
    assert (tmp_path / "out.mp4").stat().st_mode & 0o077 == 0, "others may read what was encrypted"
    with pytest.raises(NotDecrypted, match="exists already"):
        vms("decrypt", tmp_path / "r.mp4", "-o", tmp_path / "out.mp4", *keys)
    with pytest.raises(NotDecrypted, match="not encrypted"):
        vms("decrypt", tmp_path / "out.mp4", "-o", tmp_path / "again.mp4", *keys)
    with pytest.raises(KeyUnknown):
        vms("decrypt", tmp_path / "r.mp4", "-o", tmp_path / "again.mp4", *keys[:2])
    assert not (tmp_path / "again.mp4").exists()


def test_a_changed_recording_is_not_decrypted_and_leaves_no_part(tmp_path: Path) -> None:
    vms("volume-key", "new", tmp_path / "volume.key")
    sealed(
        tmp_path / "r.mp4", load_keyring(EncryptionConfig(key_file=tmp_path / "volume.key")), bytes(300_000)
    )
    data = bytearray((tmp_path / "r.mp4").read_bytes())
    data[200_000] ^= 1
    (tmp_path / "r.mp4").write_bytes(data)
    with pytest.raises(FormatError, match="was changed or is damaged"):
        vms(
            "decrypt", tmp_path / "r.mp4", "-o", tmp_path / "out.mp4", "--volume-key", tmp_path / "volume.key"
        )
    assert not (tmp_path / "out.mp4").exists()


def test_keys_come_from_the_environment_too_and_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    key = bytes(range(32))
    monkeypatch.setenv("VOLUME_KEY", key.hex())
    previous = (KeySource(key_env="OLD_KEY"),)
    monkeypatch.setenv("OLD_KEY", bytes(32).hex())
    keyring = load_keyring(EncryptionConfig(key_env="VOLUME_KEY", previous=previous))
    assert keyring.current == key_id(key)
    assert keyring.key(key_id(bytes(32))) == bytes(32)
    assert key.hex() not in repr(keyring)
    assert str(key) not in repr(keyring)
    monkeypatch.setenv("VOLUME_KEY", key.hex()[:-1] + "x")
    with pytest.raises(KeyUnusable) as caught:
        load_keyring(EncryptionConfig(key_env="VOLUME_KEY"))
    assert key.hex()[:20] not in str(caught.value)
