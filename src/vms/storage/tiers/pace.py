"""How fast footage is moved: never in the way of recording.

Belongs here: waiting between pieces, and threads that yield. Does not: what is copied (store, mover).
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

RATE_BYTES_S = 50 << 20
"""Of all copies of a volume together; a disk reads several times as fast."""
_NICE = 19
_LEAST_WAIT_S = 0.01


class MoveStopped(Exception):
    """The process ends; a copy that was begun is given up."""


class MovePace:
    """Called with the size of each piece; shared by the copies of a volume. hurry: a full volume waits, do not."""

    def __init__(self, rate_bytes_s: int = RATE_BYTES_S) -> None:
        self.hurry = False
        self._rate_bytes_s = rate_bytes_s
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._free_at_s = 0.0

    def __call__(self, size_bytes: int) -> None:
        """Raises MoveStopped."""
        wait_s = 0.0
        if not self.hurry:
            with self._lock:
                now_s = time.monotonic()
                self._free_at_s = max(self._free_at_s, now_s) + size_bytes / self._rate_bytes_s
                wait_s = self._free_at_s - now_s
        if wait_s < _LEAST_WAIT_S:
            wait_s = 0.0
        if self._stopping.wait(wait_s) if wait_s else self._stopping.is_set():
            raise MoveStopped

    def stop(self) -> None:
        """End copies at their next piece."""
        self._stopping.set()


def yielding_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Threads that get the processor, and on most disks their turn, when nobody else wants it."""
    return ThreadPoolExecutor(count, thread_name_prefix=name, initializer=_yield_to_others)


def _yield_to_others() -> None:
    # On Linux a nice value is a thread's (sched(7)), and its I/O priority follows (ioprio_get(2)).
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
