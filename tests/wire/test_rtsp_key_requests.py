"""Key pictures on request: PLI from our client, over both transports, to our server and to GStreamer's."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.wire.raw_rtsp import RawRtsp
from tests.wire.rtp_packets import Recorder
from tests.wire.rtsp_sessions import until
from tests.wire.scripted_feed import ScriptedFeed

from vms.common.camera import Transport
from vms.common.clock import SystemClock
from vms.common.source_url import SourceUrl
from vms.media import MediaKind
from vms.wire import rtcp
from vms.wire.rtsp.client import RtspSession
from vms.wire.rtsp.server import RtspServer, Stream
from vms.wire.rtsp.server_feed import interleaved_frame

GSTREAMER = Path(__file__).parents[1] / "fixtures" / "gst_rtsp_server.py"
NO_KEY_BY_ITSELF = (
    "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=100000 bitrate=200 "
    "! rtph264pay name=pay0 pt=96 config-interval=-1"
)


class Wishes:
    """How often clients wanted a key picture."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@asynccontextmanager
async def serving(feed: ScriptedFeed, wishes: Wishes) -> AsyncIterator[RtspServer]:
    clock = SystemClock()
    server = RtspServer({"/camera-1": Stream(feed, clock, want_key=wishes)}, clock=clock)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def playing(url: str, transport: Transport) -> AsyncIterator[tuple[RtspSession, Recorder]]:
    """A session that plays the video line alone."""
    session = await RtspSession.open(SourceUrl(url), transport=transport, clock=SystemClock())
    try:
        recorder = Recorder()
        video = next(line for line in session.media if line.kind is MediaKind.VIDEO)
        await session.setup(video, recorder)
        await session.play()
        yield session, recorder
    finally:
        await session.close()


@pytest.mark.parametrize("transport", list(Transport))
async def test_a_client_s_wish_for_a_key_picture_reaches_the_stream(transport: Transport) -> None:
    feed, wishes = ScriptedFeed(), Wishes()
    async with (
        serving(feed, wishes) as server,
        playing(f"rtsp://127.0.0.1:{server.port}/camera-1", transport) as (session, _),
    ):
        feed.push(b"\x65key", key=True)
        await until(lambda: session.counters.packets)
        assert wishes.count == 1, "it joined with nothing to begin with"
        session.request_key_picture()
        await until(lambda: wishes.count == 2)
        session.request_key_picture()
        await until(lambda: wishes.count == 3)


async def test_reports_and_rubbish_are_no_wish_and_end_nothing() -> None:
    feed, wishes = ScriptedFeed(), Wishes()
    async with serving(feed, wishes) as server:
        client = await RawRtsp.connect(server.port)
        await client.set_up(1)
        pli = rtcp.pack([rtcp.ReceiverReport(1), rtcp.PictureLossIndication(1, 0x11111111)])
        client.writer.write(interleaved_frame(1, pli))  # before it plays
        await client.ask("PLAY")
        cut_short = bytes((0x81, rtcp.PSFB, 0, 9)) + b"rest"
        for channel, packet in (
            (1, rtcp.pack([rtcp.ReceiverReport(1), rtcp.SourceDescription(1, "client")])),
            (1, cut_short),
            (1, b""),
            (0, pli),  # a media channel
            (7, pli),  # a channel of no line
        ):
            client.writer.write(interleaved_frame(channel, packet))
        assert (await client.ask("GET_PARAMETER")).status == 200
        assert wishes.count == 1, "that it joined"
        fir = rtcp.pack([rtcp.ReceiverReport(1), rtcp.FullIntraRequest(1, ((0x11111111, 1),))])
        client.writer.write(interleaved_frame(1, fir))
        await until(lambda: wishes.count == 2)
        await client.close()


@pytest.fixture
def gstreamer_url() -> Iterator[str]:
    """A camera that sends one key picture, and another only when it is asked."""
    command = ["/usr/bin/python3", str(GSTREAMER), NO_KEY_BY_ITSELF]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.communicate(timeout=30)


@pytest.mark.e2e
@pytest.mark.needs("gst-rtsp-server")
@pytest.mark.parametrize("transport", list(Transport))
async def test_gstreamer_encodes_a_key_picture_when_our_client_asks_by_pli(
    gstreamer_url: str, transport: Transport
) -> None:
    def keys(recorder: Recorder) -> int:
        return sum(unit.key for unit in recorder.units)

    async with playing(gstreamer_url, transport) as (session, recorder), asyncio.timeout(20):
        await until(lambda: len(recorder.units) >= 30)
        assert keys(recorder) == 1, "it sends none by itself"
        session.request_key_picture()
        await until(lambda: keys(recorder) == 2)
