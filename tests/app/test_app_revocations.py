"""A session that was ended in one api process is ended in all of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.bus.nats_process import NatsProcess, until

from vms.api.auth import SESSION_S, Authenticator, session_digest
from vms.app.revocations import BUCKET, SharedRevocations
from vms.bus.contract import Bus
from vms.bus.memory import MemoryBus
from vms.bus.nats_bus import NatsBus
from vms.common.clock import NS, ManualClock

TOKEN = "a-token-of-enough-characters"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000 * NS)


@pytest.fixture
async def bus(clock: ManualClock) -> AsyncIterator[MemoryBus]:
    bus = MemoryBus(clock)
    await bus.start()
    yield bus
    await bus.stop()


class Processes:
    """Api processes without the rest of them, on one bus if not told otherwise."""

    def __init__(self, clock: ManualClock, bus: Bus | None = None) -> None:
        self._bus = bus
        self._clock = clock
        self._shared: list[SharedRevocations] = []

    async def start(self, bus: Bus | None = None) -> Authenticator:
        bus = bus or self._bus
        assert bus is not None
        authenticator = Authenticator(TOKEN, b"s" * 32, self._clock)
        shared = SharedRevocations(bus, authenticator)
        await shared.start()
        self._shared.append(shared)
        return authenticator

    async def stop(self) -> None:
        for shared in self._shared:
            await shared.stop()


@pytest.fixture
async def processes(bus: MemoryBus, clock: ManualClock) -> AsyncIterator[Processes]:
    processes = Processes(clock, bus)
    yield processes
    await processes.stop()


async def test_a_session_ended_in_one_process_is_ended_in_the_other(processes: Processes) -> None:
    one, other = await processes.start(), await processes.start()
    ended, kept = one.new_session(), one.new_session()
    assert other.is_session(ended)
    one.end_session(ended)
    assert not one.is_session(ended)
    await until(lambda: not other.is_session(ended))
    assert one.is_session(kept)
    assert other.is_session(kept)


async def test_a_process_that_starts_later_learns_what_was_ended(
    bus: MemoryBus, processes: Processes
) -> None:
    one = await processes.start()
    value = one.new_session()
    one.end_session(value)
    late = await processes.start()
    await until(lambda: not late.is_session(value))


async def test_the_bus_gets_a_digest_and_never_the_cookie(bus: MemoryBus, processes: Processes) -> None:
    one = await processes.start()
    value = one.new_session()
    one.end_session(value)
    bucket = bus.bucket(BUCKET, ttl_s=SESSION_S)
    await until(bucket.list)
    entries = await bucket.list()
    assert set(entries) == {session_digest(value)}
    assert entries[session_digest(value)].value == value.split(".")[1].encode()


async def test_a_bus_that_was_away_and_lost_its_store_is_told_all_when_it_is_back(
    tmp_path: Path, clock: ManualClock
) -> None:
    nats = NatsProcess(tmp_path)
    nats.start()
    buses = [NatsBus(nats.address) for _ in range(3)]
    for each in buses:
        await each.start()
    processes = Processes(clock)
    one, other = await processes.start(buses[0]), await processes.start(buses[1])
    before, meanwhile = one.new_session(), one.new_session()
    one.end_session(before)
    await until(lambda: not other.is_session(before))

    nats.kill()
    one.end_session(meanwhile)
    assert not one.is_session(meanwhile)
    nats.lose_store()
    nats.start()
    await until(lambda: not other.is_session(meanwhile))
    late = await processes.start(buses[2])
    await until(lambda: not late.is_session(before) and not late.is_session(meanwhile))

    await processes.stop()
    for each in buses:
        await each.stop()
    nats.kill()


async def test_what_has_expired_is_neither_kept_nor_told(
    bus: MemoryBus, clock: ManualClock, processes: Processes
) -> None:
    one = await processes.start()
    one.end_session(one.new_session())
    assert len(one.revoked()) == 1
    clock.advance(SESSION_S)
    assert one.revoked() == {}
    one.revoke("f" * 64, clock.wall_ns() // NS)
    assert one.revoked() == {}


async def test_what_makes_no_sense_in_the_bucket_is_left_out(bus: MemoryBus, processes: Processes) -> None:
    one = await processes.start()
    bucket = bus.bucket(BUCKET, ttl_s=SESSION_S)
    await bucket.put("nonsense", b"\xff")
    await bucket.put("eternal", b"9" * 30)
    await until(lambda: "eternal" in one.revoked())
    assert one.revoked() == {"eternal": 1_700_000_000 + SESSION_S}


async def test_without_a_token_nothing_is_watched(bus: MemoryBus, clock: ManualClock) -> None:
    authenticator = Authenticator(None, b"s" * 32, clock)
    shared = SharedRevocations(bus, authenticator)
    await shared.start()
    await bus.bucket(BUCKET, ttl_s=SESSION_S).put("a", b"9999999999")
    await asyncio.sleep(0.01)
    assert authenticator.revoked() == {}
    await shared.stop()
