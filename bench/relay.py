"""A hub's media in another process: the latency that the relay adds, and what both sides pay for it.

    scripts/bench relay [--streams 1 20] [--seconds 20] [--json]

One process has cameras of 1080p25 at 4 Mb/s, paced apart, each with one local consumer. Measured three times
in one run: with nobody else; with a process of ours that subscribes to every camera over the Unix socket; and
with an ffmpeg process a camera that receives it over RTSP/TCP and keeps the encoded pictures (``-c copy -f
null``), which is what a consumer costs that is not ours. Delay is from the push into the hub to the consumer,
in the same process or the other one; ffmpeg tells none. CPU is user and system time; that of the source is
what it pays more than with nobody else.
"""

import argparse
import json
import multiprocessing
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench._footage import clip
from bench._processes import machine, usage
from bench._relay_sides import Measured, Setup, camera, run_source, run_subscriber

BITRATE = 4_000_000
SETTLE_S = 2.0
ANSWER_S = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """cpu_source, cpu_consumer: share of a core for one stream; the source's beyond that of a local hub alone,
    whose whole cost, its timers included, stands as the local consumer's."""

    consumer: str
    streams: int
    cpu_source: float
    cpu_consumer: float
    units: int
    delay_p50_ms: float | None = None
    delay_p95_ms: float | None = None
    delay_p99_ms: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench relay", description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, nargs="+", default=(1, 20), help="cameras of each run")
    parser.add_argument("--seconds", type=float, default=20, help="how long each side is measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("bench relay: ffmpeg, the peer, is not installed; run scripts/setup-dev.sh as root")
    console = Console(stderr=True)
    footage = clip(bitrate=BITRATE)
    rows: list[Row] = []
    for streams in options.streams:
        console.print(f"{streams} cameras at {BITRATE / 1e6:.0f} Mb/s; {options.seconds:.0f} s a side …")
        rows += _run(footage, streams, options.seconds)
    result = {
        "bench": "relay",
        "machine": machine(),
        "bitrate": BITRATE,
        "seconds": options.seconds,
        "rows": [asdict(row) for row in rows],
        "ratio_cpu_to_ffmpeg": _ratios(rows),
    }
    _print(rows, result)
    if options.json:
        print(json.dumps(result))


def _run(footage: Path, streams: int, seconds: float) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="vms-bench-") as folder:
        setup = Setup(footage, streams, Path(folder) / "media-0.rtsp", _free_port())
        with _process(run_source, setup) as source:
            local = _measure(source, seconds)
            with _process(run_subscriber, setup) as subscriber:
                relayed, received = _measure_both(source, subscriber, seconds)
            with _players(setup) as pids:
                before = usage(pids).cpu_s
                served = _measure(source, seconds)
                players_s = usage(pids).cpu_s - before
    alone = local.cpu_s / local.wall_s

    def share(cpu_s: float, wall_s: float, base: float = 0.0) -> float:
        return (cpu_s / wall_s - base) / streams

    return [
        Row("local hub", streams, 0.0, share(local.cpu_s, local.wall_s), *_delays(local)),
        Row(
            "relay",
            streams,
            share(relayed.cpu_s, relayed.wall_s, alone),
            share(received.cpu_s, received.wall_s),
            *_delays(received),
        ),
        Row(
            "ffmpeg",
            streams,
            share(served.cpu_s, served.wall_s, alone),
            share(players_s, served.wall_s),
            len(served.delays_ns),
        ),
    ]


def _measure(side: Connection, seconds: float) -> Measured:
    time.sleep(SETTLE_S)
    side.send("measure")
    time.sleep(seconds)
    side.send("stop")
    return _answer(side)


def _measure_both(source: Connection, subscriber: Connection, seconds: float) -> tuple[Measured, Measured]:
    time.sleep(SETTLE_S)
    for side in (source, subscriber):
        side.send("measure")
    time.sleep(seconds)
    for side in (source, subscriber):
        side.send("stop")
    return _answer(source), _answer(subscriber)


def _answer(side: Connection) -> Measured:
    if not side.poll(ANSWER_S):
        sys.exit("bench relay: a process does not answer; its message is above")
    measured = side.recv()
    assert isinstance(measured, Measured)
    return measured


@contextmanager
def _process(target: Callable[[Connection, Setup], None], setup: Setup) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, setup), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(ANSWER_S) or ours.recv() != "ready":
            sys.exit("bench relay: a process did not start; its message is above")
        yield ours
        ours.send("end")
        process.join(ANSWER_S)
    finally:
        process.kill()


@contextmanager
def _players(setup: Setup) -> Iterator[list[int]]:
    urls = [f"rtsp://127.0.0.1:{setup.port}/{camera(number)}" for number in range(setup.streams)]
    read = ["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i"]
    processes = [subprocess.Popen([*read, url, "-c", "copy", "-f", "null", "-"]) for url in urls]
    try:
        time.sleep(SETTLE_S)  # they look at the streams for a while before they copy them
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _delays(measured: Measured) -> tuple[int, float, float, float]:
    ordered = sorted(measured.delays_ns)
    p50, p95, p99 = (ordered[int(share * (len(ordered) - 1))] / 1e6 for share in (0.5, 0.95, 0.99))
    return len(ordered), p50, p95, p99


def _ratios(rows: list[Row]) -> dict[str, float]:
    """Our CPU a stream, both sides, over that with ffmpeg as the consumer."""
    both = {(row.consumer, row.streams): row.cpu_source + row.cpu_consumer for row in rows}
    return {
        str(streams): round(both["relay", streams] / both["ffmpeg", streams], 3)
        for streams in sorted({row.streams for row in rows})
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _print(rows: list[Row], result: dict[str, object]) -> None:
    table = Table(title=f"consumers of a hub, {result['machine']}")
    for column in ("consumer", "streams", "source, % a stream", "consumer, % a stream", "p50 ms", "p95 ms"):
        table.add_column(column, justify="left" if column == "consumer" else "right")
    table.add_column("p99 ms", justify="right")
    for row in rows:
        delays = [
            "–" if delay is None else f"{delay:.3f}"
            for delay in (row.delay_p50_ms, row.delay_p95_ms, row.delay_p99_ms)
        ]
        table.add_row(
            row.consumer, str(row.streams), f"{row.cpu_source:.3%}", f"{row.cpu_consumer:.3%}", *delays
        )
    Console().print(table)


if __name__ == "__main__":
    main()
