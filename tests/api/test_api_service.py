"""The API on a real socket: ports, slow and leaving clients, attackers, the end."""

import asyncio
import contextlib
import json
import resource
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.api.stand_ins import OFFER, TOKEN, Backend, Bytes

from vms.api import http_protocol
from vms.api.http_protocol import HEAD_MAX_BYTES, BoundedHttpProtocol
from vms.api.listener import AddressUnavailable
from vms.api.service import ApiService
from vms.common.errors import NotFound
from vms.config import HttpConfig

EXPORT = "/api/v1/cameras/porch/export.mp4?start=2023-11-14T22:00:00Z&end=2023-11-14T22:10:00Z"
MEBIBYTE = 1 << 20


@pytest.fixture
async def service(backend: Backend) -> AsyncIterator[ApiService]:
    service = ApiService(HttpConfig(port=0), backend.ports, b"s" * 32)
    await service.start()
    yield service
    await service.stop()


async def connect(service: ApiService) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", service.port, limit=MEBIBYTE)


def request(path: str, method: str = "GET", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def until(condition: object) -> None:
    """Wait, for a bounded time, until a condition that no event announces holds."""
    assert callable(condition)
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_port_0_takes_any_free_port_and_tells_which(service: ApiService) -> None:
    assert service.port > 0
    assert service.url == f"http://127.0.0.1:{service.port}"
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{service.url}/healthz")
    assert answer.json() == {"status": "ok"}
    assert "server" not in answer.headers


async def test_a_port_that_is_taken_is_refused_with_what_to_do(backend: Backend, service: ApiService) -> None:
    other = ApiService(HttpConfig(port=service.port), backend.ports, b"s" * 32)
    with pytest.raises(AddressUnavailable, match=r"another http\.port"):
        await other.start()
    await other.stop()


async def test_a_server_that_fails_to_start_fails_the_start_and_is_in_the_log(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("uvicorn.Server.startup", broken)
    service = ApiService(HttpConfig(port=0), backend.ports, b"s" * 32)
    with capture_logs() as logs, pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(service.start(), 20)
    assert [line["log_level"] for line in logs] == ["error"]


async def test_a_host_that_is_not_ours_is_refused(backend: Backend) -> None:
    config = HttpConfig(host="192.0.2.1", port=0, token=SecretStr(TOKEN))
    with pytest.raises(AddressUnavailable):
        await ApiService(config, backend.ports, b"s" * 32).start()


async def test_the_token_of_the_configuration_is_asked_for(backend: Backend) -> None:
    service = ApiService(HttpConfig(port=0, token=SecretStr(TOKEN)), backend.ports, b"s" * 32)
    await service.start()
    async with httpx.AsyncClient(base_url=service.url) as client:
        assert (await client.get("/api/v1/cameras")).status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/api/v1/cameras", headers=bearer)).status_code == 200
    await service.stop()


async def test_a_client_that_does_not_read_is_not_read_ahead_for(
    backend: Backend, service: ApiService
) -> None:
    backend.player.source = Bytes(bytes(64 * MEBIBYTE), piece=MEBIBYTE)
    reader, writer = await connect(service)
    writer.write(request(EXPORT))
    await reader.readuntil(b"\r\n\r\n")
    await until(lambda: backend.player.source.pieces_taken > 0)
    await asyncio.sleep(0.2)
    taken = backend.player.source.pieces_taken
    assert taken < 20, "what is in the sockets' buffers, and one piece"
    received = len(await reader.readexactly(32 * MEBIBYTE))
    assert received + 20 * MEBIBYTE > backend.player.source.pieces_taken * MEBIBYTE > taken * MEBIBYTE
    writer.close()
    await until(lambda: backend.player.source.times_closed)


async def test_a_client_that_leaves_releases_everything(backend: Backend, service: ApiService) -> None:
    backend.player.source = Bytes(bytes(64 * MEBIBYTE), piece=MEBIBYTE)
    reader, writer = await connect(service)
    writer.write(request(EXPORT))
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    await until(lambda: backend.player.source.times_closed == 1)
    assert backend.player.source.pieces_taken < 64


async def test_a_client_that_stops_reading_for_long_is_disconnected(
    backend: Backend, service: ApiService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedHttpProtocol, "stall_timeout_s", 0.1)
    backend.player.source = Bytes(bytes(64 * MEBIBYTE), piece=MEBIBYTE)
    _, writer = await connect(service)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request(EXPORT))
    await until(lambda: backend.player.source.times_closed == 1)
    assert backend.player.source.pieces_taken < 64
    writer.transport.abort()


async def test_footage_that_goes_away_while_it_is_sent_ends_the_connection(
    backend: Backend, service: ApiService
) -> None:
    for failure, event in (
        (NotFound("retention took it"), "answer cut short"),
        (RuntimeError("a bug"), "request failed"),
    ):
        backend.player.source = Bytes(bytes(1000))
        backend.player.source.failure = failure
        with capture_logs() as lines:
            async with httpx.AsyncClient(base_url=service.url) as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(EXPORT)
        assert [line["event"] for line in lines] == [event]
        assert backend.player.source.times_closed == 1


async def test_a_head_that_never_ends_is_cut_off(service: ApiService) -> None:
    for beginning in (b"GET / HTTP/1.1\r\nX: ", b"GET /", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100):
        reader, writer = await connect(service)
        writer.write(beginning)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 64 * HEAD_MAX_BYTES and not reader.at_eof():
                writer.write(b"x" * 8192)
                sent += 8192
                await writer.drain()
                await asyncio.sleep(0)
        assert sent < 64 * HEAD_MAX_BYTES
        writer.transport.abort()


async def test_a_head_that_is_too_large_is_told_so(service: ApiService) -> None:
    reader, writer = await connect(service)
    for _ in range(HEAD_MAX_BYTES // 4096):
        writer.write(b"GET / HTTP/1.1\r\nX: " if _ == 0 else b"x" * 4096)
        await writer.drain()
        await asyncio.sleep(0.001)
    writer.write(b"x" * 4096)
    assert_problem(await asyncio.wait_for(reader.read(), 20), 431)
    writer.close()


async def test_a_large_body_is_not_taken_for_a_head(service: ApiService) -> None:
    reader, writer = await connect(service)
    body = OFFER.encode() + b"a=x\r\n" * (HEAD_MAX_BYTES // 3)
    headers = {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
    writer.write(request("/api/v1/cameras/porch/whep", "POST", **headers))
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(body)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert head.startswith(b"HTTP/1.1 201 ")
    writer.close()


async def test_a_client_that_leaves_before_its_body_is_whole_is_no_incident(service: ApiService) -> None:
    with capture_logs() as logs:
        _, writer = await connect(service)
        headers = {"Content-Type": "application/sdp", "Content-Length": "1000"}
        writer.write(request("/api/v1/cameras/porch/whep", "POST", **headers) + b"v=0")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
        async with httpx.AsyncClient() as client:
            for _ in range(5):
                metrics = (await client.get(f"{service.url}/metrics")).text
    assert 'vms_http_incidents_total{role="api",worker="api-0"} 0.0' in metrics
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
async def test_what_is_no_http_is_a_problem(service: ApiService, data: bytes) -> None:
    reader, writer = await connect(service)
    writer.write(data)
    assert_problem(await asyncio.wait_for(reader.read(), 20), 400)
    writer.close()


def assert_problem(answer: bytes, status: int) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["status"] == status


async def test_a_head_that_comes_too_slowly_is_cut_off(
    service: ApiService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedHttpProtocol, "head_timeout_s", 0.05)
    for beginning in (b"", b"GET / HTTP/1.1\r\nHost: local"):
        reader, writer = await connect(service)
        writer.write(beginning)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(20):
                await reader.readexactly(1)
        writer.transport.abort()


async def test_requests_on_one_connection_are_answered_in_order_whatever_their_pieces(
    service: ApiService,
) -> None:
    reader, writer = await connect(service)
    both = request("/healthz") + request("/readyz")
    for position in range(0, len(both), 7):
        writer.write(both[position : position + 7])
        await writer.drain()
        await asyncio.sleep(0)
    for status in (b"ok", b"ready"):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert await reader.readuntil(b"}") == b'{"status":"' + status + b'"}'
    writer.close()


async def test_a_body_that_never_comes_is_408(service: ApiService, monkeypatch: pytest.MonkeyPatch) -> None:
    from vms.api import body_limit

    monkeypatch.setattr(body_limit, "BODY_TIMEOUT_S", 0.05)
    reader, writer = await connect(service)
    length = {"Content-Length": "100", "Content-Type": "application/json"}
    writer.write(request("/api/v1/cameras", "POST", **length) + b"{")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert head.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in head
    writer.close()


async def test_a_viewer_that_left_before_the_answer_is_ended(backend: Backend, service: ApiService) -> None:
    offered, may_answer = asyncio.Event(), asyncio.Event()
    answer = backend.viewers.offer

    async def slow(*offer: object) -> object:
        offered.set()
        await may_answer.wait()
        return await answer(*offer)  # type: ignore[arg-type]

    backend.viewers.offer = slow  # type: ignore[assignment,method-assign]
    _, writer = await connect(service)
    headers = {"Content-Type": "application/sdp", "Content-Length": str(len(OFFER))}
    writer.write(request("/api/v1/cameras/porch/whep", "POST", **headers) + OFFER.encode())
    await offered.wait()
    writer.transport.abort()
    await asyncio.sleep(0.05)
    may_answer.set()
    await until(lambda: backend.viewers.begun == 1 and not backend.viewers.sessions)


async def test_stopping_cuts_off_what_is_not_finished_and_frees_the_port(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.api.service.STOP_TIMEOUT_S", 0.1)
    service = ApiService(HttpConfig(port=0), backend.ports, b"s" * 32)
    await service.start()
    backend.player.source = Bytes(bytes(64 * MEBIBYTE), piece=MEBIBYTE)
    reader, writer = await connect(service)
    writer.write(request(EXPORT))
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(20):
        await service.stop()
    assert backend.player.source.times_closed == 1
    await service.stop()
    writer.transport.abort()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", service.port))


async def test_one_connection_too_many_is_told_so_and_closed(
    service: ApiService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.api.http_protocol.CONNECTIONS_MAX", 2)
    waiting = [await connect(service) for _ in range(2)]
    reader, writer = await connect(service)
    assert_problem(await asyncio.wait_for(reader.read(), 20), 503)
    for _, other in waiting:
        other.transport.abort()
    writer.close()
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while (await client.get(f"{service.url}/healthz")).status_code != 200:
            await asyncio.sleep(0.005)


def test_connections_leave_files_to_cameras_and_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    assert http_protocol.connections_max() == 256
    monkeypatch.setattr("resource.getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert http_protocol.connections_max() == http_protocol.CONNECTIONS_MAX


def test_the_limits_are_those_that_the_guide_names() -> None:
    assert (http_protocol.HEAD_TIMEOUT_S, http_protocol.STALL_TIMEOUT_S) == (20.0, 60.0)
