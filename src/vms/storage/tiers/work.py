"""What a mover does in tiers, in threads that yield to recording, and never waits for without end.

Belongs here: threads and patience. Does not: what is done (mover, leftovers).
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from vms.storage.body import Body, PlainBody
from vms.storage.tiers.errors import TierSilent, TierUnavailable
from vms.storage.tiers.health import TierHealth
from vms.storage.tiers.pace import MovePace, MoveStopped, yielding_threads
from vms.storage.tiers.store import SourceUnreadable

STALL_S = 300.0  # an S3 client gives a part up after 120 s
PATIENCE_S = 30.0

_Result = TypeVar("_Result")


class TierWork:
    """The threads of one mover. Those that a share keeps for ever are lost to it: then nothing is moved any more."""

    def __init__(self, name: str, threads: int, pace: MovePace) -> None:
        self.stopped = False
        self._pace = pace
        self._threads = yielding_threads(threads, name)

    async def copied(self, name: str, opened: Callable[[], Body], target: TierHealth) -> None:
        """Copy what `opened` gives, and wait for it as long as it goes on.

        Raises TierUnavailable, SourceUnreadable, MoveStopped.
        """
        progress = 0

        def pace(size_bytes: int) -> None:
            nonlocal progress
            progress += 1
            self._pace(size_bytes)

        def copy() -> None:
            try:
                body = opened()
            except (OSError, TierUnavailable) as error:
                raise SourceUnreadable(str(error)) from error
            try:
                target.store.put_file(name, body, pace)
            finally:
                body.close()

        copying = asyncio.ensure_future(self._in_thread(copy))
        seen = -1
        while seen < progress:
            seen = progress
            await asyncio.wait({copying}, timeout=STALL_S)
            if copying.done():
                copying.result()
                if self.stopped:
                    raise MoveStopped  # whoever took over may be removing this copy, by its note
                return
        copying.add_done_callback(_ignored)
        raise TierUnavailable(
            target.store.name, f"a copy stood still for {STALL_S:.0f} s; check its server and the network"
        )

    async def asked(self, tier: TierHealth, work: Callable[[], None]) -> None:
        """Do something short in a tier. Raises TierUnavailable, also when it does not answer."""
        asked = asyncio.ensure_future(self._in_thread(work))
        await asyncio.wait({asked}, timeout=PATIENCE_S)
        if not asked.done():
            asked.add_done_callback(_ignored)
            raise TierSilent(
                tier.store.name, f"did not answer within {PATIENCE_S:.0f} s; check it and the network"
            )
        asked.result()

    def stop(self) -> None:
        """Give up copies at their next piece."""
        self.stopped = True
        self._pace.stop()

    def close(self) -> None:
        """End the threads when they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class PassingBody(PlainBody):
    """A file that is read once, from its beginning to its end: its pages are dropped behind the reader.

    So footage that nobody watches does not push what somebody does out of memory.
    """

    @classmethod
    def of(cls, path: Path) -> Self:
        """Raises OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def read_at(self, offset: int, size: int) -> bytes:
        data = super().read_at(offset, size)
        os.posix_fadvise(self._descriptor, offset, len(data), os.POSIX_FADV_DONTNEED)
        return data


def _ignored(future: "asyncio.Future[None]") -> None:
    """What nobody waits for any more may fail."""
    if not future.cancelled():
        future.exception()
