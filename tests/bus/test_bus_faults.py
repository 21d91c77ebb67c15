"""NATS killed, hung, restarted, moved, and with its store gone."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.bus.nats_process import NatsProcess, until
from tests.bus.test_bus_events import Handled, an_event
from tests.bus.test_bus_key_value import Seen

from vms.bus.address import BusAddress
from vms.bus.errors import BusUnavailable
from vms.bus.event_store import EventStore
from vms.bus.events import Outbox
from vms.bus.nats_bus import NatsBus
from vms.common.clock import SystemClock
from vms.proto import event_pb2


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def echo(data: bytes) -> bytes:
    return data


@pytest.fixture
async def other(nats: NatsProcess) -> AsyncIterator[NatsBus]:
    """Another process's bus, so to speak."""
    bus = NatsBus(nats.address)
    await bus.start()
    await until(lambda: bus.connected)
    yield bus
    await bus.stop()


async def test_starting_without_a_server_returns_and_connects_when_there_is_one(tmp_path: Path) -> None:
    process = NatsProcess(tmp_path)
    bus = NatsBus(process.address)
    told = asyncio.Event()
    bus.on_connect(told.set)
    bus.serve("echo", echo)
    await bus.start()
    await asyncio.sleep(0.1)
    assert not bus.connected
    bus.publish("a", b"")
    assert bus.dropped == 1
    with pytest.raises(BusUnavailable, match="the bus is away"):
        await bus.request("echo", b"", timeout_s=60)
    process.start()
    await until(told.is_set)
    assert await bus.request("echo", b"now") == b"now"
    await bus.stop()
    process.kill()


async def test_after_a_kill_and_restart_everything_works_again_by_itself(
    nats: NatsProcess, nats_bus: NatsBus, other: NatsBus
) -> None:
    got: list[bytes] = []
    seen = Seen()
    connections: list[int] = []
    nats_bus.subscribe("status.*", lambda _, data: got.append(data))
    nats_bus.serve("echo", echo)
    nats_bus.on_connect(lambda: connections.append(1))
    cameras = nats_bus.bucket("cameras")
    cameras.watch(seen.on_change, relisted=seen.on_relisted)
    await cameras.put("yard", b"1")
    await until(lambda: seen.values == {"yard": b"1"})
    for life in range(3):
        told = len(connections)
        nats.kill()
        await until(lambda: not nats_bus.connected and not other.connected)
        nats.start()
        await until(lambda told=told: len(connections) > told and other.connected)
        assert await other.request("echo", b"1") == b"1"
        got.clear()
        other.publish("status.x", b"here")
        await until(lambda: got == [b"here"])
        assert (await other.bucket("cameras").list()).keys() >= {"yard"}
        await other.bucket("cameras").put("gate", str(life).encode())
        await until(lambda life=life: seen.values == {"yard": b"1", "gate": str(life).encode()})
    assert ("yard", None) not in seen.calls
    assert seen.calls.count(("yard", b"1")) == 1


async def test_what_waits_for_a_killed_server_ends_at_once(nats: NatsProcess, nats_bus: NatsBus) -> None:
    asked = asyncio.Event()

    async def never(_: bytes) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        return b""

    nats_bus.serve("never", never)
    request = asyncio.create_task(nats_bus.request("never", b"", timeout_s=3600))
    await asked.wait()
    nats.kill()
    async with asyncio.timeout(20):
        with pytest.raises(BusUnavailable, match="went away"):
            await request


async def test_a_server_that_hangs_is_given_up_and_used_again_when_it_comes_to(
    nats: NatsProcess, nats_bus: NatsBus
) -> None:
    nats_bus.serve("echo", echo)
    assert await nats_bus.request("echo", b"1") == b"1"
    nats.signal(signal.SIGSTOP)
    request = asyncio.create_task(nats_bus.request("echo", b"", timeout_s=3600))
    for _ in range(200):
        nats_bus.publish("filler", bytes(500_000))  # more than the socket takes
    await until(lambda: not nats_bus.connected)
    with pytest.raises(BusUnavailable):
        await request
    assert nats_bus.dropped > 0
    nats.signal(signal.SIGCONT)
    await until(lambda: nats_bus.connected)
    assert await nats_bus.request("echo", b"2") == b"2"


