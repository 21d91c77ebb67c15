"""A bucket's contents and then its changes, in order, over one connection.

An ephemeral JetStream consumer, made anew at each connection, delivers the newest message of each key and then what
is stored, in sequence. (nats-py's own watch waits up to 17 s for one that a restarted server has forgotten, and a core
subscription also sees writes that the store then refused.)

Belongs here: reading the stream of a bucket without a hole. Does not: writing (nats_kv), what watchers are told (watcher).
"""

import asyncio
import contextlib
from collections.abc import Callable

from nats.aio.msg import Msg

from vms.bus.contract import Entry
from vms.bus.errors import BusUnavailable
from vms.bus.nats_link import ApiError, Link
from vms.bus.nats_subscriptions import status_of

_HEARTBEAT_S = 2.0
_NS = 1_000_000_000

OnListed = Callable[[dict[str, Entry], set[str]], None]
OnChange = Callable[[str, Entry | None], None]


def stream_of(bucket: str) -> str:
    return f"KV_{bucket}"


def subject_of(bucket: str, key: str) -> str:
    return f"$KV.{bucket}.{key}"


def is_delete_marker(headers: dict[str, str] | None) -> bool:
    """Whether a message says that its key is gone: deleted by a client, or expired (the server's own marker)."""
    return headers is not None and ("KV-Operation" in headers or "Nats-Marker-Reason" in headers)


class Feed:
    """Reads one bucket once over one link: `on_listed(entries, deleted keys)`, then `on_change` for each change."""

    def __init__(self, link: Link, bucket: str, on_listed: OnListed, on_change: OnChange) -> None:
        self._link = link
        self._stream = stream_of(bucket)
        self._prefix = subject_of(bucket, "")
        self._on_listed = on_listed
        self._on_change = on_change
        self._entries: dict[str, Entry] = {}
        self._deleted: set[str] = set()
        self._listed = False
        self._broken = asyncio.Event()
        self._sequence = 0  # of the consumer's messages
        self._heard = False

    async def run(self) -> None:
        """Read until it breaks: raises BusUnavailable, or ApiError when the stream is not there."""
        inbox = self._link.new_inbox()
        subscription = await self._link.subscribe(inbox, self._take)
        consumer = ""
        forget = self._link.on_lost(self._broken.set)
        try:
            consumer, pending = await self._make_consumer(inbox)
            if pending == 0:
                self._finish_listing()
            while not self._broken.is_set():
                self._heard = False
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(2 * _HEARTBEAT_S):
                        await self._broken.wait()
                if not self._heard or not self._link.alive:
                    break
                await self._look_whether_listed(consumer)
        finally:
            forget()
            await self._link.unsubscribe(subscription)
            if consumer and self._link.alive:
                with contextlib.suppress(BusUnavailable, ApiError):  # without us it ends by itself
                    await self._link.api(f"CONSUMER.DELETE.{self._stream}.{consumer}")
        raise BusUnavailable(f"{self._stream}: its changes stopped coming; it is read anew")

    async def _make_consumer(self, inbox: str) -> tuple[str, int]:
        """(name, messages of the listing still to come)."""
        configuration = {
            "deliver_subject": inbox,
            "deliver_policy": "last_per_subject",
            "filter_subject": f"{self._prefix}>",
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": int(_HEARTBEAT_S * _NS),
            "inactive_threshold": 5 * _NS,
            "mem_storage": True,
            "num_replicas": 1,
        }
        made = await self._link.api(
            f"CONSUMER.CREATE.{self._stream}", {"stream_name": self._stream, "config": configuration}
        )
        return str(made["name"]), int(made["num_pending"]) + int(made["delivered"]["consumer_seq"])

    async def _look_whether_listed(self, consumer: str) -> None:
        """What was to be listed may expire before it is delivered; then nothing marks the end of the listing."""
        if not self._listed:
            information = await self._link.api(f"CONSUMER.INFO.{self._stream}.{consumer}")
            if information["num_pending"] == 0:
                self._finish_listing()

    async def _take(self, message: Msg) -> None:
        self._heard = True
        if status_of(message) == "100":
            await self._take_status(message)
            return
        metadata = message.metadata
        self._sequence += 1
        if metadata.sequence.consumer != self._sequence:
            self._broken.set()  # some could not be taken in time
        if self._broken.is_set():
            return
        key = message.subject.removeprefix(self._prefix)
        gone = is_delete_marker(message.headers)
        entry = None if gone else Entry(key, message.data, metadata.sequence.stream)
        if self._listed:
            self._on_change(key, entry)
            return
        if entry is None:
            self._entries.pop(key, None)
            self._deleted.add(key)
        else:
            self._deleted.discard(key)
            self._entries[key] = entry
        if metadata.num_pending == 0:
            self._finish_listing()

    async def _take_status(self, message: Msg) -> None:
        headers = message.headers or {}
        if message.reply:  # flow control: the answer says that everything before it was taken
            await self._link.publish(message.reply, b"")
        elif int(headers.get("Nats-Last-Consumer", self._sequence)) > self._sequence:
            self._broken.set()

    def _finish_listing(self) -> None:
        if not self._listed:
            self._listed = True
            self._on_listed(self._entries, self._deleted)
