"""Who is let in: the token, sessions, other sites' pages, names that are not ours."""

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from tests.api.stand_ins import OFFER, SEGMENT_ID, TOKEN, Backend

from vms.api.application import WEB_APP_PATH, ApiSettings, create_app
from vms.api.auth import COOKIE_NAME, SESSION_S
from vms.api.failure_limit import BURST, REFILL_S, FailureLimit
from vms.common.clock import ManualClock

SESSION = "/api/v1/session"
CAMERAS = "/api/v1/cameras"
RANGE = {"start": "2023-11-14T22:00:00Z", "end": "2023-11-14T22:10:00Z"}
OPEN = {
    (method, prefix + path)
    for prefix in ("", "/api/v1")
    for path in ("/healthz", "/readyz")
    for method in ("GET", "HEAD")
} | {(method, SESSION) for method in ("GET", "HEAD", "POST", "DELETE")}
PREFLIGHTS = {
    ("OPTIONS", f"{CAMERAS}/{{camera_id}}/whep"),
    ("OPTIONS", f"{CAMERAS}/{{camera_id}}/whep/{{session_id}}"),
    ("OPTIONS", f"{CAMERAS}/{{camera_id}}/whep/{{session_id}}/view"),
    ("OPTIONS", f"{CAMERAS}/{{camera_id}}/whip"),
    ("OPTIONS", f"{CAMERAS}/{{camera_id}}/whip/{{session_id}}"),
}
MEDIA = [
    (f"{CAMERAS}/porch/playback.m3u8", RANGE),
    (f"{CAMERAS}/porch/export.mp4", RANGE),
    (f"{CAMERAS}/porch/segments/{SEGMENT_ID}.mp4", {}),
    (f"{CAMERAS}/porch/segments/{SEGMENT_ID}/init.mp4", {}),
    (f"{CAMERAS}/porch/snapshot.jpg", {"at": "2023-11-14T22:13:00Z"}),
    (f"{CAMERAS}/porch/recordings", RANGE),
]


def routes(backend: Backend) -> Iterator[tuple[str, str]]:
    app = create_app(backend.ports, ApiSettings(TOKEN, b"s" * 32))
    for route in iter_route_contexts(app.routes):
        assert route.path is not None
        for method in route.methods or ():
            yield method, route.path


async def test_every_route_but_the_listed_ones_is_denied_without_the_token(backend: Backend) -> None:
    everything = set(routes(backend))
    assert len(everything) > 30
    assert {(m, p) for m, p in everything if p == WEB_APP_PATH} == {
        ("GET", WEB_APP_PATH),
        ("HEAD", WEB_APP_PATH),
    }
    assert everything >= OPEN | PREFLIGHTS
    async with backend.client(TOKEN) as client:
        for method, path in sorted(
            everything - OPEN - PREFLIGHTS - {("GET", WEB_APP_PATH), ("HEAD", WEB_APP_PATH)}
        ):
            concrete = path.replace("{camera_id}", "porch").replace("{segment_id}", str(SEGMENT_ID))
            answer = await client.request(method, re.sub(r"\{\w+\}", "x", concrete), params=RANGE)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            if method != "HEAD":
                assert answer.headers["content-type"] == "application/problem+json"
    assert backend.player.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing",
        "/api/v2/cameras",
        "/api",
        "/api/",
        "/metrics/",
        "/API/v1/cameras",
        "//api/v1/cameras",
    ],
)
async def test_paths_without_a_route_are_denied_too(backend: Backend, path: str) -> None:
    async with backend.client(TOKEN) as client:
        assert (await client.get(httpx.URL("http://localhost", raw_path=path.encode()))).status_code == 401


@pytest.mark.parametrize("tail", ["%0a", "%0d", "%00", "%7f", "/%0a"])
async def test_no_path_with_a_control_character_reaches_a_route(backend: Backend, tail: str) -> None:
    """Routers match patterns that end in $, which stands before a newline too."""
    paths = {path for _, path in routes(backend) if "{" not in path}
    assert "/metrics" in paths
    async with backend.client(TOKEN) as client:
        for path in sorted(paths):
            answer = await client.get(httpx.URL("http://localhost", raw_path=f"{path}{tail}".encode()))
            assert answer.status_code == 404, path
            assert "vms_" not in answer.text


