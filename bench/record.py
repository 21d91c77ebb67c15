"""Writing recordings: ours in four variants, ffmpeg's segment muxer, and a plain copy of the same bytes, in one run.

    scripts/bench record [--cameras 40] [--seconds 30] [--rounds 3] [--folder DIR] [--json]

Ours: plain; with digests and a signature a file; encrypted; both. Every side writes the footage of N cameras of 4 Mb/s
to the same disk as fast as it goes, and its files are on the disk (fsync) when its time ends. ffmpeg copies the same
pictures (`-c copy -f segment -segment_time 300`) in one process, which spares it a start a camera; it makes fragmented
MP4 as well. The plain copy is `cat` of our plain recordings. The sides take turns, `rounds` times; the median counts.

CPU is user and system time of the side's process. A camera's share of a core is that over the seconds of its footage:
in a tight loop, so less than what a paced camera costs (`scripts/bench ingest`). What a variant costs is its CPU over
that of ours without it.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench._footage import clip
from bench._processes import machine

CLIP_S = 10
VARIANTS = {
    "plain": [],
    "signed": ["--signed"],
    "encrypted": ["--sealed"],
    "signed, encrypted": ["--signed", "--sealed"],
}


@dataclass(frozen=True, slots=True)
class Side:
    """mb_per_s: megabytes of footage a second of time. cpu: CPU seconds per camera-second."""

    mb_per_s: float
    cpu: float


def main() -> None:
    options = _options()
    if shutil.which("ffmpeg") is None:
        sys.exit("bench record: ffmpeg, the peer, is not installed; run scripts/setup-dev.sh as root")
    console = Console(stderr=True)
    clip()
    rounds: dict[str, list[Side]] = {}
    for number in range(options.rounds):
        console.print(f"round {number + 1} of {options.rounds} …")
        with tempfile.TemporaryDirectory(prefix="vms-bench-", dir=options.folder) as folder:
            for name, side in _round(Path(folder), options).items():
                rounds.setdefault(name, []).append(side)
    sides = {name: _median(each) for name, each in rounds.items()}
    result = {
        "bench": "record",
        "machine": machine(),
        "cameras": options.cameras,
        "seconds": options.seconds,
        "sides": {name: asdict(side) for name, side in sides.items()},
        "ratio_cpu_ffmpeg": round(sides["plain"].cpu / sides["ffmpeg"].cpu, 3),
        "ratio_speed_ffmpeg": round(sides["plain"].mb_per_s / sides["ffmpeg"].mb_per_s, 3),
        "ratio_speed_copy": round(sides["plain"].mb_per_s / sides["copy"].mb_per_s, 3),
        "ratio_cpu_copy": round(sides["plain"].cpu / sides["copy"].cpu, 3),
        "cost_signed": round(sides["signed"].cpu / sides["plain"].cpu - 1, 3),
        "cost_encrypted": round(sides["encrypted"].cpu / sides["plain"].cpu - 1, 3),
        "cost_both": round(sides["signed, encrypted"].cpu / sides["plain"].cpu - 1, 3),
    }
    _print(result, sides)
    if options.json:
        print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench record", description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=30.0, help="of footage a camera")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to write to; the temporary one by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def _round(folder: Path, options: argparse.Namespace) -> dict[str, Side]:
    camera_s = options.cameras * options.seconds
    sides: dict[str, Side] = {}
    plain_bytes = 0.0
    for name, arguments in VARIANTS.items():
        place = folder / name.replace(", ", "-")
        place.mkdir()
        _settle()
        told = _ours(place, options, arguments)
        plain_bytes = plain_bytes or told["bytes"]
        sides[name] = Side(told["bytes"] / told["wall_s"] / 1e6, told["cpu_s"] / camera_s)
        if name != "plain":
            shutil.rmtree(place)
    recordings = sorted((folder / "plain").rglob("*.mp4"))
    loops = round(camera_s / CLIP_S) - 1
    ffmpeg = [
        *("ffmpeg", "-nostdin", "-v", "error", "-stream_loop", str(loops), "-i", str(clip())),
        *("-c", "copy", "-f", "segment", "-segment_time", "300", "-segment_format_options"),
        *("movflags=frag_keyframe+empty_moov", str(folder / "ffmpeg-%04d.mp4")),
    ]
    sides["ffmpeg"] = _peer(lambda: _call(ffmpeg), folder, "ffmpeg-*.mp4", plain_bytes, camera_s)
    copy = folder / "copy.bin"
    command = ["sh", "-c", f'cat "$@" > {copy}', "cat", *map(str, recordings)]
    sides["copy"] = _peer(lambda: _call(command), folder, copy.name, plain_bytes, camera_s)
    return sides


def _ours(place: Path, options: argparse.Namespace, arguments: Sequence[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "bench._record_side", str(place), *arguments]
    command += ["--cameras", str(options.cameras), "--seconds", str(options.seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if told["unsigned"]:
        sys.exit("bench record: files could not be signed; the log above says why")
    return told


def _peer(work: Callable[[], None], folder: Path, written: str, size_bytes: float, camera_s: float) -> Side:
    """A side in processes of its own: their CPU, and the time until what they wrote is on the disk."""
    _settle()
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    work()
    for path in folder.glob(written):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    took_s = time.monotonic() - began_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    for path in folder.glob(written):
        path.unlink()
    return Side(size_bytes / took_s / 1e6, cpu_s / camera_s)


def _call(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def _settle() -> None:
    """Nobody pays for what the side before left to be written."""
    os.sync()


def _median(sides: Sequence[Side]) -> Side:
    return Side(median(each.mb_per_s for each in sides), median(each.cpu for each in sides))


def _print(result: dict[str, Any], sides: dict[str, Side]) -> None:
    plain = sides["plain"]
    table = Table(
        title=f"{result['cameras']} cameras of 4 Mb/s written as fast as it goes, {result['machine']}"
    )
    for column in ("", "MB/s", "CPU, % of a core a camera", "CPU, of ours plain"):
        table.add_column(column, justify="left" if not column else "right")
    for name, side in sides.items():
        label = f"ours, {name}" if name in VARIANTS else name
        table.add_row(label, f"{side.mb_per_s:.0f}", f"{side.cpu:.3%}", f"{side.cpu / plain.cpu:.2f}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
