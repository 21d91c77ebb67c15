"""Low-latency HLS in Chromium by hls.js, and in GStreamer; how far behind they are."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright
from tests.stream.scripted_stream import Camera, h264_pictures
from tests.stream.test_stream_chromium import ARGUMENTS, CHROMIUM
from tests.stream.test_stream_hls import TimedCamera, serve

from vms.common.clock import NS

__all__ = ["serve"]

HLS_JS = Path(__file__).parents[2] / "web" / "node_modules" / "hls.js" / "dist" / "hls.min.js"
PLAY = """async url => {
  const video = window.video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  window.errors = [];
  const hls = window.hls = new Hls({lowLatencyMode: true});
  hls.on(Hls.Events.ERROR, (name, data) => errors.push(data.details + ' ' + (data.error?.message ?? '') + (data.reason ?? '') + (data.fatal ? ' (fatal)' : '')));
  hls.loadSource(url);
  hls.attachMedia(video);
  hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
}"""
STATE = """() => ({
  time: video.currentTime, ready: video.readyState, width: video.videoWidth, errors,
  behind_s: hls.playingDate ? (Date.now() - hls.playingDate.getTime()) / 1000 : null,
  latency: hls.latency, low: hls.levels[0]?.details?.partList?.length ?? 0,
  frames: video.getVideoPlaybackQuality().totalVideoFrames,
})"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        yield page
        await browser.close()


@pytest.mark.e2e
@pytest.mark.needs("chromium")
@pytest.mark.parametrize("sound", [False, True])
async def test_chromium_plays_parts_near_the_live_edge(serve, page: Page, sound: bool) -> None:  # type: ignore[no-untyped-def]
    camera = Live(sound=sound) if sound else Camera(h264_pictures(50, profile="high", b_frames=0))
    player = await serve(camera)
    async with camera.live():
        await page.goto(
            f"{player.client.base_url}/"
        )  # Chromium keeps pages of elsewhere from loopback addresses
        await page.add_script_tag(path=HLS_JS)
        await page.evaluate(PLAY, player.url)
        async with asyncio.timeout(60):
            while True:
                state = await page.evaluate(STATE)
                assert not [error for error in state["errors"] if "fatal" in error], state
                # By whole segments it would stay 12 s and more behind.
                if state["frames"] > 100 and state["behind_s"] is not None and state["behind_s"] < 4:
                    break
                await asyncio.sleep(0.1)
    assert state["width"] == 320
    assert state["low"] > 0


@pytest.mark.e2e
@pytest.mark.needs("chromium")
async def test_chromium_plays_on_when_the_camera_changes_its_resolution(serve, page: Page) -> None:  # type: ignore[no-untyped-def]
    camera = Camera(h264_pictures(50, profile="high"))
    player = await serve(camera)
    async with camera.live():
        await page.goto(f"{player.client.base_url}/")
        await page.add_script_tag(path=HLS_JS)
        await page.evaluate(PLAY, player.url)
        await page.wait_for_function("video.videoWidth === 320 && video.currentTime > 0", timeout=30_000)
        camera.show(h264_pictures(50, profile="high", width=640))
        await page.wait_for_function("video.videoWidth === 640", timeout=30_000)
        frames = (await page.evaluate(STATE))["frames"]
        count = "video.getVideoPlaybackQuality().totalVideoFrames"
        await page.wait_for_function(f"{count} > {frames} + 40", timeout=30_000)
        assert not [error for error in await page.evaluate("errors") if "fatal" in error]


class Live(TimedCamera):
    """With sound, in real time."""

    def __init__(self, *, sound: bool) -> None:
        super().__init__(sound=sound)
        self.begun_ns = self.clock.wall_ns() - NS // 25


@pytest.mark.needs("gst-launch-1.0")
async def test_gstreamer_plays_what_is_live(serve) -> None:  # type: ignore[no-untyped-def]
    camera = Live(sound=True)
    player = await serve(camera)
    async with camera.live():
        process = await asyncio.create_subprocess_exec(
            *("gst-launch-1.0", "-v", "uridecodebin3", f"uri={player.url}", "!", "videoconvert", "!"),
            *("fakesink", "num-buffers=50", "silent=false"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(40):
            out, _ = await process.communicate()
    assert process.returncode == 0, out[-2000:]
    assert len(re.findall(rb"chain\s+\*{7}", out)) >= 50
