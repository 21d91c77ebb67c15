"""Sending one stream to many WebRTC viewers: us, Janus and aiortc, in one run.

    scripts/bench fanout [--viewers 150 500 1000] [--rates 600k 2M] [--seconds 8] [--json]

Each server is a process of its own and sends the same synthetic pictures, already encoded, 25 a second. Its
viewers, the same for all servers, are in another process; each completes real ICE, DTLS and SRTP set-up
while pictures flow. When all have joined, `--seconds` are measured.

CPU is user and system time of the server's process with all its threads. On loopback the kernel runs the
receiving half of the network stack inside the sender's system calls, up to the filter of the viewers'
sockets that drops all but each picture's last packet; so the figures hold that too, for every server.
The delay of a picture is from its push to the arrival of its last packet at the last of all viewers, by
the kernel's clock of arrivals. Viewers and server share the machine's cores, which is part of it.
"""

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console

from bench import _janus
from bench._fanout_measure import Row, loads, measure, print_rows, rate
from bench._fanout_pictures import Load
from bench._fanout_sides import JanusSide, OwnProcess, WebRtcSide, run_ours
from bench._fanout_viewers import run_viewers
from bench._processes import machine
from vms.wire.webrtc.addresses import interface_addresses

AIORTC = (20, 50)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench fanout", description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, nargs="+", default=(150, 500, 1000), help="of us and Janus")
    parser.add_argument("--rates", type=rate, nargs="+", default=(600_000, 2_000_000), help="such as 600k")
    parser.add_argument("--seconds", type=float, default=8.0, help="to measure, a run")
    parser.add_argument("--sides", nargs="+", choices=("vms", "janus", "aiortc"), help="all, if not given")
    parser.add_argument("--janus-loops", type=int, default=2, help="Janus's sending threads; 0: one a viewer")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench fanout: told to end"))  # and end all it began
    console = Console(stderr=True)
    sides = options.sides or ("vms", "janus", "aiortc")
    if "janus" in sides and not _janus.available():
        console.print("janus is not installed (apt install janus): its rows are left out")
        sides = [side for side in sides if side != "janus"]
    rows: list[Row] = []
    for load in loads(options.viewers, options.rates):
        for side in sides:
            if side == "aiortc":
                continue
            rows += _told(console, side, load, options)
    if "aiortc" in sides:
        counts = sorted({min(count, max(options.viewers)) for count in AIORTC})
        for load in loads(counts, options.rates):
            rows += _told(console, "aiortc", load, options)
    result = _result(rows)
    print_rows("WebRTC fan-out", rows)
    for peer in ("janus", "aiortc"):
        ratios = ", ".join(f"{load} bytes: {ratio}" for load, ratio in result[f"ratios_to_{peer}"].items())
        Console().print(f"our CPU a viewer over that of {peer}: {ratios or 'not run'}")
    if options.json:
        print(json.dumps(result))


def _told(console: Console, name: str, load: Load, options: argparse.Namespace) -> list[Row]:
    console.print(f"{name}: {load.viewers} viewers, {load.frame_bytes} bytes a picture …")
    host = own_host()
    side: WebRtcSide
    match name:
        case "janus":
            side = JanusSide(host, load, options.janus_loops)
        case "aiortc":
            from bench._fanout_aiortc import run_aiortc  # here: children import this module, ours too

            side = OwnProcess(run_aiortc, load)
        case _:
            side = OwnProcess(run_ours, load)
    with side:
        row = measure(console, name, side, load, options.seconds, run_viewers, side.signalling, host)
    if row is None:
        console.print("  no viewer got a picture: no row")
    return [] if row is None else [row]


def _result(rows: list[Row]) -> dict[str, Any]:
    """ratio_to_janus: our CPU a viewer over Janus's, the largest of all loads; the loads in ratios_to_janus.
    ratio_to_aiortc likewise, beside the most viewers that aiortc was run with."""
    ours = [row for row in rows if row.side == "vms"]
    janus = {(row.viewers, row.frame_bytes): row for row in rows if row.side == "janus"}
    aiortc = {
        row.frame_bytes: row for row in sorted(rows, key=lambda row: row.viewers) if row.side == "aiortc"
    }
    to_janus = _ratios([(row, janus.get((row.viewers, row.frame_bytes))) for row in ours])
    to_aiortc = _ratios([(row, aiortc.get(row.frame_bytes)) for row in ours])
    return {
        "bench": "fanout",
        "machine": machine(),
        "load_average": os.getloadavg()[0],
        "rows": [asdict(row) for row in rows],
        "ratios_to_aiortc": to_aiortc,
        "ratio_to_aiortc": max(to_aiortc.values(), default=None),
        "ratios_to_janus": to_janus,
        "ratio_to_janus": max(to_janus.values(), default=None),
    }


def _ratios(pairs: list[tuple[Row, Row | None]]) -> dict[str, float]:
    return {
        f"{row.viewers}x{row.frame_bytes}": round(row.cpu_per_viewer / peer.cpu_per_viewer, 3)
        for row, peer in pairs
        if peer is not None
    }


def own_host() -> str:
    """An address that all sides can reach each other on: aiortc and Janus offer none on loopback."""
    own = [found.address for found in interface_addresses() if found.address.version == 4]
    return str(next((address for address in own if not address.is_loopback), own[0]))


if __name__ == "__main__":
    main()
