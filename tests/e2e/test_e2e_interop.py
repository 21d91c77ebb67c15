"""Cameras that we did not write, recorded; then judged by players that we did not write."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.players import decoded, is_made_of, is_stretch_of, probe
from tests.e2e.system import System, camera

from vms.common.clock import NS, parse_rfc3339

pytestmark = [pytest.mark.e2e, pytest.mark.needs("ffmpeg", "gst-rtsp-server")]

H264 = "filesrc location={path} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96"
TRANSPORTS = [("tcp", ()), ("udp", ()), ("tcp", ("--user", "admin", "--password", "hunter2", "--digest"))]


@pytest.mark.parametrize(("transport", "arguments"), TRANSPORTS, ids=["tcp", "udp", "digest"])
def test_a_gstreamer_camera_is_recorded_bit_for_bit(
    serve: Callable[..., System],
    gst_camera: Callable[..., str],
    footage: dict[str, Path],
    transport: str,
    arguments: tuple[str, ...],
) -> None:
    source = footage["vtest"]  # with B-frames
    url = gst_camera(H264.format(path=source), *arguments)
    if arguments:
        url = url.replace("rtsp://", "rtsp://admin:hunter2@")
    system = serve([camera("porch", url, transport=transport)])
    live = system.wait_live("porch")
    assert (live["codec"], live["width"], live["height"]) == ("h264", 768, 576)
    system.wait_recorded("porch", 8)
    whole = decoded(source)
    _judge_playlist_and_export(system, "porch", whole)
    system.stop()
    files = sorted((system.data_dir / "recordings" / "porch").rglob("*.mp4"))
    recorded = [decoded(path) for path in files]
    assert sum(map(len, recorded)) > 60
    for path, pictures in zip(files, recorded, strict=True):
        # It ends in decoding order: before its last pictures, some that would have been sent next are missing
        assert is_stretch_of(pictures[:-3], whole)
        assert probe(path)["streams"][0]["codec_name"] == "h264"


def _judge_playlist_and_export(system: System, camera_id: str, whole: list[str]) -> None:
    span = system.recordings(camera_id)["spans"][-1]
    query = f"start={span['start']}&end={span['end']}"
    base = f"{system.url}/api/v1/cameras/{camera_id}"
    shown = decoded(f"{base}/playback.m3u8?{query}", "-allowed_extensions", "ALL")
    assert len(shown) > 20
    assert is_made_of(shown, whole)
    export = system.data_dir / "export.mp4"
    answer = system.http.get(f"/cameras/{camera_id}/export.mp4?{query}")
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    export.write_bytes(answer.content)
    assert answer.content.index(b"moov") < answer.content.index(b"mdat")
    cut = decoded(export)
    assert len(cut) > 20
    assert is_made_of(cut, whole)
    assert answer.content[1000:5000] == system.http.get(
        f"/cameras/{camera_id}/export.mp4?{query}", headers={"Range": "bytes=1000-4999"}
    ).content or probe(export)


def _encode(path: Path, *options: str) -> Path:
    """10 s of footage made by FFmpeg's encoders."""
    inputs = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=25",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
    ]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *inputs, "-t", "10", *options, str(path)]
    subprocess.run(command, check=True, timeout=120)
    return path


VIDEO_264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p")
VIDEO_265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25:bframes=0")
FFMPEG_STREAMS = {
    "h265 and aac": (
        (*VIDEO_265, "-c:a", "aac"),
        "filesrc location={path} ! qtdemux name=d  d. ! queue ! h265parse ! rtph265pay name=pay0 pt=96"
        "  d. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97",
        ("h265", "aac"),
    ),
    "h264 and opus": (
        (*VIDEO_264, "-c:a", "libopus"),
        "filesrc location={path} ! matroskademux name=d  d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96"
        "  d. ! queue ! opusparse ! rtpopuspay name=pay1 pt=97",
        ("h264", "opus"),
    ),
    "h264 and g711": (
        (*VIDEO_264, "-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"),
        "filesrc location={path} ! matroskademux name=d  d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96"
        "  d. ! queue ! rtppcmupay name=pay1 pt=0",
        ("h264", "pcmu"),
    ),
}


