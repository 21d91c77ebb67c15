"""What processes cost, read from /proc: CPU seconds, memory, and how busy the whole machine is."""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 2.0  # between two looks at memory: the kernel walks page tables for each
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """cpu_s: user and system time so far; rss_bytes counts shared pages in every process, pss_bytes once."""

    cpu_s: float
    rss_bytes: int
    pss_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """cpu: seconds a second, so 1 is a core. Memory: the highest seen. wakeups: a second, of all threads."""

    cpu: float
    rss_mib: float
    pss_mib: float
    wakeups: float


def usage(pids: Sequence[int]) -> Usage:
    """What the processes have used together; a process that ended raises ProcessLookupError."""
    cpu_s, rss, pss = 0.0, 0, 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except FileNotFoundError as error:
            raise ProcessLookupError(f"process {pid} ended during the bench") from error
        cpu_s += (int(fields[11]) + int(fields[12])) / _TICKS
        kib = {line.split()[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
        rss += kib["Rss:"] * 1024
        pss += kib["Pss:"] * 1024
    return Usage(cpu_s, rss, pss)


def measure(groups: Mapping[str, Sequence[int]], seconds: float) -> dict[str, Cost]:
    """What each group of processes costs during `seconds`. Raises ProcessLookupError when a process ends."""
    before = {name: usage(pids) for name, pids in groups.items()}
    woken = {name: _wakeups(pids) for name, pids in groups.items()}
    began = time.monotonic()
    rss, pss = dict.fromkeys(groups, 0), dict.fromkeys(groups, 0)
    while (left_s := began + seconds - time.monotonic()) > 0:
        time.sleep(min(SAMPLE_S, left_s))
        for name, pids in groups.items():
            now = usage(pids)
            rss[name], pss[name] = max(rss[name], now.rss_bytes), max(pss[name], now.pss_bytes)
    lasted_s = time.monotonic() - began
    return {
        name: Cost(
            cpu=(usage(pids).cpu_s - before[name].cpu_s) / lasted_s,
            rss_mib=rss[name] / 2**20,
            pss_mib=pss[name] / 2**20,
            wakeups=(_wakeups(pids) - woken[name]) / lasted_s,
        )
        for name, pids in groups.items()
    }


def tree(root: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended meanwhile
        children.setdefault(parent, []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


@dataclass(frozen=True, slots=True)
class MachineTime:
    """Seconds of all cores together, so far: in use by anyone, and in all."""

    busy_s: float
    all_s: float

    @classmethod
    def now(cls) -> "MachineTime":
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        idle = fields[3] + fields[4]  # idle and waiting for the disk (proc(5))
        return cls((sum(fields) - idle) / _TICKS, sum(fields) / _TICKS)

    def busy_since(self, earlier: "MachineTime") -> float:
        """The share of all cores that was in use between the two, 0..1."""
        return (self.busy_s - earlier.busy_s) / max(self.all_s - earlier.all_s, 1 / _TICKS)


def machine() -> str:
    """The machine in words, for the figures' captions."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def _wakeups(pids: Sequence[int]) -> int:
    """How often threads of the processes have gone to sleep by themselves, which is how often they woke."""
    found = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/status"):
            try:
                lines = path.read_text().splitlines()
            except OSError:
                continue  # the thread ended meanwhile
            found += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))
    return found
