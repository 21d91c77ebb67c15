"""Sending one stream to many viewers by protocols other than WebRTC, each beside its natural peer.

    scripts/bench fanout_protocols [--protocols rtsp websocket hls hls_parts] [--viewers 150 500] [--rates 600k] [--json]

    rtsp       over TCP: our server for players, beside GStreamer's with one shared pipeline
    websocket  a fragment of MP4 a picture, beside the package ws on Node, which is given the same messages
    hls        segments of 2 s, beside nginx with the files that ffmpeg writes; what ffmpeg costs is told, not counted
    hls_parts  low-latency HLS, a request for each playlist and part; no peer: ffmpeg writes none

The same pictures, 25 a second, and the same players, in a process of their own that reads all and looks for whole
pictures. What the figures mean, and that on loopback the sender pays for the receiving half too: bench fanout.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

from rich.console import Console

from bench._fanout_hls import NginxHls, OurHls, nginx_available
from bench._fanout_hls_players import HlsPlayer, PartsPlayer, run_hls_players
from bench._fanout_measure import LATE_S, SETTLE_S, Row, loads, measure, print_rows, rate
from bench._fanout_pictures import Load
from bench._fanout_players import run_players
from bench._fanout_rtsp import GStreamerRtsp, OurRtsp, RtspPlayer, gstreamer_available
from bench._fanout_servers import Side
from bench._fanout_websocket import NodeWebSocket, OurWebSocket, WebSocketPlayer, node_websocket_available
from bench._processes import machine

SEGMENTS_LATE_S, PARTS_LATE_S = 5.0, 1.5


class UrlSide(Side, Protocol):
    url: str


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    make: Callable[[Load], UrlSide]
    available: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Bench:
    """A protocol: our server, its peer, the players' process. late_s: that a picture may take to reach them all."""

    ours: Callable[[Load], UrlSide]
    players: Callable[..., None]
    peer: Peer | None
    late_s: float = LATE_S


BENCHES = {
    "rtsp": Bench(
        OurRtsp,
        partial(run_players, RtspPlayer),
        Peer("gstreamer", GStreamerRtsp, gstreamer_available),
    ),
    "websocket": Bench(
        OurWebSocket,
        partial(run_players, WebSocketPlayer),
        Peer("ws", NodeWebSocket, node_websocket_available),
    ),
    "hls": Bench(
        OurHls,
        partial(run_hls_players, HlsPlayer),
        Peer("nginx", NginxHls, nginx_available),
        SEGMENTS_LATE_S,
    ),
    "hls_parts": Bench(OurHls, partial(run_hls_players, PartsPlayer), None, PARTS_LATE_S),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench fanout_protocols", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--protocols", nargs="+", choices=BENCHES, default=tuple(BENCHES))
    parser.add_argument("--viewers", type=int, nargs="+", default=(150, 500))
    parser.add_argument("--rates", type=rate, nargs="+", default=(600_000, 2_000_000), help="such as 600k")
    parser.add_argument("--seconds", type=float, default=8.0, help="to measure, a run")
    parser.add_argument("--settle", type=float, default=SETTLE_S, help="seconds before anything is measured")
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
        result[protocol] = _run(console, protocol, options)
    if options.json:
        print(json.dumps(result))


def _run(console: Console, protocol: str, options: argparse.Namespace) -> dict[str, object]:
    """Every load, ours and its peer one after the other."""
    bench = BENCHES[protocol]
    sides = {"vms": bench.ours}
    if bench.peer is not None and bench.peer.available():
        sides[bench.peer.name] = bench.peer.make
    elif bench.peer is not None:
        console.print(f"{bench.peer.name} is not installed (scripts/setup-dev.sh): its rows are left out")
    rows: list[Row] = []
    packagers: dict[str, float] = {}
    for load in loads(options.viewers, options.rates):
        for name, make in sides.items():
            console.print(f"{protocol}, {name}: {load.viewers} viewers, {load.frame_bytes} bytes a picture …")
            with make(load) as side:
                arguments = (console, name, side, load, options.seconds, bench.players, side.url)
                row = measure(*arguments, settle_s=options.settle, late_s=bench.late_s)
            rows += [] if row is None else [row]
            if isinstance(side, NginxHls):
                packagers[f"{load.viewers}x{load.frame_bytes}"] = side.packager_cpu
    print_rows(f"{protocol} fan-out", rows)
    told: dict[str, object] = {"rows": [asdict(row) for row in rows]}
    if packagers:
        told["packager_cpu"] = packagers
        told["ratios_to_nginx_and_ffmpeg"] = both = _ratios(rows, "nginx", packagers)
        Console().print(f"ffmpeg, which writes nginx's files, of a core: {packagers}")
        Console().print(f"our CPU over that of nginx and ffmpeg together: {both}")
    if bench.peer is not None:
        ratios = _ratios(rows, bench.peer.name)
        told[f"ratios_to_{bench.peer.name}"] = ratios
        told[f"ratio_to_{bench.peer.name}"] = max(ratios.values(), default=None)
        Console().print(f"our CPU a viewer over that of {bench.peer.name}: {ratios or 'not run'}")
    return told


def _ratios(
    rows: list[Row], peer: str, besides: Mapping[str, float] = MappingProxyType({})
) -> dict[str, float]:
    """Our CPU a viewer over the peer's, by load. besides: of a core, what counts as the peer's too."""
    peers = {_load(row): row for row in rows if row.side == peer}
    ratios = {}
    for row in rows:
        if row.side == "vms" and (other := peers.get(_load(row))) is not None:
            more = 1 + besides.get(_load(row), 0.0) / other.cpu
            ratios[_load(row)] = round(row.cpu_per_viewer / (other.cpu_per_viewer * more), 3)
    return ratios


def _load(row: Row) -> str:
    return f"{row.viewers}x{row.frame_bytes}"


if __name__ == "__main__":
    main()
