"""DTLS handshakes off the event loop: one thread, one step a peer at a time, those begun before new ones.

A step is some 60 to 140 µs of elliptic curves, during which OpenSSL's binding holds no GIL. When all viewers come
back at the same moment, what is under way is finished first and the rest waits in order, each with a bounded
number of datagrams; repetitions beyond it are dropped unread, and the media of others goes on meanwhile.

Belongs here: what waits, what runs where. Does not: DTLS itself (vms.wire.webrtc.dtls).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from vms.telemetry.logs import get_logger
from vms.wire.webrtc.dtls import DtlsContext, DtlsError, DtlsServer, DtlsState, Fingerprint
from vms.wire.webrtc.dtls_tail import DtlsTail

log = get_logger(__name__)

BATCH = 4  # associations handed over at once: a hand-over costs the loop some 30 µs
MAX_PENDING = 8  # datagrams of one peer; the longest flight of a browser has 3


class Handshakes:
    """The thread and the queues before it, of one endpoint. Used on the event loop."""

    def __init__(self, context: DtlsContext) -> None:
        self.context = context
        self.steps = 0
        self.datagrams_dropped = 0  # came while enough of the same peer waited
        self._begun: deque[DtlsAssociation] = deque()
        self._new: deque[DtlsAssociation] = deque()
        self._running = False
        self._thread: ThreadPoolExecutor | None = None

    @property
    def waiting(self) -> int:
        """Peers whose next step has not begun."""
        return len(self._begun) + len(self._new)

    def submit(self, association: "DtlsAssociation") -> None:
        """Run the association's next step when its turn comes."""
        (self._begun if association.begun else self._new).append(association)
        self._next()

    def close(self) -> None:
        """Run nothing more; a step that runs is waited for."""
        self._begun.clear()
        self._new.clear()
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None

    def _next(self) -> None:
        if self._running or not (self._begun or self._new):
            return
        batch: list[DtlsAssociation] = []
        while len(batch) < BATCH and (self._begun or self._new):
            association = (self._begun or self._new).popleft()
            if association.take():
                batch.append(association)
        if not batch:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "dtls")
        self._running = True
        self._thread.submit(self._run, asyncio.get_running_loop(), batch)

    def _run(self, loop: asyncio.AbstractEventLoop, batch: Sequence["DtlsAssociation"]) -> None:
        """On the thread."""
        for association in batch:
            try:
                association.step()
            except Exception as error:  # a step ends here, not the thread
                log.error("a DTLS step failed by an internal error", exc_info=error)
                association.error = DtlsError("DTLS with the viewer failed by an internal error")
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._finish, batch)

    def _finish(self, batch: Sequence["DtlsAssociation"]) -> None:
        self._running = False
        self.steps += len(batch)
        self._next()
        for association in batch:
            try:
                association.finish()
            except Exception as error:
                log.error("a DTLS step was not taken up by an internal error", exc_info=error)
                association.fail()


class DtlsAssociation:
    """One peer's DTLS. `on_step` is called on the event loop after every step that may have changed it.

    `server` may be read in `on_step`, and not between `receive` and it: it is the thread's then.
    `error` is set when the association failed; `outgoing` holds what is to be sent, taken by `on_step`.
    """

    def __init__(
        self,
        handshakes: Handshakes,
        fingerprints: Sequence[Fingerprint],
        on_step: Callable[[], None],
    ) -> None:
        self.begun = False
        self.error: DtlsError | None = None
        self.outgoing: list[bytes] = []
        self.timeout_s: float | None = None
        self._fingerprints = tuple(fingerprints)
        self._handshakes = handshakes
        self._on_step = on_step
        self._server: DtlsServer | None = None
        self._tail: DtlsTail | None = None  # in the server's place, once it is let go
        self._pending: list[bytes] = []
        self._taken: list[bytes] = []
        self._timed_out = self._taken_timeout = False
        self._busy = False  # queued, or run by the thread
        self._closed = False

    @property
    def server(self) -> DtlsServer:
        """What this association has come to, once its first step was made and until it is let go."""
        assert self._server is not None
        return self._server

    @property
    def over(self) -> bool:
        """Whether the peer has said its goodbye."""
        return self._tail.over if self._tail is not None else self.server.state is DtlsState.CLOSED

    def let_go(self) -> bool:
        """Free what a settled association does not need, without effect on others; whether that was done now."""
        if self._tail is not None or self._server is None or self._busy or self._closed:
            return False
        self._tail = self._server.tail()
        if self._tail is None:
            return False
        self._server, self.timeout_s = None, None
        return True

    def receive(self, datagram: bytes) -> bool:
        """Take a datagram; False when it is dropped because enough of them wait."""
        if self._tail is not None:
            if self._tail.receive(datagram):
                self.outgoing = []
                self._on_step()
            return True
        if not self._busy and self._server is not None and self._server.state is DtlsState.CONNECTED:
            # Cheap: an alert, or the peer's last flight again.
            self._taken, self._taken_timeout = [datagram], False
            self.step()
            self._on_step()
            return True
        if len(self._pending) >= MAX_PENDING:
            self._handshakes.datagrams_dropped += 1
            return False
        self._pending.append(datagram)
        self._submit()
        return True

    def handle_timeout(self) -> None:
        """Send the last flight again, when its time has come."""
        self._timed_out = True
        self._submit()

    def close(self) -> list[bytes]:
        """End it; the datagrams of the goodbye, if there is anything to end."""
        self._closed = True
        self._pending.clear()
        if self._tail is not None:
            return list(self._tail.farewell)
        if self._busy or self._server is None:
            return []  # the handshake is under way: the peer finds out by itself
        self._server.close()
        return self._server.outgoing()

    # called by Handshakes

    def take(self) -> bool:
        """Before a step: fix what it works on. False when there is nothing left to do."""
        if self._closed:
            return False
        self._taken, self._pending = self._pending, []
        self._taken_timeout, self._timed_out = self._timed_out, False
        self.outgoing = []
        self.begun = True
        return True

    def step(self) -> None:
        """Work on what was taken. On the thread, except after the handshake."""
        try:
            if self._server is None:
                self._server = DtlsServer(self._handshakes.context, self._fingerprints)
            if self._taken_timeout:
                self._server.handle_timeout()
            for datagram in self._taken:
                self._server.receive(datagram)
        except DtlsError as error:
            self.error = error
        assert self._server is not None
        self.outgoing = self._server.outgoing()
        self.timeout_s = self._server.timeout_s()

    def fail(self) -> None:
        """After a `finish` that broke off: the association is over."""
        self.error = DtlsError("DTLS with the viewer failed by an internal error")
        self.outgoing = []
        self._pending.clear()
        self._timed_out = False
        asyncio.get_running_loop().call_soon(self._on_step)

    def finish(self) -> None:
        """After a step, on the event loop."""
        self._busy = False
        if self._closed:
            return
        self._on_step()
        if self._pending or self._timed_out:
            self._submit()

    def _submit(self) -> None:
        if not self._busy and not self._closed:
            self._busy = True
            self._handshakes.submit(self)
