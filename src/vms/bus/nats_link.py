"""One connection to NATS, from its success to its loss; a new one is made then, never this one revived.

nats-py's own reconnecting is off: it replays what was lost into another server's life, waits without telling, and
cannot follow a server to another port. Here, whatever waits for the server ends in BusUnavailable at the loss.

Belongs here: connecting, loss, calls to JetStream. Does not: subscriptions that outlive it (nats_bus), buckets (nats_kv).
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from vms.bus.address import BusAddress
from vms.bus.errors import BusUnavailable
from vms.common.errors import VmsError
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

CONNECT_TIMEOUT_S = 3.0
API_TIMEOUT_S = 5.0
_OPTIONS: dict[str, Any] = {
    "allow_reconnect": False,
    "max_reconnect_attempts": 1,
    "reconnect_time_wait": 0,
    "ping_interval": 2,  # s; a server that hangs is given up after 2 to 3 of these
    "max_outstanding_pings": 2,
}
_RELEASE_S = 0.5
_LOOK_S = 0.5  # how often we look whether nats-py has given up
_PENDING_MESSAGES = 65_536  # unhandled, of one subscription; beyond, messages are dropped and counted
_PENDING_BYTES = 32 << 20

_Result = TypeVar("_Result")


class Unanswered(BusUnavailable):
    """The connection stands, and no answer came in time."""


class ApiError(VmsError):
    """JetStream says no; `err_code` as in its list of errors."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(f"the bus's store: {description} ({err_code}); see the log of nats-server")
        self.code = code
        self.err_code = err_code


