"""One viewer's transport: ICE-lite, then DTLS, then SRTP and SRTCP.

Nothing a peer sends is looked at before a STUN check with this session's password came from its address,
and media goes only where such a check came from.

Belongs here: the state of one connection. Does not: sockets and demultiplexing (vms.wire.webrtc.endpoint),
what is sent (vms.stream).
"""

import asyncio
import hmac
import secrets
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.wire import rtcp
from vms.wire.errors import ProtocolError
from vms.wire.webrtc import stun
from vms.wire.webrtc.dtls import DtlsContext, DtlsError, DtlsServer, DtlsState, Fingerprint
from vms.wire.webrtc.srtp import SrtpError, SrtpSession
from vms.wire.webrtc.udp import SocketAddress, UdpPort, host_of

CONSENT_NS = 15 * NS
"""How long media goes on without a fresh STUN check. RFC 7675 allows 30 s; browsers check every 2.5 s and
the slowest client known every 5 s, so half of it forgives three lost checks and frees the place of a viewer
that vanished twice as soon."""
SETUP_NS = 15 * NS
"""How long a session may take from the answer to the end of DTLS."""
MAX_PATHS = 8  # addresses that one peer may have checked from
MAX_DATAGRAMS_PER_SECOND = 500  # of DTLS and RTCP; a viewer sends some 5

Path = tuple[UdpPort, SocketAddress]


class PeerState(Enum):
    WAITING = "waiting"
    CONNECTED = "connected"
    CLOSED = "closed"


class CloseReason(Enum):
    """Why a connection ended; the values are metric labels."""

    ENDED = "ended"  # by this side
    LEFT = "left"  # close_notify from the viewer
    CONSENT = "consent_expired"
    SETUP = "setup_timeout"
    DTLS = "dtls_failed"
    ERROR = "internal_error"


class PeerListener(Protocol):
    """Who learns what happens on a connection; called on the event loop."""

    def connected(self) -> None:
        """Media may be sent from now on."""

    def feedback(self, packets: Sequence[rtcp.Packet]) -> None:
        """Authenticated RTCP arrived."""

    def closed(self, reason: CloseReason) -> None:
        """The connection is over; nothing may be sent any more."""


class PeerPaths(Protocol):
    """What a peer needs of the endpoint that owns the sockets."""

    def learn(self, peer: "Peer", path: Path) -> None:
        """Give `peer` what comes from `path`."""

    def forget(self, peer: "Peer", path: Path) -> None:
        """Stop that."""


