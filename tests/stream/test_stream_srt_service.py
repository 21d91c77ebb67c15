"""SRT out: who is let in, what those get who are too slow, and what a bad way costs."""

import asyncio
import contextlib
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.format.format_material import decoded_frames, digest, encoded_audio, encoded_video, interleave
from tests.free_ports import free_port
from tests.stream.lossy_relay import Address, LossyRelay
from tests.stream.scripted_stream import Camera, h264_pictures
from tests.stream.srt_material import (
    CAMERA,
    DELIVERED_S,
    PASSPHRASE,
    SECRET,
    Clip,
    output_of,
    running,
    sent_out,
    served,
)

from vms.common.backoff import Backoff
from vms.common.clock import NS, SystemClock
from vms.common.errors import Unavailable
from vms.common.srt_url import SrtUrl
from vms.common.stream_name import StreamName
from vms.format.mpegts import TsDemuxer, TsFrame
from vms.format.mpegts.tables import PACKET_BYTES, PMT_PID
from vms.media import Codec, Gap, GapReason
from vms.stream.srt import Push, PushState, SrtService
from vms.stream.srt.access import passphrase_until
from vms.telemetry.metrics import read
from vms.wire.errors import PeerUnreachable
from vms.wire.srt import (
    Accept,
    CallRefused,
    RejectReason,
    SrtConnection,
    SrtGone,
    SrtListener,
    SrtOptions,
    SrtPoller,
    connect,
    resolved,
)

pytestmark = pytest.mark.needs("libsrt")


@asynccontextmanager
async def _called(
    service: SrtService, stream_id: str = CAMERA, passphrase: str | None = None
) -> AsyncIterator[SrtConnection]:
    poller = await SrtPoller().start()
    try:
        connection = await connect(
            poller, ("127.0.0.1", service.port), stream_id=stream_id, passphrase=passphrase
        )
        yield connection
        connection.close()
    finally:
        await poller.stop()


async def _refusal(service: SrtService, stream_id: str, passphrase: str | None = None) -> int:
    with pytest.raises(CallRefused) as refused:
        async with _called(service, stream_id, passphrase):
            pass
    text = str(refused.value)
    assert PASSPHRASE not in text and not (stream_id and stream_id in text)
    return refused.value.reason


class _Receiver:
    """Takes a connection's stream apart."""

    def __init__(self, connection: SrtConnection) -> None:
        self.frames: list[TsFrame] = []
        self.map_versions: list[int] = []  # of program maps, as they come
        self.first = b""
        self.ended = asyncio.Event()
        self._connection = connection
        self._demuxer = TsDemuxer()
        self._changed = asyncio.Event()
        connection.on_closed = lambda reason: self.ended.set()
        connection.read_with(self._read)

    def _read(self) -> None:
        while (message := self._connection.receive()) is not None:
            self.first = self.first or message
            self.frames += self._demuxer.feed(message)
            for at in range(0, len(message), PACKET_BYTES):
                packet = message[at : at + PACKET_BYTES]
                if int.from_bytes(packet[1:3]) & 0x1FFF == PMT_PID:
                    self.map_versions.append(packet[10] >> 1 & 0x1F)  # behind header, pointer and 5 bytes
        self._changed.set()

    async def until(self, frames: int) -> None:
        async with asyncio.timeout(20):
            while len(self.frames) < frames:
                self._changed.clear()
                await self._changed.wait()


def _metrics(service: SrtService) -> dict[str, float]:
    """By name, and by name and label where there is one."""
    found: dict[str, float] = {}
    for family in read("srt", "srt-0", [service]).families:
        for labels, value in family.samples:
            found[".".join((family.name, *labels))] = value
    return found


@pytest.mark.parametrize(
    ("stream_id", "reason"),
    [
        ("garage", RejectReason.NOT_FOUND),
        (f"{CAMERA}/sub", RejectReason.NOT_FOUND),
        ("", RejectReason.BAD_REQUEST),
        ("No Camera", RejectReason.BAD_REQUEST),
        (f"#!::r={CAMERA},m=bidirectional", RejectReason.BAD_REQUEST),
        (f"publish:{CAMERA}", RejectReason.BAD_MODE),
    ],
)
async def test_a_caller_is_told_why_it_is_refused(stream_id: str, reason: RejectReason) -> None:
    async with served(Camera().hub) as service:
        assert await _refusal(service, stream_id) == reason
        counted = _metrics(service)

    assert counted[f"vms_srt_calls_refused.{reason.name.lower()}"] == 1


