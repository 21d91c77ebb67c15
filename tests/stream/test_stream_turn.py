"""Chromium behind a network that lets nothing but TURN out: coturn relays it, with credentials that we made."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page
from tests.free_ports import free_port
from tests.stream.scripted_stream import CAMERA, Camera
from tests.stream.test_stream_chromium import ANSWER, OFFER, page, until

from vms.api.ice_servers import ice_servers
from vms.common.clock import SystemClock
from vms.config import IceServerConfig, WebRtcConfig
from vms.stream import StreamService

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("chromium"),
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="coturn is not installed"),
]
_ = page  # the fixture

SECRET = "shared-with-the-turn-server"


@asynccontextmanager
async def coturn(host: str, directory: Path) -> AsyncIterator[str]:
    """A TURN server on a free port of `host`; its URL."""
    port = free_port(host)
    process = await asyncio.create_subprocess_exec(
        "turnserver",
        *("-n", "--no-cli", "--no-tls", "--no-dtls", "-L", host, "-E", host, "-p", str(port)),
        *("--use-auth-secret", f"--static-auth-secret={SECRET}", "-r", "vms", "--allow-loopback-peers"),
        *("--pidfile", str(directory / "turn.pid"), "-b", str(directory / "turn.db"), "--log-file", "stdout"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, port)
                    writer.close()
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
        yield f"turn:{host}:{port}?transport=udp"
    finally:
        process.terminate()
        await process.wait()


async def test_the_browser_plays_through_a_turn_server_with_our_credentials(
    serve: Callable[..., Awaitable[StreamService]], camera: Camera, page: Page, tmp_path: Path
) -> None:
    service = await serve(camera)
    host = next(str(address) for address, _ in service.endpoint.candidates if address.version == 4)
    async with coturn(host, tmp_path) as url, camera.live():
        config = WebRtcConfig(ice_servers=(IceServerConfig(urls=(url,), secret=SECRET),))
        (server,) = ice_servers(config, SystemClock())
        settings = f"{{iceTransportPolicy: 'relay', iceServers: [{dict(server.document())!r}]}}"
        offer = await page.evaluate(OFFER.replace("RTCPeerConnection()", f"RTCPeerConnection({settings})"))
        answer = await service.offer(CAMERA, offer)
        await page.evaluate(ANSWER, answer.sdp)
        await until(page, lambda s: s.get("video", {}).get("framesDecoded", 0) >= 25)
        peer = service._viewers[answer.session_id].peer
        relayed = await page.evaluate(
            "async () => [...(await connection.getStats()).values()]"
            ".filter(s => s.type === 'local-candidate' && s.candidateType === 'relay').map(s => s.port)"
        )
        assert peer.path is not None
        assert peer.path[1][1] in relayed
        assert not re.search(r"typ relay", answer.sdp)  # TURN is the viewer's, never ours
        await service.end(answer.session_id)
