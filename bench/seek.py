"""Seek to the first picture: ours over HTTP by byte ranges, beside ffmpeg and libav on the same file, in one run.

    scripts/bench seek [--seconds 300] [--seeks 40] [--folder DIR] [--json]

One recording of 1080p25 at 4 Mb/s is written and closed by our writer, and served by `vms serve`. Every side gets the
picture shown at the same random times, in turns, and all must get the same picture:

    ours           as a player that begins there: playlist of 10 s, init and one media segment by byte range over one
                   HTTP connection, decoded by libav up to the picture
    libav          the same file from the disk in the same process: open, seek, decode up to the picture
    ffmpeg         `ffmpeg -ss T -i FILE -frames:v 1`: a process a seek
    ffmpeg, HTTP   the same on our address of the file
    ffmpeg, export `ffmpeg -i …/export.mp4?start=T&exact=true -frames:v 1`: cut by the system, moov first

Times are medians of wall clock until the picture is decoded. The file is in the page cache for all.
"""

import argparse
import hashlib
import http.client
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote, urlsplit

import av
from rich.console import Console
from rich.table import Table

from bench._footage import clip
from bench._processes import machine
from bench._system import System

CAMERA = "camera-0"
FPS = 25
PLAYED_S = 10
READY_S = 60.0
Picture = str
"""MD5 of a decoded picture (yuv420p)."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A closed recording: as a file, and as the system names it."""

    path: Path
    segment_id: str
    start: datetime


