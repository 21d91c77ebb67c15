"""What goes over a session: one message a unidirectional stream (docs/api/live-webtransport.md).

Belongs here: bytes of messages, both ways. Does not: who gets them (viewer), streams (session).
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Any

from vms.common.errors import InvalidInput
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.format.codecs import codec_string
from vms.format.mp4.sample_entries import h264, h265
from vms.media import Codec, Track

PLAYABLE = frozenset({Codec.H264, Codec.H265})
"""What WebCodecs take of what cameras send."""
AUDIBLE = frozenset({Codec.AAC, Codec.PCMU, Codec.PCMA, Codec.OPUS})
"""Likewise, of sound."""
_HEADER = Struct(">BBHIQQQQ")
HEADER_BYTES = _HEADER.size
_SOUND_HEADER = Struct(">BBHIQQQ")
SOUND_HEADER_BYTES = _SOUND_HEADER.size
_ALIVE = Struct(">BQ")
_CLOSE_SESSION = 0x2843
"""Capsule type (draft-ietf-webtrans-http3 §5)."""
MAX_MESSAGE_BYTES = 1024
"""Of a viewer."""


class Kind(IntEnum):
    """First byte of a stream or a datagram."""

    CONFIG = 0
    VIDEO = 1
    ALIVE = 2
    SOUND_CONFIG = 3
    SOUND = 4


class Flag(IntFlag):
    """KEY: decoding can begin here. AFRESH: what came before and is not complete will never be."""

    KEY = 1
    AFRESH = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture, the same for all viewers. data: NAL units behind 4 bytes of length, no parameter sets.

    pts, dts: ticks of its track's clock rate. queued_ns: monotonic time at which it came here.
    """

    track: Track
    data: bytes = field(repr=False)
    key: bool
    capture_ns: int
    queued_ns: int
    pts: int
    dts: int


@dataclass(frozen=True, slots=True)
class SoundFrame:
    """Encoded sound, the same for all viewers. pts: ticks of its track's clock rate. queued_ns: see Picture."""

    track: Track
    data: bytes = field(repr=False)
    capture_ns: int
    queued_ns: int
    pts: int


def header(picture: Picture, flags: Flag, generation: int, sequence_number: int, sent_ns: int) -> bytes:
    """What stands before a picture's data; sent_ns: wall-clock time now."""
    return _HEADER.pack(
        Kind.VIDEO,
        flags,
        generation & 0xFFFF,
        sequence_number & 0xFFFF_FFFF,
        picture.capture_ns,
        sent_ns,
        max(picture.pts, 0),
        picture.dts,
    )


def sound_header(sound: SoundFrame, generation: int, sequence_number: int, sent_ns: int) -> bytes:
    """What stands before a frame of sound; sent_ns: wall-clock time now. Its flags are for later."""
    return _SOUND_HEADER.pack(
        Kind.SOUND,
        0,
        generation & 0xFFFF,
        sequence_number & 0xFFFF_FFFF,
        sound.capture_ns,
        sent_ns,
        max(sound.pts, 0),
    )


def config(
    camera_id: CameraId, stream: StreamName, track: Track, generation: int, sound: Track | None
) -> bytes:
    """What pictures of a generation are decoded by: the fields of VideoDecoderConfig. FormatError when it has no sets.

    sound: what can be asked for beside it.
    """
    record = h264 if track.codec is Codec.H264 else h265
    fields = {
        "type": "config",
        "generation": generation & 0xFFFF,
        "camera": camera_id,
        "stream": stream.value,
        "codec": codec_string(track),
        "description": b64encode(record.configuration_record(track)).decode(),
        "width": track.width,
        "height": track.height,
        "clock_rate": track.clock_rate,
        "sound": codec_string(sound) if sound is not None else None,
    }
    return _told(Kind.CONFIG, fields)


def sound_config(track: Track, generation: int) -> bytes:
    """What sound of a generation is decoded by: the fields of AudioDecoderConfig."""
    fields = {
        "type": "sound",
        "generation": generation & 0xFFFF,
        "codec": codec_string(track),
        "description": b64encode(track.parameter_sets[0]).decode() if track.parameter_sets else None,
        "sample_rate": track.sample_rate,
        "channels": track.channels,
        "clock_rate": track.clock_rate,
    }
    return _told(Kind.SOUND_CONFIG, fields)


def _told(kind: Kind, fields: Mapping[str, object]) -> bytes:
    return bytes([kind]) + json.dumps(fields, separators=(",", ":")).encode()


def alive(wall_ns: int) -> bytes:
    """A datagram that says nothing but that the server is there, and what time it has."""
    return _ALIVE.pack(Kind.ALIVE, wall_ns)


def close_session(code: int, reason: str) -> bytes:
    """The capsule that ends a session (RFC 9297 §3.2): code and reason become `WebTransportCloseInfo`."""
    value = code.to_bytes(4) + reason.encode()[:MAX_MESSAGE_BYTES]
    return (0x4000 | _CLOSE_SESSION).to_bytes(2) + (0x4000 | len(value)).to_bytes(2) + value


def parse(data: bytes) -> Mapping[str, Any]:
    """A viewer's message: a JSON object with a `type`. Raises InvalidInput."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidInput("a message must be JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise InvalidInput("a message must be a JSON object with a type")
    return found
