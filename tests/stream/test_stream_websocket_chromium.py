"""Debian's Chromium plays what comes over WebSocket, by Media Source Extensions alone."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, TimeoutError, async_playwright
from tests.stream.scripted_stream import CAMERA, Camera, h264_pictures
from tests.stream.test_stream_chromium import ARGUMENTS, CHROMIUM
from tests.stream.test_stream_websocket_live import ReorderingCamera, Served, serve

from vms.common.stream_name import StreamName
from vms.format.codecs import audio_track
from vms.media import AccessUnit, Codec

__all__ = ["serve"]  # a fixture
pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

Serve = Callable[..., Awaitable[Served]]
PLAYER = """address => {
  const video = window.video = document.createElement('video');
  video.muted = video.autoplay = true;
  document.body.append(video);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  const state = window.state = {errors: [], gaps: 0, buffers: [], supported: {}, ended: null};
  const buffers = {}, promised = new Set(), early = [];
  const take = data => buffers[new Uint8Array(data, 0, 1)[0] % 2 ? 'audio' : 'video'](data.slice(17));
  video.onerror = () => state.errors.push(video.error.message);
  source.onsourceopen = () => {
    const socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    socket.onclose = event => state.ended = event.code;
    socket.onmessage = ({data}) => {
      if (typeof data === 'string') {
        const said = JSON.parse(data);
        if (said.type === 'gap') state.gaps += 1;
        if (said.type === 'hello')
          for (const {track, mime} of said.tracks) {
            state.supported[track] = mime && MediaSource.isTypeSupported(mime);
            if (state.supported[track]) promised.add(track);
          }
        if (said.type === 'init' && !buffers[said.track]) {
          const buffer = source.addSourceBuffer(said.mime);
          const queue = [];
          const next = () => { if (!buffer.updating && queue.length) buffer.appendBuffer(queue.shift()); };
          buffer.onupdateend = next;
          buffer.onerror = () => state.errors.push('append ' + said.track);
          buffers[said.track] = bytes => { queue.push(bytes); next(); };
          state.buffers.push(said.mime);
          promised.delete(said.track);
        }
        return;
      }
      early.push(data);
      if (promised.size === 0) for (const each of early.splice(0)) take(each);
      const ranges = video.buffered;
      if (ranges.length && video.currentTime < ranges.start(ranges.length - 1))
        video.currentTime = ranges.start(ranges.length - 1);
    };
  };
}"""
STATE = """() => ({...state, time: video.currentTime, width: video.videoWidth, ranges: video.buffered.length,
  decoded: video.getVideoPlaybackQuality().totalVideoFrames, heard: video.webkitAudioDecodedByteCount})"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        yield page
        await browser.close()


async def play(page: Page, served: Served, stream: StreamName = StreamName.MAIN) -> None:
    await page.goto(
        f"http://127.0.0.1:{served.port}/page"
    )  # browsers let no page of elsewhere connect to this machine
    await page.evaluate(PLAYER, f"ws://127.0.0.1:{served.port}{served.path(stream)}")


async def until(page: Page, condition: str) -> dict[str, Any]:
    try:
        await page.wait_for_function(f"({condition})(({STATE})())", timeout=30_000)
    except TimeoutError as error:
        raise AssertionError(await page.evaluate(STATE)) from error
    found: dict[str, Any] = await page.evaluate(STATE)
    assert found["errors"] == []
    return found


class SoundingCamera(ReorderingCamera):
    """With B-frames and with AAC, as FFmpeg makes it of silence."""

    def __init__(self) -> None:
        super().__init__()
        self.sound = audio_track(2, Codec.AAC, sample_rate=48_000, channels=2)
        self.hub.announce([self.track, self.sound])
        self.heard = 0

    def push(self) -> AccessUnit:
        unit = super().push()
        while self.heard * 1024 * 90_000 // 48_000 <= unit.dts:
            pts = self.heard * 1024
            self.heard += 1
            # One frame of two silent channels (ISO 14496-3 §4.4.2.1): a channel pair without spectra, then the end
            data = bytes.fromhex("211004608c1c")
            self.hub.push(AccessUnit(self.sound, data, pts, pts, True, False, unit.capture_ns, 0))
        return unit


async def test_chromium_plays_a_camera_with_b_frames_in_order(page: Page, serve: Serve) -> None:
    camera = ReorderingCamera()
    served = await serve(camera.hub)
    async with camera.live():
        await play(page, served)
        found = await until(page, "state => state.decoded > 40 && state.time > 1.5")
        assert found["supported"] == {"video": True}
        assert found["ranges"] == 1, "no picture leaves a hole"
        assert found["gaps"] == 0


async def test_chromium_plays_on_when_the_camera_changes_its_resolution(page: Page, serve: Serve) -> None:
    camera = Camera(h264_pictures(50, profile="high"))
    served = await serve(camera.hub)
    async with camera.live():
        await play(page, served)
        await until(page, "state => state.decoded > 10 && state.width === 320")
        camera.show(h264_pictures(50, width=640))
        await until(page, "state => state.width === 640")


async def test_chromium_plays_sound_beside_the_pictures(page: Page, serve: Serve) -> None:
    camera = SoundingCamera()
    served = await serve(camera.hub)
    async with camera.live():
        await play(page, served)
        found = await until(page, "state => state.decoded > 30 && state.heard > 0 && state.time > 1.5")
        assert found["buffers"][1:] == ['audio/mp4; codecs="mp4a.40.2"']


async def test_chromium_is_told_when_its_camera_is_removed(page: Page, serve: Serve) -> None:
    camera = Camera()
    served = await serve(camera.hub)
    async with camera.live():
        await play(page, served)
        await until(page, "state => state.decoded > 5")
        served.service.end_camera(CAMERA)
        await page.wait_for_function("state.ended === 1001", timeout=30_000)