async def test_a_cookie_made_to_be_slow_is_read_at_once(backend: Backend) -> None:
    hostile = {"Cookie": COOKIE_NAME + '="' + '\\"' * 15_000}
    async with backend.client(TOKEN) as client:
        began_s = time.thread_time()  # others may have the processor meanwhile
        answer = await client.get(SESSION, headers=hostile)
    assert answer.json()["authenticated"] is False
    assert time.thread_time() - began_s < 0.5  # http.cookies took seconds


async def test_requests_with_a_session_are_counted_under_their_route(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        await client.post(SESSION, json={"token": TOKEN})
        await client.get(
            CAMERAS, headers={"Cookie": f"theme=dark; {COOKIE_NAME}={client.cookies[COOKIE_NAME]}"}
        )
        metrics = (await client.get("/metrics")).text
    assert (
        f'vms_http_requests_total{{method="GET",role="api",route="{CAMERAS}",status="2xx",worker="api-0"}} 1.0'
        in metrics
    )


def test_settings_do_not_show_the_token() -> None:
    assert TOKEN not in repr(ApiSettings(TOKEN, b"s" * 32))


async def test_the_open_paths_answer_and_say_nothing_of_cameras(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        for method, path in OPEN:
            if method == "GET":
                answer = await client.get(path)
                assert answer.status_code == 200
                assert "porch" not in answer.text


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer wrong",
        "Bearer",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer é",
    ],
)
async def test_a_wrong_token_is_denied(backend: Backend, authorization: str) -> None:
    async with backend.client(TOKEN) as client:
        answer = await client.get(CAMERAS, headers={"Authorization": authorization.encode()})
        assert answer.status_code == 401


@pytest.mark.parametrize("way", ["bearer", "cookie"])
async def test_every_media_path_takes_bearer_and_cookie(backend: Backend, way: str) -> None:
    async with backend.client(TOKEN) as client:
        if way == "bearer":
            client.headers["Authorization"] = f"bearer {TOKEN}"
        else:
            await client.post(SESSION, json={"token": TOKEN})
        for path, parameters in MEDIA:
            assert (await client.get(path, params=parameters)).status_code == 200, path
        headers = {"Content-Type": "application/sdp", "Origin": "http://localhost:8080"}
        begun = await client.post(f"{CAMERAS}/porch/whep", content=OFFER, headers=headers)
        assert begun.status_code == 201
        assert (await client.delete(begun.headers["location"])).status_code == 204


async def test_logging_in_gives_a_cookie_that_is_not_the_token(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        assert (await client.get(SESSION)).json() == {
            "required": True,
            "authenticated": False,
            "version": "0.1.0",
        }
        answer = await client.post(SESSION, json={"token": TOKEN})
        cookie = answer.headers["set-cookie"]
        assert TOKEN not in cookie
        for attribute in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_S}"):
            assert attribute in cookie
        assert "Secure" not in cookie
        assert (await client.get(SESSION)).json()["authenticated"] is True


