"""ICE over TCP: frames however they are cut, connections that prove nothing, viewers that do not read."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from bench._viewer import SinkViewer
from tests.wire.stream_viewer import StreamViewer, frame, listen
from tests.wire.test_webrtc_endpoint import Listener, accept, check

from vms.common.clock import ManualClock
from vms.wire import rtcp
from vms.wire.webrtc import endpoint as endpoint_module
from vms.wire.webrtc.endpoint import PROVE_NS, WebRtcEndpoint
from vms.wire.webrtc.negotiation import LocalTransport, candidate_lines
from vms.wire.webrtc.peer import CloseReason, Peer, PeerState
from vms.wire.webrtc.tcp import (
    MAX_CONTROL_BYTES,
    MAX_FRAMES_PER_READ,
    MAX_IGNORED,
    MAX_UNSENT_BYTES,
    TcpPort,
)

HOST = "127.0.0.1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def endpoint(clock: ManualClock) -> AsyncIterator[WebRtcEndpoint]:
    endpoint = WebRtcEndpoint(0, clock)
    endpoint.open()
    server = await listen(endpoint)
    yield endpoint
    endpoint.close()
    server.close()


@pytest.fixture
async def viewer() -> AsyncIterator[StreamViewer]:
    viewer = StreamViewer(HOST)
    yield viewer
    await viewer.leave()


def answered(endpoint: WebRtcEndpoint, viewer: SinkViewer) -> tuple[Peer, Listener, str]:
    """As `accept`, with the TCP candidates in the answer."""
    peer, listener, answer = accept(endpoint, viewer)
    local = LocalTransport("", "", endpoint.dtls.fingerprint, [], "", endpoint.tcp_candidates)
    return peer, listener, answer + "".join(f"a=candidate:{line}\r\n" for line in candidate_lines(local))


async def connect(endpoint: WebRtcEndpoint, viewer: StreamViewer) -> tuple[Peer, Listener]:
    peer, listener, answer = answered(endpoint, viewer)
    await viewer.connect(answer)
    await asyncio.wait_for(listener.is_connected.wait(), 20)
    return peer, listener


def port_of(peer: Peer) -> TcpPort:
    assert peer.path is not None
    assert isinstance(peer.path[0], TcpPort)
    return peer.path[0]


async def opened(endpoint: WebRtcEndpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    (host, port), *_ = ((str(a), p) for a, p in endpoint.tcp_candidates if str(a) == HOST)
    before = len(endpoint._unproven)
    reader, writer = await asyncio.open_connection(host, port)
    async with asyncio.timeout(20):
        while len(endpoint._unproven) == before:
            await asyncio.sleep(0)
    return reader, writer


@pytest.mark.parametrize("chunk_bytes", [None, 1, 7])
async def test_a_viewer_connects_however_its_stream_is_cut(
    endpoint: WebRtcEndpoint, viewer: StreamViewer, chunk_bytes: int | None
) -> None:
    viewer.chunk_bytes = chunk_bytes
    peer, listener = await connect(endpoint, viewer)
    assert peer.state is PeerState.CONNECTED
    assert port_of(peer).source == viewer.local
    assert not endpoint._unproven
    viewer.send_rtcp(rtcp.pack([rtcp.PictureLossIndication(1, 2)]))
    assert await asyncio.wait_for(listener.packets.get(), 20) == rtcp.PictureLossIndication(1, 2)


async def test_several_datagrams_in_one_segment_are_each_taken(
    endpoint: WebRtcEndpoint, viewer: StreamViewer
) -> None:
    peer, _, _ = answered(endpoint, viewer)
    reader, writer = await opened(endpoint)
    writer.write(frame(check(peer, viewer)) + frame(b"") + frame(check(peer, viewer)))
    for _ in range(2):
        length = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), 20), "big")
        assert (await reader.readexactly(length))[:2] == b"\x01\x01"
    writer.close()


async def test_packets_arrive_whole_and_in_order(endpoint: WebRtcEndpoint, viewer: StreamViewer) -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()
    viewer.on_datagram = got.put_nowait
    peer, _ = await connect(endpoint, viewer)
    packets = [b"\x80\x66" + number.to_bytes(2, "big") + bytes(500 + number) for number in range(40)]
    buffers = [part for packet in packets for part in (packet[:12], packet[12:])]
    port = port_of(peer)
    assert port.send_segments(buffers, len(packets), 0, sum(map(len, packets)), port.source)
    for packet in packets:
        assert await asyncio.wait_for(got.get(), 20) == packet


async def test_a_viewer_that_does_not_read_blocks_its_own_connection_within_bounds(
    endpoint: WebRtcEndpoint, viewer: StreamViewer
) -> None:
    peer, _ = await connect(endpoint, viewer)
    port = port_of(peer)
    viewer.pause()
    packet = b"\x80\x66" + bytes(1100)
    most = 64 << 20
    sent = 0
    while not port.blocked:
        assert port.send_segments([packet[:12], packet[12:]] * 50, 50, 0, 50 * len(packet), port.source)
        sent += 50 * len(packet)
        assert sent < most
        await asyncio.sleep(0)
    assert not port.send_segments([packet[:12], packet[12:]], 1, 0, len(packet), port.source)
    assert port._transport is not None
    assert port._transport.get_write_buffer_size() <= MAX_UNSENT_BYTES + 60 * len(packet)
    while port.send(packet, port.source):  # what is small goes on for a while, and not for ever
        assert port._transport.get_write_buffer_size() <= MAX_CONTROL_BYTES + 2 * len(packet)
    assert port.refused == 1
    writable = asyncio.Event()
    port.when_writable(writable.set)
    viewer.resume()
    await asyncio.wait_for(writable.wait(), 20)
    assert not port.blocked


async def test_media_of_a_connection_that_broke_is_lost_and_a_new_one_takes_over(
    endpoint: WebRtcEndpoint, viewer: StreamViewer
) -> None:
    peer, listener = await connect(endpoint, viewer)
    first = port_of(peer)
    assert viewer._writer is not None
    viewer._writer.transport.abort()
    async with asyncio.timeout(20):
        while endpoint._by_path:
            await asyncio.sleep(0)
    assert first.send_segments([bytes(12), bytes(12)], 1, 24, 24, first.source)  # as UDP: lost, not refused
    assert not listener.is_closed.is_set()
    viewer.closed = False
    again, server_side = await opened(endpoint)
    server_side.write(frame(check(peer, viewer, (0x25, b""))))
    await asyncio.wait_for(again.readexactly(2), 20)
    assert port_of(peer) is not first
    server_side.close()


async def test_a_viewer_that_half_closes_is_gone_though_it_reads_nothing_of_what_waits(
    endpoint: WebRtcEndpoint, viewer: StreamViewer
) -> None:
    peer, _ = await connect(endpoint, viewer)
    port = port_of(peer)
    viewer.pause()
    packet = b"\x80\x66" + bytes(1100)
    while not port.blocked:
        assert port.send_segments([packet[:12], packet[12:]] * 50, 50, 0, 50 * len(packet), port.source)
        await asyncio.sleep(0)
    assert viewer._writer is not None
    viewer._writer.write_eof()
    async with asyncio.timeout(20):
        while endpoint.tcp_connections:
            await asyncio.sleep(0)
    assert port.closed
    assert not endpoint._by_path


async def test_a_viewer_cannot_keep_the_loop_busy_with_crumbs(
    endpoint: WebRtcEndpoint, viewer: StreamViewer
) -> None:
    peer, _ = await connect(endpoint, viewer)
    port = port_of(peer)
    before = endpoint.datagrams_received
    port.data_received(frame(b"\xc0\xc0") * (MAX_FRAMES_PER_READ + 1000))
    assert endpoint.datagrams_received - before == MAX_FRAMES_PER_READ
    assert port.closed


async def test_the_end_of_a_session_closes_its_connection(
    endpoint: WebRtcEndpoint, viewer: StreamViewer
) -> None:
    peer, listener = await connect(endpoint, viewer)
    endpoint.remove(peer)
    assert listener.reason is CloseReason.ENDED
    assert viewer._reading is not None
    await asyncio.wait_for(viewer._reading, 20)
    assert viewer.closed


async def test_a_connection_without_an_authenticated_check_is_closed_in_time(
    endpoint: WebRtcEndpoint, clock: ManualClock
) -> None:
    reader, writer = await opened(endpoint)
    clock.advance(PROVE_NS / 1e9 - 1)
    endpoint.sweep()
    assert len(endpoint._unproven) == 1
    clock.advance(1)
    endpoint.sweep()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(1), 20)
    writer.close()
    assert not endpoint._unproven


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff",
        b"".join(frame(secrets.token_bytes(60)) for _ in range(MAX_IGNORED + 1)),
        b"".join(frame(b"\x16\xfe\xfd" + bytes(60)) for _ in range(MAX_IGNORED + 1)),
        frame(b"") * (MAX_IGNORED + 1),
    ],
    ids=["http", "long frame", "noise", "dtls before a check", "empty frames"],
)
async def test_what_no_viewer_would_send_is_answered_with_nothing_and_closed(
    endpoint: WebRtcEndpoint, data: bytes
) -> None:
    reader, writer = await opened(endpoint)
    writer.write(data)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)) as caught:
        await asyncio.wait_for(reader.readexactly(1), 20)
    assert getattr(caught.value, "partial", b"") == b""
    writer.close()


async def test_the_oldest_unproven_connection_goes_when_there_are_too_many(
    endpoint: WebRtcEndpoint, viewer: StreamViewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_UNPROVEN", 3)
    connections = [await opened(endpoint) for _ in range(3)]
    peer, _ = await connect(endpoint, viewer)  # a viewer gets in all the same
    assert peer.state is PeerState.CONNECTED
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(connections[0][0].readexactly(1), 20)
    assert len(endpoint._unproven) == 2
    for _, writer in connections:
        writer.close()


async def test_a_connection_from_another_machine_is_closed_unless_served_to_the_network(
    endpoint: WebRtcEndpoint,
) -> None:
    endpoint._own_hosts = frozenset({"192.0.2.77"})  # as if 127.0.0.1 were some other machine
    (host, port), *_ = ((str(a), p) for a, p in endpoint.tcp_candidates if str(a) == HOST)
    reader, writer = await asyncio.open_connection(host, port)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(1), 20)
    writer.close()
    assert not endpoint._unproven


def test_tcp_candidates_come_after_every_udp_one_with_less_priority() -> None:
    endpoint = WebRtcEndpoint(0, ManualClock(), extra_addresses=["203.0.113.7", "2001:db8::7"])
    endpoint.offer_tcp(8189)
    local = LocalTransport(
        "", "", endpoint.dtls.fingerprint, endpoint.candidates, "", endpoint.tcp_candidates
    )
    lines = [line.split() for line in candidate_lines(local)]
    assert [line[2] for line in lines] == ["udp", "udp", "tcp", "tcp"]
    priorities = [int(line[3]) for line in lines]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == len({line[0] for line in lines}) == 4
    assert all(line[-2:] == ["tcptype", "passive"] for line in lines[2:])
    assert {(line[4], line[5]) for line in lines[2:]} == {("203.0.113.7", "8189"), ("2001:db8::7", "8189")}


def test_no_tcp_is_offered_where_nobody_listens() -> None:
    endpoint = WebRtcEndpoint(0, ManualClock(), extra_addresses=["203.0.113.7"])
    assert endpoint.tcp_candidates == []
