"""Between the RTSP server and whoever has media to send: the server's side of the bargain.

A feed describes its lines once, is started when the first client plays and stopped when the last has
gone, and pushes runs of RTP packets, paced by itself, numbered by itself, the same for every client.

Belongs here: what is exchanged, and the framing of RTP packets for both transports.
Does not: clients (server_stream), media (the feed).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, Protocol

from vms.media import Track

_RTP = Struct(">BBHII")
_INTERLEAVED_RTP = Struct(">BBHBBHII")  # "$", channel, size (RFC 2326 §10.12), then the RTP header
_RTP_HEADER_BYTES = _RTP.size
_VERSION = 0x80
_EXTENDED = 0x90
_MARKER = 0x80


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One media line: its track, and how its RTP packets are marked."""

    track: Track
    payload_type: int
    ssrc: int


class StartPoint(NamedTuple):
    """Where a client that plays now will begin on one line (RFC 2326 §12.33 RTP-Info).

    sequence_number: of the first packet it gets; None when that is not known yet.
    rtp_timestamp: for the same moment on every line of the feed.
    """

    sequence_number: int | None
    rtp_timestamp: int


class RtpRun:
    """RTP packets of one line that share a timestamp and follow each other, framed once for all clients.

    line: index into the feed's lines. starts: a client can begin with the first of these packets.
    timestamp: 32 bits.
    """

    __slots__ = (
        "_datagrams",
        "_extension",
        "_framed",
        "_headers",
        "_payloads",
        "_preamble",
        "line",
        "starts",
        "timestamp",
    )

    def __init__(
        self,
        line: int,
        form: FeedLine,
        *,
        sequence_number: int,
        timestamp: int,
        payloads: Sequence[bytes],
        marker: bool,
        starts: bool,
        extension: bytes = b"",
        preamble: bytes = b"",
    ) -> None:
        """sequence_number: of the first packet. marker: set on the last packet.

        extension: a header extension block for the first packet, as vms.wire.rtp.pack_extensions makes it.
        preamble: RTCP for the line's other channel, right before the packets; over UDP it is left out,
        where nothing would keep it before them.
        """
        self.line = line
        self.starts = starts
        self.timestamp = timestamp
        self._extension = extension
        self._preamble = preamble
        self._payloads = payloads
        self._headers = (sequence_number, timestamp, form.ssrc, form.payload_type, marker)
        self._framed: dict[int, bytes] = {}
        self._datagrams: list[bytes] | None = None

    @property
    def packet_count(self) -> int:
        return len(self._payloads)

    @property
    def sequence_number(self) -> int:
        return self._headers[0]

    @property
    def payload_bytes(self) -> int:
        return sum(map(len, self._payloads))

    def interleaved(self, channel: int) -> bytes:
        """All packets, framed for an RTSP connection on `channel`."""
        framed = self._framed.get(channel)
        if framed is not None:
            return framed
        sequence_number, timestamp, ssrc, payload_type, marker = self._headers
        last = len(self._payloads) - 1
        parts: list[bytes] = []
        if self._preamble:
            parts.append(interleaved_frame(channel + 1, self._preamble))
        extension = self._extension
        for index, payload in enumerate(self._payloads):
            parts.append(
                _INTERLEAVED_RTP.pack(
                    0x24,
                    channel,
                    _RTP_HEADER_BYTES + len(extension) + len(payload),
                    _EXTENDED if extension else _VERSION,
                    payload_type | _MARKER if marker and index == last else payload_type,
                    sequence_number + index & 0xFFFF,
                    timestamp,
                    ssrc,
                )
            )
            if extension:
                parts.append(extension)
                extension = b""
            parts.append(payload)
        framed = self._framed[channel] = b"".join(parts)
        return framed

    def datagrams(self) -> list[bytes]:
        """Each packet by itself."""
        if self._datagrams is None:
            sequence_number, timestamp, ssrc, payload_type, marker = self._headers
            last = len(self._payloads) - 1
            extension = self._extension
            self._datagrams = [
                _RTP.pack(
                    _EXTENDED if extension and not index else _VERSION,
                    payload_type | _MARKER if marker and index == last else payload_type,
                    sequence_number + index & 0xFFFF,
                    timestamp,
                    ssrc,
                )
                + (payload if index else extension + payload)
                for index, payload in enumerate(self._payloads)
            ]
        return self._datagrams


def interleaved_frame(channel: int, packet: bytes) -> bytes:
    """One RTP or RTCP packet framed for an RTSP connection (RFC 2326 §10.12)."""
    return bytes((0x24, channel)) + len(packet).to_bytes(2) + packet


class PacketSink(Protocol):
    """What a feed pushes into: synchronous, never waits; runs on the event loop."""

    def send(self, run: RtpRun) -> None:
        """Send packets to every client, now. Each line's runs come in sequence."""

    def tell(self, line: int, packet: bytes) -> None:
        """Send a compound RTCP packet to every client, now; over TCP it keeps its place among the runs."""


class Feed(Protocol):
    """What the server needs of somebody with media to send. All calls are made on the event loop."""

    @property
    def lines(self) -> Sequence[FeedLine]:
        """The media lines: their number, codecs and SSRCs do not change while the feed exists."""

    def start(self, sink: PacketSink) -> None:
        """The first client plays: push from now on, and not before this call has returned."""

    def stop(self) -> None:
        """The last client has gone: push nothing more until `start`."""

    def join(self) -> Sequence[StartPoint]:
        """One more client plays, after `start`; where it begins, a point a line."""

    def rtp_timestamp(self, line: int, monotonic_ns: int) -> int:
        """The line's RTP clock (32 bits) at a moment: what a picture captured then is stamped with."""
