"""Tell systemd how we are: sd_notify(3), over the datagram socket that it names. Without one, nothing is done.

The launcher is the service's main process and this is not, so the unit says ``NotifyAccess=all``; WATCHDOG_PID names the
launcher and is not looked at.

Belongs here: the protocol. Does not: when which is said (running).
"""

import os
import socket
import time
from collections.abc import Mapping

from vms.telemetry.logs import get_logger

log = get_logger(__name__)

NOTIFY_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """watchdog_s: how often `watchdog` is to be called (half of what systemd waits); None when it does not wait."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.watchdog_s = _watchdog_s(environ.get("WATCHDOG_USEC", ""))
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        else:
            self.watchdog_s = None

    def ready(self, status: str = "") -> None:
        """The system works, or has finished reloading."""
        self._send("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def reloading(self) -> None:
        """A new configuration is being applied; `ready` is to follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The recordings are being closed."""
        self._send("STOPPING=1", "STATUS=closing the recordings")

    def watchdog(self) -> None:
        """All is well."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError as error:
            log.warning("the service manager does not listen", reason=error.strerror)


def _watchdog_s(microseconds: str) -> float | None:
    return int(microseconds) / 2e6 if microseconds.isdigit() and int(microseconds) > 0 else None
