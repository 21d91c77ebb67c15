"""Bookmarks: kept in the database, asked for over the bus."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.gateway.system import System

from vms.common.clock import NS, ManualClock
from vms.common.errors import InvalidInput, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.gateway.bookmarks import FARTHEST_AHEAD_NS, LONGEST_NS, BookmarkStore
from vms.gateway.database import Database
from vms.gateway.evidence_client import BookmarkClient

PORCH, GATE = CameraId("porch"), CameraId("gate")
T_NS = 1_700_000_000 * NS


async def mark(
    client: BookmarkClient, start_s: int, end_s: int, title: str, note: str = "", camera: CameraId = PORCH
) -> UUID:
    bookmark = await client.create(
        camera, T_NS + start_s * NS, T_NS + end_s * NS, title=title, note=note, created_by="Ana"
    )
    return bookmark.id


async def test_a_bookmark_is_made_read_changed_and_deleted(system: System) -> None:
    await system.start()
    client = BookmarkClient(system.bus)
    made = await client.create(PORCH, T_NS, T_NS, title=" A van ", note="white", created_by="Ana")
    assert (made.title, made.note, made.start_ns, made.end_ns) == ("A van", "white", T_NS, T_NS)
    assert await client.get(made.id) == made
    changed = await client.change(made.id, {"note": "", "end_ns": T_NS + NS})
    assert (changed.title, changed.note, changed.end_ns) == ("A van", "", T_NS + NS)
    assert changed.created_ns == made.created_ns <= changed.updated_ns
    assert await client.get(made.id) == changed
    with pytest.raises(InvalidInput, match="start: must not be after end"):
        await client.change(made.id, {"start_ns": T_NS + 2 * NS})
    assert await client.get(made.id) == changed
    await client.delete(made.id)
    for asking in (client.get(made.id), client.delete(made.id), client.change(uuid4(), {"title": "x"})):
        with pytest.raises(NotFound):
            await asking


async def test_bookmarks_are_found_by_camera_time_and_words_in_any_case(system: System) -> None:
    await system.start()
    client = BookmarkClient(system.bus)
    moment = await mark(client, 100, 100, "Caminhão", "100% branco_sujo")
    stretch = await mark(client, 50, 150, "Gate open", camera=GATE)
    late = await mark(client, 200, 300, "Ladrão à porta")

    async def ids(**asked: object) -> list[UUID]:
        return [each.id for each in (await client.list(limit=9, **asked)).items]  # type: ignore[arg-type]

    assert await ids() == [late, moment, stretch]
    assert await ids(camera_id="porch") == [late, moment]
    assert await ids(start_ns=T_NS + 100 * NS, end_ns=T_NS + 200 * NS) == [moment, stretch]
    assert await ids(start_ns=T_NS + 101 * NS, end_ns=T_NS + 200 * NS) == [stretch]
    assert await ids(start_ns=T_NS + 150 * NS) == [late]
    assert await ids(end_ns=T_NS + 100 * NS) == [stretch]
    assert await ids(text="CAMINHÃO") == [moment]
    assert await ids(text="ladrão À") == [late]
    assert await ids(text="0% B") == [moment]
    assert await ids(text="%") == [moment]
    assert await ids(text="branco_") == [moment]
    assert await ids(text="_") == [moment]
    assert await ids(text="\\") == []


async def test_bookmarks_are_paged(system: System) -> None:
    await system.start()
    client = BookmarkClient(system.bus)
    expected = [await mark(client, n // 3, n // 3, f"number {n}") for n in range(8)]
    seen: list[UUID] = []
    before = None
    while True:
        page = await client.list(limit=3, before=before)
        seen += [each.id for each in page.items]
        if not page.more:
            break
        before = page.items[-1].start_ns, str(page.items[-1].id)
    assert len(seen) == 8
    assert set(seen) == set(expected)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"title": "  "}, "title: is missing"),
        ({"title": "x" * 201}, "200 are the most"),
        ({"note": "x" * 4001}, "4000 are the most"),
        ({"start_ns": T_NS + 1}, "must not be after end"),
        ({"start_ns": T_NS - LONGEST_NS - 1}, "31 days"),
        ({"end_ns": T_NS + FARTHEST_AHEAD_NS + 1}, "24 hours"),
        ({"camera": "A B"}, "no camera id"),
    ],
)
async def test_a_bookmark_that_cannot_be_is_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    database = await Database.open(tmp_path)
    store = BookmarkStore(database, ManualClock(T_NS), "default")
    fields: dict[str, object] = {
        "camera": "porch",
        "start_ns": T_NS,
        "end_ns": T_NS,
        "title": "x",
        "note": "",
        "created_by": "",
    }
    await store.create(**fields)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=said):
        await store.create(**(fields | changes))  # type: ignore[arg-type]
    await database.close()


async def test_without_a_gateway_bookmarks_are_unavailable(system: System) -> None:
    await system.start()
    assert system.gateway is not None
    await system.gateway.stop()
    with pytest.raises(Unavailable):
        await BookmarkClient(system.bus).list(limit=1)
