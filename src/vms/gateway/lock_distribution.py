"""Keep every keeper of a volume told which footage must not be deleted.

Each is told all locks that hold, with the revision at which it is so: when they change, when the keeper begins a new
life, when it did not answer (until it does), and once a minute whatever happens.

A keeper lets go what a newer set does not name, and never what an older one does not. So the first time it is told them
with the revision at which the database was opened: if that is an older one that was restored, the keeper then knows it,
and goes on to obey what was locked in between.

Belongs here: telling, and what is known of who obeys what. Does not: which locks there are (locks), how a keeper is
reached (vms.app.lock_keepers), obeying (vms.storage).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vms.common.backoff import Backoff
from vms.common.errors import VmsError
from vms.common.evidence_lock import EvidenceLock
from vms.gateway.evidence_messages import VolumeHold
from vms.gateway.locks import LockSet, StoredLock
from vms.proto.worker_pb2 import WorkerStatus
from vms.telemetry.logs import get_logger
from vms.telemetry.metrics import MetricFamily, MetricKind

log = get_logger(__name__)

AGAIN_S = 60.0
TELL_S = 10.0
_NOT_TOLD = -1

Holding = Callable[[], Awaitable[LockSet]]
"""What is to be told. Raises Unavailable."""


class LockKeeper(Protocol):
    """What is needed of a keeper; vms.storage.keeping has it."""

    async def put_locks(self, locks: Sequence[EvidenceLock], revision: int) -> None:
        """When it returns, the volume obeys them, whatever happens. Raises a VmsError."""


@dataclass(frozen=True, slots=True)
class KeptVolume:
    """worker: the keeper's name, as in its status. path: of the volume, for people."""

    worker: str
    path: str
    keeper: LockKeeper


class _Told:
    """One keeper. obeyed: the revision that it has on its disk. tried: the last one that it was told or failed at."""

    def __init__(self, volume: KeptVolume) -> None:
        self.volume = volume
        self.obeyed = _NOT_TOLD
        self.tried = _NOT_TOLD
        self.error = "it was not told yet"
        self.life_ns: int | None = None
        self.due = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class LockDistributor:
    """Tells the keepers while started. Counters: told, failures (times that a keeper did not take the locks)."""

    def __init__(self, holding: Holding, volumes: Iterable[KeptVolume] = ()) -> None:
        self._holding = holding
        self._keepers = {volume.path: _Told(volume) for volume in volumes}
        self._running = False
        self._progress = asyncio.Condition()
        self.told = 0
        self.failures = 0

    async def start(self) -> None:
        """Begin to tell; waits for nobody."""
        self._running = True
        for keeper in self._keepers.values():
            self._begin(keeper)

    async def stop(self) -> None:
        self._running = False
        await self._end(self._keepers.values())

    async def set_volumes(self, volumes: Iterable[KeptVolume]) -> None:
        """These are the volumes from now on; their keepers are told at once."""
        before = self._keepers
        self._keepers = {volume.path: _Told(volume) for volume in volumes}
        await self._end(before.values())
        if self._running:
            await self.start()

    def changed(self) -> None:
        """There are other locks now."""
        for keeper in self._keepers.values():
            keeper.due.set()

    def heard(self, status: WorkerStatus) -> None:
        """A process lives; a keeper in a new life is told again, whatever it said in the one before."""
        for keeper in self._keepers.values():
            if keeper.volume.worker == status.worker and keeper.life_ns != status.started_ns:
                keeper.life_ns = status.started_ns
                keeper.due.set()

    async def settled(self, revision: int, within_s: float) -> None:
        """Wait until every keeper obeys the locks of `revision` or has failed at that, for so long at the most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._progress:
                await self._progress.wait_for(
                    lambda: all(keeper.tried >= revision for keeper in self._keepers.values())
                )

    def holds(self, stored: StoredLock) -> Sequence[VolumeHold]:
        """Which volumes obey a lock; of a released one, which do still because they were not told."""
        found = []
        for keeper in self._keepers.values():
            knows = keeper.obeyed >= stored.revision
            detail = "" if knows else keeper.error or "it is being told"
            found.append(VolumeHold(keeper.volume.path, stored.lock.holds == knows, detail))
        return found

    def metrics(self) -> Iterable[MetricFamily]:
        """How telling goes."""
        for name, text, count in (
            ("told", "times that a keeper took all evidence locks", self.told),
            (
                "failures",
                "times that a keeper did not take the evidence locks; it is told again",
                self.failures,
            ),
        ):
            yield MetricFamily(f"vms_locks_{name}", MetricKind.COUNTER, text, (), [((), float(count))])
        yield MetricFamily(
            "vms_locks_unobeyed",
            MetricKind.GAUGE,
            "1 for a volume whose keeper did not take the newest evidence locks",
            ("volume",),
            [((path,), float(bool(keeper.error))) for path, keeper in sorted(self._keepers.items())],
        )

    def _begin(self, keeper: _Told) -> None:
        if keeper.task is None:
            keeper.task = asyncio.create_task(
                self._keep_telling(keeper), name=f"locks {keeper.volume.worker}"
            )

    async def _end(self, keepers: Iterable[_Told]) -> None:
        tasks = [keeper.task for keeper in keepers if keeper.task is not None]
        for keeper in keepers:
            keeper.task = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_telling(self, keeper: _Told) -> None:
        backoff = Backoff(0.5, 30.0)
        while True:
            keeper.due.clear()
            wait_s = AGAIN_S
            try:
                if await self._tell(keeper):
                    backoff.reset()
                else:
                    wait_s = backoff.next_s()
            except Exception as error:
                self.failures += 1
                wait_s = backoff.next_s()
                log.error("telling a keeper of locks failed; it goes on", exc_info=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await keeper.due.wait()

    async def _tell(self, keeper: _Told) -> bool:
        try:
            wanted = await self._holding()
        except VmsError:
            return False  # the gateway says it
        try:
            async with asyncio.timeout(TELL_S):
                if keeper.obeyed == _NOT_TOLD and wanted.opening < wanted.revision:
                    await keeper.volume.keeper.put_locks(wanted.locks, wanted.opening)
                await keeper.volume.keeper.put_locks(wanted.locks, wanted.revision)
        except (VmsError, TimeoutError) as error:
            self._failed(keeper, str(error) or f"no answer in {TELL_S:g} s")
            worked = False
        else:
            if keeper.error and keeper.obeyed != _NOT_TOLD:
                log.info("a volume obeys the evidence locks again", path=keeper.volume.path)
            keeper.obeyed, keeper.error = max(keeper.obeyed, wanted.revision), ""
            self.told += 1
            worked = True
        async with self._progress:
            keeper.tried = max(keeper.tried, wanted.revision)
            self._progress.notify_all()
        return worked

    def _failed(self, keeper: _Told, text: str) -> None:
        self.failures += 1
        if keeper.error != text:
            log.warning("a volume was not told of evidence locks", path=keeper.volume.path, reason=text)
        keeper.error = text
