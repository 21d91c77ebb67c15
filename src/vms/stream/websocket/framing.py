"""The WebSocket protocol, server side: handshake, frames in and out (RFC 6455).

Belongs here: bytes. Does not: what messages mean (viewer), connections (connection). permessage-deflate is
never agreed to: video does not compress.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha1
from struct import Struct

from vms.common.errors import InvalidInput

MAX_MESSAGE_BYTES = 64 << 10
"""Of a client; frames of a message are counted together."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # §1.3
_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_CONTROL_MAX = 125
_U16, _U64 = Struct(">H"), Struct(">Q")


class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class CloseCode(IntEnum):
    """Why a connection ends (§7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    NOT_TAKEN = 1003
    INVALID_DATA = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013


class FrameError(Exception):
    """The client breaks the protocol; the connection is closed with `code`."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, or a control frame."""

    opcode: Opcode
    payload: bytes


def accept_key(method: str, headers: Mapping[str, str]) -> str:
    """Sec-WebSocket-Accept for a handshake (§4.2.2). headers: names in lower case. Raises InvalidInput."""
    tokens = {token.strip().lower() for token in headers.get("connection", "").split(",")}
    if method != "GET" or headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in tokens:
        raise InvalidInput("this path is for WebSocket connections (RFC 6455)")
    if headers.get("sec-websocket-version") != "13":
        raise InvalidInput("only version 13 of the WebSocket protocol is spoken (RFC 6455)")
    key = headers.get("sec-websocket-key", "").strip()
    try:
        if len(b64decode(key, validate=True)) != 16:
            raise ValueError
    except (ValueError, Base64Error):
        raise InvalidInput("Sec-WebSocket-Key must be 16 bytes in base64") from None
    return b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def switching(accept: str) -> bytes:
    """The answer that ends the handshake."""
    lines = (
        "HTTP/1.1 101 Switching Protocols",
        "upgrade: websocket",
        "connection: Upgrade",
        f"sec-websocket-accept: {accept}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def frame_header(opcode: Opcode, length: int) -> bytes:
    """What goes before an unmasked payload of one frame."""
    first = bytes([_FIN | opcode])
    if length <= _CONTROL_MAX:
        return first + bytes([length])
    if length <= 0xFFFF:
        return first + b"\x7e" + _U16.pack(length)
    return first + b"\x7f" + _U64.pack(length)


def frame(opcode: Opcode, payload: bytes) -> bytes:
    """One whole message in one frame."""
    return frame_header(opcode, len(payload)) + payload


def close_frame(code: CloseCode, reason: str = "") -> bytes:
    """reason: cut to what a control frame holds."""
    text = reason.encode()[: _CONTROL_MAX - 2].decode(errors="ignore").encode()
    return frame(Opcode.CLOSE, _U16.pack(code) + text)


class FrameReader:
    """Messages out of a client's bytes; bounded by MAX_MESSAGE_BYTES."""

    def __init__(self) -> None:
        self._unread = b""
        self._opcode: Opcode | None = None  # of the message whose frames come
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Raises FrameError."""
        self._unread += data
        while (taken := self._take()) is not None:
            final, opcode, payload = taken
            message = self._join(final, opcode, payload)
            if message is not None:
                yield message

    def _take(self) -> tuple[bool, Opcode, bytes] | None:
        data = self._unread
        if len(data) < 2:
            return None
        final, length = bool(data[0] & _FIN), data[1] & _LENGTH
        try:
            opcode = Opcode(data[0] & _OPCODE)
        except ValueError:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "an opcode that is not defined") from None
        if data[0] & _RESERVED:
            raise FrameError(
                CloseCode.PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed on"
            )
        if not data[1] & _MASKED:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "frames of a client must be masked")
        if opcode >= Opcode.CLOSE and (not final or length > _CONTROL_MAX):
            raise FrameError(CloseCode.PROTOCOL_ERROR, "a control frame must be whole and short")
        at = 2
        if length == 126:
            at = 4
            length = _U16.unpack_from(data, 2)[0] if len(data) >= at else -1
        elif length == 127:
            at = 10
            length = _U64.unpack_from(data, 2)[0] if len(data) >= at else -1
        if length < 0:
            return None
        if length + self._size > MAX_MESSAGE_BYTES:
            raise FrameError(CloseCode.TOO_BIG, f"messages have at most {MAX_MESSAGE_BYTES} bytes")
        end = at + 4 + length
        if len(data) < end:
            return None
        self._unread = data[end:]
        return final, opcode, _unmasked(data[at : at + 4], data[at + 4 : end])

    def _join(self, final: bool, opcode: Opcode, payload: bytes) -> Message | None:
        if opcode >= Opcode.CLOSE:
            return Message(opcode, payload)
        if (opcode is Opcode.CONTINUATION) is (self._opcode is None):
            raise FrameError(
                CloseCode.PROTOCOL_ERROR, "a message begins in another, or goes on without a beginning"
            )
        if opcode is not Opcode.CONTINUATION:
            self._opcode = opcode
        self._parts.append(payload)
        self._size += len(payload) + 1  # empty frames count too
        if not final:
            return None
        assert self._opcode is not None
        message = Message(self._opcode, b"".join(self._parts))
        self._opcode, self._parts, self._size = None, [], 0
        return message


def _unmasked(key: bytes, payload: bytes) -> bytes:
    """§5.3; as one whole number, which is quick."""
    size = len(payload)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")
