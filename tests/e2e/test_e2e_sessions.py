"""A viewer's session over many connections and processes; players of the public RTSP server."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest
from bench._viewer import SinkViewer
from tests.e2e.system import PATIENCE_S, System, camera, filming, serving, wait_for

pytestmark = pytest.mark.e2e

CAMERAS = ["porch", "gate"]
TOKEN = "a-token-of-some-length"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with filming() as film, serving(tmp_path_factory.mktemp("sessions")) as serve:
        urls = film("--pattern", "--bitrate", "500000", count=len(CAMERAS))
        cameras = [camera(camera_id, url) for camera_id, url in zip(CAMERAS, urls, strict=True)]
        system = serve(cameras, roles={"media": 1, "stream": 2, "api": 2})
        for camera_id in CAMERAS:
            system.wait_live(camera_id)
        yield system


@dataclass
class Viewing:
    """A session as a player knows it."""

    viewer: SinkViewer
    location: str
    etag: str

    @property
    def worker(self) -> str:
        return self.location.rpartition("/")[2].partition(".")[0]


def _ask(system: System, method: str, url: str, **more: object) -> httpx.Response:
    """One request over a TCP connection of its own."""
    return httpx.request(method, httpx.URL(system.url).join(url), timeout=PATIENCE_S, **more)  # type: ignore[arg-type]


def _watch(api: httpx.Client, camera_id: str) -> Viewing:
    viewer = SinkViewer()
    answer = api.post(f"/cameras/{camera_id}/whep", content=viewer.offer(), headers=SDP)
    assert answer.status_code == 201, answer.text
    viewer.accept(answer.text)
    return Viewing(viewer, answer.headers["location"], answer.headers["etag"])


def _stay(watching: Iterable[Viewing]) -> None:
    """Answer the server's questions whether they are still there; due every few seconds."""
    for each in watching:
        each.viewer.readable()
        each.viewer.tick()


def _gets_pictures(watching: list[Viewing]) -> None:
    before = [each.viewer.packets for each in watching]

    def probe() -> bool:
        _stay(watching)
        return all(each.viewer.packets > packets + 20 for each, packets in zip(watching, before, strict=True))

    wait_for("pictures", probe)


@pytest.fixture
def both(system: System) -> Iterator[dict[str, Viewing]]:
    """A session of each stream process: the second camera's goes to the one that has less to do.

    The api process that places them is the one that says how many there are: one connection, one process.
    """
    viewings: list[Viewing] = []

    def told(api: httpx.Client, count: int) -> bool:
        _stay(viewings)
        cameras = api.get("/cameras").raise_for_status().json()["cameras"]
        return sum(each["viewers"] for each in cameras) == count

    with httpx.Client(base_url=system.http.base_url, timeout=PATIENCE_S) as api:
        for count, camera_id in enumerate(CAMERAS):
            wait_for(f"{count} sessions to be told of", lambda count=count: told(api, count))
            viewings.append(_watch(api, camera_id))
            _gets_pictures(viewings)
    found = {viewing.worker: viewing for viewing in viewings}
    assert sorted(found) == ["stream-0", "stream-1"]
    yield found
    for viewing in viewings:
        viewing.viewer.close()
        _ask(system, "DELETE", viewing.location)


def test_every_request_of_a_session_finds_it_over_a_connection_of_its_own(
    system: System, both: dict[str, Viewing]
) -> None:
    _gets_pictures(list(both.values()))
    for viewing in both.values():
        for _ in range(6):  # whichever api process answers
            _stay(both.values())
            assert _ask(system, "GET", viewing.location).status_code == 204
            viewer = viewing.viewer
            lines = [f"a=ice-ufrag:{viewer.ufrag}", f"a=ice-pwd:{viewer.pwd}", "a=end-of-candidates", ""]
            fragment = "\r\n".join(lines)
            headers = FRAGMENT | {"If-Match": viewing.etag}
            answer = _ask(system, "PATCH", viewing.location, content=fragment, headers=headers)
            assert answer.status_code == 204, answer.text
            headers["If-Match"] = '"of another session"'
            answer = _ask(system, "PATCH", viewing.location, content=fragment, headers=headers)
            assert answer.status_code == 412, answer.text
        session_id = viewing.location.rpartition("/")[2]
        (other_id,) = (each for each in CAMERAS if f"/{each}/" not in viewing.location)
        other = f"/api/v1/cameras/{other_id}/whep/{session_id}"
        assert _ask(system, "GET", other).status_code == 404, "it is a session of another camera"

    def all_have_answered() -> bool:
        _stay(both.values())
        for viewing in both.values():
            assert _ask(system, "GET", viewing.location).status_code == 204
        answered = {sample.labels["worker"] for sample in system.metrics("vms_http_requests_total")}
        return answered == {"api-0", "api-1"}

    wait_for("an answer of every api process", all_have_answered)
    for viewing in both.values():
        assert _ask(system, "DELETE", viewing.location).status_code == 204
        for _ in range(4):
            assert _ask(system, "GET", viewing.location).status_code == 404
        assert _ask(system, "DELETE", viewing.location).status_code == 404
        wait_for("the goodbye", lambda viewer=viewing.viewer: viewer.readable() or viewer.closed)


