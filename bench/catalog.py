"""The catalog at 2 million recordings, and a plain SQLite table with the usual indexes, in one run.

    scripts/bench catalog [--segments 2000000] [--cameras 200] [--repeat 9] [--folder DIR] [--json]

Two sets of as many recordings of 5 min each: `full`, recorded all the time (35 days of 200 cameras), and `year`, 45 min
about every eight hours (a year of them). The peer is a table as Frigate's `recordings` has it (bench/_catalog_sets.py),
asked for the same rows; what it has no rows for, runs of recorded time, is merged from its rows in Python by the same code
as ours merges. Its rows stay tuples, while ours become recordings, and its oldest rows are those, whatever rules and locks
say of them. Queries run warm, in one thread, on other cameras each time; the median counts. Writing is one commit a
recording, synchronous=FULL on both sides.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from bench._catalog_sets import BEGIN_NS, LENGTH_NS, SIZE_BYTES, Set, fill_ours, fill_plain
from bench._processes import machine
from vms.common.clock import NS
from vms.storage.catalog import JOIN_NS, Catalog, CatalogRow
from vms.storage.coverage_runs import merge
from vms.storage.layout import recording_name
from vms.storage.locks import LockedTimes
from vms.storage.retention_rule import RetentionRule
from vms.storage.segment import Segment
from vms.storage.selection import Selection

DAY_NS = 86400 * NS
Query = Callable[[int], int]
"""Asked with the number of the repetition; gives how many rows or runs there were."""


@dataclass(frozen=True, slots=True)
class Figure:
    """ms: the median. rows: of ours and of the peer; None where the peer has nothing to compare."""

    name: str
    ours_ms: float
    peer_ms: float | None
    rows: tuple[int, int | None]

    @property
    def ratio(self) -> float | None:
        """Our time over the peer's."""
        return None if self.peer_ms is None else round(self.ours_ms / self.peer_ms, 4)


