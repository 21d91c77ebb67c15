"""The bus's contract, events: the same tests on both carriers."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from tests.bus.nats_process import until

from vms.bus import events as events_module
from vms.bus.contract import Bus
from vms.bus.event_store import EventStore
from vms.bus.events import KEEP_DELIVERED_S, Outbox
from vms.bus.recent_ids import RecentIds
from vms.common.clock import ManualClock, SystemClock
from vms.common.errors import InvalidInput
from vms.proto import event_pb2


def an_event(text: str, kind: str = "camera_live", camera_id: str = "yard") -> event_pb2.Event:
    return event_pb2.Event(kind=kind, camera_id=camera_id, text=text)


class Handled:
    """A consumer's handler that keeps what it got."""

    def __init__(self) -> None:
        self.events: list[event_pb2.Event] = []

    async def __call__(self, event: event_pb2.Event) -> None:
        self.events.append(event)

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events]


async def test_events_arrive_once_in_order_with_what_emit_fills_in(bus: Bus, tmp_path: Path) -> None:
    handled = Handled()
    bus.events.consume("audit", handled)
    outbox = Outbox(tmp_path / "outbox" / "media-0.db", bus, SystemClock())
    await outbox.start()
    for number in range(300):
        outbox.emit(an_event(str(number)))
    await until(lambda: len(handled.events) >= 300)
    assert handled.texts == [str(n) for n in range(300)]
    assert len({event.id for event in handled.events}) == 300
    assert all(event.site == "default" and event.at_ns > 0 for event in handled.events)
    await until(lambda: outbox.delivered == 300)
    assert outbox.dropped == 0
    await outbox.stop()


async def test_an_event_of_no_camera_arrives_too(bus: Bus) -> None:
    handled = Handled()
    bus.events.consume("audit", handled)
    outbox = Outbox(None, bus, SystemClock())
    await outbox.start()
    outbox.emit(an_event("up", kind="worker_started", camera_id=""))
    await until(lambda: handled.texts == ["up"])
    await outbox.stop()


async def test_each_consumer_gets_all_events_also_one_that_comes_late(bus: Bus) -> None:
    early, late = Handled(), Handled()
    bus.events.consume("early", early)
    await bus.events.append("1", "vms.default.event.x.y", an_event("one").SerializeToString())
    await until(lambda: early.texts == ["one"])
    bus.events.consume("late", late)
    await until(lambda: late.texts == ["one"])


async def test_the_same_id_appended_again_arrives_once(bus: Bus) -> None:
    handled = Handled()
    bus.events.consume("audit", handled)
    for text in ("one", "one", "two"):
        event = an_event(text)
        event.id = text
        await bus.events.append(text, "vms.default.event.x.y", event.SerializeToString())
    await until(lambda: handled.texts == ["one", "two"])


async def test_an_event_whose_handler_failed_comes_again_and_the_others_do_not_wait(bus: Bus) -> None:
    tries: Counter[str] = Counter()
    done: list[str] = []

    async def fails_at_first(event: event_pb2.Event) -> None:
        tries[event.text] += 1
        if event.text == "bad" and tries["bad"] < 3:
            raise ZeroDivisionError
        done.append(event.text)

    bus.events.consume("audit", fails_at_first)
    outbox = Outbox(None, bus, SystemClock())
    await outbox.start()
    for text in ("good", "bad", "better"):
        outbox.emit(an_event(text))
    await until(lambda: len(done) == 3)
    assert done == ["good", "better", "bad"]
    assert tries == {"good": 1, "bad": 3, "better": 1}
    await outbox.stop()


async def test_a_consumer_that_comes_back_goes_on_where_it_was(bus: Bus) -> None:
    first, second = Handled(), Handled()
    outbox = Outbox(None, bus, SystemClock())
    await outbox.start()
    consuming = bus.events.consume("audit", first)
    outbox.emit(an_event("one"))
    await until(lambda: first.texts == ["one"])
    await asyncio.sleep(0.05)  # its acknowledgement is on the way
    consuming.close()
    consuming.close()
    outbox.emit(an_event("two"))
    await until(lambda: outbox.delivered == 2)
    bus.events.consume("audit", second)
    await until(lambda: second.texts == ["two"])
    await outbox.stop()


async def test_what_is_no_event_is_left_out(bus: Bus) -> None:
    handled = Handled()
    bus.events.consume("audit", handled)
    await bus.events.append("1", "vms.default.event.x.y", b"\xff\xff\xff")
    await bus.events.append("2", "vms.default.event.x.y", an_event("fine").SerializeToString())
    await until(lambda: handled.texts == ["fine"])


async def test_an_event_that_makes_no_subject_is_refused(bus: Bus) -> None:
    outbox = Outbox(None, bus, SystemClock())
    for bad in (an_event("x", kind="two words"), an_event("x", kind=""), an_event("x", camera_id="*")):
        with pytest.raises(InvalidInput):
            outbox.emit(bad)
    assert outbox.emitted == 0
    await outbox.stop()


async def test_a_bad_consumer_name_is_refused(bus: Bus) -> None:
    with pytest.raises(InvalidInput):
        bus.events.consume("a.b", Handled())


