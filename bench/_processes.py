"""What processes cost, read from /proc: CPU seconds, resident and proportional memory."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """cpu_s: user and system time so far; rss_bytes counts shared pages in every process, pss_bytes once."""

    cpu_s: float
    rss_bytes: int
    pss_bytes: int


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
