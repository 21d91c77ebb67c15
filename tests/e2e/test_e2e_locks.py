"""Evidence locks over real processes: the gateway tells keepers, whoever died in between."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.system import System, wait_for

from vms.common.clock import NS, rfc3339

CAMERA = {"id": "porch", "name": "Porch", "source": "rtsp://127.0.0.1:1/s", "record": "off"}


def new_lock() -> dict[str, str]:
    now_ns = time.time_ns()
    return {
        "camera_id": "porch",
        "start": rfc3339(now_ns - 60 * NS),
        "end": rfc3339(now_ns),
        "reason": "burglary",
        "created_by": "Ana",
    }


def holds(lock: dict[str, Any]) -> list[bool]:
    return [volume["holds"] for volume in lock["volumes"]]


@pytest.fixture
def volumes(tmp_path: Path) -> list[Path]:
    return [tmp_path / "one", tmp_path / "two"]


def test_a_lock_reaches_a_keeper_that_was_killed_as_soon_as_it_is_back(
    tmp_path: Path, volumes: list[Path]
) -> None:
    storage = {"volumes": [{"path": str(path), "quota": "64MiB"} for path in volumes]}
    system = System(tmp_path / "data", [CAMERA], storage=storage)
    try:
        first = system.http.post("/locks", json=new_lock())
        assert first.status_code == 201, first.text
        wait_for(
            "both volumes obeying",
            lambda: all(holds(system.http.get(f"/locks/{first.json()['id']}").json())),
        )
        pid = system.processes()["keeper-1"]["pid"]
        os.kill(pid, signal.SIGSTOP)  # a disk that hangs, as others see it
        second = system.http.post("/locks", json=new_lock())
        assert second.status_code == 201
        assert not holds(second.json())[1]
        assert second.json()["volumes"][1]["detail"]
        with suppress(ProcessLookupError):  # it may have been found hung
            os.kill(pid, signal.SIGKILL)
        place = f"/locks/{second.json()['id']}"
        wait_for("the lock on both volumes", lambda: all(holds(system.http.get(place).json())))
        for path in volumes:
            text = (path / "vms-locks.json").read_text()
            assert first.json()["id"] in text
            assert second.json()["id"] in text
        alarms = system.http.get("/alarms").json()["alarms"]
        assert [alarm for alarm in alarms if alarm["slug"] == "locks_unnamed"] == []
    finally:
        system.stop()


def test_locks_are_503_without_the_supervisor_and_hold_all_the_same(tmp_path: Path) -> None:
    system = System(tmp_path / "data", [CAMERA])
    try:
        made = system.http.post("/locks", json=new_lock()).json()
        place = f"/locks/{made['id']}"
        wait_for("the volume obeying", lambda: all(holds(system.http.get(place).json())))
        os.kill(system.processes()["supervisor"]["pid"], signal.SIGKILL)
        refused = system.http.post("/locks", json=new_lock())
        assert refused.status_code in (201, 503)  # the next supervisor may be there already
        wait_for("the next supervisor", lambda: system.http.get(place).status_code == 200)
        wait_for("the volume obeying", lambda: all(holds(system.http.get(place).json())))
        locks = system.http.get("/locks").json()["locks"]
        assert len(locks) == (2 if refused.status_code == 201 else 1)
        assert made["id"] in (tmp_path / "data" / "recordings" / "vms-locks.json").read_text()
    finally:
        system.stop()
