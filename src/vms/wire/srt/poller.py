"""One thread that waits for SRT sockets and hands what is ready to the event loop.

Sockets of the library are no descriptors that an event loop could wait for. The thread waits again once the loop has
taken what it was told, so at most one list is under way.

Belongs here: readiness. Does not: sockets (socket), what they carry.
"""

import asyncio
import ctypes
import threading
from collections.abc import Callable
from typing import Self

from vms.telemetry.logs import get_logger
from vms.wire.srt.errors import SrtUnavailable
from vms.wire.srt.library import INVALID, EpollEvent, Ready, last_error, library

log = get_logger(__name__)

MOST_EVENTS = 256  # at once; more are told in the next turn
WAIT_MS = 200
"""How long a stop may take; the thread sleeps meanwhile."""
_ENABLE_EMPTY = 1  # SRT_EPOLL_ENABLE_EMPTY: waiting for nothing is no error

OnReady = Callable[[int], None]
"""Told what a socket is ready for: `Ready` flags."""


class SrtPoller:
    """`watch` sockets between `start` and `stop`, on the event loop that started it. lib: there once it is started."""

    def __init__(self) -> None:
        self.lib: ctypes.CDLL
        self._handlers: dict[int, OnReady] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._id = INVALID
        self._taken = threading.Semaphore(0)
        self._ends = False

    async def start(self) -> Self:
        """Raises SrtUnavailable, without the library for example."""
        self.lib = library()
        self._loop = asyncio.get_running_loop()
        self._id = int(self.lib.srt_epoll_create())
        if self._id == INVALID:
            raise SrtUnavailable(f"SRT cannot wait for sockets: {last_error(self.lib)[1]}")
        self.lib.srt_epoll_set(self._id, _ENABLE_EMPTY)
        self._taken, self._ends = threading.Semaphore(0), False
        self._thread = threading.Thread(target=self._run, name="srt-poller", daemon=True)
        self._thread.start()
        return self

    async def stop(self) -> None:
        """Wait for no socket any more. Sockets stay open."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ends = True
        self._taken.release()
        await asyncio.to_thread(thread.join)
        self.lib.srt_epoll_release(self._id)
        self._handlers.clear()

    def watch(self, number: int, on_ready: OnReady, *, reading: bool = False, writing: bool = False) -> None:
        """Tell `on_ready` of failures of a socket, and of the changes that are asked for; again to ask for others.

        Each change is told once: who is told that it can read reads until there is nothing.
        """
        events = Ready.ERR | Ready.EDGE | (Ready.IN if reading else 0) | (Ready.OUT if writing else 0)
        held = ctypes.c_int(ctypes.c_int32(events).value)
        known = number in self._handlers
        call = self.lib.srt_epoll_update_usock if known else self.lib.srt_epoll_add_usock
        if call(self._id, number, ctypes.byref(held)) == INVALID:
            raise SrtUnavailable(f"SRT cannot wait for a socket: {last_error(self.lib)[1]}")
        self._handlers[number] = on_ready

    def forget(self, number: int) -> None:
        """Without effect for one that is not watched."""
        if self._handlers.pop(number, None) is not None:
            self.lib.srt_epoll_remove_usock(self._id, number)

    def _run(self) -> None:
        """In the thread."""
        events = (EpollEvent * MOST_EVENTS)()
        assert self._loop is not None
        while not self._ends:
            found = int(self.lib.srt_epoll_uwait(self._id, events, MOST_EVENTS, WAIT_MS))
            if found <= 0 or self._ends:
                if found == INVALID and not self._ends:
                    threading.Event().wait(0.05)  # never in a tight circle, whatever it is
                continue
            ready = [(each.fd, each.events) for each in events[: min(found, MOST_EVENTS)]]
            try:
                self._loop.call_soon_threadsafe(self._tell, ready)
            except RuntimeError:
                return  # the loop is closed
            self._taken.acquire()

    def _tell(self, ready: list[tuple[int, int]]) -> None:
        """On the loop."""
        for number, events in ready:
            handler = self._handlers.get(number)
            if handler is None:
                continue
            try:
                handler(events & 0xF)
            except Exception:
                log.exception(
                    "what a SRT socket was ready for could not be done; it is left alone from now on"
                )
                self.forget(number)
        self._taken.release()
