"""Processes that are ready at once: one that has imported everything forks, instead of each importing anew.

Importing costs a worker most of a second and some 60 MB. A fork costs some 10 ms, and shares those pages until they are
written to; so a media process that died is recording again well within a second, on a loaded machine too.

    supervisor ──env, descriptors──▶ fork server ──▶ a child that forks once more and ends
                ◀──────pid──────────                  └──▶ the worker, whose parent becomes the supervisor (it is
                                                           the nearest subreaper, prctl(2)), as if it had started it

The server runs no thread and no event loop, so that a fork of it is a whole process. It ends with the supervisor.
Where it cannot be had, workers are started by exec as before.

Belongs here: both ends of the arrangement. Does not: what is imported (vms.app), the worker's life (worker).
"""

import asyncio
import contextlib
import ctypes
import fcntl
import gc
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence

from vms.supervisor.process import Process
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

LINK_VARIABLE = "VMS_FORK_LINK_FD"
NAME_PREFIX = "vms-"  # of a worker's command name (proc(5), comm), by which a stray one is known

READY_S = 20.0
_ANSWER_S = 3.0
_AGAIN_S = 1.0
_MESSAGE_BYTES = 1 << 17
_MOST_FDS = 64
_HIGH = 512  # descriptors wait above this for their own numbers
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_READY = b"ready"


class ForkServer:
    """The supervisor's end. argv: runs `become_worker`, imports done."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)
        self._link: socket.socket | None = None  # of a server that is ready
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the server, which is kept running from then on."""
        _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._task = asyncio.create_task(self._keep(), name="fork server")

    async def wait_ready(self) -> None:
        """Wait until it can fork, READY_S at most; it can be done without."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), READY_S)

    async def stop(self) -> None:
        """End the server; what it forked goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def fork(self, name: str, env: Mapping[str, str], fds: Sequence[int]) -> Process | None:
        """A worker with this environment and these descriptors under their numbers; None when there is no server.

        Waits for the answer: the supervisor has nothing more urgent to do.
        """
        link = self._link
        if link is None:
            return None
        request = json.dumps({"name": name, "env": dict(env), "fds": list(fds)}).encode()
        try:
            link.settimeout(_ANSWER_S)
            socket.send_fds(link, [request], list(fds))
            pid = int(link.recv(64))
        except (OSError, ValueError) as error:
            log.warning("the fork server does not answer; starting a worker by exec", reason=str(error))
            self._lose()
            return None
        return Process.of_child(pid)

    async def _keep(self) -> None:
        while True:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with ours:
                with theirs:
                    env = os.environ | {LINK_VARIABLE: str(theirs.fileno())}
                    server = Process.spawn(self._argv, env, [theirs.fileno()])
                try:
                    await self._serve(ours, server)
                finally:
                    self._lose()
                    server.send(signal.SIGKILL)
            await asyncio.sleep(_AGAIN_S)

    async def _serve(self, ours: socket.socket, server: Process) -> None:
        """Wait until the server is ready, then until it has ended or did not answer."""
        ours.setblocking(False)
        greeting = asyncio.create_task(asyncio.get_running_loop().sock_recv(ours, 64))
        try:
            await asyncio.wait((greeting, server.ended), return_when=asyncio.FIRST_COMPLETED)
            if not greeting.done() or greeting.result() != _READY:
                log.error("the fork server could not start; workers are started by exec")
                return
        finally:
            greeting.cancel()
        self._link = ours
        self._ready.set()
        while self._link is ours and not await server.wait(_AGAIN_S):
            pass

    def _lose(self) -> None:
        self._link = None


def become_worker(environ: Mapping[str, str] = os.environ) -> None:
    """Serve forks; returns in each of them, which is a worker from then on. The server itself never returns."""
    link = socket.socket(fileno=int(environ[LINK_VARIABLE]))
    gc.collect()
    gc.freeze()  # or the first collection of a fork would write to every page that it shares
    link.send(_READY)
    while True:
        data, fds, _, _ = socket.recv_fds(link, _MESSAGE_BYTES, _MOST_FDS)
        if not data:
            os._exit(0)  # the supervisor has gone
        request = json.loads(data)
        pid = _fork_twice()
        if pid == 0:
            link.close()
            _settle(request["name"], request["env"], dict(zip(request["fds"], fds, strict=True)))
            return
        for received in fds:
            os.close(received)
        link.send(str(pid).encode())


def _fork_twice() -> int:
    """The number of a grandchild that has lost its parent; 0 in the grandchild."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild == 0:
            os.close(reading)
            os.close(writing)
            return 0
        os.write(writing, str(grandchild).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    try:
        return int(os.read(reading, 64))
    finally:
        os.close(reading)


def _settle(name: str, env: Mapping[str, str], received: Mapping[int, int]) -> None:
    """Take on a worker's session, name, environment and descriptors."""
    os.setsid()
    _libc().prctl(_PR_SET_NAME, f"{NAME_PREFIX}{name}".encode()[:15], 0, 0, 0)
    os.environ.clear()
    os.environ.update(env)
    waiting = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH) for number, fd in received.items()}
    os.closerange(3, _HIGH)
    for number, high in waiting.items():
        os.dup2(high, number, inheritable=False)
        os.close(high)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
