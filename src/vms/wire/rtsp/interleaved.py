"""Take an RTSP connection's bytes apart: messages, and interleaved RTP and RTCP (RFC 2326 §10.12).

The hot loop of the product. One large buffer per connection is read into and parsed in place; a read may
hold many packets. A plain packet (no padding, extension, CSRCs; the next in sequence) costs one
`unpack_from`, one dictionary look-up and one call of its depayloader. Nothing else may be done there.

A camera that loses its framing is resynchronised: bytes are skipped up to what looks like a packet of
a channel that was set up, or like a response. One that sends mostly garbage is given up.

Belongs here: framing. Does not: requests and their answers (connection), payloads (vms.wire.depayload).
"""

import asyncio
from abc import ABC, abstractmethod
from struct import Struct

from vms.common.clock import Clock
from vms.common.errors import VmsError
from vms.wire.errors import ProtocolError
from vms.wire.rtsp.message import Message, take_message
from vms.wire.rtsp.stream import RtpStream

BUFFER_SIZE = 256 << 10  # more than the largest packet (64 KiB) and message (160 KiB); its pages come by use
GARBAGE_ALLOWED = 64 << 10  # and a 64th of all that came

_DOLLAR = 0x24
_RTP_PREFIX = _DOLLAR << 8
_PLAIN_HEADER = Struct(">HHHHI")  # "$" and channel, length; flags, sequence number, timestamp
_PLAIN_SIZE = 16
_MESSAGE_STARTS = (
    b"RTSP/",
    b"OPTIONS ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"ANNOUNCE ",
    b"REDIRECT ",
    b"TEARDOWN ",
    b"PLAY_NOTIFY ",
)


