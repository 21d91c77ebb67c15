"""SDP offers of viewers, and our answers (RFC 8829, RFC 8839, RFC 8842, RFC 6184 §8.2.2).

Belongs here: what an offer allows us to send, and the text of the answer. Does not: whether a stream
can be watched (vms.stream), the general form of SDP (vms.wire.sdp).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from vms.wire.errors import ProtocolError
from vms.wire.sdp import MediaDescription, SessionDescription
from vms.wire.webrtc.addresses import Address
from vms.wire.webrtc.dtls import FINGERPRINT_HASHES, Fingerprint

PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
ABS_CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
EXTENSIONS = (PLAYOUT_DELAY, ABS_CAPTURE_TIME)
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "rrtr")  # what we act on, of what a viewer may offer
RECEIVER_RTT = "rcvr-rtt=all"  # RFC 3611 §5.1
MAX_SECTIONS = 16
HOST_PREFERENCE = 126  # RFC 8445 §5.1.2.2
HOST_TCP_PREFERENCE = 90  # below every UDP candidate (RFC 6544 §4.2)
TCP_PASSIVE = 4  # the direction preference of passive host candidates (RFC 6544 §4.2)
_ICE_TEXT = re.compile(r"[A-Za-z0-9+/]+")
_FINGERPRINT = re.compile(r"([A-Za-z0-9-]+)[ \t]+([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})+)")
_EXTENSION_ID = re.compile("[1-9]|1[0-4]")  # those of the one-byte form (RFC 8285 §4.2)
_MID = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,64}")  # RFC 4566 token

# Profiles in the order in which they are tried when the stream's own is not offered. Decoders take any
# 8-bit 4:2:0 stream whatever they negotiated; 4:4:4 comes last because some take only that under it.
_PROFILE_LADDER = ("64", "4d", "42", "58", "f4")


class NegotiationError(ProtocolError):
    """An SDP offer that breaks its rules, or that this server cannot answer; the text says which line."""


@dataclass(frozen=True, slots=True)
class SendFormat:
    """How one track is sent in one section of the offer.

    parameters: the answer's a=fmtp value, "" for none. feedback, extensions: those of ours that the
    viewer offered. reduced_size: whether it offered RTCP of reduced size (RFC 5506).
    receiver_rtt: whether it offered reference times (RFC 3611 §5.1), which we answer with DLRR.
    rtx_payload_type: that of retransmissions (RFC 4588), None when the viewer offered none.
    """

    mid: str
    payload_type: int
    encoding: str
    parameters: str = ""
    feedback: tuple[str, ...] = ()
    extensions: Mapping[str, int] = field(default_factory=dict)
    reduced_size: bool = False
    receiver_rtt: bool = False
    rtx_payload_type: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One track in the answer. rtx_ssrc: that of its retransmissions, where the format has a payload type for them."""

    format: SendFormat
    ssrc: int
    rtx_ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our side of the connection, as the answer says it.

    candidates: addresses, best first, and the UDP port. tcp_candidates: likewise, for ICE over TCP.
    """

    ice_ufrag: str
    ice_pwd: str = field(repr=False)
    fingerprint: Fingerprint
    candidates: Sequence[tuple[Address, int]]
    cname: str
    tcp_candidates: Sequence[tuple[Address, int]] = ()


@dataclass(frozen=True, slots=True)
class RemoteOffer:
    """An offer whose transport part is complete and checked."""

    ice_ufrag: str
    fingerprints: tuple[Fingerprint, ...]
    sections: tuple[MediaDescription, ...]
    bundle: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NegotiationError (or its base, ProtocolError, for text that is no SDP)."""
        session = SessionDescription.parse(text)
        if not 0 < len(session.media) <= MAX_SECTIONS:
            raise NegotiationError(
                f"the offer has {len(session.media)} media sections; 1 to {MAX_SECTIONS} work"
            )
        bundle = _bundle(session)
        first = _transport_section(session, bundle)
        ufrag = _either(first, session, "ice-ufrag")
        pwd = _either(first, session, "ice-pwd")
        check_credentials(ufrag, pwd)
        if _either(first, session, "setup") not in ("actpass", "active"):
            raise NegotiationError("a=setup must be actpass or active: this server waits for DTLS to begin")
        if not first.has("rtcp-mux"):
            raise NegotiationError("a=rtcp-mux is missing: RTP and RTCP share one port here")
        return cls(ufrag, _fingerprints(first, session), tuple(session.media), bundle)

    @property
    def transport(self) -> tuple[str, str]:
        """Kind and a=mid ("" without one) of the section that carries the transport."""
        mid = self.bundle[0] if self.bundle else self.sections[0].attribute("mid")
        section = next((each for each in self.sections if each.attribute("mid") == mid), self.sections[0])
        return section.kind, mid or ""

    def h264(self, profile: str) -> SendFormat | None:
        """Where an H.264 stream can go; None when the offer receives none in packetization-mode 1.

        profile: profile_idc in two hexadecimal digits. Profiles are matched leniently, because browsers
        offer fewer than they decode: the stream's own first, then any.
        """
        for section in self._receiving("video"):
            found: dict[str, tuple[int, str]] = {}
            for payload_type in section.payload_types:
                rtpmap = section.rtpmap(payload_type)
                if rtpmap is None or rtpmap.encoding_name.upper() != "H264" or rtpmap.clock_rate != 90_000:
                    continue
                parameters = section.fmtp(payload_type)
                offered = parameters.get("profile-level-id", "42000a").lower()
                if parameters.get("packetization-mode") == "1" and re.fullmatch("[0-9a-f]{6}", offered):
                    found.setdefault(offered[:2], (payload_type, offered))
            for candidate in (profile.lower(), *_PROFILE_LADDER):
                if candidate in found:
                    payload_type, offered = found[candidate]
                    answer = f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={offered}"
                    send = _send_format(section, payload_type, "H264/90000", answer)
                    return replace(send, rtx_payload_type=_rtx(section, send))
        return None

    def audio(self, encoding: str, clock_rate: int, channels: int) -> SendFormat | None:
        """Where audio can go that needs no conversion: Opus (48,000 Hz, 2 channels), PCMU, PCMA."""
        for section in self._receiving("audio"):
            for payload_type in section.payload_types:
                rtpmap = section.rtpmap(payload_type)
                if rtpmap is None or (rtpmap.encoding_name.upper(), rtpmap.clock_rate, rtpmap.channels) != (
                    encoding.upper(),
                    clock_rate,
                    channels,
                ):
                    continue
                name = f"{rtpmap.encoding_name}/{clock_rate}" + (f"/{channels}" if channels > 1 else "")
                return _send_format(section, payload_type, name, "")
        return None

    def _receiving(self, kind: str) -> list[MediaDescription]:
        """Sections that want media from us over the one transport."""
        return [
            section
            for section in self.sections
            if section.kind == kind
            and section.protocol.upper() == "UDP/TLS/RTP/SAVPF"
            and not section.has("sendonly")
            and not section.has("inactive")
            and section.has("rtcp-mux")
            and (section.attribute("mid") in self.bundle if self.bundle else section is self.sections[0])
        ]


