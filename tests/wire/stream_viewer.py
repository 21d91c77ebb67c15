"""A SinkViewer that reaches the server by TCP, its datagrams framed as RFC 4571 says."""

import asyncio
import re

from bench._viewer import SinkViewer

from vms.wire.webrtc.endpoint import WebRtcEndpoint


async def listen(endpoint: WebRtcEndpoint, host: str = "127.0.0.1") -> asyncio.Server:
    """Accept ICE over TCP for an endpoint, and offer it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(endpoint.tcp_connection, host, 0)
    endpoint.offer_tcp(server.sockets[0].getsockname()[1])
    return server


def frame(datagram: bytes) -> bytes:
    return len(datagram).to_bytes(2, "big") + datagram


class StreamViewer(SinkViewer):
    """`connect` in place of `accept`; `reading` may be turned off to let the server's data pile up."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.chunk_bytes: int | None = None  # cut what is sent into pieces of so many bytes
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._arrived: list[bytes] = []

    async def connect(self, answer: str) -> None:
        candidates = re.findall(r"a=candidate:\S+ 1 tcp \d+ (\S+) (\d+) typ host tcptype passive", answer)
        host, port = next(found for found in candidates if found[0] == self.host)
        reader, self._writer = await asyncio.open_connection(host, int(port), limit=1 << 16)
        self._reading = asyncio.create_task(self._read(reader))
        self.accept(re.sub(" 1 tcp ", " 1 udp ", answer))

    @property
    def local(self) -> tuple[str, int]:
        assert self._writer is not None
        host, port = self._writer.get_extra_info("sockname")[:2]
        return host, port

    def pause(self) -> None:
        assert self._writer is not None
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def resume(self) -> None:
        assert self._writer is not None
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    async def leave(self) -> None:
        """Close the connection, with no word to the server before it."""
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
        self.close()

    def _send(self, datagram: bytes) -> None:
        assert self._writer is not None
        data = frame(datagram)
        size = self.chunk_bytes or len(data)
        for at in range(0, len(data), size):
            self._writer.write(data[at : at + size])

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                length = int.from_bytes(await reader.readexactly(2), "big")
                self.take(await reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                self.closed = True
                return
