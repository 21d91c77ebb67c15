"""Locks, bookmarks, events, volumes and coverage of the whole system in one process."""

import asyncio
import json
import time
from pathlib import Path

import httpx

from vms.app import single
from vms.common.camera import Camera
from vms.common.clock import NS, rfc3339
from vms.config import Config, HttpConfig, SiteConfig, WebRtcConfig
from vms.storage.locks import LOCKS_NAME


def config(data_dir: Path) -> Config:
    camera = Camera.model_validate(
        {"id": "porch", "name": "Porch", "source": "rtsp://127.0.0.1:1/s", "record": "off"}
    )
    return Config(
        data_dir=data_dir,
        http=HttpConfig(port=0),
        webrtc=WebRtcConfig(port=0),
        site=SiteConfig(name="Harbour", time_zone="America/Sao_Paulo"),
        cameras=(camera,),
    )


async def test_a_lock_is_on_the_volume_when_it_is_answered_and_still_after_the_next_start(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    locks_file = data_dir / "recordings" / LOCKS_NAME
    now_ns = time.time_ns()
    new = {
        "camera_id": "porch",
        "start": rfc3339(now_ns - 60 * NS),
        "end": rfc3339(now_ns),
        "reason": "burglary",
        "created_by": "Ana",
    }
    system = single.System(config(data_dir))
    await system.start()
    async with httpx.AsyncClient(base_url=f"{system.url}/api/v1") as client:
        made = await client.post("/locks", json=new)
        assert made.status_code == 201, made.text
        lock = made.json()
        assert lock["volumes"] == [{"volume": str(data_dir / "recordings"), "holds": True, "detail": ""}]
        assert lock["id"] in locks_file.read_text()
    await system.stop()
    await system.start()
    async with httpx.AsyncClient(base_url=f"{system.url}/api/v1") as client, asyncio.timeout(20):
        while not (found := (await client.get(f"/locks/{lock['id']}")).json())["volumes"][0]["holds"]:
            await asyncio.sleep(0.02)
        assert found == lock
        release = {"released_by": "Bento", "reason": "done"}
        released = (await client.post(f"/locks/{lock['id']}/release", json=release)).json()
        assert [volume["holds"] for volume in released["volumes"]] == [False]
        assert lock["id"] not in json.dumps(json.loads(locks_file.read_text())["locks"])
    await system.stop()


async def test_an_event_that_is_raised_is_in_the_journal_and_bookmarks_volumes_and_coverage_are_served(
    tmp_path: Path,
) -> None:
    system = single.System(config(tmp_path / "data"))
    await system.start()
    async with httpx.AsyncClient(base_url=f"{system.url}/api/v1") as client, asyncio.timeout(20):
        raised = await client.post("/events", json={"kind": "motion", "camera_id": "porch", "text": "a cat"})
        assert raised.status_code == 202
        # 503 until the journal is made, which is when its first event has come over the bus
        while not (events := (await client.get("/events", params={"kind": "motion"})).json().get("events")):
            await asyncio.sleep(0.02)
        assert (events[0]["id"], events[0]["worker"], events[0]["text"]) == (
            raised.json()["id"],
            "api-0",
            "a cat",
        )

        new = {"camera_id": "porch", "start": rfc3339(time.time_ns()), "title": "A cat"}
        assert (await client.post("/bookmarks", json=new)).status_code == 201
        assert [each["title"] for each in (await client.get("/bookmarks")).json()["bookmarks"]] == ["A cat"]

        while (volume := (await client.get("/volumes")).json()["volumes"][0])["state"] != "ok":
            await asyncio.sleep(0.02)
        assert volume["id"] is not None
        assert (volume["encrypted"], volume["tiers"], volume["alarms"]) == (False, [], [])
        assert (await client.get("/alarms")).json() == {"alarms": []}  # the camera is not to be recorded

        coverage = (await client.get("/coverage")).json()
        assert (coverage["events_known"], coverage["locks_known"]) == (True, True)
        assert coverage["cameras"] == [{"id": "porch", "spans": [], "event_spans": [], "locked": []}]
        site = (await client.get("/system")).json()["site"]
        assert site == {"name": "Harbour", "time_zone": "America/Sao_Paulo"}
        camera = (await client.get("/cameras/porch")).json()
        assert camera["recording_state"] == "off"
    await system.stop()
