"""One camera to many callers by SRT: what a viewer costs us, and what it costs with srt-live-transmit.

    scripts/bench srt [--viewers 50] [--seconds 10] [--encrypted] [--json]

One process of ours muxes a camera of 1080p25 at 4 Mb/s and serves it to all viewers. The peer is given the finished
transport stream by UDP and serves one viewer a process, since it can serve no more from one port; as many processes as
there are viewers, 10 at the most. Viewers are one process of ours each time, which throws away what it gets. Both sides
are of the same library, so the ratio is what our muxing, our event loop and Python add to it.
"""

import argparse
import asyncio
import json
import multiprocessing
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, cycle
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import uvloop
from rich.console import Console

from bench._footage import clip
from bench._processes import machine, measure
from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.format import nal
from vms.format.codecs import video_track
from vms.format.h264 import PPS, SPS, nal_type
from vms.format.mpegts import TsMuxer
from vms.media import AccessUnit, Codec, Hub, Track
from vms.stream import own_hubs
from vms.stream.srt import SrtAccess, SrtService
from vms.telemetry.logs import configure_logs
from vms.wire.srt import MESSAGE_BYTES, SrtConnection, SrtGone, SrtPoller, connect

CAMERA = CameraId("camera")
PASSPHRASE = "correct-horse-battery"
FPS, TICKS = 25, 3_600
PEERS_MOST = 10
SETTLE_S = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench srt", description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10, help="how long each side is measured")
    parser.add_argument("--encrypted", action="store_true", help="AES-128, both sides")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    if shutil.which("srt-live-transmit") is None:
        sys.exit("bench srt: srt-live-transmit, the peer, is not installed; run scripts/setup-dev.sh as root")
    secret = PASSPHRASE if options.encrypted else None
    footage = clip(bitrate=4_000_000)
    ours = _ours(footage, options.viewers, options.seconds, secret)
    peers = min(options.viewers, PEERS_MOST)
    theirs = _peer(footage, peers, options.seconds, secret)
    result: dict[str, Any] = {
        "bench": "srt",
        "machine": machine(),
        "viewers": options.viewers,
        "encrypted": options.encrypted,
        "cpu_a_viewer": round(ours / options.viewers, 5),
        "peer_cpu_a_viewer": round(theirs / peers, 5),
    }
    result["ratio_cpu_to_srt_live_transmit"] = round(result["cpu_a_viewer"] / result["peer_cpu_a_viewer"], 3)
    console = Console(stderr=True)
    console.print(f"CPU a viewer, share of a core: ours {result['cpu_a_viewer']:.2%}, of {options.viewers}")
    console.print(f"srt-live-transmit {result['peer_cpu_a_viewer']:.2%}, of {peers}")
    if options.json:
        print(json.dumps(result))


def _ours(footage: Path, viewers: int, seconds: float, secret: str | None) -> float:
    with _process(_serve, footage, secret) as (server, pid):
        port = server.recv()
        with _process(_watch, [port] * viewers, secret) as (watching, _):
            return _cpu([pid], watching, seconds)


