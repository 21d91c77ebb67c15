"""Errors as RFC 9457 problem details: one shape for every error that the API answers.

What a client sent is never repeated in an answer: it may hold a password.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from vms.common.errors import Conflict, InvalidInput, NotFound, Unavailable, VmsError

PROBLEM_JSON = "application/problem+json"
_RETRY_AFTER_S = 5
_NOT_LIVE_RETRY_S = 2


class FieldProblem(BaseModel):
    """One value of the request that is wrong."""

    path: Annotated[str, Field(examples=["body.source"])]
    message: Annotated[str, Field(examples=["must begin with rtsp://"])]


class Problem(BaseModel):
    """Why a request failed (RFC 9457)."""

    type: Annotated[str, Field(description="always about:blank: `status` says the kind")] = "about:blank"
    title: Annotated[str, Field(examples=["Not Found"])]
    status: Annotated[int, Field(examples=[404])]
    detail: Annotated[
        str, Field(description="what happened and what to do, for a person", examples=["no camera porch"])
    ]
    instance: Annotated[
        str,
        Field(description="the path that was asked for; urn:uuid:… for an incident in the log"),
    ]
    reason: Annotated[
        str | None,
        Field(description="a slug for programs, where there are several", examples=["b_frames"]),
    ] = None
    errors: Annotated[list[FieldProblem] | None, Field(description="each value that is wrong")] = None


class InvalidParameter(InvalidInput):
    """A query parameter that is wrong. path: such as ``query.start``."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path.rpartition('.')[2]}: {message}")
        self.path = path
        self.message = message


class InvalidValue(InvalidParameter):
    """A value of the body that is well formed and still wrong. path: such as ``body.kind``."""

    def __init__(self, path: str, message: str, status: int = 422) -> None:
        super().__init__(path, message)
        self.status = status


def problem_response(
    status: int,
    detail: str,
    instance: str,
    *,
    reason: str | None = None,
    errors: Sequence[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer for one problem; never cached."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=instance,
        reason=reason,
        errors=list(errors) if errors else None,
    )
    response = Response(
        problem.model_dump_json(exclude_none=True), status, dict(headers or {}), media_type=PROBLEM_JSON
    )
    MutableHeaders(raw=response.raw_headers).setdefault("cache-control", "no-store")
    return response


async def vms_error(request: Request, error: Exception) -> Response:
    """The answer for an error that the system raised on purpose."""
    assert isinstance(error, VmsError)
    path, headers, errors = request.url.path, {}, None
    reason = getattr(error, "reason", None)
    reason = str(reason) if isinstance(reason, str) else None
    status = 500
    if isinstance(error, InvalidParameter):
        status = error.status if isinstance(error, InvalidValue) else 400
        errors = [FieldProblem(path=error.path, message=error.message)]
    elif isinstance(error, InvalidInput):
        status = 400
    elif isinstance(error, NotFound):
        status = 404
    elif isinstance(error, Conflict):
        status = 409
        if reason in ("not_live", "publisher_present"):  # draft-ietf-wish-whep, "Playback session set up"
            headers["Retry-After"] = str(_NOT_LIVE_RETRY_S)
    elif isinstance(error, Unavailable):
        status, headers["Retry-After"] = 503, str(_RETRY_AFTER_S)
    return problem_response(status, str(error), path, reason=reason, errors=errors, headers=headers)


async def http_error(request: Request, error: Exception) -> Response:
    """The answer for an error that the framework or a route raised as a status."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = (
        error.detail
        if error.detail and error.detail != status.phrase
        else _DETAILS.get(status, status.phrase)
    )
    return problem_response(status, detail, request.url.path, headers=error.headers)


async def validation_error(request: Request, error: Exception) -> Response:
    """422 for a body, 400 for a query parameter, 404 for a path that can name nothing."""
    assert isinstance(error, RequestValidationError)
    errors = list(_field_problems(error.errors()))
    where = {problem.path.partition(".")[0] for problem in errors}
    if "path" in where:
        return problem_response(404, "nothing can be at this path", request.url.path, errors=errors)
    status = 422 if "body" in where else 400
    detail = "; ".join(f"{problem.path}: {problem.message}" for problem in errors)
    return problem_response(status, detail, request.url.path, errors=errors)


def _field_problems(errors: Iterable[Any]) -> Iterable[FieldProblem]:
    for error in errors:
        # A JSON error's position is a number of characters; every other place is a name or an index.
        place = error["loc"][:1] if error["type"] == "json_invalid" else error["loc"]
        message = str(error["msg"]).removeprefix("Value error, ")
        if error["type"] == "json_invalid":
            message = f"is no JSON (at character {error['loc'][-1]})"
        elif error["type"] == "extra_forbidden":
            message = "is not a known field"
        yield FieldProblem(path=".".join(str(part) for part in place), message=message)


_DETAILS = {
    HTTPStatus.NOT_FOUND: "nothing is at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take that method; the Allow header lists those it takes",
}
