"""Thumbnails and export jobs as values, and what the render role offers.

Times are Unix nanoseconds, UTC. Belongs here: values. Does not: making anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from vms.common.ids import CameraId


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture. time_ns: when the key picture that it shows was captured."""

    jpeg: bytes
    time_ns: int


@dataclass(frozen=True, slots=True)
class Strip:
    """Thumbnails in one picture, `columns` a row, each cell `width` by `height` pixels.

    times_ns: of each cell, row by row; None where nothing is recorded (the cell is black).
    """

    jpeg: bytes
    times_ns: tuple[int | None, ...]
    columns: int
    width: int
    height: int


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What a person wants to have as a file.

    cameras: of several, an archive is made. exact: cut at the times themselves, not at the key picture before.
    burn_in: the time zone in which the time is drawn into the pictures; None: pictures are copied as they are.
    archive: a ZIP with one clip a camera, a signed manifest and a player. names: of cameras, for people.
    """

    cameras: tuple[CameraId, ...]
    start_ns: int
    end_ns: int
    exact: bool = False
    burn_in: str | None = None
    archive: bool = False
    title: str = ""
    note: str = ""
    asked_by: str = ""
    names: Mapping[CameraId, str] = field(default_factory=dict)

    @property
    def packed(self) -> bool:
        """Whether the result is an archive."""
        return self.archive or len(self.cameras) > 1


@dataclass(frozen=True, slots=True)
class ExportJob:
    """An export that is made in the background.

    progress: 0 to 1. stage: what is being done, for a person. size_bytes: written so far. error: why it failed.
    finished_ns, expires_ns: None until it has ended. file_name: in the job's directory; None until it is done.
    verified: whether what it was cut from is signed and unchanged; None where that was not checked.
    attempts: how often it was begun.
    """

    id: str
    order: ExportOrder
    created_ns: int
    state: JobState = JobState.QUEUED
    progress: float = 0.0
    stage: str = ""
    size_bytes: int = 0
    error: str | None = None
    finished_ns: int | None = None
    expires_ns: int | None = None
    file_name: str | None = None
    verified: bool | None = None
    attempts: int = 0


class Rendering(Protocol):
    """What the render role offers, in this process or in another. All raise Unavailable when it does not answer."""

    async def thumbnail(self, camera_id: CameraId, at_ns: int, width: int) -> Thumbnail:
        """The key picture at or before `at_ns`, else the nearest within a few seconds. width: 80 to 640 pixels.

        Raises NothingRecorded, PictureUnavailable, InvalidInput. Cancelling it gives the work up.
        """

    async def strip(self, camera_id: CameraId, start_ns: int, end_ns: int, count: int, width: int) -> Strip:
        """Thumbnails of the middles of `count` (1 to 100) equal parts of the range. Raises InvalidInput."""

    async def create(self, order: ExportOrder) -> ExportJob:
        """Begin an export. Raises NothingRecorded, ExportRefused, NoRoomForExport, TooManyJobs."""

    async def jobs(self) -> Sequence[ExportJob]:
        """The newest first."""

    async def job(self, job_id: str) -> ExportJob:
        """Raises JobNotFound."""

    async def cancel(self, job_id: str) -> None:
        """Cancel one that waits or runs, whose files go at once; forget one that has ended. Raises JobNotFound."""
