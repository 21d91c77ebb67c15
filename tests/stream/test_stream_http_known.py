"""Answers that are known at once: in their order, bounded by what the client takes, and timed like all others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from vms.stream.http import http1
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront
from vms.stream.http.request import JOINED_MAX_BYTES, Request, Response, Router

LARGE = 24 << 20  # more than the kernel takes on its own


class Served:
    """A server that knows ``/known/…`` at once, and asks a handler for ``/asked/…``."""

    def __init__(self) -> None:
        self.known: list[str] = []
        self.asked: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []
        router = Router()
        router.add("/{kind}/{rest}", self.handle, self.know)
        self.http = HttpServer(router)
        self.front = TcpFront(self.http.connection)

    def know(self, target: str) -> Response | None:
        if not target.startswith("/known/"):
            return None
        self.known.append(target)
        body = [bytes(LARGE)] if "large" in target else [b"known ", target.encode()]
        return Response(200, {"content-type": "text/plain"}, body)

    async def connect(self, **options: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connected = await asyncio.open_connection("127.0.0.1", self.front.port, **options)
        self.writers.append(connected[1])
        return connected

    async def handle(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.path}")
        await asyncio.sleep(0)
        return Response(200, {"content-type": "text/plain"}, b"asked " + request.path.encode())


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    await served.front.start(["127.0.0.1"], 0)
    yield served
    for writer in served.writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    await served.front.stop()
    served.http.close()


def get(target: str, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nhost: vms\r\n\r\n".encode()


async def answer(reader: asyncio.StreamReader, *, body: bool = True) -> tuple[bytes, bytes]:
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head, await reader.readexactly(length) if body else b""


async def test_what_is_known_and_what_is_asked_for_is_answered_in_one_order(served: Served) -> None:
    reader, writer = await served.connect()
    targets = [
        f"/{kind}/{n}" for n, kind in enumerate(["known", "asked", "known", "known", "asked", "known"])
    ]
    for _ in range(2):
        writer.write(b"".join(map(get, targets)))
        bodies = [(await answer(reader))[1].decode().split()[1] for _ in targets]
        assert bodies == targets
    for target in targets:
        writer.write(get(target))
        assert (await answer(reader))[1].decode().split() == [target.split("/")[1], target]
    assert served.http.requests == 18
    assert len(served.known) >= 5, "one that comes alone is answered at once"


async def test_only_a_get_on_a_connection_that_goes_on_is_answered_from_what_is_known(served: Served) -> None:
    reader, writer = await served.connect()
    writer.write(get("/known/a", "HEAD"))
    head, _ = await answer(reader, body=False)
    writer.write(b"POST /known/b HTTP/1.1\r\nhost: vms\r\ncontent-length: 2\r\n\r\nhi")
    await answer(reader)
    writer.write(b"GET /known/c HTTP/1.1\r\nhost: vms\r\ncontent-length: 2\r\n\r\nhi")
    await answer(reader)
    writer.write(b"GET /known/d HTTP/1.1\r\nhost: vms\r\nconnection: close\r\n\r\n")
    await answer(reader)
    assert await reader.read() == b""
    assert served.known == []
    assert served.asked == ["HEAD /known/a", "POST /known/b", "GET /known/c", "GET /known/d"]
    assert b"content-length: 14\r\n" in head


async def test_the_same_answer_for_many_has_each_ones_own_end_of_its_head(served: Served) -> None:
    same = Response(200, {"x": "y"}, b"body")
    served.know = lambda target: same  # type: ignore[method-assign]
    router = Router()
    router.add("/{rest}", served.handle, lambda target: same)
    served.http.router = router
    for _ in range(2):
        reader, writer = await served.connect()
        writer.write(get("/"))
        head, body = await answer(reader)
        assert head.startswith(b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 4\r\ndate: ")
        assert head.count(b"\r\n\r\n") == 1 and body == b"body"


async def test_who_asks_for_more_than_it_takes_gets_no_more_before_it_took_that(served: Served) -> None:
    reader, writer = await served.connect(limit=1 << 16)
    for number in range(6):
        writer.write(get(f"/known/large{number}"))
        await writer.drain()
    async with asyncio.timeout(20):
        while not served.known:
            await asyncio.sleep(0)
    for _ in range(2_000):
        await asyncio.sleep(0)
    assert len(served.known) + len(served.asked) < 6, "the others wait for the first to be taken"
    for _ in range(6):
        assert len((await answer(reader))[1]) in (LARGE, len("asked /known/large0"))
    assert len(served.known) + len(served.asked) == 6


class Clockwork:
    """An event loop's clock and timers, turned by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.timers: list[Timer] = []
        self.made = 0

    def time(self) -> float:
        return self.now_s

    def call_at(self, when_s: float, call: Callable[[], None]) -> "Timer":
        self.made += 1
        self.timers.append(Timer(self, when_s, call))
        return self.timers[-1]

    def turn_to(self, now_s: float) -> None:
        while due := [timer for timer in self.timers if timer.when_s <= now_s]:
            first = min(due, key=lambda timer: timer.when_s)
            self.now_s = first.when_s
            first.cancel()
            first.call()
        self.now_s = now_s