async def test_the_cookie_is_secure_where_the_page_came_by_https(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        answer = await client.post(
            SESSION, json={"token": TOKEN}, headers={"Origin": "https://localhost:8080"}
        )
        assert "Secure" in answer.headers["set-cookie"]


async def test_a_session_ends_at_its_time_and_at_logging_out(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        await client.post(SESSION, json={"token": TOKEN})
        value = client.cookies[COOKIE_NAME]
        backend.clock.advance(SESSION_S - 1)
        assert (await client.get(CAMERAS)).status_code == 200
        backend.clock.advance(1)
        assert (await client.get(CAMERAS)).status_code == 401

        await client.post(SESSION, json={"token": TOKEN})
        value = client.cookies[COOKIE_NAME]
        assert (await client.delete(SESSION)).status_code == 204
        assert COOKIE_NAME not in client.cookies
        copied = await client.get(CAMERAS, headers={"Cookie": f"{COOKIE_NAME}={value}"})
        assert copied.status_code == 401


async def test_a_session_lasts_over_a_restart_and_not_over_another_token(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        await client.post(SESSION, json={"token": TOKEN})
        cookie = {"Cookie": f"{COOKIE_NAME}={client.cookies[COOKIE_NAME]}"}
    async with backend.client(TOKEN) as client:
        assert (await client.get(CAMERAS, headers=cookie)).status_code == 200
    async with backend.client(TOKEN + "2") as client:
        assert (await client.get(CAMERAS, headers=cookie)).status_code == 401


@pytest.mark.parametrize(
    "value",
    ["", "x", "v1.9999999999.n.m", "....", "v1.x.y.z", "é", "v1.99999999999999999999.a.b", '"'],
)
async def test_an_invented_cookie_is_denied(backend: Backend, value: str) -> None:
    async with backend.client(TOKEN) as client:
        answer = await client.get(CAMERAS, headers={"Cookie": f"{COOKIE_NAME}={value}".encode()})
        assert answer.status_code == 401


async def test_a_changed_expiry_is_denied(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        await client.post(SESSION, json={"token": TOKEN})
        version, expiry, *rest = client.cookies[COOKIE_NAME].split(".")
        forged = ".".join((version, str(int(expiry) + 1), *rest))
        client.cookies.clear()
        answer = await client.get(CAMERAS, headers={"Cookie": f"{COOKIE_NAME}={forged}"})
        assert answer.status_code == 401


async def test_wrong_tokens_are_counted_and_slowed_down(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        for _ in range(BURST):
            wrong = await client.post(SESSION, json={"token": "wrong"})
            assert wrong.status_code == 401
            assert "set-cookie" not in wrong.headers
        refused = await client.post(SESSION, json={"token": TOKEN})
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= REFILL_S
        backend.clock.advance(float(refused.headers["retry-after"]))
        assert (await client.post(SESSION, json={"token": TOKEN})).status_code == 200
        metrics = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert f'vms_http_login_failures_total{{role="api",worker="api-0"}} {float(BURST)}' in metrics.text


def test_an_ipv6_client_is_slowed_down_whichever_of_its_addresses_it_takes() -> None:
    limit = FailureLimit(ManualClock())
    for number in range(BURST):
        limit.failed(f"2001:db8:0:1::{number:x}")
    assert limit.wait_s("2001:db8:0:1:ffff::1") > 0
    assert limit.wait_s("2001:db8:0:2::1") == limit.wait_s("192.0.2.1") == limit.wait_s("") == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(backend: Backend, headers: dict[str, str]) -> None:
    for token in (None, TOKEN):
        async with backend.client(token) as client:
            if token is not None:
                await client.post(SESSION, json={"token": token})
            answer = await client.delete(f"{CAMERAS}/porch", headers=headers)
            assert answer.status_code == 403
            login = await client.post(SESSION, json={"token": TOKEN}, headers=headers)
            assert login.status_code == 403
    assert len(await backend.registry.list()) == 2


async def test_our_own_page_may_change_things(client: httpx.AsyncClient) -> None:
    headers = {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"}
    assert (await client.delete(f"{CAMERAS}/porch", headers=headers)).status_code == 204


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:1", True),
        ("[::1]:8080", True),
        ("127.0.0.2:8080", True),
        ("127.evil.example", False),
        ("evil.example", False),
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("evil.example#localhost", False),
        ("192.0.2.1:8080", False),
        ("", False),
    ],
)
async def test_on_loopback_only_this_machines_names_are_answered_to(
    backend: Backend, host: str, served: bool
) -> None:
    async with backend.client() as client:
        for path in ("/", CAMERAS, "/healthz"):
            answer = await client.get(path, headers={"Host": host})
            assert (answer.status_code != 421) is served
    async with backend.client(TOKEN, loopback=False) as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200
