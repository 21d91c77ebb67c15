"""Which recordings go by which rule: age, events, size, minimum, maximum, room, tiers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.storage.kept_shelf import SIZE_BYTES, KeptShelf

from vms.common.clock import NS
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.media import Gap, GapReason
from vms.storage import deletion, retention
from vms.storage.retention import SWEEP_NS
from vms.storage.retention_rule import RetentionRule
from vms.storage.segment import Segment

HOUR_NS, DAY_NS = 3600 * NS, 86400 * NS
HOUR_S, DAY_S = 3600.0, 86400.0
Shelf = Callable[..., Awaitable[KeptShelf]]


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> KeptShelf:
            found = KeptShelf(tmp_path / "volume", **options)
            await found.open()
            stack.push_async_callback(found.close)
            return found

        yield make


def days(number: float) -> int:
    return round(number * DAY_NS)


async def aged(shelf: KeptShelf, camera: str, *ages_days: float) -> list[Segment]:
    return [await shelf.put(camera, age * DAY_S) for age in ages_days]


async def test_event_footage_stays_for_its_own_time_and_the_rest_goes(shelf: Shelf) -> None:
    on = await shelf()
    rows = await aged(on, "porch", 40, 20, 19, 8, 5)
    await on.event("porch", rows[0])
    await on.event("porch", rows[2])
    await on.keep("porch", RetentionRule(days(7), days(30)))
    await on.retention.enforce()
    assert await on.left() == [rows[2], rows[4]]
    on.clock.advance(20 * DAY_S)
    await on.retention.enforce()
    assert await on.left() == []


async def test_what_was_passed_over_is_looked_at_when_its_time_comes(shelf: Shelf) -> None:
    on = await shelf()
    rows = [await on.put("porch", 10 * DAY_S - number, length_s=0.5) for number in range(200)]
    for row in rows[::2]:
        await on.event("porch", row)
    await on.keep("porch", RetentionRule(days(7), days(30)))
    await on.retention.enforce()
    assert len(await on.left()) == 100
    late = await on.put("porch", 11 * DAY_S)
    await on.retention.enforce()
    assert (await on.left())[0] == late, "rows of long ago are not looked for at every look"
    on.clock.advance(SWEEP_NS / NS + 1)
    await on.retention.enforce()
    assert len(await on.left()) == 100
    on.clock.advance(21 * DAY_S)
    await on.retention.enforce()
    assert await on.left() == []


async def test_footage_goes_at_its_maximum_in_every_tier_unless_it_is_locked(shelf: Shelf) -> None:
    on = await shelf(tiers=[("shelf", 1 << 40)])
    old = await on.put("porch", 40 * DAY_S, tier="shelf")
    locked = await on.put("porch", 39 * DAY_S, tier="shelf")
    await on.put("porch", 38 * DAY_S)
    young = await on.put("porch", 5 * DAY_S)
    await on.lock(locked)
    await on.keep("porch", RetentionRule(days(365), days(365), minimum_ns=days(60), maximum_ns=days(30)))
    await on.retention.enforce()
    assert await on.left() == [locked, young]
    removals = await on.volume.catalog.run(lambda each: each.removals(10))
    assert [(each.segment.id, each.tier) for each in removals] == [(old.id, "shelf")]


async def test_a_camera_has_no_more_than_its_size_and_loses_its_oldest(shelf: Shelf) -> None:
    on = await shelf(tiers=[("shelf", 1 << 40)])
    porch = [await on.put("porch", 9 * DAY_S, tier="shelf"), *await aged(on, "porch", 8, 7, 6)]
    yard = await aged(on, "yard", 20, 10)
    await on.keep("porch", RetentionRule(days(90), days(90), size_bytes=2 * SIZE_BYTES))
    await on.retention.enforce()
    assert await on.left() == [*yard, *porch[2:]]


async def test_size_takes_nothing_that_is_locked_or_younger_than_its_minimum(shelf: Shelf) -> None:
    on = await shelf()
    rows = await aged(on, "porch", 9, 8, 7, 3, 2)
    await on.lock(rows[1])
    await on.keep("porch", RetentionRule(days(90), days(90), minimum_ns=days(5), size_bytes=1))
    await on.retention.enforce()
    assert await on.left() == [rows[1], *rows[3:]]


async def test_room_is_made_of_the_oldest_that_no_minimum_and_no_lock_keeps(shelf: Shelf) -> None:
    on = await shelf(quota=4 * SIZE_BYTES)
    porch = await aged(on, "porch", 9, 8, 7)
    yard = await aged(on, "yard", 6, 5, 4)
    await on.keep("porch", RetentionRule(days(90), days(90), minimum_ns=days(8.5)))
    await on.lock(yard[0])
    await on.retention.enforce()
    assert await on.left() == [porch[1], porch[2], yard[0]]
    assert on.volume.used_bytes == 3 * SIZE_BYTES, "1% of headroom is one recording"
    assert not on.retention.full_of_protected


async def test_a_full_volume_of_which_nothing_may_go_is_said(shelf: Shelf) -> None:
    on = await shelf(quota=2 * SIZE_BYTES)
    rows = await aged(on, "porch", 9, 8, 7)
    await on.keep("porch", RetentionRule(days(90), days(90), minimum_ns=days(30)))
    await on.retention.enforce()
    assert await on.left() == rows
    assert on.retention.full_of_protected
    on.clock.advance(25 * DAY_S)
    await on.retention.enforce()
    assert await on.left() == rows[2:]
    assert not on.retention.full_of_protected


async def test_a_tier_beyond_its_quota_loses_its_own_oldest(shelf: Shelf) -> None:
    on = await shelf(tiers=[("shelf", 2 * SIZE_BYTES), ("attic", 1 << 40)])
    attic = await on.put("porch", 30 * DAY_S, tier="attic")
    there = [await on.put("porch", age * DAY_S, tier="shelf") for age in (20, 19, 18, 17)]
    here = await on.put("porch", 25 * DAY_S)
    await on.lock(there[0])
    await on.retention.enforce()
    assert await on.left() == [attic, here, there[0]]
    assert await on.volume.catalog.run(lambda each: each.tier_bytes()) == {
        "": SIZE_BYTES,
        "shelf": SIZE_BYTES,
        "attic": SIZE_BYTES,
    }


class Mover:
    """Moves to a tier in the catalog alone, so many recordings a call."""

    def __init__(self, shelf: KeptShelf, most: int) -> None:
        self.shelf = shelf
        self.most = most

    async def make_room(self, size_bytes: int, within_s: float) -> int:
        catalog = self.shelf.volume.catalog
        rows = await catalog.run(lambda each: each.oldest(min(self.most, -(-size_bytes // SIZE_BYTES))))
        await catalog.run(lambda each: each.moved([row.id for row in rows], "shelf"))
        self.shelf.volume.closed_bytes -= len(rows) * SIZE_BYTES
        return len(rows) * SIZE_BYTES


async def test_a_full_volume_moves_its_oldest_before_it_deletes(shelf: Shelf) -> None:
    on = await shelf(quota=3 * SIZE_BYTES, tiers=[("shelf", 1 << 40)])
    rows = await aged(on, "porch", 9, 8, 7, 6, 5)
    on.retention.mover = Mover(on, most=10)
    await on.retention.enforce()
    left = await on.left()
    assert [row.id for row in left] == [row.id for row in rows]
    assert [row.tier for row in left] == ["shelf", "shelf", "shelf", "", ""]


async def test_what_moving_cannot_keep_up_with_is_deleted(shelf: Shelf) -> None:
    on = await shelf(quota=3 * SIZE_BYTES, tiers=[("shelf", 1 << 40)])
    rows = await aged(on, "porch", 9, 8, 7, 6, 5)
    on.retention.mover = Mover(on, most=0)
    await on.retention.enforce()
    assert await on.left() == rows[3:]


async def test_a_clock_set_forward_ends_no_minimum_and_reaches_no_maximum(shelf: Shelf) -> None:
    on = await shelf(quota=2 * SIZE_BYTES)
    rows = await aged(on, "porch", 3, 2, 1)
    rule = RetentionRule(days(90), days(90), minimum_ns=days(30), maximum_ns=days(90))
    await on.keep("porch", rule)
    await on.retention.enforce()
    on.clock.step_wall(400 * DAY_S)
    await on.retention.enforce()
    assert await on.left() == rows
    assert on.retention.full_of_protected
    on.clock.advance(25 * HOUR_S)
    await on.retention.enforce()
    assert await on.left() == []


async def test_a_clock_that_was_wrong_for_a_moment_keeps_nothing_for_a_day(shelf: Shelf) -> None:
    on = await shelf(quota=2 * SIZE_BYTES)
    rows = await aged(on, "porch", 40, 2, 1)
    await on.keep("porch", RetentionRule(days(90), days(90), minimum_ns=days(30)))
    on.clock.step_wall(400 * DAY_S)
    await on.retention._expire({})  # nothing but a look at the clock, as of a camera without a rule
    assert not on.retention._clock_is_trusted()
    on.clock.step_wall(-400 * DAY_S)
    await on.retention.enforce()
    assert await on.left() == rows[1:], "the volume is full, and its oldest is older than its minimum"
    assert not on.retention.full_of_protected


async def test_a_full_disk_of_which_nothing_may_go_holds_up_no_age_in_tiers(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = await shelf(tiers=[("nas", 1 << 30)])
    locked = await on.put("porch", 2 * DAY_S)
    await on.put("porch", 40 * DAY_S, tier="nas")
    await on.lock(locked)
    await on.keep("porch", RetentionRule(days(30), days(30), maximum_ns=days(30)))
    monkeypatch.setattr(on.volume, "free_bytes", lambda: -1)
    await on.retention.enforce()
    assert await on.left() == [locked]


async def test_what_is_known_of_locked_footage_stays_with_it(shelf: Shelf) -> None:
    on = await shelf()
    older, locked, young = await aged(on, "porch", 60, 40, 5)
    for row in (older, locked, young):
        await on.event("porch", row)
        gap = Gap(row.end_ns, row.end_ns + NS, GapReason.CAMERA_LOST)
        await on.keeper.put_gaps([(CameraId("porch"), gap)])
    await on.keep("porch", RetentionRule(days(7), days(30)))
    lock_end = on.clock.wall_ns() - days(39)
    one = EvidenceLock(uuid4(), CameraId("porch"), locked.start_ns, lock_end, "why", "who", 1)
    await on.keeper.put_locks([one], 1)
    await on.retention.enforce()
    ask = on.volume.catalog.run
    assert len(await ask(lambda each: each.event_ranges(CameraId("porch"), 0, 1 << 62))) == 2
    gaps = await ask(lambda each: each.gaps(CameraId("porch"), 0, 1 << 62))
    assert [gap.start_ns for gap in gaps] == [locked.end_ns, young.end_ns]
    await on.keeper.put_locks([], 2)
    await on.retention.enforce()
    assert len(await ask(lambda each: each.gaps(CameraId("porch"), 0, 1 << 62))) == 1


async def test_a_file_that_cannot_be_removed_keeps_no_other(shelf: Shelf) -> None:
    on = await shelf()
    rows = await aged(on, "porch", 40, 39, 38, 1)
    rows[0].path.unlink()
    rows[0].path.mkdir()  # a name that cannot be unlinked, as of an immutable file
    await on.keep("porch", RetentionRule(days(30), days(30)))
    await on.retention.enforce()
    assert await on.left() == [rows[3]]
    assert not rows[1].path.exists()
    await on.close()
    await on.open()
    deletion.end_deletions(on.volume)
    assert [row.id for row in on.volume.catalog.submit(lambda each: each.deleting()).result()] == [rows[0].id]
    rows[0].path.rmdir()
    deletion.end_deletions(on.volume)
    assert on.volume.closed_bytes == SIZE_BYTES


async def test_when_much_has_to_go_it_goes_in_spells(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    on = await shelf()
    for camera in ("porch", "yard"):
        for number in range(70):
            await on.put(camera, 10 * DAY_S - number, length_s=0.5)
        await on.keep(camera, RetentionRule(days(1), days(1)))
    monkeypatch.setattr(retention, "SPELL_S", 0.0)
    looks = 0
    while await on.left():
        await on.retention.enforce()
        looks += 1
        assert looks < 10
        assert on.retention.unfinished or not await on.left()
    assert looks == 4


async def test_gaps_and_events_go_with_the_footage_around_them(shelf: Shelf) -> None:
    on = await shelf()
    (old, young) = await aged(on, "porch", 40, 5)
    await on.event("porch", old)
    await on.event("porch", young)
    await on.keep("porch", RetentionRule(days(7), days(30)))
    await on.retention.enforce()
    found = await on.volume.catalog.run(lambda each: each.event_ranges(CameraId("porch"), 0, 1 << 62))
    assert [each.start_ns for each in found] == [(young.start_ns + young.end_ns) // 2]


async def test_a_camera_without_a_rule_keeps_its_footage_until_there_is_no_room(shelf: Shelf) -> None:
    on = await shelf(quota=2 * SIZE_BYTES)
    rows = await aged(on, "porch", 3000, 2000)
    await on.retention.enforce()
    assert await on.left() == rows
    more = await on.put("porch", 1000 * DAY_S)
    await on.retention.enforce()
    assert await on.left() == [more]
