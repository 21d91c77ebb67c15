"""The event stream of the bus over NATS: a JetStream stream, and durable pull consumers.

Belongs here: storing one event, handing stored ones over. Does not: waiting while NATS is away (events).
"""

import asyncio
import contextlib
import json
from typing import Any

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from vms.bus.contract import EventHandler, check_data, check_name
from vms.bus.errors import BusUnavailable
from vms.bus.memory_events import redelivery_delay_s
from vms.bus.nats_kv import ToLink
from vms.bus.nats_link import ApiError, Link
from vms.bus.nats_subscriptions import status_of
from vms.bus.recent_ids import RecentIds
from vms.bus.subject import check_subject
from vms.common.backoff import Backoff
from vms.proto import event_pb2
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

STREAM = "VMS_EVENTS"
DUPLICATE_WINDOW_S = 20 * 60  # longer than an outbox keeps what it delivered
_MAX_AGE_S = 30 * 24 * 3600
_MAX_BYTES = 128 << 20
_ACK_WAIT_S = 5  # what a killed process had in hand goes to its successor after this
_BATCH = 64
_PULL_S = 5.0
_NS = 1_000_000_000

_STREAM_CONFIGURATION: dict[str, Any] = {
    "name": STREAM,
    "subjects": ["vms.*.event.>"],
    "retention": "limits",
    "storage": "file",
    "discard": "old",
    "max_age": _MAX_AGE_S * _NS,
    "max_bytes": _MAX_BYTES,
    "max_consumers": -1,
    "max_msgs": -1,
    "max_msgs_per_subject": -1,
    "duplicate_window": DUPLICATE_WINDOW_S * _NS,
    "num_replicas": 1,
}


class NatsEvents:
    """See vms.bus.contract.EventStream; made by NatsBus."""

    def __init__(self, to_link: ToLink) -> None:
        """to_link: the connection, waiting so many seconds for it (None: for ever)."""
        self._to_link = to_link
        self._consumings: set[_Consuming] = set()

    async def identity(self) -> str:
        link = await self._to_link(0)
        try:
            stream = await link.ensure_stream(_STREAM_CONFIGURATION)
        except ApiError as error:
            raise BusUnavailable(f"events: {error}") from error
        # The server's id too: its end may have cost the last writes, which the stream's age does not show
        return f"{stream['created']}/{link.server_id}"

    async def append(self, event_id: str, subject: str, data: bytes) -> None:
        check_subject(subject)
        check_data(data)
        link = await self._to_link(0)
        try:
            if STREAM not in link.ensured:
                await link.ensure_stream(_STREAM_CONFIGURATION)
            await link.store(STREAM, subject, data, {"Nats-Msg-Id": event_id})
        except (ApiError, BusUnavailable) as error:
            link.ensured.discard(STREAM)
            raise BusUnavailable(f"events: {error}") from error

    def consume(self, durable: str, handler: EventHandler) -> "_Consuming":
        check_name(durable)
        consuming = _Consuming(durable, handler, self._to_link)
        self._consumings.add(consuming)
        consuming.task.add_done_callback(lambda _: self._consumings.discard(consuming))
        return consuming

    async def close(self) -> None:
        """End all consumers; what they did not finish comes again to the next of their name."""
        tasks = [consuming.task for consuming in self._consumings]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Consuming:
    def __init__(self, durable: str, handler: EventHandler, to_link: ToLink) -> None:
        self._durable = durable
        self._handler = handler
        self._to_link = to_link
        self._seen = RecentIds()
        self.handler_failures = 0
        self.task = asyncio.create_task(self._run(), name=f"events for {durable}")

    def close(self) -> None:
        self.task.cancel()

    async def _run(self) -> None:
        backoff = Backoff(0.05, 1.0)
        while True:
            try:
                link = await self._to_link(None)
                await link.ensure_stream(_STREAM_CONFIGURATION)
                await self._ensure_consumer(link)
                await self._pull(link, backoff)
            except (BusUnavailable, ApiError) as error:
                log.debug("events are asked for anew", consumer=self._durable, reason=str(error))
            except Exception as error:
                log.error("consuming events failed; it begins anew", consumer=self._durable, exc_info=error)
            await asyncio.sleep(backoff.next_s())

    async def _ensure_consumer(self, link: Link) -> None:
        configuration = {
            "durable_name": self._durable,
            "name": self._durable,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": _ACK_WAIT_S * _NS,
            "max_deliver": -1,
            "max_ack_pending": 1000,
            "replay_policy": "instant",
        }
        await link.api(
            f"CONSUMER.CREATE.{STREAM}.{self._durable}", {"stream_name": STREAM, "config": configuration}
        )

    async def _pull(self, link: Link, backoff: Backoff) -> None:
        """Ask for events again and again, over one inbox, until the link or the consumer is gone."""
        arrived: asyncio.Queue[Msg] = asyncio.Queue(2 * _BATCH)
        in_hand: set[str] = set()

        async def take(message: Msg) -> None:
            if not status_of(message):
                in_hand.add(message.reply)
            await arrived.put(message)

        inbox = link.new_inbox()
        subscription = await link.subscribe(inbox, take)
        ask = json.dumps(
            {"batch": _BATCH, "expires": int(_PULL_S * _NS), "idle_heartbeat": int(_PULL_S * _NS / 4)}
        ).encode()
        keeping = asyncio.create_task(_keep_in_hand(link, in_hand))
        try:
            while link.alive:
                await link.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self._durable}", ask, reply=inbox)
                await self._take_batch(link, arrived, in_hand)
                backoff.reset()
        finally:
            keeping.cancel()
            await link.unsubscribe(subscription)

    async def _take_batch(self, link: Link, arrived: asyncio.Queue[Msg], in_hand: set[str]) -> None:
        """Until the batch is full or its time is over; raises BusUnavailable when nothing is heard any more."""
        taken = 0
        while taken < _BATCH:
            message = await link.during(arrived.get(), _PULL_S, "events")
            status = status_of(message)
            if status == "100":
                continue
            if status in ("404", "408"):  # no more now: ask again
                return
            if status:
                raise BusUnavailable(f"events: the consumer {self._durable} ended ({status})")
            taken += 1
            verdict = await self._hand_over(message)
            in_hand.discard(message.reply)
            await link.publish(message.reply, verdict)

    async def _hand_over(self, message: Msg) -> bytes:
        """What to tell the server of it: done, never again, or again after a delay."""
        try:
            event = event_pb2.Event.FromString(message.data)
        except DecodeError:
            log.error("what lies among the events is none; it is left out", subject=message.subject)
            return b"+TERM"
        if event.id in self._seen:
            return b"+ACK"
        try:
            await self._handler(event)
        except Exception as error:
            self.handler_failures += 1
            log.error("an event's consumer failed; it comes again", consumer=self._durable, exc_info=error)
            delay_s = redelivery_delay_s(message.metadata.num_delivered)
            return b"-NAK " + json.dumps({"delay": int(delay_s * _NS)}).encode()
        self._seen.add(event.id)
        return b"+ACK"


async def _keep_in_hand(link: Link, in_hand: set[str]) -> None:
    """Tell the server now and then which events are being worked on, or it would give them to another."""
    with contextlib.suppress(BusUnavailable):
        while True:
            await asyncio.sleep(_ACK_WAIT_S / 3)
            for reply in list(in_hand):
                await link.publish(reply, b"+WPI")
