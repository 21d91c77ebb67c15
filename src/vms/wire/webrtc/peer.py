"""One viewer's transport: ICE-lite, then DTLS, then SRTP and SRTCP.

Nothing a peer sends is looked at before a STUN check with this session's password came from its address,
and media goes only where such a check came from. An ICE restart changes the password and the address; DTLS,
keys and media go on as they are.

Belongs here: the state of one connection. Does not: sockets and demultiplexing (vms.wire.webrtc.endpoint),
what is sent (vms.stream).
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from vms.common.clock import NS, Clock
from vms.wire import rtcp
from vms.wire.errors import ProtocolError
from vms.wire.webrtc import stun
from vms.wire.webrtc.dtls import Fingerprint
from vms.wire.webrtc.dtls_worker import DtlsAssociation, Handshakes
from vms.wire.webrtc.srtp import SrtpError, SrtpSession
from vms.wire.webrtc.udp import DatagramPort, SocketAddress, host_of

CONSENT_NS = 15 * NS
"""How long media goes on without a fresh STUN check. RFC 7675 allows 30 s; browsers check every 2.5 s and
the slowest client known every 5 s, so half of it forgives three lost checks and frees the place of a viewer
that vanished twice as soon."""
SETUP_NS = 15 * NS
"""How long a session may take from the answer to the end of DTLS."""
SETTLED_NS = 10 * NS
"""After so long without DTLS from the viewer it has our last flight: those that lack it repeat theirs sooner."""
MAX_PATHS = 8  # addresses that one peer may have checked from
MAX_CHECKS_PER_SECOND = 200  # a browser with many interfaces begins with some 50
MAX_DATAGRAMS_PER_SECOND = 500  # of DTLS and RTCP; a viewer sends some 5
MAX_OCTETS_PER_SECOND = 64 << 10  # of these: a NACK of 2 KB names 8,000 packets, which takes 0.7 ms to read
MAX_MEDIA_PER_SECOND = 10_000  # RTP packets of a publisher: 80 Mb/s

Path = tuple[DatagramPort, SocketAddress]


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

    def retire(self, peer: "Peer", ufrag: str) -> None:
        """Give `peer` no more checks that name `ufrag`."""


class IceCredentials:
    """Our side of one ICE session of a peer, and the viewer's ufrag."""

    __slots__ = ("password", "pwd", "ufrag", "username")

    def __init__(self, remote_ufrag: str) -> None:
        self.ufrag = secrets.token_hex(8)  # sessions are found by it: too long for two to meet
        self.pwd = secrets.token_hex(16)
        self.username = f"{self.ufrag}:{remote_ufrag}".encode()
        self.password = self.pwd.encode()

    def made(self, message: stun.StunMessage) -> bool:
        """Whether a check was made with them."""
        username = message.attributes.get(stun.USERNAME, b"")
        return hmac.compare_digest(username, self.username) and message.is_authentic(self.password)


