"""A WebSocket client of a page of code, so that its frames can be as wrong as a test wants."""

import asyncio
import json
import os
from base64 import b64encode
from dataclasses import dataclass, field
from struct import unpack_from
from typing import Any

from vms.stream.websocket.framing import Opcode
from vms.stream.websocket.messages import MEDIA_HEADER_BYTES, Kind

KEY = b64encode(bytes(range(16))).decode()


def masked(opcode: int, payload: bytes, *, final: bool = True, mask: bool = True) -> bytes:
    """One frame as a client sends it."""
    first = (0x80 if final else 0) | opcode
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 65536:
        head = bytes([first, bit | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, bit | 127]) + size.to_bytes(8)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def handshake(target: str, **headers: str) -> bytes:
    fields = {
        "host": "vms.test",
        "connection": "keep-alive, Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": KEY,
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode()


@dataclass
class Client:
    """`status` of the handshake; `said` are the text messages, `media` the binary ones: kind, capture time, bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    media: list[tuple[Kind, int, bytes]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    closed: tuple[int, str] | None = None

    @classmethod
    async def connect(cls, port: int, target: str, **headers: str) -> "Client":
        client = await cls.ask(port, target, **headers)
        await client.read_head()
        return client

    @classmethod
    async def ask(cls, port: int, target: str, **headers: str) -> "Client":
        """The answer is not waited for; `read_head` does."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        writer.write(handshake(target, **headers))
        return cls(reader, writer)

    async def read_head(self) -> None:
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)

    def send(self, opcode: int, payload: bytes, **options: bool) -> None:
        self.writer.write(masked(opcode, payload, **options))

    def say(self, **message: object) -> None:
        self.send(Opcode.TEXT, json.dumps(message).encode())

    async def frame(self) -> tuple[Opcode, bytes]:
        first, second = await self.reader.readexactly(2)
        assert first & 0xF0 == 0x80, "the server sends whole messages without extensions"
        assert not second & 0x80, "a server does not mask"
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2))
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8))
        return Opcode(first & 0x0F), await self.reader.readexactly(size)

    async def next(self) -> Opcode:
        """Take one message; an exception when the connection is over."""
        async with asyncio.timeout(20):
            opcode, payload = await self.frame()
        if opcode is Opcode.TEXT and b'"alive"' not in payload:
            self.said.append(json.loads(payload))
            self.order.append(self.said[-1]["type"])
        elif opcode is Opcode.BINARY:
            kind, capture_ns, _ = unpack_from(">BQQ", payload)
            self.media.append((Kind(kind), capture_ns, payload[MEDIA_HEADER_BYTES:]))
            self.order.append(Kind(kind).name)
        elif opcode is Opcode.CLOSE:
            self.closed = (int.from_bytes(payload[:2]), payload[2:].decode())
        return opcode

    async def until(self, condition: Any) -> None:
        while not condition():
            await self.next()

    async def until_media(self, count: int) -> None:
        await self.until(lambda: len(self.media) >= count)

    async def until_closed(self) -> tuple[int, str]:
        await self.until(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed

    def bytes_of(self, *kinds: Kind) -> bytes:
        return b"".join(data for kind, _, data in self.media if kind in kinds)

    def close(self) -> None:
        self.writer.close()
