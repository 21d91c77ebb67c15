"""Recording N paced cameras: us, and one `ffmpeg -c copy -f segment` process a camera, in one run.

    scripts/bench ingest [--cameras 40] [--seconds 30] [--media N | --single-process] [--json]

The cameras are virtual ones in a process of their own, which send each picture's packets spread over time
as real cameras do. Both sides pull the same cameras over RTSP/TCP and record to the same disk, one after
the other. CPU is user and system time of every process of a side, ours counting the launcher and all that
descends from it; `ratio_cpu_media` is of the media processes alone, which do what ffmpeg does. Memory is
counted proportionally (PSS: pages shared by several processes count once) and, for those who look at `top`,
as the sum of RSS.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench._footage import bytes_per_second, clip
from bench._processes import Cost, machine, measure
from bench._system import FfmpegRecorders, System, VirtualCameras

BITRATE = 4_000_000


@dataclass(frozen=True, slots=True)
class Side:
    """cpu: CPU seconds per camera-second; bytes_share: recorded bytes over bytes sent by the cameras.

    media_cpu, media_pss_mib: of the media processes alone.
    """

    cpu: float
    pss_mib: float
    rss_mib: float
    bytes_share: float
    loop_lag_p99_ms: float | None = None
    media_cpu: float | None = None
    media_pss_mib: float | None = None
    processes: int = 1


def main() -> None:
    options = _options()
    if shutil.which("ffmpeg") is None:
        sys.exit("bench ingest: ffmpeg, the peer, is not installed; run scripts/setup-dev.sh as root")
    console = Console(stderr=True)
    footage = clip(bitrate=BITRATE)
    with (
        tempfile.TemporaryDirectory(prefix="vms-bench-") as folder,
        VirtualCameras(footage, options.cameras) as cameras,
    ):
        console.print(
            f"{options.cameras} cameras at {BITRATE / 1e6:.0f} Mb/s; {options.seconds:.0f} s a side …"
        )
        sent = options.cameras * bytes_per_second(footage)
        ours = _ours(cameras.urls, Path(folder) / "ours", sent, options)
        peer = _ffmpeg(cameras.urls, Path(folder) / "ffmpeg", sent, options.seconds)
    result = {
        "bench": "ingest",
        "machine": machine(),
        "cameras": options.cameras,
        "bitrate": BITRATE,
        "seconds": options.seconds,
        "single_process": options.single_process,
        "ours": asdict(ours),
        "ffmpeg": asdict(peer),
        "ratio_cpu": round(ours.cpu / peer.cpu, 3),
        "ratio_cpu_media": _ratio(ours.media_cpu, peer.cpu),
        "ratio_memory_pss": round(ours.pss_mib / peer.pss_mib, 3),
        "ratio_memory_pss_media": _ratio(ours.media_pss_mib, peer.pss_mib),
        "ratio_memory_rss": round(ours.rss_mib / peer.rss_mib, 3),
    }
    _print(result, ours, peer)
    if options.json:
        print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench ingest", description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=30.0)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--media", type=int, help="media processes; as many as suit the machine by default")
    how.add_argument("--single-process", action="store_true", help="our side in one process")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def _ours(urls: Sequence[str], folder: Path, sent: float, options: argparse.Namespace) -> Side:
    with System(folder, urls, media=options.media, single_process=options.single_process) as system:
        system.wait_recording()
        members = system.members()
        groups = {
            "all": [member.pid for member in members],
            "media": [member.pid for member in members if member.role == "media"],
        }
        costs, share = _measure(groups, system, sent, options.seconds)
        media = costs["media"] if groups["media"] else None
        return Side(
            costs["all"].cpu / len(urls),
            costs["all"].pss_mib,
            costs["all"].rss_mib,
            share,
            loop_lag_p99_ms=system.metrics().loop_lag_p99_ms(),
            media_cpu=media.cpu / len(urls) if media else None,
            media_pss_mib=media.pss_mib if media else None,
            processes=len(members),
        )


def _ffmpeg(urls: Sequence[str], folder: Path, sent: float, seconds: float) -> Side:
    with FfmpegRecorders(folder, urls) as recorders:
        recorders.wait_recording()
        costs, share = _measure({"all": recorders.pids}, recorders, sent, seconds)
        cost = costs["all"]
        return Side(cost.cpu / len(urls), cost.pss_mib, cost.rss_mib, share, processes=len(urls))


def _measure(
    groups: Mapping[str, Sequence[int]], side: System | FfmpegRecorders, sent: float, seconds: float
) -> tuple[dict[str, Cost], float]:
    """What the groups cost, and recorded bytes over sent ones; `sent`: a second."""
    bytes_before, began = side.recorded_bytes(), time.monotonic()
    costs = measure(groups, seconds)
    return costs, (side.recorded_bytes() - bytes_before) / (sent * (time.monotonic() - began))


def _ratio(ours: float | None, peer: float) -> float | None:
    return None if ours is None else round(ours / peer, 3)


def _print(result: dict[str, Any], ours: Side, peer: Side) -> None:
    table = Table(title=f"{result['cameras']} cameras recorded, {result['machine']}")
    for column in ("", f"ours, {ours.processes} processes", "ffmpeg, one a camera", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("CPU, % of a core a camera", f"{ours.cpu:.3%}", f"{peer.cpu:.3%}", str(result["ratio_cpu"]))
    if ours.media_cpu is not None:
        table.add_row("  media processes alone", f"{ours.media_cpu:.3%}", "", str(result["ratio_cpu_media"]))
    for name, key in (("memory, MiB (PSS)", "pss"), ("memory, MiB (sum of RSS)", "rss")):
        mine, theirs = getattr(ours, f"{key}_mib"), getattr(peer, f"{key}_mib")
        table.add_row(name, f"{mine:.0f}", f"{theirs:.0f}", str(result[f"ratio_memory_{key}"]))
    table.add_row("recorded bytes over sent", f"{ours.bytes_share:.3f}", f"{peer.bytes_share:.3f}", "")
    table.add_row("event loop lag p99, ms", f"{ours.loop_lag_p99_ms or 0:.2f}", "–", "")
    Console().print(table)


if __name__ == "__main__":
    main()
