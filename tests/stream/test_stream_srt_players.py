"""SRT out as others receive it: ffmpeg, srt-live-transmit, GStreamer; bit for bit what the camera sent."""

import asyncio
from pathlib import Path

import pytest
from tests.format.format_material import (
    decoded_frames,
    digest,
    encoded_audio,
    encoded_video,
    ffmpeg_frames,
    interleave,
)
from tests.free_ports import free_port
from tests.stream.srt_material import (
    CAMERA,
    DELIVERED_S,
    LATENCY_MS,
    PASSPHRASE,
    SECRET,
    Clip,
    output_of,
    running,
    sent_out,
    served,
)

from vms.common.clock import SystemClock
from vms.common.srt_url import SrtUrl
from vms.common.stream_name import StreamName
from vms.media import Codec
from vms.stream.srt import Push, PushState, srt_url
from vms.stream.srt.service import SrtService

VIDEOS = [(Codec.H264, 0), (Codec.H264, 2), (Codec.H265, 2)]
TO_MD5 = ("-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")


def _md5s(lines: list[str]) -> list[str]:
    return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]


async def _played_to_the_end(service: SrtService, clip: Clip) -> None:
    """Then the connection is closed, which a player sees as the end."""
    async with asyncio.timeout(30):
        await clip.played.wait()
    await sent_out(service)
    await asyncio.sleep(DELIVERED_S)
    service.end_camera(CAMERA)


@pytest.mark.needs("ffmpeg", "libsrt")
@pytest.mark.parametrize(("codec", "b_frames"), VIDEOS)
async def test_ffmpeg_decodes_the_very_pictures(codec: Codec, b_frames: int) -> None:
    units = encoded_video(codec, 60, b_frames=b_frames)
    clip = Clip(units)
    async with served(clip.hub, passphrase=PASSPHRASE) as service:
        url = f"srt://127.0.0.1:{service.port}?streamid=%23!::r={CAMERA},m=request&passphrase={PASSPHRASE}"
        async with running("ffmpeg", "-v", "fatal", "-i", url, *TO_MD5) as player:
            await _played_to_the_end(service, clip)
            lines, errors = await output_of(player)

    assert _md5s(lines) == [digest(frame) for frame in decoded_frames(units)], errors


@pytest.mark.needs("ffmpeg", "srt-live-transmit", "libsrt")
async def test_srt_live_transmit_receives_pictures_and_sound_with_the_url_that_the_api_gives(
    tmp_path: Path,
) -> None:
    pictures, sound = encoded_video(Codec.H264, 60, b_frames=2), encoded_audio(Codec.AAC, 2.4)
    clip = Clip(interleave(pictures, sound))
    path = tmp_path / "received.ts"
    async with served(clip.hub, passphrase=PASSPHRASE) as service:
        server = f"127.0.0.1:{service.port}"
        url = srt_url(SECRET, server, CAMERA, StreamName.MAIN, SystemClock().wall_ns())
        async with running("srt-live-transmit", "-q", "-a:no", url, "file://con") as receiver:
            await _played_to_the_end(service, clip)
            async with asyncio.timeout(30):
                path.write_bytes((await receiver.communicate())[0])

    assert ffmpeg_frames(path) == [digest(frame) for frame in decoded_frames(pictures)]
    assert len(ffmpeg_frames(path, "0:a")) == len(sound)


@pytest.mark.needs("gst-launch-1.0", "libsrt")
async def test_gstreamer_plays_it() -> None:
    units = encoded_video(Codec.H264, 100, b_frames=2)
    clip = Clip(units)
    async with served(clip.hub, passphrase=PASSPHRASE) as service:
        source = f"srtsrc uri=srt://127.0.0.1:{service.port}?streamid={CAMERA}&passphrase={PASSPHRASE}"
        sink = "identity eos-after=80 ! checksumsink hash=md5 sync=false"
        pipeline = f"{source} ! tsdemux ! h264parse ! avdec_h264 ! videoconvert ! {sink}"
        async with running("gst-launch-1.0", "-q", *pipeline.split()) as player:
            lines, errors = await output_of(player)
    md5s = [line.split()[-1] for line in lines]
    md5s = md5s[:79]  # the 80th is the one that it ends instead of
    assert md5s == [digest(frame) for frame in decoded_frames(units)][:79], errors


@pytest.mark.needs("ffmpeg", "libsrt")
async def test_a_listener_of_ffmpeg_gets_our_push() -> None:
    port = free_port()
    units = encoded_video(Codec.H264, 60, b_frames=2)
    clip = Clip(units)

    async def secret() -> str:
        return PASSPHRASE

    push = Push(
        CAMERA,
        StreamName.MAIN,
        SrtUrl.parse(f"srt://127.0.0.1:{port}?streamid=live/1&latency={LATENCY_MS}"),
        secret,
    )
    async with served(clip.hub, pushes=[push], listens=False) as service:
        url = f"srt://127.0.0.1:{port}?mode=listener&passphrase={PASSPHRASE}"
        async with running("ffmpeg", "-v", "fatal", "-i", url, *TO_MD5) as receiver:
            async with asyncio.timeout(30):
                await clip.played.wait()
            assert push.state is PushState.LIVE and push.connected == 1
            await sent_out(service)
            await asyncio.sleep(DELIVERED_S)
            await service.stop()
            lines, errors = await output_of(receiver)

    assert _md5s(lines) == [digest(frame) for frame in decoded_frames(units)], errors
