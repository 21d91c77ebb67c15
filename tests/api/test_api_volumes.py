"""Volumes, alarms and the site over HTTP."""

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, SEGMENT_ID, TOKEN, Backend, Status, Tier, Volume

from vms import __version__
from vms.api.alarms import AlarmBoard
from vms.common.clock import rfc3339
from vms.common.ids import CameraId

VOLUMES, ALARMS = "/api/v1/volumes", "/api/v1/alarms"


async def gate_off(backend: Backend) -> None:
    """Leave one camera: the other is not recorded, as is wanted."""
    await backend.registry.apply(())
    backend.recorder.cameras.add("porch")


async def test_a_volume_is_shown_with_its_tiers(client: httpx.AsyncClient) -> None:
    answer = await client.get(VOLUMES)
    assert answer.status_code == 200
    assert answer.json()["volumes"] == [
        {
            "path": "/recordings",
            "id": str(SEGMENT_ID),
            "state": "ok",
            "error": None,
            "used_bytes": 10,
            "quota_bytes": 100,
            "room_bytes": 90,
            "encrypted": True,
            "tiers": [{"name": "cold", "kind": "s3", "used_bytes": 5, "quota_bytes": 1000, "error": None}],
            "locked_bytes": 3,
            "alarms": [],
            "found": {"repaired": 1},
        }
    ]


async def test_a_system_that_is_well_has_no_alarms(backend: Backend, client: httpx.AsyncClient) -> None:
    await gate_off(backend)
    backend.clock.advance(3600)
    assert (await client.get(ALARMS)).json() == {"alarms": []}


async def test_a_camera_that_is_not_recorded_for_long_is_an_alarm_until_it_is(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    await gate_off(backend)
    backend.recorder.cameras.clear()
    backend.recorder.states["porch"] = "failed"
    backend.streams.statuses["porch"] = Status(state="failed", reason="no answer in 10.0 s")
    assert (await client.get(ALARMS)).json()["alarms"] == []  # it may be back in a moment
    backend.clock.advance(20)
    assert (await client.get(ALARMS)).json()["alarms"] == [
        {
            "slug": "camera_not_recorded",
            "severity": "critical",
            "text": "Front porch: no answer in 10.0 s",
            "since": rfc3339(NOW_NS),
            "camera_id": "porch",
            "volume": None,
        }
    ]
    backend.recorder.states["porch"] = "recording"
    backend.clock.advance(3)
    assert (await client.get(ALARMS)).json()["alarms"] == []


@pytest.mark.parametrize("state", ["waiting_event", "not_scheduled", "off", "recording"])
async def test_a_camera_that_need_not_be_recorded_now_is_no_alarm(
    backend: Backend, client: httpx.AsyncClient, state: str
) -> None:
    await gate_off(backend)
    backend.recorder.cameras.clear()
    backend.recorder.states["porch"] = state
    await client.get(ALARMS)
    backend.clock.advance(20)
    assert (await client.get(ALARMS)).json()["alarms"] == []
    assert (await client.get("/api/v1/cameras/porch")).json()["recording_state"] == state


async def test_footage_that_cannot_be_kept_is_an_alarm_with_its_reason(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    await gate_off(backend)
    backend.recorder.errors["porch"] = "/recordings: the disk is full"
    await client.get(ALARMS)
    backend.clock.advance(20)
    (alarm,) = (await client.get(ALARMS)).json()["alarms"]
    assert alarm["text"] == "Front porch: /recordings: the disk is full"


async def test_what_is_wrong_with_volumes_and_tiers_is_said_at_once_the_critical_first(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    await gate_off(backend)
    backend.volumes.known = [
        Volume(path="/a", alarms=("tier_unreachable",), tiers=(Tier(error="no answer from s3"),)),
        Volume(path="/b", state="failed", error="I/O error"),
        Volume(path="/c", state="full", alarms=("full_of_protected", "something_new")),
        Volume(path="/d", state="starting"),
    ]
    alarms = (await client.get(ALARMS)).json()["alarms"]
    assert [(alarm["slug"], alarm["severity"], alarm["volume"]) for alarm in alarms] == [
        ("volume_failed", "critical", "/b"),
        ("full_of_protected", "critical", "/c"),
        ("tier_unreachable", "warning", "/a"),
        ("something_new", "warning", "/c"),
    ]
    texts = [alarm["text"] for alarm in alarms]
    assert "I/O error" in texts[0]
    assert "cold: no answer from s3" in texts[2]
    metrics = (await client.get("/metrics")).text
    assert 'vms_alarms{role="api",severity="critical",slug="volume_failed",worker="api-0"} 1.0' in metrics
    backend.volumes.known = [Volume(path="/b")]
    backend.clock.advance(3)
    assert (await client.get(ALARMS)).json()["alarms"] == []
    assert "volume_failed" not in (await client.get("/metrics")).text


async def test_an_alarm_keeps_its_age_while_it_lasts(backend: Backend) -> None:
    await gate_off(backend)
    board = AlarmBoard(backend.ports)
    backend.volumes.known = [Volume(state="failed", error="gone")]
    await board.alarms()
    backend.clock.advance(60)
    backend.volumes.known = [Volume(state="failed", error="gone still")]
    (raised,) = await board.alarms()
    assert raised.since_ns == NOW_NS
    assert "gone still" in raised.text


async def test_the_system_says_its_version_its_time_and_its_site(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/system")
    assert answer.json() == {
        "version": __version__,
        "now": rfc3339(NOW_NS),
        "site": {"name": "Headquarters", "time_zone": "America/Sao_Paulo"},
    }


async def test_a_camera_of_unknown_class_is_refused(client: httpx.AsyncClient, backend: Backend) -> None:
    answer = await client.patch("/api/v1/cameras/porch", json={"retention_class": "nope"})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "body.retention_class")
    assert (
        await client.patch("/api/v1/cameras/porch", json={"retention_class": "evidence"})
    ).status_code == 200
    entry = await backend.registry.get(CameraId("porch"))
    assert entry.camera.retention_class == "evidence"
    assert (await client.patch("/api/v1/cameras/porch", json={"retention_class": None})).status_code == 200


async def test_volumes_alarms_and_system_need_the_token(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        for path in (VOLUMES, ALARMS, "/api/v1/system"):
            assert (await client.get(path)).status_code == 401
