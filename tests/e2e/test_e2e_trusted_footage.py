"""Footage of a real RTSP camera after all that happens to it: encrypted, moved to S3, played in Chromium, exported."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from tests.e2e.browser import plays
from tests.e2e.players import decoded
from tests.e2e.system import System, camera, wait_for
from tests.storage.seaweedfs import ACCESS_KEY, SECRET_KEY, S3Server, s3_server

from vms.storage.sealed_log import MAGIC

__all__ = ["s3_server"]

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg", "gst-launch-1.0")]

LAUNCH = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1"
    " ! x264enc tune=zerolatency key-int-max=15 bitrate=400 ! rtph264pay name=pay0 pt=96"
)

PATIENT_S = 120
"""A server that is away is asked again and again before anybody is told so."""


def vms(*arguments: str | Path, status: int = 0) -> str:
    """A command of ours, and what it printed."""
    command = [sys.executable, "-m", "vms", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout


def recordings(system: System, camera_id: str) -> list[dict[str, Any]]:
    answer = system.http.get(f"/cameras/{camera_id}/recordings")
    answer.raise_for_status()
    segments: list[dict[str, Any]] = answer.json()["segments"]
    return segments


def test_footage_is_whole_after_encryption_a_bucket_and_an_export(
    serve: Callable[..., System],
    gst_camera: Callable[..., str],
    s3_server: S3Server,
    page: Page,
    tmp_path: Path,
) -> None:
    key = tmp_path / "volume.key"
    vms("volume-key", "new", key)
    tier = {
        "name": "cloud",
        "url": "s3://vms-tests/e2e/recordings",
        "after": "0s",
        "endpoint": s3_server.endpoint,
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
    }
    volume = {
        "path": str(tmp_path / "volume"),
        "quota": "1GiB",
        "encryption": {"key_file": str(key)},
        "tiers": [tier],
    }
    url = gst_camera(LAUNCH)
    system = serve([camera("yard", url)], storage={"volumes": [volume], "segment": "4s"})
    system.wait_live("yard")
    wait_for("recordings in the bucket", lambda: _in_bucket(system) >= 3, 90)
    system.configure([camera("yard", url, record="off")])
    system.send(signal.SIGHUP)
    wait_for("the end of recording", lambda: not system.camera("yard")["recording"])
    segments = wait_for("everything in the bucket", lambda: _all_in_bucket(system), 90)

    # Nothing was left on the volume: the old copy of a recording goes once its row says where the new one is
    wait_for("a volume without recordings", lambda: not list((tmp_path / "volume").rglob("*.mp4")))
    # and there is no plaintext in the bucket's own files
    stored = b"".join(path.read_bytes() for path in (s3_server._folder / "data").rglob("*.dat"))
    assert MAGIC in stored
    assert b"moof" not in stored

    # A person plays it
    page.goto(f"{system.url}/cameras/yard")
    timeline = page.get_by_test_id("timeline")
    timeline.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    plays(page, "[data-testid=playback-video]")

    # It leaves the system, and proves what it is, with nothing but a public key
    start, end = segments[0]["start"], segments[-1]["end"]
    export = tmp_path / "clip.mp4"
    params = {"start": start, "end": end}
    answer = system.http.get("/cameras/yard/export.mp4", params=params, timeout=PATIENT_S)
    answer.raise_for_status()
    export.write_bytes(answer.content)
    assert len(decoded(export)) > 3 * 4 * 10
    public = tmp_path / "authority.pem"
    public.write_text(vms("keys", "export", "--data-dir", system.data_dir))
    report = json.loads(vms("verify", export, "--key", public, "--json"))
    assert report["verdict"] == "verified"
    assert {source["camera_id"] for source in report["files"][0]["sources"]} == {"yard"}

    # The bucket is away, and comes back; the process that remembers what it read there is another one
    before = system.wait_running()
    s3_server.kill()
    try:
        system.kill("api-0")
        system.wait_replaced(before, ["api-0"])
        away = system.http.get("/cameras/yard/export.mp4", params=params, timeout=PATIENT_S)
        assert away.status_code == 503
        assert SECRET_KEY not in away.text + system.output
    finally:
        s3_server.start()

    def same_again() -> bool:
        again = system.http.get("/cameras/yard/export.mp4", params=params, timeout=PATIENT_S)
        return again.content == answer.content

    wait_for("the bucket again", same_again, PATIENT_S)

    # The catalog is lost; what is in the bucket is found again
    system.stop()
    for path in (tmp_path / "volume").glob("vms-catalog.sqlite3*"):
        path.unlink()
    found = json.loads(vms("fsck", "--config", system.config, "--json", status=1))
    kinds = {each["kind"] for each in found["volumes"][0]["findings"]}
    assert kinds == {"catalog_missing", "object_without_row"}
    vms("fsck", "--config", system.config, "--repair")
    vms("fsck", "--config", system.config, "--level", "digests")


def _in_bucket(system: System) -> int:
    return sum(segment["tier"] == "cloud" for segment in recordings(system, "yard"))


def _all_in_bucket(system: System) -> list[dict[str, Any]] | None:
    found = recordings(system, "yard")
    return found if found and all(segment["tier"] == "cloud" for segment in found) else None
