"""The JSON of evidence locks and bookmarks. Names and shapes here are the public contract (docs/api)."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vms.api.documents import Body, Time
from vms.api.evidence_ports import LockReport
from vms.api.times import TimeNs
from vms.common.bookmark import Bookmark
from vms.common.clock import rfc3339
from vms.common.ids import CAMERA_ID_PATTERN

CameraIdText = Annotated[str, Field(pattern=CAMERA_ID_PATTERN, examples=["porch"])]
_Reason = Annotated[
    str,
    Field(min_length=1, max_length=1000, description="in a person's words", examples=["burglary, case 4711"]),
]
_Person = Annotated[str, Field(min_length=1, max_length=200, description="who", examples=["Ana Souza"])]


class NewLock(Body):
    """Footage that must not be deleted. At most 31 days; it may end up to 24 hours from now."""

    camera_id: CameraIdText
    start: TimeNs
    end: TimeNs
    reason: _Reason
    created_by: _Person


class Release(Body):
    """Who lets footage go, and why. Both are kept."""

    released_by: _Person
    reason: _Reason


class VolumeHoldDocument(BaseModel):
    """Whether a volume obeys the lock."""

    volume: Annotated[str, Field(description="its path", examples=["/var/lib/vms/recordings"])]
    holds: bool
    detail: Annotated[str, Field(description="why it does not, for a person; empty where it does")]


class LockDocument(BaseModel):
    """An evidence lock: nothing of the camera in this range is deleted while it holds."""

    id: UUID
    camera_id: str
    start: Time
    end: Time
    reason: str
    created_by: str
    created_at: Time
    holds: Annotated[bool, Field(description="false once it was released")]
    released_at: Time | None
    released_by: str | None
    release_reason: str | None
    volumes: Annotated[
        list[VolumeHoldDocument],
        Field(description="which volumes obey it; one that was away obeys it as soon as it is back"),
    ]


class LockList(BaseModel):
    """Locks, the newest first. next_cursor: the `cursor` of those before; null when there are none."""

    locks: list[LockDocument]
    next_cursor: str | None


class NewBookmark(Body):
    """A moment, or a range of at most 31 days."""

    camera_id: CameraIdText
    start: TimeNs
    end: Annotated[TimeNs | None, Field(description="default: a moment")] = None
    title: Annotated[str, Field(min_length=1, max_length=200, examples=["White van"])]
    note: Annotated[str, Field(max_length=4000)] = ""
    created_by: Annotated[str, Field(max_length=200, description="who")] = ""


class BookmarkChanges(Body):
    """What to change of a bookmark; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "number plate is readable"}]})

    start: TimeNs | None = None
    end: TimeNs | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    note: Annotated[str, Field(max_length=4000)] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: object) -> object:
        if value is None:
            raise ValueError("cannot be null; leave it out to keep it as it is")
        return value

    def given(self) -> dict[str, int | str]:
        """The fields that the request named, as the gateway calls them."""
        names = {"start": "start_ns", "end": "end_ns"}
        return {names.get(name, name): getattr(self, name) for name in self.model_fields_set}


class BookmarkDocument(BaseModel):
    """A bookmark. start and end are equal for a moment."""

    id: UUID
    camera_id: str
    start: Time
    end: Time
    title: str
    note: str
    created_by: str
    created_at: Time
    updated_at: Time


class BookmarkList(BaseModel):
    """Bookmarks, those of the latest footage first. next_cursor: the `cursor` of those before; null for none."""

    bookmarks: list[BookmarkDocument]
    next_cursor: str | None


def lock_document(report: LockReport) -> LockDocument:
    lock = report.lock
    return LockDocument(
        id=lock.id,
        camera_id=lock.camera_id,
        start=rfc3339(lock.start_ns),
        end=rfc3339(lock.end_ns),
        reason=lock.reason,
        created_by=lock.created_by,
        created_at=rfc3339(lock.created_ns),
        holds=lock.holds,
        released_at=None if lock.released_ns is None else rfc3339(lock.released_ns),
        released_by=lock.released_by or None,
        release_reason=lock.release_reason or None,
        volumes=[
            VolumeHoldDocument(volume=each.volume, holds=each.holds, detail=each.detail)
            for each in report.volumes
        ],
    )


def bookmark_document(bookmark: Bookmark) -> BookmarkDocument:
    return BookmarkDocument(
        id=bookmark.id,
        camera_id=bookmark.camera_id,
        start=rfc3339(bookmark.start_ns),
        end=rfc3339(bookmark.end_ns),
        title=bookmark.title,
        note=bookmark.note,
        created_by=bookmark.created_by,
        created_at=rfc3339(bookmark.created_ns),
        updated_at=rfc3339(bookmark.updated_ns),
    )
