"""Evidence locks and bookmarks as other processes see them: every question goes to the gateway over the bus.

Belongs here: asking. Does not: answering (evidence).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from vms.bus.contract import Bus
from vms.bus.errors import BusUnavailable
from vms.common.bookmark import Bookmark
from vms.common.ids import CameraId
from vms.gateway.evidence_messages import (
    LockReport,
    bookmark_of,
    parse,
    report_of,
)
from vms.proto import evidence_pb2, subjects

_COMMAND_S = 10.0  # changes take their turn; each may wait for keepers
_QUESTION_S = 10.0
_AT_ONCE_S = 1.0


@dataclass(frozen=True, slots=True)
class LockPage:
    """more: there are more behind the last one."""

    items: Sequence[LockReport]
    more: bool


@dataclass(frozen=True, slots=True)
class BookmarkPage:
    """more: there are more behind the last one."""

    items: Sequence[Bookmark]
    more: bool


class LockClient:
    """Implements the API's Locks. Every method raises Unavailable when the gateway or its database is away."""

    def __init__(self, bus: Bus, site: str = subjects.SITE) -> None:
        self._bus = bus
        self._site = site

    async def list(
        self,
        *,
        limit: int,
        camera_id: str | None = None,
        include_released: bool = False,
        start_ns: int | None = None,
        end_ns: int | None = None,
        before: tuple[int, str] | None = None,
    ) -> LockPage:
        """The newest first. before: (created_ns, id)."""
        question = evidence_pb2.LockQuery(
            camera_id=camera_id or "",
            include_released=include_released,
            limit=limit,
            start_ns=start_ns,
            end_ns=end_ns,
            before=_place(before),
        )
        data = await self._ask("list", question.SerializeToString(), _QUESTION_S)
        answer = parse(evidence_pb2.LockPage(), data)
        return LockPage([report_of(each) for each in answer.locks], answer.more)

    async def get(self, lock_id: UUID) -> LockReport:
        """Raises NotFound."""
        question = evidence_pb2.LockId(id=str(lock_id))
        return _report(await self._ask("get", question.SerializeToString(), _QUESTION_S))

    async def create(
        self, camera_id: CameraId, start_ns: int, end_ns: int, *, reason: str, created_by: str
    ) -> LockReport:
        """Raises InvalidInput, and Conflict when too many hold."""
        command = evidence_pb2.CreateLock(
            id=str(uuid4()),
            camera_id=camera_id,
            start_ns=start_ns,
            end_ns=end_ns,
            reason=reason,
            created_by=created_by,
        )
        return _report(await self._command("create", command.SerializeToString()))

    async def release(self, lock_id: UUID, *, released_by: str, reason: str) -> LockReport:
        """Raises NotFound, Conflict, InvalidInput."""
        command = evidence_pb2.ReleaseLock(id=str(lock_id), released_by=released_by, reason=reason)
        return _report(await self._command("release", command.SerializeToString()))

    async def _command(self, verb: str, data: bytes) -> bytes:
        """A gateway that died with the command in hand did it or not: its successor is asked the same once more."""
        began_s = asyncio.get_running_loop().time()
        try:
            return await self._ask(verb, data, _COMMAND_S)
        except BusUnavailable:
            if asyncio.get_running_loop().time() - began_s < _AT_ONCE_S:
                raise  # nobody was there to take it
        return await self._ask(verb, data, _COMMAND_S)

    async def _ask(self, verb: str, data: bytes, timeout_s: float) -> bytes:
        return await self._bus.request(subjects.lock(verb, self._site), data, timeout_s=timeout_s)


class BookmarkClient:
    """Implements the API's Bookmarks. Every method raises Unavailable when the gateway or its database is away."""

    def __init__(self, bus: Bus, site: str = subjects.SITE) -> None:
        self._bus = bus
        self._site = site

    async def list(
        self,
        *,
        limit: int,
        camera_id: str | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        text: str | None = None,
        before: tuple[int, str] | None = None,
    ) -> BookmarkPage:
        """Those of the latest footage first. before: (start_ns, id)."""
        question = evidence_pb2.BookmarkQuery(
            camera_id=camera_id or "",
            start_ns=start_ns,
            end_ns=end_ns,
            text=text or "",
            limit=limit,
            before=_place(before),
        )
        answer = parse(evidence_pb2.BookmarkPage(), await self._ask("list", question.SerializeToString()))
        return BookmarkPage([bookmark_of(each) for each in answer.bookmarks], answer.more)

    async def get(self, bookmark_id: UUID) -> Bookmark:
        """Raises NotFound."""
        question = evidence_pb2.BookmarkId(id=str(bookmark_id))
        return _bookmark(await self._ask("get", question.SerializeToString()))

    async def create(
        self, camera_id: CameraId, start_ns: int, end_ns: int, *, title: str, note: str, created_by: str
    ) -> Bookmark:
        """Raises InvalidInput, Conflict."""
        command = evidence_pb2.CreateBookmark(
            camera_id=camera_id,
            start_ns=start_ns,
            end_ns=end_ns,
            title=title,
            note=note,
            created_by=created_by,
        )
        return _bookmark(await self._ask("create", command.SerializeToString()))

    async def change(self, bookmark_id: UUID, changes: Mapping[str, int | str]) -> Bookmark:
        """changes: start_ns, end_ns, title, note. Raises NotFound, InvalidInput."""
        command = evidence_pb2.ChangeBookmark(id=str(bookmark_id))
        for name, value in changes.items():
            setattr(command, name, value)
        return _bookmark(await self._ask("change", command.SerializeToString()))

    async def delete(self, bookmark_id: UUID) -> None:
        """Raises NotFound."""
        await self._ask("delete", evidence_pb2.BookmarkId(id=str(bookmark_id)).SerializeToString())

    async def _ask(self, verb: str, data: bytes) -> bytes:
        return await self._bus.request(subjects.bookmark(verb, self._site), data, timeout_s=_QUESTION_S)


def _place(before: tuple[int, str] | None) -> evidence_pb2.Place | None:
    return evidence_pb2.Place(time_ns=before[0], id=before[1]) if before is not None else None


def _report(data: bytes) -> LockReport:
    return report_of(parse(evidence_pb2.LockReport(), data))


def _bookmark(data: bytes) -> Bookmark:
    return bookmark_of(parse(evidence_pb2.Bookmark(), data))
