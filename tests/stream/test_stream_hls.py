"""HLS as players get it: over HTTP, with tokens, blocking reloads, and real players."""

import asyncio
import math
import re
from array import array
from collections.abc import AsyncIterator, Callable
from functools import cache

import av
import httpx
import pytest
from tests.stream.scripted_stream import CAMERA, Camera, h264_pictures

from vms.common.clock import NS, SystemClock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.format.codecs import audio_track
from vms.media import AccessUnit, Codec, Gap, Hub
from vms.media.gap import GapReason
from vms.stream.hls import HlsService, UrlTokens, hls_path
from vms.stream.hls import muxer as muxer_module
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront
from vms.stream.http.request import Router
from vms.stream.http.token import mint
from vms.stream.hubs import own_hubs

SECRET = bytes(32)


class Player:
    """A worker that serves one camera by HLS, and a client of it."""

    def __init__(self, service: HlsService, client: httpx.AsyncClient) -> None:
        self.service = service
        self.client = client
        self.token = mint(SECRET, CAMERA, "watch", SystemClock().wall_ns() + 60 * NS)

    @property
    def url(self) -> str:
        return f"{self.client.base_url}{hls_path(CAMERA)}?token={self.token}"

    async def get(self, name: str, **query: str) -> httpx.Response:
        return await self.client.get(f"/hls/{CAMERA}/main/{name}", params={"token": self.token, **query})

    async def playlist(self, name: str = "video.m3u8", **query: str) -> str:
        response = await self.get(name, **query)
        assert response.status_code == 200, response.text
        return response.text


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., "asyncio.Future[Player]"]]:
    ends = []

    async def start(camera: Camera, idle_s: float = 20.0) -> Player:
        def hub(camera_id: CameraId) -> Hub:
            if camera_id != CAMERA:
                raise NotFound(camera_id)
            return camera.hub

        clock = SystemClock()
        service = HlsService(own_hubs(hub), clock, UrlTokens(SECRET, clock), idle_s=idle_s)
        router = Router()
        service.route(router)
        server = HttpServer(router)
        front = TcpFront(server.connection)
        await front.start(["127.0.0.1"], 0)
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{front.port}", timeout=20)

        async def end() -> None:
            await client.aclose()
            await service.stop()
            await front.stop()
            server.close()

        ends.append(end)
        return Player(service, client)

    yield start  # type: ignore[misc]
    for end in ends:
        await end()


def push(camera: Camera, seconds: float) -> None:
    """As if it had come in time: what HLS goes by is in the units."""
    for _ in range(int(seconds * 25)):
        camera.push()


