"""What processes cost: CPU over the last seconds, memory; read from /proc (proc(5)).

Belongs here: reading and averaging. Does not: who is measured, and how often (supervisor).
"""

import os
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from vms.common.clock import NS, Clock

WINDOW = 6  # samples: the last five seconds at one a second

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _RSS = 11, 12, 21  # the fields of stat behind the name


@dataclass(frozen=True, slots=True)
class Usage:
    """cpu_percent: of one core. rss_bytes counts shared pages in every process, pss_bytes once."""

    cpu_percent: float = 0.0
    rss_bytes: int = 0
    pss_bytes: int = 0


class UsageMeter:
    """Takes samples when told to; a process that has ended is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: dict[int, deque[tuple[int, float]]] = {}  # by pid: monotonic ns, CPU seconds
        self._rss: dict[int, int] = {}
        self._pss: dict[int, int] = {}

    def sample(self, pids: Collection[int]) -> None:
        """CPU and resident memory of `pids`, and of no other from now on; some 20 µs each."""
        for gone in self._samples.keys() - set(pids):
            for known in (self._samples, self._rss, self._pss):
                known.pop(gone, None)
        for pid in pids:
            try:
                fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue
            cpu_s = (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS_PER_S
            samples = self._samples.setdefault(pid, deque(maxlen=WINDOW))
            samples.append((self._clock.monotonic_ns(), cpu_s))
            self._rss[pid] = int(fields[_RSS]) * _PAGE_BYTES

    def set_proportional(self, pid: int, pss_bytes: int) -> None:
        """What `proportional_bytes` has found, which takes too long for a loop."""
        if pid in self._samples:
            self._pss[pid] = pss_bytes

    def of(self, pid: int) -> Usage:
        """What the process costs; zeros when it was not measured yet."""
        samples = self._samples.get(pid)
        if not samples:
            return Usage()
        (first_ns, first_s), (last_ns, last_s) = samples[0], samples[-1]
        passed_ns = last_ns - first_ns
        percent = 100 * (last_s - first_s) * NS / passed_ns if passed_ns > 0 else 0.0
        return Usage(percent, self._rss.get(pid, 0), self._pss.get(pid, 0))


def proportional_bytes(pid: int) -> int:
    """Proportional set size; milliseconds for a large process. 0 when it has ended or may not be looked at."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
