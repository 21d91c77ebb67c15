"""Virtual cameras as ffmpeg and GStreamer, which are not ours, receive them."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from vms.virtual_camera import CameraOptions, PatternAudio, VirtualCameraServer

USER, PASSWORD = "operator", "s3cret word"

pytestmark = pytest.mark.e2e


async def run(*command: str, timeout_s: float = 60) -> str:
    """What a program says on standard output; fails when the program does."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{command[0]}: {errors.decode()[-2000:]}"
    return output.decode()


async def decoded(source: str, *options: str, count: int) -> list[str]:
    """MD5 of the first pictures that ffmpeg decodes."""
    output = await run(
        *[
            "ffmpeg",
            "-nostdin",
            "-v",
            "error",
            *options,
            "-i",
            source,
            "-map",
            "0:v",
            "-frames:v",
            str(count),
        ],
        *["-fps_mode", "passthrough", "-f", "framemd5", "-"],
    )
    return [line.rpartition(",")[2].strip() for line in output.splitlines() if not line.startswith("#")]


@pytest.fixture
async def cameras(clips: dict[str, Path], with_audio: dict[str, Path]) -> AsyncIterator[VirtualCameraServer]:
    """Cameras 1 to 4, behind digest: plain, B-frames, H.265, B-frames with AAC."""
    files = (clips["plain"], clips["b_frames"], clips["h265"], with_audio["aac"])
    server = VirtualCameraServer(CameraOptions(files=files, count=4, user=USER, password=PASSWORD))
    await server.start()
    yield server
    await server.stop()


def source(server: VirtualCameraServer, number: int) -> str:
    return server.cameras[number - 1].source.reveal()


@pytest.mark.needs("ffmpeg")
@pytest.mark.parametrize(
    ("number", "name", "transport"),
    [(1, "plain", "udp"), (2, "b_frames", "tcp"), (2, "b_frames", "udp"), (3, "h265", "tcp")],
)
async def test_ffmpeg_decodes_two_loops_to_the_pictures_of_the_source(
    cameras: VirtualCameraServer, clips: dict[str, Path], number: int, name: str, transport: str
) -> None:
    expected = await decoded(str(clips[name]), count=50)
    received = await decoded(source(cameras, number), "-rtsp_transport", transport, count=98)
    assert received == [*expected, *expected][:98]


@pytest.mark.needs("ffmpeg")
async def test_ffmpeg_decodes_real_footage_with_b_frames_to_the_pictures_of_the_source(
    footage: dict[str, Path],
) -> None:
    server = VirtualCameraServer(CameraOptions(files=(footage["vtest"],)))
    await server.start()
    try:
        expected = await decoded(str(footage["vtest"]), count=50)
        assert await decoded(server.urls[0], "-rtsp_transport", "tcp", count=50) == expected
    finally:
        await server.stop()


@pytest.mark.needs("ffmpeg", "ffprobe")
async def test_ffmpeg_finds_no_jump_in_timestamps_over_the_loop(
    cameras: VirtualCameraServer, tmp_path: Path
) -> None:
    # Matroska keeps each packet's own time; MP4 would smooth over a jump.
    recorded = tmp_path / "recorded.mkv"
    await run(
        *["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", source(cameras, 4)],
        *["-t", "5.5", "-map", "0", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-c:a", "copy"],
        *["-fps_mode", "passthrough", str(recorded)],
    )
    found = json.loads(await run("ffprobe", "-v", "error", "-show_packets", "-of", "json", str(recorded)))[
        "packets"
    ]
    times = {
        kind: [float(packet["pts_time"]) for packet in found if packet["codec_type"] == kind]
        for kind in ("video", "audio")
    }
    # ffmpeg guesses the time of the first picture, for its parameter sets come in a packet before it.
    assert all(b - a == pytest.approx(0.040, abs=0.0021) for a, b in pairwise(times["video"][3:]))
    assert all(b - a == pytest.approx(1024 / 48000, abs=0.0021) for a, b in pairwise(times["audio"]))
    assert abs(times["video"][-1] - times["audio"][-1]) < 0.3


@pytest.mark.needs("ffprobe")
async def test_wrong_credentials_are_refused(cameras: VirtualCameraServer) -> None:
    wrong = source(cameras, 1).replace("s3cret", "guess")
    with pytest.raises(AssertionError, match="401"):
        await run("ffprobe", "-v", "error", "-rtsp_transport", "tcp", wrong)


@pytest.mark.needs("gst-launch-1.0", "ffmpeg")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("number", "chain"),
    [
        (2, "rtph264depay ! h264parse ! avdec_h264"),
        (3, "rtph265depay ! h265parse"),
        (4, "rtpmp4gdepay ! aacparse ! avdec_aac"),
    ],
)
async def test_gstreamer_receives_and_decodes(
    cameras: VirtualCameraServer,
    clips: dict[str, Path],
    tmp_path: Path,
    transport: str,
    number: int,
    chain: str,
) -> None:
    received = await gstreamer_buffers(cameras, number, transport, chain, tmp_path)
    assert all(received)
    if "avdec_h264" in chain:
        expected = await decoded(str(clips["b_frames"]), count=50)
        assert {hashlib.md5(each).hexdigest() for each in received} <= set(expected)


async def gstreamer_buffers(
    server: VirtualCameraServer, number: int, transport: str, chain: str, folder: Path, *, count: int = 60
) -> list[bytes]:
    """The first buffers that come out of GStreamer's chain, which is ended as soon as they have."""
    kind = "audio" if "aac" in chain else "video"
    process = await asyncio.create_subprocess_exec(
        *["gst-launch-1.0", "-q", "rtspsrc", f"location={server.cameras[number - 1].url}"],
        *[f"user-id={USER}", f"user-pw={PASSWORD}", f"protocols={transport}", "name=source"],
        *f"source. ! application/x-rtp,media={kind} ! {chain} ! multifilesink location={folder}/%05d".split(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = asyncio.create_task(process.communicate())
    try:
        async with asyncio.timeout(60):
            # One more, for the last may be half written.
            while not (folder / f"{count:05d}").exists():
                assert not output.done(), f"GStreamer ended: {output.result()[0].decode()[-2000:]}"
                await asyncio.sleep(0.05)
    finally:
        if process.returncode is None:
            process.kill()
        await output
    return [(folder / f"{index:05d}").read_bytes() for index in range(count)]


@pytest.mark.needs("ffmpeg")
async def test_the_drawn_picture_and_its_tone_are_received_live() -> None:
    options = CameraOptions(pattern=True, width=640, height=368, bitrate=800_000, audio=PatternAudio.AAC)
    server = VirtualCameraServer(options)
    await server.start()
    try:
        pictures = await decoded(server.urls[0], "-rtsp_transport", "tcp", count=40)
        assert len(set(pictures)) == 40
        sound = await run(
            *["ffmpeg", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", server.urls[0]],
            *["-map", "0:a", "-t", "1.5", "-f", "framemd5", "-"],
        )
        assert len([line for line in sound.splitlines() if not line.startswith("#")]) >= 60
    finally:
        await server.stop()
