"""What happened, as the API tells it."""

from base64 import urlsafe_b64encode

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, TOKEN, Backend, Happening

from vms.common.clock import NS

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
