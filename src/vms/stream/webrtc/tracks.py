"""Which tracks of a stream a viewer gets, and how: from its offer and what the egress sends.

Belongs here: the match of the two. Does not: SDP itself (vms.wire.webrtc.negotiation), sessions
(vms.stream.webrtc.service).
"""

from dataclasses import replace

from vms.media import Codec, MediaKind
from vms.stream.errors import OfferInvalid
from vms.stream.webrtc.egress import Egress
from vms.stream.webrtc.viewer import ViewerMedia
from vms.wire.webrtc.frame import HeaderFormat
from vms.wire.webrtc.negotiation import ABS_CAPTURE_TIME, PLAYOUT_DELAY, Outgoing, RemoteOffer, SendFormat

AUDIO_ENCODINGS = {Codec.OPUS: ("opus", 2), Codec.PCMU: ("PCMU", 1), Codec.PCMA: ("PCMA", 1)}
"""SDP names and channels; Opus is always announced with 2, whatever it carries (RFC 7587 §4.1)."""


def negotiate(offer: RemoteOffer, egress: Egress) -> tuple[ViewerMedia, list[Outgoing]]:
    """What of a stream goes where in an offer. Raises OfferInvalid when the video goes nowhere."""
    track = egress.prepare(MediaKind.VIDEO)
    assert track is not None, "a stream without H.264 is not viewable"
    profile = track.parameter_sets[0][1:2].hex() if track.parameter_sets else "42"
    video = offer.h264(profile)
    if video is None:
        raise OfferInvalid(
            "the SDP offer receives no H.264 video with packetization-mode=1; "
            "add a transceiver for video with direction recvonly"
        )
    media = ViewerMedia(_header_format(video, egress.video_ssrc), track.clock_rate, egress.cname)
    if video.rtx_payload_type is not None:
        rtx = media.video._replace(ssrc=egress.rtx_ssrc, payload_type=video.rtx_payload_type)
        media = replace(media, rtx=rtx)
    outgoing = [Outgoing(video, egress.video_ssrc, egress.rtx_ssrc)]
    track = egress.prepare(MediaKind.AUDIO)
    if track is not None and track.codec in AUDIO_ENCODINGS:
        encoding, channels = AUDIO_ENCODINGS[track.codec]
        audio = offer.audio(encoding, track.clock_rate, channels)
        if audio is not None:
            header_format = _header_format(audio, egress.audio_ssrc)
            media = replace(
                media, audio=header_format, audio_clock_rate=track.clock_rate, audio_codec=track.codec
            )
            outgoing.append(Outgoing(audio, egress.audio_ssrc))
    return media, outgoing


def _header_format(send: SendFormat, ssrc: int) -> HeaderFormat:
    return HeaderFormat(
        ssrc,
        send.payload_type,
        playout_delay=send.extensions.get(PLAYOUT_DELAY),
        abs_capture_time=send.extensions.get(ABS_CAPTURE_TIME),
    )


def has_sound_of(egress: Egress, media: ViewerMedia) -> bool:
    """Whether an egress has the sound that a viewer negotiated; it packs it from now on."""
    track = egress.hub.track(MediaKind.AUDIO)
    if track is None or (track.codec, track.clock_rate) != (media.audio_codec, media.audio_clock_rate):
        return False
    return egress.prepare(MediaKind.AUDIO) is not None
