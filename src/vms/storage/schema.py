"""The schema of a volume's catalog, and its version.

Belongs here: tables, indexes and how a version is made. Does not: queries (catalog).
"""

import sqlite3

VERSION = 1

# A segment's row is clustered under (camera, start_ns, id), so the table is its own covering index: a range
# of one camera is one walk over neighbouring pages. Fragment tables are apart and do not dilute them.
_TABLES = """
CREATE TABLE camera (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    retention_ns INTEGER,
    longest_ns INTEGER NOT NULL DEFAULT 0  -- no segment of it is longer: bounds the search for overlaps
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
    PRIMARY KEY (camera, start_ns, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX segment_by_id ON segment (id);
CREATE INDEX segment_by_age ON segment (start_ns) WHERE deleting = 0;
CREATE INDEX segment_deleting ON segment (deleting) WHERE deleting = 1;
CREATE TABLE fragments (id BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT;
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


def prepare(db: sqlite3.Connection) -> int | None:
    """Make or check the schema. Gives the version found when this code does not know it, else None."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found not in (0, VERSION):
        return found
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA busy_timeout = 5000")
    if found == 0:
        db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    return None


def prepare_reading(db: sqlite3.Connection) -> int | None:
    """Check the schema of a database that is only read; as `prepare`, and one not made yet is not known either."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found != VERSION:
        return found
    db.execute("PRAGMA query_only = ON")
    db.execute("PRAGMA busy_timeout = 2000")
    return None