@pytest.mark.parametrize("name", FFMPEG_STREAMS)
def test_a_stream_made_by_ffmpeg_is_recorded_with_its_sound(
    name: str, serve: Callable[..., System], gst_camera: Callable[..., str], tmp_path: Path
) -> None:
    options, launch, codecs = FFMPEG_STREAMS[name]
    source = _encode(tmp_path / ("source.mp4" if "qtdemux" in launch else "source.mkv"), *options)
    system = serve([camera("porch", gst_camera(launch.format(path=source)))])
    live = system.wait_live("porch")
    assert (live["codec"], live["audio"]) == codecs
    system.wait_recorded("porch", 6)
    _judge_playlist_and_export(system, "porch", decoded(source))
    system.stop()
    whole = decoded(source)
    sounds = 0
    for path in (system.data_dir / "recordings" / "porch").rglob("*.mp4"):
        assert is_stretch_of(decoded(path), whole)
        sounds += len(decoded(path, stream="a:0"))
        streams = {stream["codec_type"]: stream for stream in probe(path)["streams"]}
        video_s, sound_s = (float(streams[kind]["duration"]) for kind in ("video", "audio"))
        assert abs(video_s - sound_s) < 0.7
    assert sounds > 50


def test_ffmpeg_plays_many_files_of_a_camera_with_g711_sound(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern", "--audio", "pcmu")
    system = serve([camera("porch", url)], storage={"segment": "2s"})
    timeline = system.wait_recorded("porch", 7)
    assert len(timeline["segments"]) >= 3
    span = timeline["spans"][0]
    playlist = system.http.get("/cameras/porch/playback.m3u8", params=span).text
    assert playlist.count("/init.mp4") >= 3
    base = f"{system.url}/api/v1/cameras/porch"
    query = f"start={span['start']}&end={span['end']}"
    assert len(decoded(f"{base}/playback.m3u8?{query}", "-allowed_extensions", "ALL")) > 150


def test_recording_goes_on_without_a_gap_over_many_files(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], footage: dict[str, Path]
) -> None:
    (url,) = virtual_camera(str(footage["people"]))
    system = serve([camera("porch", url)], storage={"segment": "3s"})
    timeline = system.wait_recorded("porch", 12)
    assert len(timeline["segments"]) >= 3
    assert len(timeline["spans"]) == 1
    assert timeline["gaps"] == []
    span = timeline["spans"][0]
    playlist = system.http.get("/cameras/porch/playback.m3u8", params=span).text
    assert playlist.count("#EXT-X-DISCONTINUITY\n") == 0
    assert playlist.count("#EXT-X-MAP") >= 3
    base = f"{system.url}/api/v1/cameras/porch"
    shown = decoded(
        f"{base}/playback.m3u8?start={span['start']}&end={span['end']}", "-allowed_extensions", "ALL"
    )
    assert is_made_of(shown, decoded(footage["people"]))


def test_a_killed_systems_files_play_to_the_last_fragment_and_are_recovered(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], footage: dict[str, Path]
) -> None:
    (url,) = virtual_camera(str(footage["people"]))
    system = serve([camera("porch", url)])
    open_id = system.wait_recorded("porch", 4)["segments"][-1]["id"]
    killed_at = time.time()
    system.stop(signal.SIGKILL)
    path = max((system.data_dir / "recordings" / "porch").rglob("*.mp4"))
    whole = decoded(footage["people"])
    before = decoded(path)
    assert is_made_of(before, whole)

    again = serve([camera("porch", url)], data_dir=system.data_dir)
    again.wait_live("porch")
    timeline: dict[str, Any] = again.recordings("porch")
    recovered = next(segment for segment in timeline["segments"] if segment["id"] == open_id)
    assert recovered["closed"]
    lost_s = killed_at - parse_rfc3339(recovered["end"]) / NS
    assert lost_s <= 1.0 + 0.3  # 1 s is promised; the kill itself and the reading of the clock take a moment
    assert [gap["reason"] for gap in timeline["gaps"]] == ["system_stopped"]
    assert decoded(path) == before
    again.stop()
