"""The event stream of the bus within one process. It ends with the process; an Outbox with a path outlives it.

Belongs here: a bounded list of events and the positions in it. Does not: waiting on disk (events).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from uuid import uuid4

from google.protobuf.message import DecodeError

from vms.bus.contract import EventHandler, check_data, check_name
from vms.bus.recent_ids import RecentIds
from vms.bus.subject import check_subject
from vms.proto import event_pb2
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

LIMIT = 10_000  # events kept for consumers that come later
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 60.0


def redelivery_delay_s(failures: int) -> float:
    """Seconds until an event whose handler failed `failures` times (at least once) comes again."""
    return float(min(FIRST_DELAY_S * 2 ** min(failures - 1, 16), LONGEST_DELAY_S))


class MemoryEvents:
    """See vms.bus.contract.EventStream. Counter: dropped, the events that fell off the end unseen by a consumer."""

    def __init__(
        self, check_connected: Callable[[], None], publish: Callable[[str, bytes], None] | None = None
    ) -> None:
        """check_connected: raises BusUnavailable while the bus is stopped. publish: to plain subscribers, as NATS does."""
        self._check_connected = check_connected
        self._publish = publish
        self._identity = uuid4().hex
        self._kept: deque[bytes] = deque(maxlen=LIMIT)
        self._appended = 0
        self._ids = RecentIds()
        self._consumers: dict[str, _Consumer] = {}
        self.dropped = 0

    async def identity(self) -> str:
        self._check_connected()
        return self._identity

    async def append(self, event_id: str, subject: str, data: bytes) -> None:
        check_subject(subject)
        check_data(data)
        self._check_connected()
        if self._publish is not None:
            self._publish(subject, data)
        if event_id in self._ids:
            return
        self._ids.add(event_id)
        self._kept.append(data)
        self._appended += 1
        for consumer in self._consumers.values():
            consumer.news.set()

    def consume(self, durable: str, handler: EventHandler) -> "_Consuming":
        check_name(durable)
        consumer = self._consumers.setdefault(durable, _Consumer(self))
        return _Consuming(consumer, handler)

    async def close(self) -> None:
        for consumer in self._consumers.values():
            await consumer.close()

    def next_after(self, position: int) -> tuple[int, bytes] | None:
        """(position, event) of the first kept one behind `position`."""
        first = self._appended - len(self._kept)
        if position < first:
            self.dropped += first - position
            position = first
        if position == self._appended:
            return None
        return position + 1, self._kept[position - first]


class _Consumer:
    """A durable name: its position, and what has to come again."""

    def __init__(self, stream: MemoryEvents) -> None:
        self._stream = stream
        self._position = 0
        self._again: deque[tuple[float, int, bytes]] = deque()  # (due, failures, event)
        self._seen = RecentIds()
        self.news = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, handler: EventHandler) -> None:
        while True:
            data, failures = await self._next()
            try:
                event = event_pb2.Event.FromString(data)
            except DecodeError:
                log.error("what was appended is no event; it is left out")
                continue
            if event.id in self._seen:
                continue
            try:
                await handler(event)
                self._seen.add(event.id)
            except asyncio.CancelledError:
                self._again.appendleft((0.0, failures, data))
                self.news.set()
                raise
            except Exception as error:
                failures += 1
                due = asyncio.get_running_loop().time() + redelivery_delay_s(failures)
                self._again.append((due, failures, data))
                log.error("an event's consumer failed; it comes again", event_id=event.id, exc_info=error)

    async def close(self) -> None:
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _next(self) -> tuple[bytes, int]:
        while True:
            self.news.clear()
            now = asyncio.get_running_loop().time()
            due = min((again for again in self._again), default=None)
            if due is not None and due[0] <= now:
                self._again.remove(due)
                return due[2], due[1]
            following = self._stream.next_after(self._position)
            if following is not None:
                self._position = following[0]
                return following[1], 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else due[0] - now):
                    await self.news.wait()


class _Consuming:
    def __init__(self, consumer: _Consumer, handler: EventHandler) -> None:
        self._task = asyncio.create_task(consumer.run(handler))
        consumer.tasks.add(self._task)
        self._task.add_done_callback(consumer.tasks.discard)

    def close(self) -> None:
        self._task.cancel()
