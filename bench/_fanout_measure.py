"""Measuring one server with its viewers, alike for every server and protocol of the fan-out benches.

Belongs here: before, during and after, the row that comes of it, its table. Does not: servers (sides),
viewers, which loads are run and what is compared (fanout, fanout_protocols).
"""

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from bench._fanout_pictures import FPS, Joined, Load, Seen, cpu_ns
from bench._fanout_servers import Side
from bench._processes import MachineTime, machine, usage

WARM_UP_S, SETTLE_S = 1.0, 2.0
LATE_S = 0.5  # that a picture may take
REPORT_S = 90.0  # longer than players of any protocol try to join


@dataclass(frozen=True, slots=True)
class Row:
    """joined: viewers that were connected within a minute. us_per_picture: CPU of the server a picture that a
    viewer got whole. cpu: of one core. cpu_per_viewer: that of a viewer that gets every picture, in percent of
    a core. delivered: share of pictures that viewers got whole; below 1 the machine was too busy or packets
    were lost. rss_kib: what the server's process grew by from before the first viewer, a viewer. delay: of a
    picture's last viewer. first_picture: from a viewer's request to its first whole key picture.
    answer: from a request for media to its last byte, where media are asked for. machine_busy: share of all cores in
    use by anyone."""

    side: str
    viewers: int
    joined: int
    frame_bytes: int
    us_per_picture: float
    cpu: float
    cpu_per_viewer: float
    delivered: float
    rss_kib: float
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    delay_p99_ms: float | None
    first_picture_p50_ms: float
    first_picture_p95_ms: float
    joins_per_second: float
    machine_busy: float
    srtp_profile: str
    answer_p50_ms: float | None = None
    answer_p95_ms: float | None = None
    answer_p99_ms: float | None = None


def rate(text: str) -> int:
    """Bits a second, as 600k or 2M."""
    scale = {"k": 1_000, "M": 1_000_000}.get(text[-1:])
    return int(float(text[:-1]) * scale) if scale else int(text)


