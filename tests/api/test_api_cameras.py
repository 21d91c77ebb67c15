"""Cameras over HTTP: what is shown, what may be changed, what never leaves."""

import logging
from dataclasses import replace

import httpx
import pytest
from structlog.testing import capture_logs
from tests.api.stand_ins import PASSWORD, Backend, Status, View

from vms.common.ids import CameraId

CAMERAS = "/api/v1/cameras"
NEW = {"id": "back", "name": "Back door", "source": f"rtsp://u:{PASSWORD}@192.0.2.11/s"}


async def test_a_live_camera_is_shown_with_its_configuration_and_state(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.recorder.cameras.add("porch")
    answer = await client.get(f"{CAMERAS}/porch")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "id": "porch",
        "name": "Front porch",
        "source": "rtsp://192.0.2.10/stream1",
        "sub_source": None,
        "transport": "tcp",
        "record": "continuous",
        "events": {"kinds": ["motion", "alarm"], "pre_roll": "10s", "post_roll": "30s"},
        "schedule": None,
        "retention": "30d",
        "retention_class": None,
        "limits": {"events": None, "minimum": None, "maximum": None, "size": None},
        "managed_by": "api",
        "state": "live",
        "reason": None,
        "reason_code": None,
        "codec": "h264",
        "width": 1920,
        "height": 1080,
        "fps": 25.0,
        "bitrate": 4_000_000,
        "audio": "aac",
        "last_frame_at": "2023-11-14T22:13:20.000Z",
        "sub": None,
        "recording": True,
        "recording_state": "recording",
        "recording_error": None,
        "viewers": 0,
        "webrtc": {"playable": True, "reason": None, "detail": ""},
    }


async def test_a_sub_stream_is_set_shown_without_its_password_and_taken_away(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    sub_source = f"rtsp://u:{PASSWORD}@192.0.2.11/small"
    made = (await client.post(CAMERAS, json={**NEW, "sub_source": sub_source})).json()
    assert made["sub_source"] == "rtsp://192.0.2.11/small"
    assert (made["sub"]["state"], made["sub"]["width"]) == ("stopped", None)
    backend.streams.sub_statuses["back"] = replace(
        backend.streams.statuses["porch"], width=640, height=360, fps=12.5, bitrate=300_000
    )
    shown = (await client.get(f"{CAMERAS}/back")).json()["sub"]
    assert shown == {
        "state": "live",
        "reason": None,
        "reason_code": None,
        "codec": "h264",
        "width": 640,
        "height": 360,
        "fps": 12.5,
        "bitrate": 300_000,
    }
    taken = await client.patch(f"{CAMERAS}/back", json={"sub_source": None})
    assert (taken.json()["sub_source"], taken.json()["sub"]) == (None, None)
    for refused in ("http://h/", "whip://publish"):
        answer = await client.post(CAMERAS, json={**NEW, "id": "third", "sub_source": refused})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "body.sub_source")


async def test_a_camera_that_cannot_be_recorded_says_why(backend: Backend, client: httpx.AsyncClient) -> None:
    backend.recorder.errors["porch"] = "/recordings: the disk is full"
    for camera in (
        (await client.get(f"{CAMERAS}/porch")).json(),
        (await client.get(CAMERAS)).json()["cameras"][1],
    ):
        assert (camera["state"], camera["recording"]) == ("live", False)
        assert camera["recording_error"] == "/recordings: the disk is full"


async def test_the_list_has_every_camera_by_id(client: httpx.AsyncClient) -> None:
    cameras = (await client.get(CAMERAS)).json()["cameras"]
    assert [(camera["id"], camera["managed_by"]) for camera in cameras] == [
        ("gate", "file"),
        ("porch", "api"),
    ]


async def test_a_camera_without_a_stream_is_stopped(client: httpx.AsyncClient) -> None:
    gate = (await client.get(f"{CAMERAS}/gate")).json()
    assert (gate["state"], gate["codec"], gate["last_frame_at"]) == ("stopped", None, None)
    assert gate["webrtc"] == {
        "playable": False,
        "reason": None,
        "detail": "the camera is not being pulled",
    }


@pytest.mark.parametrize(
    ("reason", "shown"), [("b_frames", "b_frames"), ("codec", "codec"), ("not_live", None)]
)
async def test_a_stream_that_webrtc_cannot_carry_says_why(
    backend: Backend, client: httpx.AsyncClient, reason: str, shown: str | None
) -> None:
    backend.viewers.views["porch"] = View(False, reason, "words for a person")
    view = (await client.get(f"{CAMERAS}/porch")).json()["webrtc"]
    assert view == {"playable": False, "reason": shown, "detail": "words for a person"}


