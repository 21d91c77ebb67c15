"""What is said of processes: lines of `vms status`, metrics.

Belongs here: putting together. Does not: measuring (usage), showing (view).
"""

import os
import time
from collections.abc import Callable, Collection, Iterable

from vms.common.process_identity import start_ticks
from vms.proto import worker_pb2
from vms.supervisor.usage import Usage, UsageMeter
from vms.supervisor.worker import State, Worker
from vms.telemetry.metrics import MetricFamily, MetricKind

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def process_status(worker: Worker, usage: UsageMeter) -> worker_pb2.ProcessStatus:
    """A worker's line."""
    said, process = worker.status, worker.process
    line = worker_pb2.ProcessStatus(
        role=worker.plan.role,
        worker=worker.plan.worker,
        state=worker.state.value,
        restarts=worker.restarts,
        detail=worker.detail,
    )
    if process is not None:
        _put_usage(line, usage.of(process.pid))
        line.pid = process.pid
        line.uptime_s = process.age_s()
    if said is not None:
        line.cameras = len(said.cameras)
        line.viewers = sum(said.viewers.values())
        line.loop_lag_ms = said.loop_lag_s * 1000
        line.detail = said.detail
    return line


def own_status(
    usage: Usage, loop_lag_s: Callable[[], float] | None, restarts: int
) -> worker_pb2.ProcessStatus:
    """The supervisor's own line."""
    line = worker_pb2.ProcessStatus(
        role="supervisor",
        worker="supervisor",
        pid=os.getpid(),
        state=State.RUNNING.value,
        restarts=restarts,
        uptime_s=time.clock_gettime(time.CLOCK_BOOTTIME) - (start_ticks(os.getpid()) or 0) / _TICKS_PER_S,
    )
    _put_usage(line, usage)
    if loop_lag_s is not None:
        line.loop_lag_ms = loop_lag_s() * 1000
    return line


def metrics(workers: Collection[Worker], usage: UsageMeter) -> Iterable[MetricFamily]:
    """Counters of the workers; the label `process` is a worker's name, of which there are few."""

    def family(
        name: str, kind: MetricKind, text: str, value: Callable[[Worker], float | None]
    ) -> MetricFamily:
        found = ((worker.plan.worker, value(worker)) for worker in workers)
        samples = [((name,), float(number)) for name, number in found if number is not None]
        return MetricFamily(f"vms_supervisor_{name}", kind, text, ("process",), samples)

    def resident(worker: Worker) -> float | None:
        return None if worker.process is None else usage.of(worker.process.pid).rss_bytes

    counter, gauge = MetricKind.COUNTER, MetricKind.GAUGE
    yield family("running", gauge, "1 while the process runs and works", lambda w: w.state is State.RUNNING)
    yield family("restarts", counter, "starts after the first one", lambda w: w.restarts)
    yield family("failures", counter, "ends that nobody asked for", lambda w: w.failures)
    yield family("kills", counter, "killed because it hung or did not end", lambda w: w.killed)
    yield family("resident_bytes", gauge, "resident memory of the process", resident)


def _put_usage(line: worker_pb2.ProcessStatus, usage: Usage) -> None:
    line.cpu_percent = usage.cpu_percent
    line.memory_bytes = usage.rss_bytes
    line.memory_shared_once_bytes = usage.pss_bytes
