"""What strangers without a token, and viewers who do not keep to QUIC's manners, cost the WebTransport service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aioquic.h3.connection import ErrorCode, FrameType, encode_frame
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.stream import QuicStreamSender
from tests.stream.scripted_stream import Camera
from tests.stream.webtransport_client import Client, ServedQuic, connected, serving

from vms.stream.quic import connection as connection_module
from vms.stream.quic import http3, strangers, streams
from vms.stream.quic.connection import BUDGET_BYTES
from vms.stream.quic.strangers import MAX_OF_A_HOST, MAX_STRANGERS, MAX_WITH_ENDING, Strangers, host_of
from vms.stream.quic.viewer import STALLED


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture
async def served(camera: Camera) -> AsyncIterator[ServedQuic]:
    async with serving(camera) as served:
        yield served


@pytest.fixture(autouse=True)
def brief_goodbyes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "CLOSE_S", 0.05)


def send_last_byte_of_window(client: Client, stream_id: int) -> None:
    """Use flow control up without sending what it is for."""
    quic = client._quic
    stream = quic._streams[stream_id]
    free_bytes = quic._remote_max_data - quic._remote_max_data_used
    end = min(stream.max_stream_data_remote, stream.sender.highest_offset + free_bytes) - 1
    if end <= stream.sender.highest_offset:
        quic.send_ping(0)
    else:
        quic._remote_max_data_used += end - stream.sender.highest_offset
        stream.sender = QuicStreamSender(stream_id, writable=True)
        stream.sender._buffer_start = stream.sender._buffer_stop = stream.sender.highest_offset = end
        stream.sender.write(b"x")
    client.transmit()


@pytest.mark.parametrize("with_session", [False, True])
async def test_gaps_in_streams_are_counted_as_what_they_cost(
    camera: Camera, served: ServedQuic, with_session: bool
) -> None:
    camera.push()
    async with connected(served.port) as client:
        if with_session:
            client.ask(served.path())
            await client.until(lambda: client.pictures)
        (connection,) = served.service.connections
        stream_id = client._quic.get_next_available_stream_id(is_unidirectional=True)
        client._quic.send_stream_data(stream_id, b"")
        while not client.over:
            send_last_byte_of_window(client, stream_id)
            await asyncio.sleep(0.01)
        assert client.ended_with == ErrorCode.H3_EXCESSIVE_LOAD
        assert streams.received_bytes(connection._quic) <= 3 * BUDGET_BYTES
    assert not served.service.connections


def qpack_integer(value: int, prefix_bits: int, first: int) -> bytes:
    """RFC 7541 §5.1."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([first | value])
    value -= most
    found = [first | most]
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def reported_headers(count: int) -> tuple[bytes, bytes]:
    """For the encoder's stream, and for a request: an entry of 4 KB, and so many references of a byte to it."""
    entry = qpack_integer(4050, 7, 0) + b"a" * 4050
    return qpack_integer(4096, 5, 0x20) + qpack_integer(1, 5, 0x40) + b"x" + entry, b"\2\0" + b"\x80" * count


