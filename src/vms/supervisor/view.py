"""`vms status`: every process of a running system, as a table or as JSON.

Belongs here: asking, showing. Does not: the command's options (vms.cli), what is said (report).
"""

import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from vms.bus.errors import BusUnavailable
from vms.bus.local import LocalClient
from vms.common.errors import Unavailable
from vms.proto import worker_pb2
from vms.supervisor.control import control_socket

REFRESH_S = 1.0
_TIMEOUT_S = 5.0
_MIB = 1 << 20
_LATE_MS = 50.0  # what docs/runbooks/operations.md alarms at
_STATE_STYLES = {"running": "green", "starting": "yellow", "stopping": "yellow", "waiting": "bold red"}


async def fetch_status(run_dir: Path) -> worker_pb2.ProcessList:
    """Ask the system whose control sockets are in `run_dir`. Raises Unavailable that says what to do."""
    client = LocalClient(control_socket(run_dir))
    try:
        answer = await client.call("status", timeout_s=_TIMEOUT_S)
    except BusUnavailable as error:
        data_dir = run_dir.parent
        raise Unavailable(
            f"no system answers in {data_dir} ({error}); start it with `vms serve --data-dir {data_dir}`, "
            "or name the directory or configuration of the one that runs with --data-dir or --config."
        ) from error
    finally:
        client.close()
    return worker_pb2.ProcessList.FromString(answer)


def status_table(processes: worker_pb2.ProcessList) -> Table:
    """For a person, within 80 columns: a row a process; why one does not run stands in its last column."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name in ("role", "worker"):
        table.add_column(name, no_wrap=True)
    table.add_column("pid", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("cams", "views", "CPU %", "MiB", "lag ms", "restarts", "uptime"):
        table.add_column(name, justify="right", no_wrap=True)
    details = any(process.detail for process in processes.processes)
    if details:
        table.add_column("", overflow="fold")
    for process in processes.processes:
        row = _row(process)
        table.add_row(*(row if details else row[:-1]))
    return table


def status_json(processes: worker_pb2.ProcessList) -> str:
    """For a program: an object whose "processes" are objects of numbers and text.

    pid: null while it is not running. loop_lag_ms: null for what has no event loop of ours, and until it has said.
    """
    return json.dumps({"processes": [_object(process) for process in processes.processes]}, indent=2)


async def watch_status(run_dir: Path, console: Console) -> None:
    """Show the table anew every second until cancelled; a system that does not answer is said in its place."""
    shown: Any = status_table(await fetch_status(run_dir))  # the first must succeed
    with Live(shown, console=console, auto_refresh=False, screen=False) as live:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                shown = status_table(await fetch_status(run_dir))
            except Unavailable as error:
                shown = f"[red]{time.strftime('%H:%M:%S')} {escape(str(error))}[/]"
            live.update(shown, refresh=True)


async def show_status(run_dir: Path, *, watch: bool, as_json: bool) -> None:
    """Print the processes of the system of `run_dir`, once or until interrupted. Raises Unavailable."""
    if as_json:
        print(status_json(await fetch_status(run_dir)))  # noqa: T201 - what the command is for
        return
    console = Console()
    if not watch:
        console.print(status_table(await fetch_status(run_dir)))
        return
    interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    watching = asyncio.create_task(watch_status(run_dir, console))
    waiting = asyncio.create_task(interrupted.wait())
    await asyncio.wait((watching, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


async def request_restart(run_dir: Path, target: str) -> list[str]:
    """Have a worker or a role restarted; the names of those that will be. Raises NotFound, Unavailable."""
    client = LocalClient(control_socket(run_dir))
    try:
        argument = worker_pb2.Restart(target=target).SerializeToString()
        answer = await client.call("restart", argument, timeout_s=_TIMEOUT_S)
    finally:
        client.close()
    return list(worker_pb2.Restarted.FromString(answer).workers)


def _object(process: worker_pb2.ProcessStatus) -> dict[str, Any]:
    lag_ms = round(process.loop_lag_ms, 3) if process.HasField("loop_lag_ms") else None
    return {
        "role": process.role,
        "worker": process.worker,
        "pid": process.pid or None,
        "state": process.state,
        "cameras": process.cameras,
        "viewers": process.viewers,
        "cpu_percent": round(process.cpu_percent, 1),
        "memory_bytes": process.memory_bytes,
        "loop_lag_ms": lag_ms,
        "restarts": process.restarts,
        "uptime_s": round(process.uptime_s, 1),
        "detail": process.detail,
    }


def _row(process: worker_pb2.ProcessStatus) -> list[str]:
    style = _STATE_STYLES.get(process.state, "dim")
    runs = process.pid != 0
    late = process.loop_lag_ms > _LATE_MS
    lag = f"{process.loop_lag_ms:.1f}" if process.HasField("loop_lag_ms") else "–"
    return [
        process.role if process.role != process.worker else "",  # said once, there is little room
        process.worker,
        str(process.pid) if runs else "–",
        f"[{style}]{escape(process.state)}[/]",
        str(process.cameras) if process.role == "media" else "–",
        str(process.viewers) if process.role == "stream" else "–",
        f"{process.cpu_percent:.1f}" if runs else "–",
        f"{process.memory_bytes / _MIB:.0f}" if runs else "–",
        f"[red]{lag}[/]" if late else lag,
        f"[yellow]{process.restarts}[/]" if process.restarts else "0",
        _duration(process.uptime_s) if runs else "–",
        escape(process.detail),
    ]


def _duration(seconds: float) -> str:
    """The two largest units: ``3d4h``, ``4m5s``."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or parts or unit == "s":
            parts.append(f"{number}{unit}")
    return "".join(parts[:2])
