"""Live view over WebTransport, from a camera's hub to a client's pictures, and what strangers cannot do."""

import asyncio
import json
import os
import random
import socket
from collections.abc import AsyncIterator

import pytest
from aioquic.h3.connection import ErrorCode
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.stream import QuicStreamSender
from tests.stream.lossy_quic import lossy_quic
from tests.stream.scripted_stream import CAMERA, Camera, h264_pictures
from tests.stream.test_stream_websocket_live import ReorderingCamera, decoded, decoded_source
from tests.stream.webtransport_client import SECRET, Client, ServedQuic, connected, serving

from vms.common.clock import NS, SystemClock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.format.codecs import codec_string
from vms.format.mp4.live import LiveSample, build_live_fragment, build_live_init
from vms.media import AccessUnit, Gap, GapReason
from vms.stream.http.token import WATCH, mint
from vms.stream.quic import connection as connection_module
from vms.stream.quic.address import webtransport_path
from vms.stream.quic.messages import Flag


@pytest.fixture
def camera() -> Camera:
    return Camera()


@pytest.fixture
async def served(camera: Camera) -> AsyncIterator[ServedQuic]:
    # No picture is too old to be sent on a machine that has much else to do.
    async with serving(camera, hold_ms=60_000) as served:
        yield served


@pytest.fixture(autouse=True)
def brief_goodbyes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "CLOSE_S", 0.05)


async def watching(client: Client, target: str, pictures: int = 1) -> None:
    client.ask(target)
    await client.until(lambda: len(client.pictures) >= pictures)


def as_mp4(client: Client, camera: Camera) -> bytes:
    """What the client got, for a decoder."""
    track = camera.track
    samples = [LiveSample(each.data, 3600, each.pts - each.dts, each.key) for each in client.pictures]
    return build_live_init(track) + build_live_fragment(1, track.id, 0, samples)


async def test_a_client_gets_every_picture_whole_from_a_key_picture_on(
    camera: Camera, served: ServedQuic
) -> None:
    camera.push()
    async with connected(served.port) as client:
        client.ask(served.path())
        await client.until(lambda: client.pictures)
        for _ in range(49):
            camera.push()
        await client.until(lambda: len(client.pictures) == 50)
        assert client.status == 200
        client.pictures.sort(key=lambda each: each.sequence_number)
        assert [each.sequence_number for each in client.pictures] == list(range(50))
        assert client.pictures[0].flags == Flag.KEY | Flag.AFRESH
        assert [each.key for each in client.pictures] == [key for _, key in camera.pictures]
        assert all(each.capture_ns <= each.sent_ns for each in client.pictures)
        assert decoded(as_mp4(client, camera)) == decoded_source(camera.pictures)


async def test_the_config_is_what_a_decoder_wants(camera: Camera, served: ServedQuic) -> None:
    camera.push()
    async with connected(served.port) as client:
        await watching(client, served.path())
        (config,) = client.configs.values()
        assert config["codec"] == codec_string(camera.track)
        assert (config["width"], config["height"], config["clock_rate"]) == (320, 240, 90_000)
        assert client.pictures[0].generation == config["generation"]


async def test_a_camera_with_b_frames_is_sent_in_decoding_order() -> None:
    camera = ReorderingCamera()
    async with serving(camera) as served, camera.live(), connected(served.port) as client:
        await watching(client, served.path(), 30)
        ordered = sorted(client.pictures, key=lambda each: each.sequence_number)
        assert [each.dts for each in ordered] == sorted(each.dts for each in ordered)
        assert any(each.pts != each.dts for each in ordered)


async def test_new_parameter_sets_come_as_a_new_config(camera: Camera, served: ServedQuic) -> None:
    camera.push()
    async with connected(served.port) as client:
        await watching(client, served.path())
        camera.show(h264_pictures(50, width=640))
        camera.push()
        await client.until(lambda: len(client.pictures) == 2 and len(client.configs) == 2)
        assert client.configs[client.pictures[1].generation]["width"] == 640


async def test_another_stream_goes_on_in_the_same_session(camera: Camera) -> None:
    sub = Camera(h264_pictures(50, width=640))
    async with serving(camera, sub) as served, camera.live(), sub.live(), connected(served.port) as client:
        await watching(client, served.path())
        client.say(json.dumps({"type": "select", "stream": "sub"}).encode())
        await client.until(lambda: len(client.configs) == 2)
        second = client.configs[2]
        assert (second["stream"], second["width"]) == ("sub", 640)
        await client.until(lambda: client.pictures[-1].generation == 2)
        first = next(each for each in client.pictures if each.generation == 2)
        assert first.flags == Flag.KEY | Flag.AFRESH


