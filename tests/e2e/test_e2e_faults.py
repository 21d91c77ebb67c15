"""The system among things that go wrong all at once: nobody else is hurt, and it ends in order."""

import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from bench._viewer import SinkViewer
from tests.e2e.hostile_camera import KINDS
from tests.e2e.players import decoded
from tests.e2e.resized_camera import FIRST_WIDTH, H264, THEN_WIDTH, ResizedCamera
from tests.e2e.system import Process, System, camera, filming, seconds, wait_for
from tests.free_ports import free_port

from vms.common.clock import parse_rfc3339
from vms.format.hybrid import read_segment

pytestmark = pytest.mark.e2e

REASONS = {
    "closer": "ended",
    "garbage": "protocol_error",
    "endless-head": "protocol_error",
    "huge-body": "protocol_error",
    "ends-at-play": "ended",
}
UNREACHABLE = 20
SILENCE_S = 5.0  # less than the system waits for any camera's answer
FIRST_WAIT_S, LONGEST_WAIT_S = (
    0.5,
    15.0,
)  # at least, between two tries: half of the back-off, doubled each time


@pytest.fixture
def hostile() -> Iterator[Process]:
    process = Process(sys.executable, str(Path(__file__).with_name("hostile_camera.py")))
    yield process
    process.stop(signal.SIGKILL)


@pytest.fixture
def resized() -> Iterator[ResizedCamera]:
    camera = ResizedCamera(H264)
    yield camera
    camera.stop()


def test_hostile_cameras_and_vanishing_viewers_hurt_nobody_and_the_system_stops_in_order(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], hostile: Process
) -> None:
    good = virtual_camera("--pattern", "--audio", "aac", "--bitrate", "500000", count=2)
    urls = dict(line.split() for line in hostile.find(r"(?m)^\S+ rtsp://\S+$", len(KINDS)))
    cameras = [camera(f"good-{number}", url) for number, url in enumerate(good)]
    cameras += [camera(kind, url) for kind, url in urls.items()]
    cameras += [camera(f"gone-{number}", f"rtsp://127.0.0.1:{1 + number}/") for number in range(UNREACHABLE)]
    began_s = time.monotonic()
    system = serve(cameras, storage={"segment": "3s"})
    system.wait_live("good-0")
    _storm(system, "good-0")
    timeline = system.wait_recorded("good-1", 8)
    assert (len(timeline["spans"]), timeline["gaps"]) == (1, [])
    for kind, code in {**REASONS, "silent": "unreachable", "gone-7": "unreachable"}.items():
        found = wait_for(
            f"{code} of {kind}",
            lambda k=kind, code=code: (c := system.camera(k))["reason_code"] == code and c,
        )
        assert found["reason"]
        assert not found["recording"]
    tried = {kind: hostile.output.count(f"tried {kind}\n") for kind in KINDS}
    assert min(tried.values()) >= 1
    del tried["random-rtp"]  # some of it is taken for media, after which waiting begins anew
    assert max(tried.values()) <= _most_tries(time.monotonic() - began_s), "back-off is respected"
    metrics = system.http.get(f"{system.url}/metrics").text
    assert not re.search(r"vms_camera_crashes_total\S* [1-9]", metrics)
    lags_s = [sample.value for sample in system.metrics("vms_event_loop_lag_seconds", quantile="0.95")]
    assert max(lags_s) < SILENCE_S  # no camera's silence is waited for on the loop
    wait_for("the end of the viewers' consent", lambda: system.camera("good-0")["viewers"] == 0, 120)
    with ExitStack() as stalled:
        for _ in range(4):
            stalled.enter_context(closing(_begin_export(system)))
        _stops_in_order(system)


def _most_tries(within_s: float) -> int:
    """How often a camera that always fails may be tried."""
    tries, at_s, wait_s = 1, FIRST_WAIT_S, FIRST_WAIT_S
    while at_s <= within_s:
        tries += 1
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        at_s += wait_s
    return tries


def _storm(system: System, camera_id: str) -> None:
    """Viewers that come all at once, get pictures, and vanish without a word."""
    with ExitStack() as stack:
        viewers = [stack.enter_context(closing(SinkViewer())) for _ in range(30)]
        taking = stack.enter_context(_taking())
        for viewer in viewers:
            viewer.accept(_whep(system, camera_id, viewer))
            taking.append(viewer)  # or it would be given up while others come
        wait_for("pictures for all", lambda: all(v.packets for v in viewers))
        wait_for("all counted", lambda: system.camera(camera_id)["viewers"] == len(viewers))


def _begin_export(system: System) -> socket.socket:
    """A client that asks for an export and takes none of it."""
    host, port = system.url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    span = system.recordings("good-0")["spans"][0]
    path = f"/api/v1/cameras/good-0/export.mp4?start={span['start']}&end={span['end']}"
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return client


def _stops_in_order(system: System) -> None:
    assert system.stop() == 0
    assert not re.search(r"Traceback|never retrieved|unclosed|\"level\": \"error\"", system.output)
    files = list((system.data_dir / "recordings").rglob("*.mp4"))
    assert len(files) > 4
    for path in files:
        assert _is_closed(path), path


def _is_closed(path: Path) -> bool:
    data = path.read_bytes()
    return read_segment(lambda offset, size: data[offset : offset + size], len(data)).closed


