"""The bus within one process: the same contract as over NATS, with nothing outside.

Belongs here: messages and requests between parts of a process. Does not: its buckets (memory_kv), its events (memory_events).
"""

import asyncio
from collections.abc import Callable

from vms.bus.contract import (
    MAX_CONCURRENT_REQUESTS,
    MAX_DATA_BYTES,
    MessageHandler,
    RequestHandler,
    check_data,
    check_name,
)
from vms.bus.errors import BusUnavailable
from vms.bus.memory_events import MemoryEvents
from vms.bus.memory_kv import MemoryKeyValue
from vms.bus.replies import answer_bytes, parse_result
from vms.bus.subject import Pattern, check_subject
from vms.common.clock import Clock, SystemClock
from vms.common.errors import InvalidInput, VmsError
from vms.telemetry.logs import get_logger

log = get_logger(__name__)


class MemoryBus:
    """All parts of a process share one. Connected from start to stop. Counter: handler_failures, dropped."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._subscriptions: list[_Subscription] = []
        self._servers: list[_Server] = []
        self._buckets: dict[str, MemoryKeyValue] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._connected = False
        self._turn = 0
        self._events = MemoryEvents(self._check_connected, self.publish)
        self.handler_failures = 0
        self.dropped = 0  # published while stopped

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def events(self) -> MemoryEvents:
        return self._events

    async def start(self) -> None:
        self._connected = True
        for callback in self._callbacks:
            asyncio.get_running_loop().call_soon(callback)

    async def stop(self) -> None:
        self._connected = False
        for server in list(self._servers):
            server.close()
        for bucket in self._buckets.values():
            bucket.close()
        await self._events.close()

    def publish(self, subject: str, data: bytes) -> None:
        check_subject(subject)
        check_data(data)
        if not self._connected:
            self.dropped += 1
            return
        for subscription in self._subscriptions:
            if subscription.pattern.matches(subject):
                asyncio.get_running_loop().call_soon(self._deliver, subscription, subject, data)

    def subscribe(self, subject: str, handler: MessageHandler) -> "_Subscription":
        subscription = _Subscription(self._subscriptions, Pattern(subject), handler)
        self._subscriptions.append(subscription)
        return subscription

    async def request(self, subject: str, data: bytes, *, timeout_s: float = 5.0) -> bytes:
        servers = self._served(subject, data)
        if not servers:
            raise BusUnavailable(f"nobody serves {subject}; is the process behind it running?")
        self._turn += 1
        try:
            async with asyncio.timeout(timeout_s):
                return parse_result(await asyncio.shield(servers[self._turn % len(servers)].ask(data)))
        except TimeoutError:
            raise BusUnavailable(f"{subject}: no answer in {timeout_s:g} s; try again") from None

    async def request_many(
        self, subject: str, data: bytes, *, timeout_s: float, expected: int | None = None
    ) -> list[bytes]:
        asked = [server.ask(data) for server in self._one_of_each_queue(self._served(subject, data))]
        results: list[bytes] = []
        if not asked:
            return results
        try:
            async with asyncio.timeout(timeout_s):
                for coming in asyncio.as_completed(asked):
                    try:
                        results.append(parse_result(await coming))
                    except VmsError as error:
                        log.warning("one of many answers is an error", subject=subject, reason=str(error))
                    if len(results) == expected:
                        break
        except TimeoutError:
            pass
        return results

    def serve(self, subject: str, handler: RequestHandler, *, queue: str | None = None) -> "_Server":
        if queue is not None:
            check_name(queue)
        server = _Server(self._servers, Pattern(subject), handler, queue)
        self._servers.append(server)
        return server

    def bucket(self, name: str, *, ttl_s: float | None = None) -> MemoryKeyValue:
        check_name(name)
        bucket = self._buckets.setdefault(
            name, MemoryKeyValue(name, ttl_s, self._clock, self._check_connected)
        )
        if bucket.ttl_s != ttl_s:
            raise InvalidInput(
                f"bucket {name}: its values live {bucket.ttl_s} s, not {ttl_s}; use one everywhere"
            )
        return bucket

    def on_connect(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)
        if self._connected:
            asyncio.get_running_loop().call_soon(callback)

    def _served(self, subject: str, data: bytes) -> "list[_Server]":
        check_subject(subject)
        check_data(data)
        self._check_connected()
        return [server for server in self._servers if server.pattern.matches(subject)]

    def _check_connected(self) -> None:
        if not self._connected:
            raise BusUnavailable("the bus is stopped")

    @staticmethod
    def _one_of_each_queue(servers: "list[_Server]") -> "list[_Server]":
        chosen: dict[object, _Server] = {}
        for server in servers:
            chosen.setdefault(server.queue or server, server)
        return list(chosen.values())

    def _deliver(self, subscription: "_Subscription", subject: str, data: bytes) -> None:
        if subscription.closed:
            return
        try:
            subscription.handler(subject, data)
        except Exception as error:
            self.handler_failures += 1
            log.error("a subscriber failed", subject=subject, exc_info=error)


class _Subscription:
    def __init__(self, all_: "list[_Subscription]", pattern: Pattern, handler: MessageHandler) -> None:
        self._all = all_
        self.pattern = pattern
        self.handler = handler
        self.closed = False

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._all.remove(self)


class _Server:
    def __init__(
        self, all_: "list[_Server]", pattern: Pattern, handler: RequestHandler, queue: str | None
    ) -> None:
        self._all = all_
        self.pattern = pattern
        self._handler = handler
        self.queue = queue
        self._room = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._requests: set[asyncio.Task[bytes]] = set()

    def ask(self, data: bytes) -> asyncio.Task[bytes]:
        """The serialised Reply, by a task of its own that ends even when the asker gives up."""
        request = asyncio.create_task(self._answer(data))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        return request

    def close(self) -> None:
        """Requests that were taken are still answered."""
        if self in self._all:
            self._all.remove(self)

    async def _answer(self, data: bytes) -> bytes:
        async with self._room:
            return await answer_bytes(self._handler, data, MAX_DATA_BYTES)
