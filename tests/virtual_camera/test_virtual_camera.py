"""Cameras as a whole: their URLs, the faults that are asked for, many of them in one process."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.wire.raw_rtsp import RawRtsp

from vms.virtual_camera import CameraOptions, PatternAudio, VirtualCameraServer
from vms.virtual_camera.errors import FootageInvalid
from vms.wire import rtcp
from vms.wire.rtsp.server import CannotListen
from vms.wire.rtsp.server_feed import interleaved_frame

Start = Callable[[CameraOptions], Awaitable[VirtualCameraServer]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    servers: list[VirtualCameraServer] = []

    async def begin(options: CameraOptions) -> VirtualCameraServer:
        servers.append(VirtualCameraServer(options))
        await servers[-1].start()
        return servers[-1]

    yield begin
    for server in servers:
        await server.stop()


async def watch(server: VirtualCameraServer, number: int = 1) -> RawRtsp:
    port = int(server.urls[0].split(":")[2].partition("/")[0])
    client = await RawRtsp.connect(port, f"/camera-{number}")
    assert (await client.set_up()).status == 200
    assert (await client.ask("PLAY")).status == 200
    return client


async def test_cameras_have_numbered_urls_and_take_files_in_turn(
    start: Start, clips: dict[str, Path]
) -> None:
    server = await start(CameraOptions(files=(clips["plain"], clips["h265"]), count=3))
    assert [url.rpartition("/")[2] for url in server.urls] == ["camera-1", "camera-2", "camera-3"]
    port = int(server.urls[0].split(":")[2].partition("/")[0])
    codecs = []
    for number in (1, 2, 3):
        client = await RawRtsp.connect(port, f"/camera-{number}")
        codecs.append(b"H265" in (await client.ask("DESCRIBE")).body)
        await client.close()
    assert codecs == [False, True, False]


async def test_credentials_are_in_the_source_and_not_in_the_url(start: Start, clips: dict[str, Path]) -> None:
    server = await start(CameraOptions(files=(clips["plain"],), user="operator", password="p@ss"))
    camera = server.cameras[0]
    assert "operator" not in camera.url
    assert (camera.source.username, camera.source.password) == ("operator", "p@ss")
    assert "p@ss" not in str(camera)
    port = int(camera.url.split(":")[2].partition("/")[0])
    client = await RawRtsp.connect(port)
    assert (await client.ask("DESCRIBE")).status == 401
    await client.close()


async def test_packets_come_over_the_picture_interval_and_not_at_once(
    start: Start, clips: dict[str, Path]
) -> None:
    server = await start(CameraOptions(files=(clips["plain"],), spread_ms=(30, 30)))
    client = await watch(server)
    loop = asyncio.get_running_loop()
    arrivals: dict[int, list[float]] = {}

    def spread_s() -> float:
        return max((arrived[-1] - arrived[0] for arrived in arrivals.values()), default=0)

    async with asyncio.timeout(30):  # what a busy machine comes to too late leaves at once
        while spread_s() <= 0.010:
            frame = await client.frame()
            if frame.channel == 0:
                arrivals.setdefault(frame.timestamp, []).append(loop.time())
    await client.close()


async def test_packets_lost_on_purpose_over_udp_leave_gaps_in_their_numbers(
    start: Start, clips: dict[str, Path]
) -> None:
    server = await start(CameraOptions(files=(clips["plain"],), loss_percent=30, seed=1))
    port = int(server.urls[0].split(":")[2].partition("/")[0])
    client = await RawRtsp.connect(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtp:
        rtp.bind(("127.0.0.1", 0))
        rtp.setblocking(False)
        await client.set_up(transport=f"RTP/AVP;unicast;client_port={rtp.getsockname()[1]}-9")
        await client.ask("PLAY")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(20):
            numbers = [int.from_bytes((await loop.sock_recv(rtp, 2048))[2:4]) for _ in range(40)]
    sent = (numbers[-1] - numbers[0] & 0xFFFF) + 1
    assert 45 <= sent <= 80
    await client.close()


async def test_dropped_cameras_break_connections_refuse_and_come_back_on_their_port(
    start: Start, clips: dict[str, Path]
) -> None:
    server = await start(CameraOptions(files=(clips["plain"],), drop_after_s=2, drop_for_s=2))
    client = await watch(server)
    await client.frames_of(0, 5)
    await client.closed()
    await client.close()
    assert server.viewer_count == 0
    with pytest.raises(OSError, match=r"refused|Connect"):
        await watch(server)
    async with asyncio.timeout(20):
        while True:
            await asyncio.sleep(0.05)
            try:
                client = await watch(server)
                break
            except OSError:
                continue
    assert len(await client.frames_of(0, 5)) == 5
    await client.close()


async def test_stopping_while_dropped_is_harmless(clips: dict[str, Path]) -> None:
    server = VirtualCameraServer(CameraOptions(files=(clips["plain"],), drop_after_s=0, drop_for_s=60))
    await server.start()
    await asyncio.sleep(0.05)
    await server.stop()
    await server.stop()


async def test_the_drawn_picture_is_served_with_its_tone_to_more_cameras_than_encoders(start: Start) -> None:
    options = CameraOptions(
        pattern=True, count=6, width=320, height=180, bitrate=200_000, audio=PatternAudio.PCMU
    )
    server = await start(options)
    clients = [await watch(server, number) for number in (1, 5, 6)]
    pictures = [[frame.payload for frame in await client.frames_of(0, 8)] for client in clients]
    assert pictures[0][0][0] & 0x1F == 24  # parameter sets first
    sources = {frame.data[8:12] for client in clients for frame in await client.frames_of(0, 1)}
    assert len(sources) == 3  # each camera has an SSRC of its own
    for client in clients:
        await client.close()


async def test_footage_that_cannot_be_read_and_ports_that_are_taken_are_said(
    start: Start, clips: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(FootageInvalid):
        await VirtualCameraServer(CameraOptions(files=(tmp_path / "no.mp4",))).start()
    server = await start(CameraOptions(files=(clips["plain"],)))
    port = int(server.urls[0].split(":")[2].partition("/")[0])
    with pytest.raises(CannotListen):
        await start(CameraOptions(files=(clips["plain"],), port=port))


async def test_run_serves_until_it_is_told_to_stop(clips: dict[str, Path]) -> None:
    program = (
        "import sys; from pathlib import Path; from vms.virtual_camera import CameraOptions, run\n"
        "run(CameraOptions(files=(Path(sys.argv[1]),)), lambda cameras: print(cameras[0].url, flush=True))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(clips["plain"]), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        url = (await process.stdout.readline()).decode().strip()
        client = await RawRtsp.connect(int(url.split(":")[2].partition("/")[0]))
        assert (await client.ask("OPTIONS")).status == 200
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        await client.close()


@pytest.mark.parametrize("footage", [False, True])
async def test_a_sub_stream_is_a_smaller_picture_of_its_own_and_nothing_is_encoded_before_it_is_watched(
    start: Start, clips: dict[str, Path], footage: bool
) -> None:
    files = (clips["plain"],) if footage else ()
    sizes = {"width": 640, "height": 360, "sub_width": 320, "sub_height": 180}
    server = await start(
        CameraOptions(files=files, pattern=not footage, sub=True, count=2, user="u", password="p", **sizes)  # type: ignore[arg-type]
    )
    assert [camera.sub_url for camera in server.cameras] == [f"{url}/sub" for url in server.urls]
    assert all(camera.sub_source and camera.sub_source.password == "p" for camera in server.cameras)
    subs = {path: stream for path, stream in server._streams.items() if path.endswith("/sub")}
    assert sorted(subs) == ["/camera-1/sub", "/camera-2/sub"]
    assert [stream.lines[0].track.width for stream in subs.values()] == [320, 320]
    assert server.viewer_count == 0


async def test_a_camera_that_draws_its_picture_gives_a_key_picture_when_it_is_asked(start: Start) -> None:
    small = {"width": 320, "height": 180, "frames_per_second": 20, "bitrate": 100_000}
    server = await start(CameraOptions(pattern=True, **small))  # type: ignore[arg-type]
    client = await watch(server)
    pli = rtcp.pack([rtcp.ReceiverReport(1), rtcp.PictureLossIndication(1, 2)])
    keys: list[int] = []
    pictures = 0
    asked = False
    last_timestamp = -1
    async with asyncio.timeout(20):
        while len(keys) < 2:
            frame = await client.frame()
            if frame.channel != 0:
                continue
            if frame.timestamp != last_timestamp:
                last_timestamp = frame.timestamp
                pictures += 1
                if frame.payload[0] & 0x1F in (7, 24):  # parameter sets precede every key picture
                    keys.append(pictures)
            if (
                pictures >= 15 and not asked
            ):  # a key picture comes no sooner than half a second after the last
                asked = True
                client.writer.write(interleaved_frame(1, pli))
    assert keys[1] - keys[0] < 40, "before it was due by itself, after 2 s"
    await client.close()
