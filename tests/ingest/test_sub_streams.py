"""Sub streams: pulled while somebody wants them, never in the way of the main stream."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from vms.common.camera import Camera
from vms.common.clock import Clock, SystemClock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.ingest import CameraState, IngestService, sub_streams
from vms.ingest.errors import SourceUnauthorized
from vms.ingest.feed import Feed
from vms.media import Codec, Track

PORCH = CameraId("porch")
MAIN_URL, SUB_URL = "rtsp://192.0.2.1/main", "rtsp://192.0.2.1/sub"
SIZES = {MAIN_URL: (1920, 1080), SUB_URL: (640, 360)}


def camera(sub_source: str | None = SUB_URL) -> Camera:
    return Camera.model_validate(
        {"id": "porch", "name": "Porch", "source": MAIN_URL, "sub_source": sub_source}
    )


class Cameras:
    """Whatever address is pulled delivers pictures, unless it is in `broken` or `silent`. pulled: addresses, in order."""

    def __init__(self) -> None:
        self.pulled: list[str] = []
        self.playing: set[str] = set()
        self.broken: set[str] = set()
        self.silent: set[str] = set()
        self.keys_asked: list[str] = []

    def open(self, camera: Camera, clock: Clock) -> "_Pulled":
        return _Pulled(self, camera.source.reveal(), clock)


class _Pulled:
    def __init__(self, cameras: Cameras, url: str, clock: Clock) -> None:
        self._cameras, self._url, self._clock = cameras, url, clock

    async def run(self, feed: Feed) -> None:
        cameras, url = self._cameras, self._url
        cameras.pulled.append(url)
        if url in cameras.broken:
            raise SourceUnauthorized("porch: wrong password")
        if url in cameras.silent:
            await asyncio.Event().wait()
        width, height = SIZES.get(url, (320, 240))
        sets = (width.to_bytes(2), b"\x68")
        track = feed.add(Track(1, Codec.H264, 90_000, sets, width=width, height=height))
        cameras.playing.add(url)
        feed.request_key = lambda: cameras.keys_asked.append(url)
        feed.play()
        try:
            for number in range(1 << 30):
                key = number == 0
                data = b"\0\0\0\1" + (b"\x65" if key else b"\x41")
                track.access_unit(data, number * 900, key, False, self._clock.monotonic_ns())
                await asyncio.sleep(0.01)
        finally:
            cameras.playing.discard(url)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch) -> Cameras:
    monkeypatch.setattr(sub_streams, "LINGER_S", 0.05)
    return Cameras()


@pytest.fixture
async def ingest(cameras: Cameras) -> AsyncIterator[IngestService]:
    service = IngestService(SystemClock(), cameras.open)
    await service.put(camera())
    await until(lambda: service.hub(PORCH).units)
    yield service
    await service.stop()


async def test_a_sub_stream_is_pulled_with_its_first_lease_and_rests_after_its_last(
    ingest: IngestService, cameras: Cameras
) -> None:
    assert cameras.pulled == [MAIN_URL]
    status = ingest.sub_status(PORCH)
    assert status is not None and status.state is CameraState.STOPPED
    first, second = (ingest.lease(PORCH, StreamName.SUB) for _ in range(2))
    assert first.hub is second.hub is not ingest.hub(PORCH)
    await first.ready(5)
    assert first.hub.tracks[0].width == 640
    first.release()
    first.release()
    assert cameras.playing == {MAIN_URL, SUB_URL}
    second.release()
    await until(lambda: cameras.playing == {MAIN_URL})
    assert cameras.pulled == [MAIN_URL, SUB_URL]
    status = ingest.sub_status(PORCH)
    assert status is not None and (status.state, status.width) == (CameraState.STOPPED, 640), (
        "it is remembered"
    )


async def test_one_who_comes_back_soon_finds_it_running_and_one_who_comes_later_has_it_pulled_anew(
    ingest: IngestService, cameras: Cameras
) -> None:
    lease = ingest.lease(PORCH, StreamName.SUB)
    await lease.ready(5)
    lease.release()
    lease = ingest.lease(PORCH, StreamName.SUB)
    await lease.ready(5)
    assert cameras.pulled.count(SUB_URL) == 1
    lease.release()
    await until(lambda: SUB_URL not in cameras.playing)
    later = ingest.lease(PORCH, StreamName.SUB)
    await later.ready(5)
    assert later.hub is lease.hub
    assert cameras.pulled.count(SUB_URL) == 2


async def test_a_sub_stream_that_fails_says_why_and_leaves_main_alone(
    ingest: IngestService, cameras: Cameras
) -> None:
    cameras.broken.add(SUB_URL)
    lease = ingest.lease(PORCH, StreamName.SUB)
    with pytest.raises(Unavailable, match="wrong password"):
        await lease.ready(60)  # it is told at once
    status = ingest.sub_status(PORCH)
    assert status is not None and (status.state, status.reason_code) == (CameraState.FAILED, "unauthorized")
    await until(lambda: ingest.status(PORCH).state is CameraState.LIVE)
    assert cameras.pulled.count(MAIN_URL) == 1


async def test_another_address_is_pulled_at_once_into_the_same_hub(
    ingest: IngestService, cameras: Cameras
) -> None:
    lease = ingest.lease(PORCH, StreamName.SUB)
    await lease.ready(5)
    await ingest.put(camera("rtsp://192.0.2.1/smaller"))
    await until(lambda: lease.hub.tracks[0].width == 320)
    assert cameras.playing == {MAIN_URL, "rtsp://192.0.2.1/smaller"}
    assert cameras.pulled.count(MAIN_URL) == 1


@pytest.mark.parametrize("how", ["taken away", "camera removed", "stopped"])
async def test_a_sub_stream_that_is_no_more_is_pulled_no_more(
    ingest: IngestService, cameras: Cameras, how: str
) -> None:
    lease = ingest.lease(PORCH, StreamName.SUB)
    await lease.ready(5)
    endings: dict[str, Callable[[], Awaitable[object]]] = {
        "taken away": lambda: ingest.put(camera(None)),
        "camera removed": lambda: ingest.remove(PORCH),
        "stopped": ingest.stop,
    }
    await endings[how]()
    assert SUB_URL not in cameras.playing
    assert lease.hub.lasting_gap is not None
    lease.release()
    with pytest.raises(NotFound):
        ingest.lease(PORCH, StreamName.SUB)


async def test_one_who_comes_back_at_the_last_moment_does_not_have_it_pulled_anew(
    ingest: IngestService, cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = ingest.lease(PORCH, StreamName.SUB)
    await lease.ready(5)
    idle = asyncio.Event()
    unwanted = sub_streams._Sub._unwanted
    monkeypatch.setattr(
        sub_streams._Sub, "_unwanted", lambda sub: (unwanted(sub), idle.set(), taken.append(come()))
    )
    taken: list[sub_streams.SubLease] = []

    def come() -> sub_streams.SubLease:
        lease = ingest.lease(PORCH, StreamName.SUB)
        assert isinstance(lease, sub_streams.SubLease)
        return lease

    lease.release()
    await idle.wait()
    units = taken[0].hub.units
    await until(lambda: taken[0].hub.units > units + 5)
    assert cameras.pulled.count(SUB_URL) == 1
    assert taken[0].hub.gaps == 0


async def test_who_waits_for_a_sub_stream_that_is_taken_away_is_told_so_at_once(
    ingest: IngestService, cameras: Cameras
) -> None:
    cameras.silent.add(SUB_URL)
    lease = ingest.lease(PORCH, StreamName.SUB)
    waiting = asyncio.create_task(lease.ready(60))
    await until(lambda: SUB_URL in cameras.pulled)
    await ingest.put(camera(None))
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable, match="removed"):
            await waiting


async def test_streams_that_a_camera_does_not_have_are_not_found(ingest: IngestService) -> None:
    await ingest.put(camera(None))
    for stream in (StreamName.SUB, StreamName.COMPAT):
        with pytest.raises(NotFound):
            ingest.lease(PORCH, stream)
    assert ingest.sub_status(PORCH) is None


async def test_a_wish_for_a_key_picture_goes_to_the_stream_that_it_is_of(
    ingest: IngestService, cameras: Cameras
) -> None:
    lease = ingest.lease(PORCH, StreamName.SUB)
    await lease.ready(5)
    lease.hub.request_key()
    assert cameras.keys_asked == [SUB_URL]
    ingest.hub(PORCH).request_key()
    assert cameras.keys_asked == [SUB_URL, MAIN_URL]
    asked = next(family for family in ingest.metrics() if family.name == "vms_camera_key_requests")
    assert asked.samples == [(("porch",), 1.0)]