async def test_a_stream_that_cannot_be_had_leaves_the_picture(camera: Camera, served: ServedQuic) -> None:
    async with camera.live(), connected(served.port) as client:
        await watching(client, served.path())
        client.say(b'{"type":"select","stream":"sub"}')
        before = len(client.pictures)
        await client.until(lambda: len(client.pictures) > before + 10)
        assert len(client.configs) == 1


async def test_after_a_gap_pictures_go_on_with_a_key_picture(camera: Camera, served: ServedQuic) -> None:
    camera.push()
    async with connected(served.port) as client:
        await watching(client, served.path())
        camera.hub.gap(Gap(camera.clock.wall_ns(), None, GapReason.PACKET_LOSS))
        assert camera.hub.key_requests == 0
        for _ in range(26):
            camera.push()
        await client.until(lambda: len(client.pictures) == 3)
        assert camera.hub.key_requests == 1, "the camera is asked for one, once a second at most"
        later = sorted(client.pictures, key=lambda each: each.sequence_number)[1:]
        assert [each.key for each in later] == [True, False]
        assert Flag.AFRESH in later[0].flags


async def test_a_silent_camera_s_viewer_hears_that_the_server_is_there(
    camera: Camera, served: ServedQuic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "ALIVE_S", 0.05)
    camera.push()
    async with connected(served.port) as client:
        await watching(client, served.path())
        await client.until(lambda: client.alive >= 3)


async def test_a_session_of_a_camera_that_is_removed_ends_with_the_reason(
    camera: Camera, served: ServedQuic
) -> None:
    camera.push()
    async with connected(served.port) as client:
        await watching(client, served.path())
        served.service.end_camera(CAMERA)
        await client.until(lambda: client.over)
        assert client.closed_by is not None
        assert b"no longer configured" in client.closed_by
    assert served.service.watched == {}
    assert camera.hub.sinks == ()


async def test_a_client_that_leaves_leaves_nothing_behind(camera: Camera, served: ServedQuic) -> None:
    camera.push()
    async with connected(served.port) as client:
        await watching(client, served.path())
        left = asyncio.Event()
        served.service.on_viewers = left.set
    async with asyncio.timeout(20):
        await left.wait()
    assert not served.service.connections
    assert camera.hub.sinks == ()
    assert [lease.released for lease in served.leases] == [True]


async def test_a_hub_is_given_back_when_its_last_viewer_is_gone(camera: Camera, served: ServedQuic) -> None:
    camera.push()
    async with connected(served.port) as second:
        async with connected(served.port) as first:
            await watching(first, served.path())
            await watching(second, served.path())
            left = asyncio.Event()
            served.service.on_viewers = left.set
        async with asyncio.timeout(20):
            await left.wait()
        assert [lease.released for lease in served.leases] == [True, False]
        camera.push()
        await second.until(lambda: len(second.pictures) == 2)
        served.service.end_camera(CAMERA)
        assert all(lease.released for lease in served.leases)
        assert not served.service.feeds.feeds


async def test_a_camera_is_asked_for_a_key_picture_where_there_is_none_to_begin_with(
    camera: Camera, served: ServedQuic
) -> None:
    async with connected(served.port) as client:
        client.ask(served.path())
        await client.until(lambda: client.status == 200)
        assert camera.hub.key_requests == 1
        camera.push()
        await client.until(lambda: client.pictures)


async def test_a_picture_that_breaks_its_standard_is_left_out_up_to_the_next_key_picture(
    camera: Camera, served: ServedQuic
) -> None:
    camera.push()
    async with connected(served.port) as client, connected(served.port) as later:
        await watching(client, served.path())
        broken = AccessUnit(camera.track, b"\0\0\0\xffshort", 1, 1, True, False, camera.clock.wall_ns(), 0)
        camera.hub.push(broken)
        camera.push()
        later.ask(served.path())
        await later.until(lambda: later.status == 200)
        for _ in range(24):
            camera.push()
        await client.until(lambda: len(client.pictures) == 2)
        await later.until(lambda: len(later.pictures) == 1)
        assert later.pictures[0].key
        assert client.pictures[1].flags == Flag.KEY | Flag.AFRESH


