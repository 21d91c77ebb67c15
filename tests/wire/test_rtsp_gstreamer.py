"""The client against a server that we did not write, judged by a demuxer that we did not write."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import pytest
from tests.wire.rtp_packets import Recorder

from vms.common.camera import Transport
from vms.common.clock import NS, SystemClock
from vms.common.source_url import SourceUrl
from vms.format import nal
from vms.media import Codec
from vms.wire.errors import AuthenticationFailed, RequestRefused
from vms.wire.rtsp.client import RtspSession, SessionCounters

pytestmark = [pytest.mark.e2e, pytest.mark.needs("gst-rtsp-server")]

SERVER = Path(__file__).parents[1] / "fixtures" / "gst_rtsp_server.py"
RAW = "videotestsrc num-buffers=60 pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1"
H264 = (
    f"{RAW} ! x264enc key-int-max=25 bframes=2 b-adapt=false ! video/x-h264,profile=main "
    "! rtph264pay name=pay0 pt=96 mtu=600"
)
H264_IN_BAND = (
    f"{RAW} ! x264enc key-int-max=10 tune=zerolatency sliced-threads=true threads=4 "
    "! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 aggregate-mode=max-stap"
)
H265 = (
    f"{RAW} ! x265enc key-int-max=25 speed-preset=ultrafast ! rtph265pay name=pay0 pt=96 config-interval=-1"
)
TONE = "audiotestsrc num-buffers=100 ! audio/x-raw,rate={rate},channels=1"
AUDIO = {
    Codec.AAC: TONE.format(rate=48000) + " ! avenc_aac ! rtpmp4gpay name=pay1 pt=97",
    Codec.OPUS: TONE.format(rate=48000) + " ! opusenc ! rtpopuspay name=pay1 pt=97",
    Codec.PCMU: TONE.format(rate=8000) + " ! mulawenc ! rtppcmupay name=pay1 pt=0",
    Codec.PCMA: TONE.format(rate=8000) + " ! alawenc ! rtppcmapay name=pay1 pt=8",
}


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """``serve(launch, *arguments)``: the URL of a stream."""
    running: list[subprocess.Popen[str]] = []

    def start(launch: str, *arguments: str) -> str:
        command = ["/usr/bin/python3", str(SERVER), launch, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=30)


async def receive(
    url: str, transport: Transport, seconds: float = 20
) -> tuple[dict[Codec, Recorder], SessionCounters]:
    """Everything that the stream holds, up to its end."""
    session = await RtspSession.open(SourceUrl(url), transport=transport, clock=SystemClock())
    recorders: dict[Codec, Recorder] = {}
    try:
        for line in session.media:
            assert line.codec is not None
            recorders[line.codec] = Recorder()
            await session.setup(line, recorders[line.codec])
        await session.play()
        await asyncio.wait_for(session.wait(), seconds)
    finally:
        await session.close()
    return recorders, session.counters


def decode(codec: str, units: list[bytes]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create(codec, "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(nal.to_annex_b(unit)))]
    return frames + list(decoder.decode(None))


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("arguments", [(), ("--user", "u", "--password", "p w"), ("--digest",)])
async def test_h264_with_b_frames_arrives_whole_over_every_transport_and_with_every_authentication(
    serve: Callable[..., str], transport: Transport, arguments: tuple[str, ...]
) -> None:
    if arguments == ("--digest",):
        arguments = ("--digest", "--user", "u", "--password", "p w")
    url = serve(H264, *arguments)
    if arguments:
        url = url.replace("//", "//u:p%20w@")
    recorders, counters = await receive(url, transport)
    video = recorders[Codec.H264]
    assert len(video.units) == 60
    assert sum(unit.key for unit in video.units) >= 2
    assert video.units[0].key
    assert not any(unit.lost for unit in video.units)
    assert (counters.packets_lost, counters.pictures_broken, counters.resynchronisations) == (0, 0, 0)
    timestamps = [unit.timestamp for unit in video.units]
    assert timestamps != sorted(timestamps), "these are B-frames"
    assert sorted(timestamps)[-1] - timestamps[0] == 59 * 3600
    assert len(decode("h264", [unit.data for unit in video.units])) == 60


async def test_h264_in_slices_and_aggregates_with_sets_in_band_arrives_whole(
    serve: Callable[..., str],
) -> None:
    recorders, counters = await receive(serve(H264_IN_BAND), Transport.TCP)
    units = recorders[Codec.H264].units
    assert len(units) == 60
    assert max(len(list(nal.split(unit.data))) for unit in units) > 3
    assert len(decode("h264", [unit.data for unit in units])) == 60
    assert counters.pictures_broken == 0


async def test_h265_arrives_whole(serve: Callable[..., str]) -> None:
    recorders, counters = await receive(serve(H265), Transport.TCP)
    units = recorders[Codec.H265].units
    assert len(units) == 60
    assert units[0].key
    assert len(decode("hevc", [unit.data for unit in units])) == 60
    assert counters.pictures_broken == 0


@pytest.mark.parametrize("codec", list(AUDIO))
async def test_audio_arrives_beside_video_on_a_clock_of_its_own(
    serve: Callable[..., str], codec: Codec
) -> None:
    recorders, counters = await receive(serve(f"{H264} {AUDIO[codec]}"), Transport.TCP)
    units = recorders[codec].units
    assert len(units) > 10
    assert all(unit.key for unit in units)
    assert counters.packets_lost == 0
    ticks = {Codec.AAC: 1024, Codec.OPUS: 960}.get(codec, len(units[0].data))
    steps = [later.timestamp - sooner.timestamp for sooner, later in pairwise(units[1:])]
    assert all(abs(step - ticks) <= 1 for step in steps), "GStreamer rounds its timestamps"
    reports = recorders[Codec.H264].reports
    if reports:
        assert abs(reports[0][0] - SystemClock().wall_ns()) < 60 * NS


async def test_a_wrong_password_is_an_authentication_error(serve: Callable[..., str]) -> None:
    url = serve(H264, "--digest", "--user", "u", "--password", "p")
    with pytest.raises(AuthenticationFailed):
        await receive(url.replace("//", "//u:wrong@"), Transport.TCP)


async def test_a_path_that_does_not_exist_is_refused_with_404(serve: Callable[..., str]) -> None:
    url = serve(H264)
    with pytest.raises(RequestRefused) as caught:
        await receive(url + "-not", Transport.TCP)
    assert caught.value.status == 404


async def test_a_server_that_offers_only_udp_refuses_tcp(serve: Callable[..., str]) -> None:
    url = serve(H264, "--transport", "udp")
    with pytest.raises(RequestRefused) as caught:
        await receive(url, Transport.TCP)
    assert caught.value.status == 461


async def test_real_footage_arrives_bit_for_bit(serve: Callable[..., str], footage: dict[str, Path]) -> None:
    """NAL units come out exactly as they are in the file."""
    source = footage["people"]
    launch = f"filesrc location={source} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96"
    session = await RtspSession.open(SourceUrl(serve(launch)), transport=Transport.TCP, clock=SystemClock())
    recorder = Recorder()
    try:
        await session.setup(session.media[0], recorder)
        await session.play()
        async with asyncio.timeout(20):
            while len(recorder.units) < 50:
                await asyncio.sleep(0.05)
    finally:
        await session.close()
    with av.open(str(source)) as container:
        stored = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for unit, packet in zip(recorder.units[:50], stored, strict=False):
        assert _slices(unit.data) == _slices(packet)


def _slices(data: bytes) -> list[bytes]:
    return [bytes(unit) for unit in nal.split(data) if unit[0] & 0x1F in (1, 5)]
