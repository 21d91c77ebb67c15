"""One SRT connection: messages out, messages in, how the way between fares. And the calls that we make.

Belongs here: a connection's calls of the library, none of which waits. Does not: listening (listener), what the
messages are.
"""

import asyncio
import ctypes
from collections.abc import Callable
from dataclasses import dataclass

from vms.wire.errors import PeerGone, PeerUnreachable
from vms.wire.srt.errors import CallRefused, SrtGone, SrtUnavailable
from vms.wire.srt.library import (
    EASYNCRCV,
    EASYNCSND,
    INVALID,
    Option,
    Ready,
    RejectReason,
    State,
    Statistics,
    last_error,
)
from vms.wire.srt.options import Address, SrtOptions, apply, packed, set_text
from vms.wire.srt.poller import SrtPoller

_BUFFER_BYTES = 1500
_SEQUENCE_MASK = 0x7FFF_FFFF
_LOST_MOST = 1 << 20  # a jump further than this is no loss but another begin
_REASONS = {
    RejectReason.BAD_SECRET: "the passphrase is wrong",
    RejectReason.UNSECURE: "one side asks for a passphrase and the other has none",
    RejectReason.BAD_REQUEST: "it does not understand the stream id",
    RejectReason.UNAUTHORIZED: "it wants other credentials",
    RejectReason.FORBIDDEN: "it does not allow this",
    RejectReason.NOT_FOUND: "it has no such stream",
    RejectReason.CONFLICT: "the stream is taken",
    RejectReason.OVERLOAD: "it has too many callers",
    RejectReason.BACKLOG: "it has too many callers",
    RejectReason.BAD_MODE: "it does not take this direction",
}


@dataclass(frozen=True, slots=True)
class SrtStatistics:
    """Of a whole connection, messages unless the name says otherwise.

    sent, received: the ones sent again among them. dropped: too late to be sent, or to be played.
    undecrypted: came, and could not be read. rtt_ms: round trip, smoothed. bandwidth_mbps: that the way is taken to have.
    delay_ms: after which a message is delivered. buffered_ms: of media that wait to be acknowledged.
    """

    sent: int
    received: int
    sent_bytes: int
    received_bytes: int
    sent_lost: int
    received_lost: int
    retransmitted: int
    sent_dropped: int
    received_dropped: int
    undecrypted: int
    rtt_ms: float
    bandwidth_mbps: float
    send_delay_ms: int
    receive_delay_ms: int
    send_buffered_ms: int
    receive_buffered_ms: int


class _MessageControl(ctypes.Structure):
    """SRT_MSGCTRL."""

    _fields_ = (
        ("flags", ctypes.c_int),
        ("ttl", ctypes.c_int),
        ("in_order", ctypes.c_int),
        ("boundary", ctypes.c_int),
        ("source_time_us", ctypes.c_int64),
        ("sequence_number", ctypes.c_int32),
        ("message_number", ctypes.c_int32),
        ("group_data", ctypes.c_void_p),
        ("group_size", ctypes.c_size_t),
    )


