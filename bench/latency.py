"""From the camera to the screen: how old pictures are when they are shown, read from the pictures themselves.

    scripts/bench latency [--seconds 20] [--links loopback impaired] [--sides browser websocket …] [--json]

A virtual camera draws the wall clock into its picture when it captures it; each player, on the same machine and so
with the same clock, reads it from the pixels that it shows. So a figure holds everything: the camera's encoder and the 8 to
30 ms over which it spreads a picture's packets, RTSP, ingest, relay, packetising, encryption, the network, the
player's jitter buffer, decoding, and in Chromium the wait for the screen's next refresh.

    browser    Chromium (without a screen) plays our WHEP; to expectedDisplayTime of requestVideoFrameCallback, or to
               the callback itself where that is later
    websocket  Chromium plays fMP4 over WebSocket with the player of our web app; to the screen, as all in Chromium
    webtransport  likewise by WebTransport (experimental), with WebCodecs
    hls_parts  Chromium plays low-latency HLS with hls.js
    hls        Chromium plays HLS with hls.js, whole segments
    aiortc     plays our WHEP; until its recv() gives the decoded picture: no display
    rtsp       ffmpeg pulls our RTSP server over TCP; until the picture is decoded: no display
    rtsp_ffplay  ffplay pulls it; until the pixels of its window change (bench._latency_ffplay)
    srt        ffmpeg calls us by SRT, with a latency of 120 ms; no display

Pulling the camera directly, nothing of ours between, which is what going through us is compared with:

    ffmpeg     by RTSP over TCP, without buffering; no display
    ffplay     likewise, with the options that are usually advised for low latency; to the pixels of its window
    ffplay_at_once  and with no time stamp to wait for (setpts=0): the quickest that it can be told to be
    ffplay_defaults  as it comes, which takes UDP

loopback: all on 127.0.0.1. impaired: players behind 30 ms round trip, 5 ms jitter each way and 1% loss each way
(bench._link; needs root). The players run one after another beside the same camera and system.
"""

import argparse
import contextlib
import ctypes
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urljoin, urlsplit

from rich.console import Console
from rich.table import Table

from bench._fanout_feeder import free_port
from bench._latency_ages import CAMERA
from bench._latency_sides import SIDES
from bench._link import End, Link, LinkConditions, why_not
from bench._processes import machine
from bench._system import Metrics, System

LINKS = {
    "loopback": None,
    "impaired": LinkConditions(rtt_ms=30, jitter_ms=5, loss=0.01),
    "lossy": LinkConditions(rtt_ms=30, jitter_ms=5, loss=0.05),
}
TARGETS_P95_MS = {"loopback": 100.0, "impaired": 200.0}
USER = "bench"
LIVE_S = 30.0
_CLONE_NEWNET = 0x40000000
_CAMERA = """
import json, sys
from vms import virtual_camera
options = virtual_camera.CameraOptions(pattern=True, seed=1, **json.load(sys.stdin))
virtual_camera.run(options, lambda cameras: print(*(each.url for each in cameras), sep="\\n", flush=True))
"""


