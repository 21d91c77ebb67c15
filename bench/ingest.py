"""Recording N paced cameras: us, and one `ffmpeg -c copy -f segment` process a camera, in one run.

    scripts/bench ingest [--cameras 40] [--seconds 30] [--json]

The cameras are virtual ones in a process of their own, which send each picture's packets spread over time
as real cameras do. Both sides pull the same cameras over RTSP/TCP and record to the same disk, one after
the other. CPU is user and system time of every process of a side; memory is counted proportionally (PSS:
pages shared by several processes count once) and, for those who look at `top`, as the sum of RSS.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench._footage import clip
from bench._processes import machine, usage

BITRATE = 4_000_000


@dataclass(frozen=True, slots=True)
class Side:
    """cpu: CPU seconds per camera-second; bytes_share: recorded bytes over bytes sent by the cameras."""

    cpu: float
    pss_mib: float
    rss_mib: float
    bytes_share: float
    loop_lag_p99_ms: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench ingest", description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("bench ingest: ffmpeg, the peer, is not installed; run scripts/setup-dev.sh as root")
    console = Console(stderr=True)
    footage = clip(bitrate=BITRATE)
    with tempfile.TemporaryDirectory(prefix="vms-bench-") as folder:
        console.print(
            f"{options.cameras} cameras at {BITRATE / 1e6:.0f} Mb/s; {options.seconds:.0f} s a side …"
        )
        cameras, urls = _cameras(footage, options.cameras)
        try:
            ours = _ours(urls, Path(folder) / "ours", options.seconds)
            peer = _ffmpeg(urls, Path(folder) / "ffmpeg", options.seconds)
        finally:
            cameras.terminate()
            cameras.wait()
    result = {
        "bench": "ingest",
        "machine": machine(),
        "cameras": options.cameras,
        "bitrate": BITRATE,
        "seconds": options.seconds,
        "ours": asdict(ours),
        "ffmpeg": asdict(peer),
        "ratio_cpu": round(ours.cpu / peer.cpu, 3),
        "ratio_memory_pss": round(ours.pss_mib / peer.pss_mib, 3),
        "ratio_memory_rss": round(ours.rss_mib / peer.rss_mib, 3),
    }
    _print(result, ours, peer)
    if options.json:
        print(json.dumps(result))


def _cameras(footage: Path, count: int) -> tuple[subprocess.Popen[str], list[str]]:
    command = [sys.executable, "-m", "vms", "camera", str(footage), "--count", str(count), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    urls: list[str] = []
    while len(urls) < count:
        line = process.stdout.readline()
        if not line:
            sys.exit("bench ingest: the virtual cameras ended; their message is above")
        urls += re.findall(r"rtsp://\S+", line)
    return process, urls


def _ours(urls: list[str], folder: Path, seconds: float) -> Side:
    folder.mkdir()
    config = folder / "vms.json"  # JSON is YAML
    cameras = [{"id": f"c{number}", "name": f"c{number}", "source": url} for number, url in enumerate(urls)]
    volumes = [{"path": str(folder / "recordings"), "quota": "100GiB"}]
    tree: dict[str, Any] = {"data_dir": str(folder), "http": {"port": 0}, "webrtc": {"port": 0}}
    tree |= {"storage": {"volumes": volumes}, "cameras": cameras}
    config.write_text(json.dumps(tree))
    log = (folder / "log").open("w")
    command = [sys.executable, "-m", "vms", "serve", "--config", str(config), "--json-logs"]
    process = subprocess.Popen(command, stderr=log)
    try:
        url = _wait_for_url(folder / "log", process)
        _wait_until_live(url, len(urls))
        side = _measure([process.pid], folder, len(urls), seconds)
        metrics = urllib.request.urlopen(f"{url}/metrics").read().decode()
        lag = re.search(r'vms_event_loop_lag_seconds\{quantile="0.99"\} (\S+)', metrics)
        return Side(*side, loop_lag_p99_ms=float(lag[1]) * 1000 if lag else None)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _ffmpeg(urls: list[str], folder: Path, seconds: float) -> Side:
    folder.mkdir()
    processes = []
    for number, url in enumerate(urls):
        camera = folder / str(number)
        camera.mkdir()
        segments = [
            "-f",
            "segment",
            "-segment_time",
            "300",
            "-segment_format",
            "mp4",
            "-reset_timestamps",
            "1",
        ]
        segments += ["-segment_format_options", "movflags=frag_keyframe+empty_moov", f"{camera}/%d.mp4"]
        command = [
            "ffmpeg",
            "-nostdin",
            "-v",
            "error",
            "-rtsp_transport",
            "tcp",
            "-i",
            url,
            "-c",
            "copy",
            *segments,
        ]
        processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
    try:
        deadline = time.monotonic() + 60
        while sum(1 for path in folder.rglob("*.mp4") if path.stat().st_size > 100_000) < len(urls):
            if time.monotonic() > deadline:
                sys.exit("bench ingest: not every ffmpeg recorded within 60 s")
            time.sleep(0.2)
        return Side(*_measure([process.pid for process in processes], folder, len(urls), seconds))
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def _measure(
    pids: list[int], folder: Path, cameras: int, seconds: float
) -> tuple[float, float, float, float]:
    """(CPU seconds per camera-second, peak PSS in MiB, peak RSS in MiB, recorded bytes over sent bytes)."""
    before, bytes_before, began = usage(pids), _recorded(folder), time.monotonic()
    peak_pss = peak_rss = 0
    while time.monotonic() < began + seconds:
        time.sleep(1)
        now = usage(pids)
        peak_pss, peak_rss = max(peak_pss, now.pss_bytes), max(peak_rss, now.rss_bytes)
    after, bytes_after, lasted = usage(pids), _recorded(folder), time.monotonic() - began
    sent = cameras * lasted * BITRATE / 8
    cpu = (after.cpu_s - before.cpu_s) / (cameras * lasted)
    return cpu, peak_pss / 2**20, peak_rss / 2**20, (bytes_after - bytes_before) / sent


def _recorded(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.mp4"))


def _wait_for_url(log: Path, process: subprocess.Popen[Any]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r'"url": "(http://[^"]+)"', log.read_text())
        if found:
            return found[1].rstrip("/")
        time.sleep(0.1)
    sys.exit(f"bench ingest: the system did not start; its log:\n{log.read_text()[-2000:]}")


def _wait_until_live(url: str, count: int) -> None:
    deadline = time.monotonic() + 60
    states: list[str] = []
    while time.monotonic() < deadline:
        cameras = json.load(urllib.request.urlopen(f"{url}/api/v1/cameras"))["cameras"]
        states = [camera["state"] for camera in cameras]
        if len(cameras) == count and all(c["state"] == "live" and c["recording"] for c in cameras):
            return
        time.sleep(0.2)
    sys.exit(f"bench ingest: not every camera was live within 60 s: {states}")


def _print(result: dict[str, Any], ours: Side, peer: Side) -> None:
    table = Table(title=f"{result['cameras']} cameras recorded, {result['machine']}")
    for column in ("", "ours", "ffmpeg, one a camera", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("CPU, % of a core a camera", f"{ours.cpu:.3%}", f"{peer.cpu:.3%}", str(result["ratio_cpu"]))
    table.add_row(
        "memory, MiB (PSS)", f"{ours.pss_mib:.0f}", f"{peer.pss_mib:.0f}", str(result["ratio_memory_pss"])
    )
    table.add_row(
        "memory, MiB (sum of RSS)",
        f"{ours.rss_mib:.0f}",
        f"{peer.rss_mib:.0f}",
        str(result["ratio_memory_rss"]),
    )
    table.add_row("recorded bytes over sent", f"{ours.bytes_share:.3f}", f"{peer.bytes_share:.3f}", "")
    table.add_row("event loop lag p99, ms", f"{ours.loop_lag_p99_ms or 0:.2f}", "–", "")
    Console().print(table)


if __name__ == "__main__":
    main()
