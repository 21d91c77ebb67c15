"""Cameras that we did not write, recorded; then judged by players that we did not write.

One system records all of them at the same time. A camera that was judged is removed, which closes its last file.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.players import decoded, is_made_of, is_stretch_of, probe
from tests.e2e.system import System, camera, filming, gst_filming, seconds, serving, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("ffmpeg", "gst-rtsp-server")]

LOST_S = 1.0  # of what was received, at most, when everything is killed
H264 = "filesrc location={path} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96"
TRANSPORTS = {"tcp": (), "udp": (), "digest": ("--user", "admin", "--password", "hunter2", "--digest")}
VIDEO_264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p")
VIDEO_265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25:bframes=0")
FFMPEG_STREAMS = {
    "h265-aac": (
        (*VIDEO_265, "-c:a", "aac"),
        "filesrc location={path} ! qtdemux name=d  d. ! queue ! h265parse ! rtph265pay name=pay0 pt=96"
        "  d. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97",
        ("h265", "aac"),
    ),
    "h264-opus": (
        (*VIDEO_264, "-c:a", "libopus"),
        "filesrc location={path} ! matroskademux name=d  d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96"
        "  d. ! queue ! opusparse ! rtpopuspay name=pay1 pt=97",
        ("h264", "opus"),
    ),
    "h264-g711": (
        (*VIDEO_264, "-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"),
        "filesrc location={path} ! matroskademux name=d  d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96"
        "  d. ! queue ! rtppcmupay name=pay1 pt=0",
        ("h264", "pcmu"),
    ),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The footage that FFmpeg made, by camera."""
    folder = tmp_path_factory.mktemp("sources")
    found = {}
    for name, (options, launch, _) in FFMPEG_STREAMS.items():
        found[name] = _encode(folder / f"{name}.{'mp4' if 'qtdemux' in launch else 'mkv'}", *options)
    return found


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory, footage: dict[str, Path], sources: dict[str, Path]
) -> Iterator[System]:
    with (
        filming() as film,
        gst_filming() as gst_film,
        serving(tmp_path_factory.mktemp("interop")) as serve,
    ):
        cameras = []
        for name, arguments in TRANSPORTS.items():
            url = gst_film(H264.format(path=footage["vtest"]), *arguments)
            if arguments:
                url = url.replace("rtsp://", "rtsp://admin:hunter2@")
            cameras.append(camera(name, url, transport="udp" if name == "udp" else "tcp"))
        for name, (_, launch, _) in FFMPEG_STREAMS.items():
            cameras.append(camera(name, gst_film(launch.format(path=sources[name]))))
        cameras.append(camera("many-files", film(str(footage["people"]))[0]))
        cameras.append(camera("many-g711", film("--pattern", "--audio", "pcmu")[0]))
        system = serve([], storage={"segment": "4s"})
        for each in cameras:
            assert system.http.post("/cameras", json=each).status_code == 201
        yield system


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_gstreamer_camera_is_recorded_bit_for_bit(
    name: str, system: System, footage: dict[str, Path]
) -> None:
    live = system.wait_live(name)
    assert (live["codec"], live["width"], live["height"]) == ("h264", 768, 576)
    system.wait_recorded(name, 8)
    whole = decoded(footage["vtest"])  # with B-frames
    _judge_playlist_and_export(system, name, whole)
    recorded = {path: decoded(path) for path in _closed_files(system, name)}
    assert sum(map(len, recorded.values())) > 60
    for path, pictures in recorded.items():
        # It ends in decoding order: before its last pictures, some that would have been sent next are missing
        assert is_stretch_of(pictures[:-3], whole)
        assert probe(path)["streams"][0]["codec_name"] == "h264"


@pytest.mark.parametrize("name", FFMPEG_STREAMS)
def test_a_stream_made_by_ffmpeg_is_recorded_with_its_sound(
    name: str, system: System, sources: dict[str, Path]
) -> None:
    live = system.wait_live(name)
    assert (live["codec"], live["audio"]) == FFMPEG_STREAMS[name][2]
    system.wait_recorded(name, 6)
    whole = decoded(sources[name])
    _judge_playlist_and_export(system, name, whole)
    sounds = 0
    for path in _closed_files(system, name):
        assert is_stretch_of(decoded(path), whole)
        sounds += len(decoded(path, stream="a:0"))
        streams = {stream["codec_type"]: stream for stream in probe(path)["streams"]}
        video_s, sound_s = (float(streams[kind]["duration"]) for kind in ("video", "audio"))
        assert abs(video_s - sound_s) < 0.7
    assert sounds > 50


