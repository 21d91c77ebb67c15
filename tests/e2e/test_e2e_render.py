"""Thumbnails and exports in the background in the real system, and the process that makes them killed meanwhile."""

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.system import System, camera, wait_for

from vms.storage.sealed_log import MAGIC

pytestmark = [pytest.mark.e2e]

JPEG = b"\xff\xd8"


def recorded(system: System, camera_id: str, at_least_s: float) -> tuple[str, str]:
    """Start and end of what is recorded."""
    spans = system.wait_recorded(camera_id, at_least_s)["spans"]
    return spans[0]["start"], spans[-1]["end"]


def ended(system: System, job: dict[str, Any], timeout_s: float = 240) -> dict[str, Any]:
    """The export, once it has ended. It is made by who comes last where all cores are busy."""

    def probe() -> dict[str, Any] | None:
        now: dict[str, Any] = system.http.get(f"/exports/{job['id']}").json()
        return now if now.get("state") in {"done", "failed", "cancelled"} else None

    return wait_for("the export's end", probe, timeout_s)


@pytest.mark.parametrize("options", [[], ["--single-process"]], ids=["processes", "single"])
def test_thumbnails_and_exports_of_what_is_being_recorded(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], tmp_path: Path, options: list[str]
) -> None:
    urls = virtual_camera("--pattern", "--bitrate", "300000", count=2)
    system = serve(
        [camera("porch", urls[0], name="Porch"), camera("attic", urls[1])],
        *options,
        storage={"segment": "3s"},
    )
    start, end = recorded(system, "porch", 8)
    recorded(system, "attic", 8)

    def thumbnail() -> httpx.Response | None:
        """Where all cores are busy, who makes it is asked again."""
        answer = system.http.get("/cameras/porch/thumbnail.jpg", params={"at": end, "width": 160})
        assert answer.status_code in (200, 503), answer.text
        return answer if answer.status_code == 200 else None

    found = wait_for("a thumbnail", thumbnail)
    assert found.content.startswith(JPEG)
    assert start <= found.headers["X-Time"] <= end
    missing = system.http.get("/cameras/porch/thumbnail.jpg", params={"at": "2020-01-01T00:00:00Z"})
    assert missing.status_code == 404

    order = {"cameras": ["porch", "attic"], "start": start, "end": end, "archive": True, "title": "Case 7"}
    job = system.http.post("/exports", json=order)
    assert job.status_code == 201, job.text
    done = ended(system, job.json())
    assert done["state"] == "done", done
    file = system.http.get(f"/exports/{done['id']}/file")
    assert file.headers["Content-Type"] == "application/zip"
    archive = tmp_path / "case.zip"
    archive.write_bytes(file.content)
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        assert {"clips/porch.mp4", "clips/attic.mp4", "manifest.json", "manifest.sig"} <= set(
            packed.namelist()
        )
        assert '"name": "Porch"' in packed.read("player.html").decode()
    part = system.http.get(f"/exports/{done['id']}/file", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, file.content[100:200])
    assert system.http.delete(f"/exports/{done['id']}").status_code == 204
    assert system.http.get(f"/exports/{done['id']}").status_code == 404
    assert not (system.data_dir / "exports" / done["id"]).exists()


def test_a_killed_render_process_makes_its_export_anew_and_nothing_else_notices(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    urls = virtual_camera("--pattern", "--bitrate", "4000000")
    system = serve([camera("porch", urls[0])], storage={"segment": "3s"})
    start, end = recorded(system, "porch", 15)
    before = system.wait_running()
    assert os.getpriority(os.PRIO_PROCESS, before["render-0"]) == 10
    burnt = {"time": True, "time_zone": "America/Sao_Paulo"}
    order = {"cameras": ["porch"], "start": start, "end": end, "burn_in": burnt}
    job = system.http.post("/exports", json=order).json()

    def under_way() -> bool | None:
        now = system.http.get(f"/exports/{job['id']}").json()
        assert now["state"] in {"queued", "running"}, now
        return now["progress"] > 0 or None

    wait_for("the export to be under way", under_way)
    os.kill(before["render-0"], signal.SIGKILL)
    after = system.wait_replaced(before, ["render-0"])
    assert {worker for worker in before if before[worker] != after[worker]} == {"render-0"}
    done = ended(system, job)
    assert done["state"] == "done", done
    file = system.http.get(f"/exports/{job['id']}/file")
    assert file.headers["Content-Type"] == "video/mp4"
    gaps = system.recordings("porch")["gaps"]
    assert gaps == [], "recording went on"


def vms(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of ours."""
    command = [sys.executable, "-m", "vms", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_exports_of_an_encrypted_volume_are_encrypted_too_and_what_comes_out_verifies_offline(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], tmp_path: Path
) -> None:
    assert vms("volume-key", "new", tmp_path / "volume.key").returncode == 0
    volume = {"path": str(tmp_path / "volume"), "encryption": {"key_file": str(tmp_path / "volume.key")}}
    urls = virtual_camera("--pattern", "--bitrate", "1000000")
    system = serve([camera("porch", urls[0])], storage={"segment": "3s", "volumes": [volume]})
    start, _ = recorded(system, "porch", 12)
    # of closed recordings alone: one that is being written is not signed yet
    closed = [s for s in system.recordings("porch")["segments"] if s["closed"]]
    order = {
        "cameras": ["porch"],
        "start": start,
        "end": closed[-1]["end"],
        "asked_by": "ana",
        "archive": True,
    }
    burnt = {"burn_in": {"time": True, "time_zone": "UTC"}}
    public = tmp_path / "system.pem"
    public.write_text(vms("keys", "export", "--data-dir", system.data_dir).stdout)
    for options, verified in (({}, True), (burnt, None)):
        done = ended(system, system.http.post("/exports", json=order | options).json())
        assert (done["state"], done["verified"], done["asked_by"]) == ("done", verified, "ana"), done
        stored = (system.data_dir / "exports" / done["id"] / done["file_name"]).read_bytes()
        archive = tmp_path / "case.zip"
        archive.write_bytes(system.http.get(done["url"].removeprefix("/api/v1")).content)
        with zipfile.ZipFile(archive) as packed:
            clip = packed.read("clips/porch.mp4")
        middle = clip[len(clip) // 2 :][:64]
        assert stored.startswith(MAGIC) and middle not in stored and middle in archive.read_bytes()
        tail = system.http.get(done["url"].removeprefix("/api/v1"), headers={"Range": "bytes=-100"})
        assert (tail.status_code, tail.content) == (206, archive.read_bytes()[-100:])
        found = vms("verify", archive, "--key", public)
        assert found.returncode == 0, found.stdout
