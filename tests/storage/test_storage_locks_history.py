"""Whatever is recorded, moved, locked, released, aged, squeezed and cut short: nothing that is locked is ever gone."""

import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.storage.kept_shelf import SIZE_BYTES, KeptShelf

from vms.common.clock import NS
from vms.storage import deletion, disk
from vms.storage.catalog import CatalogRow
from vms.storage.locks import LOCKS_NAME
from vms.storage.retention_rule import RetentionRule
from vms.storage.segment import Segment

NAMES = ("porch", "yard")
DAY_S = 86400.0
TIERS = [("shelf", 3 * SIZE_BYTES), ("attic", 5 * SIZE_BYTES)]

AGES = st.one_of(st.none(), st.integers(0, 40))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.sampled_from(NAMES), st.integers(1, 6)),
        st.tuples(st.just("move"), st.sampled_from(["shelf", "attic"]), st.integers(1, 4)),
        st.tuples(st.just("clean"), st.none(), st.none()),
        st.tuples(st.just("event"), st.none(), st.integers(0, 99)),
        st.tuples(st.just("lock"), st.none(), st.integers(0, 99)),
        st.tuples(st.just("release"), st.none(), st.integers(0, 99)),
        st.tuples(st.just("old set"), st.none(), st.none()),
        st.tuples(st.just("rule"), st.sampled_from(NAMES), st.tuples(AGES, AGES, AGES, AGES, AGES)),
        st.tuples(st.just("quota"), st.none(), st.integers(0, 8)),
        st.tuples(st.just("time"), st.none(), st.floats(0, 20)),
        st.tuples(st.just("step"), st.none(), st.floats(-20, 20)),
        st.tuples(st.just("enforce"), st.none(), st.none()),
        st.tuples(st.just("cut short"), st.sampled_from(["unlink", "remove"]), st.none()),
        st.tuples(st.just("restart"), st.none(), st.booleans()),
        st.tuples(st.just("lost catalog"), st.none(), st.none()),
    ),
    min_size=4,
    max_size=25,
)