class Peer:
    """One connection. `path` is where media goes, None before the first check; `srtp` is set once CONNECTED.

    `ice` is the ICE session in use, `restarting` the one that follows it once a check nominates a path with it.
    """

    def __init__(
        self,
        handshakes: Handshakes,
        remote_ufrag: str,
        fingerprints: Sequence[Fingerprint],
        paths: PeerPaths,
        clock: Clock,
    ) -> None:
        self.ice = IceCredentials(remote_ufrag)
        self.restarting: IceCredentials | None = None
        self.state = PeerState.WAITING
        self.path: Path | None = None
        self.srtp: SrtpSession | None = None
        self.datagrams_dropped = 0
        self.listener: PeerListener | None = None
        self.on_media: Callable[[bytes], None] | None = None  # set: SRTP packets are taken; viewers send none
        self._owner = paths
        self._clock = clock
        self._paths: list[Path] = []
        self._dtls = DtlsAssociation(handshakes, fingerprints, self._dtls_stepped)
        self._dtls_heard_ns = 0
        self._dtls_timer: asyncio.TimerHandle | None = None
        self._deadline_ns = clock.monotonic_ns() + SETUP_NS
        self._checks = self._datagrams = self._octets = self._media = 0

    @property
    def ufrag(self) -> str:
        return self.ice.ufrag

    @property
    def pwd(self) -> str:
        return self.ice.pwd

    def restart(self, remote_ufrag: str) -> IceCredentials:
        """Credentials for an ICE restart (RFC 8445 §2.4); those in use stay valid until the new ones are used.

        A restart that was not used yet is given up.
        """
        if self.restarting is not None:
            self._owner.retire(self, self.restarting.ufrag)
        self.restarting = IceCredentials(remote_ufrag)
        return self.restarting

    def check(self, message: stun.StunMessage, path: Path) -> bool:
        """Take a Binding request; False, and silence, unless it was made with this session's password."""
        self._checks += 1
        if self._checks > MAX_CHECKS_PER_SECOND:
            self.datagrams_dropped += 1
            return False
        ice = self._made_with(message)
        if ice is None:
            return False
        if self.state is PeerState.CLOSED:
            return True
        port, source = path
        port.send(_binding_response(message, source, ice.password), source)
        if stun.ICE_CONTROLLED in message.attributes or message.unknown_required():
            return True
        if path not in self._paths:
            self._add_path(path)
        nominated = stun.USE_CANDIDATE in message.attributes
        if self.path is None or nominated:
            self.path = path
        if nominated and ice is self.restarting:
            self._owner.retire(self, self.ice.ufrag)
            self.ice, self.restarting = ice, None
        if self.state is PeerState.CONNECTED and path == self.path:
            self._deadline_ns = self._clock.monotonic_ns() + CONSENT_NS
        return True

    def datagram(self, datagram: bytes, path: Path) -> None:
        """Take DTLS or RTCP from a checked address (RFC 7983 §7, RFC 5761 §4)."""
        if self.on_media is not None and 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223:
            self._receive_media(datagram)
            return
        self._datagrams += 1
        self._octets += len(datagram)
        too_much = self._datagrams > MAX_DATAGRAMS_PER_SECOND or self._octets > MAX_OCTETS_PER_SECOND
        if self.state is PeerState.CLOSED or too_much:
            self.datagrams_dropped += 1
        elif 20 <= datagram[0] <= 63:
            self._receive_dtls(datagram, path)
        elif self.srtp is not None and 128 <= datagram[0] <= 191 and 192 <= datagram[1] <= 223:
            self._receive_rtcp(datagram)

    def sweep(self, now_ns: int) -> None:
        """Once a second: end what has timed out, renew the datagram allowance."""
        self._checks = self._datagrams = self._octets = self._media = 0
        if now_ns >= self._deadline_ns:
            expired = CloseReason.CONSENT if self.state is PeerState.CONNECTED else CloseReason.SETUP
            self.close(expired)

    def settle(self, now_ns: int) -> bool:
        """Free what DTLS does not need any more, when its time has come; whether that was done now."""
        if self.state is not PeerState.CONNECTED or now_ns - self._dtls_heard_ns < SETTLED_NS:
            return False
        return self._dtls.let_go()

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
        self._send_dtls(self._dtls.close())
        for path in self._paths:
            self._owner.forget(self, path)
        self._paths.clear()
        if self.listener is not None:
            self.listener.closed(reason)

    def lost(self, path: Path) -> None:
        """A TCP connection is over. Media goes on over the newest other path, if the viewer has one."""
        if path in self._paths:
            self._paths.remove(path)
            if path == self.path and self._paths:
                self.path = self._paths[-1]

    def _made_with(self, message: stun.StunMessage) -> IceCredentials | None:
        if self.ice.made(message):
            return self.ice
        restarting = self.restarting
        return restarting if restarting is not None and restarting.made(message) else None

    def _add_path(self, path: Path) -> None:
        if len(self._paths) == MAX_PATHS:
            oldest = next(known for known in self._paths if known != self.path)
            self._paths.remove(oldest)
            self._owner.forget(self, oldest)
        self._paths.append(path)
        self._owner.learn(self, path)

    def _receive_dtls(self, datagram: bytes, path: Path) -> None:
        if self.state is PeerState.WAITING:
            self.path = path  # the viewer chose the path on which it begins DTLS
        self._dtls_heard_ns = self._clock.monotonic_ns()
        if not self._dtls.receive(datagram):
            self.datagrams_dropped += 1

    def _dtls_stepped(self) -> None:
        dtls = self._dtls
        self._send_dtls(dtls.outgoing)
        if dtls.error is not None:
            self.close(CloseReason.DTLS)
            return
        self._set_dtls_timer(dtls.timeout_s)
        if dtls.over:
            self.close(CloseReason.LEFT)
        elif self.state is PeerState.WAITING and dtls.server.keys is not None:
            self.srtp = SrtpSession(dtls.server.keys)
            self.state = PeerState.CONNECTED
            self._deadline_ns = self._clock.monotonic_ns() + CONSENT_NS
            if self.listener is not None:
                self.listener.connected()

    def _send_dtls(self, datagrams: Sequence[bytes]) -> None:
        if self.path is not None:
            port, to = self.path
            for datagram in datagrams:
                port.send(datagram, to)

    def _set_dtls_timer(self, timeout_s: float | None) -> None:
        if self._dtls_timer is not None:
            self._dtls_timer.cancel()
            self._dtls_timer = None
        if timeout_s is not None:
            loop = asyncio.get_running_loop()
            self._dtls_timer = loop.call_later(timeout_s, self._dtls.handle_timeout)

    def _receive_media(self, datagram: bytes) -> None:
        self._media += 1
        if self.srtp is None or self._media > MAX_MEDIA_PER_SECOND or self.on_media is None:
            self.datagrams_dropped += 1
        elif self.state is PeerState.CONNECTED:
            self.on_media(datagram)

    def _receive_rtcp(self, datagram: bytes) -> None:
        assert self.srtp is not None
        try:
            packets = rtcp.parse(self.srtp.open_rtcp(datagram))
        except (SrtpError, ProtocolError):
            self.datagrams_dropped += 1
            return
        if self.listener is not None:
            self.listener.feedback(packets)


def _binding_response(request: stun.StunMessage, source: SocketAddress, password: bytes) -> bytes:
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
    return stun.build(kind, request.transaction_id, attributes, password)