def write_answer(offer: RemoteOffer, local: LocalTransport, outgoing: Sequence[Outgoing]) -> str:
    """The SDP answer: ICE-lite, DTLS passive, `outgoing` sent only, every other section refused."""
    by_mid = {out.format.mid: out for out in outgoing}
    answer = SessionDescription(origin="- 1 1 IN IP4 127.0.0.1")
    answer.add("ice-lite")
    mids = [section.attribute("mid") or "" for section in offer.sections]
    accepted = [mid for mid in mids if mid in by_mid]
    if offer.bundle:
        answer.add("group", " ".join(("BUNDLE", *accepted)))
    answer.add("msid-semantic", f"WMS {local.cname}")
    for section, mid in zip(offer.sections, mids, strict=True):
        out = by_mid.get(mid)
        if out is None:
            refused = MediaDescription(section.kind, 0, section.protocol, section.formats[:1] or ["0"])
            refused.connection = "IN IP4 0.0.0.0"
            refused.add("inactive")
            if mid:
                refused.add("mid", mid)
            answer.media.append(refused)
        else:
            answer.media.append(_accepted(section.kind, out, local))
    return str(answer)


def accepted_section(kind: str, formats: Sequence[str], mid: str, local: LocalTransport) -> MediaDescription:
    """A section of an answer that says how we are reached, whichever way media goes in it."""
    media = MediaDescription(kind, 9, "UDP/TLS/RTP/SAVPF", list(formats))
    media.connection = "IN IP4 0.0.0.0"
    if mid:
        media.add("mid", mid)
    media.add("ice-ufrag", local.ice_ufrag)
    media.add("ice-pwd", local.ice_pwd)
    media.add("fingerprint", str(local.fingerprint))
    media.add("setup", "passive")
    media.add("rtcp-mux")
    return media