class Peer:
    """One connection. `path` is where media goes, None before the first check; `srtp` is set once CONNECTED."""

    def __init__(
        self,
        context: DtlsContext,
        remote_ufrag: str,
        fingerprints: Sequence[Fingerprint],
        paths: PeerPaths,
        clock: Clock,
    ) -> None:
        self.ufrag = secrets.token_hex(4)
        self.pwd = secrets.token_hex(16)
        self.state = PeerState.WAITING
        self.path: Path | None = None
        self.srtp: SrtpSession | None = None
        self.datagrams_dropped = 0
        self.listener: PeerListener | None = None
        self._username = f"{self.ufrag}:{remote_ufrag}".encode()
        self._password = self.pwd.encode()
        self._context = context
        self._fingerprints = tuple(fingerprints)
        self._owner = paths
        self._clock = clock
        self._paths: list[Path] = []
        self._dtls: DtlsServer | None = None  # made by the first record from a checked address
        self._dtls_timer: asyncio.TimerHandle | None = None
        self._deadline_ns = clock.monotonic_ns() + SETUP_NS
        self._datagrams = 0

    def check(self, message: stun.StunMessage, path: Path) -> bool:
        """Take a Binding request; False, and silence, unless it was made with this session's password."""
        username = message.attributes.get(stun.USERNAME, b"")
        if not hmac.compare_digest(username, self._username) or not message.is_authentic(self._password):
            return False
        if self.state is PeerState.CLOSED:
            return True
        port, source = path
        port.send(self._binding_response(message, source), source)
        if stun.ICE_CONTROLLED in message.attributes or message.unknown_required():
            return True
        if path not in self._paths:
            self._add_path(path)
        if self.path is None or stun.USE_CANDIDATE in message.attributes:
            self.path = path
        if self.state is PeerState.CONNECTED and path == self.path:
            self._deadline_ns = self._clock.monotonic_ns() + CONSENT_NS
        return True

    def datagram(self, datagram: bytes, path: Path) -> None:
        """Take DTLS or RTCP from a checked address (RFC 7983 §7, RFC 5761 §4)."""
        self._datagrams += 1
        if self.state is PeerState.CLOSED or self._datagrams > MAX_DATAGRAMS_PER_SECOND:
            self.datagrams_dropped += 1
        elif 20 <= datagram[0] <= 63:
            self._receive_dtls(datagram, path)
        elif self.srtp is not None and 128 <= datagram[0] <= 191 and 192 <= datagram[1] <= 223:
            self._receive_rtcp(datagram)

    def sweep(self, now_ns: int) -> None:
        """Once a second: end what has timed out, renew the datagram allowance."""
        self._datagrams = 0
        if now_ns >= self._deadline_ns:
            expired = CloseReason.CONSENT if self.state is PeerState.CONNECTED else CloseReason.SETUP
            self.close(expired)

    def send_rtcp(self, packets: Sequence[rtcp.Packet]) -> None:
        """Send one compound packet; without effect before the connection stands."""
        if self.srtp is not None and self.path is not None:
            port, to = self.path
            port.send(self.srtp.protect_rtcp(rtcp.pack(packets)), to)

    def close(self, reason: CloseReason = CloseReason.ENDED, farewell: Sequence[rtcp.Packet] = ()) -> None:
        """End the connection: RTCP farewell, DTLS close_notify. Without effect on a closed one."""
        if self.state is PeerState.CLOSED:
            return
        if farewell:
            self.send_rtcp(farewell)
        self.state = PeerState.CLOSED
        if self._dtls_timer is not None:
            self._dtls_timer.cancel()
        if self._dtls is not None:
            self._dtls.close()
            self._flush_dtls()
            self._dtls = None
        for path in self._paths:
            self._owner.forget(self, path)
        self._paths.clear()
        if self.listener is not None:
            self.listener.closed(reason)

    def _add_path(self, path: Path) -> None:
        if len(self._paths) == MAX_PATHS:
            oldest = next(known for known in self._paths if known != self.path)
            self._paths.remove(oldest)
            self._owner.forget(self, oldest)
        self._paths.append(path)
        self._owner.learn(self, path)

    def _binding_response(self, request: stun.StunMessage, source: SocketAddress) -> bytes:
        unknown = request.unknown_required()
        if stun.ICE_CONTROLLED in request.attributes:
            # An ICE-lite agent is never the controlling one (RFC 8445 §6.1.1).
            kind = stun.BINDING_ERROR
            attributes = [(stun.ERROR_CODE, stun.error_code(487, "Role Conflict"))]
        elif unknown:
            kind = stun.BINDING_ERROR
            listed = b"".join(attribute.to_bytes(2, "big") for attribute in unknown)
            attributes = [
                (stun.ERROR_CODE, stun.error_code(420, "Unknown Attribute")),
                (stun.UNKNOWN_ATTRIBUTES, listed),
            ]
        else:
            kind = stun.BINDING_SUCCESS
            mapped = stun.xor_address(str(host_of(source)), source[1], request.transaction_id)
            attributes = [(stun.XOR_MAPPED_ADDRESS, mapped)]
        return stun.build(kind, request.transaction_id, attributes, self._password)

    def _receive_dtls(self, datagram: bytes, path: Path) -> None:
        if self._dtls is None:
            self._dtls = DtlsServer(self._context, self._fingerprints)
        if self.state is PeerState.WAITING:
            self.path = path  # the viewer chose the path on which it begins DTLS
        try:
            self._dtls.receive(datagram)
        except DtlsError:
            self._flush_dtls()
            self.close(CloseReason.DTLS)
            return
        self._flush_dtls()
        self._set_dtls_timer()
        if self._dtls.state is DtlsState.CLOSED:
            self.close(CloseReason.LEFT)
        elif self._dtls.keys is not None and self.state is PeerState.WAITING:
            self.srtp = SrtpSession(self._dtls.keys)
            self.state = PeerState.CONNECTED
            self._deadline_ns = self._clock.monotonic_ns() + CONSENT_NS
            if self.listener is not None:
                self.listener.connected()

    def _flush_dtls(self) -> None:
        if self._dtls is None or self.path is None:
            return
        port, to = self.path
        for outgoing in self._dtls.outgoing():
            port.send(outgoing, to)

    def _set_dtls_timer(self) -> None:
        if self._dtls_timer is not None:
            self._dtls_timer.cancel()
            self._dtls_timer = None
        timeout_s = self._dtls.timeout_s() if self._dtls is not None else None
        if timeout_s is not None:
            self._dtls_timer = asyncio.get_running_loop().call_later(timeout_s, self._dtls_timeout)

    def _dtls_timeout(self) -> None:
        if self._dtls is None:
            return
        try:
            self._dtls.handle_timeout()
        except DtlsError:
            self.close(CloseReason.DTLS)
            return
        self._flush_dtls()
        self._set_dtls_timer()

    def _receive_rtcp(self, datagram: bytes) -> None:
        assert self.srtp is not None
        try:
            packets = rtcp.parse(self.srtp.open_rtcp(datagram))
        except (SrtpError, ProtocolError):
            self.datagrams_dropped += 1
            return
        if self.listener is not None:
            self.listener.feedback(packets)