def test_a_system_killed_again_and_again_recovers_every_recording(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]], tmp_path: Path
) -> None:
    urls = virtual_camera("--pattern", "--audio", "aac", "--bitrate", "500000", count=3)
    cameras = [camera(f"porch-{number}", url) for number, url in enumerate(urls)]
    for when in ("while recording", "at start", "while closing"):
        system = serve(cameras, data_dir=tmp_path / "data", storage={"segment": "2s"})
        if when != "at start":
            for each in cameras:
                system.wait_recorded(each["id"], 1)
        if when == "while closing":
            system.send(signal.SIGTERM)
        system.stop(signal.SIGKILL)
    began_ns = time.time_ns()
    last = serve(cameras, data_dir=tmp_path / "data", storage={"segment": "2s"})
    for each in cameras:
        wait_for(
            f"{each['id']} recorded again", lambda each=each: _recorded_from(last, each["id"], began_ns, 2)
        )
        timeline = last.recordings(each["id"])
        assert {gap["reason"] for gap in timeline["gaps"]} == {"system_stopped"}
        assert len(timeline["gaps"]) == len(timeline["spans"]) - 1
    _stops_in_order(last)
    for path in (tmp_path / "data" / "recordings").rglob("*.mp4"):
        assert decoded(path)


def _recorded_from(system: System, camera_id: str, from_ns: int, at_least_s: float) -> bool:
    """Whether a stretch that began after a moment is so long."""
    spans = system.recordings(camera_id)["spans"]
    begun = [span for span in spans if parse_rfc3339(span["start"]) > from_ns]
    return bool(begun) and seconds(begun[-1]["start"], begun[-1]["end"]) >= at_least_s


def test_a_camera_that_drops_and_returns_leaves_a_gap_with_its_reason(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    at = ("--pattern", "--port", str(free_port()))
    (steady,) = virtual_camera("--pattern")
    with filming() as film:
        (dropping,) = film(*at)
        system = serve([camera("dropping", dropping), camera("steady", steady)])
        system.wait_recorded("dropping", 2)
        system.wait_live("steady")
    failed = wait_for("the drop", lambda: (c := system.camera("dropping"))["state"] == "failed" and c)
    assert failed["reason"]
    assert failed["reason_code"]
    gap = wait_for("the gap", lambda: system.recordings("dropping")["gaps"])[0]
    assert gap["reason"] == "camera_lost"
    assert virtual_camera(*at) == [dropping]
    system.wait_live("dropping")
    gap = wait_for(
        "the end of the gap", lambda: [g for g in system.recordings("dropping")["gaps"] if g["end"]]
    )[0]
    assert gap["start"] < gap["end"]
    wait_for("two spans", lambda: len(system.recordings("dropping")["spans"]) >= 2 or None)
    playlist = system.http.get("/cameras/dropping/playback.m3u8").text
    assert playlist.count("#EXT-X-DISCONTINUITY\n") == 1
    other = system.recordings("steady")
    assert (len(other["spans"]), other["gaps"]) == (1, [])
    wait_for("all well", lambda: system.http.get(f"{system.url}/readyz").status_code == 200)


@pytest.mark.needs("ffmpeg", "gst-rtsp-server")
def test_a_camera_that_changes_its_resolution_is_recorded_played_and_watched_without_a_gap(
    serve: Callable[..., System], resized: ResizedCamera, tmp_path: Path
) -> None:
    system = serve([camera("porch", resized.url)], storage={"segment": "10min"})
    assert system.wait_live("porch")["width"] == FIRST_WIDTH
    system.wait_recorded("porch", 3)
    with closing(SinkViewer()) as viewer:
        viewer.accept(_whep(system, "porch", viewer))
        with _taking(viewer):
            wait_for("media", lambda: viewer.packets > 20)
            resized.resize()
            wait_for("the new size", lambda: system.camera("porch")["width"] == THEN_WIDTH)
            seen = viewer.packets
            wait_for("more media", lambda: viewer.packets > seen + 20)
        assert viewer.lost == 0
    wait_for("a second file", lambda: len(system.recordings("porch")["segments"]) == 2)
    timeline = system.wait_recorded("porch", 10)
    assert (len(timeline["spans"]), timeline["gaps"]) == (1, [])
    span = timeline["spans"][0]
    query = f"start={span['start']}&end={span['end']}"
    playlist = system.http.get(f"/cameras/porch/playback.m3u8?{query}").text
    assert playlist.count("#EXT-X-DISCONTINUITY\n") == 1
    base = f"{system.url}/api/v1/cameras/porch"
    assert len(decoded(f"{base}/playback.m3u8?{query}", "-allowed_extensions", "ALL")) > 100
    export = tmp_path / "export.mp4"
    export.write_bytes(system.http.get(f"/cameras/porch/export.mp4?{query}").content)
    assert len(decoded(export)) > 100


def _whep(system: System, camera_id: str, viewer: SinkViewer) -> str:
    headers = {"Content-Type": "application/sdp"}

    def answered() -> str | None:
        answer = system.http.post(f"/cameras/{camera_id}/whep", content=viewer.offer(), headers=headers)
        assert answer.status_code in (201, 503), answer.text
        return answer.text if answer.status_code == 201 else None  # else it is to be tried again soon

    return wait_for("a session", answered)


@contextmanager
def _taking(*first: SinkViewer) -> Iterator[list[SinkViewer]]:
    """Viewers take what comes and keep their consent, whatever the test waits for; more may be added."""
    ended, viewers = threading.Event(), [*first]

    def take() -> None:
        while not ended.wait(0.02):
            for viewer in [*viewers]:
                viewer.readable()
                viewer.tick()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield viewers
    finally:
        ended.set()
        thread.join()
