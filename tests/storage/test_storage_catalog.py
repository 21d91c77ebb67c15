"""The catalog: what is committed is found again, by every way of asking."""

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.format.hybrid import Fragment
from vms.media import Codec, Gap, GapReason
from vms.storage.catalog import Catalog, CatalogRow
from vms.storage.errors import CatalogUnusable
from vms.storage.layout import recording_name
from vms.storage.segment import Segment, SegmentIndex

PORCH, YARD = CameraId("porch"), CameraId("yard")
DAY_NS = 86400 * NS


def segment(volume: Path, start_ns: int, end_ns: int, camera: CameraId = PORCH, copy: int = 1) -> Segment:
    return Segment(
        id=uuid4(),
        camera_id=camera,
        stream="main",
        path=volume / recording_name(camera, start_ns, "main", copy),
        start_ns=start_ns,
        end_ns=end_ns,
        size_bytes=1000,
        closed=True,
        video=Codec.H264,
        audio=None,
    )


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog", tmp_path)


def test_a_segment_is_found_as_it_was_committed(catalog: Catalog, tmp_path: Path) -> None:
    row = segment(tmp_path, 5 * NS, 9 * NS)
    copied = segment(tmp_path, 5 * NS, 9 * NS, copy=2)
    assert catalog.add([CatalogRow(row), CatalogRow(copied)]) == 2000
    assert catalog.find(row.id) == row
    assert catalog.find(copied.id) == copied
    assert catalog.find(UUID(int=1)) is None
    assert catalog.size_bytes() == 2000


def test_committing_a_segment_again_changes_nothing(catalog: Catalog, tmp_path: Path) -> None:
    row = segment(tmp_path, 5 * NS, 9 * NS)
    catalog.add([CatalogRow(row)])
    assert catalog.add([CatalogRow(row)]) == 0
    assert catalog.size_bytes() == 1000


def test_a_fragment_table_comes_back_without_tracks(catalog: Catalog, tmp_path: Path) -> None:
    index = SegmentIndex((64, 700), [Fragment(764, 5000, 5 * NS, NS // 2, True, ())])
    row = segment(tmp_path, 5 * NS, 9 * NS)
    catalog.add([CatalogRow(row, index)])
    assert catalog.index(row.id) == index
    assert catalog.index(uuid4()) is None


SPANS = st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 300)), max_size=25)


@settings(max_examples=40, deadline=None)
@given(SPANS, st.integers(0, 1200), st.integers(1, 500), st.integers(0, 40))
def test_ranges_and_coverage_agree_with_a_plain_search(
    spans: list[tuple[int, int]], start: int, length: int, join: int
) -> None:
    with TemporaryDirectory() as directory:
        volume = Path(directory)
        catalog = Catalog(volume / "catalog", volume)
        rows = [segment(volume, first, first + duration) for first, duration in spans]
        others = [segment(volume, first, first + duration, YARD) for first, duration in spans]
        catalog.add([CatalogRow(row) for row in (*rows, *others)])
        end = start + length
        wanted = [row for row in rows if row.start_ns < end and row.end_ns > start]
        found = catalog.overlapping(PORCH, start, end)
        assert sorted(row.id for row in found) == sorted(row.id for row in wanted)
        assert [row.start_ns for row in found] == sorted(row.start_ns for row in wanted)
        assert catalog.coverage(PORCH, start, end, join) == _merge(wanted, join)
        catalog.close()


def _merge(segments: list[Segment], join: int) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for each in sorted(segments, key=lambda one: one.start_ns):
        if runs and each.start_ns - join <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(runs[-1][1], each.end_ns)
        else:
            runs.append((each.start_ns, each.end_ns))
    return runs