def _accepted(kind: str, out: Outgoing, local: LocalTransport) -> MediaDescription:
    send = out.format
    rtx = send.rtx_payload_type if out.rtx_ssrc is not None else None
    formats = [str(number) for number in (send.payload_type, rtx) if number is not None]
    media = accepted_section(kind, formats, send.mid, local)
    media.add("sendonly")
    media.add("msid", f"{local.cname} {kind}")
    if send.reduced_size:
        media.add("rtcp-rsize")
    if send.receiver_rtt:
        media.add("rtcp-xr", RECEIVER_RTT)
    for uri, identifier in send.extensions.items():
        media.add("extmap", f"{identifier} {uri}")
    media.add("rtpmap", f"{send.payload_type} {send.encoding}")
    if send.parameters:
        media.add("fmtp", f"{send.payload_type} {send.parameters}")
    for feedback in send.feedback:
        media.add("rtcp-fb", f"{send.payload_type} {feedback}")
    if rtx is not None:
        media.add("rtpmap", f"{rtx} rtx/90000")
        media.add("fmtp", f"{rtx} apt={send.payload_type}")
        media.add("ssrc-group", f"FID {out.ssrc} {out.rtx_ssrc}")
    media.add("ssrc", f"{out.ssrc} cname:{local.cname}")
    if rtx is not None:
        media.add("ssrc", f"{out.rtx_ssrc} cname:{local.cname}")
    for candidate in candidate_lines(local):
        media.add("candidate", candidate)
    media.add("end-of-candidates")
    return media


def write_restart(kind: str, mid: str, local: LocalTransport) -> str:
    """Our side of an ICE restart as an SDP fragment (RFC 8840 §4.4): credentials and candidates.

    kind, mid: of the section that carries the transport (`RemoteOffer.transport`).
    """
    lines = ["a=ice-lite", f"m={kind} 9 UDP/TLS/RTP/SAVPF 0"]
    if mid:
        lines.append(f"a=mid:{mid}")
    lines += [f"a=ice-ufrag:{local.ice_ufrag}", f"a=ice-pwd:{local.ice_pwd}"]
    lines += [f"a=candidate:{candidate}" for candidate in candidate_lines(local)]
    return "\r\n".join([*lines, "a=end-of-candidates", ""])


def check_credentials(ufrag: str, pwd: str) -> None:
    """Raises NegotiationError unless they can be ICE credentials (RFC 8839 §5.4)."""
    if not (4 <= len(ufrag) <= 256 and _ICE_TEXT.fullmatch(ufrag)):
        raise NegotiationError("a=ice-ufrag must have 4 to 256 letters, digits, + and /")
    if not (22 <= len(pwd) <= 256 and _ICE_TEXT.fullmatch(pwd)):
        raise NegotiationError("a=ice-pwd must have 22 to 256 letters, digits, + and /")


