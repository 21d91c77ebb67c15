"""Evidence locks over HTTP: real database, the bus in memory."""

from uuid import uuid4

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, TOKEN, Backend

from vms.common.clock import NS, rfc3339

LOCKS = "/api/v1/locks"
START, END = rfc3339(NOW_NS - 600 * NS), rfc3339(NOW_NS - 300 * NS)
NEW = {"camera_id": "porch", "start": START, "end": END, "reason": "burglary", "created_by": "Ana"}


async def test_footage_is_locked_shown_and_released_with_who_and_why(client: httpx.AsyncClient) -> None:
    made = await client.post(LOCKS, json=NEW)
    assert made.status_code == 201
    lock = made.json()
    assert made.headers["location"] == f"{LOCKS}/{lock['id']}"
    assert lock == {
        "id": lock["id"],
        "camera_id": "porch",
        "start": START,
        "end": END,
        "reason": "burglary",
        "created_by": "Ana",
        "created_at": rfc3339(NOW_NS),
        "holds": True,
        "released_at": None,
        "released_by": None,
        "release_reason": None,
        "volumes": [],
    }
    assert (await client.get(f"{LOCKS}/{lock['id']}")).json() == lock
    assert (await client.get(LOCKS)).json() == {"locks": [lock], "next_cursor": None}
    release = {"released_by": "Bento", "reason": "case closed"}
    released = await client.post(f"{LOCKS}/{lock['id']}/release", json=release)
    assert released.status_code == 200
    assert released.json() == lock | {
        "holds": False,
        "released_at": rfc3339(NOW_NS),
        "released_by": "Bento",
        "release_reason": "case closed",
    }
    assert (await client.get(LOCKS)).json()["locks"] == []
    history = (await client.get(LOCKS, params={"include_released": "true"})).json()["locks"]
    assert history == [released.json()]
    again = await client.post(f"{LOCKS}/{lock['id']}/release", json=release)
    assert (again.status_code, again.json()) == (200, released.json())
    other = await client.post(f"{LOCKS}/{lock['id']}/release", json=release | {"released_by": "Caio"})
    assert (other.status_code, other.json()["title"]) == (409, "Conflict")


@pytest.mark.parametrize(
    ("changes", "status", "path"),
    [
        ({"reason": ""}, 422, "body.reason"),
        ({"reason": "x" * 1001}, 422, "body.reason"),
        ({"created_by": None}, 422, "body.created_by"),
        ({"start": "yesterday"}, 422, "body.start"),
        ({"start": "2023-11-14T22:00:00"}, 422, "body.start"),
        ({"end": 12}, 422, "body.end"),
        ({"start": END, "end": START}, 422, "body.start"),
        ({"camera_id": "../x"}, 422, "body.camera_id"),
        ({"released_by": "Ana"}, 422, "body.released_by"),
        ({"start": rfc3339(NOW_NS - 40 * 86_400 * NS)}, 400, None),
        ({"end": rfc3339(NOW_NS + 25 * 3600 * NS)}, 400, None),
    ],
)
async def test_a_lock_that_cannot_be_is_a_problem_and_nothing_is_kept(
    client: httpx.AsyncClient, changes: dict[str, object], status: int, path: str | None
) -> None:
    answer = await client.post(LOCKS, json=NEW | changes)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert path is None or answer.json()["errors"][0]["path"] == path
    assert (await client.get(LOCKS)).json()["locks"] == []


async def test_footage_of_a_removed_camera_can_be_locked_and_what_never_was_cannot(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    assert (await client.post(LOCKS, json=NEW | {"camera_id": "removed"})).status_code == 201
    backend.player.footage.segments = []
    assert (await client.post(LOCKS, json=NEW | {"camera_id": "never-was"})).status_code == 404
    locks = (await client.get(LOCKS)).json()["locks"]
    assert [lock["camera_id"] for lock in locks] == ["removed"]
    assert (await client.get(LOCKS, params={"camera_id": "removed"})).json()["locks"] == locks
    assert (await client.get(LOCKS, params={"camera_id": "porch"})).json()["locks"] == []


async def test_cursors_lead_through_all_locks_once(client: httpx.AsyncClient) -> None:
    made = [(await client.post(LOCKS, json=NEW)).json()["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        answer = (await client.get(LOCKS, params=asked)).json()
        seen += [lock["id"] for lock in answer["locks"]]
        cursor = answer["next_cursor"]
    assert sorted(seen) == sorted(made)


async def test_without_the_gateway_locks_are_503_and_nothing_is_half_done(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    bus = backend.locks._bus  # type: ignore[union-attr]
    await bus.stop()
    for answer in (
        await client.post(LOCKS, json=NEW),
        await client.get(LOCKS),
        await client.get(f"{LOCKS}/{uuid4()}"),
        await client.post(f"{LOCKS}/{uuid4()}/release", json={"released_by": "x", "reason": "y"}),
    ):
        assert answer.status_code == 503
        assert answer.headers["retry-after"]


async def test_an_unknown_lock_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{LOCKS}/{uuid4()}")).status_code == 404
    assert (await client.get(f"{LOCKS}/x")).status_code == 404
    release = {"released_by": "x", "reason": "y"}
    assert (await client.post(f"{LOCKS}/{uuid4()}/release", json=release)).status_code == 404


async def test_locks_need_the_token_and_a_page_of_this_site(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        for answer in (
            await client.get(LOCKS),
            await client.post(LOCKS, json=NEW),
            await client.post(f"{LOCKS}/{uuid4()}/release", json={}),
        ):
            assert answer.status_code == 401
    async with backend.client() as client:
        answer = await client.post(LOCKS, json=NEW, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
        assert (await client.get(LOCKS)).json()["locks"] == []
