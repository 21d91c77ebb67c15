"""Cameras that drop, lie, come and go: the trouble stays theirs, and is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.players import decoded
from tests.e2e.system import System, camera, wait_for

pytestmark = pytest.mark.e2e

SECRET = "hunter2-sesame"


def test_a_camera_that_drops_and_returns_leaves_a_gap_with_its_reason(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (dropping,) = virtual_camera("--pattern", "--drop-after", "8", "--drop-for", "2")
    (steady,) = virtual_camera("--pattern")
    system = serve([camera("dropping", dropping), camera("steady", steady)])
    system.wait_live("dropping")
    system.wait_live("steady")
    failed = wait_for("the drop", lambda: (c := system.camera("dropping"))["state"] == "failed" and c)
    assert failed["reason"]
    assert failed["reason_code"]
    gap = wait_for("the gap", lambda: system.recordings("dropping")["gaps"])[0]
    assert gap["reason"] == "camera_lost"
    system.wait_live("dropping")
    gap = wait_for(
        "the end of the gap", lambda: [g for g in system.recordings("dropping")["gaps"] if g["end"]]
    )[0]
    assert gap["start"] < gap["end"]
    wait_for("two spans", lambda: len(system.recordings("dropping")["spans"]) >= 2 or None)
    playlist = system.http.get("/cameras/dropping/playback.m3u8").text
    assert playlist.count("#EXT-X-DISCONTINUITY\n") == 1
    other = system.recordings("steady")
    assert (len(other["spans"]), other["gaps"]) == (1, [])
    assert system.http.get(f"{system.url}/readyz").status_code == 200


def test_cameras_are_added_changed_and_removed_while_others_record(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    first, second = virtual_camera("--pattern", count=2)
    system = serve([camera("steady", first)])
    system.wait_live("steady")
    made = system.http.post("/cameras", json=camera("new", second))
    assert made.status_code == 201
    assert made.headers["location"].endswith("/api/v1/cameras/new")
    system.wait_recorded("new", 2)
    assert system.http.patch("/cameras/new", json={"record": "off"}).json()["record"] == "off"
    wait_for("recording off", lambda: not system.camera("new")["recording"] or None)
    assert system.camera("new")["state"] == "live"
    assert (
        system.http.patch("/cameras/new", json={"record": "continuous", "name": "Newer"}).status_code == 200
    )
    wait_for("a second span", lambda: len(system.recordings("new")["spans"]) == 2 or None)
    gaps = system.recordings("new")["gaps"]
    assert [gap["reason"] for gap in gaps] == ["recording_off"]
    assert system.http.delete("/cameras/new").status_code == 204
    assert system.http.get("/cameras/new").status_code == 404
    assert len(system.recordings("steady")["spans"]) == 1
    system.stop()
    again = serve([camera("steady", first)], data_dir=system.data_dir)
    assert [entry["id"] for entry in again.http.get("/cameras").json()["cameras"]] == ["steady"]


def test_cameras_made_by_the_api_are_kept_over_a_restart(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern", "--user", "admin", "--password", SECRET)
    system = serve([])
    source = url.replace("rtsp://", f"rtsp://admin:{SECRET}@")
    assert system.http.post("/cameras", json=camera("kept", source)).status_code == 201
    system.wait_live("kept")
    system.stop()
    again = serve([], data_dir=system.data_dir)
    again.wait_live("kept")


def test_a_wrong_password_is_said_and_appears_nowhere(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern", "--user", "admin", "--password", "another-one")
    system = serve([])
    source = url.replace("rtsp://", f"rtsp://admin:{SECRET}@")
    answers = [system.http.post("/cameras", json=camera("locked", source))]
    failed = wait_for("the refusal", lambda: (c := system.camera("locked"))["state"] == "failed" and c)
    assert failed["reason_code"] == "unauthorized"
    assert "password" in failed["reason"]
    paths = ["/cameras", "/cameras/locked", "/cameras/locked/recordings", "/cameras/locked/snapshot.jpg"]
    answers += [system.http.get(path) for path in paths]
    answers.append(
        system.http.patch("/cameras/locked", json={"source": f"http://admin:{SECRET}@h/", "colour": SECRET})
    )
    answers.append(system.http.get(f"{system.url}/metrics"))
    assert all(SECRET not in answer.text for answer in answers)
    system.stop()
    assert SECRET not in system.output
    for path in system.data_dir.rglob("*"):
        if path.is_file() and path.name != "vms.yaml":
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.needs("ffmpeg")
def test_a_snapshot_shows_now_and_then(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], tmp_path: Path
) -> None:
    (url,) = virtual_camera("--pattern")
    system = serve([camera("porch", url)])
    system.wait_recorded("porch", 3)
    then = system.recordings("porch")["spans"][0]["start"]
    for number, params in enumerate(({}, {"at": then})):
        answer = system.http.get("/cameras/porch/snapshot.jpg", params=params)
        assert answer.headers["content-type"] == "image/jpeg"
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(answer.content)
        assert len(decoded(path)) == 1
    before = system.http.get("/cameras/porch/snapshot.jpg", params={"at": "2020-01-01T00:00:00Z"})
    assert before.status_code == 404
    assert before.headers["content-type"] == "application/problem+json"