class TimedCamera(Camera):
    """Captures its pictures at the times that their timestamps say, from `begun_ns` on."""

    def __init__(self, *args: object, sound: bool = False, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.begun_ns = self.clock.wall_ns() // NS * NS
        self.sound = None
        if sound:
            self.frames, config = aac_frames()
            self.sound = audio_track(2, Codec.AAC, sample_rate=16_000, channels=1, parameter_sets=[config])
            self.hub.announce([self.track, self.sound])
        self.heard = 0

    def push(self) -> AccessUnit:
        data, key = self.pictures[self.pushed % len(self.pictures)]
        dts = self.ticks * 3600
        at_ns = self.begun_ns + self.ticks * NS // 25
        unit = AccessUnit(self.track, data, dts, dts, key, self.discontinuity, at_ns, 0)
        self.discontinuity = False
        self.hub.push(unit)
        self.pushed += 1
        self.ticks += 1
        while self.sound and self.heard * 1024 / 16_000 < self.ticks / 25:
            dts = self.heard * 1024
            heard_ns = self.begun_ns + dts * NS // 16_000
            frame = self.frames[self.heard % len(self.frames)]
            self.hub.push(AccessUnit(self.sound, frame, dts, dts, True, False, heard_ns, 0))
            self.heard += 1
        return unit


@cache
def aac_frames() -> tuple[tuple[bytes, ...], bytes]:
    """A second of a tone as AAC-LC frames, and their AudioSpecificConfig."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 16_000, "mono", "fltp"
    packets: list[av.Packet] = []
    for number in range(16):
        frame = av.AudioFrame("fltp", "mono", 1024)
        wave = [math.sin((number * 1024 + at) * 0.17) / 4 for at in range(1024)]
        frame.planes[0].update(array("f", wave).tobytes())
        frame.sample_rate, frame.pts = 16_000, number * 1024
        packets += encoder.encode(frame)
    return tuple(bytes(packet) for packet in packets), bytes(encoder.extradata)


async def test_a_player_finds_everything_from_the_first_address_on(serve) -> None:  # type: ignore[no-untyped-def]
    camera = TimedCamera(sound=True)
    player = await serve(camera)
    push(camera, 1)
    asked = asyncio.create_task(player.playlist("index.m3u8"))
    while not player.service.streams or not next(iter(player.service.streams.values())).waiters:
        await asyncio.sleep(0)
    push(camera, 6)
    text = await asked
    assert 'CODECS="avc1.' in text
    assert "mp4a.40.2" in text
    assert "RESOLUTION=320x240" in text
    assert "FRAME-RATE=25.000" in text
    for name in re.findall(r'(?:URI="|\n)((?:audio|video)\.m3u8\?token=[^"\n]+)', text):
        media = (await player.client.get(f"/hls/{CAMERA}/main/{name}")).text
        files = [*re.findall(r'URI="([^"]+\.mp4[^"]*)"', media), *re.findall(r"\n(\w+/\d+\.mp4\S+)", media)]
        hint = re.findall(r'PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', media)[0]
        files.remove(hint)
        assert len(files) > 5
        for file in files:
            response = await player.client.get(f"/hls/{CAMERA}/main/{file}")
            assert response.status_code == 200, file
            assert "immutable" in response.headers["cache-control"]
            assert response.headers["access-control-allow-origin"] == "*"


async def test_a_segment_is_its_parts_byte_for_byte(serve) -> None:  # type: ignore[no-untyped-def]
    camera = TimedCamera()
    player = await serve(camera)
    push(camera, 1)
    await player.get("none")
    push(camera, 7)
    text = await player.playlist()
    number = re.findall(r"\nvideo/(\d+)\.mp4", text)[-1]
    parts = re.findall(rf'URI="video/{number}\.(\d+)\.mp4', text)
    bodies = [(await player.get(f"video/{number}.{part}.mp4")).content for part in parts]
    assert (await player.get(f"video/{number}.mp4")).content == b"".join(bodies)


async def test_a_blocking_reload_returns_when_the_part_is_there_and_not_before(serve) -> None:  # type: ignore[no-untyped-def]
    camera = TimedCamera()
    player = await serve(camera)
    push(camera, 1)
    await player.get("none")
    push(camera, 5)
    text = await player.playlist()
    number, part = re.findall(r'PRELOAD-HINT:TYPE=PART,URI="video/(\d+)\.(\d+)', text)[0]
    muxer = next(iter(player.service.streams.values()))
    reload = asyncio.create_task(player.playlist(_HLS_msn=number, _HLS_part=part))
    hinted = asyncio.create_task(player.get(f"video/{number}.{part}.mp4"))
    while muxer.waiters < 2:
        await asyncio.sleep(0)
    while not reload.done():
        assert muxer.renditions["video"].segment(int(number)) is None or muxer.waiters
        camera.push()
        for _ in range(50):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
    assert f'URI="video/{number}.{part}.mp4' in await reload
    assert (await hinted).status_code == 200
    later = await player.playlist(_HLS_msn=number, _HLS_part=part)  # it is there: no waiting
    assert f'URI="video/{number}.{part}.mp4' in later


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"_HLS_msn": "99999999999"}, 400),
        ({"_HLS_msn": "9" * 400}, 400),
        ({"_HLS_msn": "-1"}, 400),
        ({"_HLS_msn": "١٢"}, 400),
        ({"_HLS_msn": ""}, 400),
        ({"_HLS_part": "1"}, 400),
        ({"_HLS_msn": "1", "_HLS_part": "999999999999"}, 200),
        ({"_HLS_msn": "0"}, 200),
        ({"_HLS_skip": "whatever"}, 200),
        ({"_HLS_skip": "YES", "token": "x"}, 401),
    ],
)
async def test_hostile_queries_are_answered(serve, query: dict[str, str], status: int) -> None:  # type: ignore[no-untyped-def]
    camera = TimedCamera()
    player = await serve(camera)
    push(camera, 1)
    await player.get("none")
    push(camera, 6)
    assert (await player.get("video.m3u8", **query)).status_code == status


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "video",
        "video.m3u8/x",
        "video/1.mp4",
        "video/1.1.mp4",
        f"video/{'1' * 30}.mp4",
        "audio.m3u8",
        "%2e%2e/x",
    ],
)
async def test_what_is_not_there_is_not_found(serve, name: str) -> None:  # type: ignore[no-untyped-def]
    camera = TimedCamera()
    player = await serve(camera)
    push(camera, 6)
    assert (await player.get(name)).status_code == 404


async def test_nobody_watches_without_a_token_of_this_camera(serve) -> None:  # type: ignore[no-untyped-def]
    camera = TimedCamera()
    player = await serve(camera)
    now_ns = SystemClock().wall_ns()
    path = hls_path(CAMERA)
    other, old = (
        mint(SECRET, CameraId("yard"), "watch", now_ns + NS),
        mint(SECRET, CAMERA, "watch", now_ns - 1),
    )
    assert (await player.client.get(path)).status_code == 401
    assert (await player.client.get(path, params={"token": other})).status_code == 403
    assert (await player.client.get(path, params={"token": old})).status_code == 403
    assert not player.service.streams


async def test_waiters_are_bounded(serve, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(muxer_module, "WAITERS_MAX", 2)
    camera = TimedCamera()
    player = await serve(camera)
    push(camera, 1)
    await player.get("none")
    muxer = next(iter(player.service.streams.values()))
    waiting = [asyncio.create_task(player.get("video.m3u8")) for _ in range(2)]
    while muxer.waiters < 2:
        await asyncio.sleep(0)
    assert (await player.get("video.m3u8")).status_code == 503
    await player.service.stop()
    assert [(await each).status_code for each in waiting] == [503, 503]
    assert muxer.waiters == 0


async def test_a_stream_ends_after_the_last_request_and_lets_go_of_the_hub(serve) -> None:  # type: ignore[no-untyped-def]
    camera = TimedCamera()
    player = await serve(camera, idle_s=0.05)
    push(camera, 1)
    await player.get("none")
    assert len(camera.hub.sinks) == 1
    async with asyncio.timeout(20):
        while camera.hub.sinks:
            await asyncio.sleep(0.01)
    assert not player.service.streams


async def test_a_gap_is_told_as_one(serve) -> None:  # type: ignore[no-untyped-def]
    camera = TimedCamera()
    player = await serve(camera)
    push(camera, 1)
    await player.get("none")
    push(camera, 5)
    camera.hub.gap(Gap(0, None, GapReason.CAMERA_LOST))
    camera.restart_timeline()
    camera.begun_ns += 15 * NS
    camera.pushed = 0
    push(camera, 6)
    text = await player.playlist()
    assert "#EXT-X-GAP\n" in text
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1


async def test_sound_that_players_do_not_take_is_left_out_and_said(serve) -> None:  # type: ignore[no-untyped-def]
    camera = Camera(audio=Codec.PCMA)
    player = await serve(camera)
    async with camera.live():
        text = await player.playlist("index.m3u8")
    assert "# sound is left out: HLS players take AAC, and this is pcma" in text
    assert "TYPE=AUDIO" not in text


async def test_a_player_may_go_on_at_another_worker(serve) -> None:  # type: ignore[no-untyped-def]
    """Which has begun later, and knows nothing of the first one."""
    camera = TimedCamera(sound=True)
    first = await serve(camera)
    push(camera, 1)
    await first.get("none")
    push(camera, 7)
    second = await serve(camera)
    await second.get("none")
    push(camera, 8)
    for name in ("video", "audio"):
        at_first, at_second = await first.playlist(f"{name}.m3u8"), await second.playlist(f"{name}.m3u8")
        hints = [re.findall(r'HINT:TYPE=PART,URI="([^?]+)', text) for text in (at_first, at_second)]
        assert hints[0] == hints[1]
        numbers = re.findall(rf"\n{name}/(\d+)\.mp4", at_second)[1:]  # its first is the end of one
        assert len(numbers) > 2
        for number in numbers:
            here, there = await first.get(f"{name}/{number}.mp4"), await second.get(f"{name}/{number}.mp4")
            assert here.content == there.content


@pytest.mark.needs("ffmpeg")
async def test_ffmpeg_decodes_what_is_live(serve) -> None:  # type: ignore[no-untyped-def]
    camera = Camera(h264_pictures(50, gop=25))
    player = await serve(camera)
    async with camera.live():
        process = await asyncio.create_subprocess_exec(
            *("ffmpeg", "-v", "error", "-xerror", "-i", player.url, "-t", "3", "-f", "framemd5", "-"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(40):
            out, errors = await process.communicate()
    assert process.returncode == 0, errors
    assert errors == b""
    assert len([line for line in out.splitlines() if line.startswith(b"0,")]) >= 70
