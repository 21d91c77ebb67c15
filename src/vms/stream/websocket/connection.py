"""One WebSocket connection: it takes over from HTTP, answers pings, finds out who is gone, and ends.

Belongs here: the transport and its end. Does not: bytes of frames (framing), what is sent (viewer).
"""

import asyncio
import socket
from typing import Protocol, cast

from vms.stream.websocket.framing import (
    CloseCode,
    FrameError,
    FrameReader,
    Opcode,
    close_frame,
    frame,
    switching,
)

ALIVE_S = 2.0
PINGS_EVERY = 5
"""Of the times at which it is said that the server is there, how many apart the client is asked whether it is."""
SILENT_S = 30.0
"""A client that says nothing for so long, not even a pong, is gone."""
CLOSE_S = 2.0
MAX_MESSAGES = 50  # of a client in ALIVE_S; nobody needs more
NOT_SENT_LOW_BYTES = 128 << 10
_HIGH_WATER_BYTES = 16 << 20  # no use is made of pause_writing: the listener looks at `unsent_bytes`


class Listener(Protocol):
    """Whom a connection tells."""

    def opened(self, connection: "WebSocketConnection") -> None:
        """The handshake is written; messages may follow."""

    def message(self, text: str) -> None:
        """A text message of the client."""

    def alive(self) -> None:
        """Every ALIVE_S: time to say that the server is there, in a message, since pages see no pings."""

    def closed(self) -> None:
        """The connection is over; called once."""


class WebSocketConnection(asyncio.Protocol):
    """accept: Sec-WebSocket-Accept of its handshake. `closing` is set once nothing more is sent."""

    def __init__(self, accept: str, listener: Listener) -> None:
        self.closing = False
        self._accept = accept
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._timer: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        self._messages = 0
        self._times_alive = 0
        self._over = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            # What waits is to wait here, where it can be skipped, not in the kernel
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_LOW_BYTES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard_s = loop.time()
        self._timer = loop.call_later(ALIVE_S, self._alive)
        self._transport.write(switching(self._accept))
        self._listener.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        self._heard_s = asyncio.get_running_loop().time()
        try:
            for message in self._reader.feed(data):
                self._take(message.opcode, message.payload)
        except FrameError as error:
            self.close(error.code, error.reason)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self._end()

    # for the listener

    @property
    def unsent_bytes(self) -> int:
        """What waits in this process to be sent."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send_text(self, text: str) -> None:
        self.write(frame(Opcode.TEXT, text.encode()))

    def write(self, framed: bytes) -> None:
        """Send bytes that are whole frames already; the same object may go to any number of connections."""
        if not self.closing and self._transport is not None:
            self._transport.write(framed)

    def offer(self, framed: bytes, most_unsent_bytes: int) -> bool:
        """Send as `write` does, unless more than that waits to be sent already. Whether it was sent."""
        transport = self._transport
        if self.closing or transport is None or transport.get_write_buffer_size() > most_unsent_bytes:
            return False
        transport.write(framed)
        return True

    def close(self, code: CloseCode = CloseCode.NORMAL, reason: str = "") -> None:
        """Say why, and end; what is under way is still sent, for CLOSE_S at most."""
        transport = self._transport
        if self.closing or transport is None:
            self._end()
            return
        transport.write(close_frame(code, reason))
        self.closing = True
        self._end()
        transport.close()
        asyncio.get_running_loop().call_later(CLOSE_S, transport.abort)

    def _take(self, opcode: Opcode, payload: bytes) -> None:
        self._messages += 1
        if self._over:
            return
        if self._messages > MAX_MESSAGES:
            self.close(CloseCode.POLICY, "too many messages")
        elif opcode is Opcode.PING:
            self.write(frame(Opcode.PONG, payload))
        elif opcode is Opcode.CLOSE:
            self.close(CloseCode.NORMAL)
        elif opcode is Opcode.BINARY:
            self.close(CloseCode.NOT_TAKEN, "only text messages are taken")
        elif opcode is Opcode.TEXT:
            try:
                self._listener.message(payload.decode())
            except UnicodeDecodeError:
                self.close(CloseCode.INVALID_DATA, "a text message must be UTF-8")

    def _alive(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard_s > SILENT_S:
            if self._transport is not None:
                self._transport.abort()
            return
        self._messages = 0
        self._times_alive += 1
        if self._times_alive % PINGS_EVERY == 0:
            self.write(frame(Opcode.PING, b""))
        self._listener.alive()
        self._timer = loop.call_later(ALIVE_S, self._alive)

    def _end(self) -> None:
        self.closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._over:
            self._over = True
            self._listener.closed()