def main() -> None:
    options = _options()
    clip()
    with tempfile.TemporaryDirectory(prefix="vms-bench-", dir=options.folder) as folder:
        _record(Path(folder), options.seconds)
        with System(Path(folder) / "system", [], changes=_changes(Path(folder))) as system:
            recording = _find(system.url, Path(folder))
            times = _measure(system.url, recording, options)
    result: dict[str, Any] = {
        "bench": "seek",
        "machine": machine(),
        "seconds": options.seconds,
        "seeks": options.seeks,
        "ms": {name: round(median(each) * 1000, 2) for name, each in times.items()},
        "p95_ms": {
            name: round(sorted(each)[int(len(each) * 0.95)] * 1000, 2) for name, each in times.items()
        },
    }
    ours = result["ms"]["ours"]
    result |= {
        "ratio_ffmpeg": round(ours / result["ms"]["ffmpeg"], 3),
        "ratio_libav": round(ours / result["ms"]["libav"], 3),
        "ratio_http_ffmpeg": round(result["ms"]["ffmpeg, HTTP"] / result["ms"]["ffmpeg"], 3),
        "ratio_export_ffmpeg": round(result["ms"]["ffmpeg, export"] / result["ms"]["ffmpeg"], 3),
    }
    _print(result)
    if options.json:
        print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench seek", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="of the recording")
    parser.add_argument("--seeks", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="where to record; the temporary directory by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def _record(folder: Path, seconds: int) -> None:
    command = [sys.executable, "-m", "bench._record_side", str(folder), "--signed"]
    command += ["--cameras", "1", "--seconds", str(seconds)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _changes(folder: Path) -> dict[str, Any]:
    nowhere = {"id": CAMERA, "name": CAMERA, "source": "rtsp://127.0.0.1:9/", "record": "off"}
    return {
        "cameras": [nowhere],
        "storage": {"volumes": [{"path": str(folder / "volume"), "quota": "100GiB"}]},
    }


def _find(url: str, folder: Path) -> Recording:
    """The recording, when the system has found it."""
    (path,) = (folder / "volume").rglob("*.mp4")
    deadline = time.monotonic() + READY_S
    client = _Client(url)
    since = quote((datetime.now(UTC) - timedelta(hours=1)).isoformat())
    until = quote((datetime.now(UTC) + timedelta(hours=1)).isoformat())
    while time.monotonic() < deadline:
        status, body = client.get(f"/api/v1/cameras/{CAMERA}/recordings?start={since}&end={until}")
        segments = json.loads(body).get("segments", []) if status == 200 else []
        if segments and segments[0]["closed"]:
            start = datetime.fromisoformat(segments[0]["start"])
            return Recording(path, segments[0]["id"], start)
        time.sleep(0.2)
    sys.exit("bench seek: the system did not find the recording in time")


def _measure(url: str, recording: Recording, options: argparse.Namespace) -> dict[str, list[float]]:
    sides = _sides(url, recording)
    chance = random.Random(4)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.seeks + 1):
        picture = chance.randrange((options.seconds - PLAYED_S) * FPS)
        seen = set()
        for name, seek in sides.items():
            began_s = time.perf_counter()
            seen.add(seek(picture))
            if number:  # the first one warms everything up
                times[name].append(time.perf_counter() - began_s)
        if len(seen) != 1:
            sys.exit(f"bench seek: the sides show different pictures at picture {picture}")
    return times


def _sides(url: str, recording: Recording) -> dict[str, Callable[[int], Picture]]:
    client = _Client(url)
    file_url = f"{url}/api/v1/cameras/{CAMERA}/segments/{recording.segment_id}.mp4"

    def at_s(picture: int) -> str:
        return f"{picture / FPS:.3f}"

    def export_url(picture: int) -> str:
        return f"{url}/api/v1/cameras/{CAMERA}/export.mp4?{_range(recording, picture)}&exact=true"

    return {
        "ours": lambda picture: _ours(client, recording, picture),
        "libav": lambda picture: _libav(recording.path, picture),
        "ffmpeg": lambda picture: _ffmpeg("-ss", at_s(picture), "-i", str(recording.path)),
        "ffmpeg, HTTP": lambda picture: _ffmpeg("-ss", at_s(picture), "-i", file_url),
        "ffmpeg, export": lambda picture: _ffmpeg("-i", export_url(picture)),
    }


def _range(recording: Recording, picture: int) -> str:
    # In the middle of the picture, so that no rounding shows its neighbour
    start = recording.start + timedelta(seconds=(picture + 0.5) / FPS)
    end = start + timedelta(seconds=PLAYED_S)
    return f"start={quote(start.isoformat())}&end={quote(end.isoformat())}"


class _Client:
    """One HTTP connection that stays."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self._address, timeout=30)

    def get(self, path: str, part: str = "") -> tuple[int, bytes]:
        """part: ``LENGTH@OFFSET``, as in playlists."""
        headers = {}
        if part:
            length, _, offset = part.partition("@")
            headers["Range"] = f"bytes={offset}-{int(offset) + int(length) - 1}"
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def _ours(client: _Client, recording: Recording, picture: int) -> Picture:
    _, playlist = client.get(f"/api/v1/cameras/{CAMERA}/playback.m3u8?{_range(recording, picture)}")
    text = playlist.decode()
    init = re.search(r'#EXT-X-MAP:URI="([^"]+)"(?:,BYTERANGE="([^"]+)")?', text)
    media = re.search(r"#EXT-X-BYTERANGE:(\S+)\n(?:#.*\n)*([^#\s]+)", text)
    shown = re.search(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", text)
    if init is None or media is None or shown is None:
        sys.exit(f"bench seek: no playlist: {text[:500]}")
    _, head = client.get(_path(init[1]), init[2] or "")
    _, body = client.get(_path(media[2]), media[1])
    begins_s = (datetime.fromisoformat(shown[1]) - recording.start).total_seconds()
    with av.open(io.BytesIO(head + body), "r") as container:
        skipped = picture - round(begins_s * FPS)
        for number, frame in enumerate(container.decode(video=0)):
            if number == skipped:
                return _md5(frame)
    sys.exit("bench seek: the picture is not in the first media segment")


def _path(address: str) -> str:
    return address if address.startswith("/") else f"/api/v1/cameras/{CAMERA}/{address}"


def _libav(path: Path, picture: int) -> Picture:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        wanted = round(picture / FPS / stream.time_base)
        container.seek(wanted, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= wanted:
                return _md5(frame)
    sys.exit("bench seek: libav did not find the picture")


def _md5(frame: av.VideoFrame) -> Picture:
    digest = hashlib.md5(usedforsecurity=False)
    for plane, (width, height) in zip(
        frame.planes,
        ((frame.width, frame.height),) + ((frame.width // 2, frame.height // 2),) * 2,
        strict=True,
    ):
        data = memoryview(plane)
        for row in range(height):
            digest.update(data[row * plane.line_size : row * plane.line_size + width])
    return digest.hexdigest()


def _ffmpeg(*source: str) -> Picture:
    command = ["ffmpeg", "-nostdin", "-v", "error", *source, "-map", "0:v", "-frames:v", "1"]
    done = subprocess.run([*command, "-f", "md5", "-"], capture_output=True, text=True, check=False)
    if done.returncode or "MD5=" not in done.stdout:
        sys.exit(f"bench seek: {' '.join(command)}: {done.stderr[-1000:]}")
    return done.stdout.strip().removeprefix("MD5=")


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"seek in {result['seconds']} s of 1080p25 at 4 Mb/s, {result['machine']}")
    for column in ("", "ms", "p95 ms", "of ffmpeg"):
        table.add_column(column, justify="left" if not column else "right")
    for name, took_ms in result["ms"].items():
        share = took_ms / result["ms"]["ffmpeg"]
        table.add_row(name, f"{took_ms:.1f}", f"{result['p95_ms'][name]:.1f}", f"{share:.2f}")
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
