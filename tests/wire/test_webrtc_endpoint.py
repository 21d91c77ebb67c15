"""The UDP port: who is answered, who is not, and how connections begin and end."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from bench._viewer import SinkViewer

from vms.common.clock import ManualClock
from vms.wire import rtcp
from vms.wire.webrtc import stun
from vms.wire.webrtc.endpoint import MAX_PEERS, PortUnavailable, TooManyViewers, WebRtcEndpoint
from vms.wire.webrtc.negotiation import LocalTransport, Outgoing, RemoteOffer, write_answer
from vms.wire.webrtc.peer import (
    CONSENT_NS,
    MAX_DATAGRAMS_PER_SECOND,
    MAX_OCTETS_PER_SECOND,
    SETUP_NS,
    CloseReason,
    Peer,
    PeerState,
)

HOST = "127.0.0.1"


class Listener:
    def __init__(self, peer: Peer) -> None:
        self.is_connected = asyncio.Event()
        self.is_closed = asyncio.Event()
        self.reason: CloseReason | None = None
        self.packets: asyncio.Queue[rtcp.Packet] = asyncio.Queue()
        peer.listener = self

    def connected(self) -> None:
        self.is_connected.set()

    def feedback(self, packets: Sequence[rtcp.Packet]) -> None:
        for packet in packets:
            self.packets.put_nowait(packet)

    def closed(self, reason: CloseReason) -> None:
        self.reason = reason
        self.is_closed.set()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def endpoint(clock: ManualClock) -> AsyncIterator[WebRtcEndpoint]:
    endpoint = WebRtcEndpoint(0, clock)
    endpoint.open()
    yield endpoint
    endpoint.close()


@pytest.fixture
async def new_viewer() -> AsyncIterator[Callable[[], SinkViewer]]:
    viewers: list[SinkViewer] = []

    def make() -> SinkViewer:
        viewer = SinkViewer(HOST)
        viewers.append(viewer)
        return viewer

    yield make
    for viewer in viewers:
        asyncio.get_running_loop().remove_reader(viewer.socket)
        viewer.close()


@pytest.fixture
def viewer(new_viewer: Callable[[], SinkViewer]) -> SinkViewer:
    return new_viewer()


def accept(endpoint: WebRtcEndpoint, viewer: SinkViewer) -> tuple[Peer, Listener, str]:
    offer = RemoteOffer.parse(viewer.offer())
    peer = endpoint.accept(offer)
    send = offer.h264("42")
    assert send is not None
    local = LocalTransport(peer.ufrag, peer.pwd, endpoint.dtls.fingerprint, endpoint.candidates, "x")
    return peer, Listener(peer), write_answer(offer, local, [Outgoing(send, 1)])


async def connect(endpoint: WebRtcEndpoint, viewer: SinkViewer) -> tuple[Peer, Listener]:
    peer, listener, answer = accept(endpoint, viewer)
    asyncio.get_running_loop().add_reader(viewer.socket, viewer.readable)
    viewer.accept(answer)
    await asyncio.wait_for(listener.is_connected.wait(), 20)
    return peer, listener


async def until_handled(endpoint: WebRtcEndpoint, datagrams: int) -> None:
    async with asyncio.timeout(20):
        while endpoint.datagrams_received < datagrams:
            await asyncio.sleep(0)


async def exchange(endpoint: WebRtcEndpoint, datagram: bytes, client: socket.socket) -> bytes | None:
    """What comes back for one datagram, None for nothing."""
    port = next(port for port in endpoint.ports.values() if str(port.address) == HOST)
    seen = endpoint.datagrams_received
    client.sendto(datagram, (HOST, port.port))
    await until_handled(endpoint, seen + 1)
    try:
        return client.recv(2048)
    except BlockingIOError:
        return None


@pytest.fixture
def client() -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setblocking(False)
    client.bind((HOST, 0))
    yield client
    client.close()


def check(peer: Peer, viewer: SinkViewer, *extra: tuple[int, bytes], password: str | None = None) -> bytes:
    attributes = [(stun.USERNAME, f"{peer.ufrag}:{viewer.ufrag}".encode()), (stun.PRIORITY, bytes(4)), *extra]
    key = (password or peer.pwd).encode()
    return stun.build(stun.BINDING_REQUEST, secrets.token_bytes(12), attributes, key)


async def test_a_check_with_the_session_password_is_answered_with_the_address_it_came_from(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket
) -> None:
    peer, _, _ = accept(endpoint, viewer)
    response = await exchange(endpoint, request := check(peer, viewer), client)
    assert response is not None
    message = stun.parse(response)
    assert message.type == stun.BINDING_SUCCESS
    assert message.transaction_id == stun.parse(request).transaction_id
    assert message.is_authentic(peer.pwd.encode())
    mapped = stun.xor_address(*client.getsockname(), message.transaction_id)
    assert message.attributes[stun.XOR_MAPPED_ADDRESS] == mapped
    assert peer.path is not None
    assert peer.path[1] == client.getsockname()


async def test_what_cannot_prove_that_it_belongs_to_a_session_gets_no_answer(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket
) -> None:
    peer, _, _ = accept(endpoint, viewer)
    without_fingerprint = check(peer, viewer)[: -stun.FINGERPRINT_BYTES]
    without_fingerprint = (
        without_fingerprint[:2]
        + (len(without_fingerprint) - stun.HEADER_BYTES).to_bytes(2, "big")
        + without_fingerprint[4:]
    )
    other = SinkViewer(HOST)
    silent = [
        b"",
        b"\x00",
        b"\x16\xfe\xfd" + bytes(100),  # DTLS from an address that was never checked
        b"\x80\xc8" + bytes(50),  # SRTCP likewise
        stun.build(stun.BINDING_REQUEST, bytes(12), [(stun.USERNAME, b"nobody:x")], b"guess"),
        stun.build(stun.BINDING_REQUEST, bytes(12), [], b"guess"),
        check(peer, viewer, password="wrong-password-wrong-pass"),
        check(peer, other),  # the right session and password, another viewer's ufrag
        without_fingerprint,
        stun.build(stun.BINDING_SUCCESS, bytes(12), [(stun.USERNAME, f"{peer.ufrag}:x".encode())], b"x"),
    ]
    for datagram in silent:
        assert await exchange(endpoint, datagram, client) is None
    assert endpoint.datagrams_ignored == len(silent)
    assert peer.path is None
    other.close()


async def test_a_viewer_on_another_machine_is_not_heard_unless_served_to_the_network(
    clock: ManualClock, viewer: SinkViewer, client: socket.socket
) -> None:
    for local_only, answered in ((True, False), (False, True)):
        endpoint = WebRtcEndpoint(0, clock, local_only=local_only)
        endpoint.open()
        endpoint._own_hosts = frozenset({"192.0.2.77"})  # as if 127.0.0.1 were some other machine
        peer = endpoint.accept(RemoteOffer.parse(viewer.offer()))
        response = await exchange(endpoint, check(peer, viewer), client)
        assert (response is not None) is answered
        endpoint.close()


async def test_a_controlled_viewer_and_unknown_attributes_get_the_errors_of_the_standard(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket
) -> None:
    peer, _, _ = accept(endpoint, viewer)
    for extra, code in (((stun.ICE_CONTROLLED, bytes(8)), (4, 87)), ((0x7777, b""), (4, 20))):
        response = await exchange(endpoint, check(peer, viewer, extra), client)
        assert response is not None
        message = stun.parse(response)
        assert message.type == stun.BINDING_ERROR
        assert tuple(message.attributes[stun.ERROR_CODE][2:4]) == code
    assert peer.path is None


async def test_a_viewer_connects_and_its_feedback_arrives_decrypted(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer, listener = await connect(endpoint, viewer)
    assert peer.state is PeerState.CONNECTED
    assert peer.srtp is not None
    viewer.send_rtcp(rtcp.pack([rtcp.PictureLossIndication(1, 2)]))
    assert await asyncio.wait_for(listener.packets.get(), 20) == rtcp.PictureLossIndication(1, 2)


async def test_media_moves_to_a_new_address_only_after_a_nominating_check_from_it(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket
) -> None:
    peer, listener = await connect(endpoint, viewer)
    first = peer.path
    assert await exchange(endpoint, b"\x80\xce" + bytes(60), client) is None
    assert await exchange(endpoint, check(peer, viewer, password="wrong-password-wrong-pass"), client) is None
    assert peer.path == first
    assert await exchange(endpoint, check(peer, viewer), client) is not None
    assert peer.path == first
    assert await exchange(endpoint, check(peer, viewer, (stun.USE_CANDIDATE, b"")), client) is not None
    assert peer.path is not None
    assert peer.path[1] == client.getsockname()
    assert not listener.is_closed.is_set()


async def test_a_peer_keeps_a_bounded_number_of_addresses(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer, _, _ = accept(endpoint, viewer)
    for _ in range(20):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.bind((HOST, 0))
            assert await exchange(endpoint, check(peer, viewer), client) is not None
    assert len(endpoint._by_path) == 8
    endpoint.remove(peer)
    assert not endpoint._by_path


async def test_a_session_that_never_finishes_its_set_up_is_removed(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket, clock: ManualClock
) -> None:
    peer, listener, _ = accept(endpoint, viewer)
    clock.advance(SETUP_NS / 1e9 - 1)
    await exchange(endpoint, check(peer, viewer), client)  # checks alone do not keep it
    endpoint.sweep()
    assert not listener.is_closed.is_set()
    clock.advance(1)
    endpoint.sweep()
    assert listener.reason is CloseReason.SETUP
    assert await exchange(endpoint, check(peer, viewer), client) is None


async def test_a_viewer_without_fresh_checks_is_removed_and_one_with_them_stays(
    endpoint: WebRtcEndpoint, new_viewer: Callable[[], SinkViewer], clock: ManualClock
) -> None:
    stays, goes = new_viewer(), new_viewer()
    _, staying = await connect(endpoint, stays)
    _, going = await connect(endpoint, goes)
    for _ in range(2):
        clock.advance(CONSENT_NS / 1e9 - 1)
        seen = endpoint.datagrams_received
        stays.send_check(use_candidate=False)
        await until_handled(endpoint, seen + 1)
        endpoint.sweep()
    assert going.reason is CloseReason.CONSENT
    assert not staying.is_closed.is_set()


async def test_close_notify_from_the_viewer_ends_the_session(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    _, listener = await connect(endpoint, viewer)
    viewer.send_dtls_close()
    await asyncio.wait_for(listener.is_closed.wait(), 20)
    assert listener.reason is CloseReason.LEFT


async def test_removing_a_session_says_goodbye_to_its_viewer(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer, listener = await connect(endpoint, viewer)
    endpoint.remove(peer)
    assert listener.reason is CloseReason.ENDED
    async with asyncio.timeout(20):
        while not viewer.closed:
            await asyncio.sleep(0.01)


async def test_a_viewer_that_floods_is_heard_only_up_to_its_allowance(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer, listener = await connect(endpoint, viewer)
    endpoint.sweep()
    seen = endpoint.datagrams_received
    for number in range(MAX_DATAGRAMS_PER_SECOND + 100):
        viewer.send_rtcp(rtcp.pack([rtcp.PictureLossIndication(1, number)]))
        if number % 50 == 0:
            await until_handled(endpoint, seen + number)
    await until_handled(endpoint, seen + MAX_DATAGRAMS_PER_SECOND + 100)
    assert listener.packets.qsize() == MAX_DATAGRAMS_PER_SECOND
    assert peer.datagrams_dropped == 100


async def test_a_viewer_that_asks_for_everything_again_and_again_is_heard_only_up_to_its_allowance(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer, listener = await connect(endpoint, viewer)
    endpoint.sweep()
    seen, nack = endpoint.datagrams_received, rtcp.pack([rtcp.Nack(1, 2, tuple(range(0, 60_000, 200)))])
    most = MAX_OCTETS_PER_SECOND // len(nack)
    for number in range(2 * most):
        viewer.send_rtcp(nack)
        await until_handled(endpoint, seen + number + 1)
    assert 0 < listener.packets.qsize() <= most
    assert peer.datagrams_dropped >= most
    endpoint.sweep()  # a second later
    before = listener.packets.qsize()
    viewer.send_rtcp(nack)
    await until_handled(endpoint, seen + 2 * most + 1)
    assert listener.packets.qsize() == before + 1


@pytest.mark.parametrize("datagram", [b"", b"\x16", b"\x80"])
async def test_a_datagram_of_no_protocol_s_length_from_a_viewer_s_address_is_ignored(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, datagram: bytes
) -> None:
    peer, _ = await connect(endpoint, viewer)
    assert peer.path is not None
    port, source = peer.path
    before = endpoint.datagrams_ignored
    endpoint._receive(port, datagram, source)
    assert endpoint.datagrams_ignored == before + 1


async def test_a_session_that_nobody_took_up_frees_its_place_too(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, clock: ManualClock
) -> None:
    endpoint.restart(endpoint.accept(RemoteOffer.parse(viewer.offer())), "after")
    clock.advance(SETUP_NS / 1e9)
    endpoint.sweep()
    assert endpoint.peers == {}
    assert endpoint._restarting == {}


async def test_sessions_are_bounded_and_none_is_refused_below_the_bound(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    offer = RemoteOffer.parse(viewer.offer())
    for _ in range(MAX_PEERS):
        endpoint.accept(offer)
    with pytest.raises(TooManyViewers):
        endpoint.accept(offer)


async def test_a_port_in_use_is_said_with_what_to_do(endpoint: WebRtcEndpoint, clock: ManualClock) -> None:
    second = WebRtcEndpoint(endpoint.port, clock)
    with pytest.raises(PortUnavailable, match=r"webrtc\.port"):
        second.open()


async def test_own_and_configured_addresses_are_offered_with_loopback_last(clock: ManualClock) -> None:
    endpoint = WebRtcEndpoint(0, clock, extra_addresses=["203.0.113.7", "203.0.113.7"])
    endpoint.open()
    offered = [address for address, _ in endpoint.candidates]
    assert str(offered[0]) == "203.0.113.7"
    assert len(set(offered)) == len(offered)
    loopback = [address.is_loopback for address in offered]
    assert any(loopback)
    assert loopback == sorted(loopback)
    assert all(port == endpoint.port for _, port in endpoint.candidates)
    endpoint.close()
    served = WebRtcEndpoint(0, clock, extra_addresses=["203.0.113.7"], local_only=False)
    served.open()
    assert not any(address.is_loopback for address, _ in served.candidates)
    served.close()