async def test_a_server_that_comes_back_on_another_port_is_found(
    nats: NatsProcess, nats_bus: NatsBus
) -> None:
    before = nats.address()
    nats.kill()
    host, _, port = before.url.removeprefix("nats://").partition(":")
    occupant = await asyncio.start_server(lambda _reader, writer: writer.close(), host, int(port))
    nats.start()
    assert nats.address().url != before.url
    assert nats.address().password == before.password
    await until(lambda: nats_bus.connected)
    occupant.close()


async def test_a_long_absence_leaks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vms.bus.nats_bus._LONGEST_RETRY_S", 0.005)
    monkeypatch.setattr("vms.bus.nats_bus._FIRST_RETRY_S", 0.005)
    process = NatsProcess(tmp_path)
    process.start()
    process.kill()  # its address stays
    attempts = 0

    def address() -> BusAddress:
        nonlocal attempts
        attempts += 1
        return process.address()

    bus = NatsBus(address)
    await bus.start()
    await until(lambda: attempts > 20)
    descriptors, tasks = open_files(), len(asyncio.all_tasks())
    for _ in range(30_000):
        bus.publish("status", b"x")
    await until(lambda: attempts > 200)
    assert bus.dropped == 30_000
    assert open_files() <= descriptors + 3
    assert len(asyncio.all_tasks()) <= tasks + 3
    process.start()
    await until(lambda: bus.connected)
    await bus.stop()
    process.kill()