async def test_a_failed_camera_says_why(backend: Backend, client: httpx.AsyncClient) -> None:
    failed = replace(Status(), state="failed", reason="wants other credentials", reason_code="unauthorized")
    backend.streams.statuses["porch"] = failed
    camera = (await client.get(f"{CAMERAS}/porch")).json()
    assert (camera["state"], camera["reason"], camera["reason_code"]) == (
        "failed",
        "wants other credentials",
        "unauthorized",
    )


async def test_a_new_camera_is_there_at_once_at_its_location(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    answer = await client.post(CAMERAS, json=NEW | {"retention": "7d", "record": "off"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{CAMERAS}/back"
    assert (await client.get(answer.headers["location"])).json()["retention"] == "7d"
    stored = await backend.registry.get(CameraId("back"))
    assert stored.camera.source.password == PASSWORD


async def test_an_id_that_exists_is_a_conflict(client: httpx.AsyncClient) -> None:
    answer = await client.post(CAMERAS, json=NEW | {"id": "porch"})
    assert answer.status_code == 409
    assert "exists already" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"id": "Not A Slug"}, "body.id", "pattern"),
        ({"source": f"http://u:{PASSWORD}@h/"}, "body.source", "must begin with rtsp://"),
        ({"source": f"rtsp://u:{PASSWORD}@"}, "body.source", "names no host"),
        ({"source": [PASSWORD]}, "body.source", "must be text"),
        ({"source": f"rtsp://u:12/{PASSWORD}@h/"}, "body.source", "%2F"),
        ({"source": f"rtsp://u:{PASSWORD}%0d%0aX: y@h/"}, "body.source", "space"),
        ({"retention": f"{PASSWORD}"}, "body.retention", "write a number"),
        ({"retention": 1e300}, "body.retention", "write a number"),
        ({"retention": "99999999d"}, "body.retention", "1s to 36500d"),
        ({"retention": "0.1ms"}, "body.retention", "1s to 36500d"),
        ({"record": PASSWORD}, "body.record", "continuous"),
        ({"name": ""}, "body.name", "at least 1"),
        ({"colour": PASSWORD}, "body.colour", "not a known field"),
    ],
)
async def test_a_wrong_value_is_named_and_never_repeated(
    client: httpx.AsyncClient, change: dict[str, object], path: str, says: str
) -> None:
    answer = await client.post(CAMERAS, json=NEW | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    [error] = answer.json()["errors"]
    assert error["path"] == path
    assert says in error["message"]
    assert PASSWORD not in answer.text


async def test_every_wrong_value_is_listed(client: httpx.AsyncClient) -> None:
    answer = await client.post(CAMERAS, json={"id": "-", "name": 5})
    assert {error["path"] for error in answer.json()["errors"]} == {"body.id", "body.name", "body.source"}


@pytest.mark.parametrize("body", [b"", b"{", b'{"id": ', b"\xff\xfe", b"[]", b'"text"', b"null"])
async def test_a_body_that_is_no_object_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(CAMERAS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_patch_changes_what_it_names_and_keeps_the_rest(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    answer = await client.patch(f"{CAMERAS}/porch", json={"name": "Porch", "retention": "7d"})
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["retention"]) == ("Porch", "7d")
    stored = (await backend.registry.get(CameraId("porch"))).camera
    assert stored.source.password == PASSWORD


async def test_a_patch_may_be_a_json_merge_patch(client: httpx.AsyncClient) -> None:
    answer = await client.patch(
        f"{CAMERAS}/porch",
        content=b'{"name": "x"}',
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.json()["name"] == "x"


async def test_a_source_sent_back_as_shown_keeps_its_credentials(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    shown = (await client.get(f"{CAMERAS}/porch")).json()["source"]
    await client.patch(f"{CAMERAS}/porch", json={"source": shown, "name": "x"})
    assert (await backend.registry.get(CameraId("porch"))).camera.source.password == PASSWORD
    await client.patch(f"{CAMERAS}/porch", json={"source": "rtsp://198.51.100.1/other"})
    assert (await backend.registry.get(CameraId("porch"))).camera.source.password is None


@pytest.mark.parametrize(
    ("body", "path"),
    [({"id": "other"}, "body.id"), ({"name": None}, "body.name"), ({"source": None}, "body.source")],
)
async def test_a_patch_cannot_change_the_id_nor_clear_a_field(
    client: httpx.AsyncClient, body: dict[str, object], path: str
) -> None:
    answer = await client.patch(f"{CAMERAS}/porch", json=body)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]


async def test_a_camera_of_the_file_is_locked(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.patch(f"{CAMERAS}/gate", json={"name": "x"}),
        await client.delete(f"{CAMERAS}/gate"),
    ):
        assert answer.status_code == 409
        assert "configuration file" in answer.json()["detail"]


async def test_a_deleted_camera_is_gone(client: httpx.AsyncClient) -> None:
    deleted = await client.delete(f"{CAMERAS}/porch")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await client.get(f"{CAMERAS}/porch")).status_code == 404
    assert (await client.delete(f"{CAMERAS}/porch")).status_code == 404


async def attempt_to_leak(client: httpx.AsyncClient) -> list[httpx.Response]:
    return [
        await client.post(CAMERAS, json=NEW),
        await client.post(CAMERAS, json=NEW),
        await client.post(CAMERAS, json=NEW | {"id": "x", "source": f"rtsp://u:{PASSWORD}@h:99999/"}),
        await client.post(CAMERAS, content=f'{{"source": "rtsp://u:{PASSWORD}@h/", '.encode()),
        await client.post(CAMERAS, content=PASSWORD.encode(), headers={"Content-Type": "application/json"}),
        await client.patch(f"{CAMERAS}/back", json={"source": f"rtsp://u:{PASSWORD}-2@h/"}),
        await client.patch(f"{CAMERAS}/gate", json={"source": f"rtsp://u:{PASSWORD}-2@h/"}),
        await client.get(CAMERAS),
        await client.get("/api/v1/openapi.json"),
        await client.get("/metrics"),
    ]


async def test_no_answer_or_log_line_ever_holds_a_password(
    backend: Backend, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        answers = await attempt_to_leak(client)
    assert {answer.status_code for answer in answers} == {200, 201, 409, 422}
    for answer in answers:
        assert PASSWORD not in answer.text + str(answer.headers)
    assert PASSWORD not in caplog.text + str(lines)


async def test_a_camera_with_a_schedule_and_limits_is_made_and_changed_in_parts(
    client: httpx.AsyncClient,
) -> None:
    policy = {
        "record": "schedule",
        "events": {"kinds": ["motion"], "pre_roll": "5s"},
        "schedule": {"entries": [{"days": ["mon", "fri"], "start": "22:00", "end": "06:00"}]},
        "limits": {"events": "90d", "maximum": "180d", "size": "10GiB"},
    }
    made = await client.post(CAMERAS, json=NEW | policy)
    assert made.status_code == 201
    camera = made.json()
    assert camera["events"] == {"kinds": ["motion"], "pre_roll": "5s", "post_roll": "30s"}
    assert camera["schedule"] == {
        "time_zone": None,
        "entries": [{"days": ["mon", "fri"], "start": "22:00", "end": "06:00", "record": "continuous"}],
    }
    assert camera["limits"] == {"events": "90d", "minimum": None, "maximum": "180d", "size": "10GiB"}

    async def change(**changes: object) -> dict[str, object]:
        answer = await client.patch(f"{CAMERAS}/back", json=changes)
        assert answer.status_code == 200, answer.text
        assert (await client.get(f"{CAMERAS}/back")).json() == answer.json()
        found: dict[str, object] = answer.json()
        return found

    changed = await change(limits={"maximum": None, "minimum": "7d"}, events={"post_roll": 60})
    assert changed["limits"] == {"events": "90d", "minimum": "7d", "maximum": None, "size": "10GiB"}
    assert changed["events"] == {"kinds": ["motion"], "pre_roll": "5s", "post_roll": "1min"}
    changed = await change(schedule={"time_zone": "America/Sao_Paulo"})
    assert changed["schedule"] == camera["schedule"] | {"time_zone": "America/Sao_Paulo"}
    changed = await change(record="events", schedule=None)
    assert (changed["record"], changed["schedule"]) == ("events", None)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"record": "schedule"}, 400, "needs one with at least one entry"),
        ({"limits": {"minimum": "9d", "maximum": "8d"}}, 400, "longer than maximum"),
        ({"limits": None}, 422, "body.limits: cannot be null"),
        ({"limits": {"size": "1KiB"}}, 422, "body.limits.size"),
        ({"events": {"pre_roll": "2min"}}, 400, "0ms to 1min"),
        ({"events": {"kinds": ["Motion"]}}, 422, "body.events.kinds.0"),
        ({"schedule": {"entries": [{"start": "25:00"}]}}, 422, "no time of day"),
        ({"schedule": {"time_zone": "Mars/Olympus"}}, 422, "is no time zone"),
        ({"record": "sometimes"}, 422, "body.record"),
    ],
)
async def test_a_policy_that_cannot_be_is_refused_and_says_what_is_wrong(
    client: httpx.AsyncClient, changes: dict[str, object], status: int, said: str
) -> None:
    before = (await client.get(f"{CAMERAS}/porch")).json()
    answer = await client.patch(f"{CAMERAS}/porch", json=changes)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert (await client.get(f"{CAMERAS}/porch")).json() == before
