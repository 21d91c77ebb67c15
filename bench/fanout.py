"""Sending one stream to many WebRTC viewers: us, and aiortc, in one run.

    scripts/bench fanout [--frames 100] [--json]

A side is one process that sends synthetic pictures of one slice, already encoded, 25 a second; its viewers
are in another process and complete real ICE, DTLS and SRTP set-up before anything is measured. CPU is user
and system time of the sending process alone, from the first picture to the last, feedback, reports and
consent included. On loopback the kernel runs the receiving half of the network stack inside the sender's
system calls, so the figures hold that too, for both sides. aiortc is given the same encoded pictures and
packs them itself. The delay is from the hub's push to the last viewer's send.
"""

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from bench._fanout_sides import Cost, Load, run_aiortc, run_ours, run_viewers
from bench._processes import machine
from vms.wire.webrtc.addresses import interface_addresses

OURS, AIORTC = (1, 150, 1000), (1, 20)
FRAME_BYTES = (2_500, 10_000)
FPS = 25.0
MOST_FRAMES_PER_SECOND = 26_000  # to all viewers: what one core can be given in pictures of 2.5 kB
RUN_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Row:
    """us_per_frame: CPU of the sender a picture sent to a viewer. cpu_share: of one core. sent: share of
    the pictures; below 1 the machine was too busy and pictures were skipped. delivered: of the RTP packets
    between a viewer's first and last, how many it took from its socket."""

    side: str
    viewers: int
    frame_bytes: int
    fps: float
    us_per_frame: float
    cpu_share: float
    sent: float
    delivered: float
    delay_p50_ms: float | None = None
    delay_p95_ms: float | None = None
    delay_p99_ms: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench fanout", description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100, help="pictures a run")
    parser.add_argument("--viewers", type=int, nargs="+", default=OURS, help="viewers of our runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    console = Console(stderr=True)
    rows: list[Row] = []
    sides: list[tuple[str, Callable[..., None], tuple[int, ...]]] = [
        ("vms", run_ours, tuple(options.viewers)),
        ("aiortc", run_aiortc, AIORTC),
    ]
    for side, target, counts in sides:
        for viewers in counts:
            for frame_bytes in FRAME_BYTES:
                load = _load(viewers, frame_bytes, options.frames)
                console.print(f"{side}: {viewers} viewers, {frame_bytes} bytes, {load.fps:.0f} a second …")
                rows.append(_run(side, target, load))
    result = {
        "bench": "fanout",
        "machine": machine(),
        "rows": [asdict(row) for row in rows],
        "ratio_to_aiortc": _ratios(rows),
    }
    _print(rows, result)
    if options.json:
        print(json.dumps(result))


def _load(viewers: int, frame_bytes: int, frames: int) -> Load:
    """25 pictures a second where one core can send them, else as many as it can."""
    fps = min(FPS, MOST_FRAMES_PER_SECOND * FRAME_BYTES[0] / frame_bytes / viewers)
    return Load(viewers, frame_bytes, fps, min(frames, round(frames * fps / FPS)))


def _run(side: str, target: Callable[..., None], load: Load) -> Row:
    context = multiprocessing.get_context("spawn")
    to_viewers, from_side = context.Pipe()
    result, cost_of = context.Pipe()
    sinks = context.Process(target=run_viewers, args=(from_side, _host(), load.viewers))
    sender = context.Process(target=target, args=(cost_of, to_viewers, load))
    sinks.start()
    sender.start()
    try:
        if not result.poll(RUN_TIMEOUT_S):
            sys.exit(f"bench fanout: {side} with {load.viewers} viewers gave no result")
        cost: Cost = result.recv()
        to_viewers.send("stop")
        packets, lost = to_viewers.recv()
    finally:
        for process in (sender, sinks):
            process.join(5)
            process.kill()
    return Row(
        side,
        load.viewers,
        load.frame_bytes,
        load.fps,
        round(cost.cpu_s / cost.frames * 1e6, 2),
        round(cost.cpu_s / cost.wall_s, 3),
        round(cost.frames / load.frames / load.viewers, 4),
        round(packets / (packets + lost), 4) if packets else 0.0,
        *_percentiles(cost.delays_ms),
    )


def _percentiles(delays_ms: list[float]) -> tuple[float, float, float] | tuple[None, None, None]:
    if len(delays_ms) < 2:
        return None, None, None
    cuts = quantiles(delays_ms, n=100, method="inclusive")
    return round(cuts[49], 3), round(cuts[94], 3), round(cuts[98], 3)


def _ratios(rows: list[Row]) -> dict[str, float]:
    """Our cost a picture over aiortc's for pictures of the same size: one viewer beside one, many beside
    its twenty."""
    peers = {(row.viewers, row.frame_bytes): row.us_per_frame for row in rows if row.side == "aiortc"}
    return {
        f"{row.viewers}x{row.frame_bytes}": round(
            row.us_per_frame / peers[AIORTC[row.viewers > 1], row.frame_bytes], 3
        )
        for row in rows
        if row.side == "vms"
    }


def _host() -> str:
    """An address that both sides can reach each other on: aiortc offers none on loopback."""
    own = [found.address for found in interface_addresses() if found.address.version == 4]
    return str(next((address for address in own if not address.is_loopback), own[0]))


def _print(rows: list[Row], result: dict[str, Any]) -> None:
    table = Table(title="WebRTC fan-out", caption=result["machine"])
    for column in (
        "",
        "viewers",
        "bytes",
        "fps",
        "µs/frame",
        "core",
        "sent",
        "taken",
        "p50 ms",
        "p95",
        "p99",
    ):
        table.add_column(column, justify="right")
    for row in rows:
        delays = (row.delay_p50_ms, row.delay_p95_ms, row.delay_p99_ms)
        table.add_row(
            row.side,
            str(row.viewers),
            str(row.frame_bytes),
            f"{row.fps:.0f}",
            f"{row.us_per_frame:.1f}",
            f"{row.cpu_share:.3f}",
            f"{row.sent:.1%}",
            f"{row.delivered:.1%}",
            *("" if delay is None else f"{delay:.2f}" for delay in delays),
        )
    console = Console(width=110)  # all columns, also where the output goes to a file
    console.print(table)
    ratios = ", ".join(f"{load} bytes: {ratio}" for load, ratio in result["ratio_to_aiortc"].items())
    console.print(f"our CPU a frame and viewer over aiortc's: {ratios}")


if __name__ == "__main__":
    main()
