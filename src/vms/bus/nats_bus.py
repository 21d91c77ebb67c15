"""The bus over NATS.

Subscriptions, servers and watchers are ours and outlive connections: each new connection gets them anew.

Belongs here: keeping connected, messages, requests. Does not: one connection (nats_link), buckets (nats_kv),
events (nats_events).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from nats.aio.msg import Msg

from vms.bus.address import BusAddress
from vms.bus.contract import MAX_DATA_BYTES, MessageHandler, RequestHandler, check_data, check_name
from vms.bus.errors import BusUnavailable
from vms.bus.nats_events import NatsEvents
from vms.bus.nats_kv import NatsKeyValue
from vms.bus.nats_link import Link
from vms.bus.nats_subscriptions import NatsServing, NatsSubscription, is_no_responders
from vms.bus.replies import parse_result
from vms.bus.subject import check_pattern, check_subject
from vms.common.backoff import Backoff
from vms.common.errors import InvalidInput, VmsError
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_OUTGOING_MESSAGES = 10_000  # published and not yet handed to the connection
_OUTGOING_BYTES = 16 << 20
_FIRST_RETRY_S = 0.05
_LONGEST_RETRY_S = 1.0
_PATIENCE_S = 5.0  # a server that starts or is restarted is no news; one that stays away is


class NatsBus:
    """See vms.bus.contract.Bus.

    Counters: connections, dropped (published while away or beyond the queue), overrun (not taken by a
    subscriber in time), handler_failures.
    """

    def __init__(self, address: Callable[[], BusAddress], *, name: str = "vms") -> None:
        """address: asked before every attempt to connect; it may raise BusUnavailable. name: shown by the server."""
        self._address = address
        self._name = name
        self._link: Link | None = None
        self._linked = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._subscriptions: dict[NatsSubscription, None] = {}
        self._buckets: dict[str, NatsKeyValue] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._outgoing: deque[tuple[str, bytes]] = deque()
        self._outgoing_bytes = 0
        self._sending: asyncio.Task[None] | None = None
        self._arranging: set[asyncio.Task[None]] = set()
        self._events = NatsEvents(self.link)
        self.connections = 0
        self.dropped = 0
        self.overrun = 0
        self.handler_failures = 0

    @property
    def connected(self) -> bool:
        return self._link is not None and self._link.alive

    @property
    def events(self) -> NatsEvents:
        return self._events

    async def start(self) -> None:
        if self._running is None:
            self._running = asyncio.create_task(self._keep_connected(), name="bus")

    async def stop(self) -> None:
        if self._running is None:
            return
        with contextlib.suppress(BusUnavailable):
            await self._settled()
            await (await self.link(0)).flush()
        await self._events.close()
        for bucket in self._buckets.values():
            bucket.close()
        self._running.cancel()
        await asyncio.wait([self._running])
        self._running = None

    async def store_works(self) -> bool:
        """Whether JetStream answers, and answered our last write to each stream; else its server needs a restart.

        After a write that failed, on a full disk for example, the server reads on and answers no write of that stream,
        also when there is room again.
        """
        try:
            link = await self.link(0)
            await link.api("INFO")
        except VmsError:
            return False
        return link.stores

    def publish(self, subject: str, data: bytes) -> None:
        check_subject(subject)
        check_data(data)
        if not self.connected:
            self.dropped += 1
            return
        self._outgoing.append((subject, data))
        self._outgoing_bytes += len(data)
        while len(self._outgoing) > _OUTGOING_MESSAGES or self._outgoing_bytes > _OUTGOING_BYTES:
            self._outgoing_bytes -= len(self._outgoing.popleft()[1])
            self.dropped += 1
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    def subscribe(self, subject: str, handler: MessageHandler) -> NatsSubscription:
        check_pattern(subject)

        async def take(_: Link, message: Msg) -> None:
            try:
                handler(message.subject, message.data)
            except Exception as error:
                self.handler_failures += 1
                log.error("a subscriber failed", subject=message.subject, exc_info=error)

        return self._add(NatsSubscription(subject, "", take, self._remove))

    async def request(self, subject: str, data: bytes, *, timeout_s: float = 5.0) -> bytes:
        link = await self._for_request(subject, data)
        return parse_result((await link.request(subject, data, timeout_s)).data)

    async def request_many(
        self, subject: str, data: bytes, *, timeout_s: float, expected: int | None = None
    ) -> list[bytes]:
        link = await self._for_request(subject, data)
        results: list[bytes] = []
        enough = asyncio.Event()

        async def take(message: Msg) -> None:
            if is_no_responders(message):
                enough.set()
                return
            try:
                results.append(parse_result(message.data))
            except VmsError as error:
                log.warning("one of many answers is an error", subject=subject, reason=str(error))
            if len(results) == expected:
                enough.set()

        inbox = link.new_inbox()
        subscription = await link.subscribe(inbox, take)
        try:
            await link.publish(subject, data, reply=inbox)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await enough.wait()
        finally:
            await link.unsubscribe(subscription)
        return results

    def serve(self, subject: str, handler: RequestHandler, *, queue: str | None = None) -> NatsSubscription:
        check_pattern(subject)
        if queue is not None:
            check_name(queue)
        serving = NatsServing(handler, MAX_DATA_BYTES)
        return self._add(NatsSubscription(subject, queue or "", serving.take, self._remove))

    def bucket(self, name: str, *, ttl_s: float | None = None) -> NatsKeyValue:
        check_name(name)
        bucket = self._buckets.setdefault(name, NatsKeyValue(name, ttl_s, self.link))
        if bucket.ttl_s != ttl_s:
            raise InvalidInput(
                f"bucket {name}: its values live {bucket.ttl_s} s, not {ttl_s}; use one everywhere"
            )
        return bucket

    def on_connect(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)
        if self.connected:
            asyncio.get_running_loop().call_soon(callback)

    async def link(self, timeout_s: float | None = None) -> Link:
        """The connection, waiting up to `timeout_s` for one (None: for ever). Raises BusUnavailable."""
        if timeout_s == 0 and not self.connected:
            raise BusUnavailable("the bus is away; try again")
        try:
            async with asyncio.timeout(timeout_s or None):
                while True:
                    await self._linked.wait()
                    if self._link is not None and self._link.alive:
                        return self._link
                    await asyncio.sleep(_FIRST_RETRY_S)
        except TimeoutError:
            raise BusUnavailable("the bus is away; try again") from None

    async def _for_request(self, subject: str, data: bytes) -> Link:
        check_subject(subject)
        check_data(data)
        await self._settled()
        return await self.link(0)

    async def _settled(self) -> None:
        """What was subscribed and published before is on its way: the order that a caller expects."""
        begun = [*self._arranging, *([self._sending] if self._sending is not None else [])]
        if begun:
            await asyncio.wait(begun)

    async def _keep_connected(self) -> None:
        backoff = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        loop = asyncio.get_running_loop()
        away_since_s: float | None = loop.time()
        while True:
            try:
                link = await Link.open(self._address(), self._name, self._count_overrun)
            except BusUnavailable as error:
                if away_since_s is not None and loop.time() - away_since_s > _PATIENCE_S:
                    log.warning("the bus is away; commands wait, recording goes on", reason=str(error))
                    away_since_s = None  # said
                await asyncio.sleep(backoff.next_s())
                continue
            except Exception as error:
                log.error("connecting to the bus failed unexpectedly", exc_info=error)
                await asyncio.sleep(_LONGEST_RETRY_S)
                continue
            try:
                await self._use(link)
                backoff.reset()
            except BusUnavailable:
                await asyncio.sleep(backoff.next_s())
            finally:
                self._linked.clear()
                self._link = None
                await link.close()
            away_since_s = loop.time()
            log.info("the connection to the bus is lost")

    async def _use(self, link: Link) -> None:
        """Be connected until the loss."""
        for subscription in list(self._subscriptions):
            await subscription.attach(link)
        await link.flush()
        self._link = link
        self._linked.set()
        self.connections += 1
        log.info("connected to the bus")
        for subscription in list(self._subscriptions):
            await subscription.attach(link)  # those that came meanwhile
        for callback in self._callbacks:
            try:
                callback()
            except Exception as error:
                self.handler_failures += 1
                log.error("what had to be done at a connection failed", exc_info=error)
        await link.lost()

    def _add(self, subscription: NatsSubscription) -> NatsSubscription:
        self._subscriptions[subscription] = None
        if self._link is not None:
            self._arrange(subscription.attach(self._link))
        return subscription

    def _remove(self, subscription: NatsSubscription) -> None:
        self._subscriptions.pop(subscription, None)
        if self._link is not None:
            self._arrange(subscription.detach(self._link))

    def _arrange(self, work: Coroutine[Any, Any, None]) -> None:
        async def quietly() -> None:
            with contextlib.suppress(BusUnavailable):  # the next connection gets it anew
                await work

        task = asyncio.create_task(quietly())
        self._arranging.add(task)
        task.add_done_callback(self._arranging.discard)

    async def _send(self) -> None:
        while self._outgoing:
            if self._arranging:
                await asyncio.wait(set(self._arranging))
            subject, data = self._outgoing.popleft()
            self._outgoing_bytes -= len(data)
            try:
                await (await self.link(0)).publish(subject, data)
            except BusUnavailable:
                self.dropped += 1

    def _count_overrun(self) -> None:
        self.overrun += 1
