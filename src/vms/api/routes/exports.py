"""Export jobs: files of footage that are made in the background."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Response

from vms.api.export_documents import ExportDocument, ExportList, NewExport, export_document
from vms.api.export_ports import ExportJob, ExportJobs, ExportRequest
from vms.api.guard import API_PREFIX
from vms.api.ports import Ports
from vms.api.problems import InvalidValue
from vms.api.ranges import ByteSourceResponse
from vms.api.routes.dependencies import PortsDependency, content, problems, readable, wired
from vms.api.times import LONGEST_PLAYBACK_NS
from vms.common.clock import NS
from vms.common.ids import CameraId

router = APIRouter(prefix=f"{API_PREFIX}/exports", tags=["exports"])
_JobId = Annotated[UUID, Path(description="`id` of an export")]
_AWAY = "the process that makes exports does not answer"
_NONE = "no such export"


@readable(router, "", responses=problems(s503=_AWAY))
async def list_exports(ports: PortsDependency, response: Response) -> ExportList:
    """All exports whose file was not deleted yet, the newest first."""
    response.headers["Cache-Control"] = "no-store"
    return ExportList(exports=[_document(job) for job in await _jobs(ports).list()])


@router.post(
    "",
    status_code=201,
    responses=problems(
        s404="no such camera, or nothing recorded then", s409="too many wait already", s503=_AWAY
    )
    | {201: {"headers": {"Location": {"description": "the export's path", "schema": {"type": "string"}}}}},
)
async def create_export(body: NewExport, ports: PortsDependency, response: Response) -> ExportDocument:
    """Begin to make a file; ask for the export again to see how far it is."""
    if body.end - body.start > LONGEST_PLAYBACK_NS:
        hours = LONGEST_PLAYBACK_NS // (3600 * NS)
        raise InvalidValue("body.end", f"is more than {hours} hours after start; make several exports")
    entries = [await ports.registry.get(CameraId(camera)) for camera in body.cameras]
    burn_in = body.burn_in.time_zone or ports.site.time_zone if body.burn_in and body.burn_in.time else None
    request = ExportRequest(
        cameras=tuple(entry.camera.id for entry in entries),
        start_ns=body.start,
        end_ns=body.end,
        exact=body.exact,
        burn_in=burn_in,
        archive=body.archive,
        title=body.title,
        note=body.note,
        asked_by=body.asked_by,
    )
    job = await _jobs(ports).create(request)
    response.headers["Location"] = f"{API_PREFIX}/exports/{job.id}"
    return _document(job)


@readable(router, "/{export_id}", responses=problems(s404=_NONE, s503=_AWAY))
async def get_export_job(export_id: _JobId, ports: PortsDependency, response: Response) -> ExportDocument:
    """One export and how far it is."""
    response.headers["Cache-Control"] = "no-store"
    return _document(await _jobs(ports).get(export_id))


@router.delete("/{export_id}", status_code=204, responses=problems(s404=_NONE, s503=_AWAY))
async def delete_export(export_id: _JobId, ports: PortsDependency) -> None:
    """Cancel an export, or remove it with its file."""
    await _jobs(ports).delete(export_id)


@readable(
    router,
    "/{export_id}/file",
    response_class=Response,
    responses={
        200: {
            "description": "the file",
            "content": {
                "video/mp4": {"schema": {"type": "string", "format": "binary"}},
                "application/zip": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        206: content("application/octet-stream", "the byte range asked for", format="binary"),
        304: {"description": "unchanged since the If-None-Match tag"},
    }
    | problems(
        s404=_NONE,
        s409="it is not done",
        s412="changed since the If-Match tag",
        s416="the byte range is behind the end",
        s503=_AWAY,
    ),
)
async def get_export_file(export_id: _JobId, ports: PortsDependency) -> Response:
    """The file of an export that is done; byte ranges are supported."""
    file = await _jobs(ports).file(export_id)
    plain = "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "_"
        for letter in file.name
    )
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"  # RFC 6266 §5
    headers = {"Content-Disposition": named, "Cache-Control": "private, no-cache"}
    return ByteSourceResponse(file, file.media_type, headers)


def _document(job: ExportJob) -> ExportDocument:
    return export_document(job, f"{API_PREFIX}/exports/{job.id}/file")


def _jobs(ports: Ports) -> ExportJobs:
    return wired(ports.exports, "exports cannot be made")
