"""The ASGI application: routes, what is around them, and what they work with, put together."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from vms import __version__
from vms.api import openapi
from vms.api.alarms import AlarmBoard
from vms.api.auth import Authenticator
from vms.api.body_limit import BodyLimit
from vms.api.failure_limit import FailureLimit
from vms.api.guard import Guard, HostCheck
from vms.api.incidents import Incidents
from vms.api.live_picture import LivePictures
from vms.api.ports import Ports
from vms.api.problems import http_error, validation_error, vms_error
from vms.api.request_counters import CountRequests, HttpCounters
from vms.api.response_headers import SecurityHeaders, WhepCors
from vms.api.routes import (
    bookmarks,
    cameras,
    coverage,
    events,
    evidence,
    exports,
    live,
    live_hls,
    live_options,
    live_reports,
    locks,
    recordings,
    session,
    system,
    volumes,
    whip,
)
from vms.api.viewer_reports import ViewerReports
from vms.api.web_app import WEB_ROOT, WebApp
from vms.common.errors import VmsError

WEB_APP_PATH = "/{path:path}"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """loopback: only this machine is served, so only its own names are answered to.

    session_secret: 32 bytes that stay the same over restarts.
    """

    token: str | None = field(repr=False)
    session_secret: bytes = field(repr=False)
    loopback: bool = True
    web_root: Path = WEB_ROOT


def create_app(ports: Ports, settings: ApiSettings) -> FastAPI:
    """The application, ready to be served."""
    counters = HttpCounters()
    authenticator = Authenticator(settings.token, settings.session_secret, ports.clock)
    failure_limit = FailureLimit(ports.clock)
    around = [
        Middleware(CountRequests, counters=counters),
        Middleware(SecurityHeaders),
        Middleware(WhepCors, token_required=authenticator.required),
        Middleware(Incidents, counters=counters),
        *([Middleware(HostCheck)] if settings.loopback else []),
        Middleware(Guard, authenticator=authenticator),
        Middleware(BodyLimit),
    ]
    app = _bare_app(around)
    app.state.ports = ports
    app.state.authenticator = authenticator
    app.state.failure_limit = failure_limit
    app.state.live_pictures = LivePictures(ports.lease)
    app.state.alarm_board = AlarmBoard(ports)
    app.state.viewer_reports = ViewerReports(ports.clock)
    app.state.metric_sources = [counters, failure_limit, app.state.alarm_board, app.state.viewer_reports]
    app.state.openapi_text = lambda: openapi.text(app)
    app.add_route(
        WEB_APP_PATH, WebApp(settings.web_root).serve, methods=["GET", "HEAD"], include_in_schema=False
    )
    return app


def described_app() -> FastAPI:
    """The routes alone, to be described; it cannot answer."""
    return _bare_app(())


def _bare_app(around: Iterable[Middleware]) -> FastAPI:
    app = FastAPI(
        title="VMS Enterprise",
        version=__version__,
        summary="Cameras, recordings and live video.",
        # The interactive pages of the framework load scripts from elsewhere; docs/api has the description.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
        middleware=list(around),
        exception_handlers={
            VmsError: vms_error,
            HTTPException: _http_error,
            RequestValidationError: validation_error,
        },
    )
    for part in (
        cameras,
        recordings,
        evidence,
        coverage,
        exports,
        locks,
        bookmarks,
        live,
        live_hls,
        live_options,
        live_reports,
        whip,
        volumes,
        system,
        events,
        session,
    ):
        app.include_router(part.router)
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        methods = allowed_methods(request.app, request.url.path)
        if not methods:
            return await http_error(request, HTTPException(404))
        return await http_error(request, HTTPException(405, headers={"Allow": ", ".join(sorted(methods))}))
    return await http_error(request, error)


def allowed_methods(app: FastAPI, path: str) -> set[str]:
    """Every method that some route takes at a path; the framework tells those of one route alone."""
    methods: set[str] = set()
    for route in iter_route_contexts(app.routes):
        if route.path != WEB_APP_PATH and route.path_regex.match(path):
            methods |= route.methods or set()
    return methods
