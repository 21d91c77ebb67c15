"""Runs of recorded time are what the segments say, whatever was added and deleted, in whatever order."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.storage.catalog import JOIN_NS, Catalog, CatalogRow
from vms.storage.layout import recording_name
from vms.storage.segment import Segment

PORCH, YARD = CameraId("porch"), CameraId("yard")
STEP_NS = NS // 5  # so that holes are at, below and above what is closed

# The query that coverage was before there were runs: the model.
OVERLAPPING = """
SELECT min(start_ns), max(end_ns) FROM (
    SELECT start_ns, end_ns, total(begins) OVER (ORDER BY start_ns, id) AS run FROM (
        SELECT start_ns, end_ns, segment.id,
            start_ns - ? > max(end_ns) OVER (ORDER BY start_ns, segment.id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS begins
        FROM segment JOIN camera ON camera.key = segment.camera
        WHERE camera.id = ? AND start_ns < ? AND start_ns > ? - camera.longest_ns
            AND end_ns > ? AND deleting = 0))
GROUP BY run ORDER BY 1
"""


def segment(volume: Path, start_ns: int, end_ns: int, camera: CameraId = PORCH) -> Segment:
    path = volume / recording_name(camera, start_ns, "main")
    return Segment(uuid4(), camera, "main", path, start_ns, end_ns, 1000, True, None, None)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.tuples(st.integers(0, 120), st.integers(1, 25)), max_size=6)),
        st.tuples(
            st.sampled_from(["mark", "remove", "both", "again"]), st.sets(st.integers(0, 40), max_size=6)
        ),
    ),
    max_size=14,
)


class Model:
    """A catalog, and what it was told."""

    def __init__(self, volume: Path) -> None:
        self.catalog = Catalog(volume / "catalog", volume)
        self.volume = volume
        self.all: list[UUID] = []

    def do(self, what: str, argument: list[tuple[int, int]] | set[int]) -> None:
        if isinstance(argument, list):
            rows = [
                segment(self.volume, start * STEP_NS, (start + length) * STEP_NS)
                for start, length in argument
            ]
            others = [segment(self.volume, row.start_ns + NS, row.end_ns + 2 * NS, YARD) for row in rows]
            self.catalog.add([CatalogRow(row) for row in (*rows, *others)])
            self.all += [row.id for row in rows]
            return
        ids = [self.all[number] for number in argument if number < len(self.all)]
        if what in ("mark", "both"):
            self.catalog.mark_deleting(ids)
        if what == "again":
            self.catalog.keep_again(ids)
        if what in ("remove", "both"):
            self.catalog.remove(ids)

    def check(self, camera: CameraId) -> None:
        db = self.catalog._db
        key = db.execute("SELECT key FROM camera WHERE id = ?", (camera,)).fetchone()
        kept = db.execute(
            "SELECT start_ns, end_ns FROM run WHERE camera = ? ORDER BY 1", key or (0,)
        ).fetchall()
        assert kept == self.wanted(camera, -(1 << 61), 1 << 61, JOIN_NS)

    def wanted(self, camera: CameraId, start_ns: int, end_ns: int, join_ns: int) -> list[tuple[int, int]]:
        parameters = (join_ns, camera, end_ns, start_ns, start_ns)
        return self.catalog._db.execute(OVERLAPPING, parameters).fetchall()


@settings(max_examples=120, deadline=None)
@given(STEPS, st.integers(0, 150), st.integers(1, 100), st.integers(0, 12))
def test_runs_and_the_answers_from_them_agree_with_a_query_over_all_segments(
    steps: list[tuple[str, list[tuple[int, int]] | set[int]]], start: int, length: int, join: int
) -> None:
    with TemporaryDirectory() as directory:
        model = Model(Path(directory))
        for what, argument in steps:
            model.do(what, argument)
            model.check(PORCH)
            model.check(YARD)
        start_ns, end_ns = start * STEP_NS, (start + length) * STEP_NS
        for join_ns in (join * STEP_NS, JOIN_NS, JOIN_NS + join):
            found = model.catalog.coverage(PORCH, start_ns, end_ns, join_ns)
            assert found == model.wanted(PORCH, start_ns, end_ns, join_ns)
        model.catalog.close()


def instructions(catalog: Catalog, work: Callable[[], object]) -> int:
    """How many steps SQLite took for it, to a hundred."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    catalog._db.set_progress_handler(count, 100)
    work()
    catalog._db.set_progress_handler(None, 0)
    return steps


def test_a_long_run_is_changed_and_asked_without_walking_it(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", tmp_path)
    rows = [segment(tmp_path, number * NS, (number + 1) * NS) for number in range(6000)]
    catalog.add([CatalogRow(row) for row in rows])
    assert catalog.coverage(PORCH, 0, 1 << 62) == [(0, 6000 * NS)]
    front, middle = [row.id for row in rows[:10]], [row.id for row in rows[3000:3010]]
    assert instructions(catalog, lambda: catalog.mark_deleting(front)) < 10_000
    assert instructions(catalog, lambda: catalog.mark_deleting(middle)) < 10_000
    assert catalog.coverage(PORCH, 0, 1 << 62) == [(10 * NS, 3000 * NS), (3010 * NS, 6000 * NS)]
    inside = 500 * NS + 1, 5500 * NS + 1
    assert instructions(catalog, lambda: catalog.coverage(PORCH, *inside)) < 1000
    assert catalog.coverage(PORCH, *inside) == [(500 * NS, 3000 * NS), (3010 * NS, 5501 * NS)]


def test_a_hole_in_the_middle_parts_a_run(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", tmp_path)
    rows = [segment(tmp_path, number * NS, (number + 1) * NS) for number in range(10)]
    catalog.add([CatalogRow(row) for row in rows])
    catalog.mark_deleting([rows[4].id, rows[6].id])
    assert catalog.coverage(PORCH, 0, 1 << 62) == [(0, 4 * NS), (5 * NS, 6 * NS), (7 * NS, 10 * NS)]
    assert catalog.coverage(PORCH, 0, 1 << 62, join_ns=NS) == [(0, 10 * NS)]
    assert catalog.coverages([PORCH, YARD], 0, 5 * NS) == {PORCH: [(0, 4 * NS)], YARD: []}
