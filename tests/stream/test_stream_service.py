"""The service's answers and refusals, and what it leaves behind."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from bench._viewer import SinkViewer
from tests.stream.scripted_stream import CAMERA, Camera, Watcher

from vms.common.errors import Conflict, InvalidInput, NotFound
from vms.common.ids import CameraId
from vms.format.codecs import audio_track
from vms.media import Codec, Hub, Track
from vms.stream import (
    NotViewable,
    NotViewableReason,
    OfferInvalid,
    StreamService,
    own_hubs,
    viewability,
)
from vms.telemetry.metrics import prometheus_text, read

Serve = Callable[..., Awaitable[StreamService]]
Watch = Callable[..., Awaitable[Watcher]]


@pytest.fixture
def offer() -> str:
    viewer = SinkViewer()
    text = viewer.offer(audio=True)
    viewer.close()
    return text


async def test_an_unknown_camera_and_an_unknown_session_are_not_found(
    camera: Camera, serve: Serve, offer: str
) -> None:
    service = await serve(camera)
    with pytest.raises(NotFound):
        await service.offer(CameraId("attic"), offer)
    with pytest.raises(NotFound):
        await service.end("no-such-session")
    service.end_camera(CameraId("attic"))


async def test_a_sweep_that_fails_is_not_the_last_one(
    camera: Camera, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vms.stream.webrtc.service.SWEEP_S", 0.001)
    service = await serve(camera)
    swept, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)

    def fail_once() -> None:
        service.endpoint.sweep = swept.set  # type: ignore[method-assign]
        raise RuntimeError("a bug")

    service.endpoint.sweep = fail_once  # type: ignore[method-assign]
    await asyncio.wait_for(swept.wait(), 20)


@pytest.mark.parametrize(
    ("tracks", "reason", "says"),
    [
        ((), NotViewableReason.NOT_LIVE, "nothing has come"),
        (
            (Track(1, Codec.H265, 90_000),),
            NotViewableReason.CODEC,
            r"H\.265",
        ),
        ((audio_track(1, Codec.AAC, sample_rate=16_000, channels=1),), NotViewableReason.CODEC, "no video"),
        ((Track(1, Codec.H264, 90_000, max_reorder=2),), NotViewableReason.B_FRAMES, "B-frames"),
    ],
)
async def test_a_stream_that_browsers_cannot_show_is_refused_with_the_reason(
    tracks: tuple[Track, ...], reason: NotViewableReason, says: str, camera: Camera, serve: Serve, offer: str
) -> None:
    service = await serve(camera)
    camera.hub.announce(tracks)
    with pytest.raises(NotViewable, match=says) as refused:
        await service.offer(CAMERA, offer)
    assert refused.value.reason is reason
    assert isinstance(refused.value, Conflict)
    found = viewability(camera.hub)
    assert (found.playable, found.reason) == (False, reason)


def test_pictures_out_of_order_are_noticed_where_the_parameter_sets_say_nothing() -> None:
    camera = Camera()
    assert viewability(camera.hub).playable
    unit = camera.push()
    camera.hub.push(unit._replace(key=False, pts=unit.pts + 7200, dts=unit.dts + 3600))
    assert viewability(camera.hub).reason is NotViewableReason.B_FRAMES


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("v=0", "hello", "cannot be answered"),
        ("a=ice-pwd:", "a=ice-pwt:", "ice-pwd"),
        ("packetization-mode=1", "packetization-mode=0", "packetization-mode=1"),
        ("a=recvonly", "a=sendonly", "recvonly"),
        ("H264", "VP8", r"H\.264"),
    ],
)
async def test_an_offer_that_cannot_be_answered_is_refused_and_leaves_nothing(
    old: str, new: str, says: str, camera: Camera, serve: Serve, offer: str
) -> None:
    service = await serve(camera)
    with pytest.raises(OfferInvalid, match=says) as refused:
        await service.offer(CAMERA, offer.replace(old, new))
    assert isinstance(refused.value, InvalidInput)
    assert service.endpoint.peers == {}
    assert list(service._egresses) == []


async def test_audio_of_the_camera_is_offered_only_where_it_needs_no_conversion(
    serve: Serve, offer: str
) -> None:
    for codec, answered in ((Codec.PCMU, True), (Codec.PCMA, False), (None, False)):
        service = await serve(Camera(audio=codec))
        answer = await service.offer(CAMERA, offer)
        assert ("m=audio 9" in answer.sdp) is answered
        assert ("m=audio 0" in answer.sdp) is not answered


async def test_sessions_that_only_wait_do_not_count_as_viewers_and_hold_no_hub(
    camera: Camera, serve: Serve, offer: str
) -> None:
    service = await serve(camera)
    first, second = await service.offer(CAMERA, offer), await service.offer(CAMERA, offer)
    assert first.session_id != second.session_id
    assert service.viewers(CAMERA) == 0
    assert camera.hub.sinks == ()
    await service.end(first.session_id)
    service.end_camera(CAMERA)
    assert list(service._egresses) == []
    with pytest.raises(NotFound):
        await service.end(second.session_id)


async def test_a_camera_whose_sound_changes_codec_sends_its_viewers_away_to_ask_again(
    serve: Serve, watch: Watch
) -> None:
    camera = Camera(audio=Codec.PCMU)
    service = await serve(camera)
    camera.push()
    await watch(service, audio=True)
    camera.audio = audio_track(2, Codec.PCMA, sample_rate=8000, channels=1)
    camera.announce()
    camera.push()
    assert service.viewers(CAMERA) == 0
    again = await watch(service, audio=True)
    for _ in range(3):
        camera.push()
    await again.until(lambda: len(again.pictures()) >= 3)
    assert again.audio == []  # this viewer takes PCMU alone


async def test_two_cameras_share_the_port_and_nothing_else(watch: Watch, serve: Serve, offer: str) -> None:
    camera = Camera()
    service = await serve(camera)
    other = Hub("other")
    service._egresses.lease = own_hubs({CAMERA: camera.hub, CameraId("other"): other}.__getitem__)
    camera.push()
    watcher = await watch(service)
    with pytest.raises(NotViewable):
        await service.offer(CameraId("other"), offer)
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 2)


async def test_counters_of_viewers_that_left_stay_in_the_metrics(
    camera: Camera, serve: Serve, watch: Watch
) -> None:
    service = await serve(camera)
    camera.push()
    watcher = await watch(service)
    camera.push()
    await watcher.until(lambda: len(watcher.pictures()) == 2)
    text = prometheus_text([read("stream", "stream-0", [service])]).decode()
    assert 'vms_stream_viewers{camera="porch",role="stream",worker="stream-0"} 1.0' in text
    assert 'vms_stream_frames_total{camera="porch",role="stream",worker="stream-0"} 2.0' in text
    await service.end(watcher.session_id)
    text = prometheus_text([read("stream", "stream-0", [service])]).decode()
    assert 'vms_stream_frames_total{camera="porch",role="stream",worker="stream-0"} 2.0' in text
    assert 'vms_stream_sessions_ended_total{reason="ended",role="stream",worker="stream-0"} 1.0' in text


async def test_stopping_twice_is_harmless_and_frees_the_port(camera: Camera, serve: Serve) -> None:
    service = await serve(camera)
    await service.stop()
    await service.stop()
    assert service.endpoint.ports == {}
