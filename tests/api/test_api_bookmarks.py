"""Bookmarks over HTTP: real database, the bus in memory."""

from uuid import uuid4

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, TOKEN, Backend

from vms.common.clock import NS, rfc3339

BOOKMARKS = "/api/v1/bookmarks"


def at(seconds: int) -> str:
    return rfc3339(NOW_NS + seconds * NS)


NEW = {"camera_id": "porch", "start": at(-60), "title": "White van"}


async def test_a_bookmark_is_made_changed_and_deleted(client: httpx.AsyncClient) -> None:
    made = await client.post(BOOKMARKS, json=NEW)
    assert made.status_code == 201
    bookmark = made.json()
    assert made.headers["location"] == f"{BOOKMARKS}/{bookmark['id']}"
    assert bookmark == {
        "id": bookmark["id"],
        "camera_id": "porch",
        "start": at(-60),
        "end": at(-60),
        "title": "White van",
        "note": "",
        "created_by": "",
        "created_at": at(0),
        "updated_at": at(0),
    }
    changed = await client.patch(made.headers["location"], json={"note": "number plate", "end": at(-30)})
    assert changed.json() == bookmark | {"note": "number plate", "end": at(-30)}
    assert (await client.get(made.headers["location"])).json() == changed.json()
    assert (await client.delete(made.headers["location"])).status_code == 204
    assert (await client.get(made.headers["location"])).status_code == 404
    assert (await client.delete(made.headers["location"])).status_code == 404
    assert (await client.patch(made.headers["location"], json={"note": "x"})).status_code == 404


async def test_bookmarks_are_found_by_camera_range_and_words_and_paged(client: httpx.AsyncClient) -> None:
    for seconds, camera, title in ((-300, "porch", "A"), (-200, "gate", "B"), (-100, "porch", "Ção")):
        new = {"camera_id": camera, "start": at(seconds), "end": at(seconds + 50), "title": title}
        assert (await client.post(BOOKMARKS, json=new)).status_code == 201

    async def titles(**asked: str) -> list[str]:
        answer = (await client.get(BOOKMARKS, params=asked)).json()
        return [bookmark["title"] for bookmark in answer["bookmarks"]]

    assert await titles() == ["Ção", "B", "A"]
    assert await titles(camera_id="porch") == ["Ção", "A"]
    assert await titles(start=at(-251), end=at(-100)) == ["B", "A"]
    assert await titles(q="çÃO") == ["Ção"]
    first = (await client.get(BOOKMARKS, params={"limit": "2"})).json()
    assert await titles(limit="2", cursor=first["next_cursor"]) == ["A"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"title": ""}, 422),
        ({"title": "x" * 201}, 422),
        ({"note": "x" * 4001}, 422),
        ({"end": at(-61)}, 422),
        ({"start": "x"}, 422),
        ({"id": str(uuid4())}, 422),
        ({"camera_id": "unknown"}, 404),
        ({"end": at(90_000)}, 400),
    ],
)
async def test_a_bookmark_that_cannot_be_is_a_problem(
    client: httpx.AsyncClient, changes: dict[str, object], status: int
) -> None:
    assert (await client.post(BOOKMARKS, json=NEW | changes)).status_code == status
    assert (await client.get(BOOKMARKS)).json()["bookmarks"] == []


async def test_a_change_that_cannot_be_leaves_the_bookmark_as_it_was(client: httpx.AsyncClient) -> None:
    made = await client.post(BOOKMARKS, json=NEW)
    for changes, status in (({"title": None}, 422), ({"end": at(-90)}, 400), ({"camera_id": "gate"}, 422)):
        assert (await client.patch(made.headers["location"], json=changes)).status_code == status
    assert (await client.get(made.headers["location"])).json() == made.json()


@pytest.mark.parametrize(
    "asked", [{"start": at(0), "end": at(0)}, {"start": "x"}, {"cursor": "x"}, {"limit": "0"}]
)
async def test_a_parameter_that_is_wrong_is_a_problem_of_bookmarks(
    client: httpx.AsyncClient, asked: dict[str, str]
) -> None:
    assert (await client.get(BOOKMARKS, params=asked)).status_code == 400


async def test_bookmarks_need_the_token_and_the_gateway(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        assert (await client.get(BOOKMARKS)).status_code == 401
        assert (await client.post(BOOKMARKS, json=NEW)).status_code == 401
    await backend.bookmarks._bus.stop()  # type: ignore[union-attr]
    async with backend.client() as client:
        assert (await client.post(BOOKMARKS, json=NEW)).status_code == 503
        assert (await client.get(BOOKMARKS)).status_code == 503
