"""What goes over the socket: JSON in text messages, media in binary ones (docs/api/live-websocket.md).

Belongs here: building and reading messages. Does not: who gets them (feed, viewer).
"""

import json
from collections.abc import Mapping
from enum import IntEnum
from struct import Struct
from typing import Any

from vms.common.errors import InvalidInput
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.format.codecs import codec_string
from vms.media import Codec, MediaKind, Track
from vms.stream.websocket.framing import Opcode, frame, frame_header

PLAYABLE = frozenset({Codec.H264, Codec.H265, Codec.AAC, Codec.OPUS})
"""What Media Source Extensions take in MP4. G.711 is in no browser's list."""
_HEADER = Struct(">BQQ")
MEDIA_HEADER_BYTES = _HEADER.size
MAX_STAGES = 16


class Kind(IntEnum):
    """First byte of a binary message. `MUXED` ones have all tracks in them: recorded footage."""

    VIDEO_INIT = 0
    AUDIO_INIT = 1
    VIDEO = 2
    AUDIO = 3
    MUXED_INIT = 4
    MUXED = 5


INIT_KINDS: Mapping[MediaKind, Kind] = {MediaKind.VIDEO: Kind.VIDEO_INIT, MediaKind.AUDIO: Kind.AUDIO_INIT}
MEDIA_KINDS: Mapping[MediaKind, Kind] = {MediaKind.VIDEO: Kind.VIDEO, MediaKind.AUDIO: Kind.AUDIO}


def text(**fields: object) -> bytes:
    """A text message as one frame; `type` is among the fields."""
    return frame(Opcode.TEXT, json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode())


ALIVE = text(type="alive")
"""Nothing but that the server is there."""


def binary(kind: Kind, payload: bytes, capture_ns: int = 0, sent_ns: int = 0) -> bytes:
    """A binary message as one frame: kind (1 byte), capture time and server time (8 bytes each, Unix ns), payload."""
    header = frame_header(Opcode.BINARY, _HEADER.size + len(payload))
    return b"".join((header, _HEADER.pack(kind, capture_ns, sent_ns), payload))


def mime_type(track: Track) -> str:
    """``video/mp4; codecs="avc1.64001f"``: for MediaSource.isTypeSupported and addSourceBuffer."""
    return f'{track.kind.value}/mp4; codecs="{codec_string(track)}"'


def hello(camera_id: CameraId, stream: StreamName, epoch_ns: int, tracks: tuple[Track, ...]) -> bytes:
    """epoch_ns: the wall-clock time of media time 0."""
    shown = [
        {
            "track": track.kind.value,
            "codec": track.codec.value,
            "mime": mime_type(track) if track.codec in PLAYABLE else None,
        }
        for track in tracks
    ]
    return text(
        type="hello",
        camera=camera_id,
        stream=stream.value,
        mode="live",
        epoch_ms=epoch_ns / 1_000_000,
        tracks=shown,
    )


def init(track: Track, data: bytes) -> bytes:
    """The text message and the binary one that introduce a track, or a new version of one."""
    said = text(type="init", track=track.kind.value, mime=mime_type(track), version=track.version)
    return said + binary(INIT_KINDS[track.kind], data)


def gap(start_ms: float, end_ms: float | None, reason: str) -> bytes:
    """Nothing is there between two times (Unix, ms); `end` is null while it lasts."""
    return text(type="gap", start_ms=start_ms, end_ms=end_ms, reason=reason)


def error(reason: str, detail: str) -> bytes:
    """Something asked for cannot be; the connection goes on."""
    return text(type="error", reason=reason, detail=detail)


def parse(message: str) -> Mapping[str, Any]:
    """A client's message: an object with a `type`. Raises InvalidInput."""
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        raise InvalidInput("a message must be JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise InvalidInput("a message must be a JSON object with a type")
    return found


def stages_of(message: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by stage of a report. Raises InvalidInput."""
    stages = message.get("stages")
    if not isinstance(stages, dict) or len(stages) > MAX_STAGES:
        raise InvalidInput(f"a report has at most {MAX_STAGES} stages")
    for name, value in stages.items():
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not 0 <= value < 3600
            or len(name) > 32
        ):
            raise InvalidInput("a stage is a short name with seconds")
    return {name: float(value) for name, value in stages.items()}