async def test_nobody_is_let_in_without_the_passphrase_and_learns_of_no_camera() -> None:
    async with served(Camera().hub, passphrase=PASSPHRASE) as service:
        for stream_id in (CAMERA, "garage"):
            assert await _refusal(service, stream_id, "another-passphrase") == RejectReason.BAD_SECRET
            assert await _refusal(service, stream_id) == RejectReason.UNSECURE
        with contextlib.suppress(SrtGone):  # it may be over before it is seen to stand
            async with _called(service, "garage", PASSPHRASE) as connection:
                await asyncio.wait_for(_Receiver(connection).ended.wait(), 20)

        assert _metrics(service)["vms_srt_calls_refused.not_found"] == 1


async def test_a_url_of_the_api_lets_in_for_one_camera_and_up_to_its_end() -> None:
    now_ns = SystemClock().wall_ns()
    soon_ns = now_ns + 60 * NS
    camera = Camera()
    async with served(camera.hub, passphrase=PASSPHRASE) as service:
        secret = passphrase_until(SECRET, CAMERA, soon_ns)
        async with _called(service, f"read:{CAMERA}:until:{soon_ns}", secret):
            pass
        later = f"read:{CAMERA}:until:{soon_ns + 1}"
        assert await _refusal(service, later, secret) == RejectReason.BAD_SECRET
        other = f"read:garage:until:{soon_ns}"
        assert await _refusal(service, other, secret) == RejectReason.BAD_SECRET
        over = f"read:{CAMERA}:until:{now_ns}"
        assert (
            await _refusal(service, over, passphrase_until(SECRET, CAMERA, now_ns))
            == RejectReason.UNAUTHORIZED
        )


async def test_there_are_no_more_viewers_than_may_be() -> None:
    async with served(Camera().hub, max_viewers=1) as service:
        async with _called(service):
            assert await _refusal(service, CAMERA) == RejectReason.OVERLOAD
        async with asyncio.timeout(20):
            while service.viewers:
                await asyncio.sleep(0.01)
        async with _called(service):
            pass


async def test_as_many_viewers_as_may_be_leave_room_for_publishers() -> None:
    came: asyncio.Queue[SrtConnection] = asyncio.Queue()
    async with served(Camera().hub, max_viewers=1) as service, _called(service):
        service.access.publisher = lambda wanted: Accept()
        service.on_publisher = came.put_nowait
        assert await _refusal(service, CAMERA) == RejectReason.OVERLOAD
        async with _called(service, f"publish:{CAMERA}"):
            publisher = await asyncio.wait_for(came.get(), 20)

    assert publisher.stream_id == f"publish:{CAMERA}"


async def test_a_viewer_begins_at_a_key_picture_that_is_asked_for() -> None:
    camera = Camera(h264_pictures(gop=5))
    asked = asyncio.Event()
    camera.hub.on_key_request = asked.set
    async with served(camera.hub) as service:
        for _ in range(3):
            camera.push()
        async with _called(service) as connection:
            receiver = _Receiver(connection)
            await asyncio.wait_for(asked.wait(), 20)
            for _ in range(9):
                camera.push()
            await receiver.until(6)

    assert receiver.frames[0].key
    assert receiver.frames[0].data == camera.pictures[5][0]


async def test_a_second_viewer_begins_at_the_next_key_picture_too() -> None:
    camera = Camera(h264_pictures(gop=5))
    async with served(camera.hub) as service, _called(service) as first:
        before = _Receiver(first)
        await _until(lambda: len(service.viewers) == 1)
        for _ in range(7):
            camera.push()
        await before.until(6)
        async with _called(service) as second:
            receiver = _Receiver(second)
            await _until(lambda: len(service.viewers) == 2)
            for _ in range(8):
                camera.push()
            await receiver.until(4)

    assert receiver.first.startswith(b"\x47\x40\x00")  # tables, and nothing before them
    assert receiver.frames[0].key
    assert receiver.frames[0].data == camera.pictures[10][0]


@pytest.mark.parametrize("how", ["gap", "discontinuity"])
async def test_nothing_comes_between_a_loss_and_the_next_key_picture(how: str) -> None:
    camera = Camera(h264_pictures(gop=5))
    async with served(camera.hub) as service, _called(service) as connection:
        receiver = _Receiver(connection)
        await _until(lambda: len(service.viewers) == 1)
        for _ in range(7):
            camera.push()
        if how == "gap":
            camera.hub.gap(Gap(0, 1, GapReason.PACKET_LOSS))
        else:
            camera.discontinuity = True
        for _ in range(7):
            camera.push()
        await receiver.until(10)

    expected = [camera.pictures[number][0] for number in (*range(7), *range(10, 13))]
    assert [frame.data for frame in receiver.frames[:10]] == expected


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_other_tracks_come_with_other_tables_on_the_same_connection() -> None:
    old, new = encoded_video(Codec.H264, 10), encoded_video(Codec.H265, 10)
    sound = encoded_audio(Codec.AAC, 0.4)
    clip = Clip(old, speed=100)
    async with served(clip.hub) as service, _called(service) as connection:
        receiver = _Receiver(connection)
        await receiver.until(9)
        clip.hub.announce([new[0].track, replace(sound[0].track, id=2)])
        for unit in interleave(new, [each._replace(track=replace(each.track, id=2)) for each in sound]):
            clip.hub.push(unit)
        await receiver.until(27)

    codecs = [frame.codec for frame in receiver.frames]
    assert codecs[:9] == [Codec.H264] * 9
    assert {Codec.H265, Codec.AAC} <= set(codecs[10:])
    assert Codec.H264 not in codecs[10:]
    assert sorted(set(receiver.map_versions)) == [0, 1]


