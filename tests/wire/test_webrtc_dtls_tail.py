"""After the handshake: what stands for OpenSSL's association hears and says goodbye as it would."""

import asyncio
from collections.abc import Callable

import pytest
from bench._viewer import SinkViewer
from OpenSSL import SSL
from tests.wire.test_webrtc_dtls import Client, server_for, shake_hands
from tests.wire.test_webrtc_endpoint import clock, connect, endpoint, new_viewer, until_handled, viewer

from vms.common.clock import ManualClock
from vms.wire import rtcp
from vms.wire.webrtc import endpoint as endpoint_module
from vms.wire.webrtc.dtls import DtlsContext, DtlsState
from vms.wire.webrtc.dtls_tail import CIPHER, DtlsTail
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.peer import SETTLED_NS, CloseReason, Peer

_ = clock, endpoint, new_viewer, viewer  # fixtures


def tail_and_client() -> tuple[DtlsTail, Client]:
    client = Client()
    server = server_for(client)
    shake_hands(server, client)
    tail = server.tail()
    assert tail is not None
    return tail, client


def goodbye_of(client: Client) -> bytes:
    client.connection.shutdown()
    return client.connection.bio_read(1 << 16)


def test_the_goodbye_that_was_made_in_advance_is_one_to_openssl() -> None:
    tail, client = tail_and_client()
    for datagram in tail.farewell:
        client.connection.bio_write(datagram)
    with pytest.raises(SSL.ZeroReturnError):
        client.connection.recv(100)


def test_the_goodbye_of_openssl_is_heard() -> None:
    tail, client = tail_and_client()
    assert tail.receive(goodbye_of(client))
    assert tail.over


def test_every_bit_of_a_goodbye_is_authenticated() -> None:
    tail, client = tail_and_client()
    goodbye = goodbye_of(client)
    for at in range(len(goodbye)):
        forged = bytearray(goodbye)
        forged[at] ^= 1
        assert not tail.receive(bytes(forged)), at
    for size in range(len(goodbye)):
        assert not tail.receive(goodbye[:size])
    other, _ = tail_and_client()
    assert not other.receive(goodbye)
    assert tail.receive(goodbye)


def test_an_association_with_another_cipher_is_kept() -> None:
    client = Client()
    client.context = DtlsContext()
    client.context.ssl.set_cipher_list(b"ECDHE-ECDSA-AES256-GCM-SHA384")
    client.connection = SSL.Connection(client.context.ssl, None)
    client.connection.set_connect_state()
    client.connection.set_ciphertext_mtu(1200)
    server = server_for(client)
    shake_hands(server, client)
    assert client.connection.get_cipher_name() != CIPHER
    assert server.tail() is None
    assert server.state is DtlsState.CONNECTED


async def settle(endpoint: WebRtcEndpoint, viewer: SinkViewer, peer: Peer, clock: ManualClock) -> None:
    clock.advance(SETTLED_NS / 1e9)
    seen = endpoint.datagrams_received
    viewer.send_check()
    await until_handled(endpoint, seen + 1)
    endpoint.sweep()
    assert peer._dtls._server is None


async def test_a_settled_viewer_is_heard_when_it_leaves(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, clock: ManualClock
) -> None:
    peer, listener = await connect(endpoint, viewer)
    await settle(endpoint, viewer, peer, clock)
    viewer.send_rtcp(rtcp.pack([rtcp.PictureLossIndication(1, 2)]))
    assert await asyncio.wait_for(listener.packets.get(), 20) == rtcp.PictureLossIndication(1, 2)
    assert not listener.is_closed.is_set()
    viewer.send_dtls_close()
    await asyncio.wait_for(listener.is_closed.wait(), 20)
    assert listener.reason is CloseReason.LEFT


async def test_those_who_came_together_do_not_settle_all_in_one_sweep(
    endpoint: WebRtcEndpoint,
    new_viewer: Callable[[], SinkViewer],
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_SETTLED", 2)
    peers = [(await connect(endpoint, new_viewer()))[0] for _ in range(5)]
    clock.advance(SETTLED_NS / 1e9)
    for settled in (2, 4, 5):
        endpoint.sweep()
        assert sum(peer._dtls._tail is not None for peer in peers) == settled


async def test_a_settled_viewer_is_told_goodbye(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, clock: ManualClock
) -> None:
    peer, _ = await connect(endpoint, viewer)
    await settle(endpoint, viewer, peer, clock)
    endpoint.remove(peer)
    async with asyncio.timeout(20):
        while not viewer.closed:
            await asyncio.sleep(0.01)
