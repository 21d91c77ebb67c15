"""Health, readiness, metrics, the API's own description."""

from typing import Annotated, cast

from fastapi import APIRouter, Path, Response
from starlette.requests import Request

from vms import __version__
from vms.api.documents import (
    Health,
    ProcessDocument,
    ProcessesDocument,
    RestartedDocument,
    SiteDocument,
    SystemDocument,
)
from vms.api.guard import API_PREFIX
from vms.api.problems import problem_response
from vms.api.routes.dependencies import PortsDependency, content, problems, readable
from vms.common.clock import rfc3339
from vms.telemetry.metrics import MetricSource, prometheus_text, read

router = APIRouter(tags=["system"])
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@readable(router, f"{API_PREFIX}/healthz", include_in_schema=False)
@readable(router, "/healthz")
async def get_health() -> Health:
    """The process answers. Open to all; says nothing else."""
    return Health(status="ok")


@readable(router, f"{API_PREFIX}/readyz", include_in_schema=False, response_model=Health)
@readable(router, "/readyz", response_model=Health, responses=problems(s503="not ready"))
async def get_readiness(ports: PortsDependency, request: Request) -> Health | Response:
    """Every service has started and works. Open to all; says nothing else."""
    if ports.ready():
        return Health(status="ready")
    return problem_response(503, "not ready", request.url.path, headers={"Retry-After": "1"})


@readable(router, f"{API_PREFIX}/metrics", include_in_schema=False, response_class=Response)
@readable(
    router,
    "/metrics",
    response_class=Response,
    responses={200: content(METRICS_TYPE, "Prometheus text format 0.0.4")},
)
async def get_metrics(ports: PortsDependency, request: Request) -> Response:
    """Counters of every process of this machine."""
    own = cast(list[MetricSource], request.app.state.metric_sources)
    found = list(await ports.machine.metrics())
    if all(process.worker != ports.worker for process in found):
        found.append(read("api", ports.worker, [*ports.metrics, *own]))
    return Response(
        prometheus_text(found),
        media_type=METRICS_TYPE,
        headers={"Cache-Control": "no-store"},
    )


@readable(router, f"{API_PREFIX}/system")
async def get_system(ports: PortsDependency, response: Response) -> SystemDocument:
    """The system: its version, its clock, the place that it watches."""
    response.headers["Cache-Control"] = "no-store"
    site = SiteDocument(name=ports.site.name, time_zone=ports.site.time_zone)
    return SystemDocument(version=__version__, now=rfc3339(ports.clock.wall_ns()), site=site)


@readable(
    router,
    f"{API_PREFIX}/system/processes",
    response_model=ProcessesDocument,
    responses=problems(s503="the supervisor does not answer"),
)
async def list_processes(ports: PortsDependency) -> ProcessesDocument:
    """The processes of the system on this machine, and what each of them costs."""
    found = await ports.machine.processes()
    return ProcessesDocument(processes=[ProcessDocument.model_validate(process) for process in found])


@router.post(
    f"{API_PREFIX}/system/processes/{{target}}/restart",
    status_code=202,
    responses=problems(
        s404="no such process or role",
        s409="it cannot be restarted by itself",
        s503="the supervisor does not answer",
    ),
)
async def restart_process(
    target: Annotated[str, Path(description="a worker such as media-0, or a role", max_length=64)],
    ports: PortsDependency,
) -> RestartedDocument:
    """Restart one process, or those of a role one after the other. The others go on."""
    return RestartedDocument(workers=list(await ports.machine.restart(target)))


@readable(router, f"{API_PREFIX}/openapi.json", include_in_schema=False, response_class=Response)
async def get_openapi(request: Request) -> Response:
    """This API as an OpenAPI document."""
    text: str = request.app.state.openapi_text()
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-cache"})
