"""What one client of the server is sent: catching up, being too slow, large pictures by UDP."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from tests.wire.scripted_feed import ScriptedFeed

from vms.wire.rtp import pack_extensions, parse, parse_extensions
from vms.wire.rtsp import server_receiver
from vms.wire.rtsp.server_feed import RtpRun
from vms.wire.rtsp.server_receiver import DatagramReceiver, InterleavedReceiver, SendCounters

LINES = ScriptedFeed().lines


class FakeTransport:
    """Keeps what is written until the test takes it."""

    def __init__(self) -> None:
        self.written = b""
        self.waiting = 0

    def write(self, data: bytes) -> None:
        self.written += data
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting


def run(*payloads: bytes, line: int = 0, starts: bool = False, **more: bytes) -> RtpRun:
    return RtpRun(
        line,
        LINES[line],
        sequence_number=7,
        timestamp=9000,
        payloads=payloads,
        marker=True,
        starts=starts,
        **more,
    )


@pytest.fixture
def counters() -> SendCounters:
    return SendCounters()


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def receiver(transport: FakeTransport, counters: SendCounters) -> InterleavedReceiver:
    return InterleavedReceiver(
        transport,  # type: ignore[arg-type]
        {0: 4, 1: 6},
        0,
        limit_bytes=1000,
        counters=counters,
        on_end=lambda: None,
    )


def test_the_first_packet_of_a_run_alone_bears_the_extension() -> None:
    extension = pack_extensions({1: b"12345678", 2: b"9"})
    first, second = run(b"one", b"two", extension=extension).datagrams()
    parsed = parse(first)
    assert parse_extensions(parsed.extension_profile, parsed.extension) == {1: b"12345678", 2: b"9"}
    assert first[parsed.payload_start : parsed.payload_end] == b"one"
    assert not parsed.marker
    parsed = parse(second)
    assert (parsed.extension, parsed.marker, parsed.sequence_number) == (b"", True, 8)


def test_interleaved_packets_are_the_same_as_datagrams_behind_their_frame() -> None:
    made = run(b"one", b"two", extension=pack_extensions({1: b"x"}))
    framed = b"".join(b"$\x04" + len(each).to_bytes(2) + each for each in made.datagrams())
    assert made.interleaved(4) == framed


def test_a_preamble_goes_before_the_packets_on_the_channel_for_reports() -> None:
    made = run(b"one", preamble=b"\x80\xc9\0\1\0\0\0\7")
    assert made.interleaved(4) == b"$\x05\0\x08\x80\xc9\0\1\0\0\0\7" + run(b"one").interleaved(4)
    assert made.datagrams() == run(b"one").datagrams()


def test_what_a_client_catches_up_with_does_not_count_as_its_being_slow(
    receiver: InterleavedReceiver, transport: FakeTransport, counters: SendCounters
) -> None:
    receiver.catch_up([run(bytes(5000), starts=True)])
    receiver.send(run(bytes(500)))
    assert counters.overruns == 0
    transport.waiting = 900  # it has caught up
    receiver.send(run(bytes(500)))
    receiver.send(run(bytes(500)))
    assert counters.overruns == 1
    transport.waiting = 0
    transport.written = b""
    receiver.send(run(b"in between"))
    receiver.send(run(b"key", starts=True))
    receiver.send(run(b"then"))
    assert transport.written == run(b"key").interleaved(4) + run(b"then").interleaved(4)


def test_a_client_that_catches_up_with_nothing_waits_for_a_key_picture(
    receiver: InterleavedReceiver, transport: FakeTransport
) -> None:
    notice = run(preamble=b"\x80\xc9\0\1\0\0\0\7")
    receiver.catch_up([notice])
    receiver.send(run(b"in between"))
    assert transport.written == b"$\x05\0\x08\x80\xc9\0\1\0\0\0\7"


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """What the server sends from, and the client."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        for each in (server, client):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        yield server, client


async def test_a_large_picture_goes_by_udp_in_pieces_and_in_order(
    sockets: tuple[socket.socket, socket.socket], counters: SendCounters
) -> None:
    server, client = sockets
    addresses = {0: (client.getsockname(), client.getsockname())}
    receiver = DatagramReceiver(
        (server, server), addresses, 0, leave_out=None, counters=counters, on_end=lambda: None
    )
    payloads = [number.to_bytes(2) for number in range(200)]
    receiver.send(run(*payloads, starts=True))
    receiver.send(run(b"behind it"))
    assert len(receiver._queue) == 201 - server_receiver.DATAGRAMS_AT_ONCE
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        received = [(await loop.sock_recv(client, 2048))[12:] for _ in range(201)]
    assert received == [*payloads, b"behind it"]


async def test_what_waits_for_a_udp_client_is_bounded_and_dropped_when_it_leaves(
    sockets: tuple[socket.socket, socket.socket], counters: SendCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_receiver, "MAX_DATAGRAMS_WAITING", 100)
    server, client = sockets
    addresses = {0: (client.getsockname(), client.getsockname())}
    receiver = DatagramReceiver(
        (server, server), addresses, 0, leave_out=None, counters=counters, on_end=lambda: None
    )
    receiver.send(run(*[b"x"] * 200, starts=True))
    receiver.send(run(b"too much"))
    assert (len(receiver._queue), counters.overruns) == (0, 1)
    receiver.send(run(b"in between"))
    assert not receiver._queue
    receiver.send(run(*[b"y"] * 200, starts=True))
    assert receiver._queue
    receiver.close()
    assert not receiver._queue
