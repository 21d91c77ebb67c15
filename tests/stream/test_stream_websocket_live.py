"""Live view over WebSocket, from a camera's hub to a client's bytes: whole, in order, and at no other's cost."""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import av
import pytest
from tests.stream.scripted_stream import CAMERA, FPS, Camera, h264_pictures, track_of
from tests.stream.websocket_client import Client

from vms.common.clock import NS, SystemClock
from vms.common.errors import NotFound
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.format import nal
from vms.format.codecs import audio_track
from vms.media import AccessUnit, Codec, Gap, GapReason, Hub
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront
from vms.stream.http.request import Request, Response, Router
from vms.stream.http.token import WATCH, mint
from vms.stream.hubs import own_hubs
from vms.stream.websocket import service as service_module
from vms.stream.websocket import viewer as viewer_module
from vms.stream.websocket.framing import CloseCode, Opcode
from vms.stream.websocket.messages import Kind
from vms.stream.websocket.recorded import Recorded, RecordedFragment, RecordedGap, RecordedInit
from vms.stream.websocket.service import WebSocketService, live_path

SECRET = bytes(range(32))


@dataclass
class Served:
    """A running service; `connect` watches it."""

    service: WebSocketService
    port: int
    clients: list[Client]

    def path(self, stream: StreamName = StreamName.MAIN, camera_id: CameraId = CAMERA) -> str:
        expires_ns = SystemClock().wall_ns() + 60 * NS
        return live_path(camera_id, stream, mint(SECRET, camera_id, WATCH, expires_ns))

    async def connect(self, target: str | None = None, **headers: str) -> Client:
        client = await Client.connect(self.port, target or self.path(), **headers)
        self.clients.append(client)
        return client


Serve = Callable[..., Awaitable[Served]]


async def page(request: Request) -> Response:
    return Response(200, {"content-type": "text/html"}, b"<!doctype html><title>test</title>")


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    ends: list[tuple[Served, TcpFront, HttpServer]] = []

    async def begin(hub: Hub, sub: Hub | None = None, **options: Any) -> Served:
        def main(camera_id: CameraId) -> Hub:
            if camera_id != CAMERA:
                raise NotFound(f"no camera {camera_id}")
            return hub

        others = {StreamName.SUB: lambda camera_id: sub} if sub is not None else None
        service = WebSocketService(own_hubs(main, others), SECRET, SystemClock(), **options)
        router = Router()
        service.register(router)
        router.add("/page", page)
        server = HttpServer(router)
        front = TcpFront(server.connection)
        await front.start(["127.0.0.1"], 0)
        ends.append((Served(service, front.port, []), front, server))
        return ends[-1][0]

    yield begin
    for served, front, server in ends:
        await front.stop()
        server.close()
        await served.service.stop()
        for client in served.clients:
            client.close()
            with suppress(OSError):
                await client.writer.wait_closed()


def picture_bytes(frame: av.VideoFrame) -> bytes:
    return b"".join(bytes(plane) for plane in frame.planes)


def decoded(data: bytes) -> list[bytes]:
    """The pictures of an MP4, in the order in which they are shown."""
    with av.open(io.BytesIO(data), format="mp4") as container:
        return [picture_bytes(frame) for frame in container.decode(video=0)]


def decoded_source(pictures: Sequence[tuple[bytes, bool]]) -> list[bytes]:
    data = b"".join(nal.to_annex_b(data) for data, _ in pictures)
    with av.open(io.BytesIO(data), format="h264") as container:
        return [picture_bytes(frame) for frame in container.decode(video=0)]


class ReorderingCamera(Camera):
    """One with B-frames: times of presentation as its encoder gave them."""

    def __init__(self) -> None:
        super().__init__(h264_pictures(50, profile="main", gop=25, b_frames=2))
        shown = presentation_order(self.pictures)
        self.shown = shown

    def push(self) -> AccessUnit:
        number, again = self.pushed % len(self.pictures), self.pushed // len(self.pictures)
        data, key = self.pictures[number]
        dts = self.pushed * 90_000 // FPS
        pts = (self.shown[number] + again * len(self.pictures) + 2) * 90_000 // FPS
        clock = self.clock
        unit = AccessUnit(self.track, data, dts, pts, key, False, clock.wall_ns(), clock.monotonic_ns())
        self.pushed += 1
        self.hub.push(unit)
        return unit


