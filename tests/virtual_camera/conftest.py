"""Footage that is drawn for these tests, so that they need none from outside."""

import subprocess
from pathlib import Path

import pytest

from vms.virtual_camera.clip import ClipOptions, write_clip

CLIP_SECONDS = 2


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Clips of 2 s at 25 pictures a second: ``plain`` and ``b_frames`` (H.264), ``h265`` (with B-frames)."""
    folder = tmp_path_factory.mktemp("clips")
    small = ClipOptions(CLIP_SECONDS, width=320, height=180, bitrate=400_000)
    wanted = {
        "plain": small,
        "b_frames": small._replace(b_frames=2, preset="veryfast"),
        "h265": small._replace(b_frames=2, codec="libx265"),
    }
    for name, options in wanted.items():
        write_clip(folder / f"{name}.mp4", options)
    return {name: folder / f"{name}.mp4" for name in wanted}


@pytest.fixture(scope="session")
def with_audio(clips: dict[str, Path]) -> dict[str, Path]:
    """The clip with B-frames and a tone: ``aac``, ``opus``, ``pcmu`` and, which cannot be sent, ``mp3``."""
    made = {}
    for name, codec, rate, suffix in (
        ("aac", "aac", 48000, "mp4"),
        ("opus", "libopus", 48000, "mp4"),
        ("pcmu", "pcm_mulaw", 8000, "mov"),
        ("mp3", "libmp3lame", 44100, "mp4"),
    ):
        made[name] = clips["plain"].with_name(f"{name}.{suffix}")
        tone = f"sine=frequency=500:sample_rate={rate}:duration=1.7"
        command = ["ffmpeg", "-v", "error", "-i", str(clips["b_frames"]), "-f", "lavfi", "-i", tone]
        subprocess.run([*command, "-c:v", "copy", "-c:a", codec, str(made[name])], check=True, timeout=60)
    return made