# who may watch


def token(camera_id: str = CAMERA, *, for_s: float = 86_400, secret: bytes = SECRET) -> str:
    return mint(secret, CameraId(camera_id), WATCH, SystemClock().wall_ns() + int(for_s * NS))


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/api/live/porch", 401),
        ("/api/live/porch?token=nonsense", 401),
        (webtransport_path(CAMERA, StreamName.MAIN, token("attic")), 403),
        (webtransport_path(CAMERA, StreamName.MAIN, token(for_s=-1)), 403),
        (webtransport_path(CAMERA, StreamName.MAIN, token(secret=bytes(32))), 403),
        (webtransport_path(CameraId("attic"), StreamName.MAIN, token("attic")), 404),
        (webtransport_path(CAMERA, StreamName.SUB, token()), 404),
        (f"/api/live/porch?stream=none&token={token()}", 400),
        (f"/live/porch?token={token()}", 404),
        (f"/api/live/porch/more?token={token()}", 404),
        ("/api/live/%ff?token=x", 404),
        ("*", 404),
    ],
)
async def test_who_has_no_right_is_refused(
    camera: Camera, served: ServedQuic, target: str, status: int
) -> None:
    camera.push()
    async with connected(served.port) as client:
        client.ask(target)
        await client.until(lambda: client.status is not None)
        assert client.status == status
        assert client.pictures == []
    assert served.service.watched == {}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://127.0.0.1.evil.example", "http://["]
)
async def test_a_page_of_another_host_is_refused(camera: Camera, served: ServedQuic, origin: str) -> None:
    camera.push()
    async with connected(served.port) as client:
        client.ask(served.path(), origin=origin)
        await client.until(lambda: client.status is not None)
        assert client.status == 403


async def test_a_page_of_the_same_host_may_come_from_any_port(camera: Camera, served: ServedQuic) -> None:
    camera.push()
    async with connected(served.port) as client:
        client.ask(served.path(), origin="http://127.0.0.1:8080")
        await client.until(lambda: client.pictures)


async def test_a_camera_of_which_nothing_has_come_is_refused_as_not_live() -> None:
    camera = Camera()
    camera.hub.announce([])
    async with serving(camera) as served, connected(served.port) as client:
        client.ask(served.path())
        await client.until(lambda: client.status is not None)
        assert client.status == 409


async def test_no_more_viewers_are_taken_than_configured(camera: Camera) -> None:
    camera.push()
    async with (
        serving(camera, max_viewers=1) as served,
        connected(served.port) as first,
        connected(served.port) as second,
    ):
        await watching(first, served.path())
        second.ask(served.path())
        await second.until(lambda: second.status is not None)
        assert second.status == 503
        camera.push()
        await first.until(lambda: len(first.pictures) == 2)


async def test_a_connection_carries_one_session(camera: Camera, served: ServedQuic) -> None:
    camera.push()
    async with connected(served.port) as client:
        await watching(client, served.path())
        client.ask(served.path())
        await client.until(lambda: client.status == 429)
        camera.push()
        await client.until(lambda: len(client.pictures) == 2)


async def test_a_session_that_nobody_wants_answered_leaves_nothing(
    camera: Camera, served: ServedQuic
) -> None:
    camera.push()
    async with connected(served.port) as client:
        stream_id = client.ask(served.path(), now=False)
        client._quic.stop_stream(stream_id, 0)
        client.transmit()
        await client.until(lambda: client.over)
    assert served.service.watched == {}
    assert camera.hub.sinks == ()


async def test_what_is_not_webtransport_is_not_served(camera: Camera, served: ServedQuic) -> None:
    async with connected(served.port) as client:
        client.ask(served.path(), **{":protocol": "websocket"})
        await client.until(lambda: client.status is not None)
        assert client.status == 404


async def test_who_asks_for_no_session_is_put_off(
    camera: Camera, served: ServedQuic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "SESSION_S", 0.05)
    async with connected(served.port) as client:
        await client.until(lambda: client.over)


# hostile input


async def test_giant_headers_end_the_connection_and_no_other(camera: Camera, served: ServedQuic) -> None:
    async with camera.live(), connected(served.port) as good, connected(served.port) as bad:
        await watching(good, served.path())
        stream_id = bad._quic.get_next_available_stream_id()
        bad._quic.send_stream_data(stream_id, b"\x01\xbf\xff\xff\xff" + bytes(1 << 20))  # HEADERS of 1 GiB
        bad.transmit()
        await bad.until(lambda: bad.over)
        assert bad.ended_with == ErrorCode.H3_EXCESSIVE_LOAD
        before = len(good.pictures)
        await good.until(lambda: len(good.pictures) > before + 5)


