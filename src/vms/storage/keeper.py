"""Look after one volume: open it, recover it, keep it within its rules, get it back when it fails.

Belongs here: when these things happen. Does not: how (volume, recovery, retention, writer).
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.storage import recovery
from vms.storage.errors import StorageError, VolumeUnavailable
from vms.storage.retention import Retention
from vms.storage.volume import Volume
from vms.storage.writer import VolumeWriter
from vms.telemetry.logs import get_logger

TICK_S = 1.0
LOOK_INTERVAL_S = 5.0

log = get_logger(__name__)


class VolumeKeeper:
    """One volume with its writer, its retention and what recovery found on it.

    recovered: set once the newest days of every camera agree with the catalog, or the volume could not
        be opened. A crash leaves its traces in these days; all others follow.
    """

    def __init__(
        self,
        volume: Volume,
        writer: VolumeWriter,
        clock: Clock,
        retention_ns: Callable[[CameraId], int | None],
    ) -> None:
        self.volume = volume
        self.writer = writer
        self.retention = Retention(volume, clock, retention_ns)
        self.found = recovery.RecoveryCounters()
        self.recovered = asyncio.Event()
        self._newest: list[recovery.DayDirectory] = []
        self._older: list[recovery.DayDirectory] = []
        self._scanned = True
        self._written_bytes = 0  # by the writer, at the last look
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the volume, so that it can be recorded on, and begin to recover what the last run left.

        A volume that fails is tried again later.
        """
        self.writer.start()
        await self._attempt(self._open())
        self._task = asyncio.create_task(self._run(), name=f"keep {self.volume.path}")

    async def stop(self, timeout_s: float) -> None:
        """End the threads and close the catalog; segments are to be finished before."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout_s)  # a repair that was begun is ended
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.writer.stop(timeout_s)
        await asyncio.to_thread(self.volume.close)

    async def look(self) -> None:
        """What is due now: opening or probing a volume that failed, room, age, what is unfinished."""
        volume = self.volume
        written_bytes = self.writer.bytes_written
        volume.reserve_bytes = 2 * (written_bytes - self._written_bytes)  # may come before the next look
        self._written_bytes = written_bytes
        if volume.error is not None and volume.due:
            await self._attempt(self._probe() if volume.is_open else self._open())
        elif volume.error is None:
            await self._attempt(self._check())
        if volume.is_open:
            await self._attempt(self.retention.enforce())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        look_at_s = loop.time() + LOOK_INTERVAL_S
        while not self._stopping.is_set():
            if not self._scanned and self.volume.error is None:
                await self._attempt(self._scan(loop.time() + TICK_S))
            if self._scanned or self.volume.error is not None:
                self.recovered.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), TICK_S)
                    return
            if self.volume.error is not None or loop.time() >= look_at_s:
                look_at_s = loop.time() + LOOK_INTERVAL_S
                await self.look()

    async def _scan(self, until_s: float) -> None:
        """Bring day after day into agreement with the catalog, for a while; the newest first."""
        loop = asyncio.get_running_loop()
        while loop.time() < until_s and not self._stopping.is_set():
            days = self._newest or self._older
            if not days:
                gone = await asyncio.to_thread(recovery.drop_vanished_days, self.volume, self.found)
                self.volume.closed_bytes -= gone
                self._scanned = True
                return
            change = await asyncio.to_thread(recovery.reconcile, self.volume, days[0], self.found)
            self.volume.closed_bytes += change
            del days[0]
            if not self._newest:
                self.recovered.set()

    async def _open(self) -> None:
        volume = self.volume
        await asyncio.to_thread(volume.open)
        volume.closed_bytes -= await asyncio.to_thread(recovery.end_deletions, volume)
        try:
            newest, older = await asyncio.to_thread(recovery.day_directories, volume.path)
        except OSError as error:
            raise VolumeUnavailable.from_os_error(volume.path, error) from error
        volume.room_bytes = await asyncio.to_thread(volume.free_bytes)
        self._newest, self._older, self._scanned = newest, older, False
        volume.resume()
        await self.retention.enforce()

    async def _probe(self) -> None:
        if self.volume.room_bytes <= 0:
            await self.retention.enforce()
        await asyncio.to_thread(self.volume.probe)
        self.volume.resume()
        self.writer.retry_unfinished()

    async def _check(self) -> None:
        await asyncio.to_thread(self.volume.check)
        self.writer.retry_unfinished()

    async def _attempt(self, step: Coroutine[None, None, None]) -> None:
        try:
            await step
        except StorageError as error:
            self.volume.fail(error)
        except Exception as error:
            log.error("looking after a volume failed", path=str(self.volume.path), exc_info=error)
            reason = f"an unexpected {type(error).__name__}: {error}"
            self.volume.fail(VolumeUnavailable(self.volume.path, reason))
