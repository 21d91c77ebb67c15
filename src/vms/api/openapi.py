"""The OpenAPI document: what FastAPI derives from the routes, with our errors and security put in.

``python -m vms.api.openapi > docs/api/openapi.json`` writes the committed copy.
"""

import json
import sys
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from vms.api.auth import COOKIE_NAME
from vms.api.guard import is_open
from vms.api.problems import PROBLEM_JSON, Problem

_DESCRIPTION = """\
Times are RFC 3339; answers are in UTC with milliseconds, requests need a zone. Ranges are half-open.
Every error is an RFC 9457 problem (`application/problem+json`). Where `http.token` is configured every
operation but those marked otherwise needs it, as `Authorization: Bearer` or behind the cookie that
`POST /api/v1/session` gives.
"""
_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "the value of http.token"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE_NAME,
        "description": "given by POST /api/v1/session",
    },
}
_TAGS = [
    {"name": "cameras", "description": "Which cameras there are, and how they are doing."},
    {"name": "recordings", "description": "What was recorded: timeline, playback, export, pictures."},
    {"name": "exports", "description": "Files of footage that are made in the background."},
    {"name": "evidence", "description": "Locks that keep footage, and whether it is as it was recorded."},
    {"name": "bookmarks", "description": "Footage that a person wants to find again."},
    {"name": "live", "description": "Live video over WebRTC (WHEP, draft-ietf-wish-whep)."},
    {"name": "system", "description": "Health, metrics, alarms, volumes, the processes of the machine."},
    {"name": "events", "description": "What happened: cameras that came or failed, processes that ended."},
    {"name": "session", "description": "Logging in from a browser."},
]


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the application's routes."""
    tree = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=_TAGS,
        separate_input_output_schemas=False,
    )
    schemas = tree["components"]["schemas"]
    for framework in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    tree["components"]["securitySchemes"] = _SCHEMES
    tree["security"] = [{"token": []}, {"session": []}]
    for path, operations in tree["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method.upper(), path)
    return tree


def text(app: FastAPI) -> str:
    """The document as JSON with a newline at its end."""
    return json.dumps(document(app), indent=2, ensure_ascii=False) + "\n"


def _complete(operation: dict[str, Any], method: str, path: str) -> None:
    responses = operation["responses"]
    if "422" in responses and "HTTPValidationError" in json.dumps(responses["422"]):
        del responses["422"]
        if "requestBody" in operation:
            responses["422"] = _problem("a value of the body is wrong: see errors")
        elif any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
            responses.setdefault("400", _problem("a parameter is wrong: see errors"))
    # As the guard sees it; the path's parameters stand for any value.
    if is_open(method, path):
        operation["security"] = []
    else:
        responses.setdefault("401", _problem("the token is missing or wrong"))
    responses["default"] = _problem("any other error")


def _problem(reason: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": reason, "content": {PROBLEM_JSON: {"schema": schema}}}


if __name__ == "__main__":
    from vms.api.application import described_app

    sys.stdout.write(text(described_app()))