def main() -> None:
    options = _options()
    sides = _available(options.sides)
    rows: list[dict[str, Any]] = []
    for name in options.links:
        if name != "loopback" and (reason := why_not()):
            print(f"bench latency: {name} is left out: {reason}", file=sys.stderr)
            continue
        rows += measure(name, sides, options.seconds)
    picture = f"{CAMERA.width}x{CAMERA.height}, {CAMERA.frames_per_second} a second"
    result = {
        "bench": "latency",
        "machine": machine(),
        "picture": picture,
        "seconds": options.seconds,
        "rows": rows,
    }
    _print(result)
    if options.json:
        print(json.dumps(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench latency", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="to measure, a player")
    parser.add_argument("--links", nargs="+", choices=tuple(LINKS), default=("loopback", "impaired"))
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=tuple(SIDES))
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser.parse_args()


def _available(sides: Sequence[str]) -> list[str]:
    """The sides that can run here; says which cannot."""
    found = []
    for side in sides:
        if missing := SIDES[side].missing():
            said = f"not installed (scripts/setup-dev.sh): {', '.join(missing)}"
            print(f"bench latency: {side} is left out: {said}", file=sys.stderr)
        else:
            found.append(side)
    return found or sys.exit("bench latency: none of these players can run here")


def measure(name: str, sides: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """Every player over one link, one after another; a row each."""
    rows = []
    with contextlib.ExitStack() as stack:
        far: End | None = None
        host, token = "127.0.0.1", ""
        if (conditions := LINKS[name]) is not None:
            link = stack.enter_context(Link(conditions))
            stack.enter_context(inside(link.near.namespace))
            far, host, token = link.far, link.near.address, secrets.token_urlsafe(24)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vms-bench-")))
        camera_url = stack.enter_context(_camera(host))
        http = {"host": host, "port": 0} | ({"token": token} if token else {})
        srt = {"port": free_port()} | ({"passphrase": token} if token else {})
        changes = {"http": http, "rtsp": {"port": free_port(socket.SOCK_STREAM)}, "webtransport": {"port": 0}}
        changes |= {"srt": srt}
        system = stack.enter_context(System(folder / "system", [camera_url], changes=changes))
        _wait_live(system.url, token)
        for side in sides:
            before = _stages(system.url, token)
            protocol = SIDES[side].protocol
            job = {"url": camera_url} if protocol is None else _job(system.url, token, protocol)
            job |= {"api": system.url, "token": token, "seconds": seconds}
            seen = _play(side, job, far)
            rows.append({"link": name, "side": side} | _figures(seen, before, _stages(system.url, token)))
    return rows


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Be in a network namespace, with all processes that are started meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot enter the link's namespace")
        yield
    finally:
        libc.setns(own, _CLONE_NEWNET)
        os.close(own)
        os.close(there)


@contextlib.contextmanager
def _camera(host: str) -> Iterator[str]:
    """A camera that draws its clock; gives its URL, credentials included."""
    changes = {"host": host} | (
        {"user": USER, "password": secrets.token_hex(8)} if host != "127.0.0.1" else {}
    )
    process = subprocess.Popen(
        [sys.executable, "-c", _CAMERA], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(changes))
        process.stdin.close()
        url = re.findall(r"rtsp://\S+", process.stdout.readline())
        if not url:
            sys.exit("bench latency: the virtual camera did not start; its message is above")
        given = urlsplit(url[0])
        if "password" in changes:
            given = given._replace(netloc=f"{USER}:{changes['password']}@{given.hostname}:{given.port}")
        yield given.geturl()
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _play(side: str, job: dict[str, Any], far: End | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench._latency_sides", side]
    if far is not None:
        command = far.command(*command)
    timeout_s = 120 + job["seconds"]
    given = json.dumps(job)  # not on the command line, where everyone on the machine reads it
    run = subprocess.run(
        command, input=given, stdout=subprocess.PIPE, text=True, timeout=timeout_s, check=False
    )
    if run.returncode != 0:
        sys.exit(f"bench latency: the side {side} failed; its message is above")
    seen: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return seen


def _get(url: str, token: str) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        body: bytes = answer.read()
        return body


def _option(api: str, token: str, protocol: str) -> dict[str, Any]:
    """How our camera is played by a protocol, as the API says, once it has heard of who serves it."""
    deadline = time.monotonic() + LIVE_S
    while True:
        options = json.loads(_get(f"{api}/api/v1/cameras/c0/live", token))["options"]
        found: dict[str, Any] | None = next((each for each in options if each["protocol"] == protocol), None)
        if found is not None and found["url"]:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"bench latency: the camera cannot be played by {protocol}: {found}")
        time.sleep(0.2)


def _job(api: str, token: str, protocol: str) -> dict[str, Any]:
    """What a player of ours has to know."""
    option = _option(api, token, protocol)
    url = urljoin(f"{api}/", option["url"])
    if protocol == "rtsp" and token:
        url = url.replace("rtsp://", f"rtsp://{USER}:{token}@", 1)
    return {"url": url, "hashes": option["certificate_hashes"]}


def _wait_live(url: str, token: str) -> None:
    deadline = time.monotonic() + LIVE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # 503 while the API has not heard of cameras yet
            if json.loads(_get(f"{url}/api/v1/cameras/c0", token))["state"] == "live":
                return
        time.sleep(0.2)
    sys.exit("bench latency: the camera was not live in time")


def _stages(url: str, token: str) -> dict[str, tuple[float, float]]:
    """Sum in seconds and number of pictures, by stage that the server measures itself."""
    metrics = Metrics(_get(f"{url}/metrics", token).decode(), time.monotonic())
    return {
        stage: (
            sum(metrics.values("vms_latency_seconds_sum", stage=stage, role="stream")),
            sum(metrics.values("vms_latency_seconds_count", stage=stage, role="stream")),
        )
        for stage in ("camera_to_server", "inside")
    }


def _figures(
    seen: dict[str, Any], before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> dict[str, Any]:
    ages = seen.pop("ages_ms")
    row: dict[str, Any] = {"pictures": len(ages), **_quantiles(ages)}
    for stage, (total_s, count) in after.items():
        pictures = count - before[stage][1]
        row[f"{stage}_mean_ms"] = (
            round((total_s - before[stage][0]) / pictures * 1000, 2) if pictures else None
        )
    for name in ("to_browser_ms", "in_browser_ms"):
        if values := seen.pop(name, None):
            row[f"{name.removesuffix('_ms')}_p50_ms"] = round(median(values), 1)
    return row | seen


def _quantiles(values: Sequence[float]) -> dict[str, float | None]:
    """None for all where the picture stood still."""
    names = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    if len(values) < 2:
        return dict.fromkeys(names)
    cuts = quantiles(values, n=100, method="inclusive")
    return dict(
        zip(
            names,
            (round(each, 1) for each in (*(cuts[at - 1] for at in (50, 95, 99)), max(values))),
            strict=True,
        )
    )


def _print(result: dict[str, Any]) -> None:
    table = Table(title=f"Camera to screen, {result['picture']}")
    for column in (
        "link",
        "player",
        "pictures",
        "P50",
        "P95",
        "P99",
        "max",
        "target",
        "camera→us",
        "inside us",
        "in browser",
        "freezes",
        "lost",
    ):
        table.add_column(column, justify="left" if column in ("link", "player") else "right")
    for row in result["rows"]:
        target = TARGETS_P95_MS.get(row["link"]) if row["side"] == "browser" else None
        met = row["p95_ms"] is not None and target is not None and row["p95_ms"] < target
        said = "" if target is None else f"{'met' if met else 'MISSED'} < {target:.0f}"
        inner = [
            row.get(name) for name in ("camera_to_server_mean_ms", "inside_mean_ms", "in_browser_p50_ms")
        ]
        table.add_row(
            row["link"],
            row["side"],
            str(row["pictures"]),
            *(
                "–" if row[name] is None else f"{row[name]:.0f}"
                for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")
            ),
            said,
            *("" if value is None else f"{value:.1f}" for value in inner),
            str(row.get("freezeCount", "")),
            str(row.get("packetsLost", "")),
        )
    Console(width=150).print(table)
    print("times in ms; camera→us and inside us: means of the pictures sent to it; in browser: median")


if __name__ == "__main__":
    main()
