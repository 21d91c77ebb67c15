"""How a session stays alive, what it reports, and how it ends."""

import asyncio
from itertools import pairwise

import pytest
from tests.wire.rtp_packets import Recorder, interleaved, rtp
from tests.wire.rtsp_sessions import opened, play, until
from tests.wire.scripted_rtsp_server import ScriptedServer

from vms.format.errors import FormatError
from vms.wire import rtcp
from vms.wire.errors import PeerGone, PeerTimeout, RequestRefused
from vms.wire.rtsp import client
from vms.wire.rtsp.message import Headers, Request, Response

SLICE = b"\x41\x9a" + bytes(100)


@pytest.mark.parametrize(
    ("public", "method"),
    [("OPTIONS, GET_PARAMETER", "GET_PARAMETER"), ("OPTIONS, DESCRIBE", "OPTIONS"), ("", "OPTIONS")],
)
async def test_the_session_is_kept_alive_within_its_timeout(public: str, method: str) -> None:
    async with ScriptedServer(session="abc;timeout=1").run() as server:

        def options(request: Request) -> Response:
            return Response(200, headers=Headers([("Public", public)]))

        server.answers["OPTIONS"] = options
        async with opened(server) as session:
            await play(session)
            seen = len(server.requests)
            await until(lambda: len(server.requests) >= seen + 2)
            assert server.methods[seen : seen + 2] == [method, method]
            assert server.requests[seen].headers["Session"] == "abc"


async def test_a_server_that_refuses_get_parameter_is_asked_for_its_options() -> None:
    async with ScriptedServer(session="abc;timeout=1").run() as server:
        server.answers["GET_PARAMETER"] = lambda request: Response(451)
        async with opened(server) as session:
            await play(session)
            await until(lambda: ("GET_PARAMETER", "OPTIONS") in pairwise(server.methods))


async def test_a_session_that_the_server_has_forgotten_ends() -> None:
    async with ScriptedServer(session="abc;timeout=1").run() as server:
        server.answers["GET_PARAMETER"] = lambda request: Response(454)
        async with opened(server) as session:
            await play(session)
            with pytest.raises(RequestRefused):
                await asyncio.wait_for(session.wait(), 20)


async def test_a_keep_alive_without_answer_ends_the_session_only_when_nothing_else_comes() -> None:
    async with ScriptedServer(session="abc;timeout=1").run() as server:
        server.answers["GET_PARAMETER"] = lambda request: None
        async with opened(server, timeout_s=1.5) as session:
            await play(session)
            ended = asyncio.create_task(session.wait())
            number = 0
            while server.methods.count("GET_PARAMETER") < 3 and not ended.done():  # media flows meanwhile
                server.send(interleaved(rtp(SLICE, number, number, marker=True)))
                number += 1
                await asyncio.wait([ended], timeout=0.02)
            assert server.methods.count("GET_PARAMETER") >= 2
            assert not ended.done()
            with pytest.raises(PeerTimeout):
                await asyncio.wait_for(ended, 20)


async def test_the_end_of_the_connection_ends_the_session() -> None:
    async with ScriptedServer().run() as server, opened(server) as session:
        await play(session)
        server.hang_up()
        with pytest.raises(PeerGone):
            await asyncio.wait_for(session.wait(), 20)


async def test_a_receiver_that_cannot_use_what_comes_ends_the_session_with_its_error() -> None:
    class Refuser(Recorder):
        def parameter_sets(self, sets: tuple[bytes, ...]) -> None:
            raise FormatError("this SPS is nonsense")

    async with ScriptedServer().run() as server, opened(server) as session:
        await session.setup(session.media[0], Refuser())
        await session.play()
        for number in range(3):
            server.send(interleaved(rtp(b"\x67\x42\0\x1e\x80\x80", 2 * number, number)))
            server.send(interleaved(rtp(SLICE, 2 * number + 1, number, marker=True)))
        with pytest.raises(FormatError):
            await asyncio.wait_for(session.wait(), 20)


async def test_a_farewell_of_the_video_ends_the_session_without_an_error() -> None:
    async with ScriptedServer().run() as server, opened(server) as session:
        await play(session)
        server.send(interleaved(rtcp.Bye((7,)).pack(), 1))
        await asyncio.wait_for(session.wait(), 20)


async def test_closing_ends_waiting_and_is_quick_with_a_silent_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "TEARDOWN_TIMEOUT_S", 0.1)
    server = ScriptedServer(answers={"TEARDOWN": lambda request: None})
    async with server.run(), opened(server) as session:
        await play(session)
        waiting = asyncio.create_task(session.wait())
        async with asyncio.timeout(20):
            await session.close()
            await waiting
        await session.close()


async def test_receiver_reports_tell_what_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "REPORT_INTERVAL_S", 0.05)
    async with ScriptedServer().run() as server, opened(server) as session:
        (video, _) = await play(session)
        server.send(interleaved(rtp(SLICE, 10, 0, marker=True)))
        server.send(interleaved(rtp(SLICE, 12, 3600, marker=True)))
        server.send(interleaved(rtcp.SenderReport(7, 0xAAAA_BBBB_CCCC_DDDD, 0, 0, 0).pack(), 1))
        await until(lambda: session.counters.packets == 2 and video.reports)
        server.received = b""
        await until(lambda: len(server.received) >= 2 * 40)
        assert server.received[1] == 1, "on the channel for reports"
        size = int.from_bytes(server.received[2:4])
        report, description = rtcp.parse(server.received[4 : 4 + size])
        assert isinstance(report, rtcp.ReceiverReport)
        (block,) = report.reports
        assert (block.ssrc, block.packets_lost, block.highest_sequence) == (7, 1, 12)
        assert block.last_sr == 0xBBBB_CCCC
        assert isinstance(description, rtcp.SourceDescription)
