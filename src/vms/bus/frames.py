"""Frames of a control socket: a LocalFrame behind its length in 4 bytes, big-endian.

Belongs here: reading and writing one frame, the bound on its size. Does not: what to do about it (local).
"""

import asyncio

from google.protobuf.message import DecodeError

from vms.common.errors import InvalidInput
from vms.proto import bus_pb2

MAX_FRAME_BYTES = 16 << 20
_LENGTH_BYTES = 4


class BadFrame(InvalidInput):
    """The peer breaks the framing; its connection cannot be used any more."""


def encode(frame: bus_pb2.LocalFrame) -> bytes:
    """The frame's bytes; raises BadFrame for one that is too large."""
    body = frame.SerializeToString()
    if len(body) > MAX_FRAME_BYTES:
        raise BadFrame(f"a message of {len(body)} bytes; a control socket takes up to {MAX_FRAME_BYTES}")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def read_frame(reader: asyncio.StreamReader) -> bus_pb2.LocalFrame | None:
    """The next frame, None at the end of the connection.

    Raises BadFrame for one that is too large, cut off or unreadable, and OSError when the connection broke.
    """
    try:
        head = await reader.readexactly(_LENGTH_BYTES)
        length = int.from_bytes(head, "big")
        if length > MAX_FRAME_BYTES:
            raise BadFrame(f"a frame of {length} bytes; a control socket takes up to {MAX_FRAME_BYTES}")
        return bus_pb2.LocalFrame.FromString(await reader.readexactly(length))
    except asyncio.IncompleteReadError as error:
        if not error.partial and error.expected == _LENGTH_BYTES:
            return None
        raise BadFrame("the connection ended within a frame") from None
    except DecodeError:
        raise BadFrame("a frame that holds no LocalFrame") from None
