"""Copies that are too much: of recordings that were moved or deleted, and of moves that did not end.

Belongs here: removing them, and noting moves so that they are found. Does not: moving (mover), noting removals (catalog).
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from vms.storage import disk
from vms.storage.catalog import ON_VOLUME, Catalog
from vms.storage.catalog_tiers import Removal
from vms.storage.errors import VolumeUnavailable
from vms.storage.kept_volume import KeptVolume
from vms.storage.tiers.errors import TierSilent, TierUnavailable
from vms.storage.tiers.health import TierHealth
from vms.storage.tiers.moving import Begun, MovingNotes
from vms.storage.tiers.work import TierWork
from vms.telemetry.logs import get_logger

REMOVED_AT_ONCE = 256

log = get_logger(__name__)

_Result = TypeVar("_Result")


class Leftovers:
    """Those of one volume. Every method raises StorageError of the volume and its catalog."""

    def __init__(self, volume: KeptVolume, tiers: Mapping[str, TierHealth], work: TierWork) -> None:
        self._volume = volume
        self._tiers = tiers
        self._work = work
        self._notes = MovingNotes(volume.path)
        self._noting = asyncio.Lock()
        self._cleaning = asyncio.Lock()
        self._resuming = asyncio.Lock()
        self._resumed = False
        self._told: set[Path] = set()
        self.doubtful: set[UUID] = set()
        """Recordings that must not move in this life: an old copy may be removed late, when a new one has taken its place."""

    async def note(self, begun: Begun) -> None:
        """A copy begins; durable when this returns."""
        await self.resume()  # or what is begun here is taken for an earlier life's
        await self._change(self._notes.add, begun)

    async def drop(self, begun: Begun) -> None:
        """A copy has its row, or is not there."""
        await self._change(self._notes.drop, begun)

    async def resume(self) -> None:
        """Remove copies that an earlier life began and that got no row: of recordings that are safe elsewhere."""
        async with self._resuming:
            if self._resumed:
                return
            for begun in await asyncio.to_thread(self._read_notes):
                if await self._forget_copy(begun):
                    await self.drop(begun)
            self._resumed = True

    async def _forget_copy(self, begun: Begun) -> bool:
        """Whether nothing is left to do about a copy that was begun.

        Without a row nothing is known of the recording, and its copy may be the only one: it stays.
        """
        tier = self._tiers.get(begun.tier)
        row = await self._ask(lambda each: each.find(begun.segment_id))
        if tier is None or row is None or row.tier == begun.tier:
            return True
        try:
            await self._work.asked(tier, lambda: tier.store.delete([begun.name]))
        except TierUnavailable as error:
            tier.failed(error)
            if isinstance(error, TierSilent):
                self.doubtful.add(begun.segment_id)
            return False  # it is moved there again, or its note is looked at by the next life
        return True

    def _read_notes(self) -> list[Begun]:
        with _volume_errors(self._volume.path):
            return self._notes.read()

    async def clean(self) -> None:
        """Remove copies that the catalog says are too much: of recordings that were moved, or deleted."""
        async with self._cleaning:
            for tier in (ON_VOLUME, *self._tiers):  # one that is configured no more keeps what it has
                await self._clean(tier)

    async def _clean(self, tier: str) -> None:
        while not self._work.stopped:
            removals = await self._ask(lambda each: each.removals(REMOVED_AT_ONCE, tier))
            done = await self._remove(tier, removals) if removals else ()
            if done:
                await self._removed(done)
            if len(done) < REMOVED_AT_ONCE:  # the last, or some stay, or the tier is away
                return

    async def _removed(self, removals: Sequence[Removal]) -> None:
        await self._ask(lambda each: each.removed(removals))

    async def _remove(self, tier_name: str, removals: Sequence[Removal]) -> Sequence[Removal]:
        """Gives those that are gone. Raises VolumeUnavailable."""
        names = [each.segment.path.relative_to(self._volume.path).as_posix() for each in removals]
        if not tier_name:
            paths = [each.segment.path for each in removals]
            staying = await asyncio.to_thread(self._remove_local, paths)
            return [each for each in removals if each.segment.path not in staying]
        tier = self._tiers[tier_name]
        if not tier.due:
            return ()
        try:
            await self._work.asked(tier, lambda: tier.store.delete(names))
        except TierUnavailable as error:
            tier.failed(error)
            return ()
        tier.works()
        return removals

    def _remove_local(self, paths: Sequence[Path]) -> Collection[Path]:
        """Gives those that stay; each is said once."""
        with _volume_errors(self._volume.path):
            staying = disk.remove_each(paths, self._volume.path)
        for path, error in staying.items():
            if path not in self._told:
                self._told.add(path)
                log.error(
                    "a recording was moved, and its old file cannot be removed. Is it immutable (lsattr)?",
                    path=str(path),
                    reason=error.strerror or str(error),
                )
        return staying

    async def _change(self, change: Callable[[Begun], None], begun: Begun) -> None:
        def write() -> None:
            with _volume_errors(self._volume.path):
                change(begun)

        async with self._noting:
            await asyncio.to_thread(write)

    async def _ask(self, question: Callable[[Catalog], _Result]) -> _Result:
        return await self._volume.catalog.run(question)


@contextmanager
def _volume_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VolumeUnavailable.from_os_error(path, error) from error
