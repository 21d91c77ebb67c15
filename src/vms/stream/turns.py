"""Give what comes to all who take it: one item after the other, in slices of the event loop's time.

With a thousand takers an item takes milliseconds, in which nothing else of the process would run. So a walk over them
stops after a while and goes on in the next turn of the loop. Another taker is the first for each item, so that
being last is nobody's lot.

Belongs here: the order, the slices, what waits. Does not: how much may wait (each feed), what one taker gets (viewers).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from vms.common.clock import Clock

Taker = TypeVar("Taker")
Item = TypeVar("Item")


class Turns(Generic[Taker, Item]):
    """deliver: gives one taker one item, without waiting. failed: told of a taker for which that raised; the others go on,
    and it must not raise.

    slice_ns: how long one turn may hold the event loop. on_done: told of an item that all have been given.
    now_ns: when the clock was last looked at, monotonic: for `deliver` just before it, for `on_done` just after the last.
    """

    def __init__(
        self,
        clock: Clock,
        deliver: Callable[[Taker, Item], None],
        failed: Callable[[Taker, Exception], None],
        *,
        slice_ns: int,
        on_done: Callable[[Item], None] = lambda item: None,
    ) -> None:
        self.takers: tuple[Taker, ...] = ()
        self.now_ns = 0
        self._monotonic_ns = clock.monotonic_ns
        self._deliver = deliver
        self._failed = failed
        self._slice_ns = slice_ns
        self._on_done = on_done
        self._waiting: deque[Item] = deque()  # the walk of the first has begun
        self._order: tuple[Taker, ...] = ()
        self._first = 0
        self._served = 0
        self._walk: asyncio.Handle | None = None

    def __len__(self) -> int:
        """How many items wait, the one that is being given included."""
        return len(self._waiting)

    @property
    def oldest(self) -> Item | None:
        """What is being given, or is next."""
        return self._waiting[0] if self._waiting else None

    def add(self, taker: Taker) -> None:
        """From the next walk on, which may be that of an item which waits already."""
        self.takers = (*self.takers, taker)

    def remove(self, taker: Taker) -> None:
        """What is being given may still come to it."""
        self.takers = tuple(other for other in self.takers if other is not taker)

    def put(self, item: Item) -> None:
        """Give it to all once what waits has been given."""
        self._waiting.append(item)
        if self._walk is None:
            self._begin()
            self._walk = asyncio.get_running_loop().call_soon(self._go_on)

    def shed(self, keep: Callable[[Item], bool] = lambda item: False) -> int:
        """Drop what waits, but for the item whose walk has begun and those to keep; how many were dropped."""
        before = len(self._waiting)
        kept = [item for number, item in enumerate(self._waiting) if number == 0 or keep(item)]
        self._waiting.clear()
        self._waiting.extend(kept)
        return before - len(kept)

    def clear(self) -> None:
        """Give nothing more of what waits, not even the rest of what has begun."""
        self._waiting.clear()
        self._order = ()
        if self._walk is not None:
            self._walk.cancel()
            self._walk = None

    def _begin(self) -> None:
        takers = self.takers
        first = self._first % len(takers) if takers else 0
        self._first = first + 1
        self._order = takers[first:] + takers[:first]
        self._served = 0

    def _go_on(self) -> None:
        walk = self._walk
        self.now_ns = self._monotonic_ns()
        end_ns = self.now_ns + self._slice_ns
        while self._waiting and self.now_ns < end_ns:
            item = self._waiting[0]
            given = self._give(item, end_ns)
            if self._walk is not walk:  # cleared by a taker; what has come since then has a walk of its own
                return
            if given:
                self._waiting.popleft()
                self._on_done(item)
                if self._waiting:
                    self._begin()
        self._walk = asyncio.get_running_loop().call_soon(self._go_on) if self._waiting else None

    def _give(self, item: Item, end_ns: int) -> bool:
        """To those who have not had it. False: time is up."""
        deliver, monotonic_ns, order = self._deliver, self._monotonic_ns, self._order
        for number in range(self._served, len(order)):
            taker = order[number]
            try:
                deliver(taker, item)
            except Exception as error:  # noqa: BLE001 - one taker must never end the walk of the others
                self._failed(taker, error)
            self.now_ns = now_ns = monotonic_ns()
            if now_ns >= end_ns:
                self._served = number + 1
                return self._served == len(order)
        return True
