"""What happened, as the API tells it."""

from base64 import urlsafe_b64encode

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, TOKEN, Backend, Happening

from vms.common.clock import NS, rfc3339

EVENTS = "/api/v1/events"


def seven(backend: Backend) -> list[str]:
    """Seven events of two times, so that ids decide too; their ids from the newest."""
    backend.journal.happenings = [Happening(f"id.{n}", NOW_NS + n // 4 * NS) for n in range(7)]
    return [f"id.{n}" for n in reversed(range(7))]


async def test_without_events_the_list_is_empty(client: httpx.AsyncClient) -> None:
    answer = await client.get(EVENTS)
    assert (answer.status_code, answer.json()) == (200, {"events": [], "next_cursor": None})
    assert answer.headers["cache-control"] == "no-store"


async def test_an_event_is_shown_with_its_facts_and_what_it_is_not_about_as_null(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.journal.happenings = [
        Happening("a", NOW_NS, "worker_ended", "", "stream-0", "killed by SIGKILL", {"pid": "4711"}),
        Happening("b", NOW_NS - NS, "camera_failed", "porch", "", "no answer"),
    ]
    first, second = (await client.get(EVENTS)).json()["events"]
    assert first == {
        "id": "a",
        "at": "2023-11-14T22:13:20.000Z",
        "kind": "worker_ended",
        "camera": None,
        "worker": "stream-0",
        "text": "killed by SIGKILL",
        "facts": {"pid": "4711"},
    }
    assert (second["camera"], second["worker"]) == ("porch", None)


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
async def test_cursors_lead_through_all_events_once_whatever_is_written_meanwhile(
    backend: Backend, client: httpx.AsyncClient, limit: int
) -> None:
    expected = seven(backend)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
        answer = (await client.get(EVENTS, params=asked)).json()
        assert 0 < len(answer["events"]) <= limit
        seen += [event["id"] for event in answer["events"]]
        cursor = answer["next_cursor"]
        backend.journal.happenings.append(Happening(f"new-{len(seen)}", NOW_NS + 99 * NS))
    assert seen == expected


async def test_events_of_one_kind_and_of_one_camera_are_found(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    seven(backend)
    backend.journal.happenings += [
        Happening("x", NOW_NS, "camera_failed", "gate"),
        Happening("y", NOW_NS, "camera_failed", "porch"),
    ]

    async def ids(**asked: str) -> list[str]:
        return [event["id"] for event in (await client.get(EVENTS, params=asked)).json()["events"]]

    assert await ids(kind="camera_failed") == ["y", "x"]
    assert await ids(camera="gate") == ["x"]
    assert await ids(camera="porch", kind="camera_failed") == ["y"]
    assert await ids(camera="never-was") == []


def text(place: str) -> str:
    return urlsafe_b64encode(place.encode()).decode()


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "x"},
        {"cursor": ""},
        {"cursor": "x"},
        {"cursor": "é"},
        {"cursor": "____"},
        {"cursor": text("no-time.id")},
        {"cursor": text("12.")},
        {"cursor": text(f"{1 << 63}.id")},
        {"cursor": "A" * 300},
        {"kind": "camera live"},
        {"camera": "../x"},
    ],
)
async def test_a_parameter_that_is_wrong_is_a_problem(
    client: httpx.AsyncClient, asked: dict[str, str]
) -> None:
    answer = await client.get(EVENTS, params=asked)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["path"] == f"query.{next(iter(asked))}"


async def test_a_journal_that_cannot_be_read_now_is_503(backend: Backend, client: httpx.AsyncClient) -> None:
    backend.journal.failing = True
    answer = await client.get(EVENTS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_events_need_the_token(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        assert (await client.get(EVENTS)).status_code == 401
        assert (await client.get(EVENTS, headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200


NEW = {"kind": "motion", "camera_id": "porch"}


async def test_an_integrator_raises_an_event(backend: Backend, client: httpx.AsyncClient) -> None:
    answer = await client.post(EVENTS, json=NEW | {"text": "a person", "facts": {"zone": "door"}})
    assert (answer.status_code, answer.json()) == (202, {"id": "event-1"})
    at = rfc3339(NOW_NS - 3600 * NS)
    assert (await client.post(EVENTS, json=NEW | {"kind": "alarm", "at": at})).status_code == 202
    assert backend.teller.told == [
        ("motion", "porch", NOW_NS, "a person", {"zone": "door"}),
        ("alarm", "porch", NOW_NS - 3600 * NS, "", {}),
    ]


@pytest.mark.parametrize(
    ("changes", "status", "path"),
    [
        ({"kind": "camera_live"}, 400, "body.kind"),
        ({"kind": "camera_failed"}, 400, "body.kind"),
        ({"kind": "worker_ended"}, 400, "body.kind"),
        ({"kind": "volume_failed"}, 400, "body.kind"),
        ({"kind": "recording_started"}, 400, "body.kind"),
        ({"kind": "alarm_raised"}, 400, "body.kind"),
        ({"kind": "Motion"}, 422, "body.kind"),
        ({"kind": "motion.>"}, 422, "body.kind"),
        ({"camera_id": "no"}, 404, None),
        ({"camera_id": "*"}, 422, "body.camera_id"),
        ({"at": rfc3339(NOW_NS + 6 * NS)}, 400, "body.at"),
        ({"at": rfc3339(NOW_NS - 86_401 * NS)}, 400, "body.at"),
        ({"at": "2023-11-14 22:00"}, 422, "body.at"),
        ({"text": "x" * 1001}, 422, "body.text"),
        ({"facts": {f"f{n}": "x" for n in range(21)}}, 422, "body.facts"),
        ({"worker": "media-0"}, 422, "body.worker"),
    ],
)
async def test_an_event_that_cannot_be_raised_is_a_problem_and_is_not_told(
    backend: Backend, client: httpx.AsyncClient, changes: dict[str, object], status: int, path: str | None
) -> None:
    answer = await client.post(EVENTS, json=NEW | changes)
    assert answer.status_code == status
    assert path is None or answer.json()["errors"][0]["path"].startswith(path)
    assert backend.teller.told == []


async def test_raising_events_needs_the_token_and_a_page_of_this_site(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        assert (await client.post(EVENTS, json=NEW)).status_code == 401
    async with backend.client() as client:
        answer = await client.post(EVENTS, json=NEW, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
    assert backend.teller.told == []


async def test_events_of_a_time_are_found(backend: Backend, client: httpx.AsyncClient) -> None:
    backend.journal.happenings = [Happening(f"{n}", NOW_NS + n * NS) for n in range(5)]

    async def ids(**asked: str) -> list[str]:
        return [event["id"] for event in (await client.get(EVENTS, params=asked)).json()["events"]]

    since, until = rfc3339(NOW_NS + NS), rfc3339(NOW_NS + 3 * NS)
    assert await ids(since=since, until=until) == ["2", "1"]
    assert await ids(since=until) == ["4", "3"]
    assert await ids(until=since, camera_id="porch") == ["0"]
    assert await ids(camera_id="gate") == []
