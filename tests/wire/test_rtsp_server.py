"""The RTSP server against a client of a few lines: every method, what it refuses, what it sends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.wire.raw_rtsp import RawRtsp
from tests.wire.scripted_feed import ScriptedFeed

from vms.common.clock import ManualClock
from vms.wire import rtcp
from vms.wire.rtsp.auth import ClientAuthenticator, ServerAuthenticator
from vms.wire.rtsp.server import CannotListen, RtspServer, ServerOptions, Stream
from vms.wire.rtsp.transport import parse_rtp_info

Start = Callable[..., Awaitable[RtspServer]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def feed() -> ScriptedFeed:
    return ScriptedFeed()


@pytest.fixture
async def start(feed: ScriptedFeed, clock: ManualClock) -> AsyncIterator[Start]:
    servers: list[RtspServer] = []

    async def begin(**options: object) -> RtspServer:
        streams = {"/camera-1": Stream(feed, clock), "/camera-2": Stream(ScriptedFeed(), clock)}
        server = RtspServer(streams, options=ServerOptions(**options), clock=clock)  # type: ignore[arg-type]
        servers.append(server)
        await server.start()
        return server

    yield begin
    for server in servers:
        await server.stop()


@pytest.fixture
async def client(start: Start) -> AsyncIterator[RawRtsp]:
    server = await start()
    client = await RawRtsp.connect(server.port)
    yield client
    await client.close()


async def test_options_names_the_methods(client: RawRtsp) -> None:
    response = await client.ask("OPTIONS")
    assert response.status == 200
    for method in ("DESCRIBE", "SETUP", "PLAY", "PAUSE", "GET_PARAMETER", "TEARDOWN"):
        assert method in response.headers["Public"]


async def test_describe_gives_a_description_with_relative_controls(client: RawRtsp) -> None:
    response = await client.ask("DESCRIBE", Accept="application/sdp")
    assert response.status == 200
    assert response.headers["Content-Base"] == client.url + "/"
    assert b"m=video 0 RTP/AVP 96" in response.body
    assert b"a=control:trackID=2" in response.body


async def test_describe_of_an_unknown_path_is_not_found(client: RawRtsp) -> None:
    assert (await client.ask("DESCRIBE", client.url + "0")).status == 404


async def test_describe_for_a_client_that_takes_no_sdp_is_not_acceptable(client: RawRtsp) -> None:
    assert (await client.ask("DESCRIBE", Accept="text/html")).status == 406


async def test_an_unknown_method_is_not_implemented(client: RawRtsp) -> None:
    assert (await client.ask("RECORD")).status == 501


async def test_a_request_without_cseq_is_bad(client: RawRtsp) -> None:
    client.writer.write(b"OPTIONS * RTSP/1.0\r\n\r\n")
    assert (await client.response()).status == 400


async def test_a_required_extension_is_not_supported(client: RawRtsp) -> None:
    response = await client.ask("DESCRIBE", Require="onvif-replay")
    assert (response.status, response.headers["Unsupported"]) == (551, "onvif-replay")


async def test_setup_answers_with_channels_ssrc_and_a_session_timeout(client: RawRtsp) -> None:
    response = await client.set_up()
    assert response.headers["Transport"] == "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=11111111"
    assert response.headers["Session"].endswith(";timeout=60")


async def test_setup_of_lines_on_the_same_channels_gets_others(client: RawRtsp) -> None:
    await client.set_up(1)
    response = await client.set_up(2, "RTP/AVP/TCP;unicast;interleaved=1-2")
    assert "interleaved=2-3" in response.headers["Transport"]


@pytest.mark.parametrize(
    "transport",
    [
        "RTP/AVP;multicast",
        "RTP/AVP",
        "RTP/AVP;unicast;client_port=0-1",
        "RAW/RAW/UDP",
        "",
        "RTP/AVP;client_port=x",
    ],
)
async def test_a_transport_that_cannot_be_used_is_refused(client: RawRtsp, transport: str) -> None:
    assert (await client.set_up(transport=transport)).status == 461


async def test_the_first_usable_transport_of_several_is_taken(client: RawRtsp) -> None:
    response = await client.set_up(transport="RTP/AVP;multicast,RTP/AVP/TCP;unicast;interleaved=4-5")
    assert "interleaved=4-5" in response.headers["Transport"]


async def test_setup_of_a_whole_stream_of_two_lines_is_refused(client: RawRtsp) -> None:
    assert (await client.ask("SETUP", Transport="RTP/AVP/TCP;interleaved=0-1")).status == 459


async def test_setup_of_another_stream_in_the_same_session_is_refused(client: RawRtsp) -> None:
    await client.set_up()
    client.url = client.url.replace("camera-1", "camera-2")
    assert (await client.set_up()).status == 459


async def test_requests_for_a_session_that_is_not_there_are_refused(client: RawRtsp) -> None:
    for method in ("PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"):
        assert (await client.ask(method, Session="abc")).status == 454


async def test_play_says_where_it_begins_then_sends_reports_and_packets(
    client: RawRtsp, feed: ScriptedFeed, clock: ManualClock
) -> None:
    clock.advance(2)
    await client.set_up(1)
    await client.set_up(2, "RTP/AVP/TCP;unicast;interleaved=2-3")
    response = await client.ask("PLAY", Range="npt=0.000-")
    assert response.status == 200
    video, audio = parse_rtp_info(response.headers["RTP-Info"])
    assert (video.url, video.sequence_number, video.rtp_timestamp) == (
        client.url + "/trackID=1",
        65_530,
        9000,
    )
    assert (audio.sequence_number, audio.rtp_timestamp) == (None, 800)
    feed.push(b"k" * 9, b"l" * 7, timestamp=9000, key=True)
    frames = [await client.frame() for _ in range(4)]
    assert [frame.channel for frame in frames] == [1, 3, 0, 0]
    report = rtcp.parse(frames[0].data)[0]
    assert isinstance(report, rtcp.SenderReport)
    assert (report.ssrc, report.rtp_timestamp) == (0x11111111, 180_000)
    assert abs(rtcp.ntp_to_unix_ns(report.ntp) - clock.wall_ns()) < 1000
    assert [frame.payload for frame in frames[2:]] == [b"k" * 9, b"l" * 7]
    assert [frame.sequence_number for frame in frames[2:]] == [65_530, 65_531]
    assert [frame.marker for frame in frames[2:]] == [False, True]


async def test_sequence_numbers_wrap_within_a_run(client: RawRtsp, feed: ScriptedFeed) -> None:
    await client.set_up()
    await client.ask("PLAY")
    feed.push(*[b"x"] * 10, key=True)
    frames = await client.frames_of(0, 10)
    assert [frame.sequence_number for frame in frames] == [*range(65_530, 65_536), *range(4)]


async def test_a_client_begins_with_a_key_picture(client: RawRtsp, feed: ScriptedFeed) -> None:
    await client.set_up(1)
    await client.set_up(2, "RTP/AVP/TCP;unicast;interleaved=2-3")
    await client.ask("PLAY")
    feed.push(b"broken")
    feed.push(b"sound too early", line=1)
    feed.push(b"key", key=True)
    feed.push(b"sound", line=1)
    payloads = [
        frame.payload for frame in [await client.frame() for _ in range(4)] if frame.channel in (0, 2)
    ]
    assert payloads == [b"key", b"sound"]


async def test_a_client_of_sound_alone_does_not_wait_for_pictures(
    client: RawRtsp, feed: ScriptedFeed
) -> None:
    await client.set_up(2)
    await client.ask("PLAY")
    feed.push(b"picture", key=True)
    feed.push(b"sound", line=1)
    assert [frame.payload for frame in await client.frames_of(0, 1)] == [b"sound"]


async def test_sender_reports_count_what_was_sent_and_come_every_five_seconds(
    client: RawRtsp, feed: ScriptedFeed, clock: ManualClock
) -> None:
    await client.set_up()
    await client.ask("PLAY")
    feed.push(b"12345", b"67", key=True)
    await client.frames_of(0, 2)
    clock.advance(5.5)
    report = rtcp.parse((await client.frames_of(1, 1))[0].data)[0]
    assert isinstance(report, rtcp.SenderReport)
    assert (report.packet_count, report.octet_count) == (2, 7)
    assert report.rtp_timestamp == 495_000


async def test_pause_stops_the_feed_and_play_starts_it_again(client: RawRtsp, feed: ScriptedFeed) -> None:
    await client.set_up()
    await client.ask("PLAY")
    assert (await client.ask("PAUSE")).status == 200
    assert (feed.starts, feed.stops) == (1, 1)
    assert (await client.ask("PLAY")).status == 200
    assert feed.starts == 2


async def test_play_again_changes_nothing_and_setup_while_playing_is_refused(
    client: RawRtsp, feed: ScriptedFeed
) -> None:
    await client.set_up()
    await client.ask("PLAY")
    assert (await client.ask("PLAY")).status == 200
    assert feed.starts == 1
    assert (await client.set_up(2)).status == 455


async def test_teardown_ends_the_session_but_not_the_connection(client: RawRtsp, feed: ScriptedFeed) -> None:
    await client.set_up()
    await client.ask("PLAY")
    assert (await client.ask("TEARDOWN")).status == 200
    assert feed.stops == 1
    assert (await client.ask("PLAY")).status == 454
    client.session = ""
    assert (await client.set_up()).status == 200


async def test_a_connection_that_ends_takes_its_session_with_it(start: Start, feed: ScriptedFeed) -> None:
    server = await start()
    client = await RawRtsp.connect(server.port)
    await client.set_up()
    await client.ask("PLAY")
    await client.close()
    async with asyncio.timeout(20):
        while server.connection_count:
            await asyncio.sleep(0.01)
    assert feed.stops == 1


async def test_two_clients_get_the_same_packets_and_the_feed_starts_once(
    start: Start, feed: ScriptedFeed
) -> None:
    server = await start()
    clients = [await RawRtsp.connect(server.port) for _ in range(2)]
    for channel, client in enumerate(clients):
        await client.set_up(transport=f"RTP/AVP/TCP;interleaved={channel * 6}-{channel * 6 + 1}")
        await client.ask("PLAY")
    feed.push(b"key", timestamp=7, key=True)
    frames = [(await client.frames_of(channel * 6, 1))[0] for channel, client in enumerate(clients)]
    assert frames[0].data == frames[1].data
    assert feed.starts == 1
    for client in clients:
        await client.close()


async def test_a_client_that_does_not_read_is_passed_over_until_a_key_picture(
    start: Start, feed: ScriptedFeed
) -> None:
    server = await start(limit_bytes=64 << 10)
    slow, fast = [await RawRtsp.connect(server.port) for _ in range(2)]
    raw = slow.writer.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
    for client in (slow, fast):
        await client.set_up()
        await client.ask("PLAY")
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    big = [b"x" * 1000] * 100
    for number in range(100):  # 10 MB: more than the kernel keeps for the slow one
        feed.push(*big, timestamp=number, key=number == 0)
        assert len(await fast.frames_of(0, 100)) == 100
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    feed.push(b"after a gap", timestamp=1000)
    received = 0
    while True:
        frame = await slow.frame()
        received += 1
        if received % 50 == 0:
            feed.push(b"new key", timestamp=2000, key=True)
        if frame.payload == b"new key":
            break
        assert frame.payload != b"after a gap"
    assert received < 10_000
    feed.push(b"goes on")
    async with asyncio.timeout(20):
        while (await slow.frame()).payload != b"goes on":
            pass
    for client in (slow, fast):
        await client.close()


async def test_udp_goes_to_the_clients_own_address_whatever_destination_says(
    client: RawRtsp, feed: ScriptedFeed
) -> None:
    rtp, reports = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with rtp, reports:
        for each in (rtp, reports):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        ports = f"{rtp.getsockname()[1]}-{reports.getsockname()[1]}"
        response = await client.set_up(transport=f"RTP/AVP;unicast;destination=192.0.2.1;client_port={ports}")
        transport = response.headers["Transport"]
        assert f"client_port={ports}" in transport
        server_port = int(transport.partition("server_port=")[2].partition("-")[0])
        assert server_port % 2 == 0
        await client.ask("PLAY")
        feed.push(b"one", b"two", key=True)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            report = await loop.sock_recv(reports, 2048)
            packets = [await loop.sock_recvfrom(rtp, 2048) for _ in range(2)]
    assert isinstance(rtcp.parse(report)[0], rtcp.SenderReport)
    assert [data[12:] for data, _ in packets] == [b"one", b"two"]
    assert packets[0][1] == ("127.0.0.1", server_port)


async def test_datagrams_are_left_out_on_purpose_but_numbered(start: Start, feed: ScriptedFeed) -> None:
    turns = iter([False, True, False])
    server = await start(leave_out=lambda: next(turns))
    client = await RawRtsp.connect(server.port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp:
        rtp.bind(("127.0.0.1", 0))
        rtp.setblocking(False)
        await client.set_up(transport=f"RTP/AVP;unicast;client_port={rtp.getsockname()[1]}-9")
        await client.ask("PLAY")
        feed.push(b"one", b"two", b"three", key=True)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            packets = [await loop.sock_recv(rtp, 2048) for _ in range(2)]
    assert [int.from_bytes(packet[2:4]) for packet in packets] == [65_530, 65_532]
    await client.close()


async def test_a_silent_client_is_dropped_when_its_session_times_out(
    client: RawRtsp, feed: ScriptedFeed, clock: ManualClock
) -> None:
    await client.set_up()
    await client.ask("PLAY")
    clock.advance(59)
    assert (await client.ask("GET_PARAMETER")).status == 200
    clock.advance(59)
    client.writer.write(b"$\x01\x00\x08" + rtcp.pack([rtcp.ReceiverReport(1)]))
    assert (await client.ask("OPTIONS")).status == 200
    clock.advance(61)
    received = await client.closed()
    assert received[-8:] == bytes.fromhex("81cb000111111111")  # BYE for the video line
    assert feed.stops == 1


async def test_rtcp_over_udp_keeps_a_session_alive(client: RawRtsp, clock: ManualClock) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports:
        reports.bind(("127.0.0.1", 0))
        response = await client.set_up(transport=f"RTP/AVP;unicast;client_port=9-{reports.getsockname()[1]}")
        server_ports = response.headers["Transport"].partition("server_port=")[2].partition(";")[0]
        clock.advance(59)
        reports.sendto(rtcp.pack([rtcp.ReceiverReport(1)]), ("127.0.0.1", int(server_ports.split("-")[1])))
        await asyncio.sleep(0.05)
        clock.advance(59)
        await asyncio.sleep(0.6)  # one round of housekeeping
        assert (await client.ask("GET_PARAMETER")).status == 200


async def test_without_credentials_only_options_is_answered(start: Start) -> None:
    server = await start(authenticator=ServerAuthenticator("user", "secret"))
    client = await RawRtsp.connect(server.port)
    assert (await client.ask("OPTIONS")).status == 200
    for method in ("DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"):
        response = await client.ask(method)
        assert response.status == 401
        assert len(response.headers.all("WWW-Authenticate")) == 2
    await client.close()


async def test_right_credentials_are_let_in_and_wrong_ones_end_the_connection(start: Start) -> None:
    server = await start(authenticator=ServerAuthenticator("user", "secret"))
    for password, expected in (("secret", 200), ("guess", 401)):
        client = await RawRtsp.connect(server.port)
        challenge = await client.ask("DESCRIBE")
        authenticator = ClientAuthenticator("user", password)
        authenticator.learn(challenge.headers.all("WWW-Authenticate"))
        for _ in range(5):
            answer = authenticator.authorization("DESCRIBE", client.url) or ""
            assert (await client.ask("DESCRIBE", Authorization=answer)).status == expected
        if expected == 401:
            assert await client.closed() == b""
        await client.close()


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00" * 9000, b"A B\r\n\r\n"]
)
async def test_what_is_no_rtsp_is_refused_and_the_connection_closed(client: RawRtsp, garbage: bytes) -> None:
    client.writer.write(garbage)
    assert b"400 Bad Request" in await client.closed()


async def test_more_connections_than_allowed_are_not_taken(start: Start) -> None:
    server = await start(max_connections=1)
    first = await RawRtsp.connect(server.port)
    assert (await first.ask("OPTIONS")).status == 200
    second = await RawRtsp.connect(server.port)
    assert await second.closed() == b""
    assert server.connections_refused == 1
    await first.close()
    await second.close()


async def test_stop_says_goodbye_and_start_serves_the_same_port_again(
    start: Start, feed: ScriptedFeed
) -> None:
    server = await start()
    port = server.port
    client = await RawRtsp.connect(port)
    await client.set_up()
    await client.ask("PLAY")
    await server.stop()
    assert bytes.fromhex("81cb000111111111") in await client.closed()
    assert feed.stops == 1
    with pytest.raises(OSError, match=r"refused|Connect"):
        await RawRtsp.connect(port)
    await server.start()
    assert server.port == port
    again = await RawRtsp.connect(port)
    assert (await again.ask("OPTIONS")).status == 200
    for each in (client, again):
        await each.close()


async def test_a_port_that_is_taken_cannot_be_listened_on(start: Start, clock: ManualClock) -> None:
    server = await start()
    with pytest.raises(CannotListen, match=str(server.port)):
        await RtspServer({}, port=server.port, clock=clock).start()
