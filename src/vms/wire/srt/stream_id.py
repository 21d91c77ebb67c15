"""What a caller wants, as its stream id says: the SRT Access Control guidelines, and the short form that people know
from other servers.

``#!::r=CAMERA,m=request|publish`` with more keys in any order; ``CAMERA``, ``read:CAMERA``, ``publish:CAMERA``, with
``:USER:PASSWORD`` behind it where somebody puts them. A stream of a camera is ``CAMERA/sub``, or ``s=sub`` beside
``r=CAMERA``. A right that ends is ``until=TIME``, or ``:until:TIME`` in the short form (Unix ns).

Belongs here: text to meaning. Does not: whether there is such a camera, who may watch it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from vms.common.ids import CameraId
from vms.common.ids import camera_id as checked_camera_id
from vms.common.stream_name import StreamName
from vms.wire.srt.errors import StreamIdInvalid
from vms.wire.srt.options import STREAM_ID_MAX_BYTES

STANDARD = "#!::"
_KEYS_MOST = 16
_ESCAPED = "%23!"
UNTIL = "until"
_TIME = re.compile(r"[0-9]{1,19}", re.ASCII)
_FORMS = "write CAMERA, publish:CAMERA or #!::r=CAMERA,m=request"


class Mode(StrEnum):
    """What the caller does."""

    REQUEST = "request"
    PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class StreamId:
    """mode: the caller wants media, or has some. user: as the caller calls itself; says nothing about rights.

    until_ns: up to when (Unix) the right lasts whose passphrase the caller has; None: the passphrase is one that lasts.
    """

    camera_id: CameraId
    stream: StreamName = StreamName.MAIN
    mode: Mode = Mode.REQUEST
    user: str = ""
    until_ns: int | None = None


def parse_stream_id(text: str) -> StreamId:
    """Raises StreamIdInvalid."""
    if len(text.encode(errors="replace")) > STREAM_ID_MAX_BYTES:
        raise StreamIdInvalid(f"the SRT stream id is longer than {STREAM_ID_MAX_BYTES} bytes")
    if not text:
        raise StreamIdInvalid(f"the caller has no SRT stream id, which says what it wants: {_FORMS}")
    if not text.isprintable():
        raise StreamIdInvalid(f"the SRT stream id has characters that cannot be printed: {_FORMS}")
    if text.startswith(_ESCAPED):  # as programs send it that take an address apart and leave its escapes
        text = unquote(text)
    if text.startswith(STANDARD):
        return _standard(text.removeprefix(STANDARD))
    if text.startswith("#!"):
        raise StreamIdInvalid(f"this form of SRT stream id is not known here: {_FORMS}")
    return _short(text)


def stream_id_text(wanted: StreamId) -> str:
    """What `parse_stream_id` makes the same of, but for the user; without a character that an address must escape."""
    action = "read" if wanted.mode is Mode.REQUEST else "publish"
    resource = wanted.camera_id if wanted.stream is StreamName.MAIN else f"{wanted.camera_id}/{wanted.stream}"
    until = f":{UNTIL}:{wanted.until_ns}" if wanted.until_ns is not None else ""
    return f"{action}:{resource}{until}"


def _standard(text: str) -> StreamId:
    keys: dict[str, str] = {}
    pairs = text.split(",", _KEYS_MOST)
    if len(pairs) > _KEYS_MOST:
        raise StreamIdInvalid(f"the SRT stream id has more than {_KEYS_MOST} keys")
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key in keys:
            raise StreamIdInvalid(f"a key of the SRT stream id has no value, or stands twice: {_FORMS}")
        keys[key] = value
    mode = keys.get("m", Mode.REQUEST.value)
    if mode not in Mode.__members__.values():
        raise StreamIdInvalid("m of the SRT stream id is not known here: write m=request or m=publish")
    if keys.get("t", "stream") != "stream":
        raise StreamIdInvalid("t of the SRT stream id is not known here: write t=stream, or nothing")
    camera_id, stream = _resource(keys.get("r", ""), keys.get("s"))
    return StreamId(camera_id, stream, Mode(mode), keys.get("u", ""), _time(keys.get(UNTIL)))


def _short(text: str) -> StreamId:
    action, colon, resource = text.partition(":")
    if not colon:
        return StreamId(*_resource(text, None))
    if action not in ("read", "request", "publish"):
        raise StreamIdInvalid(f"the SRT stream id begins with an action that is not known here: {_FORMS}")
    resource, _, rest = resource.partition(":")
    user, _, password = rest.partition(":")
    mode = Mode.PUBLISH if action == "publish" else Mode.REQUEST
    if user == UNTIL:
        return StreamId(*_resource(resource, None), mode, until_ns=_time(password))
    return StreamId(*_resource(resource, None), mode, user)


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    if not _TIME.fullmatch(text):
        raise StreamIdInvalid("until of the SRT stream id is no time: take the URL as the server gave it")
    return int(text)


def _resource(resource: str, stream: str | None) -> tuple[CameraId, StreamName]:
    camera, slash, named = resource.strip("/").partition("/")
    if slash and stream is not None:
        raise StreamIdInvalid("the SRT stream id names a stream twice: by r=CAMERA/STREAM and by s=")
    name = named if slash else stream
    if name is not None and name not in StreamName.__members__.values():
        raise StreamIdInvalid(
            "the SRT stream id names a stream that no camera has: write main, sub or compat"
        )
    try:
        camera_id = checked_camera_id(camera)
    except ValueError:  # its text would repeat what may be a secret in the wrong place
        raise StreamIdInvalid(f"the SRT stream id names no camera: {_FORMS}") from None
    return camera_id, StreamName(name) if name is not None else StreamName.MAIN
