"""The stream worker's HTTP server: one port for all, ordered answers, and bounds for whoever is hostile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus

import pytest
from pytest import MonkeyPatch

from vms.common.errors import NotFound
from vms.stream.http import http1, listener
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront
from vms.stream.http.request import Request, Response, Router, parse_target
from vms.wire.webrtc.endpoint import PortUnavailable

Start = Callable[..., Awaitable[TcpFront]]


async def echo(request: Request) -> Response:
    said = f"{request.method} {request.path} {dict(request.parameters)} {dict(request.query)}"
    return Response(200, {"content-type": "text/plain"}, [said.encode(), b"", request.body])


async def missing(request: Request) -> Response:
    raise NotFound("there is no such thing; ask for another")


async def faulty(request: Request) -> Response:
    raise ZeroDivisionError


@pytest.fixture
def server() -> HttpServer:
    router = Router()
    router.add("/echo/{name}", echo)
    router.add("/files/{rest}", echo)
    router.add("/missing", missing)
    router.add("/faulty", faulty)
    return HttpServer(router, max_connections=4)


@pytest.fixture(autouse=True)
async def connections() -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Of the test; closed after it."""
    OPENED.clear()
    yield OPENED
    for writer in OPENED:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


OPENED: list[asyncio.StreamWriter] = []


async def connect(front: TcpFront) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    OPENED.append(writer)
    return reader, writer


@pytest.fixture
async def start(server: HttpServer) -> AsyncIterator[Start]:
    fronts: list[TcpFront] = []

    async def begin(**options: Callable[[], asyncio.Protocol]) -> TcpFront:
        front = TcpFront(server.connection, **options)
        fronts.append(front)
        await front.start(["127.0.0.1"], 0)
        return front

    yield begin
    for front in fronts:
        await front.stop()
    server.close()


Answer = tuple[int, dict[str, str], bytes]


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    async with asyncio.timeout(20):
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split()[1]), headers, body


async def ask(front: TcpFront, data: bytes) -> Answer:
    reader, writer = await connect(front)
    writer.write(data)
    return await read_answer(reader)


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: vms", *headers, "", ""]).encode()


async def test_a_handler_gets_path_names_query_and_body(start: Start) -> None:
    front = await start()
    request = b"POST /echo/a%20b?x=1&y=%2F HTTP/1.1\r\nhost: vms\r\ncontent-length: 4\r\n\r\nbody"
    status, headers, body = await ask(front, request)
    assert (status, headers["content-type"]) == (200, "text/plain")
    assert body == b"POST /echo/a b {'name': 'a b'} {'x': '1', 'y': '/'}body"


async def test_rest_at_the_end_of_a_pattern_takes_all_that_follows(start: Start) -> None:
    _, _, body = await ask(await start(), get("/files/a/b/c.m4s"))
    assert b"'rest': 'a/b/c.m4s'" in body


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/missing", 404, b"there is no such thing; ask for another\n"),
        ("/nothing", 404, b"nothing is served at this path\n"),
        ("/echo/a/b", 404, b"nothing is served at this path\n"),
        ("/faulty", 500, b"this is a fault of the server; it is logged\n"),
    ],
)
async def test_what_fails_is_told_with_its_status(start: Start, path: str, status: int, text: bytes) -> None:
    found, headers, body = await ask(await start(), get(path))
    assert (found, body) == (status, text)
    assert headers["access-control-allow-origin"] == "*"


async def test_pipelined_requests_are_answered_in_their_order_on_one_connection(start: Start) -> None:
    reader, writer = await connect(await start())
    writer.write(b"".join(get(f"/echo/{n}") for n in range(5)))
    bodies = [(await read_answer(reader))[2] for _ in range(5)]
    assert [b"/echo/%d " % n in body for n, body in enumerate(bodies)] == [True] * 5
    writer.write(get("/echo/last", "connection: close"))
    _, headers, _ = await read_answer(reader)
    assert headers["connection"] == "close"
    assert await reader.read() == b""


async def test_head_has_the_headers_of_get_and_no_body(start: Start) -> None:
    front = await start()
    reader, writer = await connect(front)
    writer.write(get("/echo/a", "connection: close").replace(b"GET", b"HEAD", 1))
    answer = await reader.read()
    length = len(b"HEAD /echo/a {'name': 'a'} {}")
    assert b"content-length: %d" % length in answer and answer.endswith(b"\r\n\r\n")


