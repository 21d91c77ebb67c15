"""The lines that a session description offers, as far as we can receive them.

Belongs here: codecs by RTP name, parameter sets out of format parameters (RFC 6184 §8.1, RFC 7798 §7.1,
RFC 3640 §4.1), control URLs (RFC 2326 §C.1.1). Does not: SETUP, packets.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from vms.media import Codec, MediaKind
from vms.wire.depayload.aac import AacFormat
from vms.wire.errors import UnsupportedMedia
from vms.wire.rtsp.message import Headers
from vms.wire.sdp import MediaDescription, SessionDescription

_KINDS = {"video": MediaKind.VIDEO, "audio": MediaKind.AUDIO}
_CODECS = {
    "H264": Codec.H264,
    "H265": Codec.H265,
    "HEVC": Codec.H265,
    "MPEG4-GENERIC": Codec.AAC,
    "PCMU": Codec.PCMU,
    "PCMA": Codec.PCMA,
    "OPUS": Codec.OPUS,
}
_MAX_PARAMETER_SETS = 64


@dataclass(frozen=True, slots=True)
class MediaLine:
    """One video or audio line of a session.

    index: position among the description's media sections. codec: None when we cannot receive it;
    `unsupported` then says why. encoding_name: as in a=rtpmap. control: the URL for SETUP.
    parameter_sets: as Track has them. format_parameters: a=fmtp, names in lower case.
    description: the media section itself, for attributes that only some receivers know.
    """

    index: int
    kind: MediaKind
    codec: Codec | None
    encoding_name: str
    payload_type: int
    clock_rate: int
    channels: int
    control: str
    parameter_sets: tuple[bytes, ...] = ()
    format_parameters: Mapping[str, str] = field(default_factory=dict)
    unsupported: str = ""
    description: MediaDescription | None = field(default=None, repr=False, compare=False)


def media_lines(session: SessionDescription, base_url: str) -> tuple[MediaLine, ...]:
    """The video and audio lines of a description; sections of other kinds are left out."""
    return tuple(
        _media_line(index, _KINDS[media.kind], media, base_url)
        for index, media in enumerate(session.media)
        if media.kind in _KINDS
    )


def base_url(headers: Headers, request_url: str) -> str:
    """What relative control URLs are relative to (RFC 2326 §C.1.1)."""
    for name in ("Content-Base", "Content-Location"):
        url = (headers.get(name) or "").strip()
        if url.lower().startswith(("rtsp://", "rtsps://")):
            return url
    return request_url


def control_url(control: str | None, base: str) -> str:
    """The URL of a control attribute.

    A relative one is appended to the base, behind its query if it has one. RFC 1808's rules would replace
    the base's last segment; cameras and players all append, and cameras expect it.
    """
    control = (control or "").strip()
    if not control or control == "*":
        return base
    if control.lower().startswith(("rtsp://", "rtsps://", "rtspu://")):
        return control
    if control.startswith("/"):
        parts = urlsplit(base)
        if control.startswith(parts.path.rstrip("/") + "/") and parts.path.strip("/"):
            return f"{parts.scheme}://{parts.netloc}{control}"
        return base.rstrip("/") + control
    if control.startswith("?"):
        return base + control
    return f"{base}{control}" if base.endswith("/") else f"{base}/{control}"


def _media_line(index: int, kind: MediaKind, media: MediaDescription, base: str) -> MediaLine:
    payload_type, rtpmap = -1, None
    for payload_type in media.payload_types:
        rtpmap = media.rtpmap(payload_type)
        if rtpmap is not None and rtpmap.encoding_name.upper() in _CODECS:
            break
    control = control_url(media.attribute("control"), base)
    if rtpmap is None:
        reason = f"{kind} line {index} does not say how it is encoded"
        return MediaLine(
            index, kind, None, "", payload_type, 90_000, 1, control, unsupported=reason, description=media
        )
    codec = _CODECS.get(rtpmap.encoding_name.upper())
    parameters = media.fmtp(payload_type)
    sets: tuple[bytes, ...] = ()
    reason = ""
    if codec is None or codec.kind is not kind:
        codec, reason = None, f"{rtpmap.encoding_name} is not supported"
    else:
        try:
            sets = _parameter_sets(codec, parameters, rtpmap.clock_rate)
        except UnsupportedMedia as error:
            codec, reason = None, str(error)
    return MediaLine(
        index,
        kind,
        codec,
        rtpmap.encoding_name,
        payload_type,
        rtpmap.clock_rate,
        rtpmap.channels,
        control,
        sets,
        parameters,
        reason,
        media,
    )


def _parameter_sets(codec: Codec, parameters: Mapping[str, str], clock_rate: int) -> tuple[bytes, ...]:
    if codec is Codec.AAC:
        return (AacFormat.parse(parameters, clock_rate).config,)
    if codec is Codec.H264:
        if parameters.get("packetization-mode") == "2":
            raise UnsupportedMedia("H.264 in interleaved mode (packetization-mode=2) is not supported")
        return _base64_list(parameters.get("sprop-parameter-sets", ""))
    if codec is Codec.H265:
        if parameters.get("sprop-max-don-diff", "0") not in ("0", ""):
            raise UnsupportedMedia("H.265 with decoding order numbers (sprop-max-don-diff) is not supported")
        names = ("sprop-vps", "sprop-sps", "sprop-pps")
        return tuple(nal for name in names for nal in _base64_list(parameters.get(name, "")))
    return ()


def _base64_list(text: str) -> tuple[bytes, ...]:
    """NAL units out of a comma-separated list; what is no base64 is left out, and comes in band if at all."""
    sets = []
    for part in text.strip('"').split(",")[:_MAX_PARAMETER_SETS]:
        part = part.strip()
        try:
            nal = b64decode(part + "=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue
        nal = nal.removeprefix(b"\0\0\0\1")  # some cameras put a start code there
        if nal:
            sets.append(nal)
    return tuple(sets)
