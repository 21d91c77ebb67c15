"""A port that SRT callers reach: who is let in, by stream id, and with which passphrase.

The library asks in a thread of its own while the handshake stands, and everybody else on the port waits meanwhile: the
answer must be a pure and quick function of what was asked.

Belongs here: listening, bounds on calls. Does not: what stream ids mean (stream_id), who may do what (its user).
"""

import asyncio
import ctypes
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from vms.common.errors import Unavailable
from vms.telemetry.logs import get_logger
from vms.wire.srt.connection import SrtConnection
from vms.wire.srt.errors import SrtUnavailable
from vms.wire.srt.library import INVALID, ListenCallback, Option, RejectReason, last_error
from vms.wire.srt.options import (
    ADDRESS_BYTES,
    STREAM_ID_MAX_BYTES,
    Address,
    SrtOptions,
    apply,
    packed,
    set_text,
    unpacked,
)
from vms.wire.srt.poller import SrtPoller

log = get_logger(__name__)

BACKLOG = 64
CALLS_PER_S = 200
CALLS_PER_S_ADDRESS = 20
"""Handshakes, which cost a key derivation each; more are refused until the second is over."""
CALLS_PER_S_WATCHING = 150
"""Of them; the others are kept for publishers, whom viewers that come all at once must not keep out."""
MAX_PUBLISHERS = 1024
UNFINISHED_S = 2.0
"""A call that was let in and is no connection after this has failed: its passphrase is wrong, as a rule."""
KEPT_S = 5.0
"""So long it is known what a call was let in for; a connection that comes later is closed."""
HANDSHAKE_FAILED = "handshake"


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller says of itself. stream_id: may hold a secret, so `repr` leaves it out."""

    stream_id: str = field(repr=False)
    peer: Address


@dataclass(frozen=True, slots=True)
class Accept:
    """passphrase: that the caller has to know; None takes media that are not encrypted.

    publishes: the caller brings media, and has a bound of its own.
    """

    passphrase: str | None = field(default=None, repr=False)
    publishes: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """reason: which the caller is told, 1400 and more."""

    reason: RejectReason


Decide = Callable[[Call], Accept | Refuse]
"""Called in a thread of the library. What it raises refuses the call (INTERNAL)."""


@dataclass(slots=True)
class _LetIn:
    """A call that was let in. connection: once it stands. failed: it did not within UNFINISHED_S."""

    stream_id: str = field(repr=False)
    publishes: bool
    connection: SrtConnection | None = None
    failed: bool = False
    timer: asyncio.TimerHandle | None = None

    @property
    def takes_room(self) -> bool:
        return not (self.failed if self.connection is None else self.connection.closed)


class SrtListener:
    """Listens between `start` and `stop`.

    on_caller: gets each connection that stands, on the loop. Its stream id is the text that was decided on: what the
    library says of the socket later may be another one that the same handshake brought. max_connections: of callers
    that do not publish; max_publishers: of those that do. Counters: calls, refused (by reason: names of
    RejectReason in small letters, HANDSHAKE_FAILED for those whose handshake came to nothing).
    """

    def __init__(
        self,
        poller: SrtPoller,
        address: Address,
        options: SrtOptions,
        decide: Decide,
        on_caller: Callable[[SrtConnection], None],
        *,
        max_connections: int = 1000,
        max_publishers: int = MAX_PUBLISHERS,
    ) -> None:
        self.address = address
        self.calls = 0
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._poller = poller
        self._lib = poller.lib
        self._options = options
        self._decide = decide
        self._on_caller = on_caller
        self._most = {False: max_connections, True: max_publishers}
        self._number = INVALID
        self._let_in: dict[int, _LetIn] = {}  # by the library's number; its thread adds, the loop takes away
        self._rate = _CallRate()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._callback = ListenCallback(self._called)  # kept: the library calls it as long as it listens

    async def start(self) -> None:
        """Raises Unavailable when the port is taken, SrtUnavailable."""
        self._loop = asyncio.get_running_loop()
        lib, at = self._lib, packed(self.address)
        number = int(lib.srt_create_socket())
        try:
            apply(lib, number, self._options)
            if ":" in self.address[0]:
                held = ctypes.c_int(int(self.address[0] != "::"))
                lib.srt_setsockflag(number, Option.IPV6ONLY, ctypes.byref(held), ctypes.sizeof(held))
            if lib.srt_bind(number, at, len(at)) == INVALID:
                raise self._unavailable()
            lib.srt_listen_callback(number, self._callback, None)
            if lib.srt_listen(number, BACKLOG) == INVALID:
                raise self._unavailable()
            self.address = (self.address[0], _bound_port(lib, number))
            self._poller.watch(number, self._ready, reading=True)
        except BaseException:
            lib.srt_close(number)
            raise
        self._number = number

    def _unavailable(self) -> Unavailable:
        text = last_error(self._lib)[1]
        host, port = self.address
        return Unavailable(
            f"cannot listen for SRT on {host} UDP port {port}: {text}; choose another srt.port"
        )

    async def stop(self) -> None:
        """Listen no longer, and end every connection that came in."""
        number, self._number = self._number, INVALID
        if number == INVALID:
            return
        self._poller.forget(number)
        let_in, self._let_in = self._let_in, {}
        for each in let_in.copy().values():
            if each.timer is not None:
                each.timer.cancel()
            if each.connection is not None:
                each.connection.close()
        await asyncio.to_thread(self._lib.srt_close, number)  # waits for a handshake that is under way

    @property
    def connections(self) -> int:
        """That stand."""
        stand = 0
        for number, each in self._let_in.copy().items():
            if each.connection is not None and each.connection.closed:
                del self._let_in[number]
            else:
                stand += each.connection is not None
        return stand

    def _called(
        self, opaque: int | None, number: int, version: int, peer: int | None, stream_id: bytes | None
    ) -> int:
        """In a thread of the library: 0 lets the caller in, -1 refuses it."""
        try:
            text = (stream_id or b"").decode(errors="replace")
            verdict = self._verdict(Call(text, _address_at(peer)), len(stream_id or b""))
            if isinstance(verdict, Accept):
                secret = verdict.passphrase
                if secret is None or set_text(self._lib, number, Option.PASSPHRASE, secret.encode()):
                    assert self._loop is not None
                    # at once: the loop may accept the socket before it comes to what is called below
                    self._let_in[number] = let_in = _LetIn(text, verdict.publishes)
                    self._loop.call_soon_threadsafe(self._expect, number, let_in)
                    return 0
                verdict = Refuse(RejectReason.INTERNAL)
            self.refused[verdict.reason.name.lower()] += 1
            self._lib.srt_setrejectreason(number, verdict.reason)
        except Exception as error:  # noqa: BLE001 - the library cannot be told of it, and would let the caller in
            self.refused[RejectReason.INTERNAL.name.lower()] += 1
            log.error("a SRT call could not be decided on", error=type(error).__name__)
            self._lib.srt_setrejectreason(number, RejectReason.INTERNAL)
        return -1

    def _verdict(self, call: Call, size: int) -> Accept | Refuse:
        """size: of the stream id, in bytes. In the library's thread."""
        self.calls += 1
        if size > STREAM_ID_MAX_BYTES:
            return self._decided(call, Refuse(RejectReason.BAD_REQUEST))
        return self._decided(call, self._decide(call))

    def _decided(self, call: Call, verdict: Accept | Refuse) -> Accept | Refuse:
        """What becomes of it where there are bounds; what costs comes after this."""
        publishes = isinstance(verdict, Accept) and verdict.publishes
        if not self._rate.allows(call.peer[0], publishes):
            return Refuse(RejectReason.OVERLOAD)
        if isinstance(verdict, Accept) and self._full(publishes):
            return Refuse(RejectReason.OVERLOAD)
        return verdict

    def _full(self, publishes: bool) -> bool:
        """In the library's thread."""
        most = self._most[publishes]
        if len(self._let_in) < most:
            return False
        let_in = self._let_in.copy().values()
        return sum(each.publishes is publishes and each.takes_room for each in let_in) >= most

    def _expect(self, number: int, let_in: _LetIn) -> None:
        """On the loop: a handshake goes on, and may yet fail."""
        if self._let_in.get(number) is let_in and let_in.connection is None:
            let_in.timer = asyncio.get_running_loop().call_later(UNFINISHED_S, self._failed, number, let_in)

    def _failed(self, number: int, let_in: _LetIn) -> None:
        let_in.failed = True
        self.refused[HANDSHAKE_FAILED] += 1
        let_in.timer = asyncio.get_running_loop().call_later(KEPT_S, self._let_in.pop, number, None)

    def _ready(self, events: int) -> None:
        size = ctypes.c_int(ADDRESS_BYTES)
        while self._number != INVALID:
            held = ctypes.create_string_buffer(ADDRESS_BYTES)
            size.value = ADDRESS_BYTES
            number = int(self._lib.srt_accept(self._number, held, ctypes.byref(size)))
            if number == INVALID:
                break
            self._take(number, unpacked(held.raw))
        _ = self.connections  # forgets those that are gone

    def _take(self, number: int, peer: Address) -> None:
        let_in = self._let_in.get(number)
        if let_in is None or let_in.connection is not None:
            self._lib.srt_close(number)  # nobody knows what it was let in for: it took longer than KEPT_S
            return
        if let_in.timer is not None:
            let_in.timer.cancel()
        try:
            connection = SrtConnection(self._poller, number, peer, let_in.stream_id)
        except SrtUnavailable:  # it has ended already
            del self._let_in[number]
            self._lib.srt_close(number)
            return
        self.accepted += 1
        let_in.connection = connection
        try:
            self._on_caller(connection)
        except Exception:  # the next caller is served
            log.exception("a SRT caller could not be served", peer=peer[0])
            connection.close()


class _CallRate:
    """Bounds calls a second: in all, of those who do not publish, and by address."""

    def __init__(self) -> None:
        self._second = self._calls = self._watching = 0
        self._by_address: Counter[str] = Counter()
        self._lock = threading.Lock()

    def allows(self, host: str, publishes: bool) -> bool:
        second = int(monotonic())
        with self._lock:
            if second != self._second:
                self._second = second
                self._calls = self._watching = 0
                self._by_address.clear()
            if self._calls >= CALLS_PER_S or self._by_address[host] >= CALLS_PER_S_ADDRESS:
                return False
            if not publishes and self._watching >= CALLS_PER_S_WATCHING:
                return False
            self._calls += 1
            self._watching += not publishes
            self._by_address[host] += 1
            return True


def _address_at(pointer: int | None) -> Address:
    return unpacked(ctypes.string_at(pointer, ADDRESS_BYTES)) if pointer else ("", 0)


def _bound_port(lib: ctypes.CDLL, number: int) -> int:
    held, size = ctypes.create_string_buffer(ADDRESS_BYTES), ctypes.c_int(ADDRESS_BYTES)
    lib.srt_getsockname(number, held, ctypes.byref(size))
    return unpacked(held.raw)[1]
