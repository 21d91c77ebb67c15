"""What workers are told of volumes: keys and tiers, secrets included, and nothing of it shown."""

import os
from pathlib import Path

import pytest

from vms.app.settings import read_settings, write_settings
from vms.config import Config, parse_config

SECRET = "not-for-anybodys-eyes"


def config(tmp_path: Path) -> Config:
    cloud = {
        "name": "cloud",
        "url": "s3://bucket/site",
        "after": "30d",
        "endpoint": "http://127.0.0.1:9000",
        "access_key": "vms",
        "secret_key": SECRET,
    }
    share = {"name": "share", "path": str(tmp_path / "share"), "after": "7d", "quota": "2TiB"}
    encryption = {"key_file": str(tmp_path / "key"), "previous": [{"key_env": "OLD_KEY"}]}
    volume = {"path": str(tmp_path / "volume"), "encryption": encryption, "tiers": [share, cloud]}
    return parse_config({"data_dir": str(tmp_path), "storage": {"volumes": [volume]}})


@pytest.mark.parametrize("role", ["api", "keeper", "media"])
def test_a_worker_that_reads_recordings_gets_keys_and_tiers_of_the_volumes(tmp_path: Path, role: str) -> None:
    whole = config(tmp_path)
    descriptor = write_settings(whole, role)
    try:
        told = read_settings(descriptor)
    finally:
        os.close(descriptor)
    assert told.volumes() == whole.volumes()
    secret = told.volumes()[0].tiers[1].secret_key
    assert secret is not None
    assert secret.get_secret_value() == SECRET
    assert SECRET not in repr(told) + str(told.volumes())
