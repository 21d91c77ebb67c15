"""The render role in another process: its questions and answers as messages on a control socket.

Belongs here: from `Rendering` to bytes and back. Does not: the socket (vms.bus.local), what is done (service).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from google.protobuf.message import DecodeError

from vms.bus.local import LocalClient
from vms.common.errors import InvalidInput, Unavailable, VmsError
from vms.common.ids import CameraId, camera_id
from vms.proto import render_pb2
from vms.storage.render.values import ExportJob, ExportOrder, JobState, Rendering, Strip, Thumbnail

THUMBNAIL, STRIP, FORGET = "thumbnail", "strip", "forget"
CREATE, LIST, GET, CANCEL = "export_create", "export_list", "export_get", "export_cancel"

MOST_WAITING = 60
"""Questions for pictures that one client has under way: more than the other side lets wait (turns), which so gives up the
oldest and not the newest; fewer than a connection carries."""
_PICTURE_TIMEOUT_S = 10.0
_STRIP_TIMEOUT_S = 60.0
_JOB_TIMEOUT_S = 20.0

_Message = TypeVar("_Message")


class RenderControl:
    """The render role that listens at a control socket. Implements `Rendering`."""

    def __init__(self, path: Path) -> None:
        self._pictures = LocalClient(path)
        self._jobs = LocalClient(path)  # not behind pictures that wait
        self._name = uuid4().hex
        self._numbers = count()
        self._waiting = 0
        self._telling: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Leave; a later question connects anew."""
        self._pictures.close()
        self._jobs.close()

    async def thumbnail(self, camera_id: CameraId, at_ns: int, width: int) -> Thumbnail:
        question = render_pb2.ThumbnailRequest(
            ticket=self._ticket(), camera_id=camera_id, at_ns=at_ns, width=width
        )
        data = await self._picture(THUMBNAIL, question, _PICTURE_TIMEOUT_S)
        answer = render_pb2.Thumbnail.FromString(data)
        return Thumbnail(answer.jpeg, answer.at_ns)

    async def strip(self, camera_id: CameraId, start_ns: int, end_ns: int, count: int, width: int) -> Strip:
        question = render_pb2.StripRequest(
            ticket=self._ticket(),
            camera_id=camera_id,
            start_ns=start_ns,
            end_ns=end_ns,
            count=count,
            width=width,
        )
        answer = render_pb2.Strip.FromString(await self._picture(STRIP, question, _STRIP_TIMEOUT_S))
        times = tuple(at_ns or None for at_ns in answer.at_ns)
        return Strip(answer.jpeg, times, answer.columns, answer.width, answer.height)

    async def create(self, order: ExportOrder) -> ExportJob:
        data = await self._jobs.call(CREATE, _pack_order(order).SerializeToString(), timeout_s=_JOB_TIMEOUT_S)
        return _unpack_job(render_pb2.ExportJob.FromString(data))

    async def jobs(self) -> Sequence[ExportJob]:
        data = await self._jobs.call(LIST, timeout_s=_JOB_TIMEOUT_S)
        return [_unpack_job(job) for job in render_pb2.ExportJobs.FromString(data).jobs]

    async def job(self, job_id: str) -> ExportJob:
        question = render_pb2.ExportId(id=job_id).SerializeToString()
        data = await self._jobs.call(GET, question, timeout_s=_JOB_TIMEOUT_S)
        return _unpack_job(render_pb2.ExportJob.FromString(data))

    async def cancel(self, job_id: str) -> None:
        question = render_pb2.ExportId(id=job_id).SerializeToString()
        await self._jobs.call(CANCEL, question, timeout_s=_JOB_TIMEOUT_S)

    # -- private ----------------------------------------------------------------------------------------

    def _ticket(self) -> str:
        return f"{self._name}-{next(self._numbers)}"

    async def _picture(
        self, method: str, question: render_pb2.ThumbnailRequest | render_pb2.StripRequest, timeout_s: float
    ) -> bytes:
        """The answer; a caller that is cancelled is told to the other side, which then saves the work."""
        if self._waiting >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} pictures are being waited for already; try again in a second")
        self._waiting += 1
        try:
            return await self._pictures.call(method, question.SerializeToString(), timeout_s=timeout_s)
        except asyncio.CancelledError:
            telling = asyncio.create_task(self._forget(question.ticket))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
            raise
        finally:
            self._waiting -= 1

    async def _forget(self, ticket: str) -> None:
        with contextlib.suppress(VmsError):  # then it is decoded for nobody
            await self._jobs.call(FORGET, render_pb2.Forget(ticket=ticket).SerializeToString())


