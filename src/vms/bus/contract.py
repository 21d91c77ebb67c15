"""What a bus can do, whoever carries it: NatsBus between processes, MemoryBus within one.

    publish/subscribe   at most once; nobody waits, what is sent while the bus is away is dropped and counted
    request/serve       one answer or a typed error, or BusUnavailable
    bucket              the newest value by key, with revisions to compare and set by
    events              kept on disk by the bus, delivered at least once, seen once

Belongs here: the interfaces and the limits that every carrier keeps. Does not: carrying anything.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from vms.common.errors import InvalidInput
from vms.proto import event_pb2

MAX_DATA_BYTES = 1_000_000  # NATS takes 1 MiB a message by default, its headers included
MAX_CONCURRENT_REQUESTS = 256  # in progress for one `serve`; more wait

MessageHandler = Callable[[str, bytes], None]
RequestHandler = Callable[[bytes], Awaitable[bytes]]
EventHandler = Callable[[event_pb2.Event], Awaitable[None]]

_KEY = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_BUCKET = re.compile(r"[A-Za-z0-9_-]+")


class Subscription(Protocol):
    def close(self) -> None:
        """Receive nothing more, from now on; may be called again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and the revision that it was written as; a revision orders writes within one life of the store."""

    key: str
    value: bytes
    revision: int


WatchHandler = Callable[[str, Entry | None], None]
RelistHandler = Callable[[Mapping[str, Entry]], None]


class KeyValue(Protocol):
    """One bucket. Every method that waits raises BusUnavailable, and InvalidInput for a bad key or too long a value.

    Whether a write that ended in BusUnavailable took effect is not known.
    """

    async def get(self, key: str) -> Entry | None:
        """The newest value; None when there is none."""

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever is there; returns the new revision."""

    async def create(self, key: str, value: bytes) -> int:
        """Write unless the key has a value; returns the revision. Raises Conflict when it has."""

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Write if `revision` is the key's newest; returns the new one. Raises Conflict when it is not."""

    async def delete(self, key: str) -> None:
        """Leave a delete marker; no error when there is no such key."""

    async def list(self) -> dict[str, Entry]:
        """Everything in the bucket."""

    def watch(self, handler: WatchHandler, *, relisted: RelistHandler | None = None) -> Subscription:
        """Call `handler` with everything present, then with each change: the newest value of a key, or None.

        None is said of a key that somebody deleted or, in a bucket with a time to live, that expired. A key that
        is missing after the bus came back is not taken for deleted: its store may be gone, and a camera must
        not end with it. `relisted` gets the whole bucket each time that it was read anew, after the calls of
        `handler` for what differs, so that the caller can decide. Both are called on the event loop.
        """


class EventStream(Protocol):
    async def identity(self) -> str:
        """What the events are kept in; another text means that what was appended before may be gone.

        Makes the store if there is none. Raises BusUnavailable.
        """

    async def append(self, event_id: str, subject: str, data: bytes) -> None:
        """Store an event and wait until that is done; the same id again within minutes changes nothing.

        Whoever subscribes to the subject is sent it too, at most once each time that it is appended.
        Raises BusUnavailable.
        """

    def consume(self, durable: str, handler: EventHandler) -> Subscription:
        """Call `handler` with each stored event, in order, one at a time; the position outlives the process.

        An event is done when `handler` returns; if it raises, the event comes again after a delay, later ones not
        waiting for it. An id is handed over once as far as this consumer remembers (the last 100,000 ids, until
        the process ends); one that keeps what it gets should use the id as its key. `durable`: a slug that
        names the consumer; several processes that use one name share the events.
        """


class Bus(Protocol):
    @property
    def connected(self) -> bool:
        """Whether anything can be sent now."""

    @property
    def events(self) -> EventStream:
        """The events of the site; emit by vms.bus.events.Outbox, which keeps them while the bus is away."""

    async def start(self) -> None:
        """Begin to connect; returns at once, also when nobody answers, and keeps trying."""

    async def stop(self) -> None:
        """Send what is queued, if connected, and leave."""

    def publish(self, subject: str, data: bytes) -> None:
        """Send to whoever subscribes now, at most once; never waits. Raises InvalidInput."""

    def subscribe(self, subject: str, handler: MessageHandler) -> Subscription:
        """Call `handler(subject, data)` for each message, also after reconnections.

        subject: ``*`` stands for one token, a last ``>`` for one or more. Raises InvalidInput.
        """

    async def request(self, subject: str, data: bytes, *, timeout_s: float = 5.0) -> bytes:
        """The answer of one server of the subject.

        Raises BusUnavailable (at once when nobody serves it or the bus is away), InvalidInput, and what the
        server raised as its subclass in vms.bus.errors.
        """

    async def request_many(
        self, subject: str, data: bytes, *, timeout_s: float, expected: int | None = None
    ) -> list[bytes]:
        """The answers of all servers of the subject that come in time; errors among them are left out and logged.

        Waits for `timeout_s`, or until there are `expected` answers. Raises BusUnavailable when the bus is away.
        """

    def serve(self, subject: str, handler: RequestHandler, *, queue: str | None = None) -> Subscription:
        """Answer requests, up to MAX_CONCURRENT_REQUESTS at once; of the servers of one `queue`, one gets each.

        What `handler` raises becomes the requester's error. Raises InvalidInput for a bad subject.
        """

    def bucket(self, name: str, *, ttl_s: float | None = None) -> KeyValue:
        """The bucket `name`, made on first use; with `ttl_s`, a value ends so long after it was written."""

    def on_connect(self, callback: Callable[[], None]) -> None:
        """Call `callback` at every connection from now on, and soon if there is one already."""


def check_data(data: bytes) -> None:
    """Raises InvalidInput for more than a message may hold."""
    if len(data) > MAX_DATA_BYTES:
        raise InvalidInput(f"a message of {len(data)} bytes; the bus takes up to {MAX_DATA_BYTES}")


def check_key(key: str) -> None:
    """Raises InvalidInput unless `key` is dot-separated tokens of ``A-Z a-z 0-9 _ -``."""
    if not _KEY.fullmatch(key):
        raise InvalidInput(f"key {key[:100]!r}: use tokens of A-Z a-z 0-9 _ - with single dots between")


def check_name(name: str) -> None:
    """Raises InvalidInput unless `name` can name a bucket or a durable consumer."""
    if not _BUCKET.fullmatch(name):
        raise InvalidInput(f"name {name[:100]!r}: use A-Z a-z 0-9 _ -")
