"""Sound over WebTransport, in Chromium with the player of our web app: it is heard where it is asked for, and then in
sync with the picture."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.async_api import Page, Route, async_playwright, expect
from tests.e2e.browser import ARGUMENTS
from tests.e2e.test_e2e_webtransport_loss import LIVE
from tests.stream.test_stream_sound_in_sync import Clapping, is_in_sync
from tests.stream.webtransport_client import ServedQuic, serving

from vms.app.single import System
from vms.config import Config, HttpConfig, RtspConfig, TranscodeConfig, WebRtcConfig, WebTransportConfig
from vms.media import Codec
from vms.virtual_camera import CameraOptions, PatternAudio, VirtualCameraServer

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]
HAS_SOUND = "document.querySelector('video')?.srcObject?.getAudioTracks().length > 0"


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """With a camera that has sound, so that tiles have the control for it."""
    options = CameraOptions(pattern=True, width=320, height=180, frames_per_second=5, audio=PatternAudio.PCMU)
    cameras = VirtualCameraServer(options)
    await cameras.start()
    config = Config(
        data_dir=tmp_path / "data",
        http=HttpConfig(port=0),
        webrtc=WebRtcConfig(port=0),
        rtsp=RtspConfig(enabled=False),
        transcode=TranscodeConfig(streams=0),
        webtransport=WebTransportConfig(port=0),
    )
    system = System(config)
    await system.start()
    body = {"id": "porch", "name": "Porch", "source": cameras.cameras[0].source.reveal(), "record": "off"}
    async with httpx.AsyncClient(base_url=system.url) as client:
        (await client.post("/api/v1/cameras", json=body)).raise_for_status()
    yield system
    await system.stop()
    await cameras.stop()


@pytest.fixture
async def page(system: System) -> AsyncIterator[Page]:
    """It is gone before its system is. Conditions that it waits for are strings, which the pages' own policy would not
    let it evaluate."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        context = await browser.new_context(locale="en-GB", bypass_csp=True)
        yield await context.new_page()
        await browser.close()


async def open_grid(page: Page, system: System, served: ServedQuic) -> None:
    """The page of the system, whose WebTransport goes to another service."""
    print_of_certificate = sha256(served.certificate.certificate.public_bytes(Encoding.DER)).digest()

    async def redirect(route: Route) -> None:
        response = await route.fetch()
        document: dict[str, Any] = await response.json()
        for option in document["options"]:
            if option["protocol"] == "webtransport":
                option |= {
                    "playable": True,
                    "url": f"https://127.0.0.1:{served.port}{served.path()}",
                    "certificate_hashes": [b64encode(print_of_certificate).decode()],
                }
        await route.fulfill(response=response, body=json.dumps(document))

    await page.route(LIVE, redirect)
    await page.goto(f"{system.url}/?protocol=webtransport")


@pytest.mark.parametrize("codec", [Codec.AAC, Codec.PCMU])
async def test_in_sync_over_webtransport_and_silent_until_it_is_asked_for(
    system: System, page: Page, codec: Codec
) -> None:
    camera = Clapping(codec)
    async with serving(camera) as served, camera.live():
        await open_grid(page, system, served)
        tile = page.get_by_test_id("tile-porch")
        await expect(tile).to_have_attribute("data-state", "live", timeout=30_000)
        (viewer,) = served.service.viewers
        assert not await page.evaluate(HAS_SOUND)
        assert (viewer.sound.wanted, viewer.sound.sent) == (False, 0)
        await tile.hover()  # which shows its buttons
        await tile.get_by_role("button", name="Sound on").click()
        await page.wait_for_function(HAS_SOUND, timeout=20_000)
        assert await is_in_sync(page)
        (viewer,) = served.service.viewers
        assert viewer.sound.sent > 0
