import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vms.bus import frames
from vms.bus.errors import BusUnavailable, RemoteConflict, RemoteError, RemoteNotFound
from vms.bus.local import MAX_CALLS_PER_CONNECTION, LocalClient, LocalServer
from vms.common import unix_socket
from vms.common.errors import Conflict, InvalidInput, Unavailable
from vms.proto import bus_pb2


class Busy(Conflict):
    reason = "busy_now"


class Methods:
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = 0
        self.most_waiting = 0
        self.carried_out = 0

    async def echo(self, argument: bytes) -> bytes:
        self.carried_out += 1
        return argument

    async def wait(self, argument: bytes) -> bytes:
        self.waiting += 1
        self.most_waiting = max(self.waiting, self.most_waiting)
        await self.gate.wait()
        self.waiting -= 1
        return argument

    async def conflict(self, _: bytes) -> bytes:
        raise Busy("camera yard is being changed; try again")

    async def broken(self, _: bytes) -> bytes:
        raise ZeroDivisionError("secret detail")

    async def huge(self, _: bytes) -> bytes:
        return bytes(frames.MAX_FRAME_BYTES + 1)

    def by_name(self) -> dict[str, object]:
        return {n: getattr(self, n) for n in ("echo", "wait", "conflict", "broken", "huge")}


@pytest.fixture
def methods() -> Methods:
    return Methods()


@pytest.fixture
async def server(tmp_path: Path, methods: Methods) -> AsyncIterator[LocalServer]:
    served = LocalServer(tmp_path / "media-0.sock", methods.by_name(), drain_s=0.2)
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
async def client(tmp_path: Path, server: LocalServer) -> AsyncIterator[LocalClient]:
    connected = LocalClient(tmp_path / "media-0.sock")
    yield connected
    connected.close()