def test_ffmpeg_plays_many_files_of_a_camera_with_g711_sound(system: System) -> None:
    timeline = _wait_files(system, "many-g711", 3)
    span = timeline["spans"][0]
    playlist = system.http.get("/cameras/many-g711/playback.m3u8", params=span).text
    assert playlist.count("/init.mp4") >= 3
    base = f"{system.url}/api/v1/cameras/many-g711"
    query = f"start={span['start']}&end={span['end']}"
    assert len(decoded(f"{base}/playback.m3u8?{query}", "-allowed_extensions", "ALL")) > 150


def test_recording_goes_on_without_a_gap_over_many_files(system: System, footage: dict[str, Path]) -> None:
    timeline = _wait_files(system, "many-files", 3)
    assert len(timeline["spans"]) == 1
    assert timeline["gaps"] == []
    span = timeline["spans"][0]
    playlist = system.http.get("/cameras/many-files/playback.m3u8", params=span).text
    assert playlist.count("#EXT-X-DISCONTINUITY\n") == 0
    assert playlist.count("#EXT-X-MAP") >= 3
    base = f"{system.url}/api/v1/cameras/many-files"
    query = f"start={span['start']}&end={span['end']}"
    shown = decoded(f"{base}/playback.m3u8?{query}", "-allowed_extensions", "ALL")
    assert is_made_of(shown, decoded(footage["people"]))


def test_a_snapshot_shows_now_and_then(system: System, tmp_path: Path) -> None:
    system.wait_recorded("many-g711", 3)
    then = system.recordings("many-g711")["spans"][0]["start"]
    for number, params in enumerate(({}, {"at": then})):
        answer = system.http.get("/cameras/many-g711/snapshot.jpg", params=params)
        assert answer.headers["content-type"] == "image/jpeg"
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(answer.content)
        assert len(decoded(path)) == 1
    before = system.http.get("/cameras/many-g711/snapshot.jpg", params={"at": "2020-01-01T00:00:00Z"})
    assert before.status_code == 404
    assert before.headers["content-type"] == "application/problem+json"


def test_a_killed_systems_files_play_to_the_last_fragment_and_are_recovered(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], footage: dict[str, Path]
) -> None:
    (url,) = virtual_camera(str(footage["people"]))
    system = serve([camera("porch", url)])
    open_id = system.wait_recorded("porch", 4)["segments"][-1]["id"]
    pids = system.wait_running()
    received = system.camera("porch")["last_frame_at"]
    for pid in (system.pid, pids.pop("supervisor"), *pids.values()):  # or what is left would close its files
        os.kill(pid, signal.SIGKILL)
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
    assert seconds(recovered["end"], received) <= LOST_S
    assert [gap["reason"] for gap in timeline["gaps"]] == ["system_stopped"]
    assert decoded(path) == before
    again.stop()


def _wait_files(system: System, camera_id: str, count: int) -> dict[str, Any]:
    """The timeline, once it has so many files that are closed."""

    def probe() -> dict[str, Any] | None:
        timeline = system.recordings(camera_id)
        return timeline if sum(segment["closed"] for segment in timeline["segments"]) >= count else None

    return wait_for(f"{count} files of {camera_id}", probe)


def _judge_playlist_and_export(system: System, camera_id: str, whole: list[str]) -> None:
    span = max(system.recordings(camera_id)["spans"], key=lambda each: seconds(each["start"], each["end"]))
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


def _closed_files(system: System, camera_id: str) -> list[Path]:
    """Every recording of a camera, once it is removed."""
    assert system.http.delete(f"/cameras/{camera_id}").status_code == 204
    return sorted((system.data_dir / "recordings" / camera_id).rglob("*.mp4"))


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
