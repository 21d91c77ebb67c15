import asyncio

import pytest
from tests.wire.rtp_packets import Recorder, interleaved, prefixed, rtp
from tests.wire.rtsp_sessions import opened, play, until
from tests.wire.scripted_rtsp_server import SDP, ScriptedServer

from vms.common.camera import Transport
from vms.media import Codec
from vms.wire.errors import (
    AuthenticationFailed,
    PeerGone,
    PeerTimeout,
    PeerUnreachable,
    ProtocolError,
    RequestRefused,
    UnsupportedMedia,
)
from vms.wire.rtsp.auth import Scheme, ServerAuthenticator, Verdict
from vms.wire.rtsp.message import Headers, Request, Response

SLICE = b"\x41\x9a" + bytes(100)


def guarded(server: ScriptedServer, authenticator: ServerAuthenticator) -> None:
    """Ask for credentials with every request."""

    def answer(request: Request) -> Response:
        verdict = authenticator.check(request.method, request.headers.get("Authorization"))
        if verdict is Verdict.ACCEPTED:
            return server.usual(request)
        challenges = authenticator.challenges(stale=verdict is Verdict.STALE)
        return Response(401, headers=Headers([("WWW-Authenticate", value) for value in challenges]))

    methods = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN", "GET_PARAMETER")
    server.answers.update(dict.fromkeys(methods, answer))


async def test_a_session_goes_from_options_to_teardown_and_delivers_in_between() -> None:
    async with ScriptedServer().run() as server:
        async with opened(server) as session:
            assert [line.codec for line in session.media] == [Codec.H264, Codec.PCMA]
            video, audio = await play(session)
            for number in range(6):
                server.send(interleaved(rtp(SLICE, number, number * 3600, marker=True)))
                server.send(interleaved(rtp(bytes(160), number, number * 160, payload_type=8), 2))
            await until(lambda: len(video.units) >= 5 and len(audio.units) == 6)
            assert video.units[0].data == prefixed(SLICE)
            assert session.counters.packets == 12
            assert session.counters.pictures == 6
        assert server.methods == ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]
        setups = [request for request in server.requests if request.method == "SETUP"]
        assert [request.uri for request in setups] == [
            f"{server.url}/trackID=1",
            f"{server.url}/trackID=2",
        ]
        assert setups[0].headers["Transport"] == "RTP/AVP/TCP;unicast;interleaved=0-1"
        assert setups[1].headers["Session"] == "abc"
        assert setups[1].headers["Transport"] == "RTP/AVP/TCP;unicast;interleaved=2-3"


@pytest.mark.parametrize("scheme", list(Scheme))
async def test_credentials_are_given_when_they_are_asked_for(scheme: Scheme) -> None:
    async with ScriptedServer().run() as server:
        guarded(server, ServerAuthenticator("ad min", "p:w/d", schemes=(scheme,)))
        url = server.url.replace("rtsp://", "rtsp://ad%20min:p%3Aw%2Fd@")
        async with opened(server, url) as session:
            await play(session)
        assert server.methods == [
            "OPTIONS",
            "OPTIONS",
            "DESCRIBE",
            "SETUP",
            "SETUP",
            "PLAY",
            "TEARDOWN",
        ]
        assert all("ad" not in request.uri.split("127")[0] for request in server.requests)


async def test_a_nonce_that_changes_in_the_session_is_followed() -> None:
    now = [0.0]
    async with ScriptedServer().run() as server:
        guarded(server, ServerAuthenticator("u", "p", nonce_lifetime_s=10, monotonic_s=lambda: now[0]))
        async with opened(server, server.url.replace("//", "//u:p@")) as session:
            now[0] = 100
            await play(session)
            assert server.methods.count("SETUP") == 3


@pytest.mark.parametrize("userinfo", ["", "u:wrong@", "other:p@"])
async def test_credentials_that_are_missing_or_wrong_are_an_authentication_error(userinfo: str) -> None:
    async with ScriptedServer().run() as server:
        guarded(server, ServerAuthenticator("u", "p"))
        with pytest.raises(AuthenticationFailed) as caught:
            async with opened(server, server.url.replace("//", f"//{userinfo}")):
                pass
        assert "wrong" not in str(caught.value)
        assert server.methods.count("OPTIONS") <= 3


