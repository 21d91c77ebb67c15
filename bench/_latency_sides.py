"""The players of the latency bench: each shows a camera's picture for some seconds and reads the clock in it.

    python -m bench._latency_sides {browser,aiortc,ffmpeg} < '{"url": …, "token": …, "seconds": …}'

prints one JSON object: `ages_ms` of the pictures, in the order in which they were shown, and what else the player says.
A process a player, so that it can run at the far end of a link. Player and camera share one wall clock.

Belongs here: players. Does not: the system, the link, figures (bench.latency).
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from typing import Any

from vms.virtual_camera.clock_strip import read_clock, strip_rows

WARM_UP_S = 3.0
PATIENCE_S = 30.0
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
)
WATCH = """async ({url, token}) => {
    const headers = {'content-type': 'application/sdp'};
    if (token) headers.authorization = 'Bearer ' + token;
    const peer = new RTCPeerConnection();
    const receiver = peer.addTransceiver('video', {direction: 'recvonly'}).receiver;
    const video = document.createElement('video');
    video.muted = true; video.autoplay = true;
    document.body.append(video);
    peer.ontrack = event => { video.srcObject = new MediaStream([event.track]); };
    const offer = await peer.createOffer();
    await peer.setLocalDescription(offer);
    const answer = await fetch(url, {method: 'POST', headers, body: peer.localDescription.sdp});
    if (answer.status !== 201) throw new Error(answer.status + ' ' + await answer.text());
    await peer.setRemoteDescription({type: 'answer', sdp: await answer.text()});
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d', {willReadFrequently: true});
    window.seen = []; window.peer = peer; window.unreadable = 0;
    const onFrame = (now, metadata) => {
        const shown = Math.max(metadata.expectedDisplayTime, performance.now());
        video.requestVideoFrameCallback(onFrame);
        const width = canvas.width = video.videoWidth;
        const height = canvas.height = Math.max(4, Math.floor(video.videoHeight / 30));
        context.drawImage(video, 0, 0, width, height, 0, 0, width, height);
        const pixels = context.getImageData(0, 0, width, height).data;
        const rows = [3, 4, 5].map(part => Math.floor(height * part / 8));
        let bits = '';
        for (let cell = 0; cell < 64; cell += 1) {
            let level = 0;
            for (const row of rows) for (const part of [1, 2, 3])
                level += pixels[(row * width + Math.floor((4 * cell + part) * width / 256)) * 4 + 1];
            bits += level > 9 * 128 ? '1' : '0';
        }
        let crc = 0;
        for (const bit of bits.slice(4, 56)) {
            const carry = (crc >> 7) ^ Number(bit);
            crc = ((crc << 1) & 0xff) ^ (carry ? 7 : 0);
        }
        if (bits.slice(0, 4) !== '1010' || crc !== parseInt(bits.slice(56), 2)) { window.unreadable += 1; return; }
        const captured = parseInt(bits.slice(4, 48), 2) - (Date.now() - performance.now());
        window.seen.push([shown - captured, (metadata.receiveTime ?? NaN) - captured,
            shown - (metadata.receiveTime ?? NaN)]);
    };
    video.requestVideoFrameCallback(onFrame);
}"""
TAKE = """async () => {
    const seen = window.seen; window.seen = [];
    const report = {};
    for (const each of (await window.peer.getStats()).values())
        if (each.type === 'inbound-rtp') for (const name of ['framesDecoded', 'framesDropped', 'freezeCount',
            'packetsLost', 'nackCount', 'pliCount', 'jitterBufferDelay', 'jitterBufferEmittedCount', 'totalDecodeTime',
            'totalFreezesDuration', 'retransmittedPacketsReceived']) report[name] = each[name];
    return {seen, report, unreadable: window.unreadable};
}"""


def browser(url: str, token: str, seconds: float) -> dict[str, Any]:
    """Chromium plays our WHEP; to the moment at which the picture is to be on the screen, or to that of
    the callback where it is later: without a screen Chromium may expect too much."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        context = chromium.new_context(bypass_csp=True)
        page = context.new_page()
        page.goto(f"{url.partition('/api/')[0]}/healthz")
        page.evaluate(WATCH, {"url": url, "token": token})
        page.wait_for_function("window.seen.length > 10", timeout=PATIENCE_S * 1000)
        page.wait_for_timeout(WARM_UP_S * 1000)
        before = page.evaluate(TAKE)
        page.wait_for_timeout(seconds * 1000)
        after = page.evaluate(TAKE)
        chromium.close()
    seen = after["seen"]
    told = {name: (value or 0) - (before["report"].get(name) or 0) for name, value in after["report"].items()}
    return {
        "ages_ms": [each[0] for each in seen],
        "to_browser_ms": [each[1] for each in seen if each[1] is not None],
        "in_browser_ms": [each[2] for each in seen if each[2] is not None],
        "unreadable": after["unreadable"] - before["unreadable"],
        **told,
    }


def aiortc(url: str, token: str, seconds: float) -> dict[str, Any]:
    """aiortc plays our WHEP; until `recv` gives the decoded picture, so without a display."""
    return asyncio.run(_aiortc(url, token, seconds))


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
    ages = _Ages(seconds)
    while not ages.complete:
        frame = await asyncio.wait_for(transceiver.receiver.track.recv(), PATIENCE_S)
        now_ms = time.time() * 1000
        assert isinstance(frame, VideoFrame)
        luma = frame.planes[0]
        ages.note(memoryview(luma), frame.width, frame.height, luma.line_size, now_ms)
    await peer.close()
    return ages.result()


def ffmpeg(url: str, token: str, seconds: float) -> dict[str, Any]:
    """What ffplay does but its window: pull by RTSP over TCP without buffering, decode, give the picture on at once."""
    size = {"width": 1280, "height": 720}
    rows = strip_rows(size["height"])
    command = ["ffmpeg", "-nostdin", "-v", "error", "-fflags", "nobuffer", "-flags", "low_delay"]
    command += [
        "-threads",
        "1",
        "-probesize",
        "32",
        "-analyzeduration",
        "0",
        "-rtsp_transport",
        "tcp",
        "-i",
        url,
    ]
    command += ["-an", "-vf", f"crop=iw:{rows}:0:0", "-pix_fmt", "gray", "-fps_mode", "passthrough"]
    command += ["-flush_packets", "1", "-f", "rawvideo", "-"]
    player = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert player.stdout is not None
    picture = bytearray(size["width"] * size["height"])
    ages = _Ages(seconds)
    try:
        while not ages.complete:
            strip = player.stdout.read(size["width"] * rows)
            now_ms = time.time() * 1000
            if len(strip) < size["width"] * rows:
                sys.exit("bench latency: ffmpeg ended; its message is above")
            picture[: len(strip)] = strip
            ages.note(memoryview(picture), size["width"], size["height"], size["width"], now_ms)
    finally:
        player.kill()
        player.communicate()
    return ages.result()


class _Ages:
    """Of the pictures from WARM_UP_S after the first one on, for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.complete = False
        self._seconds = seconds
        self._began_s: float | None = None
        self._ages_ms: list[float] = []
        self._unreadable = 0

    def note(self, luma: memoryview, width: int, height: int, stride: int, now_ms: float) -> None:
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s + WARM_UP_S
        self.complete = now_s > self._began_s + self._seconds
        if now_s < self._began_s:
            return
        reading = read_clock(luma, width, height, stride, 1)
        if reading is None:
            self._unreadable += 1
        else:
            self._ages_ms.append(now_ms - reading.wall_ms)

    def result(self) -> dict[str, Any]:
        return {"ages_ms": self._ages_ms, "unreadable": self._unreadable}


SIDES = {"browser": browser, "aiortc": aiortc, "ffmpeg": ffmpeg}


def main() -> None:
    job = json.load(sys.stdin)
    print(json.dumps(SIDES[sys.argv[1]](job["url"], job["token"], job["seconds"])))


if __name__ == "__main__":
    main()
