"""The public server against a client of a few lines: who gets in, what is found, what a player is given."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.relay.conftest import CAMERA, until
from tests.relay.material import AUDIO, PPS, SPS, VIDEO, picture, sound
from tests.wire.raw_rtsp import Frame, RawRtsp

from vms.common.clock import NS, Clock, SystemClock
from vms.common.errors import NotFound, Unavailable
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.format import nal
from vms.media import Codec, Gap, GapReason, Hub, Track
from vms.relay import PublicRtsp, public
from vms.wire import rtcp
from vms.wire.rtp import timestamp_delta
from vms.wire.rtsp.auth import ClientAuthenticator
from vms.wire.rtsp.server_feed import interleaved_frame
from vms.wire.rtsp.transport import parse_rtp_info


class Lease:
    """A hub of this process, and how often it was taken and given back."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.held = 0
        self.reason: str | None = None

    async def ready(self, timeout_s: float) -> None:
        if self.reason is not None:
            raise Unavailable(self.reason)

    def release(self) -> None:
        self.held -= 1


class House:
    """One camera, served."""

    def __init__(self, clock: Clock, token: str | None = None, **options: object) -> None:
        self.hub = Hub(CAMERA)
        self.lease = Lease(self.hub)
        self.leases = {StreamName.MAIN: self.lease}
        self.server = PublicRtsp(self.resolve, clock, token=token, **options)  # type: ignore[arg-type]

    async def resolve(self, camera_id: CameraId, stream: StreamName) -> Lease:
        if camera_id != CAMERA or stream not in self.leases:
            raise NotFound(f"no camera {camera_id} with a stream {stream}")
        lease = self.leases[stream]
        lease.held += 1
        return lease

    async def connect(self, path: str = "/camera") -> RawRtsp:
        return await RawRtsp.connect(self.server.port, path)

    async def play(self, *, sound: bool = False, path: str = "/camera") -> RawRtsp:
        client = await self.connect(path)
        assert (await client.set_up(1)).status == 200
        if sound:
            await client.set_up(2, "RTP/AVP/TCP;unicast;interleaved=2-3")
        assert (await client.ask("PLAY")).status == 200
        return client


@asynccontextmanager
async def open_house(token: str | None = None, **options: object) -> AsyncIterator[House]:
    house = House(SystemClock(), token, **options)
    await house.server.start()
    try:
        yield house
    finally:
        await house.server.stop()
        assert house.lease.held == 0, "every lease was given back"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as house:
        house.hub.announce([VIDEO, AUDIO])
        yield house


async def pictures(client: RawRtsp, count: int, channel: int = 0) -> list[Frame]:
    return await client.frames_of(channel, count)


# What is found.


@pytest.mark.parametrize("path", ["/camera", "/camera/main", "/camera/"])
async def test_a_camera_is_described_by_both_its_names(house: House, path: str) -> None:
    client = await house.connect(path)
    response = await client.ask("DESCRIBE", Accept="application/sdp")
    assert response.status == 200
    assert b"m=video" in response.body and b"m=audio" in response.body
    assert b"extmap" not in response.body and b"x-vms" not in response.body
    await client.close()


@pytest.mark.parametrize(
    "path", ["/other", "/camera/sub", "/camera/third", "/camera/main/x", "/", "/A..B", "/camera%20"]
)
async def test_what_does_not_exist_is_not_found(house: House, path: str) -> None:
    client = await house.connect(path)
    assert (await client.ask("DESCRIBE")).status == 404
    await client.close()


async def test_a_sub_stream_is_another_stream_with_a_lease_of_its_own(house: House) -> None:
    sub = Lease(Hub("camera/sub"))
    small = replace(VIDEO, parameter_sets=(SPS, PPS + b"\1"))
    sub.hub.announce([small])
    sub.hub.push(picture(0, key=True, track=small))
    house.leases[StreamName.SUB] = sub
    main, other = await house.play(), await house.play(path="/camera/sub")
    assert (house.lease.held, sub.held) == (1, 1)
    assert (len(house.hub.sinks), len(sub.hub.sinks)) == (1, 1)
    house.server.end(CAMERA)
    assert (house.lease.held, sub.held) == (0, 0)
    await main.close()
    await other.close()