def candidate_lines(local: LocalTransport) -> list[str]:
    """The values of a=candidate: UDP, best first, then TCP, to which we listen and never connect."""
    lines: list[str] = []
    for at, (address, port) in enumerate(local.candidates):
        priority = HOST_PREFERENCE << 24 | (65535 - at) << 8 | 255
        lines.append(f"{at + 1} 1 udp {priority} {address} {port} typ host")
    first = len(lines) + 1
    for at, (address, port) in enumerate(local.tcp_candidates):
        preference = TCP_PASSIVE << 13 | 8191 - at
        priority = HOST_TCP_PREFERENCE << 24 | preference << 8 | 255
        lines.append(f"{first + at} 1 tcp {priority} {address} {port} typ host tcptype passive")
    return lines


def _send_format(section: MediaDescription, payload_type: int, encoding: str, parameters: str) -> SendFormat:
    offered = section.values("rtcp-fb")
    feedback = tuple(
        kind for kind in FEEDBACK if f"{payload_type} {kind}" in offered or f"* {kind}" in offered
    )
    extensions: dict[str, int] = {}
    for value in section.values("extmap"):
        identifier, _, uri = value.partition(" ")
        identifier = identifier.partition("/")[0]
        uri = uri.split(" ")[0]
        if uri in EXTENSIONS and _EXTENSION_ID.fullmatch(identifier):
            extensions.setdefault(uri, int(identifier))
    mid = section.attribute("mid") or ""
    return SendFormat(
        mid,
        payload_type,
        encoding,
        parameters,
        feedback,
        extensions,
        reduced_size=section.has("rtcp-rsize"),
        receiver_rtt=any(RECEIVER_RTT in value.split() for value in section.values("rtcp-xr")),
    )


def _rtx(section: MediaDescription, send: SendFormat) -> int | None:
    """The payload type for retransmissions of a format (RFC 4588 §8.6); None where losses are not reported."""
    if "nack" not in send.feedback:
        return None
    for payload_type in section.payload_types:
        rtpmap = section.rtpmap(payload_type)
        if (
            rtpmap is not None
            and rtpmap.encoding_name.lower() == "rtx"
            and rtpmap.clock_rate == 90_000
            and section.fmtp(payload_type).get("apt") == str(send.payload_type)
        ):
            return payload_type
    return None


def _bundle(session: SessionDescription) -> tuple[str, ...]:
    """The identification tags of the first BUNDLE group (RFC 9143)."""
    mids = [section.attribute("mid") for section in session.media]
    if any(mid is not None and not _MID.fullmatch(mid) for mid in mids):
        raise NegotiationError("a=mid must be a token of at most 64 characters")
    if len(set(mids)) != len(mids):
        raise NegotiationError("every media section needs an a=mid of its own")
    for value in session.values("group"):
        words = value.split()
        if words[:1] == ["BUNDLE"]:
            return tuple(words[1:])
    return ()


def _transport_section(session: SessionDescription, bundle: tuple[str, ...]) -> MediaDescription:
    """The section that carries the transport: the first of the BUNDLE group, else the first of all."""
    for section in session.media:
        if bundle and section.attribute("mid") == bundle[0]:
            return section
    if bundle:
        raise NegotiationError(f"a=group:BUNDLE names the section {bundle[0][:64]!r}, which is not there")
    return session.media[0]


def _either(section: MediaDescription, session: SessionDescription, name: str) -> str:
    value = section.attribute(name)
    if value is None:
        value = session.attribute(name)
    if value is None:
        raise NegotiationError(f"a={name} is missing in the offer")
    return value


def _fingerprints(section: MediaDescription, session: SessionDescription) -> tuple[Fingerprint, ...]:
    found: list[Fingerprint] = []
    for value in section.values("fingerprint") or session.values("fingerprint"):
        match = _FINGERPRINT.fullmatch(value)
        if match and match[1].lower() in FINGERPRINT_HASHES:
            found.append(Fingerprint(match[1].lower(), match[2].upper()))
    if not found:
        raise NegotiationError(f"a=fingerprint is missing; {', '.join(FINGERPRINT_HASHES)} are accepted")
    return tuple(found[:8])