def render_methods(rendering: Rendering) -> Mapping[str, Callable[[bytes], Awaitable[bytes]]]:
    """The render role's methods for the control socket of its process."""
    asked: dict[str, asyncio.Task[bytes]] = {}

    async def picture(ticket: str, work: Awaitable[bytes]) -> bytes:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        asked[ticket] = task
        try:
            return await task
        except asyncio.CancelledError:
            if task.cancelled() and not _being_cancelled():
                raise Unavailable("nobody waits for this picture any more") from None
            task.cancel()
            raise
        finally:
            del asked[ticket]

    async def thumbnail(data: bytes) -> bytes:
        question = _parse(render_pb2.ThumbnailRequest.FromString, data)

        async def work() -> bytes:
            found = await rendering.thumbnail(_camera(question.camera_id), question.at_ns, question.width)
            return render_pb2.Thumbnail(jpeg=found.jpeg, at_ns=found.time_ns).SerializeToString()

        return await picture(question.ticket, work())

    async def strip(data: bytes) -> bytes:
        question = _parse(render_pb2.StripRequest.FromString, data)

        async def work() -> bytes:
            camera = _camera(question.camera_id)
            found = await rendering.strip(
                camera, question.start_ns, question.end_ns, question.count, question.width
            )
            return render_pb2.Strip(
                jpeg=found.jpeg,
                at_ns=[at_ns or 0 for at_ns in found.times_ns],
                columns=found.columns,
                width=found.width,
                height=found.height,
            ).SerializeToString()

        return await picture(question.ticket, work())

    async def forget(data: bytes) -> bytes:
        task = asked.get(_parse(render_pb2.Forget.FromString, data).ticket)
        if task is not None:
            task.cancel()
        return b""

    async def create(data: bytes) -> bytes:
        job = await rendering.create(_unpack_order(_parse(render_pb2.ExportOrder.FromString, data)))
        return _pack_job(job).SerializeToString()

    async def listed(_: bytes) -> bytes:
        jobs = await rendering.jobs()
        return render_pb2.ExportJobs(jobs=[_pack_job(job) for job in jobs]).SerializeToString()

    async def get(data: bytes) -> bytes:
        job = await rendering.job(_parse(render_pb2.ExportId.FromString, data).id)
        return _pack_job(job).SerializeToString()

    async def cancel(data: bytes) -> bytes:
        await rendering.cancel(_parse(render_pb2.ExportId.FromString, data).id)
        return b""

    return {
        THUMBNAIL: thumbnail,
        STRIP: strip,
        FORGET: forget,
        CREATE: create,
        LIST: listed,
        GET: get,
        CANCEL: cancel,
    }


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _parse(parse: Callable[[bytes], _Message], data: bytes) -> _Message:
    try:
        return parse(data)
    except DecodeError as error:
        raise InvalidInput(f"a question to the render process that cannot be read: {error}") from error


def _camera(text: str) -> CameraId:
    try:
        return camera_id(text)
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def _pack_order(order: ExportOrder) -> render_pb2.ExportOrder:
    return render_pb2.ExportOrder(
        camera_ids=order.cameras,
        start_ns=order.start_ns,
        end_ns=order.end_ns,
        exact=order.exact,
        burn_in=order.burn_in is not None,
        time_zone=order.burn_in or "",
        archive=order.archive,
        title=order.title,
        note=order.note,
        asked_by=order.asked_by,
        names={str(key): value for key, value in order.names.items()},
    )


def _unpack_order(message: render_pb2.ExportOrder) -> ExportOrder:
    return ExportOrder(
        cameras=tuple(_camera(text) for text in message.camera_ids),
        start_ns=message.start_ns,
        end_ns=message.end_ns,
        exact=message.exact,
        burn_in=message.time_zone if message.burn_in else None,
        archive=message.archive,
        title=message.title,
        note=message.note,
        asked_by=message.asked_by,
        names={_camera(key): value for key, value in message.names.items()},
    )


def _pack_job(job: ExportJob) -> render_pb2.ExportJob:
    return render_pb2.ExportJob(
        id=job.id,
        order=_pack_order(job.order),
        state=job.state,
        progress=job.progress,
        stage=job.stage,
        bytes=job.size_bytes,
        error=job.error or "",
        created_ns=job.created_ns,
        finished_ns=job.finished_ns or 0,
        expires_ns=job.expires_ns or 0,
        file_name=job.file_name or "",
        verified=job.verified,
    )


def _unpack_job(message: render_pb2.ExportJob) -> ExportJob:
    return ExportJob(
        id=message.id,
        order=_unpack_order(message.order),
        created_ns=message.created_ns,
        state=JobState(message.state),
        progress=message.progress,
        stage=message.stage,
        size_bytes=message.bytes,
        error=message.error or None,
        finished_ns=message.finished_ns or None,
        expires_ns=message.expires_ns or None,
        file_name=message.file_name or None,
        verified=message.verified if message.HasField("verified") else None,
    )