@pytest.mark.parametrize("status", [301, 302])
async def test_a_redirect_is_followed(status: int) -> None:
    async with ScriptedServer().run() as server, ScriptedServer().run() as other:
        location = Headers([("Location", f"rtsp://127.0.0.1:{other.port}/elsewhere?a=b")])
        server.answers["DESCRIBE"] = lambda request: Response(status, headers=location)
        async with opened(server) as session:
            await play(session)
        assert other.methods == ["DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]
        assert other.requests[1].uri == f"rtsp://127.0.0.1:{other.port}/elsewhere?a=b/trackID=1"


async def test_credentials_do_not_follow_a_redirect_to_another_host() -> None:
    async with ScriptedServer().run() as server, ScriptedServer().run() as other:
        guarded(other, ServerAuthenticator("u", "p", schemes=(Scheme.BASIC,)))
        location = Headers([("Location", f"rtsp://localhost:{other.port}/elsewhere")])
        server.answers["DESCRIBE"] = lambda request: Response(302, headers=location)
        with pytest.raises(AuthenticationFailed):
            async with opened(server, server.url.replace("//", "//u:p@")):
                pass
        assert all("Authorization" not in request.headers for request in other.requests)


@pytest.mark.parametrize("location", ["", "http://127.0.0.1/x", "rtsp://", "SELF"])
async def test_redirects_to_nowhere_and_without_end_are_a_protocol_error(location: str) -> None:
    async with ScriptedServer().run() as server:
        target = server.url if location == "SELF" else location
        server.answers["DESCRIBE"] = lambda request: Response(302, headers=Headers([("Location", target)]))
        with pytest.raises(ProtocolError):
            async with opened(server):
                pass
        assert server.methods.count("DESCRIBE") <= 6


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (503, "Service Unavailable")])
async def test_a_refusal_tells_its_status(status: int, reason: str) -> None:
    async with ScriptedServer().run() as server:
        server.answers["DESCRIBE"] = lambda request: Response(status)
        with pytest.raises(RequestRefused, match=f"{status} {reason}") as caught:
            async with opened(server):
                pass
        assert caught.value.status == status


async def test_a_server_without_options_is_served_all_the_same() -> None:
    async with ScriptedServer().run() as server:
        server.answers["OPTIONS"] = lambda request: Response(501)
        async with opened(server) as session:
            assert len(session.media) == 2


async def test_a_description_without_pictures_or_sound_is_unsupported() -> None:
    async with ScriptedServer(sdp="v=0\r\nm=application 0 RTP/AVP 107\r\n").run() as server:
        with pytest.raises(UnsupportedMedia):
            async with opened(server):
                pass


async def test_a_line_of_an_unknown_codec_cannot_be_set_up() -> None:
    sdp = "v=0\r\nm=video 0 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\n"
    async with ScriptedServer(sdp=sdp).run() as server, opened(server) as session:
        with pytest.raises(UnsupportedMedia, match="JPEG"):
            await session.setup(session.media[0], Recorder())


async def test_nobody_at_home_is_unreachable() -> None:
    async with ScriptedServer().run() as server:
        url = server.url
    with pytest.raises(PeerUnreachable):
        async with opened(server, url):
            pass


async def test_silence_is_a_timeout() -> None:
    async with ScriptedServer(answers={"DESCRIBE": lambda request: None}).run() as server:
        with pytest.raises(PeerTimeout):
            async with opened(server, timeout_s=0.1):
                pass


async def test_a_peer_that_speaks_http_is_a_protocol_error() -> None:
    async with ScriptedServer(
        answers={"OPTIONS": lambda request: b"HTTP/1.1 400 Bad\r\n\r\n"}
    ).run() as server:
        with pytest.raises(ProtocolError):
            async with opened(server):
                pass


async def test_hanging_up_in_the_middle_of_an_answer_is_a_peer_gone() -> None:
    async with ScriptedServer().run() as server:

        def hang_up(request: Request) -> bytes:
            asyncio.get_running_loop().call_soon(server.hang_up)
            return b"RTSP/1.0 200 OK\r\nCSe"

        server.answers["DESCRIBE"] = hang_up
        with pytest.raises(PeerGone):
            async with opened(server):
                pass


