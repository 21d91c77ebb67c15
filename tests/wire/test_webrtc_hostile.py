"""What strangers can make the port do: nothing they could not do themselves, byte for byte."""

import contextlib
import secrets
import socket
from collections.abc import Callable

from bench._viewer import SinkViewer
from OpenSSL import SSL
from tests.wire.test_webrtc_endpoint import check, client, clock, connect, endpoint, new_viewer, viewer

from vms.wire.webrtc import stun
from vms.wire.webrtc.dtls import DtlsContext
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.negotiation import RemoteOffer
from vms.wire.webrtc.peer import MAX_CHECKS_PER_SECOND
from vms.wire.webrtc.udp import SocketAddress

_ = client, clock, endpoint, new_viewer, viewer  # fixtures


class Counting:
    """A port that sends nothing and counts what it would have sent."""

    blocked = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, datagram: bytes, to: SocketAddress) -> bool:
        self.sent.append(datagram)
        return True

    def send_segments(self, *arguments: object) -> bool:
        raise AssertionError("media to a stranger")

    def when_writable(self, callback: Callable[[], None]) -> None:
        raise AssertionError("nothing waits here")


def hello() -> bytes:
    connection = SSL.Connection(DtlsContext().ssl, None)
    connection.set_connect_state()
    connection.set_ciphertext_mtu(1200)
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(1 << 16)


async def test_a_stranger_gets_not_one_byte_and_leaves_no_state(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer = endpoint.accept(RemoteOffer.parse(viewer.offer()))
    port = Counting()
    strange = [
        hello(),  # a whole ClientHello, from an address that no check came from
        b"\x80\xc9\0\1" + bytes(40),
        check(peer, viewer, password="x" * 22),
        stun.build(stun.BINDING_REQUEST, bytes(12), [(stun.USERNAME, b"\xff:\xff")], b"x"),
        stun.build(stun.BINDING_REQUEST, bytes(12), [], None),
        *(bytes([first]) + secrets.token_bytes(100) for first in range(256)),
    ]
    for number in range(4):
        for datagram in strange:
            endpoint._receive(port, datagram, ("127.0.0.1", 1024 + number))
    assert port.sent == []
    assert endpoint._by_path == {}
    assert endpoint.handshakes.waiting == 0
    assert endpoint.datagrams_ignored == endpoint.datagrams_received == 4 * len(strange)


async def test_a_check_whose_username_does_not_come_first_is_answered_too(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer = endpoint.accept(RemoteOffer.parse(viewer.offer()))
    port = Counting()
    username = (stun.USERNAME, f"{peer.ufrag}:{viewer.ufrag}".encode())
    attributes = [(stun.PRIORITY, bytes(4)), username]
    request = stun.build(stun.BINDING_REQUEST, bytes(12), attributes, peer.pwd.encode())
    endpoint._receive(port, request, ("127.0.0.1", 9))
    assert len(port.sent) == 1


async def test_an_answer_to_a_check_is_hardly_longer_than_the_check(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer = endpoint.accept(RemoteOffer.parse(viewer.offer()))
    port = Counting()
    for extra in ((), ((stun.USE_CANDIDATE, b""),), ((stun.ICE_CONTROLLED, bytes(8)),), ((0x7777, b""),)):
        request = check(peer, viewer, *extra)
        endpoint._receive(port, request, ("127.0.0.1", 9))
        assert len(port.sent.pop()) <= len(request)


async def test_a_check_that_was_recorded_moves_media_no_further_than_where_it_is_replayed_from_may_answer(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket
) -> None:
    """A replayed check is authentic (STUN has no freshness), so what it costs is bounded: the paths of one peer."""
    peer, _ = await connect(endpoint, viewer)
    port = Counting()
    recorded = check(peer, viewer)  # does not nominate, as most
    path = peer.path
    endpoint.sweep()
    for number in range(1000):
        endpoint._receive(port, recorded, ("127.0.0.1", 1024 + number))
    assert peer.path == path
    assert len(endpoint._by_path) <= 8
    assert len(port.sent) == MAX_CHECKS_PER_SECOND
    assert sum(map(len, port.sent)) <= len(port.sent) * len(recorded)
    endpoint.sweep()  # a second later
    endpoint._receive(port, recorded, ("127.0.0.1", 9))
    assert len(port.sent) == MAX_CHECKS_PER_SECOND + 1


async def test_many_hellos_of_one_peer_wait_in_a_bounded_queue(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    peer = endpoint.accept(RemoteOffer.parse(viewer.offer()))
    port, source = Counting(), ("127.0.0.1", 9)
    endpoint._receive(port, check(peer, viewer, (stun.USE_CANDIDATE, b"")), source)
    first = hello()
    for _ in range(200):
        endpoint._receive(port, first, source)
    assert endpoint.handshakes.waiting <= 1
    assert endpoint.handshakes.datagrams_dropped >= 200 - 2 * 8
    assert peer.datagrams_dropped == endpoint.handshakes.datagrams_dropped