class Timer:
    def __init__(self, clockwork: Clockwork, when_s: float, call: Callable[[], None]) -> None:
        self.clockwork, self.when_s, self.call = clockwork, when_s, call

    def when(self) -> float:
        return self.when_s

    def cancel(self) -> None:
        if self in self.clockwork.timers:
            self.clockwork.timers.remove(self)


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.ended

    def abort(self) -> None:
        self.ended = True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.fixture
def clockwork(monkeypatch: pytest.MonkeyPatch) -> Clockwork:
    clockwork = Clockwork()
    monkeypatch.setattr("vms.stream.http.deadline.asyncio.get_running_loop", lambda: clockwork)
    return clockwork


def connected() -> tuple[http1.Http1Connection, Transport]:
    connection, transport = Served().http.connection(), Transport()
    connection.connection_made(transport)
    return connection, transport


def test_who_asks_now_and_then_stays_and_who_stops_asking_is_put_off(clockwork: Clockwork) -> None:
    connection, transport = connected()
    for _ in range(20):
        connection.data_received(get("/known/a"))
        clockwork.turn_to(clockwork.now_s + http1.IDLE_S - 1)
    assert not transport.ended
    assert transport.written.count(b"HTTP/1.1 200") == 20
    assert len(clockwork.timers) == 1, "not one a request"
    clockwork.turn_to(clockwork.now_s + 2)
    assert transport.ended


def test_a_request_that_stops_in_the_middle_is_put_off_sooner_than_one_who_is_idle(
    clockwork: Clockwork,
) -> None:
    connection, transport = connected()
    connection.data_received(get("/known/a"))
    clockwork.turn_to(clockwork.now_s + 1)
    connection.data_received(get("/known/a")[:20])
    clockwork.turn_to(clockwork.now_s + http1.REQUEST_S - 1)
    assert not transport.ended
    connection.data_received(get("/known/a")[20:25])  # a byte now and then wins no time
    clockwork.turn_to(clockwork.now_s + 2)
    assert transport.ended


def test_a_timer_is_made_for_many_requests(clockwork: Clockwork) -> None:
    connection, transport = connected()
    for number in range(100):
        connection.data_received(get(f"/known/{number}"))
    assert transport.written.count(b"HTTP/1.1 200") == 100
    assert clockwork.made == 1


async def test_a_request_that_came_before_is_answered_anew_each_time(served: Served) -> None:
    reader, writer = await served.connect()
    bodies = [b"first", b"second", None, None, b"fourth"]  # as it came, and as it is understood
    served.http.router = router = Router()
    router.add(
        "/{rest}", served.handle, lambda target: Response(200, {}, body) if (body := bodies.pop(0)) else None
    )
    found = []
    for _ in range(4):
        writer.write(get("/same"))
        found.append((await answer(reader))[1])
    assert found == [b"first", b"second", b"asked /same", b"fourth"]
    assert list(served.http.repeated.values()) == ["/same"]


async def test_only_what_is_exactly_one_short_request_is_remembered(served: Served) -> None:
    reader, writer = await served.connect()
    long = b"GET /known/e HTTP/1.1\r\nhost: vms\r\nx: " + b"y" * http1.REPEATED_MAX_BYTES + b"\r\n\r\n"
    with_body = b"GET /known/f HTTP/1.1\r\nhost: vms\r\ncontent-length: 2\r\n\r\nhi"
    for requests in (get("/known/a") + get("/known/b"), long, with_body):
        writer.write(requests)
        for _ in range(requests.count(b"HTTP/1.1")):
            await answer(reader)
    assert served.http.repeated == {}
    writer.write(get("/known/d"))
    await answer(reader)
    assert served.http.repeated == {get("/known/d"): "/known/d"}


def test_a_request_in_pieces_is_not_remembered(clockwork: Clockwork) -> None:
    served = Served()
    connection, transport = served.http.connection(), Transport()
    connection.connection_made(transport)
    connection.data_received(get("/known/a")[:10])
    connection.data_received(get("/known/a")[10:])
    assert transport.written.startswith(b"HTTP/1.1 200")
    assert served.http.repeated == {}


def test_requests_that_are_remembered_are_bounded(
    clockwork: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "REPEATED_MAX", 5)
    served = Served()
    connection, transport = served.http.connection(), Transport()
    connection.connection_made(transport)
    for number in range(12):
        connection.data_received(get(f"/known/{number}"))
        assert 0 < len(served.http.repeated) <= 5
    assert transport.written.count(b"HTTP/1.1 200") == 12


def test_a_small_answer_is_written_in_one_piece_for_all_and_a_large_one_is_not_copied() -> None:
    small, part = Response(200, {}, [b"ab", b"", b"c"]), bytes(JOINED_MAX_BYTES)
    assert list(small.pieces(b"\r\n")) == [small.head + b"\r\nabc"]
    assert small.pieces(b"\r\n")[0] is small.pieces(b"\r\n")[0]
    assert list(small.pieces(b"date: then\r\n\r\n")) == [small.head + b"date: then\r\n\r\nabc"]
    assert any(piece is part for piece in Response(200, {}, [b"ab", part]).pieces(b"\r\n"))
