"""Evidence locks and bookmarks behind the bus: it answers the commands and questions of other processes.

A lock is committed first, then every keeper is told, then the command is answered: when a person reads that footage is
locked it is so, on every volume that the answer names as holding.

Belongs here: the order of things. Does not: the rules (locks, bookmarks), telling keepers (lock_distribution).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager

from vms.bus.contract import Bus, Subscription
from vms.common.clock import Clock
from vms.common.errors import VmsError
from vms.gateway.bookmarks import BookmarkQuery, BookmarkStore
from vms.gateway.counters import GatewayCounters
from vms.gateway.database import Database
from vms.gateway.evidence_messages import (
    LockReport,
    bookmark_message,
    page,
    parse,
    place_of,
    report_message,
    uuid_of,
)
from vms.gateway.lock_distribution import KeptVolume, LockDistributor
from vms.gateway.locks import LockQuery, LockSet, LockStore, StoredLock
from vms.proto import evidence_pb2, subjects
from vms.proto.worker_pb2 import WorkerStatus
from vms.telemetry.metrics import MetricFamily

SETTLE_S = 6.0
"""So long a command waits for keepers; those that are slower are named in its answer."""
LIST_MAX = 1000

Turn = Callable[[], AbstractAsyncContextManager[Database]]
"""The database for one change or question. Raises Unavailable while it is not open."""
Handler = Callable[[bytes], Awaitable[bytes]]


class EvidenceDesk:
    """Serves while started. volumes: those whose keepers are told of locks."""

    def __init__(self, bus: Bus, clock: Clock, site: str, turn: Turn, counters: GatewayCounters) -> None:
        self._bus = bus
        self._clock = clock
        self._site = site
        self._turn = turn
        self._counters = counters
        self._subscriptions: list[Subscription] = []
        self._distributor = LockDistributor(self._holding)
        self._opening: int | None = None  # revision of the locks when the database was opened

    async def start(self) -> None:
        """Serve from now on, and tell the keepers."""
        locks: Mapping[str, Handler] = {
            "create": self._create_lock,
            "release": self._release_lock,
            "get": self._get_lock,
            "list": self._list_locks,
        }
        bookmarks: Mapping[str, Handler] = {
            "create": self._create_bookmark,
            "change": self._change_bookmark,
            "delete": self._delete_bookmark,
            "get": self._get_bookmark,
            "list": self._list_bookmarks,
        }
        for kind, subject, handlers in (
            ("lock", subjects.lock, locks),
            ("bookmark", subjects.bookmark, bookmarks),
        ):
            for verb, handler in handlers.items():
                counted = self._counted(f"{kind}_{verb}", handler)
                self._subscriptions.append(self._bus.serve(subject(verb, self._site), counted))
        await self._distributor.start()

    async def stop(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []
        await self._distributor.stop()

    async def set_volumes(self, volumes: Iterable[KeptVolume]) -> None:
        """These are the volumes from now on."""
        await self._distributor.set_volumes(volumes)

    def heard(self, status: WorkerStatus) -> None:
        """A process lives."""
        self._distributor.heard(status)

    def opened(self) -> None:
        """The database can be used, maybe another one than before."""
        self._opening = None
        self._distributor.changed()

    def metrics(self) -> Iterable[MetricFamily]:
        return self._distributor.metrics()

    # Locks

    async def _create_lock(self, data: bytes) -> bytes:
        command = parse(evidence_pb2.CreateLock(), data)
        async with self._turn() as database:
            stored = await (await self._opened(database)).create(
                command.camera_id,
                command.start_ns,
                command.end_ns,
                reason=command.reason,
                created_by=command.created_by,
                lock_id=uuid_of(command.id),
            )
        return await self._told(stored)

    async def _release_lock(self, data: bytes) -> bytes:
        command = parse(evidence_pb2.ReleaseLock(), data)
        async with self._turn() as database:
            stored = await (await self._opened(database)).release(
                command.id, released_by=command.released_by, reason=command.reason
            )
        return await self._told(stored)

    async def _get_lock(self, data: bytes) -> bytes:
        question = parse(evidence_pb2.LockId(), data)
        async with self._turn() as database:
            return self._report(await self._locks(database).get(question.id)).SerializeToString()

    async def _list_locks(self, data: bytes) -> bytes:
        question = parse(evidence_pb2.LockQuery(), data)
        limit = min(question.limit or LIST_MAX, LIST_MAX)
        query = LockQuery(
            limit=limit + 1,
            camera_id=question.camera_id,
            include_released=question.include_released,
            start_ns=question.start_ns if question.HasField("start_ns") else None,
            end_ns=question.end_ns if question.HasField("end_ns") else None,
            before=place_of(question.before if question.HasField("before") else None),
        )
        async with self._turn() as database:
            found = await self._locks(database).list(query)
        shown, more = page((self._report(stored) for stored in found), limit)
        return evidence_pb2.LockPage(locks=shown, more=more).SerializeToString()

    async def _holding(self) -> LockSet:
        async with self._turn() as database:
            locks = await self._opened(database)
            assert self._opening is not None
            return await locks.to_tell(self._opening)

    async def _told(self, stored: StoredLock) -> bytes:
        self._distributor.changed()
        await self._distributor.settled(stored.revision, SETTLE_S)
        return self._report(stored).SerializeToString()

    def _report(self, stored: StoredLock) -> evidence_pb2.LockReport:
        return report_message(LockReport(stored.lock, self._distributor.holds(stored)))

    async def _opened(self, database: Database) -> LockStore:
        """The locks, with the revision noted that they had before the first change."""
        locks = self._locks(database)
        if self._opening is None:
            self._opening = await locks.revision()
        return locks

    def _locks(self, database: Database) -> LockStore:
        return LockStore(database, self._clock, self._site)

    # Bookmarks

    async def _create_bookmark(self, data: bytes) -> bytes:
        command = parse(evidence_pb2.CreateBookmark(), data)
        async with self._turn() as database:
            bookmark = await self._bookmarks(database).create(
                command.camera_id,
                command.start_ns,
                command.end_ns,
                title=command.title,
                note=command.note,
                created_by=command.created_by,
            )
        return bookmark_message(bookmark).SerializeToString()

    async def _change_bookmark(self, data: bytes) -> bytes:
        command = parse(evidence_pb2.ChangeBookmark(), data)
        names = [name for name in ("start_ns", "end_ns", "title", "note") if command.HasField(name)]
        async with self._turn() as database:
            bookmark = await self._bookmarks(database).change(
                command.id, {name: getattr(command, name) for name in names}
            )
        return bookmark_message(bookmark).SerializeToString()

    async def _delete_bookmark(self, data: bytes) -> bytes:
        command = parse(evidence_pb2.BookmarkId(), data)
        async with self._turn() as database:
            await self._bookmarks(database).delete(command.id)
        return evidence_pb2.Empty().SerializeToString()

    async def _get_bookmark(self, data: bytes) -> bytes:
        question = parse(evidence_pb2.BookmarkId(), data)
        async with self._turn() as database:
            bookmark = await self._bookmarks(database).get(question.id)
        return bookmark_message(bookmark).SerializeToString()

    async def _list_bookmarks(self, data: bytes) -> bytes:
        question = parse(evidence_pb2.BookmarkQuery(), data)
        limit = min(question.limit or LIST_MAX, LIST_MAX)
        query = BookmarkQuery(
            limit=limit + 1,
            camera_id=question.camera_id,
            start_ns=question.start_ns if question.HasField("start_ns") else None,
            end_ns=question.end_ns if question.HasField("end_ns") else None,
            text=question.text,
            before=place_of(question.before if question.HasField("before") else None),
        )
        async with self._turn() as database:
            found = await self._bookmarks(database).list(query)
        shown, more = page((bookmark_message(bookmark) for bookmark in found), limit)
        return evidence_pb2.BookmarkPage(bookmarks=shown, more=more).SerializeToString()

    def _bookmarks(self, database: Database) -> BookmarkStore:
        return BookmarkStore(database, self._clock, self._site)

    def _counted(self, name: str, handler: Handler) -> Handler:
        async def serve(data: bytes) -> bytes:
            try:
                answer = await handler(data)
            except VmsError:
                self._counters.command(name, "refused")
                raise
            self._counters.command(name, "done")
            return answer

        return serve
