"""The bus's contract, buckets: the same tests on both carriers."""

import asyncio
from collections.abc import Mapping

import pytest
from tests.bus.nats_process import until

from vms.bus.contract import MAX_DATA_BYTES, Bus, Entry
from vms.common.errors import Conflict, InvalidInput


class Seen:
    """What a watcher was told."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.calls: list[tuple[str, bytes | None]] = []
        self.listings: list[dict[str, bytes]] = []

    def on_change(self, key: str, entry: Entry | None) -> None:
        self.calls.append((key, None if entry is None else entry.value))
        if entry is None:
            del self.values[key]
        else:
            self.values[key] = entry.value

    def on_relisted(self, listing: Mapping[str, Entry]) -> None:
        self.listings.append({key: entry.value for key, entry in listing.items()})


async def test_what_was_put_is_read_back_with_its_revision(bus: Bus) -> None:
    cameras = bus.bucket("cameras")
    assert await cameras.get("yard") is None
    first = await cameras.put("yard", b"\x00one")
    assert await cameras.get("yard") == Entry("yard", b"\x00one", first)
    second = await cameras.put("yard", b"")
    assert second > first
    assert await cameras.get("yard") == Entry("yard", b"", second)


async def test_a_value_is_made_only_where_there_is_none(bus: Bus) -> None:
    cameras = bus.bucket("cameras")
    revision = await cameras.create("yard", b"1")
    with pytest.raises(Conflict, match="cameras/yard exists already"):
        await cameras.create("yard", b"2")
    assert await cameras.get("yard") == Entry("yard", b"1", revision)
    await cameras.delete("yard")
    assert await cameras.create("yard", b"3") > revision


async def test_an_update_needs_the_newest_revision(bus: Bus) -> None:
    cameras = bus.bucket("cameras")
    first = await cameras.put("yard", b"1")
    second = await cameras.update("yard", b"2", first)
    for stale in (first, second + 1000, 0):
        with pytest.raises(Conflict, match="was changed meanwhile"):
            await cameras.update("yard", b"3", stale)
    await cameras.delete("yard")
    with pytest.raises(Conflict):
        await cameras.update("yard", b"3", second)
    with pytest.raises(Conflict):
        await cameras.update("gate", b"3", second)
    assert await cameras.list() == {}


async def test_of_many_updates_of_one_revision_one_wins(bus: Bus) -> None:
    cameras = bus.bucket("cameras")
    revision = await cameras.put("count", b"0")
    tries = [cameras.update("count", str(n).encode(), revision) for n in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False] + [True] * 19


async def test_of_many_creations_of_one_key_one_wins(bus: Bus) -> None:
    cameras = bus.bucket("cameras")
    await cameras.put("yard", b"")
    await cameras.delete("yard")
    outcomes = await asyncio.gather(*(cameras.create("yard", b"") for _ in range(20)), return_exceptions=True)
    assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False] + [True] * 19


async def test_counting_by_compare_and_set_loses_no_count(bus: Bus) -> None:
    counts = bus.bucket("counts")
    await counts.put("n", b"0")

    async def count() -> None:
        for _ in range(10):
            while True:
                entry = await counts.get("n")
                assert entry is not None
                try:
                    await counts.update("n", str(int(entry.value) + 1).encode(), entry.revision)
                    break
                except Conflict:
                    continue

    await asyncio.gather(*(count() for _ in range(4)))
    entry = await counts.get("n")
    assert entry is not None
    assert entry.value == b"40"


async def test_a_bucket_is_listed_whole_without_what_was_deleted(bus: Bus) -> None:
    cameras = bus.bucket("cameras")
    assert await cameras.list() == {}
    revisions = {f"cam-{n}": await cameras.put(f"cam-{n}", str(n).encode()) for n in range(50)}
    await cameras.delete("cam-7")
    await cameras.delete("never-there")
    expected = {
        key: Entry(key, key[4:].encode(), revision) for key, revision in revisions.items() if key != "cam-7"
    }
    assert await cameras.list() == expected
    assert await cameras.get("cam-7") is None


async def test_buckets_are_apart(bus: Bus) -> None:
    await bus.bucket("a").put("key", b"a")
    await bus.bucket("b").put("key", b"b")
    assert (await bus.bucket("a").list())["key"].value == b"a"


async def test_a_watcher_gets_what_is_there_then_the_changes(bus: Bus) -> None:
    cameras, seen = bus.bucket("cameras"), Seen()
    await cameras.put("yard", b"1")
    await cameras.put("gate", b"1")
    await cameras.delete("gate")
    watch = cameras.watch(seen.on_change, relisted=seen.on_relisted)
    await until(lambda: seen.listings == [{"yard": b"1"}])
    assert seen.calls == [("yard", b"1")]
    await cameras.put("gate", b"2")
    await until(lambda: seen.values == {"yard": b"1", "gate": b"2"})
    await cameras.delete("yard")
    await until(lambda: seen.values == {"gate": b"2"})
    assert seen.calls[-1] == ("yard", None)
    watch.close()
    watch.close()
    await cameras.put("gate", b"3")
    await asyncio.sleep(0.05)
    assert seen.values == {"gate": b"2"}


async def test_a_watcher_of_an_empty_bucket_is_told_that_it_is_empty(bus: Bus) -> None:
    seen = Seen()
    bus.bucket("cameras").watch(seen.on_change, relisted=seen.on_relisted)
    await until(lambda: seen.listings == [{}])


async def test_200_rapid_changes_end_in_the_right_state_for_every_watcher(bus: Bus) -> None:
    cameras = bus.bucket("cameras")
    early, late = Seen(), Seen()
    cameras.watch(early.on_change)
    for number in range(200):
        key = f"cam-{number % 7}"
        if number % 5 == 4:
            await cameras.delete(key)
        else:
            await cameras.put(key, str(number).encode())
        if number == 100:
            cameras.watch(late.on_change)
    expected = {key: entry.value for key, entry in (await cameras.list()).items()}
    assert expected
    await until(lambda: early.values == expected)
    await until(lambda: late.values == expected)


async def test_changes_in_one_turn_are_told_as_the_newest_value(bus: Bus) -> None:
    cameras, seen = bus.bucket("cameras"), Seen()
    cameras.watch(seen.on_change, relisted=seen.on_relisted)
    await until(lambda: seen.listings)
    await asyncio.gather(*(cameras.put("yard", str(n).encode()) for n in range(200)))
    entry = (await cameras.list())["yard"]
    await until(lambda: seen.values == {"yard": entry.value})
    assert len(seen.calls) <= 200


async def test_a_watcher_that_fails_goes_on_with_the_next_change(bus: Bus) -> None:
    cameras, told = bus.bucket("cameras"), []

    def fail(key: str, _: Entry | None) -> None:
        told.append(key)
        raise ZeroDivisionError

    cameras.watch(fail)
    await cameras.put("yard", b"")
    await until(lambda: told == ["yard"])
    await cameras.put("gate", b"")
    await until(lambda: told == ["yard", "gate"])


async def test_values_expire_watchers_learn_it_and_the_key_can_be_made_again(bus: Bus) -> None:
    leases, seen = bus.bucket("leases", ttl_s=2.0), Seen()
    leases.watch(seen.on_change)
    await leases.create("leader", b"a")
    with pytest.raises(Conflict):
        await leases.create("leader", b"b")
    await until(lambda: seen.values == {"leader": b"a"})

    async def gone() -> bool:
        return await leases.get("leader") is None

    await until(gone)
    await until(lambda: seen.calls[-1] == ("leader", None))
    assert await leases.list() == {}
    revision = await leases.create("leader", b"b")
    assert await leases.get("leader") == Entry("leader", b"b", revision)
    with pytest.raises(Conflict):
        await leases.create("leader", b"c")
    await until(lambda: seen.values == {"leader": b"b"})


async def test_a_value_that_is_written_again_lives_on(bus: Bus) -> None:
    leases = bus.bucket("leases", ttl_s=2.0)
    revision = await leases.create("leader", b"a")
    await leases.create("witness", b"a")

    async def witness_is_gone() -> bool:
        nonlocal revision
        revision = await leases.update("leader", b"a", revision)
        return await leases.get("witness") is None

    await until(witness_is_gone)
    assert await leases.get("leader") == Entry("leader", b"a", revision)


async def test_values_up_to_the_limit_pass_whole(bus: Bus) -> None:
    cameras = bus.bucket("cameras")
    await cameras.put("large", bytes(MAX_DATA_BYTES))
    entry = await cameras.get("large")
    assert entry is not None
    assert len(entry.value) == MAX_DATA_BYTES
    assert len((await cameras.list())["large"].value) == MAX_DATA_BYTES
    with pytest.raises(InvalidInput, match="the bus takes up to"):
        await cameras.put("large", bytes(MAX_DATA_BYTES + 1))


async def test_a_large_bucket_is_listed_and_watched_whole(bus: Bus) -> None:
    cameras, seen = bus.bucket("cameras"), Seen()
    for first in range(0, 1200, 100):
        await asyncio.gather(*(cameras.put(f"k{n}", bytes(20_000)) for n in range(first, first + 100)))
    assert len(await cameras.list()) == 1200
    cameras.watch(seen.on_change, relisted=seen.on_relisted)
    await until(lambda: seen.listings)
    assert len(seen.values) == len(seen.listings[0]) == 1200


@pytest.mark.parametrize("bad", ["", ".", "a..b", ".a", "a.", "a b", "a*", ">", "é", "a/b", "a\r\nb"])
async def test_a_bad_key_is_refused(bus: Bus, bad: str) -> None:
    cameras = bus.bucket("cameras")
    for attempt in (
        cameras.get(bad),
        cameras.put(bad, b""),
        cameras.create(bad, b""),
        cameras.update(bad, b"", 1),
        cameras.delete(bad),
    ):
        with pytest.raises(InvalidInput):
            await attempt


@pytest.mark.parametrize("good", ["a", "camera_1-x.main", "A.b.C", "0"])
async def test_keys_are_tokens_with_dots_between(bus: Bus, good: str) -> None:
    cameras = bus.bucket("cameras")
    await cameras.put(good, b"1")
    assert list(await cameras.list()) == [good]


async def test_a_bucket_has_one_time_to_live_and_a_proper_name(bus: Bus) -> None:
    bus.bucket("leases", ttl_s=2.0)
    with pytest.raises(InvalidInput, match="bucket leases"):
        bus.bucket("leases")
    with pytest.raises(InvalidInput):
        bus.bucket("a.b")
