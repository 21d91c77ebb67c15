"""A supervisor as vms.app makes one, of the stand-in workers: ``supervisor_program.py DATA_DIR PLANS.json``.

PLANS.json: a list of {role, worker, stop_order, env?, stop_s?, argv?}; one with `argv` is a program that is not ours.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvloop

from vms.common.clock import SystemClock
from vms.common.data_directory import DataDirectory
from vms.common.errors import VmsError
from vms.supervisor.child import Lifeline
from vms.supervisor.launcher_link import LauncherLink
from vms.supervisor.notify import Notifier
from vms.supervisor.plan import Timings, WorkerPlan
from vms.supervisor.running import reload_told, running
from vms.supervisor.supervisor import Supervisor

WORKER = Path(__file__).with_name("worker_program.py")
TIMINGS = Timings(poll_s=0.2)


def plan(entry: dict[str, Any], run_dir: Path, listener: int | None = None) -> WorkerPlan:
    foreign = "argv" in entry
    return WorkerPlan(
        role=entry["role"],
        worker=entry["worker"],
        argv=tuple(entry.get("argv") or (sys.executable, str(WORKER))),
        env=entry.get("env", {}),
        fds={} if listener is None or entry["role"] != "api" else {"http": listener},
        stop_order=entry.get("stop_order", 0),
        stop_s=entry.get("stop_s", 10.0),
        control=None if foreign else run_dir / f"{entry['worker']}.sock",
    )


def listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port))


async def main(data_dir: Path, plans: Path) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    link = LauncherLink.from_environment()
    notifier = Notifier()
    lock = link.stored("data-lock")
    async with DataDirectory(data_dir, owner=link.launcher_pid, descriptor=lock) as directory:
        link.keep("data-lock", directory.fileno())
        run_dir = data_dir / "run"
        run_dir.mkdir(mode=0o700, exist_ok=True)
        listener = link.listener("http", "127.0.0.1", 0, listen)
        (data_dir / "port").write_text(str(listener.getsockname()[1]))

        def read() -> list[WorkerPlan]:
            return [plan(entry, run_dir, listener.fileno()) for entry in json.loads(plans.read_text())]

        supervisor = Supervisor(
            read(),
            run_dir,
            SystemClock(),
            link=link,
            inherit={"data-lock": directory.fileno()},
            timings=TIMINGS,
        )

        async def reload() -> None:
            await supervisor.replace(read())

        reloading: set[asyncio.Task[None]] = set()
        loop.add_signal_handler(
            signal.SIGHUP, lambda: reloading.add(loop.create_task(reload_told(reload, notifier)))
        )
        lifeline = Lifeline(link.lifeline, stopped.set)
        lifeline.start()
        async with running(supervisor, run_dir, link=link, notifier=notifier, reload=reload):
            await stopped.wait()
        lifeline.stop()
        listener.close()


if __name__ == "__main__":
    if os.environ.get("SUPERVISOR_CRASHES"):
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
    except VmsError as error:
        print(f"refused: {error}", file=sys.stderr)
        sys.exit(1)
