"""Events wait on disk until the bus has them.

`emit` puts an event into memory; within a fraction of a second a thread commits it to a file, and a task sends it to the
bus and waits for the acknowledgement. Delivered events stay in the file for some minutes: when the bus comes back as
another server, or with another store, they are sent again. The bus recognises by their ids those that it has.

Belongs here: keeping and sending events. Does not: the file (event_store), the stream (nats_events, memory_events), what
events mean (the services).
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from vms.bus.contract import Bus, check_data
from vms.bus.errors import BusUnavailable
from vms.bus.event_store import EventStore, StoredEvent
from vms.bus.subject import check_subject
from vms.common.backoff import Backoff
from vms.common.clock import NS, Clock
from vms.common.errors import VmsError
from vms.common.ids import uuid7
from vms.proto import event_pb2, subjects
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

LIMIT = 100_000  # events in the file; beyond, the oldest are dropped and counted
KEEP_DELIVERED_S = 600.0
_FRESH_LIMIT = 10_000  # not yet in the file, while the disk does not take them
_GATHER_S = 0.1  # what is emitted within it is one commit
_BATCH = 128
_HOUSEKEEPING_S = 60.0
_LAST_DELIVERY_S = 1.0
_RETRY_DISK_S = (0.5, 10.0)  # first, longest

_Result = TypeVar("_Result")


class Outbox:
    """The events of one process. Counters: emitted, delivered, sent_again, dropped (all of them are said in the log)."""

    def __init__(self, path: Path | None, bus: Bus, clock: Clock) -> None:
        """path: a file of this process alone; None keeps the events in memory."""
        self._path = path
        self._bus = bus
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._store: EventStore | None = None
        self._fresh: deque[tuple[str, str, bytes]] = deque()
        self._emitted = asyncio.Event()
        self._stored = asyncio.Event()
        self._connected = asyncio.Event()
        self._look_at_store = True
        self._identity = ""
        self._tasks: list[asyncio.Task[None]] = []
        self.waiting = 0  # on disk, as of the last look
        self.emitted = 0
        self.delivered = 0
        self.sent_again = 0
        self.dropped = 0

    async def start(self) -> None:
        """Open the file and begin to deliver. Raises VmsError when the file cannot be used."""
        try:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store = await self._in_thread(lambda: EventStore(self._path))
        except (sqlite3.Error, OSError) as error:
            raise VmsError(f"events: {self._path} cannot be used: {error}; check the disk") from error
        self._bus.on_connect(self._on_connect)
        self._tasks = [
            asyncio.create_task(self._keep_storing(), name="outbox to disk"),
            asyncio.create_task(self._keep_delivering(), name="outbox to bus"),
        ]

    async def stop(self) -> None:
        """Commit what was emitted, try for a second to deliver it, and close the file."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        store, self._store = self._store, None
        if store is not None:
            with contextlib.suppress(sqlite3.Error):
                await self._commit(store)
            with contextlib.suppress(BusUnavailable, TimeoutError, sqlite3.Error):
                async with asyncio.timeout(_LAST_DELIVERY_S):
                    while self._bus.connected and await self._deliver_batch(store):
                        pass
            await self._in_thread(store.close)
        self._thread.shutdown(wait=False)

    def emit(self, event: event_pb2.Event) -> None:
        """Keep `event` until the bus has it; never waits. Fills in its id, time and site when they are empty.

        Raises InvalidInput for a kind or camera that makes no subject.
        """
        event.at_ns = event.at_ns or self._clock.wall_ns()
        event.id = event.id or str(uuid7(event.at_ns))
        event.site = event.site or subjects.SITE
        subject = subjects.event(event.kind, event.camera_id, event.site)
        data = event.SerializeToString()
        check_subject(subject)
        check_data(data)
        self._fresh.append((event.id, subject, data))
        self.emitted += 1
        if len(self._fresh) > _FRESH_LIMIT:
            self._fresh.popleft()
            self._count_dropped(1)
        self._emitted.set()

    def _on_connect(self) -> None:
        self._look_at_store = True
        self._connected.set()
        self._stored.set()

    async def _keep_storing(self) -> None:
        assert self._store is not None
        backoff = Backoff(*_RETRY_DISK_S)
        while True:
            await self._emitted.wait()
            await asyncio.sleep(_GATHER_S)
            try:
                await self._commit(self._store)
                backoff.reset()
            except sqlite3.Error as error:
                log.error("events cannot be written now; they wait in memory", reason=str(error))
                await asyncio.sleep(backoff.next_s())

    async def _commit(self, store: EventStore) -> None:
        self._emitted.clear()
        batch = list(self._fresh)
        if not batch:
            return
        self._fresh.clear()
        try:
            await self._in_thread(lambda: store.add(batch))
        except BaseException:
            # Also when cancelled: adding twice changes nothing, as ids are unique
            self._fresh.extendleft(reversed(batch))
            self._emitted.set()
            raise
        self._stored.set()

    async def _keep_delivering(self) -> None:
        assert self._store is not None
        backoff = Backoff(0.1, 5.0)
        while True:
            try:
                self._stored.clear()
                while await self._deliver_batch(self._store):
                    backoff.reset()
                await self._trim(self._store)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_HOUSEKEEPING_S):
                        await self._stored.wait()
                    continue
                self._look_at_store = True
            except BusUnavailable as error:
                log.debug("events wait for the bus", reason=str(error))
                self._look_at_store = True
                await self._wait_for_bus(self._store, backoff)
            except Exception as error:
                log.error("delivering events failed; it begins anew", exc_info=error)
                await asyncio.sleep(backoff.next_s())

    async def _wait_for_bus(self, store: EventStore, backoff: Backoff) -> None:
        self._connected.clear()
        with contextlib.suppress(sqlite3.Error):
            await self._trim(store)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(backoff.next_s()):
                await self._connected.wait()

    async def _deliver_batch(self, store: EventStore) -> bool:
        """Deliver some; whether there were any. Raises BusUnavailable when the bus did not take them all."""
        if self._look_at_store:
            self._identity = await self._bus.events.identity()
            self._look_at_store = False
            await self._let_lost_ones_wait_again(store)
        batch = await self._in_thread(lambda: store.waiting(_BATCH))
        if not batch:
            return False
        identity = self._identity
        outcomes = await asyncio.gather(*map(self._deliver, batch), return_exceptions=True)
        done = [
            event.number
            for event, outcome in zip(batch, outcomes, strict=True)
            if not isinstance(outcome, BaseException)
        ]
        at_ns = self._clock.wall_ns()
        await self._in_thread(lambda: store.mark_delivered(done, at_ns, identity))
        self.delivered += len(done)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return True

    async def _deliver(self, event: StoredEvent) -> None:
        await self._bus.events.append(event.id, event.subject, event.data)

    async def _let_lost_ones_wait_again(self, store: EventStore) -> None:
        since_ns = self._clock.wall_ns() - round(KEEP_DELIVERED_S * NS)
        identity = self._identity
        lost = await self._in_thread(lambda: store.let_wait_again(identity, since_ns))
        if lost:
            self.sent_again += lost
            log.info("the bus is another or began anew; recent events are sent again", events=lost)

    async def _trim(self, store: EventStore) -> None:
        before_ns = self._clock.wall_ns() - round(KEEP_DELIVERED_S * NS)
        self._count_dropped(await self._in_thread(lambda: store.trim(LIMIT, before_ns)))
        self.waiting = await self._in_thread(store.count_waiting)

    def _count_dropped(self, events: int) -> None:
        if events:
            if not self.dropped:
                log.error("events are dropped, the oldest first; the bus or the disk does not take them")
            self.dropped += events

    async def _in_thread(self, call: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
