"""Footage of a given size and rate, drawn once and kept in the user's cache."""

import random
import tempfile
from fractions import Fraction
from pathlib import Path

import av


def clip(
    *, width: int = 1920, height: int = 1080, fps: int = 25, bitrate: int = 4_000_000, seconds: int = 10
) -> Path:
    """An H.264 clip of constant bit rate without B-frames, a key picture every 2 s; returns its path."""
    path = Path(tempfile.gettempdir()) / f"vms-bench-{width}x{height}-{fps}-{bitrate}-{seconds}.mp4"
    if not path.is_file():
        partial = path.with_suffix(".part")
        _encode(partial, width, height, fps, bitrate, seconds)
        partial.rename(path)
    return path


def _encode(path: Path, width: int, height: int, fps: int, bitrate: int, seconds: int) -> None:
    noise = random.Random(1).randbytes(width * height * 2)
    kib = bitrate // 1000
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = bitrate
        stream.codec_context.time_base = Fraction(1, fps)
        rate = f"nal-hrd=cbr:vbv-maxrate={kib}:vbv-bufsize={kib}:keyint={2 * fps}:scenecut=0:bframes=0"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": f"{rate}:force-cfr=1"}
        for number in range(fps * seconds):
            frame = av.VideoFrame(width, height, "yuv420p")
            _draw(frame, noise, number, width, height)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _draw(frame: av.VideoFrame, noise: bytes, number: int, width: int, height: int) -> None:
    luma, *chroma = frame.planes
    rows = bytearray(b"\x60" * (luma.line_size * height))
    band = (number * 8) % (height - height // 4)
    for row in range(band, band + height // 4):  # a band of noise that moves down
        begin = (number * 4099 + row * width) % (len(noise) - width)
        rows[row * luma.line_size : row * luma.line_size + width] = noise[begin : begin + width]
    luma.update(bytes(rows))
    for plane in chroma:
        plane.update(b"\x80" * (plane.line_size * plane.height))
