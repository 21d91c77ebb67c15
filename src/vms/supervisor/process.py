"""One process of the operating system: spawned, or found running; watched by a pidfd (pidfd_open(2)).

A pidfd is readable once its process has ended, whoever its parent is, and cannot come to mean another process.

Belongs here: the system calls. Does not: what should run, and when (worker).
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from vms.common.process_identity import start_ticks

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Process:
    """A process that runs, until `ended` is done. Made by `spawn` and `find`, within an event loop."""

    def __init__(self, pid: int, ticks: int, pidfd: int) -> None:
        """Takes over `pidfd`."""
        self.pid = pid
        self.start_ticks = ticks
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._pidfd = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._end)

    @classmethod
    def spawn(cls, argv: Sequence[str], env: Mapping[str, str], fds: Iterable[int]) -> Self:
        """Start `argv` in a session of its own, with standard streams and `fds` alone. Raises OSError."""
        pid = os.posix_spawnp(
            argv[0],
            list(argv),
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                # A descriptor copied onto itself is one that survives exec
                *((os.POSIX_SPAWN_DUP2, number, number) for number in sorted(set(fds))),
            ],
            setsid=True,  # Ctrl+C is for the launcher, which has all stopped in order
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
        )
        # Our child keeps its number until we ask for its status, so this is it
        try:
            return cls.of_child(pid)
        except OSError:  # no descriptor is left to watch it by
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    @classmethod
    def of_child(cls, pid: int) -> Self:
        """A child of this process that was not asked for its status. Raises OSError when it cannot be watched."""
        return cls(pid, start_ticks(pid) or _now_ticks(), os.pidfd_open(pid))

    @classmethod
    def find(cls, pid: int, ticks: int) -> Self | None:
        """The process `pid` if it is the one that started at `ticks` and still runs, whoever its parent is."""
        if pid <= 0:
            return None
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return None
        # Asked after the pidfd was opened, which from then on means the one that was asked about
        if start_ticks(pid) != ticks:
            os.close(pidfd)
            return None
        return cls(pid, ticks, pidfd)

    def age_s(self) -> float:
        """How long it has been running."""
        return max(time.clock_gettime(time.CLOCK_BOOTTIME) - self.start_ticks / _TICKS_PER_S, 0.0)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing when it has ended."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within `timeout_s`."""
        await asyncio.wait([self.ended], timeout=timeout_s)
        return self.ended.done()

    def release(self) -> None:
        """Watch it no more; it runs on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _end(self) -> None:
        status = self._exit_status()
        self.release()
        if not self.ended.done():
            self.ended.set_result(status)

    def _exit_status(self) -> int | None:
        """Exit status, minus the number of the signal that killed it, None for one that is not our child."""
        try:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _now_ticks() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS_PER_S)


def describe(status: int | None) -> str:
    """An exit status in words."""
    if status is None:
        return "ended"
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
