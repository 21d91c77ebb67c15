"""Sending one stream to many viewers by protocols other than WebRTC, beside each one's natural peer.

    scripts/bench fanout_protocols [--protocols rtsp] [--viewers 50 200] [--rates 600k] [--json]

RTSP over TCP: our server for players beside GStreamer's, one shared pipeline. The same pictures, 25 a
second, and the same players, in a process of their own that reads all and looks for whole pictures. Players
join one after the other. What the figures mean, and that on loopback the sender pays for the receiving half
too: bench fanout.
"""

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict

from rich.console import Console

from bench._fanout_measure import Row, loads, measure, print_rows, rate
from bench._fanout_pictures import Load
from bench._fanout_rtsp import GStreamerRtsp, OurRtsp, gstreamer_available, run_players
from bench._processes import machine

PEERS = {"rtsp": "gstreamer"}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench fanout_protocols", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--protocols", nargs="+", choices=PEERS, default=tuple(PEERS))
    parser.add_argument("--viewers", type=int, nargs="+", default=(50, 200))
    parser.add_argument("--rates", type=rate, nargs="+", default=(600_000, 2_000_000), help="such as 600k")
    parser.add_argument("--seconds", type=float, default=8.0, help="to measure, a run")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to end"))  # and end all it began
    console = Console(stderr=True)
    result: dict[str, object] = {
        "bench": "fanout_protocols",
        "machine": machine(),
        "load_average": os.getloadavg()[0],
    }
    for protocol in options.protocols:
        rows: list[Row] = []
        for load in loads(options.viewers, options.rates):
            rows += _rtsp(console, load, options.seconds)
        ratios = _ratios(rows, PEERS[protocol])
        print_rows(f"{protocol} fan-out", rows)
        result[protocol] = {
            "rows": [asdict(row) for row in rows],
            f"ratios_to_{PEERS[protocol]}": ratios,
            f"ratio_to_{PEERS[protocol]}": max(ratios.values(), default=None),
        }
        Console().print(f"our CPU a viewer over that of {PEERS[protocol]}: {ratios or 'not run'}")
    if options.json:
        print(json.dumps(result))


def _rtsp(console: Console, load: Load, seconds: float) -> list[Row]:
    rows: list[Row | None] = []
    console.print(f"rtsp, vms: {load.viewers} viewers, {load.frame_bytes} bytes a picture …")
    with OurRtsp(load) as ours:
        rows.append(measure(console, "vms", ours, load, seconds, run_players, ours.url))
    if gstreamer_available():
        console.print(f"rtsp, gstreamer: {load.viewers} viewers, {load.frame_bytes} bytes a picture …")
        with GStreamerRtsp(load) as peer:
            rows.append(measure(console, "gstreamer", peer, load, seconds, run_players, peer.url))
    else:
        console.print(
            "GStreamer's RTSP server is not installed (scripts/setup-dev.sh): its rows are left out"
        )
    return [row for row in rows if row is not None]


def _ratios(rows: list[Row], peer: str) -> dict[str, float]:
    """Our CPU a viewer over the peer's, by load."""
    peers = {(row.viewers, row.frame_bytes): row for row in rows if row.side == peer}
    return {
        f"{row.viewers}x{row.frame_bytes}": round(row.cpu_per_viewer / other.cpu_per_viewer, 3)
        for row in rows
        if row.side == "vms" and (other := peers.get((row.viewers, row.frame_bytes))) is not None
    }


if __name__ == "__main__":
    main()
