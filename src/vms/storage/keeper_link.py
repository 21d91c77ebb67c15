"""What a media process has to say to the keeper of one volume, said until it is heard.

Nothing here is needed to record, and nothing is lost when it is never heard: a keeper finds closed files by itself.

Belongs here: repeating, bounds, what was heard. Does not: gaps, which any keeper takes (gaps), the keeper's
side (keeper).
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice

from vms.common.ids import CameraId
from vms.storage.errors import KeeperAway, StorageError
from vms.storage.keeping import EventRange, Keeping, MediaReport
from vms.storage.retention_rule import RetentionRule
from vms.storage.writer import VolumeWriter
from vms.telemetry.logs import get_logger

REPORT_INTERVAL_S = 1.0
RETELL_EVERY = 600  # reports; a keeper that lost its catalog lost what it was told
UNSETTLED_LIMIT = 10_000
RANGES_LIMIT = 20_000  # event ranges that wait for a keeper; beyond, the oldest are given up
BATCH = 64
RANGES_BATCH = 2_000

log = get_logger(__name__)


class KeeperLink:
    """One keeper as a media process knows it.

    answers: whether it did the last time; None before the first time.
    Counters: unsettled_dropped (files it was not told of because too many wait; it finds them by itself),
    ranges_dropped (event ranges given up).
    """

    def __init__(
        self, keeper: Keeping, writer: VolumeWriter, worker: str, rules: Mapping[CameraId, RetentionRule]
    ) -> None:
        """rules: of the cameras of this process, read when a keeper has to be told everything."""
        self.keeper = keeper
        self.answers: bool | None = None
        self.unsettled_dropped = 0
        self.ranges_dropped = 0
        self._writer = writer
        self._worker = worker
        self._rules = rules
        self._untold: dict[CameraId, RetentionRule] = {}
        self._ranges: dict[tuple[CameraId, int, str], EventRange] = {}
        self._unsettled: dict[str, int] = {}  # size by name
        self._reports = 0
        self._closed = asyncio.Event()
        writer.volume.on_closed = self._on_closed

    @property
    def unsettled(self) -> int:
        """Closed files of which the keeper did not say yet that it has them."""
        return len(self._unsettled)

    @property
    def ranges_waiting(self) -> int:
        """Event ranges that the keeper was not told of yet."""
        return len(self._ranges)

    def keep(self, camera_id: CameraId, rule: RetentionRule) -> None:
        """Tell the keeper with the next report for how long a camera's footage is kept."""
        self._untold[camera_id] = rule

    def note(self, event_range: EventRange) -> None:
        """Tell the keeper with the next report of event footage; one of the same start and kind is replaced."""
        key = event_range.camera_id, event_range.start_ns, event_range.kind
        self._ranges.pop(key, None)
        self._ranges[key] = event_range
        if len(self._ranges) > RANGES_LIMIT:
            self._ranges.pop(next(iter(self._ranges)))
            self.ranges_dropped += 1

    async def run(self) -> None:
        """Report every second, and tell of closed files at once, until cancelled."""
        await asyncio.gather(self._exchange_always(), self._settle_always())

    async def report(self) -> None:
        """Say everything once: what was closed, how long to keep what, which footage shows events, how it is used."""
        await self.settle()
        await self.exchange()

    async def exchange(self) -> None:
        """Say how the volume is used, hear how it is, and tell retentions and events that it was not told."""
        volume = self._writer.volume
        error = str(volume.error) if volume.error is not None else ""
        open_bytes = volume.open_bytes + sum(self._unsettled.values())
        report = MediaReport(
            self._worker, open_bytes, self._writer.bytes_written, error, self._writer.stalled
        )
        try:
            volume.state = await self.keeper.exchange(report)
        except StorageError as refused:
            self._heard_nothing(refused)
            return
        if self.answers is False:
            log.info("the keeper of a volume answers again", path=str(volume.path))
        self.answers = True
        if self._reports % RETELL_EVERY == 0:
            self._untold.update(self._rules)
        self._reports += 1
        await self._tell_retentions()
        await self._tell_ranges()

    async def settle(self) -> None:
        """Tell of closed files, once round."""
        waiting = list(self._unsettled)
        for first in range(0, len(waiting), BATCH):
            try:
                settled = await self.keeper.settle(waiting[first : first + BATCH])
            except StorageError as error:
                self._heard_nothing(error)
                return
            for name in settled:
                self._unsettled.pop(name, None)

    async def _exchange_always(self) -> None:
        while True:
            await self.exchange()
            await asyncio.sleep(REPORT_INTERVAL_S)

    async def _settle_always(self) -> None:
        # Apart from reports: a keeper may have to repair files before it answers.
        while True:
            self._closed.clear()
            if self.answers:
                await self.settle()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), REPORT_INTERVAL_S)

    async def _tell_retentions(self) -> None:
        if not self._untold:
            return
        telling, self._untold = self._untold, {}
        try:
            await self.keeper.put_retentions(telling)
        except StorageError as error:
            self._untold = telling | self._untold
            self._heard_nothing(error)

    async def _tell_ranges(self) -> None:
        while batch := list(islice(self._ranges.items(), RANGES_BATCH)):
            try:
                await self.keeper.put_event_ranges([each for _, each in batch])
            except StorageError as error:
                self._heard_nothing(error)
                return
            for key, told in batch:
                if self._ranges.get(key) is told:
                    del self._ranges[key]
            if len(batch) < RANGES_BATCH:
                return  # what changed meanwhile waits for the next time

    def _heard_nothing(self, error: StorageError) -> None:
        """It does not answer, or cannot do it now: say that once, and try with the next report."""
        if not isinstance(error, KeeperAway):
            return  # its volume's error, which it logs itself
        if self.answers is not False:
            self.answers = False
            self._reports = 0  # to a new one everything is new
            path = str(self._writer.volume.path)
            log.warning(
                "the keeper of a volume does not answer; recording goes on", path=path, reason=str(error)
            )

    def _on_closed(self, name: str, size_bytes: int) -> None:
        self._unsettled[name] = size_bytes
        if len(self._unsettled) > UNSETTLED_LIMIT:
            self._unsettled.pop(next(iter(self._unsettled)))
            self.unsettled_dropped += 1
        self._closed.set()