def test_what_is_being_deleted_is_not_found_and_still_counts(catalog: Catalog, tmp_path: Path) -> None:
    row = segment(tmp_path, 5 * NS, 9 * NS)
    catalog.add([CatalogRow(row)])
    catalog.mark_deleting([row.id])
    assert catalog.find(row.id) is None
    assert catalog.overlapping(PORCH, 0, DAY_NS) == []
    assert catalog.oldest(10) == []
    assert catalog.deleting() == [row]
    assert catalog.size_bytes() == 1000
    catalog.remove([row.id])
    assert catalog.deleting() == []
    assert catalog.size_bytes() == 0


def test_days_are_those_on_which_segments_start(catalog: Catalog, tmp_path: Path) -> None:
    for start_ns in (5 * NS, 6 * NS, 3 * DAY_NS, -5 * NS):
        catalog.add([CatalogRow(segment(tmp_path, start_ns, start_ns + NS))])
    assert sorted(catalog.days(PORCH)) == [-DAY_NS, 0, 3 * DAY_NS]
    assert catalog.days(YARD) == []


def test_a_gap_is_replaced_when_it_ends(catalog: Catalog) -> None:
    catalog.put_gaps([(PORCH, Gap(5, None, GapReason.CAMERA_LOST, "no answer"))])
    assert catalog.open_gaps(PORCH) == [Gap(5, None, GapReason.CAMERA_LOST, "no answer")]
    assert catalog.gaps(PORCH, 1000, 2000) == [Gap(5, None, GapReason.CAMERA_LOST, "no answer")]
    catalog.put_gaps([(PORCH, Gap(5, 500, GapReason.CAMERA_LOST, "no answer"))])
    assert catalog.open_gaps(PORCH) == []
    assert catalog.gaps(PORCH, 1000, 2000) == []
    assert catalog.gaps(PORCH, 499, 2000) == [Gap(5, 500, GapReason.CAMERA_LOST, "no answer")]


def test_a_gap_without_length_is_found_where_it_lies(catalog: Catalog) -> None:
    catalog.put_gaps([(PORCH, Gap(7, 7, GapReason.CLOCK_JUMP))])
    assert catalog.gaps(PORCH, 7, 8) == [Gap(7, 7, GapReason.CLOCK_JUMP)]
    assert catalog.gaps(PORCH, 8, 9) == []
    assert catalog.gaps(PORCH, 0, 7) == []


def test_a_reason_that_a_newer_version_knows_counts_as_unknown(catalog: Catalog, tmp_path: Path) -> None:
    catalog.put_gaps([(PORCH, Gap(1, 2, GapReason.OVERRUN))])
    with sqlite3.connect(tmp_path / "catalog") as db:
        db.execute("UPDATE gap SET reason = 'solar_flare'")
    db.close()
    assert catalog.gaps(PORCH, 0, 5) == [Gap(1, 2, GapReason.UNKNOWN)]


def test_every_query_over_time_uses_an_index(catalog: Catalog, tmp_path: Path) -> None:
    catalog.add([CatalogRow(segment(tmp_path, 5 * NS, 9 * NS))])
    plans: list[str] = []
    statements: list[str] = []
    catalog._db.set_trace_callback(statements.append)
    catalog.overlapping(PORCH, 0, DAY_NS)
    catalog.expired(PORCH, DAY_NS, 10)
    catalog.oldest(10)
    catalog.gaps(PORCH, 0, DAY_NS)
    catalog.deleting()
    catalog._db.set_trace_callback(None)
    for statement in statements:
        plans += [row[3] for row in catalog._db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan]
    assert not [plan for plan in plans if "TEMP B-TREE" in plan and "gap" not in plan and "LAST" not in plan]


def test_a_catalog_of_another_version_is_refused_unharmed(tmp_path: Path) -> None:
    Catalog(tmp_path / "catalog", tmp_path).close()
    with sqlite3.connect(tmp_path / "catalog") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(CatalogUnusable, match="version 99") as refused:
        Catalog(tmp_path / "catalog", tmp_path)
    assert not refused.value.damaged


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "catalog").write_bytes(b"no database at all, and long enough to be looked at" * 100)
    with pytest.raises(CatalogUnusable) as refused:
        Catalog(tmp_path / "catalog", tmp_path)
    assert refused.value.damaged
