"""What concerns a stream and no packet of it: gaps and tracks, as RTCP APP packets (RFC 3550 §6.7).

VGAP tells a gap at once, because a gap that lasts comes when no packet flows. VTRK tells a line's track
before the unit from which on it holds; a session description cannot, once it has been read.

    VGAP  start_ns, end_ns: signed 64-bit Unix ns; the end is 0 and the subtype 1 while the gap lasts.
          Then the reason behind its size in 1 byte, and the detail, UTF-8, behind its size in 2 bytes.
    VTRK  the track as a vms.camera.v1.Track message behind its size in 2 bytes.

Both end in zeros up to a multiple of 4 bytes.

Belongs here: values ↔ bytes. Does not: when they are sent (relay_feed) and what follows (receiver).
"""

from base64 import b64decode, b64encode
from struct import Struct
from struct import error as struct_error

from google.protobuf.message import DecodeError

from vms.media import Gap, GapReason, Track
from vms.media.messages import track_message, track_of
from vms.proto import camera_pb2
from vms.wire.errors import ProtocolError
from vms.wire.rtcp import Application

GAP, TRACK = "VGAP", "VTRK"
TRACK_ATTRIBUTE = "x-vms-track"
MAX_TRACK_BYTES = 16 << 10  # several fit one RTCP frame; a track is some hundred bytes
MAX_DETAIL_BYTES = 2000

_LASTING = 1
_TIMES = Struct(">qq")
_SIZE = Struct(">H")
_MAX_CLOCK_RATE = 1 << 24
_REASONS = {reason.value: reason for reason in GapReason}


def pack_gap(gap: Gap, ssrc: int) -> Application:
    """A detail beyond MAX_DETAIL_BYTES is cut."""
    reason = gap.reason.value.encode()
    detail = gap.detail.encode()[:MAX_DETAIL_BYTES].decode(errors="ignore").encode()
    times = _TIMES.pack(gap.start_ns, gap.end_ns or 0)
    data = times + bytes((len(reason),)) + reason + _SIZE.pack(len(detail)) + detail
    return Application(ssrc, GAP, data, _LASTING if gap.end_ns is None else 0)


def parse_gap(packet: Application) -> Gap:
    """Raises ProtocolError. A reason that this version does not know becomes UNKNOWN."""
    data = packet.data
    try:
        start_ns, end_ns = _TIMES.unpack_from(data)
        reason_end = _TIMES.size + 1 + data[_TIMES.size]
        (detail_size,) = _SIZE.unpack_from(data, reason_end)
        detail = data[reason_end + 2 : reason_end + 2 + detail_size]
    except (struct_error, IndexError) as error:
        raise ProtocolError("relay: a gap's notice is cut short") from error
    if len(detail) != detail_size:
        raise ProtocolError("relay: a gap's notice is cut short")
    name = data[_TIMES.size + 1 : reason_end].decode(errors="replace")
    reason = _REASONS.get(name, GapReason.UNKNOWN)
    lasting = packet.subtype & _LASTING
    return Gap(start_ns, None if lasting else end_ns, reason, detail.decode(errors="replace"))


def pack_track(track: Track, ssrc: int) -> Application | None:
    """None for a track that is too large for a notice."""
    message = _message(track)
    if len(message) > MAX_TRACK_BYTES:
        return None
    return Application(ssrc, TRACK, _SIZE.pack(len(message)) + message)


def parse_track(packet: Application) -> Track:
    """Raises ProtocolError."""
    data = packet.data
    size = int.from_bytes(data[:2])
    if len(data) < 2 or len(data) < 2 + size:
        raise ProtocolError("relay: a track's notice is cut short")
    return _track(data[2 : 2 + size])


def track_attribute(track: Track) -> str:
    """The track for a session description."""
    return b64encode(_message(track)).decode()


def parse_track_attribute(text: str) -> Track:
    """Raises ProtocolError."""
    try:
        message = b64decode(text, validate=True)
    except ValueError as error:
        raise ProtocolError(f"relay: a={TRACK_ATTRIBUTE} is no base64") from error
    return _track(message)


def _message(track: Track) -> bytes:
    return track_message(track).SerializeToString()


def _track(data: bytes) -> Track:
    try:
        track = track_of(camera_pb2.Track.FromString(data))
    except DecodeError as error:
        raise ProtocolError("relay: a track's description cannot be read") from error
    except ValueError as error:
        raise ProtocolError("relay: a track's description is none of ours") from error
    if not 0 < track.clock_rate <= _MAX_CLOCK_RATE:
        raise ProtocolError("relay: a track's description is none of ours")
    return track
