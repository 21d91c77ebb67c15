"""aiortc, a WebRTC implementation that is not ours, as the publisher."""

from collections.abc import AsyncIterator

import pytest
from tests.ingest.publishing import CAMERA, AiortcPublisher, Place

from vms.common.errors import NotFound
from vms.ingest import CameraState
from vms.ingest.errors import OfferRefused, PublisherPresent
from vms.media import Codec, GapReason

pytestmark = pytest.mark.e2e


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    await place.open()
    yield place
    await place.close()


@pytest.fixture
async def publisher() -> AsyncIterator[AiortcPublisher]:
    publisher = AiortcPublisher()
    yield publisher
    await publisher.close()


async def test_a_camera_waits_for_a_publisher_is_live_with_one_and_waits_again_for_the_next(
    place: Place, publisher: AiortcPublisher
) -> None:
    await place.until_waiting()
    assert "WHIP" in (place.ingest.status(CAMERA).reason or "")
    answer = await place.publishers.offer(CAMERA, await publisher.offer())
    await publisher.accept(answer.sdp)
    await place.until(lambda: len(place.kept.pictures()) >= 30)
    first = place.kept.pictures()[0]
    assert first.key
    assert first.track.codec is Codec.H264
    assert (first.track.width, first.track.height) == (320, 240)
    await place.until(lambda: place.ingest.status(CAMERA).state is CameraState.LIVE)
    assert place.kept.gaps == []

    await place.publishers.end(answer.session_id)
    await place.until(lambda: place.kept.gaps)
    (gap,) = place.kept.gaps
    assert gap.reason is GapReason.CAMERA_LOST
    assert gap.end_ns is None
    with pytest.raises(NotFound):
        await place.publishers.session(answer.session_id)
    await place.until_waiting()

    second = AiortcPublisher()
    try:
        answer = await place.publishers.offer(CAMERA, await second.offer())
        await second.accept(answer.sdp)
        before = len(place.kept.units)
        await place.until(lambda: len(place.kept.units) >= before + 10)
        assert place.kept.units[before].discontinuity
        assert place.kept.units[before].dts > place.kept.units[before - 1].dts
    finally:
        await second.close()


async def test_a_second_publisher_is_refused_unless_it_wants_to_take_the_place(
    place: Place, publisher: AiortcPublisher
) -> None:
    answer = await place.publishers.offer(CAMERA, await publisher.offer())
    await publisher.accept(answer.sdp)
    await place.until(lambda: len(place.kept.units) >= 5)
    second = AiortcPublisher()
    try:
        with pytest.raises(PublisherPresent, match="replace=true"):
            await place.publishers.offer(CAMERA, await second.offer())
        taken = await place.publishers.offer(CAMERA, await second.offer(), take_over=True)
        await second.accept(taken.sdp)
        before = len(place.kept.units)
        await place.until(lambda: len(place.kept.units) >= before + 10)
        with pytest.raises(NotFound):
            await place.publishers.session(answer.session_id)
    finally:
        await second.close()


async def test_an_offer_without_video_that_we_take_is_refused_and_leaves_the_place_free(
    place: Place, publisher: AiortcPublisher
) -> None:
    offer = await publisher.offer()
    with pytest.raises(OfferRefused, match=r"H\.264"):
        await place.publishers.offer(CAMERA, offer.replace("H264", "AV1"))
    with pytest.raises(OfferRefused):
        await place.publishers.offer(CAMERA, "v=0")
    answer = await place.publishers.offer(CAMERA, offer)
    await publisher.accept(answer.sdp)
    await place.until(lambda: len(place.kept.units) >= 5)