def main() -> None:
    options = _options()
    console = Console(stderr=True)
    each = options.segments // options.cameras
    sets = {
        "full": Set(options.cameras, each, each, 0),
        "year": Set(options.cameras, each, 9, round(365 * DAY_NS / (each / 9)) - 9 * LENGTH_NS),
    }
    figures: list[Figure] = []
    sizes: dict[str, float] = {}
    for name, rows in sets.items():
        with tempfile.TemporaryDirectory(prefix="vms-bench-", dir=options.folder) as folder:
            console.print(f"{name}: {rows.cameras * rows.each} recordings of {rows.cameras} cameras …")
            ours = fill_ours(Path(folder) / "ours.sqlite3", rows)
            plain = fill_plain(Path(folder) / "plain.sqlite3", rows)
            for side in ("ours", "plain"):
                sizes[f"{name}_{side}_mib"] = round(
                    (Path(folder) / f"{side}.sqlite3").stat().st_size / (1 << 20)
                )
            queries = _of_full(ours, plain, rows) if name == "full" else _of_year(ours, plain, rows)
            figures += [_measure(f"{text}", pair, options.repeat) for text, pair in queries]
            if name == "full":
                figures += _of_opening(ours, options.repeat)
            ours.close()
            plain.close()
    _print(figures, sizes, options)
    if options.json:
        print(
            json.dumps(
                {"bench": "catalog", "machine": machine(), "segments": options.segments}
                | _tree(figures, sizes)
            )
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench catalog", description=__doc__.splitlines()[0])
    parser.add_argument("--segments", type=int, default=2_000_000)
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument(
        "--folder", type=Path, help="where the databases are made; a temporary folder by default"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    if options.segments // options.cameras < 1000 or options.cameras < 16:
        sys.exit("bench catalog: take at least 16 cameras, and 1000 recordings of each")
    return options


def _of_full(
    ours: Catalog, plain: sqlite3.Connection, rows: Set
) -> Sequence[tuple[str, tuple[Query, Query | None]]]:
    names = rows.names
    month_ns = min(30 * DAY_NS, rows.span_ns)

    def day(number: int) -> tuple[int, int]:
        start_ns = BEGIN_NS + number % (rows.span_ns // DAY_NS) * DAY_NS
        return start_ns, start_ns + DAY_NS

    def plain_rows(number: int) -> int:
        sql = "SELECT id, path, start_time, end_time, segment_size FROM recordings"
        return len(_plain(plain, sql, names[number % len(names)], *day(number)))

    def write_ours(number: int) -> int:
        start_ns = BEGIN_NS + rows.span_ns + number * LENGTH_NS
        path = ours.path.parent / recording_name(names[0], start_ns, "main")
        end_ns = start_ns + LENGTH_NS
        row = Segment(uuid4(), names[0], "main", path, start_ns, end_ns, SIZE_BYTES, True, None, None)
        ours.add([CatalogRow(row)])
        return 1

    def write_plain(number: int) -> int:
        start_s = (BEGIN_NS + rows.span_ns + number * LENGTH_NS) / NS
        values = (str(uuid4())[:30], names[0], f"/media/{number}-{uuid4()}.mp4", start_s, start_s + 300)
        plain.execute("INSERT INTO recordings VALUES (?, ?, ?, ?, ?, 300.0, 0, 0, 0, 143.0)", values)
        return 1

    plain.execute("PRAGMA synchronous = FULL")
    rules = dict.fromkeys(names, RetentionRule(60 * DAY_NS, 60 * DAY_NS))
    chosen = Selection(ours, LockedTimes(), BEGIN_NS + rows.span_ns)
    coverage = _coverages(ours, plain)
    return [
        (
            "a camera-day as recordings",
            (lambda n: len(ours.overlapping(names[n % len(names)], *day(n))), plain_rows),
        ),
        ("a camera-day as coverage", coverage(lambda n: names[n % len(names) :][:1], day)),
        (
            "a camera-month as coverage",
            coverage(lambda n: names[n % len(names) :][:1], lambda n: (BEGIN_NS, BEGIN_NS + month_ns)),
        ),
        (
            "16 camera-months as coverage",
            coverage(lambda n: names[:16], lambda n: (BEGIN_NS, BEGIN_NS + month_ns)),
        ),
        (
            "the 64 oldest of all",
            (
                lambda n: len(chosen.for_room("", rules, 64 * SIZE_BYTES)),
                lambda n: len(
                    plain.execute("SELECT * FROM recordings ORDER BY start_time LIMIT 64").fetchall()
                ),
            ),
        ),
        ("a recording written, one commit", (write_ours, write_plain)),
    ]


def _of_year(
    ours: Catalog, plain: sqlite3.Connection, rows: Set
) -> Sequence[tuple[str, tuple[Query, Query | None]]]:
    def year(_: int) -> tuple[int, int]:
        return BEGIN_NS, BEGIN_NS + 365 * DAY_NS

    coverage = _coverages(ours, plain)
    hourly = _coverages(ours, plain, join_ns=DAY_NS // 2)
    return [
        ("a camera-year as coverage", coverage(lambda n: rows.names[n % rows.cameras :][:1], year)),
        (f"a year of {rows.cameras} cameras as coverage", coverage(lambda n: rows.names, year)),
        ("the same, holes below 12 h closed", hourly(lambda n: rows.names, year)),
    ]


def _of_opening(ours: Catalog, repeat: int) -> Sequence[Figure]:
    def recount(_: int) -> int:
        ours.recount()
        return 1

    return [_measure("opening: sums over all rows", (recount, None), min(repeat, 3))]


def _coverages(
    ours: Catalog, plain: sqlite3.Connection, join_ns: int = JOIN_NS
) -> Callable[[Callable[[int], Sequence[str]], Callable[[int], tuple[int, int]]], tuple[Query, Query | None]]:
    """Both sides of a question for the coverage of cameras in a range, by the number of the repetition."""

    def pair(
        cameras: Callable[[int], Sequence[str]], times: Callable[[int], tuple[int, int]]
    ) -> tuple[Query, Query | None]:
        def mine(number: int) -> int:
            found = ours.coverages(cameras(number), *times(number), join_ns)  # type: ignore[arg-type]
            return sum(len(runs) for runs in found.values())

        def theirs(number: int) -> int:
            total = 0
            for camera in cameras(number):
                sql = "SELECT start_time, end_time FROM recordings"
                rows = _plain(plain, sql, camera, *times(number))
                total += len(merge(rows, join_ns / NS))  # type: ignore[arg-type]
            return total

        return mine, theirs

    return pair


def _plain(
    db: sqlite3.Connection, select: str, camera: str, start_ns: int, end_ns: int
) -> list[tuple[float, float]]:
    sql = f"{select} WHERE camera = ? AND start_time < ? AND end_time > ? ORDER BY start_time"
    return db.execute(sql, (camera, end_ns / NS, start_ns / NS)).fetchall()


def _measure(name: str, pair: tuple[Query, Query | None], repeat: int) -> Figure:
    (ours_ms, ours_rows), peer = _times(pair[0], repeat), pair[1]
    if peer is None:
        return Figure(name, ours_ms, None, (ours_rows, None))
    peer_ms, peer_rows = _times(peer, repeat)
    return Figure(name, ours_ms, peer_ms, (ours_rows, peer_rows))


def _times(query: Query, repeat: int) -> tuple[float, int]:
    rows = query(0)
    taken = []
    for number in range(1, repeat + 1):
        began = time.perf_counter()
        rows = query(number)
        taken.append(1000 * (time.perf_counter() - began))
    return round(median(taken), 3), rows


def _tree(figures: Sequence[Figure], sizes: dict[str, float]) -> dict[str, object]:
    found = [
        {
            "name": one.name,
            "ours_ms": one.ours_ms,
            "peer_ms": one.peer_ms,
            "ratio": one.ratio,
            "rows": one.rows,
        }
        for one in figures
    ]
    return {"figures": found, "sizes": sizes}


def _print(figures: Sequence[Figure], sizes: dict[str, float], options: argparse.Namespace) -> None:
    table = Table(title=f"{options.segments} recordings of {options.cameras} cameras, {machine()}")
    for column in ("", "rows", "ours, ms", "plain table, ms", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    for one in figures:
        rows = str(one.rows[0]) if one.rows[1] in (None, one.rows[0]) else f"{one.rows[0]} / {one.rows[1]}"
        peer = "" if one.peer_ms is None else f"{one.peer_ms:.2f}"
        table.add_row(
            one.name, rows, f"{one.ours_ms:.2f}", peer, "" if one.ratio is None else f"{one.ratio:.3f}"
        )
    Console().print(table)
    Console().print(", ".join(f"{name}: {size:.0f} MiB" for name, size in sizes.items()))


if __name__ == "__main__":
    main()
