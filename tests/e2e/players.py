"""Players that we did not write, as judges: ffprobe, and the checksums of what ffmpeg decodes."""

import json
import subprocess
from pathlib import Path
from typing import Any


def decoded(source: str | Path, *options: str, stream: str = "v:0") -> list[str]:
    """The MD5 of each decoded picture, in the order shown. Fails on any message of the decoder."""
    command = ["ffmpeg", "-nostdin", "-v", "error", *options, "-i", str(source), "-map", f"0:{stream}"]
    command += ["-fps_mode", "passthrough", "-f", "framemd5", "-"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0 and not run.stderr, f"{source}: {run.stderr[-2000:]}"
    return [line.rpartition(",")[2].strip() for line in run.stdout.splitlines() if not line.startswith("#")]


def probe(source: str | Path) -> dict[str, Any]:
    """What ffprobe says of a file's container and streams. Fails on any message."""
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(source)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0 and not run.stderr, f"{source}: {run.stderr[-2000:]}"
    return dict(json.loads(run.stdout))


def is_stretch_of(part: list[str], whole: list[str]) -> bool:
    """Whether `part` is an unbroken stretch of `whole`."""
    return any(whole[begin : begin + len(part)] == part for begin in range(len(whole) - len(part) + 1))


def is_made_of(part: list[str], whole: list[str]) -> bool:
    """Whether `part` is one stretch after another of `whole`, as of a looped or reconnected source."""
    begin = 0
    while begin < len(part):
        starts = [n for n, checksum in enumerate(whole) if checksum == part[begin]]
        lengths = [_common(part[begin:], whole[start:]) for start in starts]
        if not lengths or (longest := max(lengths)) < min(10, len(part) - begin):
            return False
        begin += longest
    return True


def _common(first: list[str], second: list[str]) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(first), len(second)))
