"""The session description that the server answers DESCRIBE with.

Belongs here: a track's encoding name and format parameters (RFC 6184 §8.2, RFC 7798 §7.1, RFC 3640 §4.1,
RFC 7587 §6.1, RFC 3551 §6). Does not: reading descriptions, which is the client's.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence

from vms.format import h265
from vms.media import Codec, Track
from vms.wire.rtsp.server_feed import FeedLine
from vms.wire.sdp import Attribute, MediaDescription, SessionDescription

PAYLOAD_TYPES = {Codec.PCMU: 0, Codec.PCMA: 8}  # static ones (RFC 3551 §6)
FIRST_DYNAMIC_PAYLOAD_TYPE = 96

_CONTROL = "trackID="

_ENCODING_NAMES = {
    Codec.H264: "H264",
    Codec.H265: "H265",
    Codec.AAC: "MPEG4-GENERIC",
    Codec.PCMU: "PCMU",
    Codec.PCMA: "PCMA",
    Codec.OPUS: "opus",
}


def payload_type(codec: Codec, line: int) -> int:
    """The payload type to use for a codec on the feed's `line`-th line."""
    return PAYLOAD_TYPES.get(codec, FIRST_DYNAMIC_PAYLOAD_TYPE + line)


def control(line: int) -> str:
    """The control attribute of the `line`-th line, relative to the stream's URL."""
    return f"{_CONTROL}{line + 1}"


def line_of(control: str) -> int | None:
    """The line that the last part of a URL means, from 0; None when it means none."""
    number = control.removeprefix(_CONTROL)
    if number == control or not (number.isascii() and number.isdigit() and len(number) <= 3):
        return None
    return int(number) - 1 if int(number) else None


def describe(
    lines: Sequence[FeedLine],
    name: str = "vms",
    extra: Callable[[FeedLine], Iterable[Attribute]] = lambda line: (),
) -> str:
    """The description of a live stream of `lines`, control URLs relative.

    extra: further attributes of a line.
    """
    session = SessionDescription(origin="- 1 1 IN IP4 127.0.0.1", name=name, connection="IN IP4 0.0.0.0")
    session.add("control", "*")
    session.add("range", "npt=now-")
    for index, line in enumerate(lines):
        track = line.track
        number = str(line.payload_type)
        media = MediaDescription(track.kind.value, 0, "RTP/AVP", [number])
        media.add("rtpmap", f"{number} {_encoding(track)}")
        parameters = _format_parameters(track)
        if parameters:
            media.add("fmtp", f"{number} {parameters}")
        media.add("control", control(index))
        media.attributes += extra(line)
        session.media.append(media)
    return str(session)


def _encoding(track: Track) -> str:
    if track.codec is Codec.OPUS:
        return "opus/48000/2"  # always, whatever the channels (RFC 7587 §7)
    encoding = f"{_ENCODING_NAMES[track.codec]}/{track.clock_rate}"
    return f"{encoding}/{track.channels}" if track.channels > 1 or track.codec is Codec.AAC else encoding


def _format_parameters(track: Track) -> str:
    sets = track.parameter_sets
    match track.codec:
        case Codec.H264:
            if not sets:  # they come in band
                return "packetization-mode=1"
            sprop = ",".join(_base64(nal) for nal in sets)
            return f"packetization-mode=1;profile-level-id={sets[0][1:4].hex()};sprop-parameter-sets={sprop}"
        case Codec.H265:
            names = {h265.VPS: "sprop-vps", h265.SPS: "sprop-sps", h265.PPS: "sprop-pps"}
            grouped = {
                name: ",".join(_base64(nal) for nal in sets if h265.nal_type(nal) == kind)
                for kind, name in names.items()
            }
            return ";".join(f"{name}={value}" for name, value in grouped.items() if value)
        case Codec.AAC:
            return (
                "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
                f"config={sets[0].hex()}"
            )
        case Codec.OPUS:
            return f"sprop-stereo={int(track.channels == 2)}"
        case _:
            return ""


def _base64(nal: bytes) -> str:
    return b64encode(nal).decode()