def presentation_order(pictures: Sequence[tuple[bytes, bool]]) -> list[int]:
    """Of each picture, in decoding order, its place among those shown: as FFmpeg's parser and decoder find it."""
    parser = av.CodecContext.create("h264", "r")
    places: dict[int, int] = {}
    shown = 0
    for number, (data, _) in enumerate(pictures):
        packet = av.Packet(nal.to_annex_b(data))
        packet.pts = number
        for picture in parser.decode(packet):
            places[picture.pts or 0] = shown
            shown += 1
    for picture in parser.decode(None):
        places[picture.pts or 0] = shown
        shown += 1
    return [places[number] for number in range(len(pictures))]


@pytest.mark.parametrize("reordering", [False, True])
async def test_what_is_sent_decodes_to_the_very_pictures_of_the_camera(
    serve: Serve, reordering: bool
) -> None:
    camera = ReorderingCamera() if reordering else Camera(h264_pictures(50, profile="high"))
    served = await serve(camera.hub)
    camera.push()
    client = await served.connect()
    for _ in range(49):
        camera.push()
    await client.until(lambda: len(client.media) == 51)
    assert client.order[:4] == ["hello", "init", "VIDEO_INIT", "VIDEO"]
    found = decoded(client.bytes_of(Kind.VIDEO_INIT, Kind.VIDEO))
    assert len(found) == 50
    assert found == decoded_source(camera.pictures)


async def test_a_viewer_begins_with_the_group_of_pictures_so_far(serve: Serve) -> None:
    camera = Camera()
    served = await serve(camera.hub)
    for _ in range(30):
        camera.push()
    client = await served.connect()
    await client.until(lambda: len(client.media) == 6)
    assert client.order == ["hello", "init", "VIDEO_INIT", *["VIDEO"] * 5]
    camera.push()
    await client.until(lambda: len(client.media) == 7)
    assert decoded(client.bytes_of(Kind.VIDEO_INIT, Kind.VIDEO)) == decoded_source(camera.pictures)[25:31]


async def test_hello_and_init_say_what_a_browser_needs_to_know(serve: Serve) -> None:
    camera = Camera(audio=Codec.PCMA)
    served = await serve(camera.hub)
    unit = camera.push()
    client = await served.connect()
    await client.until(lambda: len(client.media) == 2)
    hello, init = client.said
    assert {"camera": "porch", "stream": "main", "mode": "live"}.items() <= hello.items()
    mime = f'video/mp4; codecs="avc1.{camera.track.parameter_sets[0][1:4].hex()}"'
    assert hello["tracks"] == [
        {"track": "video", "codec": "h264", "mime": mime},
        {"track": "audio", "codec": "pcma", "mime": None},
    ]
    assert {"track": "video", "mime": mime, "version": 0}.items() <= init.items()
    assert hello["epoch_ms"] * 1e6 == pytest.approx(unit.capture_ns - NS, abs=1000)
    assert client.media[1][1] == unit.capture_ns


async def test_sound_that_browsers_take_comes_beside_the_pictures(serve: Serve) -> None:
    camera = Camera()
    sound = audio_track(2, Codec.OPUS, sample_rate=48_000, channels=2)
    camera.hub.announce([camera.track, sound])
    served = await serve(camera.hub)
    client = await served.connect()
    for number in range(4):
        video = camera.push()
        pts = number * 1920
        camera.hub.push(AccessUnit(sound, b"\xfc\xff\xfe", pts, pts, True, False, video.capture_ns, 0))
    await client.until(lambda: len(client.media) == 10)
    assert [kind for kind, _, _ in client.media].count(Kind.AUDIO) == 4
    with av.open(io.BytesIO(client.bytes_of(Kind.AUDIO_INIT, Kind.AUDIO)), format="mp4") as container:
        assert container.streams.audio[0].codec_context.name == "opus"
        assert sum(packet.size > 0 for packet in container.demux()) == 4


async def test_a_new_resolution_is_introduced_before_its_first_picture(serve: Serve) -> None:
    camera = Camera()
    served = await serve(camera.hub)
    camera.push()
    client = await served.connect()
    await client.until(lambda: len(client.media) == 2)
    camera.show(h264_pictures(10, width=640))
    camera.push()
    await client.until(lambda: len(client.media) == 4)
    assert client.order[-3:] == ["init", "VIDEO_INIT", "VIDEO"]
    assert client.said[-1]["version"] == 1


