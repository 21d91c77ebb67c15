"""What viewers report of the live pictures that they were shown."""

from typing import cast

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

from vms.api.guard import API_PREFIX
from vms.api.routes.dependencies import KnownCamera, problems
from vms.api.viewer_reports import ViewerReport, ViewerReports

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}/live", tags=["live"])
RETRY_S = 10


def _reports(request: Request) -> ViewerReports:
    """Those of this process. Raises 429 before a body of an address that sent too many is looked at."""
    reports = cast(ViewerReports, request.app.state.viewer_reports)
    if not reports.limit.take(request.client.host if request.client else ""):
        raise HTTPException(
            429, f"too many reports; send the next one in {RETRY_S} s", {"Retry-After": str(RETRY_S)}
        )
    return reports


@router.post(
    "/report",
    status_code=204,
    responses=problems(
        s404="no such camera",
        s422="the report cannot be true",
        s429="too many reports from this address: see Retry-After",
    ),
)
async def report_viewing(
    body: ViewerReport, camera: KnownCamera, reports: ViewerReports = Depends(_reports)
) -> None:
    """Say how old the pictures of the last 10 s were when they were shown, and how many froze; it is added up in
    the metrics, over all viewers, and nothing else is kept."""
    reports.add(body)
