"""Reads the clocks that virtual cameras draw, from the pictures that Chromium shows; and such cameras, small ones."""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import NamedTuple

import av
from playwright.sync_api import Page
from tests.e2e.system import Process, System

from vms.virtual_camera.clock_strip import read_clock

SMALL_CAMERAS = """
import sys
from vms import virtual_camera
from vms.telemetry.logs import configure_logs
configure_logs(json=False, level="warning")
count, width, height, fps, bitrate = map(int, sys.argv[1:])
options = virtual_camera.CameraOptions(
    pattern=True, count=count, width=width, height=height, frames_per_second=fps, bitrate=bitrate
)
virtual_camera.run(options, lambda cameras: print(*(each.url for each in cameras), sep="\\n", flush=True))
"""

# As vms.virtual_camera.clock_strip.read_clock, of all visible videos that match at one moment: drawn first, read after.
READ_CLOCKS = """selector => {
    const videos = Array.from(document.querySelectorAll(selector)).filter(video => !video.hidden && video.videoWidth);
    const drawn = videos.map(video => {
        const canvas = document.createElement('canvas');
        canvas.width = video.videoWidth; canvas.height = Math.max(4, Math.floor(video.videoHeight / 30));
        canvas.getContext('2d', {willReadFrequently: true})
            .drawImage(video, 0, 0, video.videoWidth, canvas.height, 0, 0, canvas.width, canvas.height);
        return canvas;
    });
    return drawn.map(canvas => {
        const {width, height} = canvas;
        const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
        const rows = [3, 4, 5].map(part => Math.floor(height * part / 8));
        let bits = '';
        for (let cell = 0; cell < 64; cell += 1) {
            let level = 0;
            for (const row of rows) for (const part of [1, 2, 3]) {
                const column = Math.floor((4 * cell + part) * width / 256);
                level += pixels[(row * width + column) * 4 + 1];
            }
            bits += level > 9 * 128 ? '1' : '0';
        }
        let crc = 0;
        for (const bit of bits.slice(4, 56)) {
            const carry = (crc >> 7) ^ Number(bit);
            crc = ((crc << 1) & 0xff) ^ (carry ? 7 : 0);
        }
        if (bits.slice(0, 4) !== '1010' || crc !== parseInt(bits.slice(56), 2)) return null;
        return {wall_ms: parseInt(bits.slice(4, 48), 2), camera: parseInt(bits.slice(48, 56), 2)};
    });
}"""
SHOWN = "[data-testid=playback-video]"
PAINTED = """() => new Promise(done => {
    let left = 10;
    const next = () => { left -= 1; if (left) requestAnimationFrame(next); else done(); };
    requestAnimationFrame(next);
})"""
"""So many times the browser has painted: a picture that was on its way to the screen is there."""


class Glance(NamedTuple):
    """page_ms: by the page's own clock. clock_ms: in the picture that was shown then."""

    page_ms: float
    clock_ms: int


def shown_clock(page: Page) -> int | None:
    """The capture time in the one recording that is shown, milliseconds since 1970; None: it cannot be read now."""
    readings = page.evaluate(READ_CLOCKS, SHOWN)
    return int(readings[0]["wall_ms"]) if len(readings) == 1 and readings[0] else None


def shown_clocks(page: Page) -> list[int]:
    """The capture times of all recordings that are shown at this moment, in their order; 0: it cannot be read now."""
    return [int(each["wall_ms"]) if each else 0 for each in page.evaluate(READ_CLOCKS, SHOWN)]


def glance(page: Page) -> Glance | None:
    """The one recording that is shown, and when it was looked at, in one step: however late anybody hears of it."""
    now_ms, readings = page.evaluate(f"selector => [performance.now(), ({READ_CLOCKS})(selector)]", SHOWN)
    return Glance(now_ms, int(readings[0]["wall_ms"])) if len(readings) == 1 and readings[0] else None


def still_clocks(page: Page) -> list[int] | None:
    """The capture times of all recordings that are shown, once they change no more; None while they do."""
    before = shown_clocks(page)
    page.evaluate(PAINTED)
    return before if before and all(before) and before == shown_clocks(page) else None


def recorded_clocks(system: System, camera_id: str, start: str, end: str) -> list[int]:
    """The capture times in all pictures that were recorded of a camera, in the order shown."""
    answer = system.http.get(f"/cameras/{camera_id}/export.mp4", params={"start": start, "end": end})
    answer.raise_for_status()
    clocks: list[int] = []
    with av.open(io.BytesIO(answer.content)) as container:
        for picture in container.decode(video=0):
            luma = picture.planes[0]
            found = read_clock(bytes(luma), picture.width, picture.height, luma.line_size, channels=1)
            assert found is not None, f"picture {len(clocks)} of {camera_id} has no clock that can be read"
            clocks.append(found.wall_ms)
    return clocks


@contextlib.contextmanager
def small_cameras(count: int, width: int, height: int, fps: int, bitrate: int) -> Iterator[list[str]]:
    """Virtual cameras with small pictures; gives their URLs."""
    values = [str(value) for value in (count, width, height, fps, bitrate)]
    process = Process(sys.executable, "-c", SMALL_CAMERAS, *values)
    try:
        yield process.find(r"rtsp://\S+", count)
    finally:
        process.stop()
