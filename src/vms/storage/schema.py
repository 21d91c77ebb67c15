"""The schema of a volume's catalog, its version, and how an older one is brought up to date.

Belongs here: tables, indexes and how a version is made. Does not: queries (catalog).
"""

import sqlite3

from vms.storage import coverage_runs

VERSION = 2

# A segment's row is clustered under (camera, start_ns, id), so the table is its own covering index: a range
# of one camera is one walk over neighbouring pages. Fragment tables are apart and do not dilute them.
_TABLES = """
CREATE TABLE camera (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    age_ns INTEGER,                        -- as of vms.storage.retention_rule; NULL: not known
    longest_ns INTEGER NOT NULL DEFAULT 0, -- no segment of it is longer: bounds the search for overlaps
    event_age_ns INTEGER,
    minimum_ns INTEGER,
    maximum_ns INTEGER,
    most_bytes INTEGER
) STRICT;
CREATE TABLE segment (
    camera INTEGER NOT NULL REFERENCES camera,
    start_ns INTEGER NOT NULL,
    id BLOB NOT NULL,
    end_ns INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    stream TEXT NOT NULL,
    video TEXT,
    audio TEXT,
    name TEXT,                             -- NULL: as layout.recording_name gives
    deleting INTEGER NOT NULL DEFAULT 0,   -- 1: the file is being removed, or is gone already
    tier INTEGER NOT NULL DEFAULT 0,       -- where its file is: 0 is the volume itself, others are tier.key
    PRIMARY KEY (camera, start_ns, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX segment_by_id ON segment (id);
CREATE INDEX segment_deleting ON segment (deleting) WHERE deleting = 1;
-- chain: the chain digest of a file with a proof (vms.format.hybrid), for the next file to name
CREATE TABLE fragments (id BLOB PRIMARY KEY, data BLOB NOT NULL, chain BLOB) STRICT;
CREATE TABLE gap (
    camera INTEGER NOT NULL REFERENCES camera,
    start_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    end_ns INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (camera, start_ns, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX gap_by_end ON gap (camera, end_ns);
"""

# What version 2 has and version 1 had not. `run` and `held` follow from the segments.
_TABLES_2 = """
CREATE INDEX segment_by_home ON segment (tier, camera, start_ns) WHERE deleting = 0;
CREATE TABLE tier (
    key INTEGER PRIMARY KEY CHECK (key > 0),
    name TEXT NOT NULL UNIQUE,
    adopted INTEGER NOT NULL DEFAULT 0     -- 1: what lay there before this catalog was made has rows
) STRICT;
CREATE TABLE removal (                     -- copies to be deleted: of moved segments, and of deleted ones in tiers
    tier INTEGER NOT NULL,
    id BLOB NOT NULL,
    camera INTEGER NOT NULL REFERENCES camera,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    stream TEXT NOT NULL,
    name TEXT,
    PRIMARY KEY (tier, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX removal_by_start ON removal (camera, start_ns);
CREATE TABLE held (                        -- bytes of all segments, those being deleted included
    camera INTEGER NOT NULL REFERENCES camera,
    tier INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (camera, tier)
) STRICT, WITHOUT ROWID;
CREATE TABLE run (                         -- recorded time without holes; see coverage_runs
    camera INTEGER NOT NULL REFERENCES camera,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    PRIMARY KEY (camera, start_ns)
) STRICT, WITHOUT ROWID;
CREATE TABLE event_range (
    camera INTEGER NOT NULL REFERENCES camera,
    start_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    end_ns INTEGER NOT NULL,
    PRIMARY KEY (camera, start_ns, kind)
) STRICT, WITHOUT ROWID;
"""

_FROM_1 = """
ALTER TABLE camera RENAME COLUMN retention_ns TO age_ns;
ALTER TABLE camera ADD COLUMN event_age_ns INTEGER;
ALTER TABLE camera ADD COLUMN minimum_ns INTEGER;
ALTER TABLE camera ADD COLUMN maximum_ns INTEGER;
ALTER TABLE camera ADD COLUMN most_bytes INTEGER;
UPDATE camera SET event_age_ns = age_ns, minimum_ns = 0 WHERE age_ns IS NOT NULL;
ALTER TABLE segment ADD COLUMN tier INTEGER NOT NULL DEFAULT 0;
DROP INDEX segment_by_age;
ALTER TABLE fragments ADD COLUMN chain BLOB;
"""


def prepare(db: sqlite3.Connection) -> int | None:
    """Make, bring up to date or check the schema.

    Gives the version found when this code does not know it, else None.
    """
    found = _version(db)
    if not 0 <= found <= VERSION:
        return found
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA busy_timeout = 5000")
    if found < VERSION:
        db.execute("BEGIN IMMEDIATE")
        try:
            _make(db, found)
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
    return None


def prepare_reading(db: sqlite3.Connection) -> int | None:
    """Check the schema of a database that is only read; as `prepare`, and an older one is not known either."""
    found = _version(db)
    if found != VERSION:
        return found
    db.execute("PRAGMA query_only = ON")
    db.execute("PRAGMA busy_timeout = 2000")
    return None


def recount(db: sqlite3.Connection) -> None:
    """Make `held` and `run` what the segments say, where they say something else; within a transaction.

    It walks all rows for the bytes; runs are looked at only where a camera with footage has none.
    """
    tiers = [0, *(key for (key,) in db.execute("SELECT key FROM tier"))]
    sums = ", ".join(f"total(CASE tier WHEN {key} THEN size_bytes END)" for key in tiers)
    summed = {
        (camera, tier): int(size)
        for camera, *sizes in db.execute(f"SELECT camera, {sums} FROM segment GROUP BY camera")  # noqa: S608 - numbers of ours
        for tier, size in zip(tiers, sizes, strict=True)
        if size
    }
    held = {(camera, tier): size for camera, tier, size in db.execute("SELECT * FROM held") if size}
    if held != summed:
        db.execute("DELETE FROM held")
        db.executemany("INSERT INTO held VALUES (?, ?, ?)", [(*key, size) for key, size in summed.items()])
    for (camera,) in db.execute(
        "SELECT key FROM camera WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.camera = camera.key)"
        " AND EXISTS (SELECT 1 FROM segment WHERE segment.camera = camera.key AND deleting = 0)"
    ).fetchall():
        coverage_runs.rebuild(db, camera)


def _make(db: sqlite3.Connection, found: int) -> None:
    _execute_all(db, _TABLES if found == 0 else _FROM_1)
    _execute_all(db, _TABLES_2)
    if found:
        recount(db)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _execute_all(db: sqlite3.Connection, script: str) -> None:
    # Not executescript, which commits first: a version is made whole or not at all.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
