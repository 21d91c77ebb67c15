"""A supervisor within the test's process, of real workers, without a launcher."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.supervisor.processes import eventually, kill_marked
from tests.supervisor.supervisor_program import plan

from vms.common.clock import SystemClock
from vms.supervisor.fork_server import ForkServer
from vms.supervisor.plan import Timings, WorkerPlan
from vms.supervisor.supervisor import Supervisor
from vms.supervisor.worker import WorkerChange


class Bench:
    """Makes supervisors over one run directory; `changes` is what they told."""

    def __init__(self, directory: Path) -> None:
        self.fork_server: ForkServer | None = None
        self.run_dir = directory / "run"
        self.run_dir.mkdir()
        self.journal_file = directory / "journal"
        self.changes: list[WorkerChange] = []
        self.made: list[Supervisor] = []

    def plan(self, role: str, worker: str, **more: Any) -> WorkerPlan:
        made = plan({"role": role, "worker": worker} | more, self.run_dir)
        named = replace_env(made, {"JOURNAL": str(self.journal_file)} | dict(made.env))
        return replace(named, fds=more.get("fds", {}))

    def supervisor(self, plans: Sequence[WorkerPlan], **timings: float) -> Supervisor:
        made = Supervisor(
            plans,
            self.run_dir,
            SystemClock(),
            timings=Timings(**({"poll_s": 0.1} | timings)),
            fork_server=self.fork_server,
            on_change=self.changes.append,
        )
        self.made.append(made)
        return made

    async def started(self, plans: Sequence[WorkerPlan], **timings: float) -> Supervisor:
        made = self.supervisor(plans, **timings)
        await made.start()
        assert await made.wait_ready(60)
        return made

    def journal(self) -> list[str]:
        if not self.journal_file.exists():
            return []
        return [line.rpartition(" ")[0] for line in self.journal_file.read_text().splitlines()]


def replace_env(made: WorkerPlan, env: dict[str, str]) -> WorkerPlan:
    return WorkerPlan(
        made.role, made.worker, made.argv, env, made.fds, made.stop_order, made.stop_s, made.control
    )


def pids(supervisor: Supervisor) -> dict[str, int]:
    """By worker; the supervisor left out."""
    return {line.worker: line.pid for line in supervisor.status().processes if line.pid != os.getpid()}


def line(supervisor: Supervisor, worker: str) -> Any:
    return next(line for line in supervisor.status().processes if line.worker == worker)


async def until(condition: Callable[[], Any], what: str) -> Any:
    return await eventually(condition, what)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    kill_marked(made.journal_file)
    for supervisor in made.made:
        with contextlib.suppress(AttributeError):
            await supervisor.stop()
