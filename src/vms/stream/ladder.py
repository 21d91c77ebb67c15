"""Which ways to watch a camera there are for a viewer, best first, each with why it is not one. Pure.

WebRTC as the stream is comes first: nothing is sooner. Then the same over WebSocket, which knows B-frames and
H.265. Then what we transcode, which costs a core. HLS, RTSP and SRT are for players, not for our tiles.

Belongs here: the order, and what stands against each. Does not: addresses and tokens (vms.app), which stream suits
a tile (selection).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vms.common.stream_name import StreamName
from vms.media import Codec, MediaKind, Track
from vms.stream.viewability import viewability_of
from vms.stream.websocket.messages import PLAYABLE, mime_type

USUAL_SUPPORT = frozenset({"h264", "aac", "opus"})
"""What a browser that says nothing is taken to play by Media Source Extensions."""
NO_TRANSCODER = "no_transcoder"
NOT_LIVE = "not_live"
UNSUPPORTED = "unsupported"
NOTHING_CAME = "nothing has come from the camera yet"


class LiveProtocol(StrEnum):
    WEBRTC = "webrtc"
    WEBSOCKET = "websocket"
    HLS = "hls"
    RTSP = "rtsp"
    SRT = "srt"
    WEBTRANSPORT = "webtransport"


@dataclass(frozen=True, slots=True)
class Offered:
    """A stream as it is known. tracks: empty while nothing has come. reorders: B-frames were seen."""

    tracks: Sequence[Track] = ()
    reorders: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One way to watch. reason: for programs, None when playable. detail: for a person.

    mime_type: for Media Source Extensions. transcoded: not as the camera made it.
    """

    protocol: LiveProtocol
    stream: StreamName
    playable: bool
    reason: str | None = None
    detail: str = ""
    mime_type: str | None = None
    transcoded: bool = False


def ladder(
    offered: Mapping[StreamName, Offered],
    preferred: StreamName,
    supports: Collection[str] = USUAL_SUPPORT,
    *,
    transcodes: bool = False,
    webtransport: bool = False,
    srt: bool = False,
) -> list[Option]:
    """The options, best first. preferred: the stream that suits the viewer; a camera's other one comes after it.

    supports: codecs that the viewer plays by Media Source Extensions. transcodes: whether a compat stream can be had.
    webtransport: whether it is served; it is experimental, so it is last, and for those who ask for it.
    srt: whether callers are served.
    """
    streams = [preferred, *(each for each in (StreamName.MAIN, StreamName.SUB) if each is not preferred)]
    known = [(stream, offered[stream]) for stream in streams if stream in offered]
    found: list[Option] = []
    for stream, each in known:
        found.append(_webrtc(stream, each))
        found.append(_websocket(stream, each, supports))
    found.append(_compat(transcodes, offered.get(StreamName.MAIN, Offered())))
    found += [_player(LiveProtocol.HLS, stream, each) for stream, each in known]
    found.append(_player(LiveProtocol.RTSP, StreamName.MAIN, offered.get(StreamName.MAIN, Offered())))
    if srt:
        found += [_player(LiveProtocol.SRT, stream, each) for stream, each in known]
    if webtransport:
        found += [_webtransport(stream, each, supports) for stream, each in known]
    return found


def _webrtc(stream: StreamName, offered: Offered) -> Option:
    if stream is StreamName.SUB and not offered.tracks:
        return Option(LiveProtocol.WEBRTC, stream, True, detail="known once it is watched")
    found = viewability_of(offered.tracks, offered.reorders)
    reason = found.reason.value if found.reason is not None else None
    return Option(LiveProtocol.WEBRTC, stream, found.playable, reason, found.detail)


def _websocket(stream: StreamName, offered: Offered, supports: Collection[str]) -> Option:
    def no(reason: str, detail: str) -> Option:
        return Option(LiveProtocol.WEBSOCKET, stream, False, reason, detail)

    if not offered.tracks:
        return no(NOT_LIVE, NOTHING_CAME)
    video = next((track for track in offered.tracks if track.kind is MediaKind.VIDEO), None)
    if video is None:
        return no("codec", "the camera sends no video")
    if video.codec.value not in supports:
        name = video.codec.value.upper().replace("H26", "H.26")
        return no(UNSUPPORTED, f"this viewer does not play {name} by Media Source Extensions")
    audio = next((track for track in offered.tracks if track.kind is MediaKind.AUDIO), None)
    detail = ""
    if audio is not None and (audio.codec not in PLAYABLE or audio.codec.value not in supports):
        detail = f"without sound: browsers do not play {_sound_name(audio.codec)} in MP4"
    return Option(LiveProtocol.WEBSOCKET, stream, True, detail=detail, mime_type=mime_type(video))


def _webtransport(stream: StreamName, offered: Offered, supports: Collection[str]) -> Option:
    """As over WebSocket: who plays a codec by Media Source Extensions decodes it by WebCodecs too."""
    found = _websocket(stream, offered, supports)
    detail = f"experimental; {found.detail}" if not found.playable else "experimental"
    return Option(LiveProtocol.WEBTRANSPORT, stream, found.playable, found.reason, detail)


def _compat(transcodes: bool, main: Offered) -> Option:
    reason, detail = None, ""
    if not transcodes:
        reason, detail = NO_TRANSCODER, "no process of this system transcodes"
    elif not main.tracks:
        reason, detail = NOT_LIVE, NOTHING_CAME
    playable = reason is None
    return Option(LiveProtocol.WEBRTC, StreamName.COMPAT, playable, reason, detail, transcoded=True)


def _player(protocol: LiveProtocol, stream: StreamName, offered: Offered) -> Option:
    if offered.tracks or stream is StreamName.SUB:  # a sub stream is pulled once it is asked for
        return Option(protocol, stream, True)
    return Option(protocol, stream, False, NOT_LIVE, NOTHING_CAME)


def _sound_name(codec: Codec) -> str:
    return {Codec.PCMU: "G.711 µ-law", Codec.PCMA: "G.711 A-law"}.get(codec, codec.value.upper())
