"""Sound and picture of one moment come to eye and ear together in Chromium, however they come.

The camera claps: once a second its picture is white for 200 ms, and a tone begins with it. The page takes the times at
which white pictures are to be on the screen and at which the tone leaves the loudspeaker.
"""

import math
from array import array
from collections.abc import AsyncIterator
from fractions import Fraction
from functools import cache
from statistics import median
from typing import Any

import av
import pytest
from playwright.async_api import Page, TimeoutError, async_playwright
from tests.stream.scripted_stream import CAMERA, FPS, Camera
from tests.stream.test_stream_chromium import ANSWER, ARGUMENTS, CHROMIUM, OFFER
from tests.stream.test_stream_hls import serve as serve_hls
from tests.stream.test_stream_hls_browser import HLS_JS
from tests.stream.test_stream_hls_browser import PLAY as PLAY_HLS
from tests.stream.test_stream_websocket_chromium import PLAYER as PLAY_WEBSOCKET
from tests.stream.test_stream_websocket_live import serve as serve_websocket

from vms.common.clock import NS
from vms.format import nal
from vms.format.codecs import audio_track
from vms.media import AccessUnit, Codec

__all__ = ["serve_hls", "serve_websocket"]  # fixtures
pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

CLAPS = 3
CLAP_AT, CLAP_PICTURES = 10, 5  # of the pictures of a second
AAC_HZ, AAC_SAMPLES = 48_000, 1024
AAC_LOOP_S = 8  # whole frames
PCMU_HZ = 8_000
SOUND_EARLY_MS, SOUND_LATE_MS = 90, 185
"""What viewers accept (ITU-R BT.1359-1, figure 2)."""

WATCH = """() => {
  const video = document.querySelector('video');
  video.muted = false;
  const seen = [], heard = [];
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 8;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  let white = true;
  const shown = (now, {expectedDisplayTime}) => {
    pen.drawImage(video, 0, 0, 8, 8);
    const is = pen.getImageData(4, 4, 1, 1).data[1] > 128;
    if (is && !white) seen.push(Math.max(now, expectedDisplayTime));
    white = is;
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
  const context = new AudioContext();
  const from = video.srcObject ? context.createMediaStreamSource(video.srcObject)
    : context.createMediaElementSource(video);
  const ear = context.createScriptProcessor(256, 1, 1);
  let quiet = 0;
  ear.onaudioprocess = ({inputBuffer, outputBuffer, playbackTime}) => {
    const samples = inputBuffer.getChannelData(0);
    const first = samples.findIndex(sample => Math.abs(sample) > 0.1);
    if (first >= 0 && quiet > context.sampleRate / 4) {
      const {contextTime, performanceTime} = context.getOutputTimestamp();
      heard.push(performanceTime + (playbackTime + first / context.sampleRate - contextTime) * 1000);
    }
    quiet = first >= 0 ? 0 : quiet + samples.length;
  };
  from.connect(ear).connect(context.destination);
  if (!video.srcObject) from.connect(context.destination);
  window.claps = {seen, heard, context};
}"""
WANT_NOW = "connection.getReceivers().forEach(receiver => receiver.jitterBufferTarget = 0)"
"""As the app does (whep.ts)."""
COMPLETE = "count => claps.seen.length > count && claps.heard.length > count"


