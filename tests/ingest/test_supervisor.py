"""One camera's supervisor over a scripted source: connect, fail, return."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from vms.common.backoff import Backoff
from vms.common.camera import Camera
from vms.common.clock import NS, Clock, ManualClock
from vms.common.ids import CameraId
from vms.common.source_url import SourceUrl
from vms.ingest.errors import SourceUnauthorized, SourceUnreachable
from vms.ingest.feed import Feed
from vms.ingest.service import IngestService
from vms.ingest.status import CameraState
from vms.ingest.supervisor import CameraSupervisor
from vms.ingest.track_feed import TrackFeed
from vms.media import AccessUnit, Codec, Gap, GapReason, Hub, Track

CAMERA = Camera(id=CameraId("porch"), name="Porch", source=SourceUrl("rtsp://192.0.2.1/"))
TRACK = Track(1, Codec.H264, 90_000, (b"\x67", b"\x68"), width=640, height=360)
SOUND = Track(2, Codec.PCMU, 8_000, sample_rate=8_000, channels=1)

Script = Callable[[Feed, Clock], Awaitable[None]]


@dataclass
class Scripted:
    """Sources that each play the next script; the last one again and again."""

    scripts: list[Script]
    opened: int = 0

    def open(self, camera: Camera, clock: Clock) -> "ScriptedSource":
        script = self.scripts[min(self.opened, len(self.scripts) - 1)]
        self.opened += 1
        return ScriptedSource(script, clock)


@dataclass
class ScriptedSource:
    script: Script
    clock: Clock

    async def run(self, feed: Feed) -> None:
        await self.script(feed, self.clock)


@dataclass(eq=False)
class Sink:
    items: list[AccessUnit | Gap] = field(default_factory=list)

    def push(self, unit: AccessUnit) -> None:
        self.items.append(unit)

    def gap(self, gap: Gap) -> None:
        self.items.append(gap)


async def pictures(feed: Feed, clock: Clock) -> None:
    track = feed.add(TRACK)
    for number in range(3):
        track.access_unit(b"\0\0\0\1\x65", number * 3600, number == 0, False, clock.monotonic_ns())
    await asyncio.sleep(3600)


async def unreachable(feed: Feed, clock: Clock) -> None:
    raise SourceUnreachable("porch: no answer")


async def refuses(feed: Feed, clock: Clock) -> None:
    raise SourceUnauthorized("porch: wrong password")


async def crashes(feed: Feed, clock: Clock) -> None:
    raise ZeroDivisionError


async def silent(feed: Feed, clock: Clock) -> None:
    feed.play()
    await asyncio.sleep(3600)


async def never_connects(feed: Feed, clock: Clock) -> None:
    await asyncio.sleep(3600)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


def supervisor(*scripts: Script, clock: Clock | None = None) -> tuple[CameraSupervisor, Sink]:
    hub, sink = Hub("porch"), Sink()
    hub.attach(sink)
    clock = clock or ManualClock()
    made = CameraSupervisor(
        CAMERA, hub, clock, Scripted(list(scripts)).open, backoff=Backoff(0.001, 0.002), tick_s=0.001
    )
    made.start()
    return made, sink


async def test_a_camera_becomes_live_with_its_first_picture() -> None:
    camera, sink = supervisor(pictures)
    await until(lambda: camera.status().state is CameraState.LIVE)
    status = camera.status()
    assert (status.codec, status.width, status.height, status.reason) == (Codec.H264, 640, 360, None)
    assert len(sink.items) == 3
    await camera.stop(GapReason.SYSTEM_STOPPED, "stopped")
    assert camera.status().state is CameraState.STOPPED
    gap = sink.items[-1]
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.SYSTEM_STOPPED


@pytest.mark.parametrize(
    ("script", "code"), [(unreachable, "unreachable"), (refuses, "unauthorized"), (crashes, "failed")]
)
async def test_a_camera_that_fails_is_tried_again_and_says_why(script: Script, code: str) -> None:
    camera, sink = supervisor(script, script, pictures)
    await until(lambda: camera.failures == 1 or camera.failures == 2)
    assert camera.status().reason_code == code
    assert camera.status().reason
    await until(lambda: camera.status().state is CameraState.LIVE)
    assert camera.status().reason is None
    assert not any(isinstance(item, Gap) for item in sink.items)
    await camera.stop(GapReason.SYSTEM_STOPPED, "stopped")


async def test_a_camera_that_goes_silent_is_connected_anew_with_a_gap() -> None:
    clock = ManualClock()
    camera, sink = supervisor(pictures, silent, clock=clock)
    await until(lambda: camera.status().state is CameraState.LIVE)
    clock.advance(11)
    await until(lambda: camera.failures == 1)
    gap = sink.items[-1]
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.end_ns) == (GapReason.NO_FRAMES, None)
    await until(lambda: camera._feed is not None and camera.sessions == 2 and camera._feed.due)
    clock.advance(11)  # silent from the start, too
    await until(lambda: camera.failures == 2)
    assert camera.status().reason_code == "no_frames"
    assert len(sink.items) == 4
    await camera.stop(GapReason.SYSTEM_STOPPED, "stopped")


async def test_sound_that_goes_on_does_not_hide_a_picture_that_froze() -> None:
    clock = ManualClock()

    async def freezes(feed: Feed, clock: Clock) -> None:
        video, audio = feed.add(TRACK), feed.add(SOUND)
        video.access_unit(b"\0\0\0\1\x65", 0, True, False, clock.monotonic_ns())
        for second in range(3600):
            audio.access_unit(b"\xd5" * 8000, second * 8000, True, False, clock.monotonic_ns())
            await asyncio.sleep(0.003)
            clock.advance(1)

    camera, sink = supervisor(freezes, silent, clock=clock)
    taken_ns = clock.wall_ns()
    await until(lambda: camera.failures == 1)
    assert camera.status().reason_code == "no_frames"
    assert camera.status().last_frame_ns == taken_ns
    assert any(isinstance(item, Gap) and item.reason is GapReason.NO_FRAMES for item in sink.items)
    await camera.stop(GapReason.SYSTEM_STOPPED, "stopped")


async def test_the_watch_on_pictures_begins_when_they_are_due() -> None:
    clock = ManualClock()
    camera, _ = supervisor(never_connects, clock=clock)
    await until(lambda: camera.sessions == 1)
    clock.advance(30)  # the source has time-outs of its own, and knows better what is wrong
    await asyncio.sleep(0.01)
    assert (camera.failures, camera.status().state) == (0, CameraState.CONNECTING)
    clock.advance(31)
    await until(lambda: camera.failures == 1)
    assert camera.status().reason_code == "unreachable"
    await camera.stop(GapReason.SYSTEM_STOPPED, "stopped")


async def test_a_camera_is_given_time_for_its_first_key_picture() -> None:
    clock = ManualClock()
    tracks: list[TrackFeed] = []

    async def seldom(feed: Feed, clock: Clock) -> None:
        tracks.append(feed.add(TRACK))
        feed.play()
        await asyncio.sleep(3600)

    camera, sink = supervisor(seldom, clock=clock)
    await until(lambda: bool(tracks))

    async def play(seconds: int, key: bool = False) -> None:
        for _ in range(seconds):
            tracks[-1].access_unit(
                b"\0\0\0\1\x41", clock.monotonic_ns() * 9 // 100_000, key, False, clock.monotonic_ns()
            )
            await asyncio.sleep(0.003)
            clock.advance(1)

    await play(40)
    assert camera.failures == 0
    await play(1, key=True)
    await until(lambda: camera.status().state is CameraState.LIVE)
    assert len(sink.items) == 1
    clock.advance(11)
    await until(lambda: len(tracks) == 2)
    await play(62)
    await until(lambda: camera.failures == 2)
    status = camera.status()
    assert status.reason_code == "no_frames"
    assert "key picture" in (status.reason or "")
    await camera.stop(GapReason.SYSTEM_STOPPED, "stopped")


async def test_pictures_after_a_reconnection_are_marked() -> None:
    async def three_then_lost(feed: Feed, clock: Clock) -> None:
        track = feed.add(TRACK)
        track.access_unit(b"\0\0\0\1\x65", 0, True, False, clock.monotonic_ns())
        await asyncio.sleep(0.01)
        raise SourceUnreachable("gone")

    camera, sink = supervisor(three_then_lost, pictures)
    await until(lambda: len(sink.items) == 5)
    first, gap, again = sink.items[:3]
    assert isinstance(first, AccessUnit) and isinstance(gap, Gap) and isinstance(again, AccessUnit)
    assert gap.reason is GapReason.CAMERA_LOST
    assert again.discontinuity
    await camera.stop(GapReason.SYSTEM_STOPPED, "stopped")


async def test_a_change_of_address_keeps_the_hub_and_a_change_of_name_keeps_the_connection() -> None:
    scripted = Scripted([pictures])
    service = IngestService(ManualClock(NS), scripted.open)
    hub = await service.put(CAMERA)
    await until(lambda: scripted.opened == 1)
    assert await service.put(CAMERA.model_copy(update={"name": "Back porch"})) is hub
    assert await service.put(CAMERA.model_copy(update={"source": SourceUrl("rtsp://192.0.2.2/")})) is hub
    await until(lambda: scripted.opened == 2)
    assert {family.name for family in service.metrics()} >= {"vms_camera_live", "vms_camera_gaps"}
    await service.stop()
