"""Runs of recorded time, kept beside the segments: a year of a camera is a few rows instead of a hundred thousand.

A run is the longest stretch of a camera's footage whose holes are no longer than JOIN_NS. Runs change in the same
transaction as the segments that they follow from, and can be made from them anew. What is being deleted is in none.

Belongs here: keeping runs, and answers from them. Does not: transactions, camera ids (catalog).
"""

import sqlite3
from collections.abc import Iterable, Sequence

from vms.common.clock import NS

JOIN_NS = NS // 2

Span = tuple[int, int]


def add(db: sqlite3.Connection, camera: int, start_ns: int, end_ns: int) -> None:
    """A segment of the camera was added."""
    touched = db.execute(
        "SELECT start_ns, end_ns FROM run WHERE camera = ?1 AND start_ns <= ?3 + ?4 AND end_ns >= ?2 - ?4"
        " AND start_ns >= ifnull((SELECT max(start_ns) FROM run WHERE camera = ?1 AND start_ns <= ?2), ?2)",
        (camera, start_ns, end_ns, JOIN_NS),
    ).fetchall()
    if len(touched) == 1 and touched[0][0] <= start_ns:
        if touched[0][1] < end_ns:
            db.execute(
                "UPDATE run SET end_ns = ? WHERE camera = ? AND start_ns = ?", (end_ns, camera, touched[0][0])
            )
        return
    whole = min([start_ns, *(start for start, _ in touched)]), max([end_ns, *(end for _, end in touched)])
    _replace(db, camera, [start for start, _ in touched], [whole])


def remove(db: sqlite3.Connection, camera: int, gone: Iterable[Span]) -> None:
    """Segments of the camera were deleted, or marked for it. Only what is around them is read."""
    by_run: dict[Span, Span] = {}
    for start_ns, end_ns in gone:
        run = db.execute(
            "SELECT start_ns, end_ns FROM run WHERE camera = ? AND start_ns <= ? ORDER BY start_ns DESC LIMIT 1",
            (camera, start_ns),
        ).fetchone()
        if run is None:  # runs are not what they should be
            rebuild(db, camera)
            return
        low, high = by_run.get(run, (start_ns, end_ns))
        by_run[run] = min(low, start_ns), max(high, end_ns)
    for run, hull in by_run.items():
        _replace(db, camera, [run[0]], _without(db, camera, run, hull))


def rebuild(db: sqlite3.Connection, camera: int) -> None:
    """Make the runs of a camera from its segments."""
    db.execute("DELETE FROM run WHERE camera = ?", (camera,))
    spans = db.execute(
        "SELECT start_ns, end_ns FROM segment WHERE camera = ? AND deleting = 0 ORDER BY start_ns", (camera,)
    )
    _replace(db, camera, [], merge(spans, JOIN_NS))


def spans(db: sqlite3.Connection, camera: int, start_ns: int, end_ns: int, join_ns: int) -> list[Span]:
    """As `exact_spans`, for a `join_ns` of JOIN_NS and more, and the same to the nanosecond."""
    found: list[Span] = db.execute(
        "SELECT start_ns, end_ns FROM run WHERE camera = ?1 AND start_ns < ?3 AND end_ns > ?2"
        " AND start_ns >= ifnull((SELECT max(start_ns) FROM run WHERE camera = ?1 AND start_ns <= ?2), ?2)"
        " ORDER BY start_ns",
        (camera, start_ns, end_ns),
    ).fetchall()
    if found and found[0][0] < start_ns:  # it begins with the first segment that is in the range
        first = _first_start(db, camera, found[0], start_ns, end_ns)
        found[0:1] = [(first, found[0][1])] if first is not None else []
    if found and found[-1][1] > end_ns:  # and ends with the last
        last = _last_end(db, camera, found[-1], start_ns, end_ns)
        found[-1:] = [(found[-1][0], last)] if last is not None else []
    return merge(found, join_ns)


