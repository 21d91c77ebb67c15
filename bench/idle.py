"""The whole system with few cameras and no viewers, beside `ffmpeg` processes that record the same.

    scripts/bench idle [--cameras 4] [--seconds 20] [--json]

What a small installation pays for being a system: every process counts, the launcher and the message server
too. Three sides record the same virtual cameras, one after the other: `vms serve`, `vms serve
--single-process`, and one `ffmpeg -c copy -f segment` process a camera. CPU is in per cent of a core, good
to one clock tick a process (0.05 with 20 s). RSS counts shared pages in every process, PSS once.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench._footage import clip
from bench._processes import Cost, machine, measure
from bench._system import FfmpegRecorders, Member, System, VirtualCameras


@dataclass(frozen=True, slots=True)
class Line:
    """A process, or all of a side. wakeups: a second, of all its threads."""

    role: str
    worker: str
    cpu_percent: float
    rss_mib: float
    pss_mib: float
    wakeups: float


@dataclass(frozen=True, slots=True)
class Side:
    """total: of all processes, measured together."""

    total: Line
    processes: list[Line]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench idle", description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=10.0, help="seconds before anything is measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("bench idle: ffmpeg, the peer, is not installed; run scripts/setup-dev.sh as root")
    with (
        tempfile.TemporaryDirectory(prefix="vms-bench-") as folder,
        VirtualCameras(clip(), options.cameras) as cameras,
    ):
        sides = {
            "system": _ours(cameras.urls, Path(folder) / "system", options),
            "single_process": _ours(cameras.urls, Path(folder) / "single", options, single_process=True),
            "ffmpeg": _ffmpeg(cameras.urls, Path(folder) / "ffmpeg", options),
        }
    result = {"bench": "idle", "machine": machine(), "cameras": options.cameras, "seconds": options.seconds}
    result |= {name: asdict(side) for name, side in sides.items()} | _ratios(sides)
    _print(sides, result)
    if options.json:
        print(json.dumps(result))


def _ours(
    urls: list[str], folder: Path, options: argparse.Namespace, *, single_process: bool = False
) -> Side:
    Console(stderr=True).print(f"vms serve{' --single-process' if single_process else ''} …")
    with System(folder, urls, single_process=single_process) as system:
        system.wait_recording()
        return _side(system.members(), options)


def _ffmpeg(urls: list[str], folder: Path, options: argparse.Namespace) -> Side:
    Console(stderr=True).print("ffmpeg …")
    with FfmpegRecorders(folder, urls) as recorders:
        recorders.wait_recording()
        return _side(
            [Member("ffmpeg", f"ffmpeg-{number}", pid) for number, pid in enumerate(recorders.pids)], options
        )


def _side(members: list[Member], options: argparse.Namespace) -> Side:
    groups = {member.worker: [member.pid] for member in members}
    measure(groups, options.settle)
    costs = measure(groups | {"": [member.pid for member in members]}, options.seconds)
    lines = [_line(member.role, member.worker, costs[member.worker]) for member in members]
    return Side(_line("", "", costs[""]), sorted(lines, key=lambda line: -line.pss_mib))


def _line(role: str, worker: str, cost: Cost) -> Line:
    memory = round(cost.rss_mib, 1), round(cost.pss_mib, 1)
    return Line(role, worker, round(cost.cpu * 100, 2), *memory, round(cost.wakeups, 1))


def _ratios(sides: dict[str, Side]) -> dict[str, float]:
    """Our sides over ffmpeg's; the names of those of the system in one process end in _single_process."""
    peer = sides["ffmpeg"].total
    return {
        f"ratio_{what}{suffix}": round(getattr(sides[name].total, key) / getattr(peer, key), 3)
        for name, suffix in (("system", ""), ("single_process", "_single_process"))
        for what, key in (("cpu", "cpu_percent"), ("memory_rss", "rss_mib"), ("memory_pss", "pss_mib"))
    }


def _print(sides: dict[str, Side], result: dict[str, Any]) -> None:
    table = Table(title=f"{result['cameras']} cameras recorded, no viewers", caption=result["machine"])
    for column in ("", "CPU, % of a core", "RSS, MiB", "PSS, MiB", "wake-ups a second"):
        table.add_column(column, justify="right" if column else "left")
    names = {"system": "vms serve", "single_process": "vms serve --single-process", "ffmpeg": "ffmpeg"}
    for name, side in sides.items():
        table.add_row(*_cells(replace(side.total, worker=names[name])), style="bold")
        if len(side.processes) > 1:
            for line in side.processes:
                table.add_row(*_cells(replace(line, worker=f"  {line.worker}")))
        table.add_section()
    console = Console(width=110)  # all columns, also where the output goes to a file
    console.print(table)
    console.print(
        f"over ffmpeg's: CPU {result['ratio_cpu']}, RSS {result['ratio_memory_rss']}, "
        f"PSS {result['ratio_memory_pss']}; in one process: CPU {result['ratio_cpu_single_process']}, "
        f"RSS {result['ratio_memory_rss_single_process']}, PSS {result['ratio_memory_pss_single_process']}"
    )


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.worker,
        f"{line.cpu_percent:.2f}",
        f"{line.rss_mib:.1f}",
        f"{line.pss_mib:.1f}",
        f"{line.wakeups:.0f}",
    )


if __name__ == "__main__":
    main()
