"""Subscriptions that outlive connections, and the answering of requests.

Belongs here: what one subscription does on a connection. Does not: when there is a connection (nats_bus).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from vms.bus.contract import MAX_CONCURRENT_REQUESTS, RequestHandler
from vms.bus.errors import BusUnavailable
from vms.bus.nats_link import Link
from vms.bus.replies import answer_bytes

Take = Callable[[Link, Msg], Awaitable[None]]


class NatsSubscription:
    """One interest in a subject; made by NatsBus."""

    def __init__(
        self, subject: str, queue: str, take: Take, on_close: Callable[["NatsSubscription"], None]
    ) -> None:
        self._subject = subject
        self._queue = queue
        self._take = take
        self._on_close = on_close
        self._attached: tuple[Link, Subscription] | None = None
        self._closed = False

    async def attach(self, link: Link) -> None:
        """Receive over `link`, if not already. Raises BusUnavailable."""
        if self.is_closed() or (self._attached is not None and self._attached[0] is link):
            return

        async def take(message: Msg) -> None:
            if not self._closed:
                await self._take(link, message)

        subscription = await link.subscribe(self._subject, take, self._queue)
        self._attached = link, subscription
        if self.is_closed():  # meanwhile
            await self.detach(link)

    async def detach(self, link: Link) -> None:
        """Receive nothing more over `link`."""
        if self._attached is not None and self._attached[0] is link:
            _, subscription = self._attached
            self._attached = None
            await link.unsubscribe(subscription)

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._on_close(self)


class NatsServing:
    """Answers requests by a handler, a bounded number at once; more wait in the connection."""

    def __init__(self, handler: RequestHandler, limit_bytes: int) -> None:
        self._handler = handler
        self._limit_bytes = limit_bytes
        self._room = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._requests: set[asyncio.Task[None]] = set()

    async def take(self, link: Link, message: Msg) -> None:
        """Begin to answer; waits only while there is no room."""
        await self._room.acquire()
        request = asyncio.create_task(self._answer(link, message))
        self._requests.add(request)
        request.add_done_callback(self._ended)

    def _ended(self, request: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        self._room.release()

    async def _answer(self, link: Link, message: Msg) -> None:
        data = await answer_bytes(self._handler, message.data, self._limit_bytes)
        if message.reply:
            with contextlib.suppress(BusUnavailable):  # who asked is told by the loss of the connection
                await link.publish(message.reply, data)


def status_of(message: Msg) -> str:
    """The status that the server wrote into a message of its own ("503": nobody serves), "" for a peer's."""
    return str((message.headers or {}).get("Status", ""))


def is_no_responders(message: Msg) -> bool:
    return status_of(message) == "503" and not message.data
