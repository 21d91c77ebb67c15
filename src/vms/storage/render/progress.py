"""How far an export is, shared by the event loop and the thread that works on it.

Belongs here: counting, and being told to stop. Does not: the work.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

_Result = TypeVar("_Result")


class Stopped(Exception):  # not an error: the work was given up on purpose
    """The export was cancelled."""


class Progress:
    """share: 0 to 1. stage: what is being done. size_bytes: written so far."""

    def __init__(self, executor: Executor) -> None:
        """executor: the exports' one thread."""
        self.stage = ""
        self.size_bytes = 0
        self.share = 0.0
        self._executor = executor
        self._stopped = threading.Event()

    def part(self, first: float, last: float) -> Callable[[float], None]:
        """What tells this how much of a part of the work, from `first` to `last` of the whole, is done (0 to 1)."""

        def tell(share: float) -> None:
            self.share = max(self.share, first + (last - first) * min(max(share, 0.0), 1.0))

        return tell

    def stop(self) -> None:
        """Let the thread end soon."""
        self._stopped.set()

    def check(self) -> None:
        """Called by the thread, often. Raises Stopped."""
        if self._stopped.is_set():
            raise Stopped

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Do `work` in the exports' thread; when this is cancelled the thread is stopped, and has ended on return."""
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # seen
            raise

    async def settle(self, work: Callable[[], object]) -> None:
        """Do `work`, which is short, in the exports' thread after a failure; it is done also when this is cancelled."""
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise
