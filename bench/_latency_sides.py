"""The players of the latency bench: each shows a camera's picture for some seconds and reads the clock in it.

    python -m bench._latency_sides {browser,websocket,…} < '{"url": …, "api": …, "token": …, "seconds": …}'

prints one JSON object: `ages_ms` of the pictures, in the order in which they were shown, and what else the player says.
A process a player, so that it can run at the far end of a link. Player and camera share one wall clock.

Belongs here: players. Does not: the system, the link, figures (bench.latency).
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench import _latency_ffplay as window
from bench import _latency_pages as pages
from bench._latency_ages import CAMERA, PATIENCE_S, WARM_UP_S, Ages, freezes
from vms.virtual_camera import read_clock
from vms.virtual_camera.clock_strip import strip_rows

Job = dict[str, Any]
"""url: of the stream. api: of our API, whose page a browser begins at. token: of the API. seconds: to measure."""
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
)


def browser(job: Job) -> dict[str, Any]:
    """Chromium plays our WHEP; to the moment at which the picture is to be on the screen, or to that of
    the callback where it is later: without a screen Chromium may expect too much."""
    return _chromium(job, pages.WHEP)


def websocket(job: Job) -> dict[str, Any]:
    """Chromium plays fMP4 over WebSocket as our web app does: Media Source Extensions."""
    return _chromium(job, pages.WEBSOCKET, pages.app_player())


def webtransport(job: Job) -> dict[str, Any]:
    """Chromium plays WebTransport as our web app does: WebCodecs."""
    return _chromium(job, pages.WEBTRANSPORT, pages.app_player("webTransport"))


def hls_parts(job: Job) -> dict[str, Any]:
    """Chromium plays low-latency HLS with hls.js."""
    return _chromium(job | {"parts": True}, pages.HLS, pages.HLS_JS.read_text())


def hls(job: Job) -> dict[str, Any]:
    """Chromium plays HLS with hls.js, whole segments."""
    return _chromium(job | {"parts": False}, pages.HLS, pages.HLS_JS.read_text())


def _chromium(job: Job, page_of: str, script: str = "") -> dict[str, Any]:
    from playwright.sync_api import TimeoutError as WaitedTooLong
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        secure = f"--unsafely-treat-insecure-origin-as-secure={job['api']}"  # else it has no WebTransport over a link
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, secure])
        page = chromium.new_context(bypass_csp=True).new_page()
        page.goto(f"{job['api']}/healthz")  # Chromium keeps pages of elsewhere from addresses of this machine
        if script:
            page.add_script_tag(content=script)
        page.evaluate(page_of, job)
        page.wait_for_function("seen.length > 10 || trouble.length", timeout=PATIENCE_S * 1000)
        page.wait_for_timeout(WARM_UP_S * 1000)
        before = page.evaluate(pages.TAKE)
        page.wait_for_timeout(job["seconds"] * 1000)
        with contextlib.suppress(WaitedTooLong):  # what stands then is told of when it moves on
            page.wait_for_function("seen.length > 1 || trouble.length", timeout=PATIENCE_S * 1000)
        after = page.evaluate(pages.TAKE)
        chromium.close()
    if after["trouble"]:
        sys.exit(f"bench latency: the player gave up: {', '.join(after['trouble'])}")
    seen = after["seen"]
    told = {name: (value or 0) - (before["report"].get(name) or 0) for name, value in after["report"].items()}
    shown_ms = [each[3] for each in seen]
    told.setdefault("freezeCount", freezes(shown_ms))
    return {
        "ages_ms": [each[0] for each in seen],
        "to_browser_ms": [each[1] for each in seen if each[1] is not None],
        "in_browser_ms": [each[2] for each in seen if each[2] is not None],
        "unreadable": after["unreadable"] - before["unreadable"],
        **told,
    }


def aiortc(job: Job) -> dict[str, Any]:
    """aiortc plays our WHEP; until `recv` gives the decoded picture, so without a display."""
    return asyncio.run(_aiortc(job["url"], job["token"], job["seconds"]))


async def _aiortc(url: str, token: str, seconds: float) -> dict[str, Any]:
    from aiortc import RTCPeerConnection, RTCSessionDescription
    from av import VideoFrame

    peer = RTCPeerConnection()
    transceiver = peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, peer.localDescription.sdp.encode(), headers)
    answer = await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=PATIENCE_S).read())
    await peer.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer"))
    ages = Ages(seconds)
    while not ages.complete:
        frame = await asyncio.wait_for(transceiver.receiver.track.recv(), PATIENCE_S)
        now_ms = time.time() * 1000
        assert isinstance(frame, VideoFrame)
        luma = frame.planes[0]
        ages.note(read_clock(memoryview(luma), frame.width, frame.height, luma.line_size, 1), now_ms)
    await peer.close()
    return ages.result()


def ffmpeg(job: Job) -> dict[str, Any]:
    """ffmpeg pulls by RTSP over TCP, or by SRT, without buffering, and gives each picture on when it is decoded: what is
    left of ffplay without its clock and its window."""
    url, seconds = job["url"], job["seconds"]
    width, height = CAMERA.width, CAMERA.height
    rows = strip_rows(height)
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-fflags",
        "nobuffer",
        "-flags",
        "low_delay",
        "-threads",
        "1",
    ]
    if url.startswith("srt:"):
        command += ["-probesize", "100000", "-analyzeduration", "500000", "-f", "mpegts", "-i", url]
    else:
        command += ["-probesize", "32", "-analyzeduration", "0", "-rtsp_transport", "tcp", "-i", url]
    command += ["-an", "-vf", f"crop=iw:{rows}:0:0", "-pix_fmt", "gray", "-fps_mode", "passthrough"]
    command += ["-flush_packets", "1", "-f", "rawvideo", "-"]
    player = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert player.stdout is not None
    picture = bytearray(width * height)
    ages = Ages(seconds)
    try:
        while not ages.complete:
            strip = player.stdout.read(width * rows)
            now_ms = time.time() * 1000
            if len(strip) < width * rows:
                sys.exit("bench latency: ffmpeg ended; its message is above")
            picture[: len(strip)] = strip
            ages.note(read_clock(picture, width, height, width, 1), now_ms)
    finally:
        player.kill()
        player.communicate()
    return ages.result()


@dataclass(frozen=True, slots=True)
class Side:
    """protocol: of ours, that it plays; None: the camera itself. programs: that it needs."""

    play: Callable[[Job], dict[str, Any]]
    protocol: str | None
    programs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """What it needs and this machine does not have."""
        return [name for name in self.programs if shutil.which(name) is None]


def _ffplay(protocol: str | None, *options: str) -> Side:
    return Side(partial(window.ffplay, options=options), protocol, window.PROGRAMS)


_IN_CHROMIUM, _BY_FFMPEG = (CHROMIUM,), ("ffmpeg",)
SIDES = {
    "browser": Side(browser, "webrtc", _IN_CHROMIUM),
    "websocket": Side(websocket, "websocket", _IN_CHROMIUM),
    "webtransport": Side(webtransport, "webtransport", _IN_CHROMIUM),
    "hls_parts": Side(hls_parts, "hls", _IN_CHROMIUM),
    "hls": Side(hls, "hls", _IN_CHROMIUM),
    "aiortc": Side(aiortc, "webrtc"),
    "rtsp": Side(ffmpeg, "rtsp", _BY_FFMPEG),
    "rtsp_ffplay": _ffplay("rtsp", *window.OVER_TCP, *window.AT_ONCE),
    "srt": Side(ffmpeg, "srt", _BY_FFMPEG),
    "ffmpeg": Side(ffmpeg, None, _BY_FFMPEG),
    "ffplay": _ffplay(None, *window.OVER_TCP, *window.LOW_LATENCY),
    "ffplay_at_once": _ffplay(None, *window.OVER_TCP, *window.AT_ONCE),
    "ffplay_defaults": _ffplay(
        None, "-v", "fatal"
    ),  # by UDP it has a line to say of each picture that lost a packet
}


def main() -> None:
    job = json.load(sys.stdin)
    print(json.dumps(SIDES[sys.argv[1]].play(job)))


if __name__ == "__main__":
    main()