async def test_a_key_picture_is_asked_for_when_a_player_would_have_to_wait_for_one(house: House) -> None:
    house.hub.push(picture(0, key=True))
    over_tcp = await house.play()
    assert house.hub.key_requests == 0, "it is given the group of pictures"
    over_udp = await house.connect()
    await over_udp.set_up(1, "RTP/AVP;unicast;client_port=40000-40001")
    assert (await over_udp.ask("PLAY")).status == 200
    assert house.hub.key_requests == 1
    await over_tcp.close()
    await over_udp.close()


async def test_a_player_s_wish_for_a_key_picture_reaches_the_hub_of_its_stream(house: House) -> None:
    house.hub.push(picture(0, key=True))
    client = await house.play()
    pli = rtcp.pack([rtcp.ReceiverReport(1), rtcp.PictureLossIndication(1, 2)])
    client.writer.write(interleaved_frame(1, pli))
    await until(lambda: house.hub.key_requests == 1)
    await client.close()


async def test_a_camera_that_cannot_be_reached_is_unavailable_with_the_reason(house: House) -> None:
    house.lease.reason = "camera: no process has the\r\ncamera now"
    client = await house.connect()
    response = await client.ask("DESCRIBE")
    assert (response.status, response.reason) == (503, "camera: no process has the camera now")
    house.lease.reason = None
    assert (await client.ask("DESCRIBE")).status == 200
    await client.close()


async def test_a_camera_that_is_not_live_is_unavailable_with_the_reason(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public, "LIVE_WAIT_S", 0.05)
    client = await house.connect()
    house.hub.gap(Gap(1, None, GapReason.CAMERA_LOST, "it was unplugged"))
    response = await client.ask("DESCRIBE")
    assert (response.status, response.reason) == (503, "the camera is not live: it was unplugged")
    house.hub.push(picture(0, key=True))
    assert (await client.ask("DESCRIBE")).status == 200
    house.hub.tracks = ()
    house.server.end(CAMERA)
    assert "sent nothing yet" in (await client.ask("DESCRIBE")).reason
    await client.close()


async def test_a_request_waits_for_a_camera_that_is_about_to_be_live_and_others_do_not_wait_for_it() -> None:
    async with open_house() as house:
        client, other = await house.connect(), await house.connect("/other")
        asking = asyncio.create_task(client.ask("DESCRIBE"))
        assert (await other.ask("OPTIONS")).status == 200
        assert (await other.ask("DESCRIBE")).status == 404
        assert not asking.done()
        house.hub.announce([VIDEO])
        assert (await asking).status == 200
        for each in (client, other):
            await each.close()


async def test_requests_behind_one_that_waits_are_answered_in_order() -> None:
    async with open_house() as house:
        client = await house.connect()
        for number, method in enumerate(("DESCRIBE", "OPTIONS", "TEARDOWN"), 1):
            client.writer.write(f"{method} {client.url} RTSP/1.0\r\nCSeq: {number}\r\n\r\n".encode())
        await asyncio.sleep(0.05)
        house.hub.announce([VIDEO])
        assert [((await client.response()).cseq, n) for n in (1, 2, 3)] == [(1, 1), (2, 2), (3, 3)]
        await client.close()


