"""WebTransport over a bad link, in Chromium with the player of our web app: pictures go on, and are not old."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, Route, expect
from tests.e2e.browser import PATIENCE_MS
from tests.e2e.one_process import LIVE, one_camera, page_of
from tests.e2e.system import PATIENCE_S
from tests.stream.lossy_quic import lossy_quic

from vms.app.single import System
from vms.virtual_camera import CameraOptions

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]
SHOWN = """tile => ({
    frames: tile.querySelector('video').getVideoPlaybackQuality().totalVideoFrames,
    ageMs: parseFloat(tile.querySelector('[class*=latency]')?.textContent ?? 'NaN'),
})"""


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    options = CameraOptions(pattern=True, width=640, height=360, bitrate=800_000)
    async with one_camera(tmp_path / "data", options) as system:
        yield system


@pytest.fixture
async def page(system: System) -> AsyncIterator[Page]:
    async with page_of(system) as page:
        yield page


async def served_at(system: System) -> int:
    async with httpx.AsyncClient(base_url=system.url) as client, asyncio.timeout(PATIENCE_S):
        while True:
            options = (await client.get("/api/v1/cameras/porch/live")).json()["options"]
            if options[-1]["playable"]:
                return httpx.URL(options[-1]["url"]).port or 0
            await asyncio.sleep(0.1)


async def through(page: Page, system: System, port: int) -> None:
    """Open the page, whose WebTransport goes to that port."""

    async def redirect(route: Route) -> None:
        response = await route.fetch()
        document: dict[str, Any] = await response.json()
        for option in document["options"]:
            if option["protocol"] == "webtransport" and option["url"]:
                option["url"] = str(httpx.URL(option["url"]).copy_with(port=port))
        await route.fulfill(response=response, body=json.dumps(document))

    await page.route(LIVE, redirect)
    await page.goto(f"{system.url}/?protocol=webtransport")


async def more_pictures(page: Page, count: int) -> dict[str, float]:
    tile = page.get_by_test_id("tile-porch")
    before = (await tile.evaluate(SHOWN))["frames"]
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found: dict[str, float] = await tile.evaluate(SHOWN)
            if found["frames"] >= before + count:
                return found
            await asyncio.sleep(0.1)


async def test_with_five_per_cent_lost_pictures_go_on_and_are_not_old(page: Page, system: System) -> None:
    async with lossy_quic(await served_at(system), loss=0.05, delay_s=0.01) as (relay, port):
        await through(page, system, port)
        tile = page.get_by_test_id("tile-porch")
        await expect(tile).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        relay.begin_losing()
        for _ in range(4):
            await more_pictures(page, 25)
        ages_ms = []
        async with asyncio.timeout(PATIENCE_S):
            # It would only grow if everything lost held up all that follows.
            while relay.lost <= 10 or not ages_ms or ages_ms[-1] >= 1_000:
                ages_ms.append((await more_pictures(page, 5))["ageMs"])
        await expect(tile).to_have_attribute("data-state", "live")


async def test_a_link_that_dies_is_noticed_and_the_view_comes_back_with_it(
    page: Page, system: System
) -> None:
    async with lossy_quic(await served_at(system), loss=1) as (relay, port):
        await through(page, system, port)
        tile = page.get_by_test_id("tile-porch")
        await expect(tile).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        await more_pictures(page, 10)
        relay.begin_losing()
        await expect(tile).to_have_attribute(
            "data-state", re.compile("reconnecting|failed"), timeout=PATIENCE_MS
        )
        relay.losing = False
        await expect(tile).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        await more_pictures(page, 25)
