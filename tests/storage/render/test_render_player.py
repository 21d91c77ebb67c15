"""The player in an archive, unpacked and opened from the disk in Chromium, without any network."""

import asyncio
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.e2e.browser import ARGUMENTS
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux, moved
from tests.storage.render.rendering import Renderer, also_of

from vms.common.clock import NS
from vms.common.ids import CameraId
from vms.media import Gap, GapReason
from vms.storage.render import ExportOrder

pytestmark = pytest.mark.needs("chromium")

ATTIC = CameraId("attic")
DIFFERENCE = """() => {
  const [left, right] = window.player.cameras.map((camera) => camera.video.currentTime);
  return Math.abs(left - right);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def unpacked(tmp_path: Path, plain_movie: Path) -> Path:
    """An archive of two cameras, 12 s of footage, 48 s without, 12 s of footage, in a directory of its own."""

    async def make() -> Path:
        folder = tmp_path / "recordings"
        folder.mkdir()
        shelf = Shelf(folder)
        units = demux(plain_movie)
        for camera_id in (ATTIC, PORCH):
            written = shelf.record(units) + shelf.record(moved(units, wall_s=60, timeline_s=60))
            also_of(shelf, written, camera_id)
        shelf.recorded_gaps = [Gap(NOON_NS + 12 * NS, NOON_NS + 60 * NS, GapReason.CAMERA_LOST)]
        renderer = Renderer(shelf, tmp_path / "data")
        await renderer.start()
        order = ExportOrder(
            (PORCH, ATTIC),
            NOON_NS,
            NOON_NS + 72 * NS,
            title="Case 7",
            note="for the insurer",
            names={PORCH: "Varanda <b>"},
        )
        path = await renderer.done(order)
        await renderer.stop()
        return path

    # Playwright's own loop may be running here, so this one gets a thread to itself
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        path = thread.submit(asyncio.run, make()).result()
    target = tmp_path / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target)
    return target


def open_page(browser: Browser, folder: Path, locale: str) -> tuple[Page, list[str]]:
    context = browser.new_context(locale=locale, timezone_id="America/Sao_Paulo")
    page = context.new_page()
    page.set_default_timeout(20_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    page.goto((folder / "player.html").as_uri())
    return page, said


def until(probe: Callable[[], object], what: str, timeout_s: float = 20) -> None:
    give_up_s = time.monotonic() + timeout_s
    while not probe():
        assert time.monotonic() < give_up_s, f"not so in {timeout_s:g} s: {what}"
        time.sleep(0.02)


def test_it_plays_all_clips_in_step_and_shows_what_is_missing(browser: Browser, unpacked: Path) -> None:
    page, said = open_page(browser, unpacked, "en-GB")
    now = "() => window.player.state.now - window.player.first"
    until(
        lambda: page.evaluate("() => window.player.cameras.every((c) => c.video.readyState >= 2)"), "loaded"
    )
    assert page.locator(".tile .label").all_inner_texts() == ["Varanda <b>", "attic"]
    assert page.locator("#now").inner_text().startswith("23/11/2026, 09:00:00.000 GMT-3")
    page.get_by_role("button", name="Play", exact=True).click()
    until(lambda: page.evaluate(now) > 2500, "the clock runs")
    until(lambda: page.evaluate(DIFFERENCE) < 0.1, "in step")
    page.get_by_role("button", name="Pause", exact=True).click()
    stopped = page.evaluate(now)
    off = page.evaluate("() => window.player.cameras[0].video.currentTime * 1000") - stopped
    assert abs(off) < 300
    # to the middle of the gap: no picture, and why
    page.evaluate("() => { window.player.state.now = window.player.first + 30_000; }")
    until(lambda: page.locator(".tile.missing").count() == 2, "nothing is shown in a gap")
    assert page.locator(".tile .away").first.inner_text() == "Nothing recorded: the camera was not reachable"
    page.get_by_role("button", name="Next recording").click()
    until(lambda: page.locator(".tile.missing").count() == 0, "shown again")
    assert page.evaluate(now) == 60_000
    at = "() => window.player.cameras[0].video.currentTime"
    until(lambda: abs(page.evaluate(at) - 12.0) < 0.15, "the clip is where the gap was closed up")
    page.locator("#seek").fill("66000")
    until(lambda: abs(page.evaluate(at) - 18.0) < 0.15, "sought")
    page.locator("#zone").select_option("UTC")
    until(lambda: "12:01:06" in page.locator("#now").inner_text(), "the time of another zone")
    assert page.locator("#gaps tr").count() == 2
    assert "for the insurer" in page.locator("#facts").inner_text()
    assert said == [], "no errors, and nothing that goes to a network"
    page.context.close()


def test_it_speaks_portuguese_to_those_who_do(browser: Browser, unpacked: Path) -> None:
    page, said = open_page(browser, unpacked, "pt-BR")
    assert page.locator("#play").inner_text() == "Reproduzir"
    assert "Observação" in page.locator("#facts").inner_text()
    assert "a câmera não respondia" in page.locator("#gaps").inner_text()
    assert page.evaluate("() => document.documentElement.lang") == "pt-BR"
    assert said == []
    page.context.close()


def test_a_clip_that_was_not_unpacked_is_said_and_the_others_play(browser: Browser, unpacked: Path) -> None:
    (unpacked / "clips" / "attic.mp4").unlink()
    page, _ = open_page(browser, unpacked, "en-GB")
    until(lambda: page.locator(".tile.missing").count() == 1, "one is missing")
    assert "unpacked" in page.locator('.tile[data-camera="attic"] .away').inner_text()
    page.get_by_role("button", name="Play", exact=True).click()
    until(
        lambda: page.evaluate("() => window.player.cameras[0].video.currentTime > 1"), "the other one plays"
    )
    page.context.close()
