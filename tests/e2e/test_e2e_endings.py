"""How a system ends: in order when told to, without a trace when killed; and how it runs in one process."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.browser import plays, tiles_play
from tests.e2e.system import System, camera, runs, wait_for

from vms.format.hybrid import read_segment

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

ROLES = {"media": 2, "stream": 2, "api": 2}
SECRET = "hunter2-sesame"
TOKEN = "a-token-of-some-length"


def _all_processes(system: System) -> list[int]:
    """Everything that runs for a system: what it lists, its launcher, and what else is below that."""
    pids = {system.pid, *system.wait_running().values()}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        if parent in pids:
            pids.add(int(entry.name))
    return sorted(pids)


def test_sigterm_ends_viewers_first_then_cameras_and_closes_every_file(
    page: Page, serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    urls = virtual_camera("--pattern", "--bitrate", "500000", count=2)
    cameras = [camera(camera_id, url) for camera_id, url in zip(("porch", "gate"), urls, strict=True)]
    system = serve(cameras, roles=ROLES, storage={"segment": "3s"})
    for camera_id in ("porch", "gate"):
        wait_for(
            f"two files of {camera_id}", lambda each=camera_id: len(system.recordings(each)["segments"]) >= 2
        )
    page.goto(system.url)
    tiles_play(page, ["porch", "gate"])
    pids = _all_processes(system)
    assert system.stop() == 0
    assert [pid for pid in pids if runs(pid)] == []
    lines = [json.loads(line) for line in system.lines if line.startswith("{")]
    ended = [line["worker"] for line in lines if line["event"] == "a worker ended"]
    roles = [worker.partition("-")[0] for worker in ended]
    ends = ["api", "api", "stream", "stream", "transcode", "render", "media", "media", "keeper", "nats"]
    assert roles == ends
    assert not re.search(r'Traceback|never retrieved|unclosed|"level": "(error|critical)"', system.output)
    files = list((system.data_dir / "recordings").rglob("*.mp4"))
    assert len(files) >= 4
    for path in files:
        data = path.read_bytes()
        size = len(data)
        assert read_segment(lambda offset, length, data=data: data[offset : offset + length], size).closed, (
            path
        )


def test_nothing_is_left_of_a_system_whose_launcher_was_killed_and_a_new_one_starts_at_once(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern", "--bitrate", "500000")
    system = serve([camera("porch", url)], roles=ROLES)
    system.wait_recorded("porch", 2)
    pids = _all_processes(system)
    assert len(pids) >= 10
    os.kill(system.pid, signal.SIGKILL)
    again = serve([camera("porch", url)], data_dir=system.data_dir, roles=ROLES)
    wait_for("the end of every process", lambda: not any(map(runs, pids)))
    again.wait_live("porch")
    wait_for("two spans", lambda: len(again.recordings("porch")["spans"]) == 2)
    assert [gap["reason"] for gap in again.recordings("porch")["gaps"]] == ["system_stopped"]
    assert again.stop() == 0


def test_nothing_is_left_when_launcher_and_supervisor_are_killed_together(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern", "--bitrate", "500000")
    system = serve([camera("porch", url)], roles={"media": 1, "stream": 1, "api": 1})
    system.wait_recorded("porch", 1)
    pids = _all_processes(system)
    supervisor = system.wait_running()["supervisor"]
    os.kill(system.pid, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    wait_for("the end of every process", lambda: not any(map(runs, pids)))


def test_no_secret_of_a_running_system_is_where_others_might_read_it(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    locked = virtual_camera("--pattern", "--user", "admin", "--password", SECRET)[0]
    closed = virtual_camera("--pattern", "--user", "admin", "--password", "another-one")[0]
    sources = [url.replace("rtsp://", f"rtsp://admin:{SECRET}@") for url in (locked, closed)]
    system = serve([], roles=ROLES, http={"port": 0, "token": TOKEN})
    assert system.http.post("/cameras", json=camera("open", sources[0])).status_code == 201
    assert system.http.post("/cameras", json=camera("closed", sources[1])).status_code == 201
    system.wait_recorded("open", 2)
    failed = wait_for(
        "the refusal", lambda: (c := system.camera("closed"))["reason_code"] == "unauthorized" and c
    )
    assert failed["state"] == "failed"
    assert "password" in failed["reason"]
    subprocess.run(["ffprobe", "-v", "quiet", f"{system.rtsp_url}/open"], timeout=120, check=False)
    bus = json.loads((system.data_dir / "run" / "bus.json").read_text())["password"]
    secrets = {"camera": SECRET, "token": TOKEN, "bus": bus}
    for pid in _all_processes(system):
        for name in ("cmdline", "environ"):
            seen = b""
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                seen = Path(f"/proc/{pid}/{name}").read_bytes()
            assert [what for what, text in secrets.items() if text.encode() in seen] == [], (pid, name)
    pages = [f"{system.url}/metrics", "/cameras", "/cameras/open", "/cameras/closed", "/system/processes"]
    pages += ["/cameras/closed/recordings", "/cameras/closed/snapshot.jpg"]
    answers = [system.http.get(url) for url in pages]
    wrong = {"source": f"http://admin:{SECRET}@h/", "colour": SECRET}
    answers.append(system.http.patch("/cameras/closed", json=wrong))
    for answer in answers:
        assert not any(text in answer.text for text in secrets.values()), answer.url
    _judge_files(system, secrets)
    assert system.stop() == 0
    assert [what for what, text in secrets.items() if text in system.output] == []
    _judge_files(system, secrets)
    again = serve([], data_dir=system.data_dir, **system.sections)
    again.wait_live("open")  # what is written nowhere in the clear is not forgotten


def _judge_files(system: System, secrets: dict[str, str]) -> None:
    """No credential of a camera is in any file, and the bus's own ones are in its own two, which nobody else reads."""
    for place in ("run", "assignments", "events", "bus"):
        assert (system.data_dir / place).stat().st_mode & 0o077 == 0, place
    for path in (Path(folder, name) for folder, _, names in os.walk(system.data_dir) for name in names):
        if not path.is_file() or path == system.config:
            continue
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # a running system removes files, too
            continue
        own = ["bus"] if path.name in ("bus.json", "nats.conf") else []
        assert [what for what, text in secrets.items() if text.encode() in data] in ([], own), path


def test_all_roles_run_in_one_process(
    page: Page, serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern")
    system = serve([camera("porch", url)], "--single-process")
    system.wait_live("porch")
    page.goto(system.url)
    expect(page.get_by_test_id("tile-porch")).to_have_attribute("data-state", "live")
    plays(page, "[data-testid=tile-porch] video")
    timeline = system.wait_recorded("porch", 3)
    assert (len(timeline["spans"]), timeline["gaps"]) == (1, [])
    (process,) = wait_for(
        "the viewer in the status",
        lambda: (p := system.processes().values()) and next(iter(p))["viewers"] == 1 and p,
    )
    assert (process["pid"], process["state"]) == (system.pid, "running")
    assert process["cameras"] == 1
    assert {sample.labels["role"] for sample in system.metrics("vms_http_requests_total")} == {"api"}
    assert list(system.placed()) == ["porch"]
    assert system.stop() == 0
    assert not re.search(r'Traceback|"level": "(error|critical)"', system.output)
