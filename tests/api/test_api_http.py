"""HTTP around the routes: problems, limits, headers, metrics, the web app's files."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs
from tests.api.stand_ins import SEGMENT_ID, TOKEN, Backend

from vms.api import openapi
from vms.api.application import described_app
from vms.api.body_limit import BODY_MAX_BYTES

CAMERAS = "/api/v1/cameras"
REPOSITORY = Path(__file__).parents[2]


def assert_problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = answer.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"]
    return problem


async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    for method, path in [
        ("GET", "/api/v1/nothing"),
        ("POST", "/api/v1/nothing"),
        ("GET", "/api"),
        ("GET", "/a.css"),
    ]:
        problem = assert_problem(await client.request(method, path), 404)
        assert problem["instance"] == path


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", f"{CAMERAS}/porch", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", CAMERAS, "GET, HEAD, POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", f"{CAMERAS}/porch/export.mp4", "GET, HEAD"),
    ],
)
async def test_another_method_is_405_with_every_method_that_is_taken(
    client: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == allow


async def test_an_unexpected_error_is_an_incident_in_the_log_and_says_nothing(
    backend: Backend,
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(backend.registry, "get", broken)
    with capture_logs() as lines:
        answer = await client.get(f"{CAMERAS}/porch")
    problem = assert_problem(answer, 500)
    assert "secret" not in answer.text
    [line] = lines
    assert line["incident"] == str(problem["instance"]).removeprefix("urn:uuid:")
    assert line["route"] == "/api/v1/cameras/{camera_id}"
    assert isinstance(line["exc_info"], RuntimeError)
    assert 'vms_http_incidents_total{role="api",worker="api-0"} 1.0' in (await client.get("/metrics")).text


async def test_what_cannot_be_done_now_is_503_with_retry_after(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{CAMERAS}/porch/snapshot.jpg")
    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", [CAMERAS, f"{CAMERAS}/porch/whep", "/api/v1/session"])
async def test_a_body_that_is_too_large_is_413_whether_it_says_so_or_not(
    client: httpx.AsyncClient, path: str
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_MAX_BYTES // 1000 + 2):
            yield b" " * 1000

    headers = {"Content-Type": "application/sdp" if path.endswith("whep") else "application/json"}
    for content in (b" " * (BODY_MAX_BYTES + 1), endless()):
        assert_problem(await client.post(path, content=content, headers=headers), 413)


@pytest.mark.parametrize("path", ["/", CAMERAS, "/api/v1/nothing", "/healthz"])
async def test_every_answer_tells_browsers_to_trust_it_with_nothing_more(
    client: httpx.AsyncClient, path: str
) -> None:
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


async def test_metrics_count_by_route_and_not_by_path(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await client.get(f"{CAMERAS}/unknown-{number}")
        await client.get(f"/api/v1/nothing-{number}")
        await client.get(f"/some/page-{number}")
    await client.get(f"{CAMERAS}/porch/segments/{SEGMENT_ID}.mp4")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    counted = [line for line in answer.text.splitlines() if line.startswith("vms_http_requests_total")]
    labels = 'method="GET",role="api",route="/api/v1/cameras/{camera_id}",status="4xx",worker="api-0"'
    assert f"vms_http_requests_total{{{labels}}} 5.0" in counted
    assert "unknown-1" not in answer.text
    assert len(counted) == 4


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_health_readiness_and_metrics_are_at_both_places(
    backend: Backend, client: httpx.AsyncClient, prefix: str
) -> None:
    assert (await client.get(f"{prefix}/healthz")).json() == {"status": "ok"}
    assert (await client.get(f"{prefix}/readyz")).json() == {"status": "ready"}
    assert (await client.get(f"{prefix}/metrics")).status_code == 200
    backend.ready = False
    assert_problem(await client.get(f"{prefix}/readyz"), 503)
    assert (await client.get(f"{prefix}/healthz")).status_code == 200


@pytest.fixture
def web_root(tmp_path: Path) -> Path:
    root = tmp_path / "web"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<title>the app</title>")
    (root / "assets" / "index-B4x9.js").write_text("export {}")
    (root / "favicon.svg").write_text("<svg/>")
    (tmp_path / "outside.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    return root


async def test_the_web_app_is_served_with_its_routes_and_cached_by_its_hashes(
    backend: Backend, web_root: Path
) -> None:
    async with backend.client(TOKEN, web_root=web_root) as client:
        for path in ("/", "/index.html", "/cameras/porch", "/cameras/porch/2023-11-14"):
            page = await client.get(path)
            assert (page.status_code, page.text) == (200, "<title>the app</title>")
            assert page.headers["cache-control"] == "no-cache"
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert "media-src 'self' blob:" in page.headers["content-security-policy"]
        script = await client.get("/assets/index-B4x9.js")
        assert "immutable" in script.headers["cache-control"]
        assert script.headers["content-type"].startswith("text/javascript")
        assert (await client.get("/favicon.svg")).headers["content-type"] == "image/svg+xml"
        assert (await client.head("/")).headers["content-length"] == "22"


@pytest.mark.parametrize("field", ["bytes=0-1", "bytes=0-0,2-3", "bytes=x", "bytes=9999-"])
async def test_files_of_the_web_app_are_sent_whole(backend: Backend, web_root: Path, field: str) -> None:
    async with backend.client(web_root=web_root) as client:
        answer = await client.get("/favicon.svg", headers={"Range": field})
    assert (answer.status_code, answer.text) == (200, "<svg/>")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/gone.js",
        "/../outside.txt",
        "/assets/..%2f..%2foutside.txt",
        "/link.txt",
        "/%00.txt",
        "/a.map",
        f"/{'a' * 300}.js",
    ],
)
async def test_no_file_outside_of_the_web_app_is_served(backend: Backend, web_root: Path, path: str) -> None:
    async with backend.client(web_root=web_root) as client:
        answer = await client.get(httpx.URL("http://localhost", raw_path=path.encode()))
        assert_problem(answer, 404)


async def test_without_the_built_app_a_page_says_how_to_build_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.status_code == 503
    assert "scripts/setup-dev.sh" in answer.text


async def test_the_openapi_document_is_served_and_complete(client: httpx.AsyncClient) -> None:
    tree = (await client.get("/api/v1/openapi.json")).json()
    assert tree["openapi"].startswith("3.1")
    for path, operations in tree["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["description"], where
            assert operation["tags"], where
            assert "application/problem+json" in operation["responses"]["default"]["content"], where
            assert "HTTPValidationError" not in json.dumps(operation), where
            assert any(status[0] in "23" for status in operation["responses"]), where
            assert "401" in operation["responses"] or operation["security"] == [], where
    assert set(tree["components"]["securitySchemes"]) == {"token", "session"}
    assert tree["components"]["schemas"]["CameraDocument"]["examples"]


def test_the_committed_openapi_document_is_current() -> None:
    committed = (REPOSITORY / "docs" / "api" / "openapi.json").read_text()
    assert committed == openapi.text(described_app()), (
        "run: uv run python -m vms.api.openapi > docs/api/openapi.json"
    )


def test_the_openapi_command_prints_the_document() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "vms.api.openapi"], capture_output=True, text=True, check=True
    )
    assert printed.stdout == openapi.text(described_app())
    assert printed.stderr == ""
