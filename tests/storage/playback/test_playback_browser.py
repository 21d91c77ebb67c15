"""Playlists in real Chromium with hls.js, as the web app plays them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, async_playwright
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux, moved, with_telephone_sound

from vms.common.clock import NS
from vms.media import Gap, GapReason, MediaKind
from vms.storage.playback import Playback

HLS_JS = Path(__file__).resolve().parents[3] / "web" / "node_modules" / "hls.js" / "dist" / "hls.min.js"
CHROMIUM = "/usr/bin/chromium"
SITE = "http://playback.test/"

PAGE = """<!doctype html><video id=video muted></video><script src=hls.js></script><script>
window.errors = []
window.levels = null
const hls = new Hls()
hls.on(Hls.Events.ERROR, (_, data) => errors.push(data.details + (data.fatal ? ' fatal' : '') + ' ' + (data.reason || '')))
hls.on(Hls.Events.LEVEL_LOADED, (_, data) => { levels = data.details })
hls.loadSource('playback.m3u8')
hls.attachMedia(video)
</script>"""

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg")]


@pytest.fixture
async def page(shelf: Shelf) -> AsyncIterator[Page]:
    """A tab whose site is the shelf's folder, with byte ranges."""
    if not HLS_JS.is_file():
        pytest.skip("hls.js is not installed; scripts/setup-dev.sh builds the web app")

    async def answer(route: Route) -> None:
        name = route.request.url.removeprefix(SITE)
        if name == "":
            await route.fulfill(body=PAGE, content_type="text/html")
            return
        path = HLS_JS if name == "hls.js" else shelf.folder / name
        if not path.is_file():
            await route.fulfill(status=404)
            return
        data, wanted = path.read_bytes(), route.request.headers.get("range")
        if wanted is None:
            await route.fulfill(body=data)
            return
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        headers = {"content-range": f"bytes {first}-{last}/{len(data)}"}
        await route.fulfill(status=206, headers=headers, body=data[first : last + 1])

    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = await browser.new_page()
        await page.route("**/*", answer)
        yield page
        await browser.close()


async def play(page: Page, shelf: Shelf, playback: Playback) -> dict[str, Any]:
    """Play everything from noon on to its end; what the player says of it."""
    text = await playback.playlist(
        PORCH,
        NOON_NS,
        NOON_NS + 600 * NS,
        segment_url=lambda segment_id: f"{segment_id}.mp4",
        init_url=lambda segment_id: f"{segment_id}.init.mp4",
    )
    await shelf.keep_silent_inits(playback, text)
    (shelf.folder / "playback.m3u8").write_text(text)
    await page.goto(SITE)
    await page.evaluate("async () => { video.playbackRate = 4; await video.play() }")
    await page.wait_for_function("video.ended", timeout=30_000)
    return dict(
        await page.evaluate(
            """() => ({
                errors, duration: video.duration,
                pictures: video.getVideoPlaybackQuality().totalVideoFrames,
                discontinuities: levels.endCC - levels.startCC,
            })"""
        )
    )


async def test_chromium_plays_files_of_one_recording_to_their_end(page, shelf, playback, movie):
    shelf.record(demux(movie), file_s=4)
    played = await play(page, shelf, playback)
    # Pictures that are reordered begin later than their decoding time and the sound
    assert [error for error in played["errors"] if "seeking from 0 to 0." not in error] == []
    assert played["discontinuities"] == 0
    assert played["duration"] == pytest.approx(12, abs=0.2)
    assert played["pictures"] >= 290


async def test_chromium_plays_over_gaps_a_reconnect_and_a_second_recorder(page, shelf, playback, plain_movie):
    units = demux(plain_movie)
    shelf.record(units, file_s=5, close=False)
    shelf.record(moved(units, wall_s=100))  # the camera came back: its timeline starts over
    other = [unit for unit in units if unit.capture_ns >= NOON_NS + 4 * NS]
    shelf.record(moved(other, wall_s=104, timeline_s=50))
    shelf.recorded_gaps.append(Gap(NOON_NS + 12 * NS, NOON_NS + 100 * NS, GapReason.CAMERA_LOST))
    played = await play(page, shelf, playback)
    assert played["errors"] == []
    assert played["discontinuities"] == 2
    assert played["duration"] == pytest.approx(27.5, abs=0.3)
    assert played["pictures"] >= 265


async def test_chromium_gets_over_lost_pictures(page, shelf, playback, plain_movie):
    units = demux(plain_movie)
    for lost_from_s, lost_to_s in ((3.3, 3.5), (7.2, 8)):
        units = [u for u in units if not lost_from_s <= (u.capture_ns - NOON_NS) / NS < lost_to_s]
        after = next(i for i, u in enumerate(units) if u.capture_ns >= NOON_NS + lost_to_s * NS)
        units[after] = units[after]._replace(discontinuity=True)
        edges = (NOON_NS + round((lost_from_s - 0.1) * NS), NOON_NS + round(lost_to_s * NS))
        shelf.recorded_gaps.append(Gap(*edges, GapReason.PACKET_LOSS))
    shelf.record(units)
    played = await play(page, shelf, playback)
    assert [error for error in played["errors"] if "fatal" in error] == []
    assert played["discontinuities"] == 2
    assert played["pictures"] >= 100


async def test_chromium_plays_the_pictures_of_a_camera_with_g711_sound(page, shelf, playback, plain_movie):
    shelf.record(with_telephone_sound(demux(plain_movie)), file_s=5)
    played = await play(page, shelf, playback)
    assert played["errors"] == []
    assert played["duration"] == pytest.approx(12, abs=0.2)
    assert played["pictures"] >= 118


async def test_chromium_plays_over_files_with_and_without_sound(page, shelf, playback, sounding_movie):
    units = demux(sounding_movie)
    shelf.record([unit for unit in units if unit.track.kind is MediaKind.VIDEO])
    shelf.record(moved(units, wall_s=8, timeline_s=8))
    shelf.record(with_telephone_sound(moved(units, wall_s=16, timeline_s=16)))
    played = await play(page, shelf, playback)
    assert [error for error in played["errors"] if "fatal" in error] == []
    assert played["duration"] == pytest.approx(24, abs=0.3)
    assert played["pictures"] >= 235