async def test_channels_are_those_that_the_server_names() -> None:
    async with ScriptedServer().run() as server:

        def setup(request: Request) -> Response:
            response = server.usual(request)
            response.headers.set("Transport", "RTP/AVP/TCP;interleaved=40-41;ssrc=DEADBEEF")
            return response

        server.answers["SETUP"] = setup
        async with opened(server) as session:
            recorder = Recorder()
            await session.setup(session.media[0], recorder)
            await session.play()
            server.send(interleaved(rtp(SLICE, 1, 1, marker=True), 40))
            server.send(interleaved(rtp(SLICE, 2, 2, marker=True), 40))
            await until(lambda: recorder.units)


async def test_a_server_that_takes_another_transport_is_a_protocol_error() -> None:
    async with ScriptedServer().run() as server:

        def setup(request: Request) -> Response:
            response = server.usual(request)
            response.headers.set("Transport", "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001")
            return response

        server.answers["SETUP"] = setup
        async with opened(server) as session:
            with pytest.raises(ProtocolError, match="another transport"):
                await session.setup(session.media[0], Recorder())


async def test_media_before_the_answer_to_play_is_taken() -> None:
    async with ScriptedServer().run() as server:

        def answer_play(request: Request) -> bytes:
            media = b"".join(interleaved(rtp(SLICE, n, n * 3600, marker=True)) for n in range(3))
            response = server.usual(request)
            response.headers.add("CSeq", request.headers["CSeq"])
            response.headers.add("RTP-Info", f"url={server.url}/trackID=1;seq=0;rtptime=4294967290")
            return media + response.pack()

        server.answers["PLAY"] = answer_play
        async with opened(server) as session:
            video, _ = await play(session)
            assert len(video.units) == 2
            assert session.rtp_info == {0: -6}, "in the space of the units' timestamps"


async def test_rtp_info_is_matched_by_order_where_its_urls_say_nothing() -> None:
    async with ScriptedServer().run() as server:

        def answer_play(request: Request) -> Response:
            response = server.usual(request)
            response.headers.add("RTP-Info", "url=rtsp://nat/1;rtptime=100,url=rtsp://nat/2;rtptime=200")
            return response

        server.answers["PLAY"] = answer_play
        async with opened(server) as session:
            await play(session)
            assert session.rtp_info == {0: 100, 1: 200}


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("ANNOUNCE", 501)])
async def test_requests_of_the_server_are_answered(method: str, status: int) -> None:
    async with ScriptedServer().run() as server, opened(server) as session:
        await play(session)
        server.send(Request(method, "*", Headers([("CSeq", "77")])).pack())
        await until(lambda: server.responses)
        assert (server.responses[0].status, server.responses[0].cseq) == (status, 77)


async def test_an_answer_without_a_number_belongs_to_the_oldest_request() -> None:
    async with ScriptedServer().run() as server:
        server.answers["OPTIONS"] = lambda request: b"RTSP/1.0 200 OK\r\nPublic: GET_PARAMETER\r\n\r\n"
        async with opened(server) as session:
            assert session.media


async def test_udp_media_comes_over_a_pair_of_ports() -> None:
    loop = asyncio.get_running_loop()
    sender, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    async with ScriptedServer(sdp=SDP.split("m=audio")[0]).run() as server:

        def setup(request: Request) -> Response:
            response = server.usual(request)
            port = sender.get_extra_info("sockname")[1]
            response.headers.set("Transport", f"{request.headers['Transport']};server_port={port}-{port}")
            return response

        server.answers["SETUP"] = setup
        async with opened(server, transport=Transport.UDP) as session:
            (video,) = await play(session)
            transport = next(r for r in server.requests if r.method == "SETUP").headers["Transport"]
            assert transport.startswith("RTP/AVP;unicast;client_port=")
            port = int(transport.rpartition("=")[2].partition("-")[0])
            for number in (1, 3, 2, 4, 5):
                sender.sendto(rtp(SLICE, number, number * 3600, marker=True), ("127.0.0.1", port))
            await until(lambda: len(video.units) >= 4)
            assert [unit.timestamp for unit in video.units[:4]] == [3600, 7200, 10800, 14400]
            assert session.counters.packets_reordered == 1
            assert session.counters.packets_lost == 0
    sender.close()