async def test_events_beyond_the_limit_drop_the_oldest_and_are_counted(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bus.stop()  # nobody takes them
    monkeypatch.setattr(events_module, "LIMIT", 10)
    outbox = Outbox(tmp_path / "outbox.db", bus, SystemClock())
    await outbox.start()
    for number in range(25):
        outbox.emit(an_event(str(number)))
    await until(lambda: outbox.dropped == 15 and outbox.waiting == 10)
    await outbox.stop()
    store = EventStore(tmp_path / "outbox.db")
    texts = [event_pb2.Event.FromString(stored.data).text for stored in store.waiting(100)]
    assert texts == [str(n) for n in range(15, 25)]
    store.close()


async def test_events_emitted_faster_than_the_disk_takes_them_are_bounded_in_memory(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "_FRESH_LIMIT", 10)
    outbox = Outbox(None, bus, SystemClock())  # not started: nothing is written
    for number in range(25):
        outbox.emit(an_event(str(number)))
    assert outbox.dropped == 15
    await outbox.stop()


async def test_what_the_disk_refuses_waits_in_memory_and_is_written_later(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    monkeypatch.setattr(events_module, "_RETRY_DISK_S", (0.01, 0.01))
    add, refusals = EventStore.add, 0

    def refuse_at_first(store: EventStore, events: object) -> None:
        nonlocal refusals
        refusals += 1
        if refusals < 3:
            raise sqlite3.OperationalError("database or disk is full")
        add(store, events)

    monkeypatch.setattr(EventStore, "add", refuse_at_first)
    handled = Handled()
    bus.events.consume("audit", handled)
    outbox = Outbox(tmp_path / "outbox.db", bus, SystemClock())
    await outbox.start()
    outbox.emit(an_event("one"))
    outbox.emit(an_event("two"))
    await until(lambda: handled.texts == ["one", "two"])
    assert refusals >= 3
    await outbox.stop()


def stored(path: Path | None, *ids: str) -> EventStore:
    store = EventStore(path)
    store.add([(i, "vms.default.event.x.y", i.encode()) for i in ids])
    return store


def waiting(store: EventStore) -> list[str]:
    return [event.id for event in store.waiting(100)]


def test_delivered_events_wait_again_when_the_store_is_another(tmp_path: Path) -> None:
    store = stored(tmp_path / "outbox.db", "a", "b", "c", "d")
    numbers = [event.number for event in store.waiting(10)]
    store.mark_delivered(numbers[:1], at_ns=100, store="old")
    store.mark_delivered(numbers[1:2], at_ns=200, store="old")
    store.mark_delivered(numbers[2:3], at_ns=200, store="new")
    assert waiting(store) == ["d"]
    assert store.let_wait_again("new", since_ns=150) == 1
    assert waiting(store) == ["b", "d"]
    store.close()


def test_delivered_events_are_removed_after_a_while_and_make_room_before_waiting_ones(tmp_path: Path) -> None:
    store = stored(tmp_path / "outbox.db", "a", "b", "c", "d")
    numbers = [event.number for event in store.waiting(10)]
    store.mark_delivered(numbers[2:3], at_ns=100, store="s")
    assert store.trim(limit=3, before_ns=0) == 0
    assert waiting(store) == ["a", "b", "d"]
    assert store.let_wait_again("other", since_ns=0) == 0  # it is gone
    assert store.trim(limit=2, before_ns=0) == 1
    assert waiting(store) == ["b", "d"]
    store.mark_delivered([e.number for e in store.waiting(1)], at_ns=100, store="s")
    assert store.trim(limit=100, before_ns=101) == 0
    assert store.let_wait_again("other", since_ns=0) == 0
    store.close()


def test_committed_events_outlive_the_process(tmp_path: Path) -> None:
    store = stored(tmp_path / "outbox.db", "a", "b")
    again = EventStore(tmp_path / "outbox.db")  # as after kill -9: nobody closed it
    assert waiting(again) == ["a", "b"]
    again.close()
    store.close()


def test_a_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"this is no database" * 1000)
    store = stored(tmp_path / "outbox.db", "a")
    assert waiting(store) == ["a"]
    assert (tmp_path / "outbox.db.damaged").exists()
    store.close()


async def test_the_clock_decides_how_long_delivered_events_are_kept(tmp_path: Path, bus: Bus) -> None:
    clock = ManualClock()
    outbox = Outbox(tmp_path / "outbox.db", bus, clock)
    await outbox.start()
    outbox.emit(an_event("old"))
    await until(lambda: outbox.delivered == 1)
    clock.advance(KEEP_DELIVERED_S + 1)
    outbox.emit(an_event("new"))
    await until(lambda: outbox.delivered == 2)
    await outbox.stop()
    store = EventStore(tmp_path / "outbox.db")
    store.trim(100, clock.wall_ns() - round(KEEP_DELIVERED_S * 1e9))
    assert store.let_wait_again("other", since_ns=0) == 1
    store.close()


def test_the_id_seen_longest_ago_is_forgotten_first() -> None:
    ids = RecentIds(limit=2)
    ids.add("a")
    ids.add("b")
    assert "a" in ids  # seen again
    ids.add("c")
    assert ("a" in ids, "b" in ids, "c" in ids) == (True, False, True)
