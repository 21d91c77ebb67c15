"""A browser publishes a camera by WHIP: it is live, recorded and played back like any other."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.e2e.browser import ARGUMENTS, new_page, plays
from tests.e2e.players import decoded, probe
from tests.e2e.system import System, camera, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.needs("chromium", "ffprobe")]

TOKEN = "a-token-for-publishers"
FAKE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PUBLISH = """async ([url, token]) => {
    const peer = window.publisher = new RTCPeerConnection();
    const media = await navigator.mediaDevices.getUserMedia({video: true, audio: true});
    media.getTracks().forEach(track => peer.addTransceiver(track, {direction: 'sendonly'}));
    await peer.setLocalDescription();
    const answer = await fetch(url, {
        method: 'POST',
        headers: {'Content-Type': 'application/sdp', 'Authorization': `Bearer ${token}`},
        body: peer.localDescription.sdp,
    });
    const text = await answer.text();
    if (answer.status === 201) await peer.setRemoteDescription({type: 'answer', sdp: text});
    return [answer.status, answer.headers.get('Location'), text];
}"""
WATCH = """async ([url, token]) => {
    const peer = window.viewer = new RTCPeerConnection();
    peer.addTransceiver('video', {direction: 'recvonly'});
    const video = document.createElement('video');
    video.muted = video.autoplay = true;
    video.id = 'whep';
    document.body.append(video);
    peer.ontrack = event => { video.srcObject = new MediaStream([event.track]); };
    await peer.setLocalDescription();
    const answer = await fetch(url, {
        method: 'POST',
        headers: {'Content-Type': 'application/sdp', 'Authorization': `Bearer ${token}`},
        body: peer.localDescription.sdp,
    });
    const text = await answer.text();
    if (answer.status !== 201) throw new Error(`${answer.status}: ${text}`);
    await peer.setRemoteDescription({type: 'answer', sdp: text});
}"""


@pytest.fixture
def publishing_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS + FAKE)
        yield browser
        browser.close()


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>blank</title>")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def open_page(publishing_browser: Browser) -> Iterator[Callable[[], Page]]:
    """A page of another origin, which needs CORS and the token."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Blank)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def open_page() -> Page:
        page = new_page(publishing_browser)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        return page

    yield open_page
    server.shutdown()
    thread.join()
    server.server_close()


def publish(page: Page, system: System, query: str = "") -> str:
    url = f"{system.url}/api/v1/cameras/porch/whip{query}"
    status, location, text = page.evaluate(PUBLISH, [url, TOKEN])
    assert status == 201, text
    return str(location)


def test_a_browser_publishes_a_camera_that_is_live_recorded_and_exported(
    serve: Callable[..., System], open_page: Callable[[], Page], tmp_path: Path
) -> None:
    system = serve([camera("porch", "whip://publish")], http={"port": 0, "token": TOKEN})
    wait_for("a place", lambda: system.camera("porch").get("reason_code") == "no_publisher")
    page = open_page()
    location = publish(page, system)
    system.wait_live("porch")
    viewer = open_page()
    viewer.evaluate(WATCH, [f"{system.url}/api/v1/cameras/porch/whep", TOKEN])
    plays(viewer, "#whep")
    refused = page.evaluate(PUBLISH, [f"{system.url}/api/v1/cameras/porch/whip", TOKEN])
    assert refused[0] == 409
    assert json.loads(refused[2])["reason"] == "publisher_present"

    timeline = system.wait_recorded("porch", 6)
    start, end = timeline["spans"][0]["start"], timeline["spans"][-1]["end"]
    found = export(system, tmp_path / "first.mp4", start, end)
    codecs = {stream["codec_type"]: stream for stream in found["streams"]}
    assert codecs["video"]["codec_name"] == "h264"
    assert codecs["audio"]["codec_name"] == "opus"
    assert abs(float(codecs["video"]["duration"]) - float(codecs["audio"]["duration"])) < 1

    spans = len(system.recordings("porch")["spans"])
    page.context.close()  # without a word: the connection is not closed
    wait_for("the place is free", lambda: system.camera("porch").get("reason_code") == "no_publisher")
    assert system.http.delete(f"{system.url}{location}").status_code == 404
    again = open_page()
    location = publish(again, system)
    system.wait_live("porch")
    wait_for("another span", lambda: len(system.recordings("porch")["spans"]) > spans)
    gaps = [gap["reason"] for gap in system.recordings("porch")["gaps"]]
    assert set(gaps) & {"no_frames", "camera_lost"}, "whichever the silence was noticed by first"
    assert system.http.delete(f"{system.url}{location}").status_code == 204
    wait_for("the place is free", lambda: system.camera("porch").get("reason_code") == "no_publisher")


def export(system: System, path: Path, start: str, end: str) -> dict[str, Any]:
    """An MP4 of a range, as ffprobe sees it; every picture of it decodes."""
    answer = system.http.get("/cameras/porch/export.mp4", params={"start": start, "end": end})
    answer.raise_for_status()
    path.write_bytes(answer.content)
    assert len(decoded(path)) > 20
    return probe(path)
