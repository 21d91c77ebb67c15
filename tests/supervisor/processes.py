"""Real processes for tests: a whole system under a launcher, conditions waited for, nothing left behind."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from vms import launcher
from vms.common.errors import Unavailable
from vms.common.process_identity import start_ticks
from vms.proto import worker_pb2
from vms.supervisor.view import fetch_status

PATIENCE_S = 60.0  # for a machine that does other things too
SUPERVISOR = Path(__file__).with_name("supervisor_program.py")

T = TypeVar("T")


async def eventually(condition: Callable[[], T], what: str, *, patience_s: float = PATIENCE_S) -> T:
    """What `condition` returns once that is true."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.02)
    return found


def runs(pid: int) -> bool:
    return start_ticks(pid) is not None


class System:
    """A launcher, its supervisor, its workers."""

    def __init__(self, directory: Path, workers: list[dict[str, Any]]) -> None:
        self.data_dir = directory / "data"
        self.run_dir = self.data_dir / "run"
        self.plans = directory / "plans.json"
        self.journal_file = directory / "journal"
        self.errors = directory / "stderr"
        self.launchers: list[subprocess.Popen[bytes]] = []
        self.plan(workers)

    def plan(self, workers: list[dict[str, Any]]) -> None:
        self.plans.write_text(json.dumps(workers))

    def start(
        self, *options: str, terminal: int | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """terminal: to be its controlling terminal."""
        argv = launcher.command([sys.executable, str(SUPERVISOR), str(self.data_dir), str(self.plans)])
        at = argv.index("--")
        with self.errors.open("ab") as errors:
            process = subprocess.Popen(
                [*argv[:at], *options, *argv[at:]],
                env=os.environ | {"JOURNAL": str(self.journal_file)} | environment,
                stdin=subprocess.DEVNULL,
                start_new_session=terminal is not None,
                preexec_fn=None  # noqa: PLW1509 - nothing runs in this process's threads yet
                if terminal is None
                else lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),
                stdout=errors,
                stderr=errors,
            )
        self.launchers.append(process)
        return process

    async def status(self) -> dict[str, worker_pb2.ProcessStatus]:
        with contextlib.suppress(Unavailable):
            listed = await fetch_status(self.run_dir)
            return {process.worker: process for process in listed.processes}
        return {}

    async def until(
        self, condition: Callable[[dict[str, worker_pb2.ProcessStatus]], bool], what: str
    ) -> dict[str, worker_pb2.ProcessStatus]:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not ((found := await self.status()) and condition(found)):
            assert asyncio.get_running_loop().time() < deadline, (
                f"waited in vain until {what}; {found}\n{self.errors.read_text()[-3000:]}"
            )
            await asyncio.sleep(0.05)
        return found

    async def up(self, after: Collection[int] = ()) -> dict[str, int]:
        """Until all run, and are others than those of `after`; their numbers by name, that of the supervisor too."""
        found = await self.until(
            lambda found: all_run(found) and not {process.pid for process in found.values()} & {*after},
            "all processes run",
        )
        return {name: process.pid for name, process in found.items()}

    def journal(self) -> list[str]:
        """Lines of the workers, without their process numbers."""
        if not self.journal_file.exists():
            return []
        return [line.rpartition(" ")[0] for line in self.journal_file.read_text().splitlines()]

    async def ended(self, process: subprocess.Popen[bytes]) -> int:
        await eventually(lambda: process.poll() is not None, "the launcher has ended")
        return process.returncode

    async def ask_http(self) -> str:
        port = int((self.data_dir / "port").read_text())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"who\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.decode().strip()

    def clean_up(self) -> None:
        """Kill whatever was started here, by anyone."""
        kill_marked(self.journal_file)
        for process in self.launchers:
            process.wait()


def kill_marked(journal: Path) -> None:
    """Kill every process that writes, or whose children write, this journal, until there is none."""
    mark = f"JOURNAL={journal}".encode()
    while left := [pid for pid in _all_processes() if pid != os.getpid() and mark in _environment(pid)]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def all_run(found: dict[str, worker_pb2.ProcessStatus]) -> bool:
    return all(process.state == "running" for process in found.values())


@contextlib.contextmanager
def system(directory: Path, workers: list[dict[str, Any]]) -> Iterator[System]:
    made = System(directory, workers)
    try:
        yield made
    finally:
        made.clean_up()
