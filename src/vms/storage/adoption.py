"""Give recordings in tiers their rows when the catalog was lost: nobody else knows of them.

Once a tier and catalog; a tier that is new holds nothing, so that is a listing. What is there is read by range, file by
file, which may take hours; it goes on beside everything else, and begins anew with the next life.

Belongs here: when. Does not: how (recovery.adopt_all).
"""

import asyncio
from collections.abc import Mapping

from vms.common.clock import NS, Clock
from vms.storage import recovery
from vms.storage.errors import StorageError
from vms.storage.kept_volume import KeptVolume
from vms.storage.repair import RecoveryCounters
from vms.storage.tiers import TierStore
from vms.telemetry.logs import get_logger

AGAIN_NS = 60 * NS

log = get_logger(__name__)


class Adoption:
    """Of the tiers of one volume."""

    def __init__(
        self, volume: KeptVolume, stores: Mapping[str, TierStore], counters: RecoveryCounters, clock: Clock
    ) -> None:
        self._volume = volume
        self._stores = dict(stores)
        self._counters = counters
        self._clock = clock
        self._due_ns = 0
        self._told = ""
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin what is due, once the volume's own files have their rows; waits for nothing."""
        idle = self._task is None or self._task.done()
        if self._stores and idle and self._clock.monotonic_ns() >= self._due_ns:
            self._due_ns = self._clock.monotonic_ns() + AGAIN_NS
            self._task = asyncio.create_task(self._adopt(), name=f"adopt {self._volume.path}")

    async def settled(self) -> None:
        """Wait until what was begun is done, or failed."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Let go; a file that is being read is read to its end."""
        self._stores.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _adopt(self) -> None:
        try:
            for name, store in list(self._stores.items()):
                if not await self._volume.catalog.run(lambda each, name=name: each.adopted(name)):  # type: ignore[misc]
                    await asyncio.to_thread(recovery.adopt_all, self._volume, store, self._counters)
                    await self._volume.catalog.run(lambda each, name=name: each.mark_adopted(name))  # type: ignore[misc]
                self._stores.pop(name, None)
        except StorageError as error:
            if str(error) == self._told:
                return
            self._told = str(error)
            log.warning(
                "recordings in a tier wait for their rows", path=str(self._volume.path), reason=str(error)
            )
        except Exception as error:
            log.error("giving recordings in tiers their rows failed", exc_info=error)
