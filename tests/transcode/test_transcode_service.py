"""Who is transcoded, how many at once, and when it ends."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from tests.transcode.transcode_material import filmed, heard

from vms.common.clock import NS, ManualClock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.media import AccessUnit, Codec, Gap, GapReason, Hub
from vms.transcode import TranscodeOptions, TranscodeService
from vms.transcode.service import IDLE_NS, TooManyTranscodes

ONE, TWO, THREE = CameraId("one"), CameraId("two"), CameraId("three")


class Lease:
    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.held = True

    async def ready(self, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            await self.hub.live()

    def release(self) -> None:
        self.held = False


class Viewer:
    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.gaps: list[Gap] = []

    def push(self, unit: AccessUnit) -> None:
        self.units.append(unit)

    def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)


class Site:
    """Cameras, and a service that transcodes two of them at once."""

    def __init__(self) -> None:
        self.clock = ManualClock(monotonic_ns=NS)  # nothing filmed is old for want of a processor
        self.hubs = {camera: Hub(camera) for camera in (ONE, TWO, THREE)}
        self.leases: list[Lease] = []
        self.service = TranscodeService(self._lease, TranscodeOptions(most=2), self.clock)

    def _lease(self, camera_id: CameraId) -> Lease:
        if camera_id not in self.hubs:
            raise NotFound(f"no camera {camera_id}")
        self.leases.append(Lease(self.hubs[camera_id]))
        return self.leases[-1]

    def film(self, camera_id: CameraId, units: list[AccessUnit]) -> None:
        hub = self.hubs[camera_id]
        if not hub.tracks:
            hub.announce([units[0].track])
        for unit in units:
            hub.push(unit._replace(arrival_ns=self.clock.monotonic_ns()))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.service.start()
    yield site
    await site.service.stop()
    assert not any(lease.held for lease in site.leases)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_however_many_watch_a_camera_is_transcoded_once(site: Site) -> None:
    assert site.service.lease(ONE).hub is site.service.lease(ONE).hub
    assert len(site.leases) == 1


async def test_viewers_get_h264_with_the_tracks_announced_before(site: Site) -> None:
    viewer = Viewer()
    hub = site.service.lease(ONE).hub
    hub.attach(viewer)

    site.film(ONE, filmed(Codec.H265))
    await until(lambda: len(viewer.units) > 10)

    assert hub.tracks == (viewer.units[0].track,)
    assert hub.tracks[0].codec is Codec.H264
    assert viewer.units[0].key


async def test_sound_is_announced_with_the_first_picture_so_that_nobody_has_to_begin_anew(site: Site) -> None:
    announced: list[tuple[Codec, ...]] = []
    hub = site.service.lease(ONE).hub
    announce = hub.announce
    hub.announce = lambda tracks: (announced.append(tuple(t.codec for t in tracks)), announce(tracks))[1]  # type: ignore[method-assign]
    viewer = Viewer()
    hub.attach(viewer)
    units, sound = filmed(Codec.H264, 20, b_frames=0), heard(0.5)
    site.hubs[ONE].announce([units[0].track, sound[0].track])

    site.film(ONE, [*units[:10], *sound, *units[10:]])

    await until(lambda: len([u for u in viewer.units if u.track.codec is Codec.H264]) == 20)
    assert announced == [(Codec.H264, Codec.OPUS)]


async def test_a_viewer_who_needs_a_key_picture_gets_one_made(site: Site) -> None:
    viewer = Viewer()
    hub = site.service.lease(ONE).hub
    hub.attach(viewer)
    units = filmed(Codec.H264, 30, b_frames=0)
    site.film(ONE, units[:10])
    await until(lambda: len(viewer.units) == 10)

    hub.request_key()
    site.film(ONE, units[10:20])

    await until(lambda: len(viewer.units) == 20)
    assert [at for at, unit in enumerate(viewer.units) if unit.key] == [0, 10]


async def test_what_the_camera_lost_its_viewers_are_told(site: Site) -> None:
    viewer = Viewer()
    site.service.lease(ONE).hub.attach(viewer)
    site.film(ONE, filmed(Codec.H264, b_frames=0))
    await until(lambda: viewer.units)
    gap = Gap(5, None, GapReason.CAMERA_LOST, "unplugged")

    site.hubs[ONE].gap(gap)

    await until(lambda: gap in viewer.gaps)


async def test_no_more_than_may_be_are_transcoded_and_the_refusal_says_what_to_do(site: Site) -> None:
    for camera in (ONE, TWO):
        site.service.lease(camera)

    with pytest.raises(TooManyTranscodes, match=r"transcode\.streams"):
        site.service.lease(THREE)

    assert site.service.refused == 1
    assert set(site.service.cameras) == {ONE, TWO}


async def test_one_that_nobody_takes_any_more_makes_room(site: Site) -> None:
    site.service.lease(ONE)
    site.service.lease(TWO).release()

    site.service.lease(THREE)

    assert set(site.service.cameras) == {ONE, THREE}


async def test_it_ends_a_while_after_the_last_viewer(site: Site) -> None:
    lease = site.service.lease(ONE)
    site.clock.advance(2 * IDLE_NS / NS)
    site.service._sweep()
    assert site.service.cameras == (ONE,)

    lease.release()
    lease.release()
    site.service._sweep()
    assert site.service.cameras == (ONE,)
    site.clock.advance(IDLE_NS / NS + 1)
    site.service._sweep()

    assert site.service.cameras == ()
    await until(lambda: not site.leases[0].held)


async def test_an_unknown_camera_is_refused_and_takes_no_place(site: Site) -> None:
    with pytest.raises(NotFound):
        site.service.lease(CameraId("nobody"))

    assert site.service.cameras == ()


async def test_pictures_that_are_old_already_are_left_out_until_it_has_caught_up(site: Site) -> None:
    viewer = Viewer()
    site.service.lease(ONE).hub.attach(viewer)
    units = filmed(Codec.H264, b_frames=0)
    hub = site.hubs[ONE]
    hub.announce([units[0].track])
    for unit in units[:10]:
        hub.push(unit._replace(arrival_ns=site.clock.monotonic_ns() - NS))

    site.film(ONE, units[10:18])

    await until(lambda: len(viewer.units) == 8)
    counts = {family.name: family.samples[0][1] for family in site.service.metrics()}
    assert counts["vms_transcode_skipped"] == 10
    assert counts["vms_transcode_pictures"] == 8


async def test_waiting_for_a_stream_that_never_comes_says_why(site: Site) -> None:
    with pytest.raises(Unavailable, match="no transcoded picture yet"):
        await site.service.lease(ONE).ready(0.05)
