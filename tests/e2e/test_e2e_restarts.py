"""Restarts that were asked for, one page of metrics, and the views of all processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.system import System, camera, filming, seconds, serving, wait_for

from vms.common.clock import rfc3339

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

ROLES = {"media": 2, "stream": 1, "api": 1}
WORKERS = {
    "supervisor": "supervisor",
    "media-0": "media",
    "media-1": "media",
    "stream-0": "stream",
    "api-0": "api",
    "keeper-0": "keeper",
    "render-0": "render",
    "transcode-0": "transcode",
    "nats": "nats",
}


@pytest.fixture(scope="module")
def urls() -> Iterator[list[str]]:
    with filming() as film:
        yield film("--pattern", "--bitrate", "300000", count=2)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, urls: list[str]) -> Iterator[System]:
    with serving(tmp_path_factory.mktemp("restarts")) as serve:
        system = serve([camera("porch", urls[0])], roles=ROLES)
        system.wait_live("porch")
        yield system


def _vms(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vms", *arguments, "--data-dir", str(system.data_dir)]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def test_status_shows_every_process_as_json_and_as_a_table(system: System) -> None:
    system.wait_running()

    def complete() -> dict[str, dict[str, Any]] | None:
        found = system.processes()
        lags = [each["loop_lag_ms"] for worker, each in found.items() if worker != "nats"]
        return found if found["media-0"]["cameras"] and None not in lags else None

    found = wait_for("a camera counted, and every process heard", complete)
    assert {worker: each["role"] for worker, each in found.items()} == WORKERS
    pids = {each["pid"] for each in found.values()}
    assert len(pids) == len(WORKERS)
    for worker, each in found.items():
        os.kill(each["pid"], 0)
        assert (each["state"], each["restarts"]) == ("running", 0), worker
        assert each["memory_bytes"] > 1 << 20
        assert each["cpu_percent"] >= 0
        assert (each["loop_lag_ms"] is None) == (worker == "nats")
    table = _vms(system, "status")
    assert table.returncode == 0, table.stderr
    for worker in WORKERS:
        assert re.search(rf"\b{worker}\b.*\brunning\b", table.stdout), table.stdout


def test_one_page_of_metrics_has_every_process(system: System) -> None:
    def by_worker() -> dict[str, str]:
        lags = system.metrics("vms_event_loop_lag_seconds", quantile="0.95")
        return {sample.labels["worker"]: sample.labels["role"] for sample in lags}

    def processes() -> set[str]:
        return {sample.labels["process"] for sample in system.metrics("vms_supervisor_running")}

    # A process that does not answer in time is left out; the next page has it.
    everyone = {worker: role for worker, role in WORKERS.items() if worker != "nats"}
    wait_for("every process on one page", lambda: by_worker() == everyone)
    wait_for("what runs", lambda: processes() == WORKERS.keys() - {"supervisor"})


@pytest.mark.parametrize(
    "worker", ["stream-0", "media-1", "keeper-0", "render-0", "transcode-0", "nats", "api-0"]
)
def test_a_restart_by_the_api_gives_one_process_another_life(worker: str, system: System) -> None:
    before = system.wait_running()
    answer = system.http.post(f"/system/processes/{worker}/restart")
    assert (answer.status_code, answer.json()) == (202, {"workers": [worker]})
    system.wait_replaced(before, [worker])


def test_a_restart_of_what_is_not_there_is_refused(system: System) -> None:
    answer = system.http.post("/system/processes/media-9/restart")
    assert answer.status_code == 404
    assert "media-0" in answer.json()["detail"]
    run = _vms(system, "restart", "media-9")
    assert run.returncode == 1
    assert "media-0" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_restart_by_the_command_line_takes_a_whole_role_one_after_the_other(system: System) -> None:
    before = system.wait_running()
    run = _vms(system, "restart", "media")
    assert run.returncode == 0, run.stderr
    assert "media-0" in run.stdout
    assert "media-1" in run.stdout
    system.wait_replaced(before, ["media-0", "media-1"])


@pytest.mark.parametrize("worker", ["media-0", "stream-0"])
def test_sighup_to_a_worker_gives_it_another_life(worker: str, system: System) -> None:
    before = system.wait_running()
    os.kill(before[worker], signal.SIGHUP)
    system.wait_replaced(before, [worker])
    system.wait_live("porch")


def test_sighup_reads_the_cameras_of_the_file_again(system: System, urls: list[str]) -> None:
    before = system.wait_running()
    system.configure([camera("porch", urls[0]), camera("gate", urls[1])])
    system.send(signal.SIGHUP)
    wait_for("the new camera", lambda: system.http.get("/cameras/gate").status_code == 200)
    system.wait_recorded("gate", 1)
    system.configure([camera("porch", urls[0])])
    system.send(signal.SIGHUP)
    wait_for("its removal", lambda: system.http.get("/cameras/gate").status_code == 404)
    assert system.wait_running() == before, "no process is restarted for cameras"


def test_sighup_restarts_what_a_change_is_for_and_nothing_else(system: System, urls: list[str]) -> None:
    before = system.wait_running()
    system.configure([camera("porch", urls[0])], storage={"segment": "3s"})
    system.send(signal.SIGHUP)
    system.wait_replaced(before, ["media-0", "media-1"])
    since = rfc3339(time.time_ns())

    def files() -> list[float]:
        """The lengths of those that were begun and closed since then."""
        segments = system.recordings("porch")["segments"]
        return [seconds(s["start"], s["end"]) for s in segments if s["closed"] and s["start"] > since]

    (length_s,) = wait_for("a file of the new length", files)[:1]
    assert length_s < 10, "3 s, and on to the next key picture"


def test_sighup_starts_and_ends_processes_where_their_number_changes(system: System, urls: list[str]) -> None:
    before = system.wait_running()
    system.configure([camera("porch", urls[0])], roles={**ROLES, "stream": 2})
    system.send(signal.SIGHUP)
    wait_for("one more", lambda: "stream-1" in system.wait_running())
    system.configure([camera("porch", urls[0])], roles=ROLES)
    system.send(signal.SIGHUP)
    wait_for("one less", lambda: "stream-1" not in system.wait_running())
    assert system.wait_running() == before


def test_a_file_that_cannot_be_used_changes_nothing(system: System, urls: list[str]) -> None:
    before = system.wait_running()
    system.configure([camera("porch", urls[0])], storage={"segment": "soon"})
    system.send(signal.SIGHUP)
    system.find(r"the configuration was not taken over[^\n]*|[^\n]*storage\.segment[^\n]*not taken over")
    assert system.wait_running() == before
    system.wait_live("porch")


def test_a_process_is_shown_and_restarted_in_the_web_app(page: Page, system: System) -> None:
    page.goto(f"{system.url}/system")
    for worker in WORKERS:
        expect(page.get_by_test_id(f"process-{worker}")).to_have_attribute("data-state", "running")
    before = system.wait_running()
    row = page.get_by_test_id("process-media-0")
    expect(row).to_contain_text(str(before["media-0"]))
    row.get_by_role("button").click()
    page.get_by_test_id("restart-confirm").click()
    now = system.wait_replaced(before, ["media-0"])
    expect(row).to_contain_text(str(now["media-0"]))
    expect(row).to_have_attribute("data-state", "running")