def test_ice_restarts_through_any_process_and_pictures_go_on(
    system: System, both: dict[str, Viewing]
) -> None:
    for viewing in both.values():
        _gets_pictures(list(both.values()))
        viewer = viewing.viewer
        lines = ["a=ice-ufrag:afterwards", f"a=ice-pwd:{viewer.pwd}", ""]
        headers = FRAGMENT | {"If-Match": "*"}
        answer = _ask(system, "PATCH", viewing.location, content="\r\n".join(lines), headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] != viewing.etag
        viewer.ufrag = "afterwards"
        viewer.accept(answer.text)  # credentials and candidates are written as in an SDP answer
        viewer.send_check()
        _gets_pictures(list(both.values()))
        headers = FRAGMENT | {"If-Match": viewing.etag}
        assert (
            _ask(system, "PATCH", viewing.location, content="\r\n".join(lines), headers=headers).status_code
            == 412
        )


def test_a_session_ends_with_its_process_and_those_of_the_other_go_on(
    system: System, both: dict[str, Viewing]
) -> None:
    _gets_pictures(list(both.values()))
    before = system.wait_running()
    os.kill(before["stream-1"], signal.SIGKILL)
    gone, kept = both["stream-1"], both["stream-0"]
    _gets_pictures([kept])

    def is_forgotten() -> bool:
        """Until the next process of that name is there, the answer is to try again."""
        _stay([kept])
        status = _ask(system, "GET", gone.location).status_code
        assert status in (404, 503)
        return status == 404 and system.asked()["stream-1"].pid not in (0, before["stream-1"])

    wait_for("the session to be over", is_forgotten)
    system.wait_replaced(before, ["stream-1"])
    for _ in range(4):
        _stay([kept])
        assert _ask(system, "GET", gone.location).status_code == 404
        assert _ask(system, "GET", kept.location).status_code == 204
    assert _ask(system, "DELETE", gone.location).status_code == 404
    _gets_pictures([kept])


def _ffprobe(url: str) -> subprocess.CompletedProcess[str]:
    command = ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_streams", "-of", "compact", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.needs("ffmpeg")
def test_ffprobe_reads_a_camera_from_the_rtsp_server_whoever_accepts(system: System) -> None:
    for _ in range(3):
        found = _ffprobe(f"{system.rtsp_url}/porch")
        assert "codec_name=h264" in found.stdout, found.stderr
    assert "404" in _ffprobe(f"{system.rtsp_url}/no-such-camera").stderr


def test_processes_that_have_just_started_tell_nobody_that_a_camera_does_not_exist(system: System) -> None:
    before = system.wait_running()
    gone = ["stream-0", "stream-1"]
    for worker in gone:
        os.kill(before[worker], signal.SIGKILL)
    # Whoever comes now is answered by the first of the new ones, when it listens.
    answers = wait_for("an answer", lambda: _described(system, "porch"))
    assert answers.startswith("RTSP/1.0 200 "), answers
    system.wait_replaced(before, gone)


def _described(system: System, camera_id: str) -> str:
    """What the RTSP server says of a camera; nothing when the process that took the connection is being killed."""
    url = httpx.URL(system.rtsp_url)
    request = f"DESCRIBE {system.rtsp_url}/{camera_id} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    with suppress(OSError), socket.create_connection((url.host, url.port), PATIENCE_S) as connection:
        connection.sendall(request.encode())
        return connection.recv(4096).decode()
    return ""


@pytest.mark.needs("ffmpeg")
def test_rtsp_players_need_the_token_where_there_is_one(
    serve: Callable[..., System], virtual_camera: Callable[..., list[str]]
) -> None:
    (url,) = virtual_camera("--pattern")
    system = serve([camera("porch", url)], http={"port": 0, "token": TOKEN}, roles={"media": 1, "stream": 1})
    system.wait_live("porch")
    address = system.rtsp_url.removeprefix("rtsp://")
    for login in ("", "porch:not-the-right-token@", "porch:@"):
        refused = _ffprobe(f"rtsp://{login}{address}/porch")
        assert refused.returncode != 0
        assert "401" in refused.stderr, refused.stderr
    for user in ("anyone", "admin"):
        found = _ffprobe(f"rtsp://{user}:{TOKEN}@{address}/porch")
        assert "codec_name=h264" in found.stdout, found.stderr
    system.stop()
    assert TOKEN not in system.output
