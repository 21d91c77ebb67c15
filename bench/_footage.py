"""Footage of a given size and rate, drawn once and kept in the machine's temporary directory."""

import tempfile
from pathlib import Path

import av

from vms.virtual_camera.clip import ClipOptions, write_clip


def clip(*, bitrate: int = 4_000_000, seconds: int = 10) -> Path:
    """A 1080p25 H.264 clip of constant bit rate without B-frames; returns its path."""
    path = Path(tempfile.gettempdir()) / f"vms-bench-{bitrate}-{seconds}.mp4"
    if not path.is_file():
        partial = path.with_suffix(".part.mp4")
        write_clip(partial, ClipOptions(seconds=seconds, bitrate=bitrate))
        partial.rename(path)
    return path


def bytes_per_second(path: Path) -> float:
    """What the clip truly holds a second, its container not counted: the encoder hits its bit rate nearly."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate is not None
        sizes = [packet.size for packet in container.demux(stream) if packet.size]
        return sum(sizes) * float(stream.average_rate) / len(sizes)
