"""The RTSP headers that both sides write and read: Transport, Session, RTP-Info (RFC 2326 §12).

Belongs here: those headers as values. Does not: sockets and sessions.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

from vms.wire.errors import ProtocolError

DEFAULT_SESSION_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class TransportSpec:
    """One transport of a ``Transport`` header (RFC 2326 §12.39), unicast.

    Pairs are (RTP, RTCP). `interleaved` is set for RTP over the RTSP connection, the ports otherwise.
    source: where the server sends from, when it says so. ssrc: as the server announces it.
    """

    tcp: bool
    interleaved: tuple[int, int] | None = None
    client_port: tuple[int, int] | None = None
    server_port: tuple[int, int] | None = None
    source: str | None = None
    ssrc: int | None = None
    multicast: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """The first transport of a header value that is RTP/AVP. Raises ProtocolError."""
        for spec in text.split(","):
            profile, *parameters = (part.strip() for part in spec.split(";"))
            words = profile.upper().split("/")
            if words[:2] != ["RTP", "AVP"]:
                continue
            values = {}
            for parameter in parameters:
                name, _, value = parameter.partition("=")
                values[name.strip().lower()] = value.strip()
            return cls(
                tcp=words[2:] == ["TCP"] or "interleaved" in values,
                interleaved=_pair(values.get("interleaved"), 255),
                client_port=_pair(values.get("client_port"), 65535),
                server_port=_pair(values.get("server_port"), 65535),
                source=values.get("source") or None,
                ssrc=_ssrc(values.get("ssrc")),
                multicast="multicast" in values,
            )
        raise ProtocolError("RTSP Transport header offers no RTP/AVP transport")

    def __str__(self) -> str:
        parts = ["RTP/AVP/TCP" if self.tcp else "RTP/AVP", "multicast" if self.multicast else "unicast"]
        for name, pair in (
            ("interleaved", self.interleaved),
            ("client_port", self.client_port),
            ("server_port", self.server_port),
        ):
            if pair is not None:
                parts.append(f"{name}={pair[0]}-{pair[1]}")
        if self.source is not None:
            parts.append(f"source={self.source}")
        if self.ssrc is not None:
            parts.append(f"ssrc={self.ssrc:08X}")
        return ";".join(parts)


def parse_session(value: str) -> tuple[str, float]:
    """The id and the timeout in seconds of a ``Session`` header (RFC 2326 §12.37)."""
    session_id, *parameters = (part.strip() for part in value.split(";"))
    if not session_id:
        raise ProtocolError("RTSP Session header holds no id")
    timeout_s = DEFAULT_SESSION_TIMEOUT_S
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        digits = text.strip()
        if name.strip().lower() == "timeout" and digits.isascii() and digits.isdigit() and len(digits) < 9:
            timeout_s = int(digits) or DEFAULT_SESSION_TIMEOUT_S
    return session_id, float(timeout_s)


class RtpInfo(NamedTuple):
    """One entry of ``RTP-Info`` (RFC 2326 §12.33); what is not given is None."""

    url: str
    sequence_number: int | None
    rtp_timestamp: int | None

    def __str__(self) -> str:
        parts = [f"url={self.url}"]
        if self.sequence_number is not None:
            parts.append(f"seq={self.sequence_number}")
        if self.rtp_timestamp is not None:
            parts.append(f"rtptime={self.rtp_timestamp}")
        return ";".join(parts)


def parse_rtp_info(value: str) -> list[RtpInfo]:
    """The entries of an ``RTP-Info`` header; what cannot be read is left out."""
    entries = []
    # URLs may hold commas, so entries are split where the next url= begins.
    for chunk in value.replace("URL=", "url=").split("url=")[1:]:
        fields = chunk.strip().rstrip(",").split(";")
        url = fields[0].strip().strip('"')
        numbers: dict[str, int] = {}
        for field in fields[1:]:
            name, _, text = field.strip().rstrip(",").partition("=")
            if text.isascii() and text.isdigit() and len(text) <= 10:
                numbers[name.strip().lower()] = int(text)
            elif name.strip() and "=" not in field:
                url += ";" + field.strip()
        entries.append(RtpInfo(url, numbers.get("seq"), numbers.get("rtptime")))
    return entries


def _pair(text: str | None, highest: int) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, second = text.partition("-")
    first, second = first.strip(), second.strip()
    if not (first.isascii() and first.isdigit() and len(first) <= 5 and int(first) <= highest):
        raise ProtocolError("RTSP Transport header holds a channel or port that is no number in range")
    if not (second.isascii() and second.isdigit() and len(second) <= 5 and int(second) <= highest):
        return int(first), min(int(first) + 1, highest)
    return int(first), int(second)


def _ssrc(text: str | None) -> int | None:
    try:
        value = int(text or "", 16)
    except ValueError:
        return None
    return value if 0 <= value <= 0xFFFFFFFF else None
