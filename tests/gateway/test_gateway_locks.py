"""Evidence locks: kept in the database, told to keepers, asked for over the bus."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.gateway.system import System, until

from vms.bus.errors import BusUnavailable
from vms.common.clock import NS, ManualClock
from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.gateway.database import DATABASE_NAME, Database
from vms.gateway.evidence import SETTLE_S
from vms.gateway.evidence_client import LockClient
from vms.gateway.lock_distribution import KeptVolume
from vms.gateway.locks import FARTHEST_AHEAD_NS, HOLDING_MAX, LONGEST_NS, RELEASED_MAX, LockStore
from vms.proto.subjects import worker_status
from vms.proto.worker_pb2 import WorkerStatus

PORCH = CameraId("porch")
HOUR_NS = 3600 * NS
NOW_NS = 1_700_000_000 * NS


class Keeper:
    """Obeys the newest locks that it was told, unless it is failing or hanging."""

    def __init__(self) -> None:
        self.obeyed: Sequence[EvidenceLock] = ()
        self.revisions: list[int] = []
        self.failing = False
        self.answering = asyncio.Event()
        self.answering.set()

    async def put_locks(self, locks: Sequence[EvidenceLock], revision: int) -> None:
        if self.failing:
            raise Unavailable("keeper-0 does not answer")
        await self.answering.wait()
        self.obeyed = locks
        self.revisions.append(revision)

    @property
    def ids(self) -> set[UUID]:
        return {lock.id for lock in self.obeyed if lock.holds}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS)


async def two_keepers(system: System) -> tuple[Keeper, Keeper, LockClient]:
    """A gateway with two volumes, both of which were told once."""
    await system.start()
    first, second = Keeper(), Keeper()
    assert system.gateway is not None
    await system.gateway.set_volumes(
        [KeptVolume("keeper-0", "/first", first), KeptVolume("keeper-1", "/second", second)]
    )
    await until(lambda: bool(first.revisions and second.revisions))
    return first, second, LockClient(system.bus)


async def lock(client: LockClient, clock_ns: int, camera: str = "porch") -> UUID:
    report = await client.create(
        CameraId(camera), clock_ns - HOUR_NS, clock_ns, reason="a burglary", created_by="Ana"
    )
    return report.lock.id


async def test_a_lock_is_obeyed_by_every_volume_when_the_command_is_answered(system: System) -> None:
    first, second, client = await two_keepers(system)
    now_ns = system.clock.wall_ns()
    report = await client.create(PORCH, now_ns - HOUR_NS, now_ns, reason=" a burglary ", created_by="Ana")
    assert [(each.volume, each.holds, each.detail) for each in report.volumes] == [
        ("/first", True, ""),
        ("/second", True, ""),
    ]
    assert first.obeyed == second.obeyed == [report.lock]
    assert (report.lock.reason, report.lock.created_by) == ("a burglary", "Ana")
    assert report.lock.holds
    assert (await client.get(report.lock.id)) == report


async def test_a_volume_that_does_not_answer_is_named_and_told_when_it_is_back(system: System) -> None:
    _, second, client = await two_keepers(system)
    second.failing = True
    now_ns = system.clock.wall_ns()
    report = await client.create(PORCH, now_ns - HOUR_NS, now_ns, reason="x", created_by="y")
    assert [each.holds for each in report.volumes] == [True, False]
    assert report.volumes[1].detail == "keeper-0 does not answer"
    assert second.ids == set()
    second.failing = False
    await until(lambda: second.ids == {report.lock.id})
    while not all(each.holds for each in (await client.get(report.lock.id)).volumes):
        await asyncio.sleep(0)


async def test_a_keeper_that_hangs_delays_the_answer_for_a_bounded_time_alone(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SETTLE_S < 30
    monkeypatch.setattr("vms.gateway.evidence.SETTLE_S", 1.0)
    first, _, client = await two_keepers(system)
    first.answering.clear()
    report_id = await lock(client, system.clock.wall_ns())
    report = await client.get(report_id)
    assert [each.holds for each in report.volumes] == [False, True]
    first.answering.set()
    await until(lambda: first.ids == {report_id})


async def test_a_keeper_in_a_new_life_is_told_again(system: System) -> None:
    first, second, client = await two_keepers(system)
    await lock(client, system.clock.wall_ns())
    await until(lambda: len(first.revisions) == len(second.revisions) == 2)

    def alive(started_ns: int) -> None:
        status = WorkerStatus(worker="keeper-0", role="keeper", started_ns=started_ns)
        system.bus.publish(worker_status("keeper-0"), status.SerializeToString())

    first.obeyed = ()  # its disk is another one
    alive(1)
    await until(lambda: len(first.revisions) == 3)
    assert len(first.ids) == 1
    alive(1)
    alive(2)
    await until(lambda: len(first.revisions) == 4)
    assert len(second.revisions) == 2


async def test_a_released_lock_is_told_and_stays_as_a_record_with_who_and_why(system: System) -> None:
    first, second, client = await two_keepers(system)
    kept = await lock(client, system.clock.wall_ns())
    gone = await lock(client, system.clock.wall_ns())
    report = await client.release(gone, released_by="Bento", reason="the court has its copy")
    assert [each.holds for each in report.volumes] == [False, False]
    assert first.ids == second.ids == {kept}
    assert not report.lock.holds
    assert (report.lock.released_by, report.lock.release_reason) == ("Bento", "the court has its copy")
    assert [each.lock.id for each in (await client.list(limit=9)).items] == [kept]
    history = (await client.list(limit=9, include_released=True)).items
    assert [each.lock.id for each in history] == [gone, kept]
    with pytest.raises(Conflict, match="released already"):
        await client.release(gone, released_by="Bento", reason="again")
    with pytest.raises(NotFound):
        await client.release(uuid4(), released_by="Bento", reason="which?")


async def test_a_released_lock_is_said_to_hold_where_the_release_was_not_heard(system: System) -> None:
    first, _, client = await two_keepers(system)
    released = await lock(client, system.clock.wall_ns())
    first.failing = True
    report = await client.release(released, released_by="Bento", reason="done")
    assert [(each.volume, each.holds) for each in report.volumes] == [("/first", True), ("/second", False)]


async def test_what_was_committed_is_told_after_the_gateway_was_killed_and_came_back(system: System) -> None:
    _, _, client = await two_keepers(system)
    locked = await lock(client, system.clock.wall_ns())
    assert system.gateway is not None
    await system.gateway.stop()
    with pytest.raises(Unavailable):
        await lock(client, system.clock.wall_ns())
    gateway = await system.start_gateway()
    other = Keeper()
    await gateway.set_volumes([KeptVolume("keeper-0", "/first", other)])
    await until(lambda: other.ids == {locked})


async def test_a_command_whose_answer_was_lost_is_done_once(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, client = await two_keepers(system)
    monkeypatch.setattr("vms.gateway.evidence_client._AT_ONCE_S", 0.0)
    asked: list[str] = []

    class Lossy:
        """Loses the first answer of each kind, as a gateway does that is killed."""

        async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
            answer = await system.bus.request(subject, data, timeout_s=timeout_s)
            asked.append(subject)
            if asked.count(subject) == 1:
                raise BusUnavailable(f"{subject}: no answer")
            return answer

    lossy = LockClient(Lossy())  # type: ignore[arg-type]
    locked = await lock(lossy, system.clock.wall_ns())
    assert first.ids == {locked}
    assert [each.lock.id for each in (await client.list(limit=9)).items] == [locked]
    report = await lossy.release(locked, released_by="Ana", reason="done")
    assert not report.lock.holds
    assert len(asked) == 4


async def test_revisions_rise_with_every_change_also_after_an_older_database_was_restored(
    tmp_path: Path, clock: ManualClock
) -> None:
    async def store() -> tuple[Database, LockStore]:
        database = await Database.open(tmp_path)
        return database, LockStore(database, clock, "default")

    async def add(locks: LockStore) -> int:
        stored = await locks.create("porch", NOW_NS - NS, NOW_NS, reason="x", created_by="y")
        return stored.revision

    database, locks = await store()
    assert (await locks.to_tell(0)).locks == []
    assert await locks.revision() == 0
    first = await add(locks)
    await database.close()
    backup = tmp_path / "backup.sqlite"
    shutil.copy(tmp_path / DATABASE_NAME, backup)
    database, locks = await store()
    seen = [first, *[await add(locks) for _ in range(5)]]
    assert seen == sorted(set(seen))
    await database.close()
    shutil.copy(backup, tmp_path / DATABASE_NAME)
    clock.advance(3600)
    database, locks = await store()
    assert await locks.revision() == first
    assert await add(locks) > max(seen)
    await database.close()


async def test_what_was_locked_after_a_backup_that_was_restored_is_obeyed_on_a_real_volume(
    tmp_path: Path,
) -> None:
    """Whatever is locked and released anew before the volume is heard of again."""
    from vms.storage.locks import VolumeLocks

    class OnDisk(Keeper):
        def __init__(self, locks: VolumeLocks) -> None:
            super().__init__()
            self.locks = locks

        async def put_locks(self, locks: Sequence[EvidenceLock], revision: int) -> None:
            await super().put_locks(locks, revision)
            self.locks.put(locks, revision, aside=".damaged")

        @property
        def ids(self) -> set[UUID]:
            return {each.id for each in self.locks.holding}

    async def begin(keeper: OnDisk) -> System:
        system = System(tmp_path / "data", workers=1)
        await system.start()
        assert system.gateway is not None
        await system.gateway.set_volumes([KeptVolume("keeper-0", "/first", keeper)])
        return system

    (tmp_path / "volume").mkdir()
    volume = VolumeLocks(tmp_path / "volume")
    volume.load()
    keeper = OnDisk(volume)
    system = await begin(keeper)
    early = await lock(LockClient(system.bus), system.clock.wall_ns())
    released = await lock(LockClient(system.bus), system.clock.wall_ns())
    await system.stop()
    database = tmp_path / "data" / DATABASE_NAME
    backup = database.read_bytes()
    system = await begin(keeper)
    between = await lock(LockClient(system.bus), system.clock.wall_ns())
    await system.stop()
    assert keeper.ids == {early, released, between}

    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    database.write_bytes(backup)
    keeper.failing = True  # the volume is not there at first
    system = await begin(keeper)
    client = LockClient(system.bus)
    late = await lock(client, system.clock.wall_ns())
    await client.release(released, released_by="Ana", reason="case closed")
    assert keeper.ids == {early, released, between}
    keeper.failing = False
    await until(lambda: late in keeper.ids)
    assert keeper.ids == {early, between, late}
    await client.release(early, released_by="Ana", reason="case closed")
    assert keeper.ids == {between, late}
    await system.stop()


async def test_nothing_is_half_done_when_the_database_is_away(system: System) -> None:
    first, _, client = await two_keepers(system)
    assert system.gateway is not None
    registry = system.gateway._registry
    system.gateway._registry = None
    for asking in (
        lock(client, system.clock.wall_ns()),
        client.get(uuid4()),
        client.list(limit=1),
        client.release(uuid4(), released_by="x", reason="y"),
    ):
        with pytest.raises(Unavailable, match="database cannot be used now"):
            await asking
    system.gateway._registry = registry
    assert (await client.list(limit=9, include_released=True)).items == []
    assert first.ids == set()


async def test_a_database_that_does_not_take_a_lock_is_said_and_no_keeper_is_told(system: System) -> None:
    first, _, client = await two_keepers(system)
    with contextlib.closing(sqlite3.connect(system.data_dir / DATABASE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # as long as the system waits for it, and longer
        with pytest.raises(Unavailable, match="locked"):
            await lock(client, system.clock.wall_ns())
        other.execute("ROLLBACK")
    assert (await client.list(limit=9, include_released=True)).items == []
    locked = await lock(client, system.clock.wall_ns())
    assert first.ids == {locked}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start_ns": NOW_NS}, "before end"),
        ({"start_ns": NOW_NS - LONGEST_NS - 1}, "31 days"),
        ({"start_ns": NOW_NS, "end_ns": NOW_NS + FARTHEST_AHEAD_NS + 1}, "24 hours ahead"),
        ({"reason": " "}, "reason: is missing"),
        ({"created_by": ""}, "created_by: is missing"),
        ({"reason": "x" * 1001}, "1000 are the most"),
        ({"camera": "../x"}, "no camera id"),
    ],
)
async def test_a_lock_that_cannot_be_is_refused(
    tmp_path: Path, clock: ManualClock, changes: dict[str, object], said: str
) -> None:
    database = await Database.open(tmp_path)
    locks = LockStore(database, clock, "default")
    fields: dict[str, object] = {
        "camera": "porch",
        "start_ns": NOW_NS - LONGEST_NS,
        "end_ns": NOW_NS,
        "reason": "x",
        "created_by": "y",
    }
    await locks.create(**fields)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=said):
        await locks.create(**(fields | changes))  # type: ignore[arg-type]
    assert len((await locks.to_tell(0)).locks) == 1
    await database.close()


async def test_the_largest_set_of_locks_fits_into_one_message_to_a_keeper(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vms.bus.frames import MAX_FRAME_BYTES
    from vms.gateway.evidence_messages import lock_message

    database = await Database.open(tmp_path)
    locks = LockStore(database, clock, "default")
    stored = await locks.create(
        "c" * 63, NOW_NS - LONGEST_NS, NOW_NS, reason="\U0001f512" * 1000, created_by="\U0001f512" * 200
    )
    await locks.release(str(stored.lock.id), released_by="\U0001f512" * 200, reason="\U0001f512" * 1000)
    (released,) = (await locks.to_tell(0)).locks
    largest = lock_message(stored.lock).ByteSize() * HOLDING_MAX
    assert largest + lock_message(released).ByteSize() * RELEASED_MAX < MAX_FRAME_BYTES
    stored = await locks.create("porch", NOW_NS - NS, NOW_NS, reason="x", created_by="y")
    monkeypatch.setattr("vms.gateway.locks.HOLDING_MAX", 1)
    with pytest.raises(Conflict, match="release some"):
        await locks.create("porch", NOW_NS - NS, NOW_NS, reason="x", created_by="y")
    await locks.release(str(stored.lock.id), released_by="x", reason="y")
    await locks.create("porch", NOW_NS - NS, NOW_NS, reason="x", created_by="y")
    await database.close()


async def test_lists_are_paged_and_find_by_camera_and_time(system: System) -> None:
    _, _, client = await two_keepers(system)
    now_ns = system.clock.wall_ns()
    expected = [await lock(client, now_ns - n * 2 * HOUR_NS, "porch" if n % 2 else "gate") for n in range(7)]
    seen: list[UUID] = []
    before = None
    while True:
        page = await client.list(limit=3, before=before)
        seen += [each.lock.id for each in page.items]
        if not page.more:
            break
        last = page.items[-1].lock
        before = last.created_ns, str(last.id)
    assert seen == expected[::-1]
    of_porch = await client.list(limit=9, camera_id="porch")
    assert [each.lock.id for each in of_porch.items] == expected[::-1][1::2]
    # [now-3h, now-2h) is of n=1; n=0 ends an hour after its start, which is the range's end
    between = await client.list(limit=9, start_ns=now_ns - 3 * HOUR_NS, end_ns=now_ns - HOUR_NS)
    assert [each.lock.id for each in between.items] == [expected[1]]


async def test_an_answer_stays_below_what_the_bus_carries(system: System) -> None:
    _, _, client = await two_keepers(system)
    now_ns = system.clock.wall_ns()
    for _ in range(4):
        await client.create(PORCH, now_ns - NS, now_ns, reason="\U0001f512" * 1000, created_by="y")
    page = await client.list(limit=1000)
    assert (len(page.items), page.more) == (4, False)
    from vms.gateway import evidence_messages

    messages = [evidence_messages.report_message(report) for report in page.items] * 200
    taken, more = evidence_messages.page(messages, 1000)
    assert more
    assert sum(each.ByteSize() for each in taken) < evidence_messages.PAGE_BYTES
    assert replace(page.items[0].lock) == page.items[0].lock