async def test_a_camera_that_begins_anew_does_not_send_its_viewers_back(serve: Serve) -> None:
    camera = Camera()
    served = await serve(camera.hub)
    client = await served.connect()
    for _ in range(25):
        camera.push()
    now_ns = camera.clock.wall_ns()
    camera.hub.gap(Gap(now_ns, None, GapReason.CAMERA_LOST))
    camera.restart_timeline()
    for _ in range(25):
        camera.push()
    await client.until(lambda: len(client.media) == 51)
    gaps = [said for said in client.said if said["type"] == "gap"]
    assert [gap["end_ms"] is None for gap in gaps] == [True, False]
    with av.open(io.BytesIO(client.bytes_of(Kind.VIDEO_INIT, Kind.VIDEO)), format="mp4") as container:
        times = [packet.dts for packet in container.demux() if packet.dts is not None]
    assert len(times) == 50
    assert times == sorted(set(times))


async def test_a_slow_viewer_is_told_a_gap_and_goes_on_at_a_key_picture_and_others_miss_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_module, "MAX_UNSENT_BYTES", 64 << 10)
    monkeypatch.setattr(viewer_module, "RESUME_UNSENT_BYTES", 16 << 10)
    camera = Camera(h264_pictures(50, width=640))
    served = await serve(camera.hub)
    slow, quick = await served.connect(), await served.connect()
    pushed = 0
    while not any(viewer.skipped for viewer in served.service.viewers):
        camera.push()
        pushed += 1
        await quick.until_media(pushed + 1)
        assert pushed < 20_000
    before = pushed
    while not any(said["type"] == "gap" for said in slow.said):
        camera.push()
        pushed += 1
        await quick.until_media(pushed + 1)
        while slow.reader._buffer or len(slow.media) < before // 2:  # type: ignore[attr-defined]
            await slow.next()
        await asyncio.sleep(0)
        assert pushed < before + 500
    at = slow.order.index("gap")
    (gap,) = [said for said in slow.said if said["type"] == "gap"]
    assert gap["reason"] == "slow_viewer"
    assert gap["start_ms"] < gap["end_ms"]
    await slow.until(lambda: len(slow.order) > at + 1)
    capture_ns = slow.media[slow.order[:at].count("VIDEO") + 1][1]
    assert capture_ns / 1e6 == pytest.approx(gap["end_ms"])


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"/live/{CAMERA}", 401),
        (f"/live/{CAMERA}?token=abc", 401),
        (live_path(CAMERA, StreamName.MAIN, mint(SECRET, CameraId("yard"), WATCH, 1 << 62)), 403),
        (live_path(CAMERA, StreamName.MAIN, mint(SECRET, CAMERA, WATCH, 1)), 403),
        (live_path(CAMERA, StreamName.SUB, mint(SECRET, CAMERA, WATCH, 1 << 62)), 404),
        (live_path(CameraId("yard"), StreamName.MAIN, mint(SECRET, CameraId("yard"), WATCH, 1 << 62)), 404),
        (live_path(CAMERA, StreamName.MAIN, mint(SECRET, CAMERA, WATCH, 1 << 62)) + "&stream=other", 400),
    ],
)
async def test_who_has_no_right_or_asks_for_nothing_is_refused_before_the_upgrade(
    serve: Serve, target: str, status: int
) -> None:
    served = await serve(Camera().hub)
    client = await served.connect(target)
    assert client.status == status
    assert not served.service.viewers


async def test_a_camera_whose_stream_no_browser_plays_is_refused(serve: Serve) -> None:
    hub = Hub("porch")
    hub.announce([audio_track(1, Codec.PCMU, sample_rate=8000, channels=1)])
    client = await (await serve(hub)).connect()
    assert client.status == 409


async def test_viewers_beyond_the_bound_are_refused(serve: Serve) -> None:
    served = await serve(Camera().hub, max_viewers=1)
    first = await served.connect()
    assert (first.status, (await served.connect()).status) == (101, 503)


@pytest.mark.parametrize(
    ("opcode", "payload", "options", "code"),
    [
        (Opcode.TEXT, b"{}", {"mask": False}, CloseCode.PROTOCOL_ERROR),
        (Opcode.TEXT, bytes(70_000), {}, CloseCode.TOO_BIG),
        (Opcode.TEXT, b"\xff\xfe", {}, CloseCode.INVALID_DATA),
        (Opcode.BINARY, b"abc", {}, CloseCode.NOT_TAKEN),
        (5, b"abc", {}, CloseCode.PROTOCOL_ERROR),
        (Opcode.CLOSE, b"\x03\xe8", {}, CloseCode.NORMAL),
    ],
)
async def test_a_connection_ends_with_the_code_that_its_client_earned(
    serve: Serve, opcode: int, payload: bytes, options: dict[str, bool], code: CloseCode
) -> None:
    camera = Camera()
    served = await serve(camera.hub)
    other, client = await served.connect(), await served.connect()
    client.send(opcode, payload, **options)
    assert (await client.until_closed())[0] == code
    camera.push()
    await other.until(lambda: len(other.media) == 2)
    assert served.service.watched == {CAMERA: 1}


