"""A start without the bus and without the database: what is known is recorded, and all heals by itself."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.e2e.system import PATIENCE_S, System, camera, wait_for
from tests.free_ports import free_port

pytestmark = pytest.mark.e2e

CAMERAS = ["porch", "gate"]
ROLES = {"media": 2, "stream": 1, "api": 1}


def test_cameras_are_recorded_from_a_cold_start_without_bus_and_database(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    urls = virtual_camera("--pattern", "--bitrate", "500000", count=2)
    cameras = [camera(camera_id, url) for camera_id, url in zip(CAMERAS, urls, strict=True)]
    first = serve(cameras[:1], data_dir=data_dir, roles=ROLES)
    assert first.http.post("/cameras", json=cameras[1]).status_code == 201
    for camera_id in CAMERAS:
        first.wait_recorded(camera_id, 1)
    assert first.stop() == 0
    database = _break_database(data_dir)

    nothing = {"bus": {"url": "nats://127.0.0.1:1"}, "http": {"port": free_port()}}
    second = serve(cameras[:1], data_dir=data_dir, roles=ROLES, wait_ready=False, **nothing)
    for camera_id in CAMERAS:
        _grows(data_dir, camera_id)
    refused = _answer(second, "GET", "/cameras")
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"]
    assert _answer(second, "POST", "/cameras", json=camera("new", urls[0])).status_code == 503
    assert _answer(second, "GET", f"{second.url}/readyz").status_code == 503
    assert [s.value for s in second.metrics("vms_registry_available")] == [0]
    _heal_database(data_dir, database)
    wait_for("the registry", lambda: [s.value for s in second.metrics("vms_registry_available")] == [1])
    assert _restarted(second) == {}
    for camera_id in CAMERAS:
        _grows(data_dir, camera_id)
    assert second.stop() == 0
    assert "Traceback" not in second.output

    database = _break_database(data_dir)
    third = serve(cameras[:1], data_dir=data_dir, roles=ROLES)
    for camera_id in CAMERAS:
        third.wait_live(camera_id)  # the bus knows them
        wait_for(
            f"{camera_id} recorded a third time",
            lambda each=camera_id: len(third.recordings(each)["spans"]) == 3,
        )
    refused = third.http.post("/cameras", json=camera("new", urls[0]))
    assert refused.status_code == 503
    assert "recording goes on" in refused.json()["detail"]
    _heal_database(data_dir, database)
    added = wait_for(
        "the database to be taken up again",
        lambda: (a := third.http.post("/cameras", json=camera("new", urls[0]))).status_code == 201 and a,
    )
    assert added.json()["id"] == "new"
    third.wait_recorded("new", 1)
    for camera_id in CAMERAS:
        timeline = third.recordings(camera_id)
        assert [gap["reason"] for gap in timeline["gaps"]] == ["system_stopped"] * 2
        assert len(timeline["spans"]) == 3
    assert _restarted(third) == {}


def _restarted(system: System) -> dict[str, int]:
    """How often, of each process that was."""
    processes = wait_for("an answer of the supervisor", system.asked)
    return {name: each.restarts for name, each in processes.items() if each.restarts}


def _break_database(data_dir: Path) -> bytes:
    """Put garbage in place of the database; gives what it was."""
    path = data_dir / "vms.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for rest in data_dir.glob("vms.sqlite-*"):
        rest.unlink()
    whole = path.read_bytes()
    path.write_bytes(b"This is no database. " * 500)
    return whole


def _heal_database(data_dir: Path, whole: bytes) -> None:
    for rest in data_dir.glob("vms.sqlite-*"):
        rest.unlink()
    new = data_dir / "vms.sqlite.new"
    new.write_bytes(whole)
    new.replace(data_dir / "vms.sqlite")


def _grows(data_dir: Path, camera_id: str) -> None:
    """Fails unless recordings of a camera grow on the volume."""

    def size() -> int:
        return sum(path.stat().st_size for path in (data_dir / "recordings" / camera_id).rglob("*.mp4"))

    before = size()
    # A system that has just been started takes a while on a busy machine.
    wait_for(f"more of {camera_id} on the disk", lambda: size() > before + 50_000, 2 * PATIENCE_S)


def _answer(system: System, method: str, path: str, **more: object) -> httpx.Response:
    """The first answer, from a system that may not listen yet."""

    def probe() -> httpx.Response | None:
        try:
            return system.http.request(method, path, **more)  # type: ignore[arg-type]
        except httpx.TransportError:
            return None

    return wait_for(f"an answer to {method} {path}", probe)
