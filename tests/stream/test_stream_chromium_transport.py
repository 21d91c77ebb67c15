"""Debian's Chromium where UDP is blocked, and through an ICE restart."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Page
from tests.stream.scripted_stream import CAMERA, Camera
from tests.stream.test_stream_chromium import ANSWER, OFFER, page, until

from vms.stream import StreamService
from vms.wire.webrtc.peer import CloseReason

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

Serve = Callable[..., Awaitable[StreamService]]
_ = page  # the fixture

RESTART = """async () => {
  window.handshakes = 0;
  connection.getReceivers()[0].transport.addEventListener('statechange', () => window.handshakes++);
  connection.restartIce();
  await connection.setLocalDescription(await connection.createOffer());
  return connection.localDescription.sdp;
}"""
SELECTED = """async () => {
  const found = {};
  const stats = await connection.getStats();
  stats.forEach(entry => {
    if (entry.type !== 'transport' || !entry.selectedCandidatePairId) return;
    const pair = stats.get(entry.selectedCandidatePairId);
    const remote = stats.get(pair.remoteCandidateId);
    found.protocol = remote.protocol;
    found.ufrag = remote.usernameFragment;
    found.dtls = entry.dtlsState;
  });
  return found;
}"""


@pytest.fixture
async def accept_tcp() -> AsyncIterator[Callable[[StreamService], Awaitable[None]]]:
    """Listen for ICE over TCP on the addresses that are offered, at one port number."""
    servers: list[asyncio.Server] = []

    async def listen(service: StreamService) -> None:
        loop = asyncio.get_running_loop()
        servers.append(await loop.create_server(service.endpoint.tcp_connection, "0.0.0.0", 0))
        service.endpoint.offer_tcp(servers[0].sockets[0].getsockname()[1])

    yield listen
    for server in servers:
        server.close()


def let_go(service: StreamService, session_id: str) -> None:
    """As some seconds after the handshake: goodbyes go without OpenSSL."""
    association = service._viewers[session_id].peer._dtls
    association.let_go()
    assert association._server is None


async def test_where_udp_is_blocked_the_browser_plays_over_tcp(
    serve: Serve, camera: Camera, page: Page, accept_tcp: Callable[[StreamService], Awaitable[None]]
) -> None:
    service = await serve(camera)
    await accept_tcp(service)
    async with camera.live():
        answer = await service.offer(CAMERA, await page.evaluate(OFFER))
        tcp_only = re.sub(r"a=candidate:\S+ 1 udp [^\r]*\r\n", "", answer.sdp)
        assert " 1 tcp " in tcp_only
        await page.evaluate(ANSWER, tcp_only)
        found = await until(page, lambda s: s.get("video", {}).get("framesDecoded", 0) >= 50)
        assert found["video"]["packetsLost"] == 0
        assert (await page.evaluate(SELECTED))["protocol"] == "tcp"
        let_go(service, answer.session_id)
        await page.evaluate("connection.close()")
        async with asyncio.timeout(20):
            while service.session_count:
                await asyncio.sleep(0.01)
        assert service.ended[CloseReason.LEFT] == 1
    assert not service.endpoint._by_path


async def test_the_browser_restarts_ice_and_media_and_keys_go_on(
    serve: Serve, camera: Camera, page: Page
) -> None:
    service = await serve(camera)
    async with camera.live():
        answer = await service.offer(CAMERA, await page.evaluate(OFFER))
        await page.evaluate(ANSWER, answer.sdp)
        before = await until(page, lambda s: s.get("video", {}).get("framesDecoded", 0) >= 10)
        first = (await page.evaluate(SELECTED))["ufrag"]
        offer = await page.evaluate(RESTART)
        ufrag = re.search(r"a=ice-ufrag:(\S+)", offer)
        assert ufrag is not None
        restarted = await service.restart(answer.session_id, ufrag[1])
        assert restarted.session.etag != answer.session.etag
        sdp = answer.sdp
        for name in ("ice-ufrag", "ice-pwd"):
            value = re.search(rf"a={name}:(\S+)", restarted.fragment)
            assert value is not None
            sdp = re.sub(rf"a={name}:\S+", f"a={name}:{value[1]}", sdp)
        await page.evaluate(ANSWER, sdp)
        async with asyncio.timeout(20):
            while (selected := await page.evaluate(SELECTED)).get("ufrag") == first:
                await asyncio.sleep(0.05)
        decoded = before["video"]["framesDecoded"]
        after = await until(page, lambda s: s["video"]["framesDecoded"] >= decoded + 50)
        assert after["video"]["ssrc"] == before["video"]["ssrc"]
        assert selected["dtls"] == "connected"
        assert await page.evaluate("window.handshakes") == 0
        peer = service._viewers[answer.session_id].peer
        assert peer.restarting is None
        assert service.endpoint.peers == {peer.ufrag: peer}, json.dumps(selected)
        let_go(service, answer.session_id)
        await service.end(answer.session_id)
        await until(page, lambda s: s["transport"]["dtlsState"] == "closed")
