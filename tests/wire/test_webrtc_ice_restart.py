"""ICE restarts: both sets of credentials while it lasts, one afterwards; DTLS, keys and media as before."""

import asyncio
import socket
from collections.abc import Callable

from bench._viewer import SinkViewer
from tests.wire.test_webrtc_endpoint import client, clock, connect, endpoint, exchange, new_viewer, viewer

from vms.wire.webrtc import stun
from vms.wire.webrtc.endpoint import WebRtcEndpoint
from vms.wire.webrtc.peer import IceCredentials, PeerState

_ = client, clock, endpoint, new_viewer, viewer  # fixtures


def check_with(ice: IceCredentials, remote_ufrag: str, *extra: tuple[int, bytes]) -> bytes:
    attributes = [(stun.USERNAME, f"{ice.ufrag}:{remote_ufrag}".encode()), (stun.PRIORITY, bytes(4)), *extra]
    return stun.build(stun.BINDING_REQUEST, bytes(12), attributes, ice.pwd.encode())


NOMINATE = (stun.USE_CANDIDATE, b"")


async def test_media_stays_on_the_old_path_until_a_new_one_is_nominated_with_the_new_credentials(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket
) -> None:
    peer, listener = await connect(endpoint, viewer)
    old, old_path, srtp = peer.ice, peer.path, peer.srtp
    new = endpoint.restart(peer, "after")
    assert await exchange(endpoint, check_with(old, viewer.ufrag), client) is not None
    assert await exchange(endpoint, check_with(new, "after"), client) is not None
    assert peer.path == old_path
    assert await exchange(endpoint, check_with(new, "after", NOMINATE), client) is not None
    assert peer.path is not None
    assert peer.path[1] == client.getsockname()
    assert await exchange(endpoint, check_with(old, viewer.ufrag), client) is None
    assert await exchange(endpoint, check_with(new, "after"), client) is not None
    assert peer.state is PeerState.CONNECTED
    assert peer.srtp is srtp
    assert not listener.is_closed.is_set()
    assert endpoint.peers == {new.ufrag: peer}


async def test_a_restart_that_was_not_used_gives_way_to_the_next(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket
) -> None:
    peer, _ = await connect(endpoint, viewer)
    given_up, used = endpoint.restart(peer, "first"), endpoint.restart(peer, "second")
    assert await exchange(endpoint, check_with(given_up, "first", NOMINATE), client) is None
    assert await exchange(endpoint, check_with(used, "first", NOMINATE), client) is None
    assert await exchange(endpoint, check_with(used, "second", NOMINATE), client) is not None
    assert peer.ice is used


async def test_names_by_which_sessions_are_found_are_too_long_for_two_to_meet(
    endpoint: WebRtcEndpoint, viewer: SinkViewer
) -> None:
    """One that took another's place would leave it without sweeps: sent to for ever, whoever consents."""
    peer, _ = await connect(endpoint, viewer)
    for ufrag in (peer.ufrag, endpoint.restart(peer, "after").ufrag):
        assert len(bytes.fromhex(ufrag)) >= 8


async def test_a_session_that_ends_takes_both_credentials_with_it(
    endpoint: WebRtcEndpoint, viewer: SinkViewer, client: socket.socket
) -> None:
    peer, _ = await connect(endpoint, viewer)
    new = endpoint.restart(peer, "after")
    old = peer.ice
    endpoint.remove(peer)
    assert await exchange(endpoint, check_with(old, viewer.ufrag), client) is None
    assert await exchange(endpoint, check_with(new, "after"), client) is None
    assert endpoint.peers == {}
    assert endpoint._restarting == {}


async def test_many_restarts_leave_nothing_behind(
    endpoint: WebRtcEndpoint, new_viewer: Callable[[], SinkViewer], client: socket.socket
) -> None:
    peer, _ = await connect(endpoint, new_viewer())
    for number in range(20):
        endpoint.restart(peer, f"unused{number}")
        new = endpoint.restart(peer, f"used{number}")
        assert await exchange(endpoint, check_with(new, f"used{number}", NOMINATE), client) is not None
    assert endpoint.peers == {peer.ufrag: peer}
    assert endpoint._restarting == {}
    await asyncio.sleep(0)
