"""Move recordings into tiers: when they are old enough, and earlier when their volume is full.

Order: note → copy → check what was written → row → remove the old copy. Whatever step is interrupted, the recording
is where its row says, and what is too much is removed later: an old copy by the catalog's list of removals, a copy that
got no row by its note.

Belongs here: which recording goes where, and when. Does not: copying (directory, object), deleting for age or room
(retention), rows (catalog).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from vms.common.clock import NS, Clock
from vms.storage.body import Body
from vms.storage.catalog import Catalog
from vms.storage.errors import StorageError
from vms.storage.keeping import TierState
from vms.storage.kept_volume import KeptVolume
from vms.storage.segment import Segment
from vms.storage.tiers.errors import TierUnavailable
from vms.storage.tiers.health import TierHealth
from vms.storage.tiers.leftovers import Leftovers
from vms.storage.tiers.moving import Begun
from vms.storage.tiers.pace import RATE_BYTES_S, MovePace, MoveStopped
from vms.storage.tiers.store import SourceUnreadable, TierStore
from vms.storage.tiers.work import PassingBody, TierWork
from vms.telemetry.logs import get_logger

AT_ONCE = 2
BATCH = 32
ROOM_PATIENCE_S = 20.0
STOP_PATIENCE_S = 15.0  # longer than a server is waited for; a share may hang for ever
_UNREADABLE_PAUSE_NS = 600 * NS

log = get_logger(__name__)
_Result = TypeVar("_Result")


@dataclass
class _Room:
    """Room that is being made."""

    task: asyncio.Task[None]
    freed_bytes: int = 0


class TierMover:
    """Moves the recordings of one volume; its keeper's. All methods are the event loop's and wait for no disk on it.

    Counters: moved (recordings), moved_bytes, failures (of tiers).
    """

    def __init__(
        self,
        volume: KeptVolume,
        stores: Mapping[str, TierStore],
        clock: Clock,
        *,
        rate_bytes_s: int = RATE_BYTES_S,
    ) -> None:
        """stores: of `open_tiers`, in the order in which recordings go through them."""
        self.moved = 0
        self.moved_bytes = 0
        self.failures = 0
        self._volume = volume
        self._clock = clock
        self._tiers = {name: TierHealth(store, clock) for name, store in stores.items()}
        self._pace = MovePace(rate_bytes_s)
        self._threads = TierWork(f"move-{volume.path.name}", AT_ONCE + 1, self._pace)
        self._leftovers = Leftovers(volume, self._tiers, self._threads)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._busy: set[UUID] = set()
        self._unreadable: dict[UUID, int] = {}  # until when (monotonic ns) they are let be
        self._work: asyncio.Task[None] | None = None
        self._room: _Room | None = None
        self._failure: StorageError | None = None

    # -- what a keeper calls ------------------------------------------------------------------------------

    async def look(self) -> None:
        """Begin what is due, unless that goes on already; quick. Raises what the last of it failed with (StorageError)."""
        failure, self._failure = self._failure, None
        if self._tiers and not self._threads.stopped and (self._work is None or self._work.done()):
            self._work = asyncio.create_task(self._run())
        if failure is not None:
            raise failure

    async def settled(self) -> None:
        """Wait until what is due now was done, or failed."""
        await self.look()
        if self._work is not None:
            await asyncio.shield(self._work)

    async def make_room(self, size_bytes: int, within_s: float = ROOM_PATIENCE_S) -> int:
        """Move the oldest recordings off the volume whatever their age; gives how many bytes that freed.

        Fewer than `size_bytes` when tiers are away or full, there is nothing left to move, or it takes longer than
        `within_s`: then retention has to delete. Raises StorageError of the catalog.
        """
        if self._room is None or self._room.task.done():
            self._room = _Room(asyncio.create_task(self._make_room(size_bytes)))
        room = self._room  # an earlier call's, when that was not patient enough
        before_bytes = room.freed_bytes
        await asyncio.wait({room.task}, timeout=within_s)
        if room.task.done():
            room.task.result()
        return room.freed_bytes - before_bytes

    def states(self) -> tuple[TierState, ...]:
        """The tiers in their order; used bytes as of the last look."""
        return tuple(
            TierState(
                name,
                tier.store.kind,
                tier.used_bytes,
                tier.store.quota_bytes,
                str(tier.error) if tier.error is not None else "",
            )
            for name, tier in self._tiers.items()
        )

    def alarms(self) -> tuple[str, ...]:
        """Slugs: ``tier_unreachable:NAME``, ``tier_full:NAME``."""
        full = [name for name, tier in self._tiers.items() if tier.full]
        away = [name for name, tier in self._tiers.items() if tier.error is not None and name not in full]
        return (*(f"tier_unreachable:{name}" for name in away), *(f"tier_full:{name}" for name in full))

    async def stop(self) -> None:
        """Give up copies that were begun, and end the threads. Harmless when done before."""
        self._threads.stop()
        going = [task for task in (self._work, self._room.task if self._room else None) if task is not None]
        if going:
            await asyncio.wait(going, timeout=STOP_PATIENCE_S)
        self._threads.close()
        for tier in self._tiers.values():
            tier.store.close()

    async def _make_room(self, size_bytes: int) -> None:
        room = self._room
        assert room is not None
        self._pace.hurry = True
        try:
            await self._measure()
            while room.freed_bytes < size_bytes and not self._threads.stopped:
                target = next((each for each in self._tiers.values() if each.takes_more), None)
                if target is None:
                    return
                wanted_bytes = size_bytes - room.freed_bytes
                moved_bytes = await self._move_some("", target, self._clock.wall_ns(), wanted_bytes)
                await self._leftovers.clean()
                room.freed_bytes += moved_bytes
                if not moved_bytes and target.takes_more:
                    return  # there is nothing left
        finally:
            self._pace.hurry = False

    # -- one round ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._leftovers.resume()
            await self._leftovers.clean()
            source = ""
            for name, tier in self._tiers.items():
                await self._check(tier)
                if not source or self._tiers[source].due:
                    await self._move_due(source, tier)
                source = name
        except MoveStopped:
            pass
        except StorageError as error:
            self._failure = error
        except Exception as error:
            log.error("moving recordings failed", path=str(self._volume.path), exc_info=error)

    async def _check(self, tier: TierHealth) -> None:
        """Look whether a tier works, so that one that went away is told before something has to go there."""
        if not tier.check_due():
            return
        try:
            await self._threads.asked(tier, tier.store.check)
        except TierUnavailable as error:
            self.failures += 1
            tier.failed(error)
        else:
            tier.works()

    async def _move_due(self, source: str, target: TierHealth) -> None:
        """Move what is old enough, and what is too much where it is now, oldest first."""
        while not self._threads.stopped:
            await self._measure()
            before_ns = self._clock.wall_ns() - target.store.after_ns
            limit_bytes = None
            if (
                source
                and (excess := self._tiers[source].used_bytes - self._tiers[source].store.quota_bytes) > 0
            ):
                before_ns, limit_bytes = self._clock.wall_ns(), excess
            if not target.takes_more or not await self._move_some(source, target, before_ns, limit_bytes):
                return
            await self._leftovers.clean()

    async def _move_some(
        self, source: str, target: TierHealth, before_ns: int, limit_bytes: int | None = None
    ) -> int:
        """Move one batch, `AT_ONCE` at a time; gives its bytes. 0: nothing to move, or the target failed."""
        now_ns = self._clock.monotonic_ns()
        self._unreadable = {key: until for key, until in self._unreadable.items() if until > now_ns}
        left_out = self._busy | self._unreadable.keys() | self._leftovers.doubtful
        found = await self._ask(lambda each: each.movable(source, before_ns, BATCH + len(left_out)))
        chosen: list[Segment] = []
        planned_bytes = 0
        for segment in found:
            if segment.id in left_out:
                continue
            if len(chosen) == BATCH or (limit_bytes is not None and planned_bytes >= limit_bytes):
                break
            chosen.append(segment)
            planned_bytes += segment.size_bytes
        self._busy.update(segment.id for segment in chosen)
        try:
            moves = [self._move(segment, source, target) for segment in chosen]
            ended = await asyncio.gather(*moves, return_exceptions=True)
        finally:
            self._busy.difference_update(segment.id for segment in chosen)
        for each in ended:
            if isinstance(each, BaseException):
                raise each
        return sum(each for each in ended if isinstance(each, int))

    async def _move(self, segment: Segment, source: str, target: TierHealth) -> int:
        """Move one recording; gives its bytes, 0 when it stayed where it was. Raises StorageError of the volume."""
        async with self._slots:
            if self._threads.stopped or not target.takes_more:
                return 0
            begun = Begun(segment.id, self._name(segment), target.store.name)
            await self._leftovers.note(begun)
            try:
                await self._threads.copied(begun.name, lambda: self._opened(segment, source), target)
            except MoveStopped:
                return 0  # the note stays: the next life looks what there is of it
            except TierUnavailable as error:
                self.failures += 1
                target.failed(error)
                return 0  # the note stays until it is tried again
            except SourceUnreadable as error:
                await self._leftovers.drop(begun)
                if source and isinstance(error.__cause__, TierUnavailable):
                    self._tiers[source].failed(error.__cause__)
                elif await self._ask(lambda each: each.find(segment.id)) is not None:  # else it was deleted
                    self._unreadable[segment.id] = self._clock.monotonic_ns() + _UNREADABLE_PAUSE_NS
                    log.error("a recording cannot be moved", segment=str(segment.id), reason=str(error))
                return 0
            target.works()
            moved = await self._ask(lambda each: each.moved([segment.id], target.store.name))
            if not moved:
                await self._end_unmoved(begun, target)
                return 0
            self._count(segment, source, target)
            await self._leftovers.drop(begun)
            return segment.size_bytes

    async def _end_unmoved(self, begun: Begun, target: TierHealth) -> None:
        """The recording was deleted while it was copied: the copy goes as well."""
        row = await self._ask(lambda each: each.find(begun.segment_id))
        if row is None or row.tier != begun.tier:
            with suppress(TierUnavailable):  # then its note stays
                await self._threads.asked(target, lambda: target.store.delete([begun.name]))
                await self._leftovers.drop(begun)

    def _count(self, segment: Segment, source: str, target: TierHealth) -> None:
        self.moved += 1
        self.moved_bytes += segment.size_bytes
        target.used_bytes += segment.size_bytes
        if source:
            self._tiers[source].used_bytes -= segment.size_bytes
        else:
            self._volume.closed_bytes -= segment.size_bytes

    def _opened(self, segment: Segment, source: str) -> Body:
        """A recording's stored bytes where it is; runs in a thread. Raises OSError, TierUnavailable."""
        if source:
            return self._tiers[source].store.open(self._name(segment))
        return PassingBody.of(segment.path)

    # -- private ------------------------------------------------------------------------------------------

    async def _measure(self) -> None:
        used = await self._ask(lambda each: each.tier_bytes())
        for name, tier in self._tiers.items():
            tier.used_bytes = used.get(name, 0)

    def _name(self, segment: Segment) -> str:
        return segment.path.relative_to(self._volume.path).as_posix()

    async def _ask(self, question: Callable[[Catalog], _Result]) -> _Result:
        return await self._volume.catalog.run(question)
