"""The journal of events: each once, the newest kept, read by others while it is written."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.gateway.system import until

from vms.bus.events import Outbox
from vms.bus.memory import MemoryBus
from vms.common.clock import SystemClock
from vms.gateway.journal import EventJournal, JournalReader, JournalUnreadable, read_events
from vms.gateway.journal_keeper import JournalKeeper
from vms.proto import event_pb2

SUBJECT = "vms.default.event.camera_live.porch"


def an_event(
    event_id: str, at_ns: int = 1, kind: str = "camera_live", camera: str = "porch"
) -> event_pb2.Event:
    event = event_pb2.Event(id=event_id, at_ns=at_ns, site="default", kind=kind, camera_id=camera)
    event.worker = "media-0"
    event.text = f"über {event_id}"
    event.facts["number"] = event_id
    return event


def ids(path: Path, **asked: object) -> list[str]:
    return [event.id for event in read_events(path, **{"limit": 1000, **asked})]  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events" / "journal.sqlite"


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus()
    await bus.start()
    yield bus
    await bus.stop()


def test_without_a_journal_there_are_no_events(path: Path) -> None:
    assert ids(path) == []
    assert not path.exists()


def test_an_event_is_read_as_it_was_put_while_the_journal_is_open_and_after(path: Path) -> None:
    journal = EventJournal(path)
    journal.put(an_event("a", 5))
    for _ in range(2):
        (event,) = read_events(path, limit=10)
        assert (event.id, event.at_ns, event.kind, event.camera_id) == ("a", 5, "camera_live", "porch")
        assert (event.worker, event.text, event.facts) == ("media-0", "über a", {"number": "a"})
        journal.close()


def test_an_event_that_comes_again_is_there_once_also_after_a_restart(path: Path) -> None:
    journal = EventJournal(path)
    journal.put(an_event("a"))
    journal.put(an_event("a"))
    assert (journal.written, journal.kept) == (1, 1)
    journal.close()
    journal = EventJournal(path)
    journal.put(an_event("a"))
    journal.put(an_event("b"))
    assert (journal.written, journal.kept) == (1, 2)
    assert ids(path) == ["b", "a"]
    journal.close()


def test_the_newest_come_first_and_the_cursor_goes_on_behind_an_event_of_the_same_time(path: Path) -> None:
    journal = EventJournal(path)
    for event_id, at_ns in (("b", 2), ("d", 3), ("a", 2), ("c", 2), ("e", 1)):
        journal.put(an_event(event_id, at_ns))
    assert ids(path) == ["d", "c", "b", "a", "e"]
    assert ids(path, limit=2) == ["d", "c"]
    assert ids(path, limit=2, before=(2, "c")) == ["b", "a"]
    assert ids(path, before=(1, "e")) == []
    journal.close()


def test_a_kind_and_a_camera_choose(path: Path) -> None:
    journal = EventJournal(path)
    for number, (kind, camera) in enumerate([("x", "gate"), ("y", "gate"), ("x", "porch"), ("x", "gate")]):
        journal.put(an_event(str(number), number, kind, camera))
    assert ids(path, kind="x", camera_id="gate") == ["3", "0"]
    assert ids(path, kind="x", camera_id="gate", before=(3, "3")) == ["0"]
    assert ids(path, camera_id="porch") == ["2"]
    assert ids(path, kind="' OR 1=1 --") == []
    journal.close()


def test_a_time_chooses_its_start_included_and_its_end_not(path: Path) -> None:
    journal = EventJournal(path)
    for number in range(5):
        journal.put(an_event(str(number), number))
    assert ids(path, since_ns=1, until_ns=3) == ["2", "1"]
    assert ids(path, since_ns=3) == ["4", "3"]
    assert ids(path, until_ns=1) == ["0"]
    assert ids(path, since_ns=1, until_ns=4, before=(3, "3"), limit=1) == ["2"]
    journal.close()


def test_the_oldest_are_removed_in_steps_and_counted_also_over_a_restart(path: Path) -> None:
    journal = EventJournal(path, limit=10, step=5)
    for number in range(14):
        journal.put(an_event(f"{number:02}", number))
    assert (journal.kept, journal.trimmed) == (14, 0)
    journal.close()
    journal = EventJournal(path, limit=10, step=5)
    journal.put(an_event("14", 14))
    assert (journal.kept, journal.trimmed) == (10, 5)
    assert ids(path) == [f"{number:02}" for number in range(14, 4, -1)]
    journal.close()


def test_a_damaged_journal_is_put_aside_and_a_new_one_begun(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database " * 500)
    with pytest.raises(JournalUnreadable):
        ids(path)
    journal = EventJournal(path)
    journal.put(an_event("a"))
    assert ids(path) == ["a"]
    assert path.with_name("journal.sqlite.damaged").read_bytes().startswith(b"this is no database")
    journal.close()


def test_a_journal_that_is_damaged_while_it_is_used_is_put_aside_too(path: Path) -> None:
    journal = EventJournal(path)
    for number in range(200):
        journal.put(an_event(str(number), number))
    journal.close()
    whole = path.read_bytes()
    journal = EventJournal(path)
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    journal.put(an_event("after"))
    assert ids(path) == ["after"]
    assert path.with_name("journal.sqlite.damaged").exists()
    journal.close()


def test_a_reader_cannot_write(path: Path) -> None:
    EventJournal(path).close()
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.execute("DELETE FROM event")
    database.close()


async def test_what_is_emitted_is_in_the_journal_once(bus: MemoryBus, path: Path) -> None:
    keeper = JournalKeeper(bus, path)
    await keeper.start()
    outbox = Outbox(None, bus, SystemClock())
    await outbox.start()
    for number in range(50):
        outbox.emit(event_pb2.Event(kind="camera_live", camera_id="porch", text=str(number)))
    await until(lambda: keeper.written == 50)
    assert sorted(int(event.text) for event in await JournalReader(path).events(limit=100)) == list(range(50))
    families = {family.name: family.samples[0][1] for family in keeper.metrics()}
    assert families["vms_journal_written"] == families["vms_journal_events"] == 50
    await outbox.stop()
    await keeper.stop()


async def test_the_next_keeper_goes_on_and_takes_nothing_twice(bus: MemoryBus, path: Path) -> None:
    first = JournalKeeper(bus, path)
    await first.start()
    await bus.events.append("a", SUBJECT, an_event("a").SerializeToString())
    await until(lambda: first.written == 1)
    await first.stop()
    await bus.events.append("b", SUBJECT, an_event("b").SerializeToString())
    another_bus = MemoryBus()  # as one that lost its store: outboxes send again
    await another_bus.start()
    for event_id in ("a", "b"):
        await another_bus.events.append(event_id, SUBJECT, an_event(event_id).SerializeToString())
    second, third = JournalKeeper(bus, path), JournalKeeper(another_bus, path)
    await second.start()
    await until(lambda: second.written == 1)
    await third.start()
    await until(lambda: third.kept == 2)
    assert ids(path) == ["b", "a"]
    await second.stop()
    await third.stop()
    await another_bus.stop()


async def test_an_event_that_the_disk_does_not_take_comes_again(bus: MemoryBus, path: Path) -> None:
    path.parent.write_text("a file where the directory should be")
    keeper = JournalKeeper(bus, path)
    await keeper.start()
    await bus.events.append("a", SUBJECT, an_event("a").SerializeToString())
    await until(lambda: keeper.failures >= 1)
    assert keeper.written == 0
    path.parent.unlink()
    await until(lambda: keeper.written == 1)
    assert ids(path) == ["a"]
    await keeper.stop()


async def test_a_journal_that_is_locked_for_long_loses_nothing(
    bus: MemoryBus, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.gateway.journal._BUSY_S", 0.05)
    EventJournal(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    keeper = JournalKeeper(bus, path)
    await keeper.start()
    for event_id in ("a", "b"):
        await bus.events.append(event_id, SUBJECT, an_event(event_id).SerializeToString())
    await until(lambda: keeper.failures >= 2)
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: keeper.written == 2)
    assert ids(path) == ["b", "a"]
    await keeper.stop()


async def test_stopping_a_keeper_twice_or_unstarted_is_harmless(bus: MemoryBus, path: Path) -> None:
    await JournalKeeper(bus, path).stop()
    keeper = JournalKeeper(bus, path)
    await keeper.start()
    await keeper.stop()
    await keeper.stop()