async def test_viewers_are_let_go_when_their_camera_is() -> None:
    async with served(Camera().hub) as service, _called(service) as connection:
        receiver = _Receiver(connection)
        async with asyncio.timeout(20):
            while not service.viewers:
                await asyncio.sleep(0.01)
        service.end_camera(CAMERA)
        await asyncio.wait_for(receiver.ended.wait(), 20)

        assert not service.viewers


@pytest.mark.needs("ffmpeg")
async def test_a_viewer_that_takes_nothing_costs_others_nothing_and_is_counted() -> None:
    camera = Camera(h264_pictures(gop=10))
    async with served(camera.hub, options=SrtOptions(send_buffer_bytes=48 << 10)) as service:
        url = f"srt://127.0.0.1:{service.port}?streamid={CAMERA}"
        async with running("ffmpeg", "-v", "fatal", "-i", url, "-f", "null", "-") as stalled:
            async with asyncio.timeout(20):
                while not service.viewers:
                    await asyncio.sleep(0.01)
            (viewer,) = service.viewers
            stalled.send_signal(signal.SIGSTOP)
            async with _called(service) as connection, asyncio.timeout(20):
                receiver = _Receiver(connection)
                while len(service.viewers) < 2:
                    await asyncio.sleep(0.01)
                pushed = 0
                while not viewer.overruns:
                    camera.push()
                    pushed += 1
                    await asyncio.sleep(0.005)
                begun = viewer.skipped
                for _ in range(20):
                    camera.push()
                    await asyncio.sleep(0.005)
                await receiver.until(pushed + 10)
            counted = _metrics(service)

    assert viewer.skipped > begun
    assert counted["vms_srt_overruns"] >= 1 and counted["vms_srt_messages_skipped"] >= viewer.skipped


class _SrtLoss(LossyRelay):
    """Loses a twentieth of what the server sends with media in it."""

    def __init__(self, server: Address) -> None:
        super().__init__(server, lambda number: False)
        self.lost = 0
        self._random = random.Random(5)

    def from_server(self, data: bytes, client: Address) -> None:
        is_media = not data[0] & 0x80  # the first bit of a control packet is set
        if is_media and self._random.random() < 0.05:
            self.lost += 1
            return
        assert self.transport is not None
        self.transport.sendto(data, client)


class _StandStill(LossyRelay):
    """Passes no media while `stands`, and everything else: the peer is there, and gets nothing."""

    def __init__(self, server: Address) -> None:
        super().__init__(server, lambda number: False)
        self.stands = False

    def from_server(self, data: bytes, client: Address) -> None:
        assert self.transport is not None
        if data[0] & 0x80 or not self.stands:
            self.transport.sendto(data, client)


async def test_a_viewer_whose_network_stands_still_goes_on_at_a_key_picture_though_its_buffer_has_room() -> (
    None
):
    camera = Camera(h264_pictures(gop=10))
    loop = asyncio.get_running_loop()
    async with served(camera.hub) as service, asyncio.timeout(40):
        transport, relay = await loop.create_datagram_endpoint(
            lambda: _StandStill(("127.0.0.1", service.port)), local_addr=("127.0.0.1", 0)
        )
        connection = await connect(service.poller, transport.get_extra_info("sockname"), stream_id=CAMERA)
        receiver = _Receiver(connection)
        while not service.viewers:
            await asyncio.sleep(0.01)
        (viewer,) = service.viewers
        while len(receiver.frames) < 5:
            camera.push()
            await asyncio.sleep(0.02)
        relay.stands = True
        while not viewer.overruns:
            camera.push()
            await asyncio.sleep(0.02)
        relay.stands = False
        seen = len(receiver.frames)
        while len(receiver.frames) < seen + 20:
            camera.push()
            await asyncio.sleep(0.02)
        counted = _metrics(service)
        connection.close()
        transport.close()
        for upstream in relay.upstream.values():
            upstream.close()

    assert viewer.connection.full == 0
    assert counted["vms_srt_messages_dropped"] > 0 and counted["vms_srt_overruns"] >= 1
    assert viewer.skipped > 0
    assert any(frame.key for frame in receiver.frames[seen:])


