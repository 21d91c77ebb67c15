"""Recording ever more cameras: what each costs, and that the cost grows linearly.

    scripts/bench scale [--max 200] [--seconds 20] [--settle 40] [--media N] [--json]

A step is the whole system, started anew, that records 10, 50, 100 or 200 paced 1080p25 cameras at 4 Mb/s (and
--max, where that is another number). The cameras are virtual ones in a process of their own, whose CPU is said
beside ours, because on a small machine it is what ends first. A system without cameras goes before the steps, so
that memory a camera is that of the cameras alone. CPU a camera is CPU seconds a camera-second.

The loop's lag is a quantile over a minute: --settle and --seconds together should be as long, so that the start
is not in it. Recordings are deleted after each step; 200 cameras write 100 MB a second, so TMPDIR should be on a
disk that takes it.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench._footage import bytes_per_second, clip
from bench._processes import Cost, MachineTime, machine, measure
from bench._system import System, VirtualCameras

BITRATE = 4_000_000
COUNTS = (10, 50, 100, 200)
OTHERS = 0.1  # of all cores; figures are rough when programs that are no part of this use more
SATURATED = 0.9  # of all cores; beyond, figures say more about waiting than about work
BYTES_TOLERANCE = 0.03  # boxes around the media, and a fragment more or less at either end
COLUMNS = (
    "cameras",
    "CPU: media\na camera",
    "all\na camera",
    "over the\nfirst",
    "RSS, MiB\nall",
    "RSS\na camera",
    "PSS, MiB\nall",
    "PSS\na camera",
    "lag p99\nms",
    "bytes",
    "gaps",
    "cores\nin use",
    "cameras\nalone",
)


@dataclass(frozen=True, slots=True)
class Step:
    """cpu_per_camera: of the media processes; _system: of all. Memory: of all.

    _per_camera of memory: what each camera added to the step before. bytes_share: recorded over sent bytes;
    received_share: what came from the cameras over what they were to send. gaps: in all recordings. machine_busy,
    and of it cameras_cpu_share and others_cpu_share, what is neither theirs nor ours (the kernel's own
    threads too): of all cores, 0..1.
    """

    cameras: int
    media_processes: int
    cpu_media: float
    cpu_system: float
    cpu_per_camera: float
    cpu_per_camera_system: float
    rss_mib: float
    pss_mib: float
    rss_mib_per_camera: float
    pss_mib_per_camera: float
    loop_lag_p99_ms: float | None
    bytes_share: float
    received_share: float
    gaps: int
    gap_reasons: list[str]
    cameras_cpu_share: float
    others_cpu_share: float
    machine_busy: float

    @property
    def saturated(self) -> bool:
        return self.machine_busy > SATURATED

    @property
    def complete(self) -> bool:
        """Whether all that was sent is on the disk."""
        return abs(self.bytes_share - 1) <= BYTES_TOLERANCE and self.gaps == 0


@dataclass(frozen=True, slots=True)
class Fit:
    """Media CPU over cameras, by least squares: at_none + per_camera × cameras."""

    per_camera: float
    at_none: float
    r2: float

    @classmethod
    def of(cls, points: Sequence[tuple[int, float]]) -> "Fit | None":
        """None for fewer than three points: a line through two is always exact."""
        if len(points) < 3:
            return None
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
        at_none = mean_y - slope * mean_x
        left = sum((y - at_none - slope * x) ** 2 for x, y in points)
        return cls(slope, at_none, 1 - left / sum((y - mean_y) ** 2 for _, y in points))


def main() -> None:
    options = _options()
    counts = [count for count in COUNTS if count < options.max] + [options.max]
    footage = clip(bitrate=BITRATE)
    console = Console(stderr=True)
    steps: list[Step] = []
    with (
        tempfile.TemporaryDirectory(prefix="vms-bench-") as folder,
        VirtualCameras(footage, counts[-1]) as cameras,
    ):
        bench = _Bench(Path(folder), cameras, bytes_per_second(footage), options)
        console.print("no cameras …")
        before = bench.step(0)
        for count in counts:
            console.print(f"{count} cameras …")
            step = _beside(bench.step(count), before)
            before = step
            steps.append(step)
            for line in _remarks(step):
                console.print(f"  {line}")
    fit = Fit.of([(step.cameras, step.cpu_media) for step in steps])
    result = {
        "bench": "scale",
        "machine": machine(),
        "bitrate": BITRATE,
        "seconds": options.seconds,
        "steps": [asdict(step) | {"saturated": step.saturated} for step in steps],
        "linear_r2": fit and round(fit.r2, 4),
        "linear_cpu_per_camera": fit and round(fit.per_camera, 6),
        "linear_cpu_at_none": fit and round(fit.at_none, 5),
        "cost_over_first": [_over(step, steps[0]) for step in steps],
        "cost_last_over_first": _over(steps[-1], steps[0]),
    }
    _print(steps, fit, result)
    if options.json:
        print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench scale", description=__doc__.splitlines()[0])
    parser.add_argument("--max", type=int, default=COUNTS[-1], help="cameras of the last step")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each step")
    parser.add_argument("--settle", type=float, default=40.0, help="seconds before anything is measured")
    parser.add_argument("--media", type=int, help="media processes; as many as suit the machine by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    if options.max < 1:
        sys.exit("bench scale: --max must be at least 1")
    return options


class _Bench:
    """Runs single steps. sent: bytes of a camera a second."""

    def __init__(
        self, folder: Path, cameras: VirtualCameras, sent: float, options: argparse.Namespace
    ) -> None:
        self._folder = folder
        self._cameras = cameras
        self._sent = sent
        self._seconds: float = options.seconds
        self._settle: float = options.settle
        self._media: int | None = options.media

    def step(self, count: int) -> Step:
        """The system with `count` cameras; memory a camera is left at 0, see `_beside`."""
        folder = self._folder / str(count)
        with System(folder, self._cameras.urls[:count], media=self._media) as system:
            system.wait_recording()
            time.sleep(self._settle if count else 0)
            found = self._measure(system)
        shutil.rmtree(folder)
        return found

    def _measure(self, system: System) -> Step:
        members = system.members()
        media = [member.pid for member in members if member.role == "media"]
        groups = {
            "media": media,
            "system": [member.pid for member in members],
            "cameras": self._cameras.pids,
        }
        received, recorded, began = _received(system), _recorded(system), MachineTime.now()
        costs = measure(groups, self._seconds)
        busy = MachineTime.now().busy_since(began)
        sent = self._sent * system.cameras
        return _step(
            system,
            costs,
            media_processes=len(media),
            bytes_share=_recorded(system).rate_since(recorded) / sent if sent else 1.0,
            received_share=_received(system).rate_since(received) / sent if sent else 1.0,
            machine_busy=busy,
        )


def _step(
    system: System,
    costs: dict[str, Cost],
    *,
    media_processes: int,
    bytes_share: float,
    received_share: float,
    machine_busy: float,
) -> Step:
    media, whole = costs["media"], costs["system"]
    count, cores = max(system.cameras, 1), os.cpu_count() or 1
    lag_ms = system.metrics().loop_lag_p99_ms()
    cameras_share = costs["cameras"].cpu / cores
    gaps = system.gaps()
    return Step(
        cameras=system.cameras,
        media_processes=media_processes,
        cpu_media=round(media.cpu, 5),
        cpu_system=round(whole.cpu, 5),
        cpu_per_camera=round(media.cpu / count, 6),
        cpu_per_camera_system=round(whole.cpu / count, 6),
        rss_mib=round(whole.rss_mib, 1),
        pss_mib=round(whole.pss_mib, 1),
        rss_mib_per_camera=0.0,
        pss_mib_per_camera=0.0,
        loop_lag_p99_ms=None if lag_ms is None else round(lag_ms, 2),
        bytes_share=round(bytes_share, 4),
        received_share=round(received_share, 4),
        gaps=len(gaps),
        gap_reasons=gaps,
        cameras_cpu_share=round(cameras_share, 4),
        others_cpu_share=round(max(machine_busy - cameras_share - whole.cpu / cores, 0.0), 4),
        machine_busy=round(machine_busy, 4),
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """Bytes so far, and when they were counted: counting many takes a while itself."""

    at_s: float
    value: float

    def rate_since(self, earlier: "_Counted") -> float:
        return (self.value - earlier.value) / (self.at_s - earlier.at_s)


def _received(system: System) -> _Counted:
    metrics = system.metrics()
    return _Counted(metrics.at_s, sum(metrics.values("vms_camera_bytes_total")))


def _recorded(system: System) -> _Counted:
    began_s = time.monotonic()
    value = system.recorded_bytes()
    return _Counted((began_s + time.monotonic()) / 2, value)


def _beside(step: Step, before: Step) -> Step:
    more = step.cameras - before.cameras
    return replace(
        step,
        rss_mib_per_camera=round((step.rss_mib - before.rss_mib) / more, 3),
        pss_mib_per_camera=round((step.pss_mib - before.pss_mib) / more, 3),
    )


def _over(step: Step, first: Step) -> float:
    return round(step.cpu_per_camera / first.cpu_per_camera, 3)


def _remarks(step: Step) -> list[str]:
    """What is to be known before the figures of a step are believed."""
    found = []
    if step.saturated:
        found.append(f"the machine was saturated: {step.machine_busy:.0%} of its cores were in use")
    if step.others_cpu_share > OTHERS:
        found.append(f"others used {step.others_cpu_share:.0%} of its cores: take the figures as rough")
    if abs(step.received_share - 1) > BYTES_TOLERANCE:
        found.append(
            f"the cameras sent {step.received_share:.1%} of what they were to: they had too little CPU, or we did"
        )
    if abs(step.bytes_share - 1) > BYTES_TOLERANCE:
        found.append(f"recorded bytes are {step.bytes_share:.1%} of those sent, not all of them")
    if step.gaps:
        found.append(f"{step.gaps} gaps, where there must be none: {', '.join(step.gap_reasons)}")
    return found


def _print(steps: Sequence[Step], fit: Fit | None, result: dict[str, Any]) -> None:
    table = Table(title="Recording, by cameras", caption=result["machine"])
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for step in steps:
        table.add_row(
            f"{step.cameras}",
            f"{step.cpu_per_camera:.3%}",
            f"{step.cpu_per_camera_system:.3%}",
            f"{_over(step, steps[0]):.2f}",
            f"{step.rss_mib:.0f}",
            f"{step.rss_mib_per_camera:.2f}",
            f"{step.pss_mib:.0f}",
            f"{step.pss_mib_per_camera:.2f}",
            "–" if step.loop_lag_p99_ms is None else f"{step.loop_lag_p99_ms:.1f}",
            f"{step.bytes_share:.3f}",
            f"{step.gaps}",
            f"{step.machine_busy:.0%}",
            f"{step.cameras_cpu_share:.0%}",
            style=None if step.complete else "red",
        )
    console = Console(width=140)  # all columns, also where the output goes to a file
    console.print(table)
    if fit is not None:
        console.print(
            f"media CPU = {fit.at_none:.2%} of a core + {fit.per_camera:.3%} a camera (R² {fit.r2:.4f}); "
            f"the last step's cost a camera is {result['cost_last_over_first']} of the first's"
        )


if __name__ == "__main__":
    main()
