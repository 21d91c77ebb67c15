"""Footage of a given size and rate, drawn once and kept in the machine's temporary directory."""

import tempfile
from pathlib import Path

from vms.virtual_camera.clip import ClipOptions, write_clip


def clip(*, bitrate: int = 4_000_000, seconds: int = 10) -> Path:
    """A 1080p25 H.264 clip of constant bit rate without B-frames; returns its path."""
    path = Path(tempfile.gettempdir()) / f"vms-bench-{bitrate}-{seconds}.mp4"
    if not path.is_file():
        partial = path.with_suffix(".part.mp4")
        write_clip(partial, ClipOptions(seconds=seconds, bitrate=bitrate))
        partial.rename(path)
    return path