@cache
def clapping_pictures() -> tuple[tuple[bytes, bool], ...]:
    """A second of them, black but for the clap."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "keyint=25:scenecut=0"}
    packets: list[av.Packet] = []
    for number in range(FPS):
        frame = av.VideoFrame(320, 240, "yuv420p")
        luma, *chroma = frame.planes
        claps = CLAP_AT <= number < CLAP_AT + CLAP_PICTURES
        luma.update((b"\xeb" if claps else b"\x10") * (luma.line_size * luma.height))
        for plane in chroma:
            plane.update(b"\x80" * (plane.line_size * plane.height))
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple((nal.from_annex_b(bytes(packet)), packet.is_keyframe) for packet in packets)


def tone(at: int, hz: int) -> float:
    """The sample number `at`, -1 to 1: a tone of 1 kHz while there is a clap."""
    claps = CLAP_AT <= at % hz * FPS / hz < CLAP_AT + CLAP_PICTURES
    return math.sin(at / hz * 1000 * math.tau) * 0.8 if claps else 0.0


@cache
def clapping_aac() -> tuple[tuple[bytes, ...], bytes]:
    """Frames of AAC-LC that begin with sample 0, to be repeated, and their AudioSpecificConfig."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = AAC_HZ, "mono", "fltp"
    encoder.bit_rate = 128_000
    packets: list[av.Packet] = []
    for at in range(0, AAC_LOOP_S * AAC_HZ + AAC_SAMPLES, AAC_SAMPLES):
        frame = av.AudioFrame("fltp", "mono", AAC_SAMPLES)
        frame.planes[0].update(array("f", [tone(at + n, AAC_HZ) for n in range(AAC_SAMPLES)]).tobytes())
        frame.sample_rate, frame.pts = AAC_HZ, at
        packets += encoder.encode(frame)
    frames = [bytes(packet) for packet in packets if packet.pts is not None and packet.pts >= 0]
    return tuple(frames[: AAC_LOOP_S * AAC_HZ // AAC_SAMPLES]), bytes(encoder.extradata or b"")


@cache
def clapping_pcmu() -> tuple[bytes, ...]:
    """A second of G.711 µ-law, a frame a picture."""
    size = PCMU_HZ // FPS
    loud, silent = (b"\x80", b"\x00"), b"\xff"
    samples = [
        loud[level < 0] if (level := tone(at, PCMU_HZ)) or _claps(at) else silent for at in range(PCMU_HZ)
    ]
    whole = b"".join(samples)
    return tuple(whole[at : at + size] for at in range(0, PCMU_HZ, size))


def _claps(at: int) -> bool:
    return CLAP_AT <= at * FPS / PCMU_HZ < CLAP_AT + CLAP_PICTURES


class Clapping(Camera):
    """Captures sound and picture at the times that their timestamps say."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(clapping_pictures())
        if codec is Codec.AAC:
            self.frames, config = clapping_aac()
            self.hz, self.samples, more = AAC_HZ, AAC_SAMPLES, {"parameter_sets": [config]}
        else:
            self.frames = clapping_pcmu()
            self.hz, self.samples, more = PCMU_HZ, PCMU_HZ // FPS, {}
        self.sound = audio_track(2, codec, sample_rate=self.hz, channels=1, **more)  # type: ignore[arg-type]
        self.hub.announce([self.track, self.sound])
        self.heard = 0
        self.begun_ns = self.clock.wall_ns()

    def push(self) -> AccessUnit:
        data, key = self.pictures[self.pushed % len(self.pictures)]
        now_ns = self.clock.monotonic_ns()
        pts = self.pushed * 90_000 // FPS
        captured_ns = self.begun_ns + self.pushed * NS // FPS
        unit = AccessUnit(self.track, data, pts, pts, key, False, captured_ns, now_ns)
        self.hub.push(unit)
        self.pushed += 1
        while self.heard * self.samples * FPS < self.pushed * self.hz:
            pts = self.heard * self.samples
            captured_ns = self.begun_ns + pts * NS // self.hz
            frame = self.frames[self.heard % len(self.frames)]
            self.hub.push(AccessUnit(self.sound, frame, pts, pts, True, False, captured_ns, now_ns))
            self.heard += 1
        return unit


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        arguments = [*ARGUMENTS, "--autoplay-policy=no-user-gesture-required"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield await browser.new_page()
        await browser.close()


async def is_in_sync(page: Page) -> bool:
    """Whether the sound of some claps in a row comes with its picture, sooner or later: players take time to settle."""
    await page.wait_for_function("document.querySelector('video').currentTime > 0", timeout=60_000)
    await page.evaluate(WATCH)
    for count in range(CLAPS + 1, 10 * CLAPS, CLAPS):
        try:
            await page.wait_for_function(COMPLETE, arg=count, timeout=60_000)
        except TimeoutError as error:
            raise AssertionError(await page.evaluate("claps")) from error
        found: dict[str, list[float]] = await page.evaluate("claps")
        late = [min((heard - seen for heard in found["heard"]), key=abs) for seen in found["seen"]]
        print(f"sound after picture, ms: {[round(each) for each in late]}")
        if -SOUND_EARLY_MS < median(late[-CLAPS:]) < SOUND_LATE_MS:
            return True
    return False


async def test_in_sync_by_webrtc(page: Page, serve: Any) -> None:
    camera = Clapping(Codec.PCMU)
    service = await serve(camera)
    async with camera.live():
        await page.goto("about:blank")
        answer = await service.offer(CAMERA, await page.evaluate(OFFER))
        await page.evaluate(ANSWER, answer.sdp)
        await page.evaluate(WANT_NOW)
        assert await is_in_sync(page)


async def test_in_sync_over_websocket(page: Page, serve_websocket: Any) -> None:
    camera = Clapping(Codec.AAC)
    served = await serve_websocket(camera.hub)
    async with camera.live():
        await page.goto(f"http://127.0.0.1:{served.port}/page")
        await page.evaluate(PLAY_WEBSOCKET, f"ws://127.0.0.1:{served.port}{served.path()}")
        assert await is_in_sync(page)


async def test_in_sync_by_low_latency_hls(page: Page, serve_hls: Any) -> None:
    camera = Clapping(Codec.AAC)
    player = await serve_hls(camera)
    async with camera.live():
        await page.goto(f"{player.client.base_url}/")
        await page.add_script_tag(path=HLS_JS)
        await page.evaluate(PLAY_HLS, player.url)
        assert await is_in_sync(page)
