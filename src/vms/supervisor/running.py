"""Run a supervisor until its process is told to stop: control socket, service manager, launcher, signs of life.

Belongs here: the order of these. Does not: which processes there are, what reloading means (vms.app).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from vms.bus.local import LocalServer, Method
from vms.supervisor.control import control_methods, control_socket
from vms.supervisor.launcher_link import LauncherLink
from vms.supervisor.notify import Notifier
from vms.supervisor.supervisor import Supervisor
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

SIGN_OF_LIFE_S = 1.0
READY_S = 60.0  # a system whose workers do not all come up is ready all the same: the others record


@asynccontextmanager
async def running(
    supervisor: Supervisor,
    run_dir: Path,
    *,
    link: LauncherLink,
    notifier: Notifier,
    reload: Callable[[], Awaitable[None]] | None = None,
    methods: Mapping[str, Method] | None = None,
    ready_s: float = READY_S,
) -> AsyncIterator[None]:
    """`async with running(…): await stopped.wait()`. What was started is ended in order when it is left.

    methods: more of them for the control socket. reload: see `reload_told`.
    Raises Unavailable when the control socket cannot be made.
    """
    server = LocalServer(
        control_socket(run_dir), control_methods(supervisor, reload) | dict(methods or {}), drain_s=1.0
    )
    await server.start()
    tasks: list[asyncio.Task[None]] = []
    try:
        await supervisor.start()
        tasks.append(asyncio.create_task(_signs_of_life(supervisor, link, notifier), name="signs of life"))
        tasks.append(asyncio.create_task(_report_ready(supervisor, notifier, ready_s), name="ready"))
        link.ready()
        yield
    finally:
        notifier.stopping()
        for task in tasks[1:]:
            task.cancel()
        await supervisor.stop()
        await server.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        notifier.close()


async def reload_told(reload: Callable[[], Awaitable[None]], notifier: Notifier) -> None:
    """Reload, and tell the service manager of its beginning and end. Raises what `reload` raises."""
    notifier.reloading()
    try:
        await reload()
    finally:
        notifier.ready("reloaded")


async def _report_ready(supervisor: Supervisor, notifier: Notifier, ready_s: float) -> None:
    complete = await supervisor.wait_ready(ready_s)
    processes = supervisor.status().processes
    working = sum(process.state == "running" for process in processes)
    if not complete:
        log.error("not all processes are ready", ready=working, processes=len(processes))
    notifier.ready(f"{working} of {len(processes)} processes are running")


async def _signs_of_life(supervisor: Supervisor, link: LauncherLink, notifier: Notifier) -> None:
    """This very loop says that it turns; while a part of the supervisor has ended, nothing is said."""
    loop = asyncio.get_running_loop()
    told_at = float("-inf")
    period_s = min(SIGN_OF_LIFE_S, notifier.watchdog_s or SIGN_OF_LIFE_S)
    while True:
        if supervisor.healthy:
            link.alive()
            if (
                notifier.watchdog_s is not None
                and loop.time() - told_at + period_s / 2 >= notifier.watchdog_s
            ):
                told_at = loop.time()
                notifier.watchdog()
        await asyncio.sleep(period_s)