def loads(viewers: Sequence[int], rates: Sequence[int]) -> list[Load]:
    return [Load(count, rate // 8 // FPS) for rate in rates for count in viewers]


def measure(
    console: Console,
    name: str,
    side: Side,
    load: Load,
    seconds: float,
    run: Callable[..., None],
    *arguments: Any,
    settle_s: float = SETTLE_S,
    late_s: float = LATE_S,
) -> Row | None:
    """Join viewers, measure, end; None when no viewer got a picture.

    run: the viewers' process: a pipe, `arguments`, and how many viewers. It says `Joined` until they are done,
    and `Seen` when it is told to stop. settle_s: from then on, before anything
    is measured. late_s: that a picture may take, by the nature of the protocol.
    """
    context = multiprocessing.get_context("spawn")
    joined: Joined
    pipe, theirs = context.Pipe()
    viewers = context.Process(target=run, args=(theirs, *arguments, load.viewers))
    time.sleep(min(WARM_UP_S, settle_s))
    before = usage([side.pid])
    viewers.start()
    theirs.close()
    try:
        while not (joined := _receive(pipe, REPORT_S)).done:
            console.print(f"  {joined.viewers} have joined after {joined.seconds:.0f} s")
        time.sleep(settle_s)
        busy, began_ns, cpu = MachineTime.now(), time.time_ns(), cpu_ns(side.pid)
        time.sleep(seconds)
        cpu_s, wall_ns = (cpu_ns(side.pid) - cpu) / 1e9, time.time_ns() - began_ns
        machine_busy = MachineTime.now().busy_since(busy)
        grown_bytes = usage([side.pid]).rss_bytes - before.rss_bytes
        time.sleep(late_s)
        pipe.send("stop")
        seen: Seen = _receive(pipe, REPORT_S)
        pushed_ns = side.stop()
        pipe.send("end")
    finally:
        viewers.join(1)
        viewers.kill()
    spent = _Spent(cpu_s, wall_ns, began_ns, grown_bytes, machine_busy)
    return _row(name, load, joined, seen, pushed_ns, spent)


@dataclass(frozen=True, slots=True)
class _Spent:
    """Of the server, while it was measured: from began_ns on, for wall_ns. grown_bytes: since before the
    first viewer."""

    cpu_s: float
    wall_ns: int
    began_ns: int
    grown_bytes: int
    machine_busy: float


def _row(
    name: str, load: Load, joined: Joined, seen: Seen, pushed_ns: Sequence[int], spent: _Spent
) -> Row | None:
    if seen.mismatches:
        sys.exit(
            f"bench fanout: {name}: {seen.mismatches} pictures of {seen.decrypted} have wrong timestamps"
        )
    numbers = [at for at, when in enumerate(pushed_ns) if 0 <= when - spent.began_ns < spent.wall_ns]
    whole = sum(seen.counts.get(number, 0) for number in numbers)
    if not whole:
        return None
    delays_ms = [
        (seen.last_ns[number] - pushed_ns[number]) / 1e6 for number in numbers if number in seen.last_ns
    ]
    answers_ms = [ms for asked_ns, ms in seen.answers_ms if 0 <= asked_ns - spent.began_ns < spent.wall_ns]
    us_per_picture = spent.cpu_s / whole * 1e6
    percentiles, answers = _percentiles(delays_ms), _percentiles(answers_ms)
    return Row(
        side=name,
        viewers=load.viewers,
        joined=joined.viewers,
        frame_bytes=load.frame_bytes,
        us_per_picture=round(us_per_picture, 2),
        cpu=round(spent.cpu_s / spent.wall_ns * 1e9, 4),
        cpu_per_viewer=round(us_per_picture * FPS / 1e6 * 100, 5),
        delivered=round(whole / len(numbers) / joined.viewers, 4),
        rss_kib=round(spent.grown_bytes / 1024 / joined.viewers, 1),
        delay_p50_ms=percentiles[0],
        delay_p95_ms=percentiles[1],
        delay_p99_ms=percentiles[2],
        first_picture_p50_ms=round(median(seen.first_picture_ms), 1),
        first_picture_p95_ms=round(quantiles([*seen.first_picture_ms] * 2, n=20, method="inclusive")[18], 1),
        joins_per_second=round(joined.viewers / joined.seconds, 1),
        machine_busy=round(spent.machine_busy, 3),
        srtp_profile=seen.profile,
        answer_p50_ms=answers[0],
        answer_p95_ms=answers[1],
        answer_p99_ms=answers[2],
    )


def _receive(pipe: Any, timeout_s: float) -> Any:
    if not pipe.poll(timeout_s):
        sys.exit("bench fanout: the viewers' process does not answer")
    try:
        return pipe.recv()
    except EOFError:
        sys.exit("bench fanout: the viewers' process ended; its message is above")


def _percentiles(delays_ms: list[float]) -> tuple[float, float, float] | tuple[None, None, None]:
    if len(delays_ms) < 2:
        return None, None, None
    cuts = quantiles(delays_ms, n=100, method="inclusive")
    return round(cuts[49], 3), round(cuts[94], 3), round(cuts[98], 3)


def print_rows(title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, caption=machine())
    columns = ("", "viewers", "joined", "bytes", "µs/pict.", "core", "got", "RSS KiB")
    for column in (
        *columns,
        "delay p50",
        "p95",
        "p99 ms",
        "first p50",
        "p95 ms",
        "answer p50",
        "p99 ms",
        "joins/s",
        "busy",
    ):
        table.add_column(column, justify="right")
    for row in rows:
        delays = (row.delay_p50_ms, row.delay_p95_ms, row.delay_p99_ms)
        answers = (row.answer_p50_ms, row.answer_p99_ms)
        table.add_row(
            row.side,
            str(row.viewers),
            str(row.joined),
            str(row.frame_bytes),
            f"{row.us_per_picture:.1f}",
            f"{row.cpu:.3f}",
            f"{row.delivered:.1%}",
            f"{row.rss_kib:.0f}",
            *("" if delay is None else f"{delay:.1f}" for delay in delays),
            f"{row.first_picture_p50_ms:.0f}",
            f"{row.first_picture_p95_ms:.0f}",
            *("" if answer is None else f"{answer:.1f}" for answer in answers),
            f"{row.joins_per_second:.0f}",
            f"{row.machine_busy:.0%}",
        )
    console = Console(width=170)  # all columns, also where the output goes to a file
    console.print(table)
