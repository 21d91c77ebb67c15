"""What the API needs of the render role, as its ports; finished files it reads by itself.

Belongs here: from the API's words to those of rendering, and the bytes of finished exports. Does not: the role (render),
its socket (vms.storage.render.control), HTTP (vms.api).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from vms.api.export_ports import ExportRequest
from vms.common.errors import Conflict, NotFound, Unavailable
from vms.common.ids import CameraId
from vms.format.errors import FormatError
from vms.storage.body import Body
from vms.storage.keyring import KeyUnknown
from vms.storage.render.export_keys import ExportKeys
from vms.storage.render.job_files import EXPORTS
from vms.storage.render.values import ExportJob, ExportOrder, JobState, Rendering, Strip, Thumbnail

_CHUNK_BYTES = 1 << 20
_MEDIA_TYPES = {".mp4": "video/mp4", ".zip": "application/zip"}

Names = Callable[[], Awaitable[Mapping[CameraId, str]]]
"""What cameras are called, for people."""


@dataclass(frozen=True, slots=True)
class ShownJob:
    """An export as the API shows it. Implements its ExportJob."""

    id: UUID
    request: ExportRequest
    state: str
    progress: float
    stage: str
    size_bytes: int
    error: str | None
    created_ns: int
    expires_ns: int | None
    file_name: str | None
    verified: bool | None


class RenderThumbnails:
    """Implements the API's Thumbnails."""

    def __init__(self, rendering: Rendering) -> None:
        self._rendering = rendering

    async def thumbnail(self, camera_id: CameraId, at_ns: int, width: int) -> Thumbnail:
        """See the port. Cancelling it saves the work."""
        return await self._rendering.thumbnail(camera_id, at_ns, width)

    async def strip(self, camera_id: CameraId, start_ns: int, end_ns: int, count: int, width: int) -> Strip:
        """Thumbnails of `count` (1 to 100) parts of a range in one picture. Raises InvalidInput, Unavailable."""
        return await self._rendering.strip(camera_id, start_ns, end_ns, count, width)


class RenderExports:
    """Implements the API's ExportJobs."""

    def __init__(self, rendering: Rendering, data_dir: Path, keys: ExportKeys, names: Names) -> None:
        """keys: that files of exports may be encrypted with."""
        self._rendering = rendering
        self._keys = keys
        self._directory = data_dir / EXPORTS
        self._names = names

    async def create(self, request: ExportRequest) -> ShownJob:
        known = await self._names()
        order = ExportOrder(
            cameras=tuple(request.cameras),
            start_ns=request.start_ns,
            end_ns=request.end_ns,
            exact=request.exact,
            burn_in=request.burn_in,
            archive=request.archive,
            title=request.title,
            note=request.note,
            asked_by=request.asked_by,
            names={camera: known[camera] for camera in request.cameras if camera in known},
        )
        return _shown(await self._rendering.create(order))

    async def list(self) -> Sequence[ShownJob]:
        return [_shown(job) for job in await self._rendering.jobs()]

    async def get(self, job_id: UUID) -> ShownJob:
        return _shown(await self._rendering.job(str(job_id)))

    async def delete(self, job_id: UUID) -> None:
        """Cancel one that has not ended; forget one that has, with its file. Raises NotFound."""
        await self._rendering.cancel(str(job_id))

    async def file(self, job_id: UUID) -> "FinishedFile":
        """Open the file of a finished export; whoever asked closes it. Raises NotFound, Conflict, Unavailable."""
        job = await self._rendering.job(str(job_id))
        if job.state is not JobState.DONE or job.file_name is None:
            why = f": {job.error}" if job.error else ""
            raise Conflict(f"export {job_id} is {job.state}{why}; its file is there once it is done")
        path = self._directory / job.id / job.file_name
        try:
            return await asyncio.to_thread(lambda: FinishedFile(path, self._keys.open(path), job_id))
        except FileNotFoundError as error:
            raise NotFound(f"the file of export {job_id} is gone; make it again") from error
        except OSError as error:
            raise Unavailable(
                f"the file of export {job_id} cannot be read: {error.strerror}; check the disk of data_dir"
            ) from error
        except (FormatError, KeyUnknown) as error:
            raise Unavailable(f"the file of export {job_id} cannot be decrypted: {error}") from error


class FinishedFile:
    """A finished export being sent. Implements the API's ExportFile; goes on when the export is deleted meanwhile."""

    def __init__(self, path: Path, body: Body, job_id: UUID) -> None:
        """body: of the file at `path`, and its own from now on. Blocks. Raises OSError."""
        self._body = body
        self.name = path.name
        self.media_type = _MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        self.size_bytes = body.size_bytes
        self.etag = f"{job_id.hex}-{self.size_bytes}"
        self._reads: set[asyncio.Future[bytes]] = set()

    async def chunks(self, first: int, last: int) -> AsyncIterator[bytes]:
        """The bytes from `first` to `last`, both included. Raises Unavailable when the disk fails."""
        position, end = first, min(last + 1, self.size_bytes)
        while position < end:
            piece = await self._read(position, min(_CHUNK_BYTES, end - position))
            if not piece:
                raise Unavailable(f"{self.name} was cut short while it was being sent; make the export again")
            yield piece
            position += len(piece)

    async def close(self) -> None:
        """Let go of the file, after reads that are under way; harmless when done before."""
        if self._reads:
            await asyncio.wait(self._reads)
        self._body.close()

    async def _read(self, position: int, size: int) -> bytes:
        reading = asyncio.get_running_loop().run_in_executor(None, self._body.read_at, position, size)
        self._reads.add(reading)
        reading.add_done_callback(self._reads.discard)
        try:
            # A reader that is cancelled must not leave a thread on a descriptor that is closed and reused
            return await asyncio.shield(reading)
        except OSError as error:
            raise Unavailable(
                f"{self.name} cannot be read: {error.strerror}; check the disk of data_dir"
            ) from error
        except FormatError as error:
            raise Unavailable(f"{self.name} is damaged: {error}; make the export again") from error


def _shown(job: ExportJob) -> ShownJob:
    order = job.order
    request = ExportRequest(
        cameras=order.cameras,
        start_ns=order.start_ns,
        end_ns=order.end_ns,
        exact=order.exact,
        burn_in=order.burn_in,
        archive=order.archive,
        title=order.title,
        note=order.note,
        asked_by=order.asked_by,
    )
    return ShownJob(
        UUID(job.id),
        request,
        job.state.value,
        job.progress,
        job.stage,
        job.size_bytes,
        job.error,
        job.created_ns,
        job.expires_ns,
        job.file_name,
        job.verified,
    )
