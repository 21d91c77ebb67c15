"""Session descriptions (RFC 8866, RFC 4566), as cameras and browsers write them.

Parsing is lenient in form (line ends, order, blank lines, unknown lines) because cameras are, and
strict in size.

Belongs here: text ↔ sections, and the attributes that both RTSP and WebRTC read (rtpmap, fmtp).
Does not: what a codec's parameters mean (vms.wire.rtsp.media_line, vms.wire.webrtc).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from vms.wire.errors import ProtocolError

MAX_TEXT_SIZE = 128 << 10
MAX_MEDIA = 64
MAX_ATTRIBUTES = 2000
MAX_FORMATS = 128  # RTP has no more payload types (RFC 3550 §5.1)

# RFC 3551 §6, the static payload types that cameras use.
_STATIC_PAYLOAD_TYPES = {0: ("PCMU", 8000, 1), 8: ("PCMA", 8000, 1)}


class Attribute(NamedTuple):
    """One ``a=name:value`` line; `value` is None for a property such as ``a=recvonly``."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return f"a={self.name}" if self.value is None else f"a={self.name}:{self.value}"


class RtpMap(NamedTuple):
    """``a=rtpmap`` (RFC 8866 §6.6). channels: 1 where it is not given."""

    payload_type: int
    encoding_name: str
    clock_rate: int
    channels: int = 1


class _WithAttributes:
    attributes: list[Attribute]

    def attribute(self, name: str) -> str | None:
        """The first value of an attribute: None when absent, ``""`` for a property without a value."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute.value or ""
        return None

    def has(self, name: str) -> bool:
        return any(attribute.name == name for attribute in self.attributes)

    def values(self, name: str) -> list[str]:
        """All values of an attribute, in order."""
        return [attribute.value or "" for attribute in self.attributes if attribute.name == name]

    def add(self, name: str, value: str | int | None = None) -> None:
        self.attributes.append(Attribute(name, None if value is None else str(value)))


@dataclass(slots=True)
class MediaDescription(_WithAttributes):
    """One ``m=`` section (RFC 8866 §5.14). formats: payload types for RTP, as text otherwise."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    connection: str | None = None
    bandwidths: list[str] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)

    @property
    def payload_types(self) -> list[int]:
        numbers = [int(text) for text in self.formats if _is_number(text)]
        return list(dict.fromkeys(number for number in numbers if number < 128))

    def rtpmap(self, payload_type: int) -> RtpMap | None:
        """How a payload type is encoded; static types (RFC 3551 §6) need no line. None when unknown."""
        mine = f"{payload_type} "
        for value in self.values("rtpmap"):
            found = _parse_rtpmap(value) if value.startswith(mine) else None
            if found is not None and found.payload_type == payload_type:
                return found
        static = _STATIC_PAYLOAD_TYPES.get(payload_type)
        return RtpMap(payload_type, *static) if static else None

    def fmtp(self, payload_type: int) -> dict[str, str]:
        """A format's parameters (RFC 8866 §6.15), names in lower case; a bare word has the value ``""``."""
        parameters: dict[str, str] = {}
        for value in self.values("fmtp"):
            number, _, rest = value.strip().partition(" ")
            if number != str(payload_type):
                continue
            for part in rest.split(";"):
                name, _, text = part.strip().partition("=")
                if name:
                    parameters[name.strip().lower()] = text.strip()
        return parameters

    def header_extension(self, uri: str) -> int | None:
        """The local identifier that an RTP header extension was given (RFC 8285 §5); None when it was not."""
        for value in self.values("extmap"):
            words = value.split()
            number = words[0].partition("/")[0] if words else ""
            if len(words) > 1 and words[1] == uri and _is_number(number):
                return int(number)
        return None

    def _lines(self) -> Iterable[str]:
        yield f"m={self.kind} {self.port} {self.protocol} {' '.join(self.formats)}"
        if self.connection is not None:
            yield f"c={self.connection}"
        yield from (f"b={bandwidth}" for bandwidth in self.bandwidths)
        yield from map(str, self.attributes)


@dataclass(slots=True)
class SessionDescription(_WithAttributes):
    """A whole session description; `str()` writes it back with CRLF line ends."""

    origin: str = "- 0 0 IN IP4 127.0.0.1"
    name: str = "-"
    connection: str | None = None
    timing: str = "0 0"
    bandwidths: list[str] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    media: list[MediaDescription] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read a description. Raises ProtocolError when it is none, or beyond bounds."""
        if len(text) > MAX_TEXT_SIZE:
            raise ProtocolError(
                f"session description of {len(text)} bytes is longer than {MAX_TEXT_SIZE} allowed"
            )
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        session = cls()
        current: Self | MediaDescription = session
        attributes = 0
        seen = False
        for number, raw in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
            line = raw.strip(" \t\0")
            if len(line) < 2 or line[1] != "=":
                if line and not seen:
                    raise ProtocolError(f"session description line {number} is not of the form x=value")
                continue
            seen = True
            kind, value = line[0], line[2:].strip()
            if kind == "m":
                current = _parse_media(value, number)
                session.media.append(current)
                if len(session.media) > MAX_MEDIA:
                    raise ProtocolError(f"session description has more than {MAX_MEDIA} media sections")
            elif kind == "a":
                attributes += 1
                if attributes > MAX_ATTRIBUTES:
                    raise ProtocolError(f"session description has more than {MAX_ATTRIBUTES} attributes")
                name, colon, rest = value.partition(":")
                current.attributes.append(Attribute(name.strip(), rest.strip() if colon else None))
            else:
                _set_line(session, current, kind, value)
        if not seen:
            raise ProtocolError("session description is empty")
        return session

    def __str__(self) -> str:
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += [f"b={bandwidth}" for bandwidth in self.bandwidths]
        lines.append(f"t={self.timing}")
        lines += map(str, self.attributes)
        for media in self.media:
            lines += media._lines()
        return "\r\n".join(lines) + "\r\n"


def _set_line(
    session: SessionDescription, current: SessionDescription | MediaDescription, kind: str, value: str
) -> None:
    if kind == "c":
        current.connection = value
    elif kind == "b":
        if len(current.bandwidths) < 16:
            current.bandwidths.append(value)
    elif current is session:
        if kind == "o":
            session.origin = value
        elif kind == "s":
            session.name = value
        elif kind == "t":
            session.timing = value


def _parse_media(value: str, line_number: int) -> MediaDescription:
    words = value.split()
    if len(words) < 3:
        raise ProtocolError(f"session description line {line_number}: m= needs a kind, a port and a protocol")
    port = words[1].partition("/")[0]
    if not (port.isascii() and port.isdigit() and int(port[:8]) <= 65535):
        raise ProtocolError(f"session description line {line_number}: m= names no port")
    if len(words) > 3 + MAX_FORMATS:
        raise ProtocolError(f"session description line {line_number}: m= has more than {MAX_FORMATS} formats")
    return MediaDescription(words[0].lower(), int(port[:8]), words[2], words[3:])


def _parse_rtpmap(value: str) -> RtpMap | None:
    number, _, encoding = value.strip().partition(" ")
    name, *rest = encoding.strip().split("/")
    if not (_is_number(number) and rest and _is_number(rest[0]) and int(rest[0]) > 0):
        return None
    channels = int(rest[1]) if len(rest) > 1 and _is_number(rest[1]) else 1
    return RtpMap(int(number), name, int(rest[0]), min(max(channels, 1), 255))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
