"""A viewer that is slow, stuck or dead costs the others nothing: no picture, no order, whatever the protocol.

Whose socket takes nothing by WebRTC is in test_stream_reception, a slow one over WebSocket in test_stream_websocket_live,
a slow RTSP player in test_public_rtsp.
"""

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.stream import test_stream_hls
from tests.stream.scripted_stream import CAMERA, Camera, Watcher, h264_pictures
from tests.stream.test_stream_hls import Player, TimedCamera, push
from tests.stream.test_stream_hls import serve as serve_hls
from tests.stream.test_stream_websocket_live import Served
from tests.stream.test_stream_websocket_live import serve as serve_websocket

from vms.format import nal
from vms.stream import StreamService
from vms.stream.http import http1
from vms.stream.websocket import viewer as viewer_module
from vms.stream.websocket.messages import Kind

__all__ = ["serve_hls", "serve_websocket"]  # fixtures

STUCK = 20
PICTURES = 100
PIPELINED = 2


def vanish(viewer: socket.socket) -> None:
    """Close its port, which the kernel answers with "unreachable" from now on; the object stays for the fixture."""
    asyncio.get_running_loop().remove_reader(viewer)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), viewer.fileno())


async def test_webrtc_viewers_that_vanish_without_a_word_cost_the_others_no_picture(
    camera: Camera,
    serve: Callable[..., Awaitable[StreamService]],
    watch: Callable[..., Awaitable[Watcher]],
) -> None:
    service = await serve(camera)
    pushed = [camera.push().data]
    gone = [await watch(service) for _ in range(STUCK)]
    there = [await watch(service) for _ in range(3)]
    for watcher in gone:
        vanish(watcher.viewer.socket)
    for _ in range(PICTURES):
        pushed.append(camera.push().data)
        await asyncio.sleep(0)
    for watcher in there:
        await watcher.until(lambda w=watcher: len(w.pictures()) == len(pushed))
        assert watcher.pictures() == pushed
        numbers = [header.sequence_number for header in watcher.headers]
        assert numbers == [(numbers[0] + n) & 0xFFFF for n in range(len(numbers))]
        assert service.session_stats(watcher.session_id).frames_skipped == 0
    assert service.egress(CAMERA).frames_overrun == 0
    assert service.viewers(CAMERA) == STUCK + len(there), "their consent has not expired"


def stuck_client(port: int, request: bytes) -> socket.socket:
    """One that asks and never reads what comes; its own buffers are small."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(request)
    return client


async def test_websocket_viewers_that_never_read_cost_the_others_no_picture_and_no_order(
    serve_websocket: Callable[..., Awaitable[Served]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_module, "MAX_UNSENT_BYTES", 64 << 10)
    camera = Camera(h264_pictures(50, width=640))
    served = await serve_websocket(camera.hub)
    camera.push()
    stuck = [await served.connect() for _ in range(STUCK)]
    for client in stuck:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    quick = await served.connect()
    await quick.until_media(2)
    pushed = 1
    while len(slow := [viewer for viewer in served.service.viewers if viewer.skipped]) < STUCK:
        camera.push()
        pushed += 1
        await quick.until_media(1 + pushed)
        assert pushed < 20_000
    assert len(served.service.viewers) == STUCK + 1
    captured = [capture_ns for kind, capture_ns, _ in quick.media if kind is Kind.VIDEO]
    assert len(captured) == pushed
    assert captured == sorted(captured)
    assert not [said for said in quick.said if said["type"] == "gap"]
    assert all(viewer.connection.unsent_bytes <= 3 * (64 << 10) for viewer in slow if viewer.connection)


async def test_hls_players_that_read_nothing_cost_the_others_no_part_and_are_let_go(
    serve_hls: Callable[..., Awaitable[Player]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "DRAIN_S", 2.0)
    servers: list[http1.HttpServer] = []
    begin = lambda router: servers.append(http1.HttpServer(router)) or servers[-1]  # type: ignore[func-returns-value]  # noqa: E731
    monkeypatch.setattr(test_stream_hls, "HttpServer", begin)
    filler = nal.join([b"\x0c" + b"\xff" * 150_000 + b"\x80"])  # more than the kernel keeps for a connection
    camera = TimedCamera(tuple((data + filler, key) for data, key in h264_pictures()))
    player = await serve_hls(camera)
    asked = asyncio.create_task(player.playlist())
    while not player.service.streams or not next(iter(player.service.streams.values())).waiters:
        await asyncio.sleep(0)
    push(camera, 12)
    segment = next(line for line in (await asked).splitlines() if not line.startswith("#"))
    address, path = urlsplit(player.url), f"/hls/{CAMERA}/main/{segment}"
    whole = await player.client.get(path)
    assert whole.status_code == 200
    request = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode() * PIPELINED
    stuck = [stuck_client(address.port or 0, request) for _ in range(STUCK)]
    (server,) = servers
    async with asyncio.timeout(20):
        while sum(not connection._drained.is_set() for connection in server.connections) < STUCK:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
    for _ in range(8):
        push(camera, 1)
        newest = re.findall('#EXT-X-PART:.*URI="([^"]+)"', await player.playlist())[-1]
        found = await player.client.get(f"/hls/{CAMERA}/main/{newest}")
        assert found.status_code == 200
    async with asyncio.timeout(20):
        while len(server.connections) >= STUCK:
            await asyncio.sleep(0.05)
    for client in stuck:
        client.close()