async def test_headers_that_refer_to_a_table_end_the_connection_before_they_are_expanded(
    served: ServedQuic, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode = http3.Http3._decode_headers

    def spied(self: http3.Http3, stream_id: int, data: bytes | None) -> object:
        headers = decode(self, stream_id, data)
        decoded.append(len(headers))
        return headers

    monkeypatch.setattr(http3.Http3, "_decode_headers", spied)
    async with connected(served.port) as client:
        assert client.http is not None
        table, block = reported_headers(5000)
        client._quic.send_stream_data(client.http._local_encoder_stream_id, table)
        stream_id = client._quic.get_next_available_stream_id()
        client._quic.send_stream_data(stream_id, encode_frame(FrameType.HEADERS, block), end_stream=True)
        client.transmit()
        await client.until(lambda: client.over)
        assert client.ended_with in (
            ErrorCode.QPACK_ENCODER_STREAM_ERROR,
            ErrorCode.QPACK_DECOMPRESSION_FAILED,
        )
    assert decoded == []


async def test_long_headers_are_not_decoded(served: ServedQuic) -> None:
    async with connected(served.port) as client:
        stream_id = client._quic.get_next_available_stream_id()
        block = b"\0\0" + b"\xd1" * http3.MAX_HEADERS_BYTES  # all of them `:method: GET`
        client._quic.send_stream_data(stream_id, encode_frame(FrameType.HEADERS, block), end_stream=True)
        client.transmit()
        await client.until(lambda: client.over)
        assert client.ended_with == ErrorCode.H3_EXCESSIVE_LOAD


async def test_no_table_is_offered(served: ServedQuic) -> None:
    async with connected(served.port) as client:
        assert client.http is not None
        http = client.http
        await client.until(lambda: http.received_settings is not None)
        assert http.received_settings is not None
        assert (http.received_settings[1], http.received_settings[7]) == (0, 0)  # RFC 9204 §5


# how many


async def test_connections_without_a_session_keep_no_viewer_out(
    camera: Camera, served: ServedQuic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "SESSION_S", 600)
    camera.push()
    async with AsyncExitStack() as held:
        idle = [await held.enter_async_context(connected(served.port)) for _ in range(MAX_OF_A_HOST + 4)]
        viewer = await held.enter_async_context(connected(served.port))
        viewer.ask(served.path())
        await viewer.until(lambda: viewer.pictures)
        await idle[0].until(lambda: idle[0].over)
        assert len(served.service.connections) <= MAX_OF_A_HOST + 1
        more = [await held.enter_async_context(connected(served.port)) for _ in range(4)]
        camera.push()
        await viewer.until(lambda: len(viewer.pictures) == 2)
        assert not more[-1].over


async def test_whoever_opens_one_after_another_is_turned_away_until_those_are_gone(
    camera: Camera, served: ServedQuic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MAX_WITH_ENDING", 2)
    camera.push()
    async with connected(served.port) as viewer:
        viewer.ask(served.path())
        await viewer.until(lambda: viewer.pictures)
        async with connected(served.port) as first, connected(served.port):
            waiting = asyncio.create_task(connected(served.port).__aenter__())
            while not served.service.turned_away:
                await asyncio.sleep(0.01)
            assert len(served.service.connections) == 3
            first.close()
            last = await waiting  # it has asked again, as QUIC does
            camera.push()
            await viewer.until(lambda: len(viewer.pictures) == 2)
            last.close()


class Somebody:
    def __init__(self, host: str) -> None:
        self.host = host


def test_of_one_host_there_are_few_and_the_oldest_goes() -> None:
    known: Strangers[Somebody] = Strangers()
    several = [Somebody("a") for _ in range(MAX_OF_A_HOST)]
    assert [known.add(each) for each in [Somebody("b"), *several]] == [None] * (MAX_OF_A_HOST + 1)
    assert known.add(Somebody("a")) is several[0]


def test_of_many_hosts_the_oldest_goes() -> None:
    known: Strangers[Somebody] = Strangers()
    several = [Somebody(str(number)) for number in range(MAX_STRANGERS)]
    assert [known.add(each) for each in several] == [None] * MAX_STRANGERS
    assert known.add(Somebody("more")) is several[0]


def test_those_that_end_count_until_they_are_gone_and_those_with_a_session_never() -> None:
    known: Strangers[Somebody] = Strangers()
    several = [Somebody("a") for _ in range(MAX_WITH_ENDING)]
    for each in several:
        known.add(each)
        known.ended(each)
    assert not len(known)
    assert not known.takes("a")
    assert known.takes("b")
    known.forget(several[0])
    known.forget(several[0])
    assert known.takes("a")
    known.add(several[0])
    known.forget(several[0])
    assert known.takes("a")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
    ],
)
def test_a_host_is_an_address_or_a_network_of_ipv6(one: str, other: str, same: bool) -> None:
    assert (host_of(one) == host_of(other)) is same


# who watches, and keeps the server waiting


def allow_streams(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let clients allow so many streams of one direction, and never more."""
    begin = QuicConnection.__init__

    def begin_with_few(self: QuicConnection, **options: Any) -> None:
        begin(self, **options)
        if self._is_client:
            self._local_max_streams_uni.value = self._local_max_streams_uni.sent = count

    monkeypatch.setattr(QuicConnection, "__init__", begin_with_few)
    monkeypatch.setattr(QuicConnection, "_write_connection_limits", lambda self, **_: None)


async def test_no_stream_is_begun_that_the_peer_has_not_allowed(
    camera: Camera, served: ServedQuic, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_streams(monkeypatch, 20)
    async with camera.live(), connected(served.port) as client:
        client.ask(served.path())
        await client.until(lambda: len(client.pictures) == 16)  # beside control, encoder, decoder, config
        (viewer,) = served.service.viewers
        while not viewer.skipped:
            await asyncio.sleep(0.01)
        assert viewer.sent == 16
        assert not client.over
        streams_of_server = viewer.line.streams._quic._streams.values()
        assert not any(each.is_blocked for each in streams_of_server)


async def test_a_viewer_who_acknowledges_too_little_is_put_off(
    served: ServedQuic, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_STREAMS", 10)
    monkeypatch.setattr(QuicStreamSender, "on_data_delivery", lambda self, *args: None)
    async with camera.live(), connected(served.port) as client:
        client.ask(served.path())
        await client.until(lambda: client.closed_by is not None)
        assert client.closed_by is not None
        assert client.closed_by[4:8] == STALLED.to_bytes(4)
        assert 10 <= len(client.pictures) <= 12


def test_aioquic_is_as_this_project_reads_it() -> None:
    """`stream/quic/streams.py` looks at what has no public name."""
    quic = QuicConnection(configuration=QuicConfiguration(is_client=True))
    assert streams.received_bytes(quic) == 0
    assert not streams.is_closing(quic)
    assert (quic._local_next_stream_id_uni, quic._remote_max_streams_uni) == (2, 0)
    quic.connect(("127.0.0.1", 1), now=0)
    quic.close()
    assert streams.is_closing(quic)
