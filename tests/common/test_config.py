from pathlib import Path

import pytest

from vms.common.camera import RecordMode
from vms.config import Config, ConfigError, load_config, parse_config

EXAMPLE = """
data_dir: ./vms-data
http: {host: 127.0.0.1, port: 8080}
webrtc: {port: 8189, addresses: []}
storage:
  volumes: [{path: ./vms-data/recordings, quota: 50GiB}]
  segment: 5min
cameras:
  - {id: porch, name: Front porch, source: "rtsp://user:secret@192.0.2.10/stream1", record: continuous, retention: 30d}
"""


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    path.write_text(EXAMPLE)
    config = load_config(path)
    assert config.storage.segment == 300
    assert config.volumes()[0].quota == 50 << 30
    camera = config.cameras[0]
    assert (camera.id, camera.retention, camera.source.password) == ("porch", 30 * 86400, "secret")
    assert "secret" not in repr(config) + config.model_dump_json()


def test_an_empty_file_means_the_defaults_and_data_dir_overrides(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    path.write_text("")
    assert load_config(path) == Config()
    assert load_config(path, tmp_path / "data").volumes()[0].path == tmp_path / "data" / "recordings"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"http": {"prot": 1}}, r"http\.prot: is not a known key; allowed here: host, port, token"),
        (
            {"cameras": [{"id": "x", "name": "X", "source": "rtsp://h/", "colour": 1}]},
            r"cameras\.0\.colour: .*retention",
        ),
        ({"cameras": [{"id": "X!", "name": "X", "source": "rtsp://h/"}]}, r"cameras\.0\.id: .*a-z, 0-9"),
        ({"http": {"port": 70000}}, r"http\.port: .*65535"),
        (
            {"http": {"host": "0.0.0.0"}},
            r"http: host 0\.0\.0\.0 is reachable from other machines.*http\.token",
        ),
        ({"storage": {"segment": "5 parsecs"}}, r"storage\.segment: .*5min"),
        ({"webrtc": {"addresses": ["example"]}}, r"webrtc\.addresses: .*203\.0\.113\.7"),
        ({"cameras": [{"id": "a", "name": "A", "source": "rtsp://h/"}] * 2}, "the id a is used twice"),
        ({"http": {"token": "short"}}, r"http\.token: .*16 characters"),
        ({"http": {"token": "sixteen characters, with spaces"}}, r"http\.token: .*without spaces"),
        ({"http": {"port": "x"}}, r"http\.port: must be a whole number from 0 to 65535"),
        ({"http": {5: 1}}, r"http\.5: is not a known key; allowed here: host, port, token"),
        ({"storage": 5}, "storage: must hold keys; allowed here: volumes, segment"),
        ({"storage": {"segment": 0.1}}, r"storage\.segment: must be 2s to 1h"),
        ({"storage": {"volumes": ["/x"]}}, r"storage\.volumes\.0: must hold keys; allowed here: path, quota"),
        ({"storage": {"volumes": [{"quota": "1GiB"}]}}, r"storage\.volumes\.0\.path: is missing"),
        ({"storage": {"volumes": [{"path": "x", "quota": "1KiB"}]}}, r"volumes\.0\.quota: .*16MiB"),
        ({"storage": {"volumes": [{"path": "x", "quotta": 1}]}}, r"quotta: .*allowed here: path, quota"),
        ({"cameras": {}}, r"cameras: must be a list; write \[\] for none"),
        ({"cameras": None}, r"cameras: must be a list; write \[\] for none"),
        ({"cameras": ["porch"]}, r"cameras\.0: must hold keys; allowed here: id, name, source"),
        ({"cameras": [{"id": 12, "name": "A", "source": "rtsp://h/"}]}, r"cameras\.0\.id: .*quotes"),
        ({"data_dir": 5}, "data_dir: must be a path"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_allowed(tree: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(tree)


def test_an_error_never_shows_a_password() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(
            {"cameras": [{"id": "a", "name": "A", "source": "http://user:hunter2@host/", "retention": "x"}]}
        )
    assert "hunter2" not in str(caught.value)


def test_every_wrong_line_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"http": {"port": -1}, "data": 1})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("content", [b"a: [", b"- 1", b"\xff\xfe\x00", b"text"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vms.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"vms\.yaml"):
        load_config(path)


def test_off_is_a_word_and_no_truth_value(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    path.write_text("cameras: [{id: a, name: A, source: 'rtsp://h/', record: off}]")
    assert load_config(path).cameras[0].record is RecordMode.OFF


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vms.yaml"
    path.write_text("http: {token: abcdefghijklmnop}\nhttp: {port: 80}\n")
    with pytest.raises(ConfigError, match=r"line 2.*http stands here for the second time"):
        load_config(path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        load_config(tmp_path / "none.yaml")


def test_other_hosts_are_allowed_with_a_token() -> None:
    config = parse_config({"http": {"host": "0.0.0.0", "token": "a-token-of-some-length"}})
    assert config.http.token is not None
    assert "a-token-of" not in repr(config)
