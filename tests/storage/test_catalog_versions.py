"""A catalog of the version before is brought up to date where it lies, with everything in it."""

import sqlite3
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.media import Gap, GapReason
from vms.storage.catalog import Catalog, CatalogRow
from vms.storage.errors import CatalogUnusable
from vms.storage.fragment_table import pack
from vms.storage.layout import recording_name
from vms.storage.retention_rule import RetentionRule
from vms.storage.segment import Segment, SegmentIndex

PORCH, YARD = CameraId("porch"), CameraId("yard")
ALL = (0, 1 << 62)

VERSION_1 = """
CREATE TABLE camera (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    retention_ns INTEGER,
    longest_ns INTEGER NOT NULL DEFAULT 0
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
    name TEXT,
    deleting INTEGER NOT NULL DEFAULT 0,
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
PRAGMA user_version = 1;
"""
IDS = [UUID(int=number) for number in range(4)]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A catalog of version 1: three segments in a row, one of them being deleted, and one an hour later."""
    path = tmp_path / "catalog"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
        db.execute("INSERT INTO camera VALUES (1, 'porch', ?, ?), (2, 'yard', NULL, 0)", (77 * NS, 10 * NS))
        for number, (start_ns, deleting) in enumerate([(0, 0), (10 * NS, 0), (20 * NS, 1), (3600 * NS, 0)]):
            db.execute(
                "INSERT INTO segment VALUES (1, ?, ?, ?, 1000, 'main', 'h264', NULL, NULL, ?)",
                (start_ns, IDS[number].bytes, start_ns + 10 * NS, deleting),
            )
        db.execute("INSERT INTO fragments VALUES (?, ?)", (IDS[0].bytes, pack(SegmentIndex((0, 700), ()))))
        db.execute("INSERT INTO gap VALUES (1, 5, 'camera_lost', 9, 'no answer')")
    db.close()
    return path


def test_a_catalog_of_version_1_keeps_everything_and_learns_the_rest(old: Path, tmp_path: Path) -> None:
    catalog = Catalog(old, tmp_path)
    assert [row.id for row in catalog.overlapping(PORCH, *ALL)] == [IDS[0], IDS[1], IDS[3]]
    assert [row.id for row in catalog.deleting()] == [IDS[2]]
    assert all(row.tier == "" for row in catalog.overlapping(PORCH, *ALL))
    assert catalog.index(IDS[0]) == SegmentIndex((0, 700), [])
    assert catalog.last_file(PORCH, "main", 9 * NS) is None
    assert catalog.gaps(PORCH, 0, 10) == [Gap(5, 9, GapReason.CAMERA_LOST, "no answer")]
    assert catalog.retentions() == {PORCH: RetentionRule(77 * NS, 77 * NS), YARD: None}
    assert catalog.tier_bytes() == {"": 4000}
    runs = catalog._db.execute("SELECT start_ns, end_ns FROM run").fetchall()
    assert runs == [(0, 20 * NS), (3600 * NS, 3610 * NS)]
    catalog.close()


def test_it_is_brought_up_to_date_once(old: Path, tmp_path: Path) -> None:
    Catalog(old, tmp_path).close()
    again = Catalog(old, tmp_path)
    again.moved([IDS[0]], "shelf")
    again.close()
    assert Catalog(old, tmp_path).tier_bytes() == {"": 3000, "shelf": 1000}


def test_a_new_catalog_has_the_tables_of_one_that_was_brought_up_to_date(old: Path, tmp_path: Path) -> None:
    def tables(path: Path) -> dict[str, list[tuple[str, str, int, str | None, int]]]:
        db = sqlite3.connect(path)
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master ORDER BY name")]
        found = {name: [row[1:] for row in db.execute(f"PRAGMA table_xinfo({name})")] for name in names}
        db.close()
        return found

    Catalog(old, tmp_path).close()
    Catalog(tmp_path / "new", tmp_path).close()
    assert tables(old) == tables(tmp_path / "new")


def test_bringing_up_to_date_that_is_cut_short_changes_nothing(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            "vms.storage.schema._TABLES_2", "CREATE TABLE tier (key INTEGER) STRICT;\nCREATE nonsense;\n"
        )
        with pytest.raises(CatalogUnusable):
            Catalog(old, tmp_path)
    db = sqlite3.connect(old)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert db.execute("SELECT retention_ns FROM camera").fetchall() == [(77 * NS,), (None,)]
    db.close()
    assert len(Catalog(old, tmp_path).overlapping(PORCH, *ALL)) == 3


def test_a_reader_waits_for_the_keeper_to_bring_it_up_to_date(old: Path, tmp_path: Path) -> None:
    with pytest.raises(CatalogUnusable, match="its keeper brings it up to date"):
        Catalog(old, tmp_path, read_only=True)


def test_sums_and_runs_that_were_lost_come_back_with_a_recount(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", tmp_path)
    row = Segment(
        uuid4(), PORCH, "main", tmp_path / recording_name("porch", 0, "main"), 0, NS, 1000, True, None, None
    )
    catalog.add([CatalogRow(row)])
    catalog._db.execute("DELETE FROM run")
    catalog._db.execute("UPDATE held SET bytes = 5")
    catalog.recount()
    assert catalog.coverage(PORCH, *ALL) == [(0, NS)]
    assert catalog.size_bytes() == 1000
