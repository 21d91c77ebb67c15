"""Debian's Chromium as the viewer: it decodes, loses nothing, recovers, and is told the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright
from tests.stream.lossy_relay import lossy_relay
from tests.stream.scripted_stream import CAMERA, Camera, h264_pictures

from vms.common.clock import NS
from vms.common.stream_name import StreamName
from vms.media import Codec
from vms.stream import StreamService
from vms.wire.webrtc.srtp import SrtpProfile

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

Serve = Callable[..., Awaitable[StreamService]]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OFFER = """async () => {
  const connection = window.connection = new RTCPeerConnection();
  connection.addTransceiver('video', {direction: 'recvonly'});
  connection.addTransceiver('audio', {direction: 'recvonly'});
  const video = document.createElement('video');
  video.muted = video.autoplay = true;
  video.srcObject = new MediaStream();
  document.body.append(video);
  connection.ontrack = event => video.srcObject.addTrack(event.track);
  window.captureTimes = [];
  const shown = (now, metadata) => {
    if (metadata.captureTime !== undefined)
      window.captureTimes.push(performance.timeOrigin + metadata.captureTime);
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
  await connection.setLocalDescription(await connection.createOffer());
  return connection.localDescription.sdp;
}"""
ANSWER = "sdp => connection.setRemoteDescription({type: 'answer', sdp})"
STATISTICS = """async () => {
  const found = {};
  (await connection.getStats()).forEach(entry => {
    if (entry.type === 'inbound-rtp') found[entry.kind] = entry;
    if (entry.type === 'transport') found.transport = entry;
  });
  return found;
}"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        await page.goto("about:blank")
        yield page
        await browser.close()


async def until(
    page: Page, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 20
) -> dict[str, Any]:
    """Poll the browser's statistics until they meet the condition."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = await page.evaluate(STATISTICS)
            if condition(found):
                return found
            await asyncio.sleep(0.1)


def assert_all_decoded(video: dict[str, Any]) -> None:
    """Whatever came was decoded, but for a few that wait, and those that a busy machine was too late to show."""
    assert video["framesDecoded"] + video["framesDropped"] + 10 >= video["framesReceived"]


def decoded(count: int) -> Callable[[dict[str, Any]], bool]:
    return lambda found: found.get("video", {}).get("framesDecoded", 0) >= count


@pytest.mark.parametrize("profile", list(SrtpProfile), ids=lambda profile: profile.name)
async def test_chromium_decodes_every_picture_and_loses_nothing(
    profile: SrtpProfile, page: Page, serve: Serve
) -> None:
    camera = Camera(h264_pictures(50, profile="high", width=1280), audio=Codec.PCMU)
    preferred = list(SrtpProfile) if profile is SrtpProfile.AEAD_AES_128_GCM else [profile]
    service = await serve(camera, profiles=preferred)
    begun_ns = camera.clock.wall_ns()
    async with camera.live():
        answer = await service.offer(CAMERA, await page.evaluate(OFFER))
        await page.evaluate(ANSWER, answer.sdp)
        found = await until(page, decoded(75))
        video = found["video"]
        assert video["packetsLost"] == 0
        assert_all_decoded(video)
        assert video["pliCount"] == 0
        assert video["frameWidth"] == 1280
        assert found["audio"]["packetsLost"] == 0
        assert found["audio"]["packetsReceived"] > 50
        expected = {"AEAD_AES_128_GCM": "AEAD_AES_128_GCM", "AES128_CM_SHA1_80": "AES128_CM_HMAC_SHA1_80"}
        assert found["transport"]["srtpCipher"] == f"SRTP_{expected[profile.name]}"
        await page.wait_for_function("captureTimes.length > 0", timeout=30_000)
        captured_ns = await page.evaluate("captureTimes.at(-1)") * 1_000_000
        assert begun_ns - NS // 2 < captured_ns < camera.clock.wall_ns() + NS // 2


async def test_chromium_is_told_the_end_of_its_session(page: Page, serve: Serve) -> None:
    camera = Camera()
    service = await serve(camera)
    async with camera.live():
        answer = await service.offer(CAMERA, await page.evaluate(OFFER))
        await page.evaluate(ANSWER, answer.sdp)
        await until(page, decoded(10))
        await service.end(answer.session_id)
        await until(page, lambda found: found["transport"]["dtlsState"] == "closed")
        assert service.viewers(CAMERA) == 0


async def test_chromium_changes_to_the_other_stream_and_back_without_a_break(
    page: Page, serve: Serve
) -> None:
    camera, sub = Camera(h264_pictures(50, width=640)), Camera(h264_pictures(50, width=320))
    service = await serve(camera, sub)
    async with camera.live(), sub.live():
        answer = await service.offer(CAMERA, await page.evaluate(OFFER), StreamName.SUB)
        await page.evaluate(ANSWER, answer.sdp)
        await until(page, decoded(20))
        for stream, width in ((StreamName.MAIN, 640), (StreamName.SUB, 320)):
            await service.select(answer.session_id, stream)
            found = await until(page, lambda found, width=width: found["video"]["frameWidth"] == width)
            found = await until(page, decoded(found["video"]["framesDecoded"] + 20))
        video = found["video"]
        assert (video["packetsLost"], video["pliCount"], video["nackCount"]) == (0, 0, 0)
        assert_all_decoded(video)
        async with asyncio.timeout(20):
            while (stats := service.session_stats(answer.session_id)).round_trip_s is None:
                await asyncio.sleep(0.1)
        assert stats.switches == 2
        assert stats.fraction_lost == 0
        assert stats.jitter_s is not None


async def test_chromium_plays_on_in_its_session_when_the_camera_changes_its_resolution(
    page: Page, serve: Serve
) -> None:
    camera = Camera(h264_pictures(50))
    service = await serve(camera)
    async with camera.live():
        answer = await service.offer(CAMERA, await page.evaluate(OFFER))
        await page.evaluate(ANSWER, answer.sdp)
        await until(page, decoded(20))
        camera.show(h264_pictures(50, profile="high", width=640))
        found = await until(page, lambda found: found["video"]["frameWidth"] == 640)
        found = await until(page, decoded(found["video"]["framesDecoded"] + 20))
        video = found["video"]
        assert (video["packetsLost"], video["pliCount"]) == (0, 0)
        assert_all_decoded(video)
        assert service.viewers(CAMERA) == 1


async def test_chromium_gets_one_percent_of_lost_packets_back_without_a_lost_picture(
    page: Page, serve: Serve
) -> None:
    camera = Camera(h264_pictures(100, gop=100))
    service = await serve(camera)
    lost: set[int] = set()

    def drop(number: int) -> bool:
        if number % 37 == 0 and number not in lost:
            lost.add(number)
            return True
        return False

    async with camera.live():
        answer = await service.offer(CAMERA, await page.evaluate(OFFER))
        async with lossy_relay(answer.sdp, drop) as (relay, sdp):
            await page.evaluate(ANSWER, sdp)
            found = await until(page, lambda found: decoded(100)(found) and len(relay.dropped) >= 5)
            video = found["video"]
            # Most of them without a new key picture, which a busy browser asks for now and then.
            assert video["pliCount"] <= len(relay.dropped) // 2
            assert_all_decoded(video)
            assert video["nackCount"] >= len(relay.dropped) - 1
            assert video["retransmittedPacketsReceived"] >= len(relay.dropped) - 1
            (watching,) = service._viewers.values()
            assert watching.counters.resent >= len(relay.dropped) - 1


async def test_chromium_goes_on_from_the_group_of_pictures_when_a_packet_stays_lost(
    page: Page, serve: Serve
) -> None:
    camera = Camera(h264_pictures(500, gop=500))
    service = await serve(camera)
    camera.push()
    doomed: set[int] = set()

    def drop(number: int) -> bool:
        return number in doomed

    async with camera.live():
        answer = await service.offer(CAMERA, await page.evaluate(OFFER))
        async with lossy_relay(answer.sdp, drop) as (_, sdp):
            await page.evaluate(ANSWER, sdp)
            await until(page, decoded(15))
            (watching,) = service._viewers.values()
            assert watching._video is not None
            assert watching._video._next is not None
            watching._video.rtx = None  # sent again as it was, it is lost again
            camera.pushed = 0  # a young group of pictures, however long the browser took to begin
            while camera.pushed < 10:
                await asyncio.sleep(0.01)
            doomed.add(watching._video._next & 0xFFFF)
            await until(page, lambda found: found["video"]["pliCount"] >= 1)
            assert camera.pushed < 100, "the request came after the group of pictures outgrew a burst"
            stopped = (await page.evaluate(STATISTICS))["video"]["framesDecoded"]
            found = await until(page, decoded(stopped + 20))
            assert watching.counters.key_requests_answered >= 1
            assert found["video"]["keyFramesDecoded"] >= 3, "the first, the young one, and that again"
            assert camera.pushed < 500, "the next key picture of the camera came by itself"
