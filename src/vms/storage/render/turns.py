"""Who may decode next: few at once, the newest first, and those that wait too long in vain.

A pointer that moves over a timeline asks for a picture at every step, and only the last one matters.

Belongs here: the order. Does not: decoding.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vms.storage.render.errors import NoLongerWanted

MOST_WAITING = 48


class Turns:
    """`at_once` have their turn at a time. Counters: given, refused (newer ones took their place)."""

    def __init__(self, at_once: int) -> None:
        self.given = 0
        self.refused = 0
        self._free = at_once
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and have it. Raises NoLongerWanted when MOST_WAITING newer ones wait."""
        await self._wait()
        self.given += 1
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self) -> None:
        if self._free:
            self._free -= 1
            return
        own: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(own)
        if len(self._waiting) > MOST_WAITING:
            self.refused += 1
            self._waiting.pop(0).set_exception(
                NoLongerWanted("newer requests for pictures took the place of this one; ask again")
            )
        try:
            await own
        except asyncio.CancelledError:
            if own in self._waiting:
                self._waiting.remove(own)
            elif not own.cancelled() and own.exception() is None:
                self._pass_on()  # its turn came in the moment in which it left
            raise

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting.pop().set_result(None)
        else:
            self._free += 1
