"""What the API needs of what decodes recordings: thumbnails, exports in the background; app supplies them.

Times are Unix nanoseconds, UTC. Errors are those of vms.common.errors; each names what it raises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from vms.api.byte_source import ByteSource
from vms.common.ids import CameraId


class Thumbnail(Protocol):
    """A small picture. time_ns: of the key frame that it shows."""

    @property
    def jpeg(self) -> bytes: ...
    @property
    def time_ns(self) -> int: ...


class Strip(Protocol):
    """Thumbnails in one picture, `columns` a row, each cell `width` by `height` pixels.

    times_ns: of each cell's key frame, row by row; None where nothing is recorded, and the cell is black.
    """

    @property
    def jpeg(self) -> bytes: ...
    @property
    def times_ns(self) -> Sequence[int | None]: ...
    @property
    def columns(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


class Thumbnails(Protocol):
    """Decoded key frames, small (the render role). Cancelling a question saves the work."""

    async def thumbnail(self, camera_id: CameraId, at_ns: int, width: int) -> Thumbnail:
        """The key frame nearest to `at_ns`, before it where there is one. width: pixels.

        Raises NotFound where nothing is recorded, with the gap's reason in the text, and Unavailable.
        """

    async def strip(self, camera_id: CameraId, start_ns: int, end_ns: int, count: int, width: int) -> Strip:
        """Those of the middles of `count` (1 to 100) equal parts of a range. Raises InvalidInput, Unavailable."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What a person wants to have as a file.

    exact: cut at the times themselves, not at the key frame before. burn_in: time zone in which the time is drawn into
    the pictures; None: not drawn. archive: several files with a manifest and a player in one ZIP. asked_by: who wants it, as
    they say.
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


class ExportJob(Protocol):
    """An export that is made in the background.

    state: queued, running, done, failed or cancelled. progress: 0 to 1. stage: what is being done, for a person.
    size_bytes: written so far. error: why it failed. expires_ns: when its file is deleted. file_name: once it is done.
    verified: whether everything that it was cut from was verified; None while that is not known.
    """

    @property
    def id(self) -> UUID: ...
    @property
    def request(self) -> ExportRequest: ...
    @property
    def state(self) -> str: ...
    @property
    def progress(self) -> float: ...
    @property
    def stage(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def error(self) -> str | None: ...
    @property
    def created_ns(self) -> int: ...
    @property
    def expires_ns(self) -> int | None: ...
    @property
    def file_name(self) -> str | None: ...
    @property
    def verified(self) -> bool | None: ...


class ExportFile(ByteSource, Protocol):
    """The finished file of an export."""

    @property
    def name(self) -> str: ...
    @property
    def media_type(self) -> str: ...


class ExportJobs(Protocol):
    """Exports in the background (the render role). All raise Unavailable while that role does not answer."""

    async def create(self, request: ExportRequest) -> ExportJob:
        """Begin one. Raises NotFound where nothing is recorded, InvalidInput, Conflict when too many wait."""

    async def list(self) -> Sequence[ExportJob]:
        """The newest first; at most 1000."""

    async def get(self, job_id: UUID) -> ExportJob:
        """Raises NotFound."""

    async def delete(self, job_id: UUID) -> None:
        """Cancel it and remove its file. Raises NotFound."""

    async def file(self, job_id: UUID) -> ExportFile:
        """Raises NotFound, and Conflict while it is not done."""
