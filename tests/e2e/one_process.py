"""A system in the test's own process, with one camera and WebTransport, and a page that looks at it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page, async_playwright
from tests.e2e.browser import ARGUMENTS

from vms.app.single import System
from vms.config import Config, HttpConfig, RtspConfig, TranscodeConfig, WebRtcConfig, WebTransportConfig
from vms.virtual_camera import CameraOptions, VirtualCameraServer

LIVE = re.compile(r"/api/v1/cameras/porch/live\?")
"""Where pages ask how they can see it; routed, their WebTransport goes elsewhere."""


@asynccontextmanager
async def one_camera(data_dir: Path, options: CameraOptions) -> AsyncIterator[System]:
    cameras = VirtualCameraServer(options)
    await cameras.start()
    system = System(
        Config(
            data_dir=data_dir,
            http=HttpConfig(port=0),
            webrtc=WebRtcConfig(port=0),
            rtsp=RtspConfig(enabled=False),
            transcode=TranscodeConfig(streams=0),
            webtransport=WebTransportConfig(port=0),
        )
    )
    await system.start()
    body = {"id": "porch", "name": "Porch", "source": cameras.cameras[0].source.reveal(), "record": "off"}
    async with httpx.AsyncClient(base_url=system.url) as client:
        (await client.post("/api/v1/cameras", json=body)).raise_for_status()
    yield system
    await system.stop()
    await cameras.stop()


@asynccontextmanager
async def page_of(system: System, **context: Any) -> AsyncIterator[Page]:
    """It is gone before its system is, which its requests go to."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        opened = await browser.new_context(base_url=system.url, locale="en-GB", **context)
        page = await opened.new_page()
        yield page
        await page.unroute_all(behavior="ignoreErrors")  # what is on its way then has nobody to answer
        await browser.close()