async def until(condition: object) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def raw_connection(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(sock=unix_socket.connect(path))


async def test_a_call_returns_what_the_method_returned(client: LocalClient) -> None:
    assert await client.call("echo", b"\x00argument") == b"\x00argument"
    assert await client.call("echo") == b""


async def test_many_calls_at_once_over_one_connection_each_get_their_own_answer(
    client: LocalClient, methods: Methods, server: LocalServer
) -> None:
    slow = asyncio.create_task(client.call("wait", b"slow"))
    quick = await asyncio.gather(*(client.call("echo", str(n).encode()) for n in range(500)))
    assert quick == [str(n).encode() for n in range(500)]
    assert not slow.done()
    methods.gate.set()
    assert await slow == b"slow"
    assert len(server._connections) == 1


async def test_one_connection_has_a_bounded_number_of_calls_in_progress(
    client: LocalClient, methods: Methods
) -> None:
    calls = [asyncio.create_task(client.call("wait")) for _ in range(MAX_CALLS_PER_CONNECTION * 3)]
    await until(lambda: methods.waiting == MAX_CALLS_PER_CONNECTION)
    methods.gate.set()
    await asyncio.gather(*calls)
    assert methods.most_waiting == MAX_CALLS_PER_CONNECTION


async def test_large_messages_pass_whole(client: LocalClient) -> None:
    large = os.urandom(8 << 20)
    assert await client.call("echo", large) == large


async def test_an_argument_or_result_beyond_the_bound_is_an_error_of_that_call_alone(
    client: LocalClient,
) -> None:
    with pytest.raises(InvalidInput, match="control socket takes up to"):
        await client.call("echo", bytes(frames.MAX_FRAME_BYTES))
    with pytest.raises(InvalidInput, match="control socket takes up to"):
        await client.call("huge")
    assert await client.call("echo", b"still there") == b"still there"


async def test_an_error_of_the_method_is_raised_as_its_branch_with_text_and_reason(
    client: LocalClient,
) -> None:
    with pytest.raises(Conflict, match="camera yard is being changed; try again") as raised:
        await client.call("conflict")
    assert isinstance(raised.value, RemoteConflict)
    assert raised.value.reason == "busy_now"


async def test_an_unexpected_error_of_the_method_tells_the_caller_no_details(client: LocalClient) -> None:
    with pytest.raises(RemoteError) as raised:
        await client.call("broken")
    assert "secret detail" not in str(raised.value)


async def test_a_method_that_does_not_exist_is_not_found(client: LocalClient) -> None:
    with pytest.raises(RemoteNotFound, match="no method 'fly'"):
        await client.call("fly")


async def test_nobody_listening_is_unavailable_and_later_calls_connect(
    tmp_path: Path, methods: Methods
) -> None:
    client = LocalClient(tmp_path / "late.sock")
    with pytest.raises(BusUnavailable, match="is the process behind it running"):
        await client.call("echo")
    server = LocalServer(tmp_path / "late.sock", methods.by_name())
    await server.start()
    assert await client.call("echo", b"now") == b"now"
    client.close()
    await server.stop()


async def test_no_answer_in_time_is_unavailable_and_a_late_answer_disturbs_nobody(
    client: LocalClient, methods: Methods
) -> None:
    with pytest.raises(BusUnavailable, match="no answer to 'wait'"):
        await client.call("wait", timeout_s=0.05)
    methods.gate.set()
    assert await client.call("echo", b"next") == b"next"


async def test_a_server_that_ends_fails_the_calls_in_progress_and_its_successor_gets_the_next(
    tmp_path: Path, client: LocalClient, server: LocalServer, methods: Methods
) -> None:
    hanging = asyncio.create_task(client.call("wait"))
    await until(lambda: methods.waiting)
    await server.stop()
    with pytest.raises(Unavailable):
        await hanging
    successor = LocalServer(tmp_path / "media-0.sock", methods.by_name())
    await successor.start()
    assert await client.call("echo", b"again") == b"again"
    await successor.stop()


async def test_stopping_lets_calls_in_progress_end(
    client: LocalClient, server: LocalServer, methods: Methods
) -> None:
    call = asyncio.create_task(client.call("wait", b"done"))
    await until(lambda: methods.waiting)
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    methods.gate.set()
    await stopping
    assert await call == b"done"


async def test_a_server_that_stops_late_leaves_its_successors_socket(
    tmp_path: Path, server: LocalServer, methods: Methods
) -> None:
    successor = LocalServer(tmp_path / "media-0.sock", methods.by_name())
    await successor.start()
    await server.stop()
    client = LocalClient(tmp_path / "media-0.sock")
    assert await client.call("echo", b"successor") == b"successor"
    client.close()
    await successor.stop()
    assert not (tmp_path / "media-0.sock").exists()


async def test_a_caller_that_leaves_does_not_stop_what_it_began(
    tmp_path: Path, server: LocalServer, methods: Methods
) -> None:
    client = LocalClient(tmp_path / "media-0.sock")
    call = asyncio.create_task(client.call("wait"))
    await until(lambda: methods.waiting)
    client.close()
    with pytest.raises(BusUnavailable):
        await call
    methods.gate.set()
    await until(lambda: methods.waiting == 0)


async def test_the_socket_is_for_this_user_alone(tmp_path: Path, server: LocalServer) -> None:
    assert (tmp_path / "media-0.sock").stat().st_mode & 0o777 == 0o600


async def test_connections_beyond_the_bound_are_refused_and_counted(
    tmp_path: Path, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.bus.local.MAX_CONNECTIONS", 1)
    first, second = LocalClient(tmp_path / "media-0.sock"), LocalClient(tmp_path / "media-0.sock")
    assert await first.call("echo", b"1") == b"1"
    with pytest.raises(BusUnavailable):
        await second.call("echo")
    assert server.refused == 1
    first.close()
    await until(lambda: not server._connections)
    assert await second.call("echo", b"2") == b"2"
    second.close()


async def test_a_caller_that_does_not_read_is_cut_off(
    tmp_path: Path, server: LocalServer, methods: Methods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.bus.local._SLOWEST_READER_S", 0.1)
    path = tmp_path / "media-0.sock"
    hostile = unix_socket.connect(path)
    call = bus_pb2.LocalFrame(id=1, call=bus_pb2.LocalFrame.Call(method="echo", argument=bytes(4 << 20)))
    with contextlib.suppress(OSError):
        await asyncio.get_running_loop().sock_sendall(hostile, frames.encode(call) * 3)
    await until(lambda: server.cut_off == 1)
    await until(lambda: not server._connections)
    hostile.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        (frames.MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x04\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x00\x00\x00\x64cut off",
        frames.encode(bus_pb2.LocalFrame(id=1, reply=bus_pb2.Reply(result=b"unasked"))),
    ],
    ids=["http", "4 GiB", "one over", "no protobuf", "empty", "cut off", "a reply"],
)
async def test_garbage_ends_that_connection_only(
    tmp_path: Path, client: LocalClient, server: LocalServer, garbage: bytes
) -> None:
    await client.call("echo")
    reader, writer = await raw_connection(tmp_path / "media-0.sock")
    writer.write(garbage)
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert await client.call("echo", b"unharmed") == b"unharmed"
    await until(lambda: server.cut_off == 1)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(garbage=st.binary(max_size=200))
def test_no_bytes_whatever_stop_the_server(tmp_path: Path, garbage: bytes) -> None:
    async def attack() -> None:
        path = tmp_path / "fuzzed.sock"
        server = LocalServer(path, Methods().by_name(), drain_s=0.1)
        await server.start()
        reader, writer = await raw_connection(path)
        writer.write(garbage)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        client = LocalClient(path)
        assert await client.call("echo", b"alive") == b"alive"
        client.close()
        await server.stop()

    asyncio.run(attack())


async def test_a_peer_that_answers_garbage_makes_the_call_unavailable(tmp_path: Path) -> None:
    async def answer_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\xff\xff\xff\xff garbage")
        writer.close()

    listener = unix_socket.listen(tmp_path / "liar.sock")
    liar = await asyncio.start_unix_server(answer_garbage, sock=listener)
    client = LocalClient(tmp_path / "liar.sock")
    with pytest.raises(BusUnavailable):
        await client.call("echo")
    client.close()
    liar.close()


async def test_a_path_longer_than_a_unix_address_works(tmp_path: Path, methods: Methods) -> None:
    directory = tmp_path / ("deep" * 30)
    directory.mkdir()
    server = LocalServer(directory / "worker.sock", methods.by_name())
    await server.start()
    client = LocalClient(directory / "worker.sock")
    assert await client.call("echo", b"far") == b"far"
    client.close()
    await server.stop()


async def test_a_full_backlog_is_unavailable_at_once(tmp_path: Path) -> None:
    listener: socket.socket = unix_socket.listen(tmp_path / "full.sock", backlog=0)
    filler = [unix_socket.connect(tmp_path / "full.sock")]
    client = LocalClient(tmp_path / "full.sock")
    with pytest.raises(BusUnavailable):
        await client.call("echo")
    for connection in filler:
        connection.close()
    listener.close()
