"""The section `srt` of the configuration: when it is usable, when there is a process for it, and what that is told."""

import os
from pathlib import Path
from typing import Any

import pytest

from vms.app.live_options import Ladders
from vms.app.plans import worker_names
from vms.app.settings import read_settings, settings, write_settings
from vms.app.srt import read_secret
from vms.common.clock import SystemClock
from vms.common.errors import InvalidInput, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.config import Config, ConfigError, parse_config

PASSPHRASE = "correct-horse-battery"
TOKEN = "a-token-of-the-api-1234"
OUTSIDE = {"host": "0.0.0.0", "token": TOKEN}
PUSH = {"camera": "porch", "url": "srt://192.0.2.9:9000?streamid=key-of-the-stream"}


def _config(tmp_path: Path, **sections: Any) -> Config:
    return parse_config({"data_dir": tmp_path, **sections})


@pytest.mark.parametrize(
    ("sections", "workers"),
    [
        ({}, []),
        ({"srt": {}}, []),
        ({"srt": {"port": 8890}}, ["srt-0"]),
        ({"srt": {"push": [PUSH]}}, ["srt-0"]),
        ({"srt": {"enabled": True}}, ["srt-0"]),
        ({"srt": {"enabled": False, "port": 8890}}, []),
        ({"cameras": [{"id": "gate", "name": "Gate", "source": "srt://192.0.2.8:9000"}]}, ["srt-0"]),
    ],
)
def test_there_is_a_process_when_it_has_something_to_do(
    tmp_path: Path, sections: dict[str, Any], workers: list[str]
) -> None:
    assert worker_names(_config(tmp_path, **sections))["srt"] == workers


def test_a_door_to_other_machines_needs_a_passphrase(tmp_path: Path) -> None:
    for sections in ({"http": OUTSIDE, "srt": {"port": 8890}}, {"srt": {"port": 8890, "host": "::"}}):
        with pytest.raises(ConfigError, match=r"set srt\.passphrase to 10 to 79"):
            _config(tmp_path, **sections)
    assert _config(tmp_path, http=OUTSIDE, srt={"port": 8890, "passphrase": PASSPHRASE}).srt_host == "0.0.0.0"
    inside = {"port": 8890, "host": "127.0.0.1", "passphrase": PASSPHRASE}
    assert _config(tmp_path, http=OUTSIDE, srt=inside).srt_host == "127.0.0.1"


def test_where_the_api_asks_for_a_token_callers_need_a_passphrase_on_loopback_too(tmp_path: Path) -> None:
    http = {"token": TOKEN}
    with pytest.raises(ConfigError, match=r"http\.token is set.*set srt\.passphrase to 10 to 79") as refused:
        _config(tmp_path, http=http, srt={"port": 8890})
    assert TOKEN not in str(refused.value)
    assert _config(tmp_path, http=http, srt={"port": 8890, "passphrase": PASSPHRASE}).srt_host == "127.0.0.1"
    assert _config(tmp_path, http=http, srt={"push": [PUSH]}).runs_srt
    assert _config(tmp_path, srt={"port": 8890}).srt.passphrase is None


class _Live:
    def http_port(self, camera_id: CameraId) -> int | None:
        return None


class _Streams:
    def status(self, camera_id: CameraId) -> None:
        return None

    def told(self, camera_id: CameraId) -> None:
        return None


@pytest.mark.parametrize(
    ("srt", "listed"),
    [({"port": 8890}, True), ({"port": 0}, False), ({"port": 8890, "enabled": False}, False), ({}, False)],
)
def test_players_are_sent_to_a_port_that_is_known_and_served(
    tmp_path: Path, srt: dict[str, Any], listed: bool
) -> None:
    descriptor = write_settings(_config(tmp_path, srt=srt), "api")
    config = read_settings(descriptor)
    os.close(descriptor)
    ladders = Ladders(config, _Live(), _Streams(), bytes(32), SystemClock())  # type: ignore[arg-type]

    options = ladders.options(CameraId("porch"), StreamName.MAIN, (), "vms.example")

    assert any(option.protocol == "srt" for option in options) is listed
    assert all(option.url is None or "vms.example:0" not in option.url for option in options)


@pytest.mark.parametrize(
    ("srt", "line"),
    [
        ({"port": 65536}, "srt.port: must be a whole number from 0 to 65535"),
        ({"passphrase": "hunter2hunter2ñ"}, "srt.passphrase: must be letters, digits and signs of ASCII"),
        ({"passphrase": "hunter2"}, "srt.passphrase: must have at least 10 characters"),
        ({"push": [{"camera": "porch", "url": "http://hunter2"}]}, "srt.push.0.url: must begin with srt://"),
        ({"push": [{"url": PUSH["url"]}]}, "srt.push.0.camera: is missing"),
        ({"push": [{**PUSH, "passphrase": "hunter2hunter2"}]}, "srt.push.0.passphrase: is not a known key"),
    ],
)
def test_what_is_wrong_is_said_without_secrets(tmp_path: Path, srt: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _config(tmp_path, srt=srt)
    assert line in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_process_is_told_its_section_and_no_token(tmp_path: Path) -> None:
    push = {**PUSH, "stream": "sub", "passphrase_file": str(tmp_path / "secret")}
    srt = {"port": 8890, "passphrase": PASSPHRASE, "latency": "200ms", "push": [push]}
    config = _config(tmp_path, http=OUTSIDE, srt=srt)
    descriptor = write_settings(config, "srt")
    found = read_settings(descriptor)
    os.close(descriptor)
    assert found.srt == config.srt
    assert found.srt_host == "0.0.0.0"
    assert TOKEN.encode() not in settings(config, "srt")
    assert PASSPHRASE not in repr(config) and "key-of-the-stream" not in repr(config)


@pytest.mark.parametrize("role", ["media", "stream", "keeper", "render", "transcode"])
def test_other_processes_are_not_told_the_passphrase(tmp_path: Path, role: str) -> None:
    config = _config(tmp_path, srt={"port": 8890, "passphrase": PASSPHRASE})
    assert PASSPHRASE.encode() in settings(config, "srt")
    assert PASSPHRASE.encode() not in settings(config, role)


def test_a_push_without_the_passphrase_that_it_should_have_is_never_made(tmp_path: Path) -> None:
    """It would send unencrypted what was meant to be encrypted."""
    path = tmp_path / "secret"
    with pytest.raises(Unavailable, match="FileNotFoundError"):
        read_secret(path)
    for text in ("", "\n" + PASSPHRASE, "hunter2\n"):
        path.write_text(text)
        with pytest.raises(InvalidInput, match="10 to 79 characters") as refused:
            read_secret(path)
        assert "hunter2" not in str(refused.value)
    path.write_text(f"{PASSPHRASE}\n")
    assert read_secret(path) == PASSPHRASE
