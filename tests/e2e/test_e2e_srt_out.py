"""A camera watched by SRT in the real system: by the URL that the API gives, after its process was killed, and pushed."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.system import Process, System, camera, wait_for
from tests.free_ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.needs("ffmpeg", "libsrt")]
PASSPHRASE = "correct-horse-battery"
FRAMES = 30


def _command(url: str) -> list[str]:
    quickly = ("-probesize", "200000", "-analyzeduration", "200000")
    what = ("-map", "0:v", "-frames:v", str(FRAMES), "-f", "framemd5", "-")
    return ["ffmpeg", "-v", "error", *quickly, "-i", url, *what]


def _seen(url: str) -> int:
    """Pictures that ffmpeg decodes of a stream, FRAMES at the most."""
    found = subprocess.run(_command(url), capture_output=True, text=True, timeout=120, check=False)
    return _counted(found.stdout)


def _counted(output: str) -> int:
    return sum(line[:1].isdigit() for line in output.splitlines())


def _url(system: System) -> str:
    options = system.http.get("/cameras/porch/live").raise_for_status().json()["options"]
    (url,) = [each["url"] for each in options if (each["protocol"], each["stream"]) == ("srt", "main")]
    assert isinstance(url, str)
    return url


@pytest.mark.parametrize("options", [(), ("--single-process",)], ids=["processes", "one-process"])
def test_a_camera_is_watched_and_pushed_by_srt(
    options: tuple[str, ...],
    serve: Callable[..., System],
    virtual_camera: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    (source,) = virtual_camera("--pattern", "--bitrate", "300000")
    pushed_to, secret = free_port(), tmp_path / "secret"
    secret.write_text(f"{PASSPHRASE}\n")
    push = {
        "camera": "porch",
        "url": f"srt://127.0.0.1:{pushed_to}?streamid=key",
        "passphrase_file": str(secret),
    }
    srt = {"port": free_port(), "passphrase": PASSPHRASE, "push": [push]}
    listener = Process(*_command(f"srt://127.0.0.1:{pushed_to}?mode=listener&passphrase={PASSPHRASE}"))
    try:
        system = serve([camera("porch", source)], *options, srt=srt)
        system.wait_live("porch")

        assert _seen(_url(system)) == FRAMES
        lasting = f"srt://127.0.0.1:{srt['port']}?streamid=porch&passphrase={PASSPHRASE}"
        assert _seen(lasting) == FRAMES
        assert _seen(lasting.replace(PASSPHRASE, "another-passphrase")) == 0
        wait_for("what was pushed", lambda: _counted(listener.output) == FRAMES)
    finally:
        listener.stop()

    assert system.metrics("vms_srt_messages_sent_total")[0].value > 0
    wait_for("a refusal", lambda: system.metrics("vms_srt_calls_refused_total", reason="handshake"))
    assert PASSPHRASE not in system.output


def test_the_process_for_srt_is_killed_and_serves_again_and_nothing_else_notices(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (source,) = virtual_camera("--pattern", "--bitrate", "300000")
    system = serve([camera("porch", source)], srt={"port": free_port()})
    system.wait_live("porch")
    before = system.wait_running()
    watching = Process("ffmpeg", "-v", "info", "-i", _url(system), "-f", "null", "-")
    try:
        wait_for("a viewer", lambda: system.metrics("vms_srt_viewers", camera="porch"))
        wait_for("its count", lambda: system.processes()["srt-0"]["viewers"] == 1)
        system.kill("srt-0")
        system.wait_replaced(before, ["srt-0"])
    finally:
        watching.stop()

    assert _seen(_url(system)) == FRAMES
