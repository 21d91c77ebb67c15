"""When a WebSocket viewer is told that the server is there, and asked whether it is itself."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.stream.scripted_stream import Camera
from tests.stream.test_stream_websocket_live import Serve, serve
from tests.stream.websocket_client import Client

from vms.common.clock import ManualClock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.media import Hub
from vms.stream.websocket import connection as connection_module
from vms.stream.websocket import messages
from vms.stream.websocket.connection import WebSocketConnection
from vms.stream.websocket.feed import Feed, Item
from vms.stream.websocket.framing import Opcode
from vms.stream.websocket.viewer import MAX_UNSENT_BYTES, WebSocketViewer

__all__ = ["serve"]  # a fixture
CAMERA = CameraId("gate")


class Wire(WebSocketConnection):
    """Keeps what is sent; `unsent` is what waits."""

    def __init__(self, viewer: WebSocketViewer) -> None:
        super().__init__("", viewer)
        self.sent: list[bytes] = []
        self.unsent = 0

    @property
    def unsent_bytes(self) -> int:
        return self.unsent

    def write(self, framed: bytes) -> None:
        self.sent.append(framed)

    def offer(self, framed: bytes, most_unsent_bytes: int) -> bool:
        if self.closing or self.unsent > most_unsent_bytes:
            return False
        self.write(framed)
        return True


class Owner:
    def __init__(self) -> None:
        self.feed = Feed(Hub(CAMERA), ManualClock())

    def begin(self, viewer: WebSocketViewer) -> None:
        viewer.feed = self.feed

    def asked(self, viewer: WebSocketViewer, message: Mapping[str, Any]) -> None: ...
    def left(self, viewer: WebSocketViewer) -> None: ...


def watching() -> tuple[WebSocketViewer, Wire]:
    viewer = WebSocketViewer(CAMERA, StreamName.MAIN, Owner())
    wire = Wire(viewer)
    viewer.opened(wire)
    return viewer, wire


def media(index: int, *, key: bool = False) -> Item:
    return Item(index, b"picture %d" % index, key, True, index)


def test_while_pictures_come_nothing_else_says_that_the_server_is_there() -> None:
    viewer, wire = watching()
    for index in range(5):
        viewer.deliver(media(index, key=index == 0))
        viewer.alive()
    assert wire.sent == [media(index).framed for index in range(5)]
    viewer.alive()
    viewer.alive()
    assert wire.sent[5:] == [messages.ALIVE, messages.ALIVE]


def test_a_viewer_whose_connection_takes_nothing_is_told_nothing_more() -> None:
    viewer, wire = watching()
    wire.unsent = MAX_UNSENT_BYTES + 1
    viewer.alive()
    assert wire.sent == []


def test_a_viewer_that_is_too_slow_skips_to_a_key_picture_and_is_told_the_gap() -> None:
    viewer, wire = watching()
    viewer.deliver(media(0, key=True))
    wire.unsent = MAX_UNSENT_BYTES + 1
    viewer.deliver(media(1))
    wire.unsent = 0
    viewer.deliver(media(2))
    viewer.deliver(media(3, key=True))
    assert viewer.skipped == 2
    assert (wire.sent[0], wire.sent[-1]) == (media(0).framed, media(3).framed)
    assert len(wire.sent) == 3 and b'"slow_viewer"' in wire.sent[1]


async def test_a_client_of_a_silent_camera_hears_of_the_server_and_is_asked_now_and_then(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "ALIVE_S", 0.01)
    client: Client = await (await serve(Camera().hub)).connect()
    said: list[str] = []
    while said.count("ping") < 2:
        opcode, payload = await client.frame()
        if opcode is Opcode.PING:
            said.append("ping")
        elif payload == b'{"type":"alive"}':
            said.append("alive")
    assert said.count("alive") == 2 * connection_module.PINGS_EVERY - 1
    client.close()
