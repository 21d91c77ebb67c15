"""The journal: what happened in the system, in a SQLite file, the newest 100,000 events.

One process writes it (journal_keeper); the others read it, each question on a connection of its own.

Belongs here: the file, writing and reading it. Does not: where events come from (vms.bus), who asks (vms.api).
"""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vms.common.errors import Unavailable
from vms.proto import event_pb2
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

LIMIT = 100_000  # events; beyond, the oldest are removed
STEP = 1_000  # so many at a time, so that not every event costs a removal
_BUSY_S = 5.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    id TEXT PRIMARY KEY,
    at_ns INTEGER NOT NULL,     -- Unix ns
    site TEXT NOT NULL,
    kind TEXT NOT NULL,
    camera_id TEXT NOT NULL,    -- '' for one that is no camera's
    worker TEXT NOT NULL,
    text TEXT NOT NULL,
    facts TEXT NOT NULL         -- JSON object of strings
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_at ON event (at_ns, id);
CREATE INDEX IF NOT EXISTS event_of_kind ON event (kind, at_ns, id);
CREATE INDEX IF NOT EXISTS event_of_camera ON event (camera_id, at_ns, id);
"""

Cursor = tuple[int, str]
"""(at_ns, id) of an event: a place in the journal that stays the same whatever is written."""


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One event. at_ns: Unix ns. camera_id: "" for one that is no camera's."""

    id: str
    at_ns: int
    kind: str
    camera_id: str
    worker: str
    text: str
    facts: Mapping[str, str]


class JournalUnreadable(Unavailable):
    """The journal cannot be read now: its disk fails, or it is damaged and about to be put aside."""


class EventJournal:
    """The file, for its one writer; blocking, used in one thread. Counters: written, trimmed.

    Its methods raise sqlite3.Error and OSError, when the disk is full for example.
    """

    def __init__(self, path: Path, *, limit: int = LIMIT, step: int = STEP) -> None:
        """Open or make it. A damaged file is put aside, said in the log, and a new one begun."""
        self._path = path
        self._limit = limit
        self._step = step
        self.written = 0
        self.trimmed = 0
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error):
                raise
            _put_aside(path, error)
            self._database = _open(path)
        self.kept = int(self._database.execute("SELECT count(*) FROM event").fetchone()[0])

    def put(self, event: event_pb2.Event) -> None:
        """Commit an event; one whose id is there already changes nothing."""
        row = (
            event.id,
            event.at_ns,
            event.site,
            event.kind,
            event.camera_id,
            event.worker,
            event.text,
            json.dumps(dict(event.facts), sort_keys=True, ensure_ascii=False),
        )
        try:
            self._write(row)
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error):
                raise
            self._database.close()
            _put_aside(self._path, error)
            self._database = _open(self._path)
            self.kept = 0
            self._write(row)

    def close(self) -> None:
        self._database.close()

    def _write(self, row: tuple[str | int, ...]) -> None:
        surplus = 0
        self._database.execute("BEGIN IMMEDIATE")
        try:
            added = self._database.execute(
                "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
            ).rowcount
            if self.kept + added >= self._limit + self._step:
                surplus = self.kept + added - self._limit
                self._database.execute(
                    "DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY at_ns, id LIMIT ?)",
                    (surplus,),
                )
            self._database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        self.written += added
        self.trimmed += surplus
        self.kept += added - surplus


class JournalReader:
    """The journal for processes that do not write it; the API's Events."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def events(
        self,
        *,
        limit: int,
        before: Cursor | None = None,
        kind: str | None = None,
        camera_id: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> list[JournalEvent]:
        """As `read_events`, in a thread."""
        return await asyncio.to_thread(
            read_events,
            self._path,
            limit=limit,
            before=before,
            kind=kind,
            camera_id=camera_id,
            since_ns=since_ns,
            until_ns=until_ns,
        )


def read_events(
    path: Path,
    *,
    limit: int,
    before: Cursor | None = None,
    kind: str | None = None,
    camera_id: str | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
) -> list[JournalEvent]:
    """Up to `limit` events, the newest first: those older than the one at `before`, of a kind, of a camera, of a time.

    Nothing where there is no journal yet. Blocking. Raises JournalUnreadable.
    """
    if not path.exists():
        return []
    terms: list[str] = []
    values: list[str | int] = []
    for term, given in (
        ("kind = ?", kind),
        ("camera_id = ?", camera_id),
        ("at_ns >= ?", since_ns),
        ("at_ns < ?", until_ns),
    ):
        if given is not None:
            terms.append(term)
            values.append(given)
    if before is not None:
        terms.append("(at_ns, id) < (?, ?)")
        values += before
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    query = (
        f"SELECT id, at_ns, kind, camera_id, worker, text, facts FROM event{where}"  # noqa: S608 - our terms
        " ORDER BY at_ns DESC, id DESC LIMIT ?"
    )
    return [_event(row) for row in _rows(path, query, [*values, limit])]


def _rows(
    path: Path, query: str, values: Sequence[str | int]
) -> list[tuple[str, int, str, str, str, str, str]]:
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        ) as database:
            return database.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise JournalUnreadable(
            f"the journal of events {path} cannot be read now: {error}; if that lasts, check the disk"
        ) from error


def _event(row: tuple[str, int, str, str, str, str, str]) -> JournalEvent:
    event_id, at_ns, kind, camera_id, worker, text, facts = row
    return JournalEvent(event_id, at_ns, kind, camera_id, worker, text, json.loads(facts))


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")  # what is acknowledged to the bus outlives a power cut
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database


def _is_damaged(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _put_aside(path: Path, error: sqlite3.DatabaseError) -> None:
    aside = path.with_name(f"{path.name}.damaged")
    log.error("the journal of events is damaged; it is put aside", path=str(aside), reason=str(error))
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