def _peer(footage: Path, viewers: int, seconds: float, secret: str | None) -> float:
    ports = [(_free_port(), _free_port()) for _ in range(viewers)]
    query = f"&passphrase={secret}" if secret else ""
    running = [
        subprocess.Popen(
            [
                "srt-live-transmit",
                "-q",
                f"udp://127.0.0.1:{fed}",
                f"srt://127.0.0.1:{port}?mode=listener{query}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fed, port in ports
    ]
    try:
        with _process(_feed, footage, [fed for fed, _ in ports]):
            time.sleep(1)
            with _process(_watch, [port for _, port in ports], secret) as (watching, _):
                return _cpu([each.pid for each in running], watching, seconds)
    finally:
        for each in running:
            each.kill()
            each.wait()


def _cpu(pids: Sequence[int], watching: Connection, seconds: float) -> float:
    """The share of a core that processes use while all viewers get what they should."""
    watching.recv()
    time.sleep(SETTLE_S)
    watching.send("count")
    cost = measure({"server": pids}, seconds)["server"]
    watching.send("count")
    slowest, lost = watching.recv()
    if slowest < 0.9 * seconds * 4e6 / 8 / MESSAGE_BYTES or lost:
        sys.exit(
            f"bench srt: a viewer got only {slowest} messages, {lost} were lost: the machine cannot keep up"
        )
    return cost.cpu


# processes


def _serve(pipe: Connection, footage: Path, secret: str | None) -> None:
    async def run() -> None:
        track, pictures = _pictures(footage)
        hub = Hub("camera")
        hub.announce([track])
        clock = SystemClock()
        access = SrtAccess(b"", secret, lambda camera_id, stream: True, clock)
        service = SrtService(own_hubs(lambda camera_id: hub), access, clock, address=("127.0.0.1", 0))
        await service.start()
        pipe.send(service.port)
        async for unit in _paced(track, pictures):
            hub.push(unit)

    configure_logs(json=False, level="error")
    uvloop.run(run())


def _feed(pipe: Connection, footage: Path, ports: Sequence[int]) -> None:
    async def run() -> None:
        track, pictures = _pictures(footage)
        muxer = TsMuxer([track])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            async for unit in _paced(track, pictures):
                data = muxer.packets(unit)
                for at in range(0, len(data), MESSAGE_BYTES):
                    for port in ports:
                        out.sendto(data[at : at + MESSAGE_BYTES], ("127.0.0.1", port))

    uvloop.run(run())


def _watch(pipe: Connection, ports: Sequence[int], secret: str | None) -> None:
    async def run() -> None:
        poller = await SrtPoller().start()
        found: list[SrtConnection] = []
        for port in ports:
            found.append(await connect(poller, ("127.0.0.1", port), stream_id=CAMERA, passphrase=secret))
            found[-1].read_with(_reader(found[-1]))
            await asyncio.sleep(0.06)  # as many a second as one address may
        pipe.send("connected")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, pipe.recv)
        before = [(each.received, each.lost) for each in found]
        await loop.run_in_executor(None, pipe.recv)
        got = [(each.received - old[0], each.lost - old[1]) for each, old in zip(found, before, strict=True)]
        pipe.send((min(received for received, _ in got), sum(lost for _, lost in got)))
        await loop.run_in_executor(None, pipe.recv)

    uvloop.run(run())


def _reader(connection: SrtConnection) -> Any:
    def read() -> None:
        try:
            while connection.receive() is not None:
                pass
        except SrtGone:
            sys.exit("bench srt: a viewer was disconnected")

    return read


async def _paced(track: Track, pictures: Sequence[tuple[bytes, bool]]) -> Any:
    clock = SystemClock()
    begun_ns = clock.monotonic_ns()
    for number, (data, key) in zip(count(), cycle(pictures), strict=False):
        due_ns = begun_ns + number * 1_000_000_000 // FPS
        await asyncio.sleep(max(0, due_ns - clock.monotonic_ns()) / 1e9)
        at = number * TICKS
        yield AccessUnit(track, data, at, at, key, False, clock.wall_ns(), clock.monotonic_ns())


def _pictures(footage: Path) -> tuple[Track, Sequence[tuple[bytes, bool]]]:
    with av.open(str(footage)) as container:
        stream = container.streams.video[0]
        annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        packets = [out for packet in container.demux(stream) for out in annex_b.filter(packet) if out.size]
        pictures = [(nal.from_annex_b(bytes(each)), each.is_keyframe) for each in packets]
    sets = [bytes(each) for each in nal.split(pictures[0][0]) if nal_type(each) in (SPS, PPS)]
    return video_track(1, Codec.H264, sets), pictures


@contextmanager
def _process(target: Any, *arguments: Any) -> Iterator[tuple[Connection, int]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    assert process.pid is not None
    try:
        yield ours, process.pid
    finally:
        process.kill()
        process.join()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
