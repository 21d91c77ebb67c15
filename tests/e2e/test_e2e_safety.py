"""The doors: loopback by default, a token for anything else, and what the commands say."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.e2e.system import System, camera

pytestmark = pytest.mark.e2e

TOKEN = "a-token-of-some-length"


def vms(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vms", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=180,
        check=False,
    )


def test_an_open_door_without_a_token_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "vms.yaml"
    config.write_text("http: {host: 0.0.0.0, port: 0}\n")
    run = vms("serve", "--config", str(config), cwd=tmp_path)
    assert run.returncode == 1
    assert "http.token" in run.stderr
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == [config]


def test_a_token_guards_every_path(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern")
    system = serve([camera("porch", url)], http={"host": "0.0.0.0", "port": 0, "token": TOKEN})
    port = system.url.rpartition(":")[2]
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base) as stranger:
        paths = ["/cameras", "/cameras/porch", "/cameras/porch/recordings", "/cameras/porch/playback.m3u8"]
        paths += ["/cameras/porch/export.mp4", "/cameras/porch/snapshot.jpg"]
        for path in paths:
            assert stranger.get(f"/api/v1{path}").status_code == 401, path
        assert stranger.get("/metrics").status_code == 401
        whep = stranger.post(
            "/api/v1/cameras/porch/whep", content="v=0", headers={"Content-Type": "application/sdp"}
        )
        assert whep.status_code == 401
        assert stranger.get("/healthz").status_code == 200
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"}) as friend:
        assert friend.get("/api/v1/cameras").json()["cameras"][0]["id"] == "porch"
    system.stop()
    assert TOKEN not in system.output


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("serve",),
        ("camera",),
        ("demo",),
        ("status",),
        ("restart",),
        ("config",),
        ("config", "schema"),
        ("config", "check"),
        ("verify",),
        ("fsck",),
        ("keys",),
        ("keys", "rotate"),
        ("volume-key",),
        ("decrypt",),
    ],
)
def test_help_has_examples(arguments: tuple[str, ...]) -> None:
    run = vms(*arguments, "--help")
    assert run.returncode == 0
    assert "Example" in run.stdout
    assert "vms" in run.stdout.partition("Example")[2]


def test_the_schema_of_the_configuration_is_printed() -> None:
    schema = json.loads(vms("config", "schema").stdout)
    sections = {
        "data_dir",
        "http",
        "webrtc",
        "rtsp",
        "srt",
        "webtransport",
        "site",
        "storage",
        "roles",
        "bus",
        "transcode",
        "cameras",
    }
    assert set(schema["properties"]) == sections


def test_a_wrong_configuration_is_explained_without_a_traceback(tmp_path: Path) -> None:
    config = tmp_path / "vms.yaml"
    config.write_text("cameras:\n  - {id: Porch, name: x, source: 'rtsp://u:hunter2@h/', recrod: off}\n")
    run = vms("config", "check", str(config))
    assert run.returncode == 1
    assert "cameras.0.recrod" in run.stderr
    assert "hunter2" not in run.stderr
    assert "Traceback" not in run.stderr


def test_a_second_system_gets_neither_the_port_nor_the_data_directory(
    serve: Callable[..., System], tmp_path: Path
) -> None:
    system = serve([])
    port = system.url.rpartition(":")[2]
    config = tmp_path / "second.yaml"
    config.write_text(json.dumps({"data_dir": str(tmp_path / "second"), "http": {"port": int(port)}}))
    for path, named in ((config, port), (system.config, str(system.data_dir))):
        run = vms("serve", "--config", str(path))
        assert run.returncode == 1
        assert named in run.stderr
        assert "Traceback" not in run.stderr
    assert system.http.get("/cameras").status_code == 200
