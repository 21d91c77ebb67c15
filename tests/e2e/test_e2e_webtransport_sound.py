"""Sound over WebTransport, in Chromium with the player of our web app: it is heard where it is asked for, and then in
sync with the picture."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.async_api import Page, Route, expect
from tests.e2e.browser import PATIENCE_MS
from tests.e2e.one_process import LIVE, one_camera, page_of
from tests.stream.test_stream_sound_in_sync import Clapping, is_in_sync
from tests.stream.webtransport_client import ServedQuic, serving

from vms.app.single import System
from vms.media import Codec
from vms.virtual_camera import CameraOptions, PatternAudio

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]
HAS_SOUND = "document.querySelector('video')?.srcObject?.getAudioTracks().length > 0"


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """With a camera that has sound, so that tiles have the control for it."""
    options = CameraOptions(pattern=True, width=320, height=180, frames_per_second=5, audio=PatternAudio.PCMU)
    async with one_camera(tmp_path / "data", options) as system:
        yield system


@pytest.fixture
async def page(system: System) -> AsyncIterator[Page]:
    """Conditions that it waits for are strings, which the pages' own policy would not let it evaluate."""
    async with page_of(system, bypass_csp=True) as page:
        yield page


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
        await expect(tile).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        (viewer,) = served.service.viewers
        assert not await page.evaluate(HAS_SOUND)
        assert (viewer.sound.wanted, viewer.sound.sent) == (False, 0)
        await tile.hover()  # which shows its buttons
        await tile.get_by_role("button", name="Sound on").click()
        await page.wait_for_function(HAS_SOUND, timeout=PATIENCE_MS)
        assert await is_in_sync(page)
        (viewer,) = served.service.viewers
        assert viewer.sound.sent > 0
