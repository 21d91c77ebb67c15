"""Write what the processes tell as events into the journal.

An event is acknowledged to the bus when it is on disk. A disk that does not take it holds up nothing but the
journal: the bus keeps the event and brings it again.

Belongs here: from the bus to the file. Does not: the file (journal), telling events (vms.app.events).
"""

import asyncio
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vms.bus.contract import Bus, Subscription
from vms.common.errors import Unavailable
from vms.gateway.journal import EventJournal
from vms.proto import event_pb2
from vms.telemetry.metrics import MetricFamily, MetricKind

DURABLE = "journal"


class JournalKeeper:
    """The journal's one writer, from `start` to `stop`. Counters: written, trimmed, failures.

    The file is opened with the first event, and anew after a failure, so `start` fails for no disk.
    """

    def __init__(self, bus: Bus, path: Path) -> None:
        self._bus = bus
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._journal: EventJournal | None = None  # belongs to the thread
        self._consuming: Subscription | None = None
        self.written = 0
        self.trimmed = 0
        self.kept = 0  # as of the last event
        self.failures = 0

    async def start(self) -> None:
        """Take events from the bus, whenever it is there."""
        self._consuming = self._bus.events.consume(DURABLE, self._keep)

    async def stop(self) -> None:
        """Finish the event in hand and close the file; what comes later waits in the bus."""
        if self._consuming is not None:
            self._consuming.close()
            self._consuming = None
            closed = self._thread.submit(self._close)
            self._thread.shutdown(wait=False)
            await asyncio.wrap_future(closed)

    def metrics(self) -> Iterable[MetricFamily]:
        for name, text, value in (
            ("written", "events that the journal took", self.written),
            ("trimmed", "events that it removed, the oldest first", self.trimmed),
            ("failures", "times that the disk did not take an event; it comes again", self.failures),
        ):
            yield MetricFamily(f"vms_journal_{name}", MetricKind.COUNTER, text, (), [((), float(value))])
        text = "events in the journal"
        yield MetricFamily("vms_journal_events", MetricKind.GAUGE, text, (), [((), float(self.kept))])

    async def _keep(self, event: event_pb2.Event) -> None:
        """Raises Unavailable, so that the event comes again."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._put, event)
        except (sqlite3.Error, OSError) as error:
            self.failures += 1
            raise Unavailable(
                f"the journal of events {self._path} cannot be written: {error}; check the disk"
            ) from error

    def _put(self, event: event_pb2.Event) -> None:
        journal = self._journal or EventJournal(self._path)
        written, trimmed = journal.written, journal.trimmed
        self._journal = journal
        try:
            journal.put(event)
        except BaseException:
            self._close()
            raise
        self.written += journal.written - written
        self.trimmed += journal.trimmed - trimmed
        self.kept = journal.kept

    def _close(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
