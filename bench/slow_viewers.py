"""What slow and dead viewers cost the others: the same viewers watched alone, and beside as many that take nothing.

    scripts/bench slow_viewers [--protocols webrtc websocket rtsp hls] [--viewers 100] [--stuck 100] [--rate 600k] [--json]

Those that take nothing joined like the others; then their process was stopped (SIGSTOP), so their sockets fill, and they
say nothing any more, as on a phone that went out of reach. A server knows that of TCP by itself; by WebRTC it sends to them
until their consent expires, after 15 s, which is beyond this. What is told is of the others alone: the share of pictures that
they got, the delay of each picture's last viewer, and what the server spent in all.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console

from bench._fanout_measure import Row, measure, print_rows, rate
from bench._fanout_pictures import FPS, Joined, Load
from bench._fanout_sides import OwnProcess, run_ours
from bench._fanout_viewers import run_viewers
from bench._processes import machine
from bench.fanout import own_host
from bench.fanout_protocols import BENCHES

PROTOCOLS = ("webrtc", "websocket", "rtsp", "hls")
JOIN_S = 90.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench slow_viewers", description=__doc__.splitlines()[0])
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--viewers", type=int, default=100, help="that are measured")
    parser.add_argument("--stuck", type=int, default=100, help="that take nothing")
    parser.add_argument("--rate", type=rate, default=600_000, help="such as 600k")
    parser.add_argument("--seconds", type=float, default=8.0, help="to measure, a run")
    parser.add_argument("--settle", type=float, default=4.0, help="until sockets of the stuck ones are full")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to end"))  # and end all it began
    load = Load(options.viewers, options.rate // 8 // FPS)
    result: dict[str, object] = {
        "bench": "slow_viewers",
        "machine": machine(),
        "load_average": os.getloadavg()[0],
        "stuck": options.stuck,
    }
    for protocol in options.protocols:
        rows = [_run(protocol, load, stuck, options) for stuck in (0, options.stuck)]
        found = [row for row in rows if row is not None]
        print_rows(f"{protocol}: alone, and beside {options.stuck} that take nothing", found)
        result[protocol] = _compared(found)
    if options.json:
        print(json.dumps(result))


def _run(protocol: str, load: Load, stuck: int, options: argparse.Namespace) -> Row | None:
    console, seconds, settle_s = Console(stderr=True), options.seconds, options.settle
    name = f"{protocol}, {stuck} stuck" if stuck else protocol
    console.print(f"{name}: {load.viewers} viewers …")
    if protocol == "webrtc":
        with OwnProcess(run_ours, load) as own:
            players = (run_viewers, own.signalling, own_host())
            with _stopped(stuck, *players):
                return measure(console, name, own, load, seconds, *players, settle_s=settle_s)
    bench = BENCHES[protocol]
    with bench.ours(load) as side, _stopped(stuck, bench.players, side.url):
        arguments = (console, name, side, load, seconds, bench.players, side.url)
        return measure(*arguments, settle_s=settle_s, late_s=bench.late_s)


@contextlib.contextmanager
def _stopped(count: int, run: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """So many viewers that have joined and do nothing from then on."""
    if not count:
        yield
        return
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=run, args=(theirs, *arguments, count))
    process.start()
    theirs.close()
    try:
        joined: Joined | None = None
        while joined is None or not joined.done:
            if not pipe.poll(JOIN_S):
                sys.exit("bench slow_viewers: those that are to be stopped do not join")
            joined = pipe.recv()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        yield
    finally:
        process.kill()
        process.join()


def _compared(rows: list[Row]) -> dict[str, object]:
    """The rows, and how the second one's figures are to the first one's."""
    told: dict[str, object] = {"rows": [asdict(row) for row in rows]}
    if len(rows) == 2:
        alone, beside = rows
        told["delivered"] = (alone.delivered, beside.delivered)
        pairs = {
            "p50": (alone.delay_p50_ms, beside.delay_p50_ms),
            "p95": (alone.delay_p95_ms, beside.delay_p95_ms),
            "p99": (alone.delay_p99_ms, beside.delay_p99_ms),
        }
        told["delay_ratio"] = {
            name: round(after / before, 2) for name, (before, after) in pairs.items() if before and after
        }
    return told


if __name__ == "__main__":
    main()