class Link:
    """A connection; made by `open`."""

    def __init__(self, client: Client, disconnected: asyncio.Event) -> None:
        self._client = client
        self._disconnected = disconnected
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watching = asyncio.create_task(self._watch(), name="bus link")
        self._wedged: set[str] = set()
        self.ensured: set[str] = set()  # streams that are known to exist on this server

    @classmethod
    async def open(cls, address: BusAddress, name: str, on_dropped: Callable[[], None]) -> "Link":
        """Connect, in at most CONNECT_TIMEOUT_S. Raises BusUnavailable.

        on_dropped: called for each message that a subscription could not take.
        """

        async def on_error(error: Exception) -> None:
            if isinstance(error, nats.errors.SlowConsumerError):
                on_dropped()

        disconnected = asyncio.Event()

        async def on_disconnected() -> None:
            disconnected.set()

        client = Client()
        options: dict[str, Any] = {
            "servers": [address.url],
            "user": address.user,
            "password": address.password,
            "name": name,
            **_OPTIONS,
        }
        # In a task of its own: nats-py swallows cancellation in places
        connecting = asyncio.ensure_future(
            client.connect(error_cb=on_error, disconnected_cb=on_disconnected, **options)
        )
        try:
            await asyncio.wait((connecting,), timeout=CONNECT_TIMEOUT_S)
            if not connecting.done():
                raise BusUnavailable(f"no connection to the bus at {address.url} in {CONNECT_TIMEOUT_S:g} s")
            connecting.result()
        except (nats.errors.Error, OSError, ValueError) as error:
            await _release(client)
            raise BusUnavailable(f"no connection to the bus at {address.url}: {_say(error)}") from None
        except BaseException:
            connecting.cancel()
            await _release(client)
            raise
        return cls(client, disconnected)

    @property
    def server_id(self) -> str:
        """Another one after each start of the server."""
        return str(self._client._server_info.get("server_id", ""))

    @property
    def alive(self) -> bool:
        return self._client.is_connected and not self._lost.done()

    async def lost(self) -> None:
        """Wait for the loss."""
        await asyncio.wait((self._lost,))

    def on_lost(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` at the loss, soon if that was already; returns what takes this back."""

        def call(_: asyncio.Future[None]) -> None:
            callback()

        def forget() -> None:
            self._lost.remove_done_callback(call)

        self._lost.add_done_callback(call)
        return forget

    async def close(self) -> None:
        """Leave, sending what is buffered if the server takes it; everything that waits ends."""
        self._watching.cancel()
        if not self._lost.done():
            self._lost.set_result(None)
        await _release(self._client)

    async def during(self, work: Coroutine[Any, Any, _Result], timeout_s: float, what: str) -> _Result:
        """What `work` returns; BusUnavailable when it takes longer than `timeout_s` or the connection is lost."""
        if not self.alive:
            work.close()
            raise BusUnavailable(f"{what}: the bus is away; try again")
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._lost), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        except nats.errors.NoRespondersError:
            raise BusUnavailable(f"nobody serves {what}; is the process behind it running?") from None
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"{what}: {_say(error)}; try again") from error
        finally:
            task.cancel()
        if self._lost.done():
            raise BusUnavailable(f"{what}: the bus went away before the answer; try again")
        raise Unanswered(f"{what}: no answer in {timeout_s:g} s; try again")

    async def publish(
        self, subject: str, data: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Hand a message to the connection. Raises BusUnavailable."""
        await self.during(
            self._client.publish(subject, data, reply=reply, headers=headers), API_TIMEOUT_S, subject
        )

    async def request(
        self, subject: str, data: bytes, timeout_s: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """The first answer. Raises BusUnavailable."""
        return await self.during(
            self._client.request(subject, data, timeout=timeout_s * 2 + 1, headers=headers),
            timeout_s,
            subject,
        )

    async def api(self, verb: str, argument: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call to JetStream's API, ``$JS.API.<verb>``. Raises ApiError and BusUnavailable."""
        data = json.dumps(argument).encode() if argument is not None else b""
        answer = await self.request(f"$JS.API.{verb}", data, API_TIMEOUT_S)
        return _api_answer(answer.data)

    async def store(
        self, stream: str, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> int:
        """Publish to a stream and wait until it is stored; the sequence. Raises ApiError and BusUnavailable."""
        try:
            answer = await self.request(subject, data, API_TIMEOUT_S, headers)
        except Unanswered:
            self._wedged.add(stream)
            raise
        self._wedged.discard(stream)
        return int(_api_answer(answer.data)["seq"])

    @property
    def stores(self) -> bool:
        """Whether each stream answered the last write to it; one that failed to write once never does again."""
        return not self._wedged

    async def ensure_stream(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """Make the stream, or bring it to this configuration; its information. Raises ApiError, BusUnavailable."""
        name = configuration["name"]
        try:
            information = await self.api(f"STREAM.CREATE.{name}", configuration)
        except ApiError as error:
            if error.err_code != 10058:  # in use with a different configuration
                raise
            information = await self.api(f"STREAM.UPDATE.{name}", configuration)
        self.ensured.add(name)
        return information

    async def subscribe(
        self, subject: str, handler: Callable[[Msg], Awaitable[None]], queue: str = ""
    ) -> Subscription:
        """Receive until the loss or `unsubscribe`. Raises BusUnavailable."""
        return await self.during(
            self._client.subscribe(
                subject,
                queue=queue,
                cb=handler,
                pending_msgs_limit=_PENDING_MESSAGES,
                pending_bytes_limit=_PENDING_BYTES,
            ),
            API_TIMEOUT_S,
            subject,
        )

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Receive no more; nothing to do when the connection is lost."""
        with contextlib.suppress(BusUnavailable):
            await self.during(subscription.unsubscribe(), API_TIMEOUT_S, subscription.subject)

    async def flush(self) -> None:
        """Wait until the server has read everything that was sent. Raises BusUnavailable."""
        await self.during(self._client.flush(timeout=60), API_TIMEOUT_S, "flush")

    def new_inbox(self) -> str:
        return self._client.new_inbox()

    async def _watch(self) -> None:
        # nats-py calls late or never when the peer hangs with data under way; its state is right at once
        while self._client.is_connected and not self._disconnected.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._disconnected.wait()
        if not self._lost.done():
            self._lost.set_result(None)


async def _release(client: Client) -> None:
    closing = asyncio.ensure_future(client.close())
    try:
        await asyncio.wait((closing,), timeout=_RELEASE_S)
        if closing.done() and (error := closing.exception()) is not None:
            log.debug("closing a connection to the bus failed", reason=str(error))
    finally:
        closing.cancel()
        _abort(client)


def _abort(client: Client) -> None:
    """Closing waits for a peer that hangs, and a failed connect leaves its socket open."""
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()


def _api_answer(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        raise BusUnavailable("the bus's store gave an answer that cannot be read; try again") from None
    error = answer.get("error")
    if error is None:
        return dict(answer)
    code, err_code = error.get("code", 0), error.get("err_code", 0)
    if code == 503:
        raise BusUnavailable(f"the bus's store: {error.get('description')}; is its disk full?")
    raise ApiError(code, err_code, error.get("description", ""))


def _say(error: BaseException) -> str:
    return str(error).removeprefix("nats: ") or type(error).__name__
