"""Debian's Chromium as the publisher: its fake camera and microphone arrive whole, in sync, and through losses."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, async_playwright
from tests.ingest.publishing import CAMERA, Place
from tests.stream.lossy_relay import Address, LossyRelay

from vms.common.clock import NS
from vms.ingest import CameraState
from vms.media import Codec, GapReason

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium")]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
OFFER = """async ({width, height}) => {
  const connection = window.connection = new RTCPeerConnection();
  const media = await navigator.mediaDevices.getUserMedia(
    {video: {width, height, frameRate: 25}, audio: true});
  for (const track of media.getTracks())
    window[track.kind + 'Sender'] = connection.addTransceiver(track, {direction: 'sendonly'}).sender;
  await connection.setLocalDescription(await connection.createOffer());
  return connection.localDescription.sdp;
}"""
ANSWER = "sdp => connection.setRemoteDescription({type: 'answer', sdp})"
HALVE = """async () => {
  const parameters = videoSender.getParameters();
  parameters.encodings[0].scaleResolutionDownBy = 2;
  await videoSender.setParameters(parameters);
}"""
SENT = """async () => {
  const found = {available: 0};
  (await connection.getStats()).forEach(entry => {
    if (entry.type === 'outbound-rtp') found[entry.kind] = entry;
    found.available = Math.max(found.available, entry.availableOutgoingBitrate ?? 0);
  });
  return found;
}"""
SIZE = {"width": 640, "height": 480}


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page()
        await page.route("http://localhost/", lambda route: route.fulfill(body="<html></html>"))
        await page.goto("http://localhost/")
        yield page
        await browser.close()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    await place.open()
    yield place
    await place.close()


async def test_chromium_publishes_picture_and_sound_in_sync_at_a_useful_bit_rate(
    page: Page, place: Place
) -> None:
    answer = await place.publishers.offer(CAMERA, await page.evaluate(OFFER, SIZE))
    await page.evaluate(ANSWER, answer.sdp)
    await place.until(lambda: len(place.kept.pictures()) >= 75 and len(place.kept.sounds()) >= 150)
    pictures, sounds = place.kept.pictures(), place.kept.sounds()
    assert pictures[0].key
    assert sounds[0].track.codec is Codec.OPUS
    assert place.kept.gaps == []
    last, heard = pictures[-1], sounds[-1]
    assert abs(last.capture_ns - place.clock.wall_ns()) < 2 * NS
    assert abs(last.capture_ns - heard.capture_ns) < NS
    await place.until(lambda: abs(skew_ns(place)) < NS // 25)  # sender reports of sound come every 5 s
    async with asyncio.timeout(20):
        while (sent := await page.evaluate(SENT))["available"] < 2_000_000:  # it begins with 300 kb/s
            await asyncio.sleep(0.1)
    assert sent["video"]["retransmittedPacketsSent"] <= 5


def skew_ns(place: Place) -> int:
    """How far the timeline has the newest picture later than the newest sound, against their capture times."""
    picture, sound = place.kept.pictures()[-1], place.kept.sounds()[-1]
    shown_ns = picture.pts * NS // picture.track.clock_rate - picture.capture_ns
    return shown_ns - (sound.pts * NS // sound.track.clock_rate - sound.capture_ns)


async def test_a_change_of_resolution_makes_a_new_version_of_the_track(page: Page, place: Place) -> None:
    answer = await place.publishers.offer(CAMERA, await page.evaluate(OFFER, SIZE))
    await page.evaluate(ANSWER, answer.sdp)
    await place.until(lambda: place.kept.pictures() and place.kept.pictures()[-1].track.width == 640)
    await page.evaluate(HALVE)
    await place.until(lambda: place.kept.pictures()[-1].track.width == 320)
    changed = next(unit for unit in place.kept.pictures() if unit.track.width == 320)
    assert changed.key
    assert changed.track.version > place.kept.pictures()[0].track.version
    await place.until(lambda: place.ingest.status(CAMERA).state is CameraState.LIVE)
    assert place.kept.gaps == []


async def test_a_consumer_that_needs_a_key_picture_gets_one_from_chromium(page: Page, place: Place) -> None:
    answer = await place.publishers.offer(CAMERA, await page.evaluate(OFFER, SIZE))
    await page.evaluate(ANSWER, answer.sdp)
    await place.until(lambda: len(place.kept.pictures()) >= 40)
    before = len(place.kept.pictures())
    assert place.hub is not None
    place.hub.request_key()
    await place.until(lambda: any(unit.key for unit in place.kept.pictures()[before:]))


class _Uplink(LossyRelay):
    """Loses what the publisher sends; `drop` is asked for each video packet. repairs: False loses those sent again."""

    repairs = True
    repair_type: int | None = None

    def datagram_received(self, data: bytes, source: Address) -> None:
        media = 128 <= data[0] <= 191 and not 192 <= data[1] <= 223
        if media and not self.repairs and data[1] & 0x7F == self.repair_type:
            return
        if 128 <= data[0] <= 191 and data[1] & 0x7F == self.payload_type:
            number = int.from_bytes(data[2:4], "big")
            if self.drop(number):
                self.dropped.append(number)
                return
        super().datagram_received(data, source)


@asynccontextmanager
async def uplink(answer: str, every: int) -> AsyncIterator[tuple[_Uplink, str]]:
    """A relay that loses one video packet of `every`, and the answer with it as its only candidate."""
    host, port = re.findall(r"a=candidate:1 1 udp \d+ (\S+) (\d+) typ host", answer)[0]
    transport, relay = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Uplink((host, int(port)), lambda number: number % every == 0), local_addr=(host, 0)
    )
    relay.payload_type, relay.repair_type = map(int, re.findall(r"m=video \d+ \S+ (\d+) (\d+)", answer)[0])
    at = transport.get_extra_info("sockname")[1]
    others = re.sub(r"a=candidate:(?!1 )[^\r\n]*\r?\n", "", answer)
    try:
        yield relay, others.replace(f" {host} {port} typ", f" {host} {at} typ")
    finally:
        transport.close()
        for upstream in relay.upstream.values():
            upstream.close()


async def test_two_percent_of_lost_packets_are_sent_again_and_no_picture_is_lost(
    page: Page, place: Place
) -> None:
    answer = await place.publishers.offer(CAMERA, await page.evaluate(OFFER, SIZE))
    async with uplink(answer.sdp, 50) as (relay, sdp):
        await page.evaluate(ANSWER, sdp)
        await place.until(lambda: len(relay.dropped) >= 10 and len(place.kept.pictures()) >= 100)
        lost = len(relay.dropped)
        (publication,) = place.publishers._publications.values()
        await place.until(lambda: publication.counters.packets_repaired >= lost)
        assert publication.counters.packets_lost == 0
        assert publication.counters.pictures_broken == 0
        assert place.kept.gaps == []
        assert not any(unit.discontinuity for unit in place.kept.pictures()[1:])


async def test_what_is_lost_for_good_is_a_gap_that_a_key_picture_ends(page: Page, place: Place) -> None:
    answer = await place.publishers.offer(CAMERA, await page.evaluate(OFFER, SIZE))
    async with uplink(answer.sdp, 1 << 16) as (relay, sdp):
        relay.repairs = False
        await page.evaluate(ANSWER, sdp)
        await place.until(lambda: len(place.kept.pictures()) >= 25)
        before = len(place.kept.pictures())
        relay.drop = lambda _: not relay.dropped
        await place.until(lambda: place.kept.gaps)
        await place.until(lambda: any(unit.key for unit in place.kept.pictures()[before:]))
        assert {gap.reason for gap in place.kept.gaps} == {GapReason.PACKET_LOSS}
        (publication,) = place.publishers._publications.values()
        assert publication.counters.packets_lost == 1
        await place.until(lambda: len(place.kept.pictures()) >= before + 25)
        assert place.ingest.status(CAMERA).state is CameraState.LIVE
