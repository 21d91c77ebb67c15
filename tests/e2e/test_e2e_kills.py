"""kill -9 of each process in turn while four cameras record and a browser watches: who else notices, and how much."""

import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.browser import new_page, tiles_play
from tests.e2e.system import System, camera, filming, runs, seconds, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

CAMERAS = [f"porch-{number}" for number in range(4)]
KILLED = ["api-0", "stream-0", "keeper-0", "render-0", "nats", "media-0"]
LOST_S = 1.0  # of what was received, at most, when a media process is killed


@pytest.fixture(scope="module")
def film() -> Iterator[Callable[..., list[str]]]:
    with filming() as film:
        yield film


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, film: Callable[..., list[str]]) -> Iterator[System]:
    with serving(tmp_path_factory.mktemp("kills")) as serve:
        urls = film("--pattern", "--bitrate", "500000", count=len(CAMERAS))
        cameras = [camera(camera_id, url) for camera_id, url in zip(CAMERAS, urls, strict=True)]
        roles = {"media": 2, "stream": 2, "api": 1}
        system = serve(cameras, roles=roles, storage={"segment": "3s"})
        for camera_id in CAMERAS:
            system.wait_live(camera_id)
        yield system


@pytest.fixture(scope="module")
def grid(browser: Browser, system: System) -> Iterator[Page]:
    page = new_page(browser)
    page.goto(system.url)
    for camera_id in CAMERAS:
        expect(page.get_by_test_id(f"tile-{camera_id}")).to_have_attribute("data-state", "live")
    tiles_play(page, CAMERAS)
    yield page
    page.context.close()


def test_cameras_are_spread_over_the_media_processes(system: System) -> None:
    placed = wait_for("all live", lambda: (p := system.placed()) and sorted(p) == CAMERAS and p)
    assert sorted(worker for (worker,) in placed.values()) == ["media-0", "media-0", "media-1", "media-1"]


@pytest.mark.parametrize("worker", KILLED)
def test_a_killed_process_is_back_and_nobody_else_loses_anything(
    worker: str, system: System, grid: Page
) -> None:
    _kill_and_judge(system, grid, worker)


def test_a_killed_supervisor_takes_nothing_with_it_and_the_next_one_adopts_what_runs(
    system: System, grid: Page
) -> None:
    _kill_and_judge(system, grid, "supervisor")
    others = len(system.wait_running()) - 1
    wait_for("all the others adopted", lambda: system.output.count('"event": "adopted"') >= others)


@pytest.mark.parametrize("worker", ["media-1", "nats"])
def test_a_process_that_was_adopted_is_started_again_as_any_other(
    worker: str, system: System, grid: Page
) -> None:
    _kill_and_judge(system, grid, worker)


def test_the_bus_may_lose_its_store(system: System, grid: Page, film: Callable[..., list[str]]) -> None:
    before = system.wait_running()
    placed = wait_for("all live", lambda: (p := system.placed()) and sorted(p) == CAMERAS and p)
    killed_at = datetime.now(UTC)
    # So that the server is not back before its store is gone, and the launcher takes nobody for hung.
    watchers = (system.pid, before["supervisor"])
    for pid in watchers:
        os.kill(pid, signal.SIGSTOP)
    os.kill(before["nats"], signal.SIGKILL)
    wait_for("its end", lambda: not runs(before["nats"]))
    shutil.rmtree(system.data_dir / "bus")
    assert _listed(system) == CAMERAS
    tiles_play(grid, CAMERAS)
    for pid in reversed(watchers):
        os.kill(pid, signal.SIGCONT)

    system.wait_replaced(before, ["nats"])
    (url,) = film("--pattern", "--bitrate", "500000")
    wait_for(
        "a camera to be added",
        lambda: system.http.post("/cameras", json=camera("porch-new", url)).status_code == 201,
    )
    system.wait_recorded("porch-new", 2)
    expect(grid.get_by_test_id("tile-porch-new")).to_have_attribute("data-state", "live")
    tiles_play(grid, [*CAMERAS, "porch-new"])
    assert _listed(system) == [*CAMERAS, "porch-new"]
    wait_for("every camera where it was", lambda: placed.items() <= system.placed().items())
    unrecorded = {camera_id: _unrecorded_s(system, camera_id, killed_at) for camera_id in CAMERAS}
    assert unrecorded == dict.fromkeys(CAMERAS, 0), [system.recordings(each)["gaps"] for each in CAMERAS]


def _listed(system: System) -> list[str]:
    return sorted(entry["id"] for entry in system.http.get("/cameras").json()["cameras"])


def _kill_and_judge(system: System, grid: Page, worker: str) -> None:
    before = system.wait_running()
    placed = wait_for("all live", lambda: (p := system.placed()) and sorted(p) == CAMERAS and p)
    killed_at = datetime.now(UTC)
    os.kill(before[worker], signal.SIGKILL)
    tiles_play(grid, CAMERAS)
    system.wait_replaced(before, [worker])
    _wait_recorded_after(system, datetime.now(UTC))
    tiles_play(grid, CAMERAS)
    unrecorded = {camera_id: _unrecorded_s(system, camera_id, killed_at) for camera_id in CAMERAS}
    wait_for("every camera where it was", lambda: system.placed() == placed)
    for camera_id, seconds_lost in unrecorded.items():
        if placed[camera_id] == [worker]:
            away_s = _away_s(system, camera_id, killed_at)
            assert seconds_lost <= away_s + LOST_S, camera_id
        else:
            assert seconds_lost == 0, camera_id


def _away_s(system: System, camera_id: str, killed_at: datetime) -> float:
    """Seconds from the kill until a new process had pictures of a camera, as it says in its log."""
    lines = [json.loads(line) for line in system.lines if '"event": "camera live"' in line]
    lives = [line["timestamp"] for line in lines if line["camera"] == camera_id]
    return seconds(killed_at.isoformat(), lives[-1])


def _wait_recorded_after(system: System, moment: datetime) -> None:
    """Until every camera's recording is past `moment`."""
    after = moment.isoformat()

    def past(camera_id: str) -> bool:
        spans = system.recordings(camera_id)["spans"]
        return bool(spans) and seconds(after, spans[-1]["end"]) > 1

    for camera_id in CAMERAS:
        wait_for(f"{camera_id} recorded after {after}", lambda camera_id=camera_id: past(camera_id))


def _unrecorded_s(system: System, camera_id: str, killed_at: datetime) -> float:
    """Seconds that are missing from a moment before the kill to the newest; the gaps must say the same."""
    since = (killed_at - timedelta(seconds=1)).isoformat()
    timeline: dict[str, Any] = system.recordings(camera_id, start=since)
    spans = timeline["spans"]
    missing_s = sum(seconds(one["end"], other["start"]) for one, other in itertools.pairwise(spans))
    assert seconds(spans[0]["start"], since) > -0.5, "it was recorded when this began"
    assert len(timeline["gaps"]) == len(spans) - 1, timeline["gaps"]
    return round(missing_s, 3)
