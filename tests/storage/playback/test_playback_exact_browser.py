"""Exact exports in real Chromium: how long they are, and what they show first and last."""

from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
from playwright.async_api import Page, Route, async_playwright
from tests.storage.playback.shelf import NOON_NS, PORCH, Shelf, demux

from vms.common.clock import NS
from vms.storage.playback import Playback

CHROMIUM = "/usr/bin/chromium"
SITE = "http://export.test/"
WIDTH, HEIGHT = 160, 120

PAGE = """<!doctype html><video id=video muted preload=auto></video>
<canvas id=canvas width=160 height=120></canvas>"""

SHOWN = """async at => {
  const seen = new Promise(done => video.requestVideoFrameCallback((_, frame) => done(frame.mediaTime)))
  video.currentTime = at
  const mediaTime = await seen
  const context = canvas.getContext('2d')
  context.drawImage(video, 0, 0)
  return { mediaTime, pixels: Array.from(context.getImageData(0, 0, 160, 120).data) }
}"""

LOAD = """src => new Promise((done, fail) => {
  video.onloadeddata = () => done(video.duration)
  video.onerror = () => fail(new Error(video.error.message))
  video.src = src
})"""

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffmpeg")]


@pytest.fixture
async def page(shelf: Shelf) -> AsyncIterator[Page]:
    async def answer(route: Route) -> None:
        name = route.request.url.removeprefix(SITE)
        if name == "":
            await route.fulfill(body=PAGE, content_type="text/html")
            return
        data = (shelf.folder / name).read_bytes()
        wanted = route.request.headers.get("range", "bytes=0-").removeprefix("bytes=")
        first, _, last = wanted.partition("-")
        end = min(int(last or len(data)), len(data) - 1)
        headers = {
            "content-range": f"bytes {first}-{end}/{len(data)}",
            "accept-ranges": "bytes",
            "content-type": "video/mp4",
        }
        await route.fulfill(status=206, headers=headers, body=data[int(first) : end + 1])

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.route("**/*", answer)
        await page.goto(SITE)
        yield page
        await browser.close()


def pictures(movie: Path) -> list[list[int]]:
    """Some of the pixels of each picture: red, green and blue, one after the other."""
    with av.open(str(movie)) as container:
        return [_pixels(frame) for frame in container.decode(video=0)]


def _pixels(frame: av.VideoFrame) -> list[int]:
    plane = frame.reformat(format="rgb24").planes[0]
    data = bytes(plane)
    return [
        data[y * plane.line_size + x * 3 + colour]
        for y in range(0, HEIGHT, 3)
        for x in range(0, WIDTH, 5)
        for colour in range(3)
    ]


def nearest(pixels: list[int], source: list[list[int]]) -> int:
    """Which of the pictures it is."""
    shown = [
        pixels[(y * WIDTH + x) * 4 + colour]
        for y in range(0, HEIGHT, 3)
        for x in range(0, WIDTH, 5)
        for colour in range(3)
    ]
    return min(
        range(len(source)),
        key=lambda index: sum(abs(a - b) for a, b in zip(source[index], shown, strict=True)),
    )


@pytest.mark.parametrize("made", ["movie", "plain_movie"])
async def test_chromium_begins_an_exact_export_with_the_picture_at_its_start_and_ends_it_at_its_end(
    shelf: Shelf, playback: Playback, page: Page, made: str, request: pytest.FixtureRequest
) -> None:
    movie: Path = request.getfixturevalue(made)
    rate = 25 if made == "movie" else 10
    shelf.record(demux(movie), file_s=4)
    source = pictures(movie)
    for start_s, end_s in ((2.6, 5.8), (3.4, 3.8), (4.0, 8.2)):
        download = await playback.export(
            PORCH, NOON_NS + round(start_s * NS), NOON_NS + round(end_s * NS), exact=True
        )
        data = b"".join([piece async for piece in download.chunks(0, download.size_bytes - 1)])
        await download.close()
        (shelf.folder / "exact.mp4").write_bytes(data)
        duration = await page.evaluate(LOAD, "exact.mp4")
        # Pictures that are stored before reordered ones, and not shown, count for Chromium
        assert duration == pytest.approx(end_s - start_s, abs=0.03 if made == "plain_movie" else 0.11)
        first = await page.evaluate(SHOWN, 0)
        assert nearest(first["pixels"], source) == round(start_s * rate)
        middle = await page.evaluate(SHOWN, 0.25)
        assert nearest(middle["pixels"], source) == int((start_s + 0.25) * rate + 1e-6)
        last = await page.evaluate(SHOWN, end_s - start_s - 0.5 / rate)
        assert nearest(last["pixels"], source) == round(end_s * rate) - 1