@pytest.mark.needs("ffmpeg")
async def test_five_percent_of_loss_cost_no_picture() -> None:
    units = encoded_video(Codec.H264, 75, b_frames=2)
    clip = Clip(units, speed=1.5)
    loop = asyncio.get_running_loop()
    async with served(clip.hub) as service:
        transport, relay = await loop.create_datagram_endpoint(
            lambda: _SrtLoss(("127.0.0.1", service.port)), local_addr=("127.0.0.1", 0)
        )
        url = f"srt://127.0.0.1:{transport.get_extra_info('sockname')[1]}?streamid={CAMERA}"
        to_md5 = ("-fps_mode", "passthrough", "-f", "framemd5", "-")
        async with running("ffmpeg", "-v", "fatal", "-i", url, *to_md5) as player:
            async with asyncio.timeout(30):
                await clip.played.wait()
            await sent_out(service)
            await asyncio.sleep(DELIVERED_S)
            (viewer,) = service.viewers
            viewer.look()
            counted = _metrics(service)
            service.end_camera(CAMERA)
            lines, errors = await output_of(player)
        transport.close()
        for upstream in relay.upstream.values():
            upstream.close()

    md5s = [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]
    assert md5s == [digest(frame) for frame in decoded_frames(units)], errors
    assert relay.lost > 0
    assert counted["vms_srt_messages_retransmitted"] >= relay.lost


async def test_a_push_says_why_it_is_not_live_and_calls_again() -> None:
    port = free_port()
    camera = Camera()

    async def secret() -> str | None:
        return None

    push = Push(CAMERA, StreamName.MAIN, SrtUrl.parse(f"srt://127.0.0.1:{port}?streamid={CAMERA}"), secret)
    async with served(camera.hub, pushes=[push], listens=False) as service, asyncio.timeout(30):
        while push.state is not PushState.FAILED:
            await asyncio.sleep(0.01)
        assert push.reason == f"SRT: nobody answers at 127.0.0.1 port {port}"
        assert _metrics(service)[f"vms_srt_push_up.{CAMERA}.127.0.0.1:{port}"] == 0


async def test_a_push_whose_camera_is_taken_away_does_not_blame_the_other_side() -> None:
    async def secret() -> str | None:
        return None

    poller = await SrtPoller().start()
    listener = SrtListener(
        poller, ("127.0.0.1", 0), SrtOptions(), lambda call: Accept(), lambda connection: None
    )
    await listener.start()
    url = SrtUrl.parse(f"srt://127.0.0.1:{listener.address[1]}?streamid=key")
    push = Push(CAMERA, StreamName.MAIN, url, secret)
    try:
        async with served(Camera().hub, pushes=[push], listens=False) as service, asyncio.timeout(30):
            while not service.viewers:
                await asyncio.sleep(0.01)
            service.end_camera(CAMERA)
            while push.state is not PushState.FAILED:
                await asyncio.sleep(0.01)
            assert push.reason == f"there is no camera {CAMERA} any more"
    finally:
        await listener.stop()
        await poller.stop()


async def test_waiting_for_its_camera_is_no_success_of_a_push(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would call at the shortest interval for ever."""
    monkeypatch.setattr("vms.stream.srt.push.LASTED_S", 0.01)
    waits: list[float] = []

    class Kept(Backoff):
        def next_s(self) -> float:
            waits.append(super().next_s())
            return 0.0

    async def secret() -> str | None:
        await asyncio.sleep(0.05)  # as for a lease that does not come
        raise Unavailable("not yet")

    backoff = Kept(first_s=1, longest_s=64)
    push = Push(CAMERA, StreamName.MAIN, SrtUrl.parse("srt://127.0.0.1:9"), secret, backoff)
    async with served(Camera().hub, pushes=[push], listens=False), asyncio.timeout(20):
        while len(waits) < 4:
            await asyncio.sleep(0.01)
    assert waits[:4] == sorted(waits[:4]) and waits[3] > waits[0]


async def test_a_name_without_an_address_is_told_as_unreachable() -> None:
    for name in ("no-such-host.invalid", "x" * 64 + ".example", "a..b"):
        with pytest.raises(PeerUnreachable, match="its name has no address"):
            await resolved(name, 9000)


async def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1 UDP port {port}.*choose another srt\.port"):
            async with served(Camera().hub, port=port):
                pass
