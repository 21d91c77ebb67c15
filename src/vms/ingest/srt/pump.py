"""From one SRT connection into one link: messages joined, what is missing told where it is missing."""

import asyncio
from collections import Counter

from vms.ingest.srt.link import Kind, Link, encode, encode_lost
from vms.wire.srt import MESSAGE_BYTES, SrtConnection, SrtUnavailable

MESSAGES_A_FRAME = 64
MESSAGES_A_TURN = 256
"""Then others have their turn on the event loop."""
MAX_WAITING_BYTES = 4 << 20
"""Of media that a media process has not taken: some seconds of it."""
MAX_MESSAGES_A_SECOND = 12_000
"""126 Mb/s; a connection that sends more is ended."""


class Pump:
    """Works from the beginning until `ended`, whose result says why, for a person.

    left_out: messages for which the link had no room.
    """

    def __init__(self, connection: SrtConnection, link: Link) -> None:
        loop = asyncio.get_running_loop()
        self.connection = connection
        self.ended: asyncio.Future[str] = loop.create_future()
        self.left_out = 0
        self._link = link
        self._loop = loop
        self._bytes = 0
        self._untold = 0  # messages that are missing before the next frame
        self._heard_s = loop.time()
        self._second_s = self._heard_s
        self._in_second = 0
        connection.on_closed = self._closed
        connection.read_with(self._read)

    @property
    def silent_s(self) -> float:
        """Seconds since the last message. May be read in any thread."""
        return self._loop.time() - self._heard_s

    def counters(self) -> Counter[str]:
        """By the names of the metrics."""
        return Counter(
            messages=self.connection.received,
            bytes=self._bytes,
            messages_lost=self.connection.lost,
            messages_left_out=self.left_out,
        )

    def end(self, reason: str) -> None:
        """Close the connection. Again: without effect."""
        self.connection.close()
        self._closed(reason)

    def _closed(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    def _read(self) -> None:
        connection, messages = self.connection, list[bytes]()
        try:
            for _ in range(MESSAGES_A_TURN):
                lost = connection.lost
                message = connection.receive()
                if message is None:
                    return
                if connection.lost != lost:
                    self._pass_on(messages)
                    messages.clear()
                    self._untold += connection.lost - lost
                messages.append(message)
                if len(messages) == MESSAGES_A_FRAME:
                    self._pass_on(messages)
                    messages.clear()
            self._loop.call_soon(self._go_on)
        finally:
            self._pass_on(messages)

    def _go_on(self) -> None:
        if self.connection.closed:
            return
        try:
            self.connection.read_with(self._read)
        except SrtUnavailable:  # it ended, and the library keeps what came of it no longer
            self.end("the connection ended")

    def _pass_on(self, messages: list[bytes]) -> None:
        if not messages:
            return
        self._heard_s = self._loop.time()
        self._in_second += len(messages)
        if self._heard_s - self._second_s >= 1:
            if self._in_second > MAX_MESSAGES_A_SECOND * (self._heard_s - self._second_s):
                self.end(f"it sends more than {MAX_MESSAGES_A_SECOND * MESSAGE_BYTES * 8 // 10**6} Mb/s")
            self._second_s, self._in_second = self._heard_s, 0
        if self._link.waiting_bytes > MAX_WAITING_BYTES:
            self.left_out += len(messages)
            self._untold += len(messages)
            return
        if self._untold:
            self._link.send(encode_lost(self._untold))
            self._untold = 0
        data = b"".join(messages)
        self._bytes += len(data)
        self._link.send(encode(Kind.DATA, data))