@pytest.mark.parametrize(
    "said",
    [
        b"[]",
        b"{",
        b'{"type":3}',
        b'{"type":"dance"}',
        b'{"type":"seek","at":"now"}',
        b"[" * 60_000,
        b'{"type":"report","stages":{"a":-1}}',
        b'{"type":"select","stream":["main"]}',
        b'{"type":"speed"}',
    ],
)
async def test_a_message_that_makes_no_sense_is_answered_with_an_error(serve: Serve, said: bytes) -> None:
    camera = Camera()
    client = await (await serve(camera.hub)).connect()
    client.send(Opcode.TEXT, said)
    await client.until(lambda: "error" in client.order)
    camera.push()
    await client.until(lambda: len(client.media) == 2)


async def test_a_client_that_never_stops_talking_is_put_off(serve: Serve) -> None:
    client = await (await serve(Camera().hub)).connect()
    for _ in range(100):
        client.send(Opcode.PING, b"")
    assert (await client.until_closed())[0] == CloseCode.POLICY


async def test_a_ping_is_answered(serve: Serve) -> None:
    client = await (await serve(Camera().hub)).connect()
    client.send(Opcode.PING, b"are you there")
    seen: list[Opcode] = []
    while Opcode.PONG not in seen:
        seen.append(await client.next())


async def test_what_a_viewer_measured_is_passed_on(serve: Serve) -> None:
    served = await serve(Camera().hub)
    reports: list[tuple[CameraId, dict[str, float]]] = []
    served.service.on_report = lambda camera_id, stages: reports.append((camera_id, dict(stages)))
    client = await served.connect()
    client.say(type="report", stages={"network": 0.004, "display": 0.1})
    client.send(Opcode.PING, b"")
    while await client.next() is not Opcode.PONG:
        pass
    assert reports == [(CAMERA, {"network": 0.004, "display": 0.1})]


async def test_a_viewer_changes_to_the_sub_stream_and_back_on_the_same_socket(serve: Serve) -> None:
    camera, sub = Camera(), Camera(h264_pictures(10, width=160))
    served = await serve(camera.hub, sub.hub)
    for each in (camera, sub):
        each.push()
    client = await served.connect()
    await client.until(lambda: len(client.media) == 2)
    client.say(type="select", stream="sub")
    await client.until(lambda: len(client.media) == 4)
    assert client.said[2]["stream"] == "sub"
    assert not camera.hub.sinks and len(sub.hub.sinks) == 1
    client.say(type="select", stream="main")
    await client.until(lambda: len(client.media) == 6)
    assert not sub.hub.sinks


async def test_nothing_is_held_once_the_last_viewer_has_left(serve: Serve) -> None:
    camera = Camera()
    served = await serve(camera.hub)
    client = await served.connect()
    camera.push()
    await client.until(lambda: len(client.media) == 2)
    client.close()
    async with asyncio.timeout(20):
        while served.service.viewers:
            await asyncio.sleep(0)
    assert not camera.hub.sinks
    assert not served.service.feeds.feeds


async def test_viewers_of_a_removed_camera_are_told(serve: Serve) -> None:
    served = await serve(Camera().hub)
    client = await served.connect()
    served.service.end_camera(CAMERA)
    assert await client.until_closed() == (CloseCode.GOING_AWAY, "the camera is no longer configured")


async def test_viewers_of_a_stream_that_was_taken_away_are_told_and_the_others_are_not(serve: Serve) -> None:
    camera = Camera()
    served = await serve(camera.hub)
    client = await served.connect()
    served.service.end_stream(CAMERA, StreamName.SUB)
    camera.push()
    await client.until(lambda: len(client.media) == 2)
    served.service.end_stream(CAMERA, StreamName.MAIN)
    assert await client.until_closed() == (CloseCode.GOING_AWAY, "the camera has no main stream any more")


