"""An RTSP client for tests of the server: a socket, and as little understanding as will do."""

import asyncio
from contextlib import suppress
from typing import NamedTuple, Self

from vms.wire.rtsp.message import Headers, Response, take_message

TIMEOUT_S = 30.0


class Frame(NamedTuple):
    """One interleaved packet."""

    channel: int
    data: bytes

    @property
    def sequence_number(self) -> int:
        return int.from_bytes(self.data[2:4])

    @property
    def timestamp(self) -> int:
        return int.from_bytes(self.data[4:8])

    @property
    def marker(self) -> bool:
        return bool(self.data[1] & 0x80)

    @property
    def payload(self) -> bytes:
        return self.data[12:]


class RawRtsp:
    """One connection. `ask` sends a request and gives its answer; frames before it are kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, base_url: str) -> None:
        self.url = base_url
        self.writer = writer
        self.session = ""
        self.frames: list[Frame] = []
        self._reader = reader
        self._received = bytearray()
        self._cseq = 0

    @classmethod
    async def connect(cls, port: int, path: str = "/camera-1") -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return cls(reader, writer, f"rtsp://127.0.0.1:{port}{path}")

    async def ask(self, method: str, url: str | None = None, **headers: str) -> Response:
        self._cseq += 1
        fields = Headers((name.replace("_", "-"), value) for name, value in headers.items())
        fields.add("CSeq", self._cseq)
        if self.session and "Session" not in fields:
            fields.add("Session", self.session)
        lines = [f"{method} {url or self.url} RTSP/1.0", *(f"{name}: {value}" for name, value in fields)]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        return await self.response()

    async def set_up(self, line: int = 1, transport: str = "RTP/AVP/TCP;unicast;interleaved=0-1") -> Response:
        response = await self.ask("SETUP", f"{self.url}/trackID={line}", Transport=transport)
        if response.status == 200:
            self.session = response.headers["Session"].partition(";")[0]
        return response

    async def response(self) -> Response:
        while True:
            found = await self._next()
            if isinstance(found, Response):
                return found
            self.frames.append(found)

    async def frame(self) -> Frame:
        if self.frames:
            return self.frames.pop(0)
        found = await self._next()
        assert isinstance(found, Frame), f"an answer, {found!r}, where a packet was expected"
        return found

    async def frames_of(self, channel: int, count: int) -> list[Frame]:
        """The next `count` packets on a channel; others are dropped."""
        found: list[Frame] = []
        while len(found) < count:
            frame = await self.frame()
            if frame.channel == channel:
                found.append(frame)
        return found

    async def closed(self) -> bytes:
        """What comes until the server closes the connection."""
        async with asyncio.timeout(TIMEOUT_S):
            with suppress(ConnectionResetError):
                self._received += await self._reader.read(-1)
        return bytes(self._received)

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def _next(self) -> Frame | Response:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                found = self._take()
                if found is not None:
                    return found
                data = await self._reader.read(65536)
                if not data:
                    raise ConnectionResetError("the server closed the connection")
                self._received += data

    def _take(self) -> Frame | Response | None:
        data = self._received
        if data[:1] == b"$":
            end = 4 + int.from_bytes(data[2:4])
            if len(data) < max(4, end):
                return None
            frame = Frame(data[1], bytes(data[4:end]))
            del data[:end]
            return frame
        found = take_message(data)
        if found is None:
            return None
        message, end = found
        assert isinstance(message, Response)
        del data[:end]
        return message
