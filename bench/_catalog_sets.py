"""Millions of rows for the catalog's bench: in our catalog, and in a plain table with the usual indexes.

The plain table is laid out as Frigate's `recordings` (its migrations up to 020): a text id, the camera's name, the path,
times as numbers, and three indexes that begin with camera and start.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.storage.catalog import Catalog
from vms.storage.layout import recording_name

BEGIN_NS = 1_750_000_000 * NS // (300 * NS) * (300 * NS)
LENGTH_NS = 300 * NS
SIZE_BYTES = 150_000_000

PLAIN = """
PRAGMA journal_mode = WAL;
CREATE TABLE recordings (
    id VARCHAR(30) NOT NULL PRIMARY KEY,
    camera VARCHAR(20) NOT NULL,
    path VARCHAR(255) NOT NULL,
    start_time DATETIME NOT NULL,
    end_time DATETIME NOT NULL,
    duration REAL NOT NULL,
    motion INTEGER,
    objects INTEGER,
    dBFS INTEGER,
    segment_size REAL NOT NULL
);
"""
PLAIN_INDEXES = """
CREATE UNIQUE INDEX recordings_path ON recordings (path);
CREATE INDEX recordings_camera ON recordings (camera);
CREATE INDEX recordings_camera_start_time_end_time ON recordings (camera, start_time DESC, end_time DESC);
CREATE INDEX recordings_api_recordings_summary ON recordings (camera, start_time DESC, duration, motion, objects);
CREATE INDEX recordings_start_time ON recordings (start_time);
ANALYZE;
"""


@dataclass(frozen=True, slots=True)
class Set:
    """Which footage there is. in_row: recordings one after the other, before a pause. pause_ns: of that length."""

    cameras: int
    each: int
    in_row: int
    pause_ns: int

    @property
    def names(self) -> Sequence[CameraId]:
        return [CameraId(f"camera-{number:03d}") for number in range(self.cameras)]

    @property
    def span_ns(self) -> int:
        """From the first recording to the end of the last."""
        return self.each * LENGTH_NS + (self.each - 1) // self.in_row * self.pause_ns

    def starts(self) -> Iterator[int]:
        """Of one camera; all have the same times, moved by a second each."""
        for number in range(self.each):
            yield BEGIN_NS + number * LENGTH_NS + number // self.in_row * self.pause_ns


def fill_ours(path: Path, rows: Set) -> Catalog:
    """A catalog with these rows, written at once; runs and sums are made from them as after a loss."""
    catalog = Catalog(path, path.parent)
    db = catalog._db
    db.execute("PRAGMA synchronous = OFF")
    with catalog._transaction():
        for number, name in enumerate(rows.names):
            key = catalog._camera_key(name)
            db.execute("UPDATE camera SET longest_ns = ? WHERE key = ?", (LENGTH_NS, key))
            db.executemany(
                "INSERT INTO segment (camera, start_ns, id, end_ns, size_bytes, stream, video)"
                " VALUES (?, ?, ?, ?, ?, 'main', 'h264')",
                (
                    (key, start, _id(start), start + LENGTH_NS, SIZE_BYTES)
                    for start in (each + number * NS for each in rows.starts())
                ),
            )
    catalog.recount()
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return catalog


def fill_plain(path: Path, rows: Set) -> sqlite3.Connection:
    """The plain table with the same rows; its indexes are made when they are there, as is quickest."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(PLAIN)
    db.execute("BEGIN")
    for number, name in enumerate(rows.names):
        db.executemany(
            "INSERT INTO recordings VALUES (?, ?, ?, ?, ?, 300.0, 0, 0, 0, 143.0)",
            (
                (
                    f"{start / NS:.3f}-{_id(start)[8:11].hex()}",
                    name,
                    f"/media/recordings/{recording_name(name, start, 'main')}",
                    start / NS,
                    (start + LENGTH_NS) / NS,
                )
                for start in (each + number * NS for each in rows.starts())
            ),
        )
    db.execute("COMMIT")
    db.executescript(PLAIN_INDEXES)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return db


def _id(start_ns: int) -> bytes:
    return (start_ns // 1_000_000).to_bytes(6) + os.urandom(10)
