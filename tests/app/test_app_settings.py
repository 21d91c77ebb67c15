"""What workers are told of volumes: keys and tiers, secrets included, and nothing of it shown."""

import json
import os
from pathlib import Path

import pytest

from vms.app.settings import read_settings, settings, write_settings
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


@pytest.mark.parametrize("role", ["api", "keeper", "media", "stream"])
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


def test_a_media_process_learns_where_publishers_may_come_from_and_no_token(tmp_path: Path) -> None:
    told = set()
    for token in ("a" * 20, "b" * 20):
        http = {"host": "0.0.0.0", "token": token}
        webrtc = {"port": 9000, "addresses": ["192.0.2.7"]}
        whole = parse_config({"data_dir": str(tmp_path), "http": http, "webrtc": webrtc})
        told.add(settings(whole, "media"))
        descriptor = write_settings(whole, "media")
        read = read_settings(descriptor)
        os.close(descriptor)
        assert (read.http.host, read.webrtc.port, read.webrtc.addresses) == ("0.0.0.0", 9000, ("192.0.2.7",))
    assert len(told) == 1, "another token would restart what records"


def test_a_turn_server_s_secret_goes_to_who_tells_viewers_and_to_nobody_else(tmp_path: Path) -> None:
    server = {"urls": "turn:turn.example.net", "secret": SECRET}
    whole = parse_config({"data_dir": str(tmp_path), "webrtc": {"port": 9000, "ice_servers": [server]}})
    assert SECRET in settings(whole, "api").decode()
    for role in ("stream", "media", "keeper", "render"):
        assert SECRET not in settings(whole, role).decode(), role
    assert parse_config(json.loads(settings(whole, "stream")), "settings").webrtc.port == 9000
    assert parse_config(json.loads(settings(whole, "api")), "settings").webrtc.ice_servers
