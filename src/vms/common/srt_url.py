"""Addresses that are called by SRT: ``srt://host:port?streamid=…&passphrase=…&latency=…``.

Belongs here: reading them. Does not: calling (vms.wire.srt), hiding them (source_url).
"""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

USUAL_LATENCY_MS = 120
MAX_LATENCY_MS = 30_000
PASSPHRASE_BYTES = range(10, 80)
STREAM_ID_MAX_BYTES = 512
KEY_BYTES = (16, 24, 32)
_HIDDEN = "…"  # stands for a value that is not shown (source_url); whoever takes it for one says so
_EXAMPLE = "write srt://host:port?streamid=…&passphrase=…&latency=120"
_KNOWN = ("streamid", "passphrase", "latency", "pbkeylen", "mode")
_IGNORED = frozenset(("transtype", "pkt_size", "payload_size", "connect_timeout"))
"""What other programs take in such addresses, and what changes nothing for us."""


@dataclass(frozen=True, slots=True)
class SrtUrl:
    """Whom to call, and how. latency_ms: that this side asks for. key_bytes: of AES.

    Stream id and passphrase are not in its `repr`.
    """

    host: str
    port: int
    stream_id: str = field(default="", repr=False)
    passphrase: str | None = field(default=None, repr=False)
    latency_ms: int = USUAL_LATENCY_MS
    key_bytes: int = 16

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError that says what to write; its text holds no part of the query."""
        parts = urlsplit(text.strip())
        if parts.scheme.lower() != "srt":
            raise ValueError(f"must begin with srt://; {_EXAMPLE}")
        if parts.fragment or text.strip().endswith("#"):
            raise ValueError("holds a #; in a stream id write it as %23: streamid=%23!::r=…")
        if parts.username is not None or parts.password is not None:
            raise ValueError(f"SRT knows no user name; {_EXAMPLE}")
        if not parts.hostname or not parts.port:
            raise ValueError(f"names no host or no port; {_EXAMPLE}")
        if parts.path not in ("", "/"):
            raise ValueError(f"has a path, which SRT has not: the stream is named by its id; {_EXAMPLE}")
        given = _parameters(parts.query)
        if given.get("mode", "caller") != "caller":
            raise ValueError(
                "mode: this system calls; for an encoder that calls us set the source to whip://publish"
            )
        return cls(
            parts.hostname,
            parts.port,
            _stream_id(given.get("streamid", "")),
            _passphrase(given.get("passphrase")),
            _number("latency", given.get("latency"), USUAL_LATENCY_MS, range(MAX_LATENCY_MS + 1)),
            _number("pbkeylen", given.get("pbkeylen"), 16, KEY_BYTES),
        )

    @property
    def safe(self) -> str:
        """Host and port alone."""
        return f"srt://[{self.host}]:{self.port}" if ":" in self.host else f"srt://{self.host}:{self.port}"


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if name in _IGNORED:
            continue
        if name not in _KNOWN or not equals:
            raise ValueError(
                f"has a parameter that is not known; known are {', '.join(_KNOWN)}; in a value write & as %26"
            )
        if name in found:
            raise ValueError(f"gives {name} twice; in a value write & as %26")
        try:
            found[name] = unquote(value, errors="strict")
        except UnicodeDecodeError:  # which would show what may be a secret
            raise ValueError(f"{name} is no UTF-8 behind its escapes") from None
    return found


def _stream_id(text: str) -> str:
    if len(text.encode()) > STREAM_ID_MAX_BYTES or "\0" in text:
        raise ValueError(f"streamid: at most {STREAM_ID_MAX_BYTES} bytes")
    return text


def _passphrase(text: str | None) -> str | None:
    if text is None or text == _HIDDEN:
        return text
    if len(text.encode()) not in PASSPHRASE_BYTES or "\0" in text:
        raise ValueError(f"passphrase: {PASSPHRASE_BYTES.start} to {PASSPHRASE_BYTES.stop - 1} characters")
    return text


def _number(name: str, text: str | None, usual: int, allowed: range | tuple[int, ...]) -> int:
    if text is None or text == _HIDDEN:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) in allowed):
        if isinstance(allowed, range):
            raise ValueError(f"{name}: a whole number of milliseconds up to {allowed.stop - 1}")
        raise ValueError(f"{name}: {', '.join(map(str, allowed))}")
    return int(text)