async def test_a_client_that_leaves_while_it_waits_leaves_nothing_behind() -> None:
    async with open_house() as house:
        client = await house.connect()
        client.writer.write(f"DESCRIBE {client.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        await until(lambda: house.lease.held == 1)
        await client.close()
        await until(lambda: house.lease.held == 0)


async def test_two_clients_that_wait_share_the_stream() -> None:
    async with open_house() as house:
        clients = [await house.connect() for _ in range(2)]
        asking = [asyncio.create_task(client.set_up()) for client in clients]
        await until(lambda: house.lease.held == 2)
        house.hub.announce([VIDEO])
        responses = await asyncio.gather(*asking)
        assert [response.status for response in responses] == [200, 200]
        assert len({response.headers["Transport"].partition("ssrc=")[2] for response in responses}) == 1
        assert house.lease.held == 1
        for client in clients:
            await client.close()


async def test_a_client_that_sends_on_while_it_waits_is_not_read_without_bound() -> None:
    async with open_house() as house:
        client = await house.connect()
        client.writer.write(f"DESCRIBE {client.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        flood = f"OPTIONS {client.url} RTSP/1.0\r\nCSeq: 2\r\n\r\n".encode()
        for _ in range(400):
            client.writer.write(flood * 200)
        await asyncio.sleep(0.1)
        (connection,) = house.server._server._connections
        assert len(connection._received) < 1 << 20
        house.hub.announce([VIDEO])
        assert (await client.response()).cseq == 1
        client.writer.transport.abort()


# Who gets in.


async def test_the_token_is_the_password_whatever_the_user_name() -> None:
    async with open_house(token="vms_token") as house:
        house.hub.announce([VIDEO])
        for user, password, expected in (
            ("anybody", "vms_token", 200),
            ("", "vms_token", 200),
            ("anybody", "guess", 401),
        ):
            client = await house.connect()
            challenge = await client.ask("DESCRIBE")
            assert challenge.status == 401
            authenticator = ClientAuthenticator(user, password)
            authenticator.learn(challenge.headers.all("WWW-Authenticate"))
            answer = authenticator.authorization("DESCRIBE", client.url) or ""
            assert (await client.ask("DESCRIBE", Authorization=answer)).status == expected
            await client.close()
        counted = {family.name: family.samples[0][1] for family in house.server.metrics()}
        assert counted["vms_rtsp_credentials_refused"] == 1


async def test_without_the_token_nobody_learns_which_cameras_there_are() -> None:
    async with open_house(token="vms_token") as house:
        house.hub.announce([VIDEO])
        for path in ("/camera", "/other"):
            client = await house.connect(path)
            assert (await client.ask("DESCRIBE")).status == 401
            await client.close()
        assert house.lease.held == 0


async def test_a_connection_that_shows_no_credentials_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "LOGIN_S", 0.1)
    async with open_house(token="vms_token") as house:
        client = await house.connect()
        assert (await client.ask("OPTIONS")).status == 200
        assert await client.closed() == b""
        await client.close()


async def test_it_accepts_from_a_listening_socket_that_others_accept_from_too() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    copy = listener.dup()
    async with open_house(sock=listener) as house:
        house.hub.announce([VIDEO])
        assert house.server.port == copy.getsockname()[1]
        client = await house.connect()
        assert (await client.ask("DESCRIBE")).status == 200
        await client.close()
    copy.close()


# What a player is given.


async def test_a_player_that_joins_catches_up_at_once_and_numbers_go_on(house: House) -> None:
    for number in range(5):
        house.hub.push(picture(number, key=number == 0))
        house.hub.push(sound(2 * number))
    client = await house.connect()
    await client.set_up(1)
    await client.set_up(2, "RTP/AVP/TCP;unicast;interleaved=2-3")
    video, audio = parse_rtp_info((await client.ask("PLAY")).headers["RTP-Info"])
    house.hub.push(picture(5))
    house.hub.push(sound(10))
    frames = []
    while len(frames) < 8:  # the key picture is two packets: its parameter sets, and itself
        frame = await client.frame()
        if frame.channel in (0, 2):
            frames.append(frame)
    shown, heard = [f for f in frames if f.channel == 0], [f for f in frames if f.channel == 2]
    first = shown[0]
    assert (video.sequence_number, video.rtp_timestamp) == (first.sequence_number, first.timestamp)
    assert audio.sequence_number is None
    numbers = [(frame.sequence_number - first.sequence_number) & 0xFFFF for frame in shown]
    assert numbers == list(range(7))
    steps = [timestamp_delta(frame.timestamp, first.timestamp) for frame in shown]
    assert steps == [0, 0, 90, 180, 270, 360, 360 + 3600]
    assert len(heard) == 1, "sound begins live"
    assert shown[1].payload == bytes(next(nal.split(picture(0, key=True).data)))
    await client.close()


async def test_pictures_that_are_shown_out_of_order_catch_up_in_the_order_of_presentation(
    house: House,
) -> None:
    track = replace(VIDEO, max_reorder=1)
    house.hub.announce([track, AUDIO])
    order = [0, 2, 1, 4, 3, 6, 5, 8]  # presentation of the n-th in decoding order
    for number, shown in enumerate(order):
        unit = picture(number, key=number == 0, track=track)
        house.hub.push(unit._replace(pts=unit.dts + (shown - number + 1) * 3600))
    client = await house.play()
    _, *frames = await pictures(client, 1 + len(order))
    stamps = [timestamp_delta(frame.timestamp, frames[0].timestamp) for frame in frames]
    assert sorted(range(len(order)), key=lambda n: stamps[n]) == sorted(
        range(len(order)), key=lambda n: order[n]
    )
    assert len(set(stamps)) == len(order)
    assert stamps[-1] - stamps[5] == 2 * 3600, "between these two a picture may still come"
    assert stamps[1] == 180
    await client.close()


async def test_parameter_sets_precede_every_key_picture_that_lacks_them(house: House) -> None:
    client = await house.play()
    house.hub.push(picture(0, key=True))
    delimiter = b"\x09\xf0"
    own = [b"\x67\x42\0\x0a\x9a", b"\x68\xce", b"\x65" + bytes(50)]
    house.hub.push(picture(1, key=True)._replace(data=nal.join([delimiter, b"\x65" + bytes(50)])))
    house.hub.push(picture(2, key=True)._replace(data=nal.join(own)))
    first, _, then, _, last, _ = await pictures(client, 6)
    assert first.payload[0] & 0x1F == 24 and SPS in first.payload and PPS in first.payload
    assert then.payload.index(delimiter) < then.payload.index(SPS) < then.payload.index(PPS)
    assert SPS not in last.payload and own[0] in last.payload
    await client.close()


async def test_after_a_loss_a_player_gets_no_picture_before_the_next_key_picture(house: House) -> None:
    client = await house.play(sound=True)
    house.hub.push(picture(0, key=True))
    house.hub.push(picture(2, discontinuity=True))
    house.hub.push(picture(3))
    house.hub.push(sound(6))
    house.hub.push(picture(4, key=True))
    frames = []
    while len([frame for frame in frames if frame.channel == 0]) < 4:  # two key pictures of two packets
        frames.append(await client.frame())
    shown = [frame for frame in frames if frame.channel == 0]
    numbers = [(frame.sequence_number - shown[0].sequence_number) & 0xFFFF for frame in shown]
    assert numbers == [0, 1, 2, 3]
    assert timestamp_delta(shown[2].timestamp, shown[0].timestamp) == 4 * 3600
    assert any(frame.channel == 2 for frame in frames), "sound goes on"
    await client.close()


async def test_timestamps_go_on_where_the_timeline_begins_anew(house: House) -> None:
    client = await house.play()
    before = picture(1000, key=True)
    house.hub.push(before)
    house.hub.gap(Gap(before.capture_ns, None, GapReason.CAMERA_LOST))
    after = picture(0, key=True, discontinuity=True)._replace(capture_ns=before.capture_ns + 2 * NS)
    house.hub.push(after)
    frames = await pictures(client, 4)
    assert timestamp_delta(frames[2].timestamp, frames[0].timestamp) == 2 * 90_000
    await client.close()


async def test_sender_reports_put_sound_and_pictures_on_one_wall_clock(house: House) -> None:
    now_ns = SystemClock().wall_ns()
    house.hub.push(picture(0, key=True)._replace(capture_ns=now_ns))
    house.hub.push(sound(0)._replace(capture_ns=now_ns + NS // 100))
    client = await house.play(sound=True)
    house.hub.push(sound(1)._replace(capture_ns=now_ns + NS // 100 + NS // 50))
    captured_ns, frames = {}, {}
    while len(frames) < 2 or len(captured_ns) < 2:
        frame = await client.frame()
        if frame.channel % 2:
            report = rtcp.parse(frame.data)[0]
            assert isinstance(report, rtcp.SenderReport)
            captured_ns[frame.channel - 1] = (rtcp.ntp_to_unix_ns(report.ntp), report.rtp_timestamp)
        else:
            frames[frame.channel] = frame
    for channel, rate, wanted_ns in ((0, 90_000, now_ns), (2, 8000, now_ns + NS // 100 + NS // 50)):
        at_ns, stamp = captured_ns[channel]
        found_ns = at_ns + timestamp_delta(frames[channel].timestamp, stamp) * NS // rate
        assert abs(found_ns - wanted_ns) < NS // 1000
    await client.close()


async def test_another_codec_ends_the_session_and_a_new_one_has_it(house: House) -> None:
    client = await house.play()
    house.hub.push(picture(0, key=True))
    await pictures(client, 2)
    aac = Track(2, Codec.AAC, 48_000, (bytes.fromhex("1190"),), sample_rate=48_000, channels=2)
    house.hub.announce([VIDEO, aac])
    house.hub.push(picture(1, key=True))
    assert b"\x81\xcb" in await client.closed()
    again = await house.connect()
    assert b"MPEG4-GENERIC/48000/2" in (await again.ask("DESCRIBE")).body
    for each in (client, again):
        await each.close()


async def test_new_parameter_sets_are_described_and_sent_in_the_same_session(house: House) -> None:
    client = await house.play()
    house.hub.push(picture(0, key=True))
    await pictures(client, 2)
    newer = replace(VIDEO, version=1, parameter_sets=(SPS, PPS + b"\1"))
    house.hub.announce([newer, AUDIO])
    house.hub.push(picture(1, key=True, track=newer))
    sets, _ = await pictures(client, 2)
    assert PPS + b"\1" in sets.payload
    await client.close()


async def test_fifty_players_get_the_same_packets_and_a_slow_one_delays_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(public, "LIMIT_BYTES", 1 << 20)
    async with open_house() as house:
        house.hub.announce([VIDEO])
        clients = [await house.play() for _ in range(50)]
        slow = await house.play()
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert house.server.players == 51
        readers = [asyncio.create_task(_packets_of(client, 60)) for client in clients]
        for number in range(60):
            house.hub.push(picture(number, key=number == 0, size=200_000 if number % 10 == 0 else 20_000))
            await asyncio.sleep(0.005)
        first, *others = await asyncio.gather(*readers)
        assert all(other == first for other in others)
        numbers = [int.from_bytes(packet[2:4]) for packet in first]
        assert all((later - sooner) & 0xFFFF == 1 for sooner, later in pairwise(numbers))
        house.hub.push(picture(60, size=3_000_000))
        house.hub.push(picture(61))
        counted = {family.name: family.samples[0][1] for family in house.server.metrics()}
        assert counted["vms_rtsp_overruns"] >= 1
        for client in [*clients, slow]:
            client.writer.transport.abort()


async def _packets_of(client: RawRtsp, count: int) -> list[bytes]:
    """The RTP packets of the next `count` pictures."""
    packets: list[bytes] = []
    while count:
        frame = await client.frame()
        if frame.channel == 0:
            packets.append(frame.data)
            count -= frame.marker
    return packets


async def test_a_stream_that_nobody_watches_is_given_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vms.relay import streams

    monkeypatch.setattr(streams, "GRACE_NS", 0)
    client = await house.play()
    assert house.lease.held == 1
    await asyncio.sleep(0.6)
    assert house.lease.held == 1, "it is being watched"
    await client.close()
    await until(lambda: house.lease.held == 0)
    assert house.hub.sinks == ()
