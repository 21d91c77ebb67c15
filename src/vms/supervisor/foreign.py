"""Become a program that is not ours, and have the kernel end it when all others have gone.

``python foreign.py FD COMMAND …``: FD is the reading end of a pipe whose writing end every process of the system has.
Its hang-up raises SIGTERM here (fcntl(2), F_SETSIG), also after COMMAND has taken this process over. So nothing stays
behind a system whose launcher and supervisor were both killed, and no process is needed to see to it.

Belongs here: the standard library alone: this costs its start. Does not: the order among our own (child).
"""

import fcntl
import os
import select
import signal
import sys
from collections.abc import Sequence


def command(descriptor: int, argv: Sequence[str]) -> list[str]:
    """The argv that runs `argv` so."""
    return [sys.executable, "-I", "-S", __file__, str(descriptor), *argv]


def become(descriptor: int, argv: Sequence[str]) -> None:
    """Ask for the signal, and exec. Raises OSError when the command cannot be run."""
    # The owner of the signal belongs to what open(2) made, which others share: so a new one
    own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK)
    os.close(descriptor)
    fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(own, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    os.set_inheritable(own, True)
    if select.select([own], [], [], 0)[0]:
        return  # they went meanwhile
    os.execvp(argv[0], list(argv))  # noqa: S606 - an argv of the supervisor's


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