async def test_all_viewers_are_given_the_same_bytes_made_once(serve: Serve) -> None:
    camera = Camera()
    served = await serve(camera.hub)
    clients = [await served.connect() for _ in range(20)]
    for _ in range(10):
        camera.push()
    for client in clients:
        await client.until(lambda client=client: len(client.media) == 11)
    assert len({client.bytes_of(Kind.VIDEO_INIT, Kind.VIDEO) for client in clients}) == 1
    (feed,) = served.service.feeds.feeds
    assert feed.pictures == 10


def test_the_helper_camera_reorders() -> None:
    camera = ReorderingCamera()
    assert camera.track == track_of(camera.pictures)
    assert camera.shown != sorted(camera.shown)


class Footage:
    """Recordings of ten seconds, a fragment a second, with a gap in them."""

    def __init__(self) -> None:
        self.asked: list[tuple[CameraId, int]] = []
        self.ended = 0

    async def play(self, camera_id: CameraId, from_ns: int) -> AsyncGenerator[Recorded, None]:
        self.asked.append((camera_id, from_ns))
        try:
            yield RecordedInit('video/mp4; codecs="avc1.42c01e"', b"init")
            for second in range(3):
                at_ns = from_ns + second * NS
                yield RecordedFragment(at_ns, at_ns + NS, second, b"media %d" % second)
            yield RecordedGap(from_ns + 3 * NS, from_ns + 100 * NS, "camera_lost")
            for second in range(100, 1000):
                at_ns = from_ns + second * NS
                yield RecordedFragment(at_ns, at_ns + NS, second, b"media %d" % second)
        finally:
            self.ended += 1


async def test_a_viewer_goes_back_in_time_on_the_same_socket_and_returns_to_the_present(serve: Serve) -> None:
    camera, footage = Camera(), Footage()
    served = await serve(camera.hub, recorded=footage)
    camera.push()
    client = await served.connect()
    await client.until_media(2)
    client.say(type="seek", at="2026-11-25T10:00:00Z")
    await client.until(lambda: any(kind is Kind.MUXED and b"100" in data for kind, _, data in client.media))
    hello, init, gap = client.said[2:5]
    assert (hello["mode"], init["track"], init["mime"]) == (
        "recorded",
        "all",
        'video/mp4; codecs="avc1.42c01e"',
    )
    assert gap["end_ms"] - gap["start_ms"] == 97_000
    (asked,) = footage.asked
    assert asked[0] == CAMERA
    assert next(capture_ns for kind, capture_ns, _ in client.media if kind is Kind.MUXED) == asked[1]
    camera.push()
    client.say(type="live")
    await client.until(lambda: client.said[-1].get("mode") == "live" or client.media[-1][0] is Kind.VIDEO)
    await client.until(lambda: client.media[-1][0] is Kind.VIDEO)
    assert footage.ended == 1
    sent = sum(kind is Kind.MUXED for kind, _, _ in client.media)
    assert sent < 30, "footage is sent some seconds ahead, not all at once"


async def test_where_no_recordings_are_the_viewer_is_told_and_stays_in_the_present(serve: Serve) -> None:
    camera = Camera()
    client = await (await serve(camera.hub)).connect()
    client.say(type="seek", at="2026-11-25T10:00:00Z")
    await client.until(lambda: "error" in client.order)
    camera.push()
    await client.until_media(2)


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "1969-01-01T00:00:00Z", "yesterday", 5, None])
async def test_a_time_that_cannot_be_is_refused_before_a_disk_is_asked(serve: Serve, at: object) -> None:
    footage = Footage()
    client = await (await serve(Camera().hub, recorded=footage)).connect()
    client.say(type="seek", at=at)
    await client.until(lambda: "error" in client.order)
    assert client.said[-1]["detail"].startswith("at must be a time")
    assert not footage.asked


class NoFootage:
    async def play(self, camera_id: CameraId, from_ns: int) -> AsyncGenerator[Recorded, None]:
        raise NotFound("nothing is recorded then")
        yield


async def test_a_seek_that_finds_nothing_takes_no_place_and_the_present_goes_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "MAX_PLAYING", 1)
    camera = Camera()
    served = await serve(camera.hub, recorded=NoFootage())
    first, second = await served.connect(), await served.connect()
    for client in (first, second):
        client.say(type="seek", at="2026-11-25T10:00:00Z")
        await client.until(lambda client=client: "error" in client.order)
        assert client.said[-1]["detail"] == "nothing is recorded then"
        camera.push()
        await client.until(lambda client=client: client.order[-1] == "VIDEO")