async def test_a_flood_of_streams_ends_the_connection_and_no_other(
    camera: Camera, served: ServedQuic, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where many messages have only begun their session is closed first, which the flood does not heed.
    monkeypatch.setattr(connection_module, "CLOSE_S", 60.0)
    async with camera.live(), connected(served.port) as good, connected(served.port) as bad:
        await watching(good, served.path())
        await watching(bad, served.path())
        flood = asyncio.create_task(flood_with_streams(bad))
        await bad.until(lambda: bad.over)
        flood.cancel()
        assert bad.ended_with == ErrorCode.H3_EXCESSIVE_LOAD
        before = len(good.pictures)
        await good.until(lambda: len(good.pictures) > before + 5)


async def flood_with_streams(client: Client) -> None:
    while not client.over:
        while len(client._quic._streams_queue) < 200:  # aioquic's own work grows with what is not taken yet
            client.say(b'{"type":"select","stream":"main"}', now=False)
        client.transmit()
        await asyncio.sleep(0.01)


TOO_LONG = b'{"type":"select","stream":"main","more":"%s"}' % (b"x" * 1100)


@pytest.mark.parametrize(
    "message",
    [
        b"\xff",
        b"[]",
        b'{"type":1}',
        b'{"type":"nothing"}',
        b'{"type":"sound","on":"yes"}',
        b'{"type":"sound"}',
        b"[" * 1000,
        TOO_LONG,
    ],
)
async def test_a_message_that_makes_no_sense_ends_the_session(
    camera: Camera, served: ServedQuic, message: bytes
) -> None:
    camera.push()
    async with connected(served.port) as client:
        await watching(client, served.path())
        client.say(message)
        await client.until(lambda: client.over)
        assert client.closed_by is not None


async def test_http3_that_breaks_its_rules_ends_the_connection(camera: Camera, served: ServedQuic) -> None:
    async with connected(served.port) as client:
        stream_id = client._quic.get_next_available_stream_id()
        client._quic.send_stream_data(stream_id, b"\x00\x05hello")  # DATA before HEADERS
        client.transmit()
        await client.until(lambda: client.over)


class Log:
    """Notes what is logged as a fault of ours."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def exception(self, event: str, **facts: object) -> None:
        self.faults.append(event)


async def test_noise_on_streams_ends_connections_at_most_and_is_no_fault_of_ours(
    camera: Camera, served: ServedQuic, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    monkeypatch.setattr(connection_module, "log", log)
    chance = random.Random(11)
    async with camera.live(), connected(served.port) as good:
        await watching(good, served.path())
        for _ in range(25):
            async with connected(served.port) as bad:
                if chance.random() < 0.5:
                    bad.ask(served.path())
                send_noise(bad, chance)
                before = len(good.pictures)
                await good.until(lambda before=before: len(good.pictures) > before)
    assert log.faults == []
    assert served.service.failed_datagrams == 0


def send_noise(client: Client, chance: random.Random) -> None:
    """Beginnings of HTTP/3 that go wrong somewhere: on requests, and on streams of each type."""
    for _ in range(chance.randrange(1, 12)):
        one_way = chance.random() < 0.6
        stream_id = client._quic.get_next_available_stream_id(is_unidirectional=one_way)
        kind = (
            bytes([chance.choice((0, 1, 2, 3, 0x21))])
            if one_way
            else bytes([chance.choice((0, 1, 2, 4, 5, 13))])
        )
        if one_way and chance.random() < 0.3:
            kind = b"\x40\x54" + bytes([chance.randrange(8)])  # WebTransport, of some session
        data = kind + chance.randbytes(chance.randrange(200))
        client._quic.send_stream_data(stream_id, data, end_stream=chance.random() < 0.5)
        if chance.random() < 0.2:
            client._quic.reset_stream(stream_id, 7)
    for _ in range(chance.randrange(5)):
        client._quic.send_datagram_frame(chance.randbytes(chance.randrange(1, 100)))
    client.transmit()


async def test_datagrams_that_are_noise_cost_nobody_a_picture(camera: Camera, served: ServedQuic) -> None:
    noise = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    async with camera.live(), connected(served.port) as client:
        await watching(client, served.path())
        for number in range(2_000):
            data = os.urandom(number % 1300)
            if number % 2:
                data = b"\xc0\0\0\0\1" + data  # looks like an Initial
            noise.sendto(data, ("127.0.0.1", served.port))
        before = len(client.pictures)
        await client.until(lambda: len(client.pictures) > before + 5)
    noise.close()
    assert not served.service.connections - {each.line for each in served.service.viewers}


async def test_an_address_that_is_not_proven_gets_less_than_it_sent(served: ServedQuic) -> None:
    sent: list[bytes] = []
    got: list[bytes] = []

    class Stranger(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            got.append(data)
            answered.set()

    answered = asyncio.Event()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Stranger, remote_addr=("127.0.0.1", served.port))
    async with connected(served.port) as client:
        hello = QuicConnection(configuration=client._quic.configuration)
        hello.connect(("127.0.0.1", served.port), now=loop.time())
        for data, _ in hello.datagrams_to_send(now=loop.time()):
            transport.sendto(data)
            sent.append(data)
        async with asyncio.timeout(20):
            await answered.wait()
        transport.sendto(b"\xc0\xfa\xce\xb0\x0c\0\0" + bytes(30))  # of another version, and short
        transport.sendto(sent[0])
        async with asyncio.timeout(20):
            while sum(data[1:5] == b"\0\0\0\1" for data in got) < 2:
                answered.clear()
                await answered.wait()
    transport.close()
    assert len(got) == 2, "one answer to each Initial, and none to the other"
    assert sum(map(len, got)) < sum(map(len, sent))
    assert len(served.service.connections) <= 1, "a stranger is given no memory"


# newest first


async def test_on_a_link_that_is_too_slow_pictures_are_left_out_and_the_newest_come() -> None:
    camera = Camera(h264_pictures(50, width=640))  # 750 kb/s
    async with (
        serving(camera) as served,
        camera.live(),
        lossy_quic(served.port, delay_s=0.01, rate_bytes_s=50_000) as (relay, port),
        connected(port) as client,
    ):
        await watching(client, served.path(), 5)
        (viewer,) = served.service.viewers
        relay.begin_losing()
        await client.until(lambda: viewer.skipped > 20, 30)
        before = len(client.pictures)
        await client.until(lambda: len(client.pictures) > before + 20, 30)
        late = client.pictures[before:]
        ages_s = [(each.sent_ns - each.capture_ns) / NS for each in late]
        assert max(ages_s) < 3, "what waits is what a newer key picture has not replaced yet"
        assert sum(Flag.AFRESH in each.flags for each in client.pictures) >= 2
        assert viewer.outbox.waiting_bytes < 1 << 20
        assert viewer.resets > 0, "what was begun and is late is not sent to its end"


async def test_a_viewer_that_takes_nothing_more_costs_bounded_memory_and_delays_nobody() -> None:
    camera = Camera(h264_pictures(50, width=640))
    async with (
        serving(camera) as served,
        camera.live(),
        connected(served.port) as good,
        connected(served.port, max_stream_data=4096, max_data=4096) as deaf,
    ):
        await watching(good, served.path())
        deaf.ask(served.path())
        await deaf.until(lambda: deaf.status == 200)
        await good.until(lambda: len(good.pictures) > 30)
        assert sum(viewer.sent for viewer in served.service.viewers) > 30
        assert all(viewer.outbox.waiting_bytes < 4 << 20 for viewer in served.service.viewers)
        assert good.pictures[-1].sent_ns - good.pictures[-1].capture_ns < NS


def test_aioquic_s_streams_are_as_this_project_reads_them() -> None:
    """`stream/quic/streams.py` looks at what has no public name: whether a stream's data is all sent."""
    sender = QuicStreamSender(stream_id=3, writable=True)
    assert sender.buffer_is_empty
    sender.write(b"picture", end_stream=True)
    assert not sender.buffer_is_empty
    frame = sender.get_frame(100)
    assert frame is not None
    assert frame.fin
    assert sender.get_frame(100) is None
    assert sender.buffer_is_empty
    assert not sender.is_finished
    assert hasattr(QuicConnection, "reset_stream")
    connection = QuicConnection(configuration=QuicConfiguration(is_client=True))
    connection.send_datagram_frame(b"sound")
    assert list(connection._datagrams_pending) == [b"sound"]
