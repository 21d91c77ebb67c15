"""Events on disk until the bus has them, and some minutes longer: one SQLite file a process.

Blocking; used in one thread. Delivered events stay for a while, so that they can be sent again to a bus that lost its store.

Belongs here: the file. Does not: when to write and to send (events).
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    data BLOB NOT NULL,
    delivered_ns INTEGER,   -- Unix ns; NULL while it waits
    delivered_to TEXT       -- identity of the bus's store
);
CREATE INDEX IF NOT EXISTS event_waiting ON event (number) WHERE delivered_ns IS NULL;
CREATE INDEX IF NOT EXISTS event_delivered ON event (delivered_ns) WHERE delivered_ns IS NOT NULL;
"""


class StoredEvent(NamedTuple):
    number: int
    id: str
    subject: str
    data: bytes


class EventStore:
    """One file; `path` None keeps all in memory. Its methods raise sqlite3.Error, when the disk is full for example."""

    def __init__(self, path: Path | None) -> None:
        """Open or make it. A damaged file is put aside, said in the log, and a new one begun."""
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError as error:
            if path is None or isinstance(error, sqlite3.OperationalError):
                raise
            aside = path.with_name(f"{path.name}.damaged")
            log.error("waiting events cannot be read; they are put aside", path=str(aside), reason=str(error))
            path.replace(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._database = _open(path)

    def add(self, events: Iterable[tuple[str, str, bytes]]) -> None:
        """Commit events, each (id, subject, data); an id that is there already changes nothing."""
        with self._transaction():
            self._database.executemany(
                "INSERT OR IGNORE INTO event (id, subject, data) VALUES (?, ?, ?)", events
            )

    def waiting(self, limit: int) -> list[StoredEvent]:
        """The oldest that wait."""
        rows = self._database.execute(
            "SELECT number, id, subject, data FROM event WHERE delivered_ns IS NULL ORDER BY number LIMIT ?",
            (limit,),
        )
        return [StoredEvent(*row) for row in rows]

    def count_waiting(self) -> int:
        return int(
            self._database.execute("SELECT count(*) FROM event WHERE delivered_ns IS NULL").fetchone()[0]
        )

    def mark_delivered(self, numbers: Sequence[int], at_ns: int, store: str) -> None:
        """They are in the bus's store of this identity since `at_ns`."""
        with self._transaction():
            self._database.executemany(
                "UPDATE event SET delivered_ns = ?, delivered_to = ? WHERE number = ?",
                [(at_ns, store, number) for number in numbers],
            )

    def let_wait_again(self, store: str, since_ns: int) -> int:
        """Those delivered since `since_ns` to any other store wait again; how many."""
        with self._transaction():
            return self._database.execute(
                "UPDATE event SET delivered_ns = NULL, delivered_to = NULL"
                " WHERE delivered_ns >= ? AND delivered_to != ?",
                (since_ns, store),
            ).rowcount

    def trim(self, limit: int, before_ns: int) -> int:
        """Remove those delivered before `before_ns`, and the oldest beyond `limit`; how many of these waited."""
        with self._transaction():
            self._database.execute("DELETE FROM event WHERE delivered_ns < ?", (before_ns,))
            surplus = self._database.execute("SELECT count(*) FROM event").fetchone()[0] - limit
            if surplus <= 0:
                return 0
            oldest = "SELECT number FROM event ORDER BY delivered_ns IS NULL, number LIMIT ?"
            waited = self._database.execute(
                f"SELECT count(*) FROM event WHERE delivered_ns IS NULL AND number IN ({oldest})",  # noqa: S608
                (surplus,),
            ).fetchone()[0]
            self._database.execute(f"DELETE FROM event WHERE number IN ({oldest})", (surplus,))  # noqa: S608
            return int(waited)

    def close(self) -> None:
        self._database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise


def _open(path: Path | None) -> sqlite3.Connection:
    database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=5)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # a commit here outlives a power cut
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database