async def test_wrong_credentials_do_not_connect_and_are_not_in_the_reason(
    nats: NatsProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.bus.nats_bus._PATIENCE_S", 0.0)
    bus = NatsBus(lambda: BusAddress(nats.address().url, "vms", "guessed-password"))
    output: list[str] = []

    def told() -> bool:
        output.extend(capsys.readouterr())
        return "the bus is away" in "".join(output)

    await bus.start()
    await until(told)
    assert not bus.connected
    await bus.stop()
    output.extend(capsys.readouterr())
    assert "guessed-password" not in "".join(output)


async def test_a_store_that_is_gone_deletes_no_key_and_the_whole_bucket_is_told(
    nats: NatsProcess, nats_bus: NatsBus, other: NatsBus
) -> None:
    seen = Seen()
    cameras = nats_bus.bucket("cameras")
    await cameras.put("yard", b"1")
    await cameras.put("gate", b"1")
    cameras.watch(seen.on_change, relisted=seen.on_relisted)
    await until(lambda: seen.listings == [{"yard": b"1", "gate": b"1"}])
    nats.kill()
    nats.lose_store()
    nats.start()
    await until(lambda: seen.listings[1:] == [{}])
    assert seen.values == {"yard": b"1", "gate": b"1"}
    await until(lambda: other.connected)
    await other.bucket("cameras").create("yard", b"2")
    await until(lambda: seen.values == {"yard": b"2", "gate": b"1"})
    await other.bucket("cameras").delete("gate")
    await until(lambda: seen.values == {"yard": b"2"})


async def test_keys_deleted_and_changed_while_a_watcher_was_away_are_told(
    nats: NatsProcess, tmp_path: Path, other: NatsBus
) -> None:
    reachable = True

    def address() -> BusAddress:
        if not reachable:
            raise BusUnavailable("cut off")
        return nats.address()

    bus, seen = NatsBus(address), Seen()
    await bus.start()
    bus.bucket("cameras").watch(seen.on_change, relisted=seen.on_relisted)
    await other.bucket("cameras").put("yard", b"1")
    await other.bucket("cameras").put("gate", b"1")
    await other.bucket("cameras").put("hall", b"1")
    await until(lambda: len(seen.values) == 3)
    reachable = False
    nats.kill()
    await until(lambda: not other.connected and not bus.connected)
    nats.start()
    await until(lambda: other.connected)
    await other.bucket("cameras").put("yard", b"2")
    await other.bucket("cameras").delete("gate")
    assert seen.values == {"yard": b"1", "gate": b"1", "hall": b"1"}
    reachable = True
    await until(lambda: seen.values == {"yard": b"2", "hall": b"1"})
    assert seen.calls.count(("hall", b"1")) == 1
    await bus.stop()


async def test_expired_keys_are_told_also_when_they_expired_while_the_server_was_away(
    nats: NatsProcess, nats_bus: NatsBus
) -> None:
    leases, seen = nats_bus.bucket("leases", ttl_s=1.0), Seen()
    leases.watch(seen.on_change)
    await leases.put("leader", b"a")
    await until(lambda: seen.values)
    nats.kill()
    await asyncio.sleep(1.2)
    nats.start()
    await until(lambda: seen.calls[-1] == ("leader", None))


async def test_a_bucket_whose_stream_is_removed_under_us_is_made_again(
    nats_bus: NatsBus, other: NatsBus
) -> None:
    cameras, seen = nats_bus.bucket("cameras"), Seen()
    await cameras.put("yard", b"1")
    cameras.watch(seen.on_change)
    await until(lambda: seen.values == {"yard": b"1"})
    await (await other.link()).api("STREAM.DELETE.KV_cameras")
    await cameras.put("yard", b"2")
    await until(lambda: seen.values == {"yard": b"2"})
    entry = await cameras.get("yard")
    assert entry is not None
    assert entry.value == b"2"


async def test_200_rapid_changes_across_a_kill_end_in_the_right_state(
    nats: NatsProcess, nats_bus: NatsBus, other: NatsBus
) -> None:
    seen = Seen()
    nats_bus.bucket("cameras").watch(seen.on_change)
    writing = other.bucket("cameras")
    for number in range(200):
        if number == 100:
            nats.kill()
            nats.start()
        while True:
            try:
                if number % 5 == 4:
                    await writing.delete(f"cam-{number % 7}")
                else:
                    await writing.put(f"cam-{number % 7}", str(number).encode())
                break
            except BusUnavailable:
                await asyncio.sleep(0.01)
    expected = {key: entry.value for key, entry in (await writing.list()).items()}
    last = {n % 7: n for n in range(200)}
    assert expected == {f"cam-{k}": str(n).encode() for k, n in last.items() if n % 5 != 4}
    await until(lambda: seen.values == expected)


async def test_events_wait_on_disk_while_the_server_is_away_and_arrive_once(
    nats: NatsProcess, nats_bus: NatsBus, tmp_path: Path
) -> None:
    handled = Handled()
    nats_bus.events.consume("audit", handled)
    outbox = Outbox(tmp_path / "outbox.db", nats_bus, SystemClock())
    await outbox.start()
    outbox.emit(an_event("0"))
    await until(lambda: handled.texts == ["0"])
    await until(lambda: outbox.delivered == 1)  # a consumer may have it sooner than the outbox knows
    nats.kill()
    for number in range(1, 1000):
        outbox.emit(an_event(str(number)))
    await until(lambda: outbox.waiting == 999)
    nats.start()
    await until(lambda: len(handled.events) >= 1000)
    await until(lambda: outbox.sent_again == 1)  # the bus knew it by its id
    await asyncio.sleep(0.2)
    assert handled.texts == [str(n) for n in range(1000)]
    await outbox.stop()


async def test_events_come_once_while_the_server_is_killed_again_and_again(
    nats: NatsProcess, nats_bus: NatsBus, tmp_path: Path
) -> None:
    handled = Handled()
    nats_bus.events.consume("audit", handled)
    outbox = Outbox(tmp_path / "outbox.db", nats_bus, SystemClock())
    await outbox.start()
    for number in range(600):
        outbox.emit(an_event(str(number)))
        if number % 150 == 75:
            await asyncio.sleep(0.15)  # in the midst of it
            nats.kill()
            nats.start()
    await until(lambda: len(handled.events) >= 600)
    await asyncio.sleep(0.5)
    assert sorted(handled.texts, key=int) == [str(n) for n in range(600)]
    stream = await (await nats_bus.link()).api("STREAM.INFO.VMS_EVENTS")
    assert stream["state"]["messages"] == 600
    await outbox.stop()


async def test_recent_events_are_sent_again_to_a_server_that_lost_its_store(
    nats: NatsProcess, nats_bus: NatsBus, tmp_path: Path
) -> None:
    handled = Handled()
    nats_bus.events.consume("audit", handled)
    outbox = Outbox(tmp_path / "outbox.db", nats_bus, SystemClock())
    await outbox.start()
    for number in range(100):
        outbox.emit(an_event(str(number)))
    await until(lambda: len(handled.events) == 100)
    await until(lambda: outbox.delivered == 100)
    nats.kill()
    nats.lose_store()
    outbox.emit(an_event("100"))
    nats.start()
    await until(lambda: "100" in handled.texts)
    newcomer = Handled()
    nats_bus.events.consume("newcomer", newcomer)
    await until(lambda: len(newcomer.events) >= 101)
    assert sorted(newcomer.texts, key=int) == [str(n) for n in range(101)]
    assert sorted(handled.texts, key=int) == [str(n) for n in range(101)]
    await outbox.stop()


async def test_a_slow_handler_keeps_the_events_that_it_was_given(
    nats_bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.bus.nats_events._ACK_WAIT_S", 2)
    gate = asyncio.Event()
    handled: list[str] = []

    async def slow(event: event_pb2.Event) -> None:
        await gate.wait()
        handled.append(event.id)

    async def thief(event: event_pb2.Event) -> None:
        handled.append(f"stolen: {event.id}")

    async def all_given() -> bool:
        return (await (await nats_bus.link()).api("CONSUMER.INFO.VMS_EVENTS.audit"))["num_ack_pending"] == 4

    nats_bus.events.consume("audit", slow)
    for event_id in ("0", "1", "2", "3"):
        event = an_event("x")
        event.id = event_id
        await nats_bus.events.append(event_id, "vms.default.event.x.y", event.SerializeToString())
    await until(all_given)
    nats_bus.events.consume("audit", thief)  # gets what the server takes for abandoned
    await asyncio.sleep(4.5)
    gate.set()
    await until(lambda: len(handled) >= 4)
    assert handled == ["0", "1", "2", "3"]


async def test_events_committed_by_a_killed_process_are_delivered_by_its_successor(
    nats: NatsProcess, nats_bus: NatsBus, tmp_path: Path
) -> None:
    child = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from vms.bus.address import BusAddress
        from vms.bus.events import Outbox
        from vms.bus.nats_bus import NatsBus
        from vms.common.clock import SystemClock
        from vms.proto import event_pb2

        async def main():
            outbox = Outbox(Path(sys.argv[1]), NatsBus(lambda: None), SystemClock())  # never connected
            await outbox.start()
            for number in range(50):
                outbox.emit(event_pb2.Event(kind="camera_live", camera_id="yard", text=str(number)))
            while outbox.waiting < 50:
                await asyncio.sleep(0.02)
            print("emitted", flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
        """
    )
    path = tmp_path / "outbox.db"
    with subprocess.Popen([sys.executable, "-c", child, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while (line := await asyncio.to_thread(process.stdout.readline)) != b"emitted\n":
            assert line, "the child ended"
        os.kill(process.pid, signal.SIGKILL)
    store = EventStore(path)
    assert store.count_waiting() == 50
    store.close()
    handled = Handled()
    nats_bus.events.consume("audit", handled)
    outbox = Outbox(path, nats_bus, SystemClock())
    await outbox.start()
    await until(lambda: handled.texts == [str(n) for n in range(50)])
    await outbox.stop()


async def test_stopping_while_the_server_is_away_is_quick_and_keeps_the_events(
    nats: NatsProcess, nats_bus: NatsBus, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path / "outbox.db", nats_bus, SystemClock())
    await outbox.start()
    nats.kill()
    outbox.emit(an_event("last"))
    await outbox.stop()
    async with asyncio.timeout(20):
        await nats_bus.stop()
    store = EventStore(tmp_path / "outbox.db")
    assert store.count_waiting() == 1
    store.close()
