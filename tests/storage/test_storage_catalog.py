"""The catalog: what is committed is found again, by every way of asking."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.format.hybrid import Fragment, PreviousFile
from vms.media import Codec, Gap, GapReason
from vms.storage.catalog import Catalog, CatalogRow
from vms.storage.errors import CatalogUnusable
from vms.storage.keeping import EventRange
from vms.storage.layout import recording_name
from vms.storage.retention_rule import RetentionRule
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


def test_the_last_file_is_named_where_it_has_a_proof(catalog: Catalog, tmp_path: Path) -> None:
    rows = [segment(tmp_path, number * 10 * NS, number * 10 * NS + 9 * NS) for number in range(3)]
    index = SegmentIndex((64, 700), [])
    for row, chain in zip(rows, (b"a" * 32, b"b" * 32, None), strict=True):
        catalog.add([CatalogRow(row, index, chain)])
    assert catalog.last_file(PORCH, "main", 5 * NS) == PreviousFile(rows[0].id, b"a" * 32)
    assert catalog.last_file(PORCH, "main", 20 * NS) == PreviousFile(rows[1].id, b"b" * 32)
    assert catalog.last_file(PORCH, "main", DAY_NS) is None, "what has no proof is not left out"
    assert catalog.last_file(PORCH, "sub", DAY_NS) is None
    assert catalog.last_file(YARD, "main", DAY_NS) is None


def test_a_moved_segment_is_found_where_it_is_and_its_old_copy_is_to_go(
    catalog: Catalog, tmp_path: Path
) -> None:
    rows = [segment(tmp_path, number * 10 * NS, number * 10 * NS + 9 * NS) for number in range(3)]
    rows.append(segment(tmp_path, 5 * NS, 6 * NS, YARD))
    catalog.add([CatalogRow(row) for row in rows])
    assert catalog.movable("", 29 * NS, 9) == [rows[0], rows[3], rows[1], rows[2]]
    assert catalog.movable("", 19 * NS, 9) == [rows[0], rows[3], rows[1]]
    assert catalog.movable("", 29 * NS, 2) == [rows[0], rows[3]]
    assert catalog.movable("shelf", DAY_NS, 9) == []
    catalog.moved([rows[0].id, rows[3].id], "shelf")
    moved = replace(rows[0], tier="shelf")
    assert catalog.find(rows[0].id) == moved
    assert catalog.movable("shelf", DAY_NS, 1) == [moved]
    assert catalog.oldest(9) == [rows[1], rows[2]]
    assert catalog.tier_bytes() == {"": 2000, "shelf": 2000}
    removals = catalog.removals(9)
    assert {(each.segment.path, each.tier) for each in removals} == {(rows[0].path, ""), (rows[3].path, "")}
    catalog.removed(removals[:1])
    assert catalog.removals(9) == removals[1:]


def test_a_copy_that_is_in_use_again_is_not_removed(catalog: Catalog, tmp_path: Path) -> None:
    row = segment(tmp_path, 5 * NS, 9 * NS)
    catalog.add([CatalogRow(row)])
    catalog.moved([row.id], "shelf")
    catalog.moved([row.id], "")
    assert [each.tier for each in catalog.removals(9)] == ["shelf"]


def test_a_segment_that_is_deleted_while_it_moves_is_not_kept_alive(catalog: Catalog, tmp_path: Path) -> None:
    row, other = segment(tmp_path, 5 * NS, 9 * NS), segment(tmp_path, 15 * NS, 19 * NS)
    catalog.add([CatalogRow(row), CatalogRow(other)])
    catalog.moved([other.id], "shelf")
    catalog.mark_deleting([row.id, other.id])
    catalog.moved([row.id], "shelf")
    assert catalog.remove([row.id, other.id]) == 1000, "of the volume itself"
    assert catalog.find(row.id) is None
    assert {(each.segment.id, each.tier) for each in catalog.removals(9)} == {
        (other.id, ""),
        (other.id, "shelf"),
    }
    assert catalog.size_bytes() == 0


def test_many_that_begin_at_once_are_all_walked(catalog: Catalog, tmp_path: Path) -> None:
    rows = [segment(tmp_path, 5 * NS, 9 * NS, copy=number + 1) for number in range(50)]
    catalog.add([CatalogRow(row) for row in rows])
    assert {row.id for row in catalog.movable("", DAY_NS, 99)} == {row.id for row in rows}


def test_what_is_too_young_to_move_is_not_walked(catalog: Catalog, tmp_path: Path) -> None:
    rows = [segment(tmp_path, number * NS, (number + 1) * NS) for number in range(3000)]
    catalog.add([CatalogRow(row) for row in rows])
    asked: list[str] = []
    catalog._db.set_trace_callback(asked.append)
    assert catalog.movable("", 5 * NS, 32) == rows[:5]
    catalog._db.set_trace_callback(None)
    assert len(asked) < 12


def test_an_event_that_goes_on_becomes_longer_and_never_shorter(catalog: Catalog) -> None:
    def told(end_ns: int, kind: str = "motion") -> None:
        catalog.put_event_ranges([EventRange(PORCH, 5 * NS, end_ns, kind)])

    for end_ns in (9 * NS, 20_000 * NS, 7 * NS):
        told(end_ns)
    told(6 * NS, "alarm")
    found = catalog.event_ranges(PORCH, 0, DAY_NS)
    assert set(found) == {
        EventRange(PORCH, 5 * NS, 6 * NS, "alarm"),
        EventRange(PORCH, 5 * NS, 20_000 * NS, "motion"),
    }
    assert catalog.has_event(PORCH, 19_999 * NS, DAY_NS)
    assert not catalog.has_event(PORCH, 20_000 * NS, DAY_NS)
    assert not catalog.has_event(YARD, 0, DAY_NS)


def test_rules_are_remembered_and_news_only_once(catalog: Catalog) -> None:
    rules = {PORCH: RetentionRule(7, 8, 1, 9, 10), YARD: RetentionRule(5, 5)}
    assert catalog.put_retentions(rules)
    assert not catalog.put_retentions(rules)
    assert catalog.retentions() == rules


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
    catalog.heads("")
    catalog.in_tier("", PORCH, 0, 10)
    catalog.movable("", DAY_NS, 10)
    catalog.removals(10)
    catalog.has_event(PORCH, 0, DAY_NS)
    catalog.event_ranges(PORCH, 0, DAY_NS)
    catalog.range_bytes(PORCH, [(0, DAY_NS)])
    catalog.coverage(PORCH, 6 * NS, 8 * NS)
    catalog.last_file(PORCH, "main", DAY_NS)
    catalog._db.set_trace_callback(None)
    for statement in statements:
        plans += [row[3] for row in catalog._db.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert plans
    scans = [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan]
    assert set(scans) <= {"SCAN camera", "SCAN removal"}, "few rows, all of which are asked for"
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
