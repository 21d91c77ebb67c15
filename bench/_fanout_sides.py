"""The processes of the fan-out bench: ours, aiortc, and the viewers of either.

Each side is a process that is told how many viewers come and what to send, and says what it cost. The
viewers are in a process of their own: real ICE, DTLS and SRTP keys, then datagrams that are counted.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Any

import av
import uvloop
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from bench._viewer import SinkViewer
from vms.common.clock import SystemClock
from vms.common.ids import CameraId
from vms.config import WebRtcConfig
from vms.format import nal
from vms.media import AccessUnit, Codec, Hub, Track
from vms.stream import StreamService, own_hubs
from vms.telemetry.logs import configure_logs

CAMERA = CameraId("bench")
KEY_INTERVAL = 50
CONNECT_TIMEOUT_S = 60
SETTLE_S = 0.5
AT_ONCE = 25  # handshakes in progress


@dataclass(frozen=True, slots=True)
class Load:
    """What one run sends: `frames` pictures of `frame_bytes`, `fps` a second, to `viewers`."""

    viewers: int
    frame_bytes: int
    fps: float
    frames: int


@dataclass(frozen=True, slots=True)
class Cost:
    """cpu_s: of the sending process while it sent. frames: sent, over all viewers. delays_ms: a picture
    each, push to last viewer."""

    cpu_s: float
    wall_s: float
    frames: int
    delays_ms: list[float]


def picture(load: Load, number: int) -> tuple[bytes, bool]:
    """A length-prefixed access unit of one slice; every KEY_INTERVAL-th is a key picture."""
    key = number % KEY_INTERVAL == 0
    body = (number.to_bytes(4, "big") + b"\x55\xa7\x31") * (load.frame_bytes // 7)
    return nal.join([(b"\x65" if key else b"\x41") + body[: load.frame_bytes - 5]]), key


# viewers


def run_viewers(pipe: Connection, host: str, count: int) -> None:
    """Connect `count` viewers through offers and answers on the pipe, then count until told to stop."""
    selector = selectors.DefaultSelector()
    viewers = [SinkViewer(host) for _ in range(count)]
    for viewer in viewers:
        selector.register(viewer.socket, selectors.EVENT_READ, viewer)
    for first in range(0, count, AT_ONCE):
        group = viewers[first : first + AT_ONCE]
        for viewer in group:
            pipe.send(viewer.offer())
            viewer.accept(pipe.recv())
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while not all(viewer.connected for viewer in group):
            if time.monotonic() > deadline:
                pipe.send("failed")
                return
            _drain(selector, 0.05)
            for viewer in group:
                viewer.tick()
    pipe.send("connected")
    tick_at = time.monotonic()
    while not pipe.poll():
        _drain(selector, 0.02)
        if time.monotonic() >= tick_at:
            tick_at = time.monotonic() + 0.5
            for viewer in viewers:
                viewer.tick()
    _drain(selector, 0.1)
    pipe.send((sum(viewer.packets for viewer in viewers), sum(viewer.lost for viewer in viewers)))


def _drain(selector: selectors.BaseSelector, timeout_s: float) -> None:
    for key, _ in selector.select(timeout_s):
        key.data.readable()


# ours


def run_ours(pipe: Connection, to_viewers: Connection, load: Load) -> None:
    configure_logs(json=False, level="warning")
    uvloop.run(_ours(pipe, to_viewers, load))


async def _ours(pipe: Connection, to_viewers: Connection, load: Load) -> None:
    hub = Hub(CAMERA)
    track = Track(1, Codec.H264, 90_000)
    hub.announce([track])
    service = StreamService(WebRtcConfig(port=0), own_hubs(lambda _: hub), SystemClock())
    await service.start()

    async def answer(offer: str) -> str:
        return (await service.offer(CAMERA, offer)).sdp

    clock = SystemClock()

    def push(number: int) -> None:
        data, key = picture(load, number)
        pts = round(number * 90_000 / load.fps)
        hub.push(AccessUnit(track, data, pts, pts, key, False, clock.wall_ns(), clock.monotonic_ns()))

    await _connect(to_viewers, answer)
    egress = service._egresses[CAMERA]
    cost = await _send(load, push)
    frames = sum(viewer.counters.frames for viewer in egress.viewers)
    pipe.send(replace(cost, frames=frames, delays_ms=[delay / 1e6 for delay in egress.delays_ns]))
    await service.stop()


# aiortc


class _Feed(MediaStreamTrack):
    """Encoded pictures for one sender; aiortc packs them without encoding them again."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[av.Packet[Any]] = asyncio.Queue()

    async def recv(self) -> Any:
        return await self.queue.get()


def run_aiortc(pipe: Connection, to_viewers: Connection, load: Load) -> None:
    uvloop.run(_aiortc(pipe, to_viewers, load))


async def _aiortc(pipe: Connection, to_viewers: Connection, load: Load) -> None:
    connections: list[RTCPeerConnection] = []
    feeds: list[_Feed] = []

    async def answer(offer: str) -> str:
        connection, feed = RTCPeerConnection(), _Feed()
        connections.append(connection)
        feeds.append(feed)
        connection.addTrack(feed)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        description: str = connection.localDescription.sdp
        return description

    def push(number: int) -> None:
        packet = av.Packet(nal.to_annex_b(picture(load, number)[0]))
        packet.pts = round(number * 90_000 / load.fps)
        packet.time_base = Fraction(1, 90_000)
        for feed in feeds:
            feed.queue.put_nowait(packet)

    await _connect(to_viewers, answer)
    cost = await _send(load, push)
    pipe.send(cost)
    await asyncio.gather(*(connection.close() for connection in connections))


# both


async def _connect(to_viewers: Connection, answer: Callable[[str], Any]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        message = await loop.run_in_executor(None, to_viewers.recv)
        if message == "connected":
            break
        if message == "failed":
            raise SystemExit("the viewers could not connect")
        to_viewers.send(await answer(message))
    await asyncio.sleep(SETTLE_S)


async def _send(load: Load, push: Callable[[int], None]) -> Cost:
    """Push in real time; CPU and wall time until the last picture has had time to go out."""
    loop = asyncio.get_running_loop()
    begun, cpu = loop.time(), time.process_time()
    for number in range(load.frames):
        push(number)
        await asyncio.sleep(max(0.0, begun + (number + 1) / load.fps - loop.time()))
    await asyncio.sleep(0.05)
    return Cost(time.process_time() - cpu, loop.time() - begun, load.frames * load.viewers, [])
