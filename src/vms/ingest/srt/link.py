"""What the srt process and a media process say to each other about one camera, over one Unix socket.

A frame is a kind (1 byte), a length (3 bytes, big-endian) and so many bytes. The media process opens with OPEN: it names
the camera and whom to call, or that a publisher may come. It gets STATE, then LOST and DATA; the end of the connection
is the end of what it brought.

Belongs here: frames, their bounds. Does not: SRT (gateway), transport streams (stream).
"""

import asyncio
import json
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

from vms.common import unix_socket
from vms.common.errors import Unavailable
from vms.common.ids import CameraId

MAX_FRAME_BYTES = 1 << 17
"""Far more than what a turn of the event loop finds: 64 messages of 1,316 bytes."""
MAX_WORDS_BYTES = 4096
"""Of what is not media."""
MAX_DELAY_MS = 0xFFFF  # what SRT has room for (draft-sharabayko-srt §3.2.1.1)
_HEADER_BYTES = 4
_LOOK_S = 0.1


class LinkBroken(Unavailable):
    """The other process has gone, or does not speak like this; trying again helps."""


class Kind(IntEnum):
    """open, taken, free: of the media process. taken: the camera has a publisher by another way, free: no longer."""

    OPEN = 1
    TAKEN = 2
    FREE = 3
    STATE = 16
    LOST = 17
    DATA = 18


@dataclass(frozen=True, slots=True)
class Opening:
    """What a media process wants. url: whom to call, credentials included; None waits for a publisher."""

    camera_id: CameraId
    url: str | None = field(default=None, repr=False)

    def encode(self) -> bytes:
        return encode(Kind.OPEN, _words({"camera": self.camera_id, "url": self.url}))

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Raises LinkBroken."""
        words = _parse(payload)
        camera_id, url = words.get("camera"), words.get("url")
        if not isinstance(camera_id, str) or not isinstance(url, str | None):
            raise LinkBroken("an opening that names no camera")
        return cls(CameraId(camera_id), url)


@dataclass(frozen=True, slots=True)
class State:
    """How a connection fares. code: ``connected``, or a slug of `vms.ingest.errors` that says how it ended.

    text: for people, without credentials. delay_ms: by which SRT holds back what comes (TSBPD), once connected.
    """

    code: str
    text: str = ""
    delay_ms: int = 0

    def encode(self) -> bytes:
        words = {"code": self.code, "text": self.text[:1000], "delay_ms": self.delay_ms}
        return encode(Kind.STATE, _words(words))

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Raises LinkBroken."""
        words = _parse(payload)
        delay_ms = words.get("delay_ms")
        if not isinstance(delay_ms, int) or not 0 <= delay_ms <= MAX_DELAY_MS:
            raise LinkBroken("a state that says no delay")
        return cls(str(words.get("code", "")), str(words.get("text", "")), delay_ms)


CONNECTED = "connected"


def encode(kind: Kind, payload: bytes = b"") -> bytes:
    """A frame."""
    return kind.to_bytes(1) + len(payload).to_bytes(3) + payload


def encode_lost(packets: int) -> bytes:
    """SRT gave so many messages up that belong before what follows."""
    return encode(Kind.LOST, min(packets, 0xFFFFFFFF).to_bytes(4))


class Link:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, path: Path, *, wait_s: float = 0) -> Self:
        """Connect to the srt process. wait_s: that it may take to start. Raises LinkBroken."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + wait_s
        while True:
            try:
                connection = unix_socket.connect(path)
                break
            except OSError as error:
                if loop.time() >= until_s:
                    raise LinkBroken(
                        "the process for SRT does not answer; set srt.enabled: true in the configuration, "
                        "or see `vms status`"
                    ) from error
            await asyncio.sleep(_LOOK_S)
        reader, writer = await asyncio.open_connection(sock=connection, limit=2 * MAX_FRAME_BYTES)
        return cls(reader, writer)

    @property
    def waiting_bytes(self) -> int:
        """Written, and not yet taken by the other side."""
        return self._writer.transport.get_write_buffer_size()

    def send(self, frame: bytes) -> None:
        """Never waits; whoever sends much looks at `waiting_bytes`. Without effect once the link is closed."""
        if not self._writer.transport.is_closing():
            self._writer.write(frame)

    async def receive(self) -> tuple[Kind, bytes]:
        """The next frame. Raises LinkBroken when there is none."""
        try:
            header = await self._reader.readexactly(_HEADER_BYTES)
            size = int.from_bytes(header[1:])
            kind = Kind(header[0])
            if size > (MAX_FRAME_BYTES if kind is Kind.DATA else MAX_WORDS_BYTES):
                raise LinkBroken(f"a frame of {size} bytes between processes")
            return kind, await self._reader.readexactly(size)
        except ValueError:
            raise LinkBroken("an unknown frame between processes") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise LinkBroken("the process for SRT has gone") from error

    def close(self) -> None:
        """What was sent is still delivered."""
        self._writer.close()

    def abort(self) -> None:
        """What was sent and not taken is thrown away."""
        self._writer.transport.abort()


def _words(words: dict[str, Any]) -> bytes:
    return json.dumps(words).encode()


def _parse(payload: bytes) -> dict[str, Any]:
    try:
        words = json.loads(payload)
    except ValueError:
        raise LinkBroken("words between processes that cannot be read") from None
    if not isinstance(words, dict):
        raise LinkBroken("words between processes that are no object")
    return words
