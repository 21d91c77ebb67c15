"""What every process of the system does to itself at its start.

Belongs here: signals and limits of the whole process. Does not: starting processes (vms.supervisor).
"""

import asyncio
import resource
import signal


def stop_signal() -> asyncio.Event:
    """What is set by SIGTERM and SIGINT; ask for it before starting, or a signal meanwhile ends the process."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


def allow_many_files() -> None:
    """Raise the limit on open files as far as allowed: the usual 1024 is meant for programs that use select."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