def exact_spans(db: sqlite3.Connection, camera: int, start_ns: int, end_ns: int, join_ns: int) -> list[Span]:
    """Runs of the segments that share time with the range, whole; holes up to `join_ns` are closed."""
    rows = db.execute(
        "SELECT start_ns, end_ns FROM segment WHERE camera = ?1 AND start_ns < ?3 AND end_ns > ?2 AND deleting = 0"
        " AND start_ns > ?2 - (SELECT longest_ns FROM camera WHERE key = ?1) ORDER BY start_ns",
        (camera, start_ns, end_ns),
    )
    return merge(rows, join_ns)


def merge(spans: Iterable[Span], join_ns: int) -> list[Span]:
    """Spans in order of their start, those that overlap or are at most `join_ns` apart as one."""
    merged: list[Span] = []
    begin: int | None = None
    end = 0
    for first, last in spans:
        if begin is None:
            begin, end = first, last
        elif first - join_ns > end:
            merged.append((begin, end))
            begin, end = first, last
        elif last > end:
            end = last
    if begin is not None:
        merged.append((begin, end))
    return merged


def _without(db: sqlite3.Connection, camera: int, run: Span, hull: Span) -> list[Span]:
    """What is left of a run, when the segments that are gone lie within `hull`.

    Queries here have one lower bound of the start: SQLite seeks to one, and would walk to the other.

    Before and behind the hull nothing changed, so the run there is as it was.
    """
    low, high = hull
    left = db.execute(
        "SELECT max(end_ns) FROM segment WHERE camera = ?1 AND start_ns < ?2 AND deleting = 0"
        " AND start_ns >= max(?3, ?2 - ?4 - (SELECT longest_ns FROM camera WHERE key = ?1))",
        (camera, low, run[0], JOIN_NS),
    ).fetchone()[0]
    if left is not None and left >= high:  # another recording covers the hull
        return [run]
    parts: list[Span] = []
    begin, end = (run[0], left) if left is not None else (None, 0)
    for first, last in db.execute(
        "SELECT start_ns, end_ns FROM segment WHERE camera = ? AND start_ns >= ? AND start_ns <= ? AND deleting = 0"
        " ORDER BY start_ns",
        (camera, low, run[1]),
    ):
        if begin is not None and first - JOIN_NS > end:
            parts.append((begin, end))
            begin = None
        if begin is None:
            begin, end = first, last
        end = max(end, last)
        if end >= high:  # from here on each segment reaches the next, as before
            end = run[1]
            break
    if begin is not None:
        parts.append((begin, end))
    return parts


def _first_start(db: sqlite3.Connection, camera: int, run: Span, start_ns: int, end_ns: int) -> int | None:
    row = db.execute(
        "SELECT start_ns FROM segment WHERE camera = ?1 AND start_ns < min(?3, ?5 + 1)"
        " AND start_ns >= max(?4, ?2 + 1 - (SELECT longest_ns FROM camera WHERE key = ?1))"
        " AND end_ns > ?2 AND deleting = 0 ORDER BY start_ns LIMIT 1",
        (camera, start_ns, end_ns, *run),
    ).fetchone()
    return int(row[0]) if row is not None else None


def _last_end(db: sqlite3.Connection, camera: int, run: Span, start_ns: int, end_ns: int) -> int | None:
    last = db.execute(
        "SELECT max(end_ns) FROM segment WHERE camera = ?1 AND start_ns < ?3 AND deleting = 0"
        " AND start_ns >= max(?2, ?3 - ?4 - (SELECT longest_ns FROM camera WHERE key = ?1)) AND end_ns > ?5",
        (camera, run[0], end_ns, JOIN_NS, start_ns),
    ).fetchone()[0]
    return int(last) if last is not None else None


def _replace(db: sqlite3.Connection, camera: int, old: Sequence[int], new: Sequence[Span]) -> None:
    if old:
        db.executemany(
            "DELETE FROM run WHERE camera = ? AND start_ns = ?", [(camera, start) for start in old]
        )
    db.executemany("INSERT INTO run VALUES (?, ?, ?)", [(camera, start, end) for start, end in new])