class SrtConnection:
    """A connection that stands. Used on the event loop of its poller alone.

    `read_with` sets who is told that messages are there: it reads until `receive` gives None, or comes back to `read_with`
    later, and lets SrtGone through, without which the connection is not closed when its end is told. on_closed: told once, with a reason for a person, when the peer or the way is gone; not by `close`.
    Counters: sent, full (messages that found no room), received, lost (messages that never came in time).
    """

    def __init__(self, poller: SrtPoller, number: int, peer: Address, stream_id: str = "") -> None:
        self.peer = peer
        self.stream_id = stream_id
        self.on_closed: Callable[[str], None] = lambda reason: None
        self.closed = False
        self.sent = 0
        self.full = 0
        self.received = 0
        self.lost = 0
        self._poller = poller
        self._lib = poller.lib
        self._send = poller.lib.srt_sendmsg2
        self._number = number
        self._on_readable: Callable[[], None] | None = None
        self._buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        self._control = _MessageControl()
        self._sequence_number: int | None = None
        poller.watch(number, self._ready)
        # nobody tells of an end that was before it was watched
        asyncio.get_running_loop().call_soon(self._ready, 0)

    def __repr__(self) -> str:
        return f"SrtConnection({self.peer[0]}:{self.peer[1]})"

    def send(self, message: bytes) -> bool:
        """Send at most MESSAGE_BYTES; False when the buffer is full, and nothing was sent.

        Raises SrtGone when the connection has ended.
        """
        if self.closed:
            raise SrtGone(f"SRT to {self.peer[0]} port {self.peer[1]} has ended")
        if self._send(self._number, message, len(message), None) != INVALID:
            self.sent += 1
            return True
        code, text = last_error(self._lib)
        if code == EASYNCSND:
            self.full += 1
            return False
        raise SrtGone(f"SRT to {self.peer[0]} port {self.peer[1]}: {text}")

    def read_with(self, on_readable: Callable[[], None]) -> None:
        """Be told from now on when there are messages; once at least."""
        self._on_readable = on_readable
        self._poller.watch(self._number, self._ready, reading=True)
        asyncio.get_running_loop().call_soon(self._ready, Ready.IN)  # what came before it was watched

    def receive(self) -> bytes | None:
        """The next message, in order; None when none is due now. Raises SrtGone when no more can come."""
        if self.closed:
            raise SrtGone(f"SRT from {self.peer[0]} port {self.peer[1]} has ended")
        control = self._control
        size = self._lib.srt_recvmsg2(self._number, self._buffer, _BUFFER_BYTES, ctypes.byref(control))
        if size == INVALID:
            code, text = last_error(self._lib)
            if code == EASYNCRCV:
                return None
            raise SrtGone(f"SRT from {self.peer[0]} port {self.peer[1]}: {text}")
        before, self._sequence_number = self._sequence_number, control.sequence_number
        if before is not None:
            missing = (control.sequence_number - before - 1) & _SEQUENCE_MASK
            self.lost += missing if missing < _LOST_MOST else 1
        self.received += 1
        return self._buffer.raw[:size] if size else b""

    def statistics(self) -> SrtStatistics | None:
        """None when the connection has ended."""
        held = Statistics()
        if self.closed or self._lib.srt_bstats(self._number, ctypes.byref(held), 0) == INVALID:
            return None
        return SrtStatistics(
            held.sent,
            held.received,
            held.sent_bytes,
            held.received_bytes,
            held.sent_lost,
            held.received_lost,
            held.retransmitted,
            held.sent_dropped,
            held.received_dropped,
            held.undecrypted,
            held.rtt_ms,
            held.bandwidth_mbps,
            held.send_delay_ms,
            held.receive_delay_ms,
            held.send_buffer_ms,
            held.receive_buffer_ms,
        )

    @property
    def unsent(self) -> int:
        """Messages in the buffer: not sent, or not acknowledged."""
        held, size = ctypes.c_int(0), ctypes.c_int(4)
        self._lib.srt_getsockflag(self._number, Option.SNDDATA, ctypes.byref(held), ctypes.byref(size))
        return held.value

    def close(self) -> None:
        """End it at once; what was not sent yet is lost. Again: without effect."""
        if self.closed:
            return
        self.closed = True
        self._poller.forget(self._number)
        self._lib.srt_close(self._number)

    def _ready(self, events: int) -> None:
        if self.closed:
            return
        ended = self._lib.srt_getsockstate(self._number) != State.CONNECTED
        gone = self._on_readable is None
        if (events & Ready.IN or ended) and self._on_readable is not None:
            try:
                self._on_readable()
            except SrtGone:
                gone = True
        if (
            ended and gone and not self.closed
        ):  # what came before the end was read, in as many turns as it took
            self.close()
            self.on_closed("the connection ended")


async def connect(
    poller: SrtPoller,
    address: Address,
    *,
    stream_id: str = "",
    passphrase: str | None = None,
    options: SrtOptions | None = None,
) -> SrtConnection:
    """Call a listener. address: with an IP address.

    Raises CallRefused with the listener's reason, PeerUnreachable when nobody answers, SrtGone when the connection ended
    at once, SrtUnavailable, InvalidInput for what is no address.
    """
    lib, at = poller.lib, packed(address)
    number = int(lib.srt_create_socket())
    if number == INVALID:
        raise SrtUnavailable(f"SRT: no socket: {last_error(lib)[1]}")
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ready(events: int) -> None:
        if not answered.done():
            answered.set_result(None)

    options = options or SrtOptions()
    try:
        _prepare_call(lib, number, options, stream_id, passphrase)
        poller.watch(number, ready, writing=True)
        if lib.srt_connect(number, at, len(at)) == INVALID:
            raise PeerUnreachable(f"SRT {address[0]} port {address[1]}: {last_error(lib)[1]}")
        try:
            async with asyncio.timeout(options.connect_timeout_s + 1):
                await answered
        except TimeoutError:
            raise _unanswered(address) from None
        if lib.srt_getsockstate(number) != State.CONNECTED:
            raise _refused(address, int(lib.srt_getrejectreason(number)))
        return SrtConnection(poller, number, address, stream_id)
    except BaseException:
        poller.forget(number)
        lib.srt_close(number)
        raise


def _prepare_call(
    lib: ctypes.CDLL, number: int, options: SrtOptions, stream_id: str, passphrase: str | None
) -> None:
    apply(lib, number, options)
    if stream_id and not set_text(lib, number, Option.STREAMID, stream_id.encode()):
        raise SrtUnavailable("SRT: the stream id is longer than 512 bytes")
    if passphrase and not set_text(lib, number, Option.PASSPHRASE, passphrase.encode()):
        raise SrtUnavailable("SRT: a passphrase has 10 to 79 characters")


def _unanswered(address: Address) -> PeerUnreachable:
    return PeerUnreachable(f"SRT: nobody answers at {address[0]} port {address[1]}")


def _refused(address: Address, reason: int) -> CallRefused | PeerGone:
    if reason == RejectReason.TIMEOUT:
        return _unanswered(address)
    if reason == RejectReason.UNKNOWN:
        return SrtGone(f"SRT: {address[0]} port {address[1]} ended the connection as soon as it stood")
    known = reason in RejectReason.__members__.values()
    text = _REASONS.get(RejectReason(reason), "") if known else ""
    name = RejectReason(reason).name.lower() if known else "unknown reason"
    return CallRefused(
        f"SRT: {address[0]} port {address[1]} refuses the call: {text or name} ({reason})", reason
    )
