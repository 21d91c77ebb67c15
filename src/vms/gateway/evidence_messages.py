"""Evidence locks and bookmarks as messages between processes.

Belongs here: from values to messages and back. Does not: rows (locks, bookmarks), when they are sent (evidence,
evidence_client). It needs no database, so that the API need not carry one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from google.protobuf.message import DecodeError, Message

from vms.common.bookmark import Bookmark
from vms.common.errors import InvalidInput
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId
from vms.proto import evidence_pb2

PAGE_BYTES = 500_000
"""Of one answer at the most: what the bus carries in a message is about twice as much."""
_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True)
class VolumeHold:
    """Whether a volume obeys a lock. detail: why it does not, for a person."""

    volume: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LockReport:
    """A lock and who obeys it."""

    lock: EvidenceLock
    volumes: Sequence[VolumeHold]


def lock_message(lock: EvidenceLock) -> evidence_pb2.EvidenceLock:
    return evidence_pb2.EvidenceLock(
        id=str(lock.id),
        camera_id=lock.camera_id,
        start_ns=lock.start_ns,
        end_ns=lock.end_ns,
        reason=lock.reason,
        created_by=lock.created_by,
        created_ns=lock.created_ns,
        released_ns=lock.released_ns,
        released_by=lock.released_by,
        release_reason=lock.release_reason,
    )


def lock_of(message: evidence_pb2.EvidenceLock) -> EvidenceLock:
    return EvidenceLock(
        id=UUID(message.id),
        camera_id=CameraId(message.camera_id),
        start_ns=message.start_ns,
        end_ns=message.end_ns,
        reason=message.reason,
        created_by=message.created_by,
        created_ns=message.created_ns,
        released_ns=message.released_ns if message.HasField("released_ns") else None,
        released_by=message.released_by,
        release_reason=message.release_reason,
    )


def report_message(report: LockReport) -> evidence_pb2.LockReport:
    volumes = [
        evidence_pb2.VolumeHold(volume=each.volume, holds=each.holds, detail=each.detail)
        for each in report.volumes
    ]
    return evidence_pb2.LockReport(lock=lock_message(report.lock), volumes=volumes)


def report_of(message: evidence_pb2.LockReport) -> LockReport:
    volumes = [VolumeHold(each.volume, each.holds, each.detail) for each in message.volumes]
    return LockReport(lock_of(message.lock), volumes)


def bookmark_message(bookmark: Bookmark) -> evidence_pb2.Bookmark:
    return evidence_pb2.Bookmark(
        id=str(bookmark.id),
        camera_id=bookmark.camera_id,
        start_ns=bookmark.start_ns,
        end_ns=bookmark.end_ns,
        title=bookmark.title,
        note=bookmark.note,
        created_by=bookmark.created_by,
        created_ns=bookmark.created_ns,
        updated_ns=bookmark.updated_ns,
    )


def bookmark_of(message: evidence_pb2.Bookmark) -> Bookmark:
    return Bookmark(
        id=UUID(message.id),
        camera_id=CameraId(message.camera_id),
        start_ns=message.start_ns,
        end_ns=message.end_ns,
        title=message.title,
        note=message.note,
        created_by=message.created_by,
        created_ns=message.created_ns,
        updated_ns=message.updated_ns,
    )


def uuid_of(text: str) -> UUID | None:
    """None for "". Raises InvalidInput."""
    try:
        return UUID(text) if text else None
    except ValueError:
        raise InvalidInput("id: is no UUID; are both processes of one version?") from None


def place_of(message: evidence_pb2.Place | None) -> tuple[int, str] | None:
    return (message.time_ns, message.id) if message is not None else None


def page(messages: Iterable[_M], limit: int) -> tuple[list[_M], bool]:
    """As many of `messages` as one answer takes, up to `limit`, and whether there are more."""
    taken: list[_M] = []
    room = PAGE_BYTES
    for message in messages:
        room -= message.ByteSize()
        if len(taken) == limit or (taken and room < 0):
            return taken, True
        taken.append(message)
    return taken, False


def parse(message: _M, data: bytes) -> _M:
    """`message`, filled from `data`. Raises InvalidInput."""
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise InvalidInput(f"no {type(message).__name__}; are both processes of one version?") from None
    return message
