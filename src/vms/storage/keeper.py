"""Keep one volume: rows for its files, recovery, retention, and getting it back when it fails.

Belongs here: when these things happen, and what media processes may ask. Does not: how they are done (recovery,
retention, unsettled), how a question gets here from another process (keeper_control).
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from vms.common.clock import Clock
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.config import VolumeConfig
from vms.format.hybrid import Signer
from vms.media import Gap
from vms.storage import deletion, recovery
from vms.storage.adoption import Adoption
from vms.storage.alarms import alarms
from vms.storage.catalog import Catalog
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.identity import KnownVolumes
from vms.storage.keeper_history import history_of
from vms.storage.keeper_state import LockedBytes, found_of, tier_states
from vms.storage.keeping import (
    EventRange,
    History,
    HistoryQuestion,
    KeeperState,
    MediaReport,
    VolumeState,
)
from vms.storage.kept_volume import KeptVolume
from vms.storage.layout import is_recording_name
from vms.storage.locks import DAMAGED
from vms.storage.metrics import keeper_metrics
from vms.storage.recent import DayDirectory, recent_days
from vms.storage.recovery import Settled
from vms.storage.repair import RecoveryCounters
from vms.storage.reports import MediaReports
from vms.storage.retention import Retention
from vms.storage.retention_rule import RetentionRule
from vms.storage.tiers import TierMover, open_tiers
from vms.storage.unsettled import UnsettledFiles
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily

TICK_S = 1.0
LOOK_INTERVAL_S = 5.0
MOVER_PATIENCE_S = 4.0

log = get_logger(__name__)
_Result = TypeVar("_Result")


class VolumeKeeper:
    """Keeps one volume. Implements `Keeping`, for media processes and for this one.

    recovered: set once the newest days of every camera agree with the catalog, or the volume could not
        be opened. A crash leaves its traces in these days; all others follow.
    mover, adoption: move recordings to tiers, and find those that a lost catalog knew; None before the volume was
        opened, and where there are none.
    on_alarms: called on the loop with the alarms that began and those that ended.
    """

    def __init__(
        self,
        config: VolumeConfig,
        clock: Clock,
        *,
        system_id: str,
        known_volumes: Path | None = None,
        signer: Signer | None = None,
        beside_media: bool = False,
    ) -> None:
        """system_id: of the installation; a volume is one system's at a time.

        known_volumes: a file outside of the volumes that remembers which disk belongs where; it may be shared.
        signer: signs recordings that a dead writer left unsigned. beside_media: this process carries media as well.
        Raises VolumeUnavailable when `known_volumes` is damaged.
        """
        known = KnownVolumes(known_volumes)
        self.volume: KeptVolume = KeptVolume(
            config, clock, known, system_id, signer=signer, beside_media=beside_media
        )
        self.mover: TierMover | None = None
        self.adoption: Adoption | None = None
        self.locked: LockedBytes = LockedBytes(self.volume, clock)
        self.alarms: tuple[str, ...] = ()
        self.on_alarms: Callable[[Sequence[str], Sequence[str]], None] = lambda begun, ended: None
        self._config = config
        self.retention: Retention = Retention(self.volume, clock)
        self.found: RecoveryCounters = RecoveryCounters()
        self.reports: MediaReports = MediaReports(clock)
        self.unsettled: UnsettledFiles = UnsettledFiles(self.volume, clock, self.found)
        self.recovered = asyncio.Event()
        self._clock = clock
        self._newest: list[DayDirectory] = []
        self._older: list[DayDirectory] = []
        self._scanned = True
        self._opened = False  # all of what `_open` does, and not only the volume itself
        self._written_bytes = 0  # by media processes, at the last look
        self._caring = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._look_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the volume, and begin to recover what the last run left. One that fails is tried again later."""
        await self._attempt(self._open())
        self._task = asyncio.create_task(self._run(), name=f"keep {self.volume.path}")

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Close the catalog and let others have the volume."""
        self._stopping.set()
        self._look_now.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout_s)  # a repair that was begun is ended
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._stop_mover()
        await asyncio.to_thread(self.volume.close)

    def metrics(self) -> Iterable[MetricFamily]:
        """The volume, its retention and what recovery found, as they stand."""
        return keeper_metrics([self])

    # -- what media processes ask -----------------------------------------------------------------------

    async def settle(self, names: Sequence[str]) -> Sequence[str]:
        """See `Keeping`. What is no name of a recording needs no care."""
        if self.volume.error is not None:
            raise self.volume.error
        ours = [name for name in names if is_recording_name(name)]
        settled = await self._work(lambda: recovery.settle(self.volume, ours, self.found))
        if settled.failure is not None:
            self.volume.fail(settled.failure)
        cared = {*settled.names, *set(names).difference(ours)}
        self.unsettled.add([name for name in ours if name not in cared])
        return [name for name in names if name in cared]

    async def put_gaps(self, gaps: Sequence[tuple[CameraId, Gap]]) -> None:
        """See `Keeping`."""
        await self._ask(lambda catalog: catalog.put_gaps(gaps))

    async def put_retentions(self, rules: Mapping[CameraId, RetentionRule]) -> None:
        """See `Keeping`."""
        if await self._ask(lambda catalog: catalog.put_retentions(rules)):
            self.retention.rules_changed()

    async def put_event_ranges(self, ranges: Sequence[EventRange]) -> None:
        """See `Keeping`."""
        await self._ask(lambda catalog: catalog.put_event_ranges(ranges))

    async def put_locks(self, locks: Sequence[EvidenceLock], revision: int) -> None:
        """See `Keeping`."""
        volume = self.volume
        if not volume.is_open:
            raise self._not_open()
        await volume.deleting.acquire()
        putting = asyncio.create_task(self._put_locks(locks, revision))
        putting.add_done_callback(self._locks_put)
        # Who gives up waiting for a slow disk does not end it, and does not begin another beside it.
        await asyncio.shield(putting)

    async def history(self, question: HistoryQuestion) -> History:
        """See `Keeping`."""
        if not self.volume.is_open:
            raise self._not_open()
        for day in await asyncio.to_thread(self._newest_days, list(question.before_ns)):
            settled = await self._reconcile(day)
            if settled.failure is not None:
                self.volume.fail(settled.failure)
                raise settled.failure
        return await self._ask(lambda catalog: history_of(catalog, question))

    async def exchange(self, report: MediaReport) -> VolumeState:
        """See `Keeping`."""
        self.reports.take(report)
        volume = self.volume
        volume.open_bytes = self.reports.open_bytes
        if report.error and volume.error is None:
            self._look_now.set()
        error = str(volume.error) if volume.error is not None else ""
        return VolumeState(error, volume.used_bytes, volume.quota_bytes, self.recovered.is_set())

    async def state(self) -> KeeperState:
        """See `Keeping`."""
        volume = self.volume
        self._tell_alarms()
        return KeeperState(
            path=str(volume.path),
            volume_id=volume.id,
            error=str(volume.error) if volume.error is not None else "",
            used_bytes=volume.used_bytes,
            quota_bytes=volume.quota_bytes,
            room_bytes=volume.room_bytes,
            recovered=self.recovered.is_set(),
            encrypted=volume.encrypted,
            tiers=tier_states(self.mover),
            locked_bytes=self.locked.size_bytes,
            found=found_of(self.found),
            alarms=self.alarms,
        )

    # -- looking after it -------------------------------------------------------------------------------

    async def look(self) -> None:
        """What is due now: opening or probing a volume that failed, room, age, files that nobody told of."""
        volume = self.volume
        written_bytes = self.reports.written_bytes
        volume.reserve_bytes = 2 * (written_bytes - self._written_bytes)  # may come before the next look
        volume.open_bytes = self.reports.open_bytes
        self._written_bytes = written_bytes
        if volume.error is not None and volume.due:
            await self._attempt(self._again())
        elif volume.error is None:
            await self._attempt(self._check())
        if volume.is_open:
            await self._attempt(self.retention.enforce())
        if volume.is_open and volume.error is None:
            await self._attempt(self._look_for_files())
        if volume.is_open and volume.error is None and self.mover is not None:
            await self._attempt(self.mover.look())
        if self._scanned and volume.error is None and self.adoption is not None:
            self.adoption.look()
        if volume.is_open and volume.error is None:
            await self._attempt(self.locked.look())
        self._tell_alarms()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        look_at_s = loop.time() + LOOK_INTERVAL_S
        while not self._stopping.is_set():
            if not self._scanned and self.volume.error is None:
                await self._attempt(self._scan(loop.time() + TICK_S))
            if self._scanned or self.volume.error is not None:
                self.recovered.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._look_now.wait(), TICK_S)
            asked, now_s = self._look_now.is_set(), loop.time()
            if self._stopping.is_set():
                return
            if asked or self.volume.error is not None or now_s >= look_at_s:
                self._look_now.clear()
                look_at_s = now_s + LOOK_INTERVAL_S
                await self.look()
                if self.retention.unfinished and self.volume.error is None:
                    self._look_now.set()

    async def _scan(self, until_s: float) -> None:
        """Bring day after day into agreement with the catalog, for a while; the newest first."""
        loop = asyncio.get_running_loop()
        while loop.time() < until_s and not self._stopping.is_set():
            days = self._newest or self._older
            if not days:
                gone = await asyncio.to_thread(recovery.drop_vanished_days, self.volume, self.found)
                self.volume.closed_bytes -= gone
                self._scanned = True
                self.retention.rules_changed()  # days of long ago may have come back
                return
            day = days.pop(0)
            try:
                failure = (await self._reconcile(day)).failure
            except StorageError as error:
                failure = error
            if failure is not None:
                self._older.append(day)  # the others first: they may be on better blocks of the disk
                raise failure
            if not self._newest:
                self.recovered.set()

    async def _open(self) -> None:
        volume = self.volume
        self._opened = False
        await self._stop_mover()
        await asyncio.to_thread(volume.open)
        await asyncio.to_thread(deletion.end_deletions, volume)
        try:
            newest, older = await asyncio.to_thread(recovery.day_directories, volume.path)
        except OSError as error:
            raise VolumeUnavailable.from_os_error(volume.path, error) from error
        volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
        self._newest, self._older, self._scanned = newest, older, False
        self._opened = True
        volume.resume()
        if volume.id is not None and self._config.tiers:
            stores = open_tiers(self._config, volume.id)
            self.mover = self.retention.mover = TierMover(volume, stores, self._clock)
            self.adoption = Adoption(volume, stores, self.found, self._clock)
        # Age waits for the first look: retentions that changed while nothing ran are told by then.
        await self.retention.make_room()

    async def _again(self) -> None:
        """Whether it works again; what was not done when it was opened is done then."""
        if self.volume.is_open:
            await self._probe()
        if not self._opened:
            await self._open()

    async def _probe(self) -> None:
        if self.volume.room_bytes <= 0:
            await self.retention.enforce()
        await asyncio.to_thread(self.volume.probe)
        self.volume.resume()

    async def _check(self) -> None:
        await asyncio.to_thread(self.volume.check)

    async def _look_for_files(self) -> None:
        settled = await self._work(self.unsettled.look)
        if settled.failure is not None:
            raise settled.failure
        if settled.change_bytes:
            self.volume.works()

    async def _reconcile(self, day: DayDirectory) -> Settled:
        settled = await self._work(lambda: recovery.reconcile(self.volume, day, self.found))
        self.unsettled.add(settled.locked)
        return settled

    async def _work(self, work: Callable[[], Settled]) -> Settled:
        """Care for files in a thread, one lot after the other: a file that another thread has looks like a live one."""
        async with self._caring:
            settled = await asyncio.to_thread(work)
            self.volume.closed_bytes += settled.change_bytes
        return settled

    async def _stop_mover(self) -> None:
        mover, self.mover, self.retention.mover = self.mover, None, None
        adoption, self.adoption = self.adoption, None
        if adoption is not None:
            await adoption.stop()
        if mover is not None:
            with suppress(TimeoutError):  # a share that hangs holds up nobody; what was begun is noted
                await asyncio.wait_for(mover.stop(), MOVER_PATIENCE_S)

    def _tell_alarms(self) -> None:
        before = self.alarms
        of_tiers = self.mover.alarms() if self.mover else ()
        self.alarms = alarms(self.volume, self.retention, of_tiers, stalled=self.reports.stalled)
        begun = [slug for slug in self.alarms if slug not in before]
        ended = [slug for slug in before if slug not in self.alarms]
        if begun or ended:
            self.on_alarms(begun, ended)

    def _newest_days(self, cameras: Sequence[CameraId]) -> list[DayDirectory]:
        """Runs in a thread."""
        now_ns = self._clock.wall_ns()
        return [day for each in cameras for day in recent_days(self.volume.path / each, now_ns)]

    def _not_open(self) -> StorageError:
        return self.volume.error or VolumeUnavailable(self.volume.path, "is not open")

    async def _ask(self, question: Callable[[Catalog], _Result]) -> _Result:
        if not self.volume.is_open:
            raise self._not_open()
        try:
            return await self.volume.catalog.run(question)
        except StorageError as error:
            self.volume.fail(error)
            raise

    async def _put_locks(self, locks: Sequence[EvidenceLock], revision: int) -> None:
        volume = self.volume
        aside = f"{DAMAGED}{self._clock.wall_ns()}"
        try:
            await asyncio.to_thread(volume.check)
            changed = await asyncio.to_thread(lambda: volume.locks.put(locks, revision, aside=aside))
        except StorageError as error:
            volume.fail(error)
            raise
        if changed:
            self.retention.rules_changed()
            self.locked.changed()

    def _locks_put(self, putting: "asyncio.Task[None]") -> None:
        self.volume.deleting.release()
        if not putting.cancelled():
            putting.exception()  # told to who waits; that may be nobody any more

    async def _attempt(self, step: Coroutine[None, None, None]) -> None:
        try:
            await step
        except StorageError as error:
            self.volume.fail(error)
        except Exception as error:
            log.error("looking after a volume failed", path=str(self.volume.path), exc_info=error)
            reason = f"an unexpected {type(error).__name__}: {error}"
            self.volume.fail(VolumeUnavailable(self.volume.path, reason))
