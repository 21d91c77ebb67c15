"""Workers that are forked: real ones, with their own descriptors, environment and end."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.supervisor.conftest import Bench, line, pids, until
from tests.supervisor.processes import runs

from vms.supervisor.fork_server import NAME_PREFIX, ForkServer
from vms.supervisor.strays import end_strays

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "tests.supervisor.fork_program"]


@pytest.fixture
async def server(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ForkServer]:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("VMS_RUN_DIR", str(bench.run_dir))
    server = bench.fork_server = ForkServer(PROGRAM)
    await server.start()
    await server.wait_ready()
    yield server
    await server.stop()


async def test_a_forked_worker_has_its_own_environment_session_name_and_descriptors(
    bench: Bench, server: ForkServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plans = [bench.plan("media", "media-0"), bench.plan("api", "api-0", fds={"http": listener.fileno()})]
        supervisor = await bench.started(plans)
        running = pids(supervisor)
        for worker, pid in running.items():
            assert Path(f"/proc/{pid}/comm").read_text().strip() == f"{NAME_PREFIX}{worker}"
            assert os.getsid(pid) == pid
            assert Path(f"/proc/{pid}/exe").readlink().name.startswith("python")
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"who\n")
        assert (await reader.read()).decode() == f"api-0 {running['api-0']}\n"
        writer.close()
        sockets = [link for link in _descriptors(running["media-0"]) if link == _link(listener.fileno())]
        assert sockets == [], "a descriptor that was passed to another worker"


async def test_a_forked_worker_that_is_killed_is_back_and_its_exit_status_is_known(
    bench: Bench, server: ForkServer
) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0")])
    before = pids(supervisor)["media-0"]
    os.kill(before, signal.SIGKILL)
    await until(lambda: pids(supervisor).get("media-0") not in (0, before), "it is back")
    assert await supervisor.wait_ready(60)
    ended = next(change for change in bench.changes if change.kind == "ended")
    assert (ended.pid, ended.exit_status) == (before, -signal.SIGKILL)
    assert line(supervisor, "media-0").restarts == 1


async def test_without_a_fork_server_workers_are_started_by_exec(bench: Bench) -> None:
    server = bench.fork_server = ForkServer([sys.executable, "-c", "raise SystemExit(1)"])
    await server.start()
    supervisor = await bench.started([bench.plan("media", "media-0")])
    comm = Path(f"/proc/{pids(supervisor)['media-0']}/comm").read_text()
    assert not comm.startswith(NAME_PREFIX)
    await server.stop()


async def test_a_fork_server_that_dies_is_started_again_and_takes_no_worker_with_it(
    bench: Bench, server: ForkServer
) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0")])
    worker = pids(supervisor)["media-0"]
    (program,) = [pid for pid in _children() if pid != worker and b"fork_program" in _command(pid)]
    os.kill(program, signal.SIGKILL)
    await until(lambda: not runs(program), "it has ended")
    assert runs(worker)
    os.kill(worker, signal.SIGKILL)
    await until(lambda: pids(supervisor).get("media-0") not in (0, worker), "a worker without it")
    assert await supervisor.wait_ready(60)


async def test_a_stray_fork_is_known_by_its_name(bench: Bench, server: ForkServer) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0")])
    worker = pids(supervisor)["media-0"]
    known = {pid for pid in _children() if pid != worker}
    assert end_strays(os.getpid(), bench.run_dir, {worker, *known}) == []
    assert end_strays(os.getpid(), bench.run_dir, known) == [worker]


def _children() -> list[int]:
    found = []
    for name in (entry.name for entry in Path("/proc").iterdir()):
        if name.isdigit():
            try:
                stat = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(stat[1]) == os.getpid() and stat[0] != b"Z":
                found.append(int(name))
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _descriptors(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in between
            found.append(str(link.readlink()))
    return found


def _link(number: int) -> str:
    return str(Path(f"/proc/self/fd/{number}").readlink())
