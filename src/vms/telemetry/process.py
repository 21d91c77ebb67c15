"""What this process costs: CPU, memory, open files, as the kernel counts them.

Belongs here: the process's own /proc. Does not: other processes' (vms.supervisor).
"""

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from vms.telemetry.metrics import MetricFamily, MetricKind

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessUsage:
    """Implements `MetricSource`; `cpu_share` is of one core, since it was last read."""

    def __init__(self) -> None:
        self._read_at = time.monotonic()
        self._cpu_s = time.process_time()
        self._share = 0.0

    def cpu_share(self) -> float:
        """CPU seconds a second between this call and one at least a second ago."""
        now = time.monotonic()
        if now - self._read_at >= 1.0:
            cpu_s = time.process_time()
            self._share = (cpu_s - self._cpu_s) / (now - self._read_at)
            self._read_at, self._cpu_s = now, cpu_s
        return self._share

    def resident_bytes(self) -> int:
        """Resident memory."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES

    def metrics(self) -> Iterable[MetricFamily]:
        gauge, counter = MetricKind.GAUGE, MetricKind.COUNTER
        files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone are counted
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield _one("vms_process_cpu_seconds", counter, "CPU time used", time.process_time())
        yield _one("vms_process_resident_bytes", gauge, "Resident memory", self.resident_bytes())
        yield _one("vms_process_open_files", gauge, "Open file descriptors", files)
        yield _one("vms_process_max_files", gauge, "File descriptors that may be open", most)


def _one(name: str, kind: MetricKind, text: str, value: float) -> MetricFamily:
    return MetricFamily(name, kind, text, (), [((), float(value))])
