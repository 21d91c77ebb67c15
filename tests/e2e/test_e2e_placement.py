"""Cameras land on media processes, stay there while those are well, and many changes at once end in the right state."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.e2e.system import System, camera, filming, serving, wait_for

pytestmark = pytest.mark.e2e

STEADY = ["steady-0", "steady-1"]
CHANGES_EACH = 40
OWNED = ["busy-0", "busy-1", "busy-2", "busy-3"]
SHARED = "busy-all"


@pytest.fixture(scope="module")
def urls() -> Iterator[list[str]]:
    with filming() as film:
        yield film("--pattern", "--bitrate", "300000", count=4)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, urls: list[str]) -> Iterator[System]:
    with serving(tmp_path_factory.mktemp("placement")) as serve:
        cameras = [camera(camera_id, url) for camera_id, url in zip(STEADY, urls, strict=False)]
        system = serve(cameras, roles={"media": 2, "stream": 1, "api": 2})
        for camera_id in STEADY:
            system.wait_live(camera_id)
        yield system


def test_a_camera_added_changed_and_removed_at_run_time_lands_on_one_process_and_moves_no_other(
    system: System, urls: list[str]
) -> None:
    before = system.placed()
    assert sorted(worker for (worker,) in before.values()) == ["media-0", "media-1"]
    for camera_id, url in (("new-0", urls[2]), ("new-1", urls[3])):
        made = system.http.post("/cameras", json=camera(camera_id, url))
        assert made.status_code == 201
        assert made.headers["location"].endswith(f"/api/v1/cameras/{camera_id}")
        system.wait_recorded(camera_id, 2)
    placed = system.placed()
    assert {camera_id: placed[camera_id] for camera_id in STEADY} == before
    assert [len(workers) for workers in placed.values()] == [1, 1, 1, 1]

    changed = system.http.patch("/cameras/new-0", json={"source": urls[3]})
    assert changed.status_code == 200, changed.text
    system.wait_live("new-0")
    assert system.placed() == placed
    assert system.http.patch("/cameras/new-0", json={"record": "off"}).status_code == 200
    wait_for("recording off", lambda: not system.camera("new-0")["recording"])
    assert system.camera("new-0")["state"] == "live"
    assert system.camera("new-1")["recording"]
    changed = system.http.patch("/cameras/new-0", json={"record": "continuous", "name": "Newer"})
    assert changed.status_code == 200, changed.text
    wait_for("recording again", lambda: _recorded_after_off(system, "new-0"))
    for camera_id in ("new-0", "new-1"):
        assert system.http.delete(f"/cameras/{camera_id}").status_code == 204
        assert system.http.get(f"/cameras/{camera_id}").status_code == 404
    wait_for("the removal", lambda: system.placed(live=False) == before)
    for camera_id in STEADY:
        timeline = system.recordings(camera_id)
        assert (len(timeline["spans"]), timeline["gaps"]) == (1, [])


def test_a_restart_of_a_media_process_moves_no_camera(system: System) -> None:
    before, pids = system.placed(), system.wait_running()
    answer = system.http.post("/system/processes/media-0/restart")
    assert (answer.status_code, answer.json()) == (202, {"workers": ["media-0"]})
    system.wait_replaced(pids, ["media-0"])
    wait_for("all live", lambda: system.placed() == before)


def test_two_hundred_changes_at_once_end_in_the_right_state_and_keep_it_over_a_restart(
    system: System, urls: list[str]
) -> None:
    clients = [httpx.Client(base_url=system.http.base_url, timeout=60) for _ in range(6)]
    works = [lambda n=n: _own_changes(clients[n], OWNED[n], urls[n]) for n in range(len(OWNED))]
    works += [lambda n=n: _shared_changes(clients[4 + n], urls[n], n) for n in range(2)]
    with ThreadPoolExecutor(len(works)) as pool:
        expected = dict(entry for entry in pool.map(lambda work: work(), works) if entry)
    for client in clients:
        client.close()
    shared = camera(SHARED, urls[0], name="In the end")
    system.http.delete(f"/cameras/{SHARED}")
    assert system.http.post("/cameras", json=shared).status_code == 201
    expected |= {SHARED: shared["name"]} | {camera_id: camera_id.title() for camera_id in STEADY}
    _judge(system, expected)
    for camera_id in STEADY:
        assert len(system.recordings(camera_id)["segments"]) >= 1
    before = system.placed()
    system.stop()
    cameras = json.loads(system.config.read_text())["cameras"]
    with serving(system.data_dir.parent) as serve:
        again = serve(cameras, **system.sections)
        _judge(again, expected)
        assert again.placed() == before


def _recorded_after_off(system: System, camera_id: str) -> bool:
    """Whether there are pictures behind a stretch that was not to be recorded. The change of the source left a gap too."""
    timeline = system.recordings(camera_id)
    off = [gap["end"] for gap in timeline["gaps"] if gap["reason"] == "recording_off"]
    return bool(off and off[-1]) and timeline["spans"][-1]["start"] >= off[-1]


def _judge(system: System, expected: dict[str, str]) -> None:
    """What the API lists, and what the media processes pull, each camera once."""

    def listed() -> dict[str, str]:
        cameras = system.http.get("/cameras").raise_for_status().json()["cameras"]
        return {entry["id"]: entry["name"] for entry in cameras}

    # The api process that is asked may be another than the one that made a change, which knew it first.
    wait_for("the cameras as they were left", lambda: listed() == expected)
    wait_for("all live", lambda: sorted(system.placed()) == sorted(expected))
    wait_for(
        "each pulled by one process, and no other",
        lambda: (
            {camera_id: len(workers) for camera_id, workers in system.placed(live=False).items()}
            == dict.fromkeys(expected, 1)
        ),
    )
    wait_for(
        "the count in the status",
        lambda: sum(each.cameras for each in system.asked().values()) == len(expected),
    )


def _own_changes(client: httpx.Client, camera_id: str, url: str) -> tuple[str, str] | None:
    """Changes of a camera that nobody else touches: each must be done as asked. Its name in the end, if it is there."""
    chance = random.Random(camera_id)
    name: str | None = None
    for number in range(CHANGES_EACH):
        if name is None:
            name = f"Name {number}"
            answer = client.post("/cameras", json=camera(camera_id, url, name=name))
            assert answer.status_code == 201, answer.text
        elif number < CHANGES_EACH - 1 and chance.random() < 0.25:
            answer = client.delete(f"/cameras/{camera_id}")
            assert answer.status_code == 204, answer.text
            name = None
        else:
            name = f"Name {number}"
            change: dict[str, Any] = {"name": name, "record": chance.choice(["off", "continuous"])}
            answer = client.patch(f"/cameras/{camera_id}", json=change)
            assert answer.status_code == 200, answer.text
            assert answer.json()["name"] == name
    return (camera_id, name) if name is not None else None


def _shared_changes(client: httpx.Client, url: str, number: int) -> None:
    """Two at a time over one camera: each change is done, or refused for what the other did."""
    chance = random.Random(number)
    for _ in range(CHANGES_EACH // 2):
        match chance.choice(["post", "patch", "delete"]):
            case "post":
                answer = client.post("/cameras", json=camera(SHARED, url))
                assert answer.status_code in (201, 409), answer.text
            case "patch":
                answer = client.patch(f"/cameras/{SHARED}", json={"name": f"By {number}"})
                assert answer.status_code in (200, 404), answer.text
            case _:
                assert client.delete(f"/cameras/{SHARED}").status_code in (204, 404)