class InterleavedReader(asyncio.BufferedProtocol, ABC):
    """The receiving half of a connection. A subclass implements `message_received` and `failed`.

    bytes_received: everything. garbage: bytes that were skipped. resynchronisations: how often that began.
    packets_unclaimed: of channels that nobody set up.
    """

    def __init__(self, clock: Clock) -> None:
        self.bytes_received = 0
        self.garbage = 0
        self.resynchronisations = 0
        self.packets_unclaimed = 0
        self._now_ns = clock.monotonic_ns
        self._buffer = bytearray(BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._parsed = 0  # up to here the buffer's bytes are dealt with
        self._filled = 0  # and up to here they are from the peer
        self._in_garbage = False
        self._failed = False
        self._media: dict[int, RtpStream] = {}  # by "$" and channel as one 16-bit number
        self._reports: dict[int, RtpStream] = {}  # likewise

    @abstractmethod
    def message_received(self, message: Message) -> None:
        """Take an RTSP message."""

    @abstractmethod
    def failed(self, error: VmsError) -> None:
        """The peer's bytes make no sense, or a receiver cannot use them; nothing is parsed after this."""

    @abstractmethod
    def stream_ended(self, stream: RtpStream) -> None:
        """A stream's sender has said BYE."""

    def claim(self, media_channel: int, report_channel: int, stream: RtpStream) -> None:
        """Give a stream the packets of its two channels; channels that it had before are its no longer."""
        self.unclaim(stream)
        self._media[_RTP_PREFIX | media_channel] = stream
        self._reports[_RTP_PREFIX | report_channel] = stream

    def unclaim(self, stream: RtpStream) -> None:
        for channels in (self._media, self._reports):
            for prefix in [prefix for prefix, other in channels.items() if other is stream]:
                del channels[prefix]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the event loop writes next (asyncio.BufferedProtocol)."""
        return self._view[self._filled :] if self._filled else self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what has come (asyncio.BufferedProtocol)."""
        if self._failed:
            return
        self.bytes_received += nbytes
        self._filled += nbytes
        try:
            position = self._parse(self._parsed, self._filled)
        except VmsError as error:
            self._failed = True
            self._parsed = self._filled = 0
            self.failed(error)
            return
        if position == self._filled:
            self._parsed = self._filled = 0
            return
        self._parsed = position
        if self._filled > BUFFER_SIZE // 2:
            rest = self._filled - position
            self._view[:rest] = self._view[position : self._filled]
            self._parsed, self._filled = 0, rest

    def _parse(self, position: int, end: int) -> int:
        """Parse as much as is whole; where the rest begins."""
        buffer, media, unpack = self._buffer, self._media, _PLAIN_HEADER.unpack_from
        arrival_ns = self._now_ns()
        last = end - _PLAIN_SIZE - 1  # a plain packet has at least a byte of payload
        while True:
            while position <= last:
                prefix, size, flags, sequence_number, timestamp = unpack(buffer, position)
                stream = media.get(prefix)
                following = position + 4 + size
                if stream is None or following > end:
                    break
                if sequence_number == stream.expected and flags | 0x80 == stream.plain_flags and size > 12:
                    stream.expected = sequence_number + 1
                    stream.push(buffer, position + 16, following, timestamp, flags & 0x80, arrival_ns)
                else:
                    stream.irregular(buffer, position + 4, following, arrival_ns)
                position = following
            if position == end:
                return position
            following = self._parse_other(position, end, arrival_ns)
            if following == position:
                return position
            position = following

    def _parse_other(self, position: int, end: int, arrival_ns: int) -> int:
        """Parse what is no plain packet; `position` itself while it is not whole."""
        if self._buffer[position] == _DOLLAR:
            if end - position < 4:
                return position
            following = position + 4 + (self._buffer[position + 2] << 8 | self._buffer[position + 3])
            if following > end:
                return position
            if self._in_garbage and following < end and self._buffer[following] not in b"$R\r\n":
                return self._skip_garbage(position, end)
            self._in_garbage = False
            self._frame(position, following, arrival_ns)
            return following
        head = bytes(self._view[position : min(position + 24, end)]).lstrip(b"\r\n")
        if not head:
            return end if end - position < 24 else position + 24
        if any(head.startswith(start) or start.startswith(head) for start in _MESSAGE_STARTS):
            found = take_message(self._buffer, position, end)
            if found is None:
                return position
            self._in_garbage = False
            self.message_received(found[0])
            return found[1]
        return self._skip_garbage(position, end)

    def _frame(self, position: int, following: int, arrival_ns: int) -> None:
        prefix = _RTP_PREFIX | self._buffer[position + 1]
        stream = self._media.get(prefix)
        if stream is not None:
            stream.irregular(self._buffer, position + 4, following, arrival_ns)
            return
        stream = self._reports.get(prefix)
        if stream is None:
            self.packets_unclaimed += 1
            return
        stream.rtcp(self._view[position + 4 : following], arrival_ns)
        if stream.ended:
            self.stream_ended(stream)

    def _skip_garbage(self, position: int, end: int) -> int:
        """Where the next packet or response may begin, after `position`."""
        if not self._media:
            raise ProtocolError("the peer does not speak RTSP")
        if not self._in_garbage:
            self._in_garbage = True
            self.resynchronisations += 1
        following = position + 1
        while following < end and not self._may_begin(following, end):
            candidates = [self._buffer.find(start, following + 1, end) for start in (b"$", b"RTSP/1.")]
            following = min((found for found in candidates if found >= 0), default=end)
        self.garbage += following - position
        if self.garbage > GARBAGE_ALLOWED + self.bytes_received // 64:
            raise ProtocolError(f"the peer lost its framing: {self.garbage} bytes were neither RTSP nor RTP")
        return following

    def _may_begin(self, position: int, end: int) -> bool:
        if self._buffer[position] != _DOLLAR:
            return self._buffer.startswith(b"RTSP/1.", position, end)
        if end - position < 5:
            return True
        prefix = _RTP_PREFIX | self._buffer[position + 1]
        return (prefix in self._media or prefix in self._reports) and self._buffer[position + 4] >> 6 == 2