class World:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.shelf = KeptShelf(path, quota=6 * SIZE_BYTES, tiers=TIERS)
        self.revision = 1
        self.locked: dict[UUID, Segment] = {}

    async def do(self, what: str, name: str | None, value: object) -> None:
        await getattr(self, what.replace(" ", "_"))(name, value)

    async def record(self, name: str, count: int) -> None:
        for _ in range(count):
            self.shelf.clock.advance(60)
            await self.shelf.put(name, 1.0, 30.0)

    async def move(self, tier: str, count: int) -> None:
        catalog = self.shelf.volume.catalog
        before_ns = self.shelf.clock.wall_ns()
        rows = await catalog.run(lambda each: each.movable("", before_ns, count))
        await catalog.run(lambda each: each.moved([row.id for row in rows], tier))
        self.shelf.volume.closed_bytes -= len(rows) * SIZE_BYTES

    async def clean(self, *_: object) -> None:
        catalog = self.shelf.volume.catalog
        removals = await catalog.run(lambda each: each.removals(100))
        for removal in removals:
            now = await catalog.run(lambda each, r=removal: each.find(r.segment.id))  # type: ignore[misc]
            assert now is None or now.tier != removal.tier, "a copy that is in use is to be removed"
            if not removal.tier:
                disk.remove_all([removal.segment.path], self.path)
        await catalog.run(lambda each: each.removed(removals))

    async def event(self, _: object, number: int) -> None:
        rows = await self.shelf.left()
        if rows:
            row = rows[number % len(rows)]
            await self.shelf.event(row.camera_id, row)

    async def lock(self, _: object, number: int) -> None:
        rows = await self.shelf.left()
        if rows:
            row = rows[number % len(rows)]
            self.locked |= {row.id: row}
            await self.put_locks()

    async def release(self, _: object, number: int) -> None:
        if self.locked:
            self.locked.pop(list(self.locked)[number % len(self.locked)])
            await self.put_locks()

    async def put_locks(self) -> None:
        self.revision += 1
        await self.shelf.lock(*self.locked.values(), revision=self.revision)

    async def old_set(self, *_: object) -> None:
        if self.shelf.volume.locks.error is None:  # a damaged file and an old database: two faults at once
            await self.shelf.lock(revision=self.revision - 1)

    async def rule(self, name: str, ages: tuple[int | None, ...]) -> None:
        age, event, minimum, maximum, size = ages
        rule = RetentionRule(
            age_ns=(age or 0) * 86400 * NS,
            event_age_ns=(event or 0) * 86400 * NS,
            minimum_ns=(minimum or 0) * 86400 * NS,
            maximum_ns=None if maximum is None else maximum * 86400 * NS,
            size_bytes=None if size is None else size * SIZE_BYTES,
        )
        await self.shelf.keep(name, rule)

    async def quota(self, _: object, count: int) -> None:
        self.shelf.volume.quota_bytes = count * SIZE_BYTES

    async def time(self, _: object, days: float) -> None:
        self.shelf.clock.advance(days * DAY_S)

    async def step(self, _: object, days: float) -> None:
        self.shelf.clock.step_wall(days * DAY_S)

    async def enforce(self, *_: object) -> None:
        await self.shelf.retention.enforce()

    async def cut_short(self, where: str, _: object) -> None:
        """A deletion of all there is ends after its mark, or after its files."""
        rows = await self.shelf.left()
        free = [row for row in rows if not self.shelf.volume.locks.times.protects(row)]
        await self.shelf.volume.catalog.run(lambda each: each.mark_deleting([row.id for row in free]))
        if where == "remove":
            disk.remove_all([row.path for row in free], self.path)
        await self.restart(None, False)

    async def restart(self, _: object, damaged: bool) -> None:
        await self.shelf.close()
        if damaged and (self.path / LOCKS_NAME).exists():
            (self.path / LOCKS_NAME).write_bytes(b'{"version": 1, "locks": [')
        clock, quota = self.shelf.clock, self.shelf.volume.quota_bytes
        self.shelf = KeptShelf(self.path, quota=quota, tiers=TIERS)
        self.shelf.clock.step_wall((clock.wall_ns() - self.shelf.clock.wall_ns()) / NS)
        await self.shelf.open()
        await asyncio.to_thread(deletion.end_deletions, self.shelf.volume)

    async def lost_catalog(self, *_: object) -> None:
        """Its rows come back, as recovery brings them from files."""
        rows = await self.shelf.left()
        await self.shelf.close()
        for file in self.path.glob("vms-catalog*"):
            file.unlink()
        await self.restart(None, False)
        await self.shelf.volume.catalog.run(lambda each: each.add([CatalogRow(row) for row in rows]))
        self.shelf.volume.closed_bytes = sum(row.size_bytes for row in rows if not row.tier)

    async def check(self) -> None:
        left = {row.id: row for row in await self.shelf.left()}
        for id_ in self.locked:
            assert id_ in left, "what is locked is gone"
        for row in left.values():
            assert row.tier or row.path.exists(), "in the catalog and not on the disk"
        going = await self.shelf.volume.catalog.run(lambda each: each.removals(1000))
        assert not [
            each for each in going if each.segment.id in left and left[each.segment.id].tier == each.tier
        ]
        held = await self.shelf.volume.catalog.run(lambda each: each.tier_bytes())
        for tier in ("", "shelf", "attic"):
            assert held.get(tier, 0) == sum(row.size_bytes for row in left.values() if row.tier == tier)
        assert self.shelf.volume.closed_bytes == held[""]


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(0, 1 << 30))
def test_nothing_locked_is_ever_gone(steps: list[tuple[str, str | None, object]], seed: int) -> None:
    async def run(path: Path) -> None:
        world = World(path)
        await world.shelf.open()
        random = Random(seed)
        try:
            for what, name, value in steps:
                await world.do(what, name, value)
                await world.check()
                if random.random() < 0.5:
                    await world.do("enforce", None, None)
                    await world.check()
        finally:
            await world.shelf.close()

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory) / "volume"))
