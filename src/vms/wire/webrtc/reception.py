"""SDP offers of publishers, and our answers (RFC 9725 §4.2, RFC 8829, RFC 6184 §8.2.2, RFC 4588 §8).

Belongs here: which of the offered formats we take, and the text of the answer. Does not: what is common to all
offers (vms.wire.webrtc.negotiation), receiving (vms.wire.webrtc.receiver).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vms.media import Codec
from vms.wire.sdp import MediaDescription, SessionDescription
from vms.wire.webrtc.negotiation import (
    LocalTransport,
    NegotiationError,
    RemoteOffer,
    accepted_section,
    candidate_lines,
)

FEEDBACK = ("nack", "nack pli", "goog-remb")  # what we send, of what a publisher may offer
PROFILES = ("42e0", "4d", "64", "42")
"""H.264 profiles, those first that every player decodes: constrained baseline, main, high, baseline."""
LEVEL = "34"  # 5.2: 4K at 60 pictures a second; a level in an answer is what we can receive (RFC 6184 §8.2.2)
_AUDIO = {("OPUS", 48_000): Codec.OPUS, ("PCMU", 8000): Codec.PCMU, ("PCMA", 8000): Codec.PCMA}


@dataclass(frozen=True, slots=True)
class Incoming:
    """How one track is received.

    rtpmap, parameters: the answer's, parameters "" for none. channels: of sound.
    rtx_payload_type: of repairs (RFC 4588), None when the publisher repairs with the packets themselves.
    feedback: those of ours that the publisher offered.
    """

    mid: str
    codec: Codec
    payload_type: int
    clock_rate: int
    rtpmap: str
    parameters: str = ""
    channels: int = 0
    rtx_payload_type: int | None = None
    feedback: tuple[str, ...] = ()
    reduced_size: bool = False


def choose_incoming(offer: RemoteOffer) -> list[Incoming]:
    """What we take of an offer: one video, H.264 before H.265, and one sound at most.

    Raises NegotiationError when there is no video that we take.
    """
    video = next((found for section in _sending(offer, "video") if (found := _video(section))), None)
    if video is None:
        raise NegotiationError(
            "the offer sends no H.264 (packetization-mode=1) or H.265 video; set the encoder to H.264"
        )
    audio = next((found for section in _sending(offer, "audio") if (found := _audio(section))), None)
    return [video] if audio is None else [video, audio]


def write_reception_answer(offer: RemoteOffer, local: LocalTransport, incoming: Sequence[Incoming]) -> str:
    """The SDP answer: ICE-lite, DTLS passive, `incoming` received only, every other section refused."""
    by_mid = {each.mid: each for each in incoming}
    answer = SessionDescription(origin="- 1 1 IN IP4 127.0.0.1")
    answer.add("ice-lite")
    mids = [section.attribute("mid") or "" for section in offer.sections]
    if offer.bundle:
        answer.add("group", " ".join(("BUNDLE", *(mid for mid in mids if mid in by_mid))))
    for section, mid in zip(offer.sections, mids, strict=True):
        taken = by_mid.get(mid)
        if taken is None:
            media = MediaDescription(section.kind, 0, section.protocol, section.formats[:1] or ["0"])
            media.connection = "IN IP4 0.0.0.0"
            media.add("inactive")
            if mid:
                media.add("mid", mid)
        else:
            media = _accepted(section.kind, taken, local)
        answer.media.append(media)
    return str(answer)


def _accepted(kind: str, taken: Incoming, local: LocalTransport) -> MediaDescription:
    formats = [taken.payload_type]
    if taken.rtx_payload_type is not None:
        formats.append(taken.rtx_payload_type)
    media = accepted_section(kind, [str(number) for number in formats], taken.mid, local)
    media.add("recvonly")
    if taken.reduced_size:
        media.add("rtcp-rsize")
    media.add("rtpmap", f"{taken.payload_type} {taken.rtpmap}")
    if taken.parameters:
        media.add("fmtp", f"{taken.payload_type} {taken.parameters}")
    for feedback in taken.feedback:
        media.add("rtcp-fb", f"{taken.payload_type} {feedback}")
    if taken.rtx_payload_type is not None:
        media.add("rtpmap", f"{taken.rtx_payload_type} rtx/{taken.clock_rate}")
        media.add("fmtp", f"{taken.rtx_payload_type} apt={taken.payload_type}")
    for candidate in candidate_lines(local):
        media.add("candidate", candidate)
    media.add("end-of-candidates")
    return media


def _sending(offer: RemoteOffer, kind: str) -> list[MediaDescription]:
    """Sections that send to us over the one transport."""
    return [
        section
        for section in offer.sections
        if section.kind == kind
        and section.protocol.upper() in ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP")
        and not section.has("recvonly")
        and not section.has("inactive")
        and (section.attribute("mid") in offer.bundle if offer.bundle else section is offer.sections[0])
    ]


def _video(section: MediaDescription) -> Incoming | None:
    found: dict[str, tuple[int, str]] = {}
    h265: int | None = None
    for payload_type in section.payload_types:
        rtpmap = section.rtpmap(payload_type)
        if rtpmap is None or rtpmap.clock_rate != 90_000:
            continue
        name, parameters = rtpmap.encoding_name.upper(), section.fmtp(payload_type)
        if name == "H265" and h265 is None:
            h265 = payload_type
        if name != "H264" or parameters.get("packetization-mode", "1") != "1":
            continue  # a publisher that names no mode would be in mode 0, and sends FU-A all the same
        level_id = parameters.get("profile-level-id", "42e01f").lower()
        asymmetric = parameters.get("level-asymmetry-allowed") == "1"
        for profile in PROFILES:
            if level_id.startswith(profile):
                found.setdefault(profile, (payload_type, level_id[:4] + LEVEL if asymmetric else level_id))
                break
    for profile in PROFILES:
        if profile in found:
            payload_type, level_id = found[profile]
            answer = f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={level_id}"
            return _incoming(section, Codec.H264, payload_type, answer)
    return None if h265 is None else _incoming(section, Codec.H265, h265, "")


def _audio(section: MediaDescription) -> Incoming | None:
    for payload_type in section.payload_types:
        rtpmap = section.rtpmap(payload_type)
        if rtpmap is None:
            continue
        codec = _AUDIO.get((rtpmap.encoding_name.upper(), rtpmap.clock_rate))
        if codec is not None:
            return _incoming(
                section, codec, payload_type, "stereo=1;useinbandfec=1" if codec is Codec.OPUS else ""
            )
    return None


def _incoming(section: MediaDescription, codec: Codec, payload_type: int, parameters: str) -> Incoming:
    rtpmap = section.rtpmap(payload_type)
    assert rtpmap is not None
    offered = section.values("rtcp-fb")
    feedback = tuple(
        kind for kind in FEEDBACK if f"{payload_type} {kind}" in offered or f"* {kind}" in offered
    )
    channels = rtpmap.channels or 1
    name = f"{rtpmap.encoding_name}/{rtpmap.clock_rate}" + (f"/{channels}" if channels > 1 else "")
    repairs = (
        other
        for other in section.payload_types
        if (repair := section.rtpmap(other)) is not None
        and repair.encoding_name.lower() == "rtx"
        and section.fmtp(other).get("apt") == str(payload_type)
    )
    return Incoming(
        section.attribute("mid") or "",
        codec,
        payload_type,
        rtpmap.clock_rate,
        name,
        parameters,
        channels,
        rtx_payload_type=next(repairs, None) if "nack" in feedback else None,
        feedback=feedback,
        reduced_size=section.has("rtcp-rsize"),
    )
