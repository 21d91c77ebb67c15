"""Processes that an earlier supervisor started and did not live to write down.

They have become children of the launcher, which takes every orphan. Left alone, a second worker of the same name would
record the same cameras.

Belongs here: finding them, ending them. Does not: those that are known (supervisor).
"""

import contextlib
import os
import signal
from collections.abc import Collection
from pathlib import Path

from vms.supervisor.child import RUN_DIR_VARIABLE, WORKER_VARIABLE
from vms.supervisor.fork_server import NAME_PREFIX
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


def end_strays(launcher_pid: int | None, run_dir: Path, known: Collection[int]) -> list[int]:
    """Kill every worker of this system that is the launcher's child and not `known`. Returns their numbers.

    SIGKILL: it was spawned a moment before its supervisor died, and a recording survives that.
    """
    found = [] if launcher_pid is None else _workers_below(launcher_pid, run_dir)
    strays = [pid for pid in found if pid not in known and pid != os.getpid()]
    for pid in strays:
        log.error("killing a worker that no supervisor knows", pid=pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return strays


def _workers_below(parent: int, run_dir: Path) -> list[int]:
    marks = {f"{RUN_DIR_VARIABLE}={run_dir}".encode()}
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone are needed
        if not name.isdigit():
            continue
        try:
            stat = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
            if int(stat[1]) != parent:
                continue
            comm = Path(f"/proc/{name}/comm").read_bytes()
            environment = set(Path(f"/proc/{name}/environ").read_bytes().split(b"\0"))
        except OSError:
            continue  # it ended meanwhile, or is none of ours
        # A fork shows the environment of its server, and is known by the name that it took
        if marks <= environment and (
            comm.startswith(NAME_PREFIX.encode())
            or any(e.startswith(f"{WORKER_VARIABLE}=".encode()) for e in environment)
        ):
            found.append(int(name))
    return found
