"""A moment until which something must have happened, that moves with every request.

Belongs here: one timer for however many moves. Does not: what must happen, and how long it may take (http1).
"""

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """late: called once it has passed. Moving it later touches no timer: the timer looks where it is when it comes."""

    def __init__(self, late: Callable[[], None]) -> None:
        self._late = late
        self._at_s = inf
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> None:
        """Set it so far from now."""
        loop = asyncio.get_running_loop()
        self._at_s = loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= self._at_s:
                return
            self._timer.cancel()
        self._timer = loop.call_at(self._at_s, self._look)

    def lift(self) -> None:
        """There is none for now."""
        self._at_s = inf

    def stop(self) -> None:
        """There will be none any more."""
        self._at_s = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        if self._at_s <= loop.time():
            self._late()
        elif self._at_s != inf:
            self._timer = loop.call_at(self._at_s, self._look)
