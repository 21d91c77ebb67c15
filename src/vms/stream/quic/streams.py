"""Which pictures are still under way on a connection, each on a stream of its own.

aioquic does not say how much of a stream is sent, what is used of flow control, or that a connection is being closed
(1.7: no public names for it), so this looks inside. It and http3 are the places that do;
`tests/stream/test_stream_webtransport.py` and `…_hostile.py` fail when that changes.

Belongs here: streams of pictures, sending and resetting them; what else aioquic has no names for. Does not: which
picture is next (outbox), when a connection is ended (connection).
"""

from dataclasses import dataclass

from aioquic.h3.connection import H3Connection
from aioquic.quic.connection import QuicConnection

from vms.stream.quic.messages import Flag, Picture, SoundFrame

RESET_CODE = 0x52E4A40FA8DB
"""The application's error 0 as HTTP/3 has it (draft-ietf-webtrans-http3 §4.3)."""


MAX_BYTES = 8 << 20
MAX_STREAMS = 512
"""Of pictures that are kept because not all of each is acknowledged: beyond it the peer does not mean to."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A picture that was handed over. size_bytes: of memory that it needs, at most."""

    stream_id: int
    queued_ns: int
    flags: Flag
    size_bytes: int


class PictureStreams:
    """session_id: the stream of the session's request. resets: pictures that were begun and not sent to their end."""

    def __init__(self, quic: QuicConnection, http: H3Connection, session_id: int) -> None:
        self.resets = 0
        self._quic = quic
        self._http = http
        self._session_id = session_id
        self._under_way: list[UnderWay] = []  # in order; of those that were reset, too

    @property
    def room(self) -> int:
        """How many messages the peer lets us begin now: of a stream beyond that even the reset would break the rules."""
        return self._quic._remote_max_streams_uni - self._quic._local_next_stream_id_uni // 4

    @property
    def is_overloaded(self) -> bool:
        """The peer does not acknowledge what it is sent, and nothing more is to be kept for it."""
        kept = self._under_way = [each for each in self._under_way if not self._is_done(each.stream_id)]
        return len(kept) > MAX_STREAMS or (
            len(kept) > 1 and sum(each.size_bytes for each in kept) > MAX_BYTES
        )

    def send(self, *parts: bytes) -> int:
        """Put one message on a stream of its own."""
        stream_id = self._http.create_webtransport_stream(self._session_id, is_unidirectional=True)
        for part in parts:
            self._quic.send_stream_data(stream_id, part)
        self._quic.send_stream_data(stream_id, b"", end_stream=True)
        return stream_id

    def send_picture(self, header: bytes, picture: Picture, flags: Flag) -> None:
        """Hand a picture over; all of those before it has been sent."""
        # What was before one that begins afresh is not worth sending again, now that this is sent
        for each in self._under_way[: max(self._newest(Flag.AFRESH), 0)]:
            self._reset(each)
        stream_id = self.send(header, picture.data)
        size_bytes = len(header) + len(picture.data)
        self._under_way.append(UnderWay(stream_id, picture.queued_ns, flags, size_bytes))

    def send_sound(self, header: bytes, sound: SoundFrame) -> None:
        """Sound that is too long for a datagram. It is given up with the pictures that it comes among."""
        stream_id = self.send(header, sound.data)
        size_bytes = len(header) + len(sound.data)
        self._under_way.append(UnderWay(stream_id, sound.queued_ns, Flag(0), size_bytes))

    def send_datagram(self, data: bytes) -> None:
        """Send it once, before what is on streams."""
        self._http.send_datagram(self._session_id, data)

    @property
    def datagrams_waiting(self) -> int:
        """How many are not sent yet."""
        return len(self._quic._datagrams_pending)

    @property
    def unsent(self) -> UnderWay | None:
        """The oldest picture of which not all is sent, or some is to be sent again; None: there is none."""
        return next((each for each in self._under_way if self._has_unsent(each.stream_id)), None)

    def skip(self) -> None:
        """Send no more of any picture but the newest key picture among them.

        Were that one reset, too, a connection on which a key picture takes longer than the next one is away would
        never bring one to its end.
        """
        newest = self._newest(Flag.KEY)
        for at, each in enumerate(self._under_way):
            if at != newest:
                self._reset(each)

    def _newest(self, flag: Flag) -> int:
        """Where the newest with a flag is; -1: none is under way."""
        return next(
            (at for at in range(len(self._under_way) - 1, -1, -1) if flag in self._under_way[at].flags), -1
        )

    def _reset(self, each: UnderWay) -> None:
        if not self._is_done(each.stream_id):
            self.resets += self._has_unsent(each.stream_id)
            self._quic.reset_stream(each.stream_id, RESET_CODE)

    def _has_unsent(self, stream_id: int) -> bool:
        stream = self._quic._streams.get(stream_id)
        return stream is not None and not stream.sender.buffer_is_empty

    def _is_done(self, stream_id: int) -> bool:
        stream = self._quic._streams.get(stream_id)
        return stream is None or stream.sender.is_finished


def received_bytes(quic: QuicConnection) -> int:
    """How much of the peer's flow control is used up: the ends of all its streams so far, gaps before them included."""
    return quic._local_max_data.used


def is_closing(quic: QuicConnection) -> bool:
    """Whether either side has closed the connection; aioquic says so only three timeouts later (RFC 9000 §10.2)."""
    return quic._close_event is not None
