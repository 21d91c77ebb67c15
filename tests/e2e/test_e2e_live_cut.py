"""The network between browser and system is cut, with nobody told, and comes back: so do the pictures, of the present."""

import contextlib
import secrets
from collections.abc import Callable, Iterator

import pytest
from bench._link import Link, why_not
from bench.latency import inside
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.e2e.browser import ARGUMENTS, new_page
from tests.e2e.picture_clock import READ_CLOCKS, small_cameras
from tests.e2e.system import System, camera, serving, wait_for
from tests.e2e.test_e2e_tile_size import NO_PATH

from vms.common.clock import SystemClock

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.needs("chromium"),
]

TOKEN = secrets.token_urlsafe(24)
LATE_MS = 3_000  # further behind, the app itself would go on at the newest picture (liveEdge.ts)
Open = Callable[[str], Page]


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    with Link() as link, inside(link.near.namespace):
        yield link


@pytest.fixture(scope="module")
def system(link: Link, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with small_cameras(1, 640, 360, 25, 400_000) as (url,), serving(tmp_path_factory.mktemp("cut")) as serve:
        http = {"host": link.near.address, "port": 0, "token": TOKEN}
        roles = {"media": 1, "stream": 1, "api": 1}
        system = serve([{**camera("porch", url), "record": "off"}], http=http, roles=roles)
        system.wait_live("porch")
        yield system


@pytest.fixture(scope="module")
def far_browser(link: Link, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium at the other end of the link."""
    program = tmp_path_factory.mktemp("far") / "chromium"
    program.write_text(f'#!/bin/sh\nexec {" ".join(link.far.command("/usr/bin/chromium"))} "$@"\n')
    program.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_tile(far_browser: Browser, system: System) -> Iterator[Open]:
    """``open_tile(protocol)``: a page of its own on which the camera plays so."""
    with contextlib.ExitStack() as stack:

        def begin(protocol: str) -> Page:
            page = new_page(far_browser)
            stack.callback(page.context.close)
            if protocol == "websocket":
                page.add_init_script(NO_PATH)
            page.goto(system.url)
            field = page.locator("input[type=password]")
            field.fill(TOKEN)
            field.press("Enter")
            shows_the_present(page, protocol)
            return page

        yield begin


def shows_the_present(page: Page, protocol: str) -> None:
    """Fails unless what has just been captured is shown in this way at some time from now on, and the tile says that it is live."""

    def age_ms() -> int | None:
        """None: it is from before, or cannot be read now."""
        now = SystemClock().wall_ns() // 1_000_000
        readings = page.evaluate(READ_CLOCKS, "[data-testid=tile-porch] video")
        captured = int(readings[0]["wall_ms"]) if readings and readings[0] else 0
        return now - captured if captured > begun_ms else None

    begun_ms = SystemClock().wall_ns() // 1_000_000
    wait_for("a picture of the present", lambda: (age := age_ms()) is not None and age < LATE_MS)
    tile = page.get_by_test_id("tile-porch")
    expect(tile).to_have_attribute("data-state", "live")
    expect(tile.get_by_test_id("way")).to_have_attribute("data-protocol", protocol)


def test_pictures_come_back_with_the_network_in_the_way_in_which_they_came(
    link: Link, open_tile: Open
) -> None:
    pages = {protocol: open_tile(protocol) for protocol in ("webrtc", "websocket")}
    link.cut()
    for page in pages.values():
        expect(page.get_by_test_id("tile-porch")).to_have_attribute(
            "data-state", "reconnecting", timeout=120_000
        )
    link.mend()
    for protocol, page in pages.items():
        shows_the_present(page, protocol)
