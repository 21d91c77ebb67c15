"""A bucket of the bus over NATS: a JetStream stream that keeps the newest message of each key (NATS ADR-8).

Belongs here: reading and writing values, keeping watchers fed. Does not: the order of changes (nats_feed), what
watchers are told (watcher).
"""

import asyncio
import contextlib
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

from vms.bus.contract import Entry, RelistHandler, WatchHandler, check_data, check_key
from vms.bus.errors import BusUnavailable
from vms.bus.nats_feed import Feed, is_delete_marker, stream_of, subject_of
from vms.bus.nats_link import API_TIMEOUT_S, ApiError, Link
from vms.bus.watcher import Watcher
from vms.common.backoff import Backoff
from vms.common.errors import Conflict
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

_NS = 1_000_000_000
_WRONG_LAST_SEQUENCE = (10071, 10164)
_NO_MESSAGE = 10037
_NO_STREAM = 10059
_MARKER_LIFE_S = 60  # how long the server's own marks of expired keys stay
_DUPLICATE_WINDOW_S = 120.0

ToLink = Callable[[float | None], Awaitable[Link]]


class NatsKeyValue:
    """One bucket; made by NatsBus."""

    def __init__(self, name: str, ttl_s: float | None, to_link: ToLink) -> None:
        """to_link: the connection, waiting so many seconds for it (None: for ever)."""
        self._name = name
        self.ttl_s = ttl_s
        self._to_link = to_link
        self._watches: set[NatsWatch] = set()

    async def get(self, key: str) -> Entry | None:
        check_key(key)
        message = await self._newest(key)
        return None if message is None else message[0]

    async def put(self, key: str, value: bytes) -> int:
        check_key(key)
        check_data(value)
        return await self._write(key, value, {})

    async def create(self, key: str, value: bytes) -> int:
        check_key(key)
        check_data(value)
        try:
            return await self._write(key, value, _expecting(0))
        except _Refused:
            message = await self._newest(key)
        if message is not None and message[0] is not None:
            raise Conflict(f"{self._name}/{key} exists already; read it, then update")
        try:
            # A delete marker is in the way; or was, and has expired
            return await self._write(key, value, _expecting(message[1] if message is not None else 0))
        except _Refused:
            raise Conflict(f"{self._name}/{key} was made meanwhile; read it, then update") from None

    async def update(self, key: str, value: bytes, revision: int) -> int:
        check_key(key)
        check_data(value)
        try:
            if revision > 0:
                return await self._write(key, value, _expecting(revision))
        except _Refused:
            pass
        raise Conflict(f"{self._name}/{key} was changed meanwhile; read it, then try again")

    async def delete(self, key: str) -> None:
        check_key(key)
        await self._write(key, b"", {"KV-Operation": "DEL"})

    async def list(self) -> dict[str, Entry]:
        link = await self._ready_link()
        listing: asyncio.Future[dict[str, Entry]] = asyncio.get_running_loop().create_future()

        def on_listed(entries: dict[str, Entry], _: set[str]) -> None:
            if not listing.done():
                listing.set_result(entries)

        feed = asyncio.create_task(Feed(link, self._name, on_listed, lambda _key, _entry: None).run())
        try:
            await asyncio.wait((listing, feed), timeout=60, return_when=asyncio.FIRST_COMPLETED)
            if listing.done():
                return listing.result()
            if feed.done():
                feed.result()  # raises why
            raise BusUnavailable(f"bucket {self._name}: it was not read in 60 s; try again")
        except ApiError as error:
            raise self._unavailable(link, error) from error
        finally:
            feed.cancel()
            await asyncio.wait((feed,))
            if not feed.cancelled():
                feed.exception()

    def watch(self, handler: WatchHandler, *, relisted: RelistHandler | None = None) -> "NatsWatch":
        watcher = Watcher(handler, relisted, missing_is_gone=self.ttl_s is not None)
        watch = NatsWatch(self._name, watcher, self._ready_link, self._watches.discard)
        self._watches.add(watch)
        return watch

    def close(self) -> None:
        """End all watches."""
        for watch in list(self._watches):
            watch.close()

    async def _newest(self, key: str) -> tuple[Entry | None, int] | None:
        """The key's newest message as (entry, or None for a delete marker; sequence)."""
        link = await self._ready_link()
        try:
            answer = await link.api(
                f"STREAM.MSG.GET.{stream_of(self._name)}", {"last_by_subj": subject_of(self._name, key)}
            )
        except ApiError as error:
            if error.err_code == _NO_MESSAGE:
                return None
            raise self._unavailable(link, error) from error
        message: dict[str, Any] = answer["message"]
        sequence = int(message["seq"])
        if is_delete_marker(_headers(message)):
            return None, sequence
        return Entry(key, b64decode(message.get("data", "")), sequence), sequence

    async def _write(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        link = await self._ready_link()
        subject = subject_of(self._name, key)
        try:
            try:
                return await link.store(stream_of(self._name), subject, value, headers or None)
            except BusUnavailable:
                # Nobody keeps this subject: the stream was removed under us
                if not await self._is_missing(link):
                    raise
            link = await self._ready_link()
            return await link.store(stream_of(self._name), subject, value, headers or None)
        except ApiError as error:
            if error.err_code in _WRONG_LAST_SEQUENCE:
                raise _Refused from error
            raise self._unavailable(link, error) from error

    async def _is_missing(self, link: Link) -> bool:
        if not link.alive:
            return False
        try:
            await link.api(f"STREAM.INFO.{stream_of(self._name)}")
        except ApiError as error:
            if error.err_code == _NO_STREAM:
                link.ensured.discard(stream_of(self._name))
                return True
        return False

    async def _ready_link(self, timeout_s: float | None = API_TIMEOUT_S) -> Link:
        """A link on whose server the bucket exists."""
        link = await self._to_link(timeout_s)
        if stream_of(self._name) not in link.ensured:
            try:
                await link.ensure_stream(self._configuration())
            except ApiError as error:
                raise self._unavailable(link, error) from error
        return link

    def _configuration(self) -> dict[str, Any]:
        configuration: dict[str, Any] = {
            "name": stream_of(self._name),
            "subjects": [subject_of(self._name, ">")],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_msgs_per_subject": 1,
            "max_consumers": -1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_age": 0,
            "duplicate_window": int(_DUPLICATE_WINDOW_S * _NS),
            "num_replicas": 1,
            "deny_delete": True,
            "allow_rollup_hdrs": True,
            "allow_direct": True,
        }
        if self.ttl_s is not None:
            configuration["max_age"] = int(self.ttl_s * _NS)
            configuration["duplicate_window"] = int(min(_DUPLICATE_WINDOW_S, self.ttl_s) * _NS)
            configuration["subject_delete_marker_ttl"] = _MARKER_LIFE_S * _NS
        return configuration

    def _unavailable(self, link: Link, error: ApiError) -> BusUnavailable:
        link.ensured.discard(stream_of(self._name))
        return BusUnavailable(f"bucket {self._name}: {error}")


class NatsWatch:
    """Keeps one watcher fed, over all connections."""

    def __init__(
        self,
        bucket: str,
        watcher: Watcher,
        ready_link: Callable[[float | None], Awaitable[Link]],
        on_close: Callable[["NatsWatch"], None],
    ) -> None:
        self._bucket = bucket
        self._watcher = watcher
        self._ready_link = ready_link
        self._on_close = on_close
        self._task = asyncio.create_task(self._run(), name=f"watch {bucket}")

    def close(self) -> None:
        self._watcher.close()
        self._task.cancel()
        self._on_close(self)

    async def _run(self) -> None:
        backoff = Backoff(0.05, 1.0)
        while True:
            try:
                link = await self._ready_link(None)
                await Feed(link, self._bucket, self._relist, self._watcher.change).run()
            except ApiError as error:
                with contextlib.suppress(UnboundLocalError):
                    link.ensured.discard(stream_of(self._bucket))
                log.warning("a bucket cannot be watched now", bucket=self._bucket, reason=str(error))
            except BusUnavailable as error:
                log.debug("a bucket is watched anew", bucket=self._bucket, reason=str(error))
            except Exception as error:
                log.error("watching a bucket failed; it begins anew", bucket=self._bucket, exc_info=error)
            await asyncio.sleep(backoff.next_s())

    def _relist(self, entries: dict[str, Entry], deleted: set[str]) -> None:
        self._watcher.relist(entries, deleted)


class _Refused(Exception):
    """The expected revision is not the newest."""


def _expecting(sequence: int) -> dict[str, str]:
    return {"Nats-Expected-Last-Subject-Sequence": str(sequence)}


def _headers(message: dict[str, Any]) -> dict[str, str]:
    lines = b64decode(message.get("hdrs", "")).decode(errors="replace").split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines if ": " in line)