HOSTILE = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two lengths": (
        b"POST /echo/a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "no HTTP": (b"HELLO\r\n\r\n", 400),
    "an absolute target": (b"GET http://elsewhere/ HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "a target that is no UTF-8": (b"GET /%ff%fe HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "too many headers": (get("/echo/a", *(f"x{n}: y" for n in range(200))), 431),
    "an endless head": (b"GET /echo/a HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 20_000, 431),
    "an endless target": (b"GET /" + b"y" * 20_000, 414),
    "a huge body": (
        b"POST /echo/a HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\n\r\n" + bytes(70_000),
        413,
    ),
    "too many at once": (get("/echo/a") * 30, 429),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_request_is_refused_and_its_connection_closed(start: Start, name: str) -> None:
    data, expected = HOSTILE[name]
    front = await start()
    reader, writer = await connect(front)
    writer.write(data)
    async with asyncio.timeout(20):
        answers = b""
        try:
            while more := await reader.read(65536):
                answers += more
        except ConnectionResetError:
            pass  # what it still sent was not read
    writer.close()
    assert answers.startswith(b"HTTP/1.1 %d " % expected)
    assert answers.count(b"HTTP/1.1 ") == 1
    status, _, _ = await ask(front, get("/echo/a"))
    assert status == 200


@pytest.mark.parametrize(
    "target", ["http://elsewhere/", "*", "/%ff%fe", "/?" + "&".join("abcdefgh" * 20), "/" * 5000]
)
def test_a_malformed_target_is_none(target: str) -> None:
    assert parse_target(target) is None


async def test_connections_beyond_the_bound_are_told_to_come_back(start: Start, server: HttpServer) -> None:
    front = await start()
    idle = [await connect(front) for _ in range(4)]
    for reader, writer in idle:
        writer.write(get("/echo/a"))
        await read_answer(reader)
    status, _, _ = await ask(front, get("/echo/a"))
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert server.refused == 1


@pytest.mark.parametrize("sent", [b"", b"GET /echo/a HTTP/1.1\r\n", get("/echo/a")])
async def test_who_says_nothing_or_not_all_of_it_is_put_off(
    start: Start, server: HttpServer, monkeypatch: MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(listener, "FIRST_BYTE_S", 0.05)
    monkeypatch.setattr(http1, "REQUEST_S", 0.05)
    monkeypatch.setattr(http1, "IDLE_S", 0.05)
    front = await start()
    reader, writer = await connect(front)
    writer.write(sent)
    async with asyncio.timeout(20):
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(10_000)
    assert not server.connections and not front.silent


class Spoken(asyncio.Protocol):
    """Notes what it is given."""

    def __init__(self) -> None:
        self.data = b""
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data


async def test_the_first_byte_says_who_goes_on_with_a_connection(start: Start) -> None:
    ice, tls = Spoken(), Spoken()
    front = await start(ice_tcp=lambda: ice, tls=lambda: tls)
    for data in (b"\x00\x14binding", b"\x16\x03\x01hello"):
        _, writer = await connect(front)
        writer.write(data)
    async with asyncio.timeout(20):
        while not (ice.data and tls.data):
            await asyncio.sleep(0)
    assert (ice.data, tls.data) == (b"\x00\x14binding", b"\x16\x03\x01hello")
    for spoken in (ice, tls):
        assert isinstance(spoken.transport, asyncio.Transport)
        spoken.transport.abort()
    status, _, _ = await ask(front, get("/echo/a"))
    assert status == 200


@pytest.mark.parametrize("first", [b"\x00\x14", b"\x16\x03", b"\xff", b"\x0a", b"1"])
async def test_a_protocol_that_nobody_speaks_is_turned_away(start: Start, first: bytes) -> None:
    front = await start()
    reader, writer = await connect(front)
    writer.write(first)
    async with asyncio.timeout(20):
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    assert front.turned_away == 1


async def test_connections_that_say_nothing_lock_nobody_out(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.stream.http.listener.MAX_SILENT", 3)
    front = await start()
    silent = [await connect(front) for _ in range(5)]
    for reader, _ in silent[:2]:
        async with asyncio.timeout(20):
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)

    status, _, _ = await ask(front, get("/echo/a"))

    assert status == 200
    assert front.turned_away == 3
    assert len(front.silent) == 2


async def test_a_port_that_is_taken_is_told(start: Start, server: HttpServer) -> None:
    front = await start()
    with pytest.raises(PortUnavailable, match=r"TCP port \d+ cannot be opened"):
        await TcpFront(server.connection).start(["127.0.0.1"], front.port)
