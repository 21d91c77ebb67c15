"""The supervisor's way to its launcher: descriptors that outlive the supervisor, and signs of life.

Belongs here: the supervisor's side of vms.launcher. Does not: what is kept (vms.app).
"""

import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from typing import Self

from vms import launcher
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


class LauncherLink:
    """Without a launcher, everything here works for this life of the supervisor.

    lifeline: readable, at its end, once the launcher has gone; None without one.
    launcher_pid: None without one. restarts: how many supervisors there were before this one.
    """

    def __init__(
        self, link: socket.socket | None, lifeline: int | None, stored: Mapping[str, int], restarts: int
    ) -> None:
        self.lifeline = lifeline
        self.restarts = restarts
        self.launcher_pid = None if link is None else os.getppid()
        self._link = link
        self._stored = dict(stored)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """What the launcher handed over. To be called once: it takes over the descriptors."""
        if launcher.LINK_VARIABLE not in environ:
            return cls.none()
        link = socket.socket(fileno=int(environ[launcher.LINK_VARIABLE]))
        link.setblocking(False)
        lifeline = int(environ[launcher.LIFELINE_VARIABLE])
        entries = [entry for entry in environ.get(launcher.STORE_VARIABLE, "").split(",") if entry]
        stored = {name: int(number) for name, _, number in (entry.rpartition("=") for entry in entries)}
        for number in (link.fileno(), lifeline, *stored.values()):
            os.set_inheritable(number, False)
        return cls(link, lifeline, stored, int(environ.get(launcher.RESTARTS_VARIABLE, "0")))

    @classmethod
    def none(cls) -> Self:
        """For a supervisor without a launcher."""
        return cls(None, None, {}, 0)

    def stored(self, name: str) -> int | None:
        """The descriptor that was kept under `name`, by this supervisor or one before; it stays ours."""
        return self._stored.get(name)

    def keep(self, name: str, descriptor: int) -> None:
        """Have a copy of `descriptor` kept under `name`, in the place of what was.

        Raises ValueError for a name that cannot be passed on. A launcher that does not listen is logged.
        """
        if not name.isascii() or not name.replace("-", "").isalnum():
            raise ValueError(f"name of a descriptor {name!r}: letters, digits and hyphens")
        copy = os.dup(descriptor)
        before = self._stored.get(name)
        self._stored[name] = copy
        # Not dropped first: were we to die in between, a lock would be lost with all who hold it alive
        self._say(launcher.STORE + name.encode(), copy)
        if before is not None:
            os.close(before)

    def drop(self, name: str) -> None:
        """Keep `name` no longer."""
        copy = self._stored.pop(name, None)
        if copy is not None:
            os.close(copy)
            self._say(launcher.FORGET + name.encode())

    def listener(
        self, name: str, host: str, port: int, listen: Callable[[str, int], socket.socket]
    ) -> socket.socket:
        """The listening socket that is kept under `name` if it is at this address, else a new one by `listen`.

        port: 0 takes the one that is kept, whatever its port. Raises what `listen` raises.
        """
        number = self.stored(name)
        if number is not None:
            kept = socket.socket(fileno=os.dup(number))
            if _is_at(kept, host, port):
                return kept
            kept.close()
        self.drop(name)
        listener = listen(host, port)
        self.keep(name, listener.fileno())
        return listener

    def pipe(self, name: str) -> tuple[int, int] | None:
        """(reading end, writing end) of a pipe that is the same in every life of the supervisor; None without
        a launcher, which is who keeps it open."""
        if self._link is None:
            return None
        for end, descriptor in zip(("r", "w"), _new_pipe(self._stored, name), strict=True):
            if descriptor is not None:
                self.keep(f"{name}-{end}", descriptor)
                os.close(descriptor)
        return self._stored[f"{name}-r"], self._stored[f"{name}-w"]

    def ready(self) -> None:
        """From now on a death is an accident: before, an exit with a status refuses the start. SIGHUP may come."""
        self._say(launcher.READY)

    def alive(self) -> None:
        """Once said, it is to be said every second: the launcher kills a supervisor that falls silent."""
        self._say(launcher.ALIVE)

    def close(self) -> None:
        """Give up our copies; the launcher keeps its own."""
        descriptors = [*self._stored.values(), *(() if self.lifeline is None else (self.lifeline,))]
        self._stored.clear()
        self.lifeline = None
        for descriptor in descriptors:
            os.close(descriptor)
        if self._link is not None:
            self._link.close()
            self._link = None

    def _say(self, what: bytes, *descriptors: int) -> None:
        if self._link is None:
            return
        try:
            if descriptors:
                socket.send_fds(self._link, [what], descriptors)
            else:
                self._link.send(what)
        except OSError as error:  # it is gone, which the lifeline tells, or is being stopped in a debugger
            log.warning("the launcher does not listen", reason=error.strerror)


def _new_pipe(stored: Mapping[str, int], name: str) -> tuple[int | None, int | None]:
    if f"{name}-r" in stored and f"{name}-w" in stored:
        return None, None
    return os.pipe()


def _is_at(listener: socket.socket, host: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        wanted = {
            info[4][0]
            for info in socket.getaddrinfo(host, port, type=listener.type, flags=socket.AI_PASSIVE)[:1]
        }
        address = listener.getsockname()
        return address[0] in wanted and port in (0, address[1])
    return False
