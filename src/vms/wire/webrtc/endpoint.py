"""One port number for all viewers: UDP sockets on this machine's addresses, TCP connections that somebody
accepted, and whose datagram is whose.

Belongs here: demultiplexing (RFC 7983), which addresses are listened on and offered. Does not: one
connection's state (vms.wire.webrtc.peer), listening for TCP (vms.stream).

A session is found by the ufrag of a STUN check, all else by the address that such a check came from.
What fits neither gets no answer: nothing here can be made to send to a third party.
"""

import asyncio
from collections.abc import Collection, Sequence
from ipaddress import ip_address

from vms.common.clock import NS, Clock
from vms.common.errors import Unavailable
from vms.wire.webrtc import stun
from vms.wire.webrtc.addresses import Address, interface_addresses
from vms.wire.webrtc.dtls import DtlsContext
from vms.wire.webrtc.dtls_worker import Handshakes
from vms.wire.webrtc.negotiation import RemoteOffer
from vms.wire.webrtc.peer import IceCredentials, Path, Peer, PeerState
from vms.wire.webrtc.srtp import SrtpProfile
from vms.wire.webrtc.tcp import TcpPort
from vms.wire.webrtc.udp import DatagramPort, SocketAddress, UdpPort

MAX_PEERS = 4000  # all of them may come back at the same moment: those without DTLS yet are not bounded apart
MAX_UNPROVEN = 512  # TCP connections without an authenticated check yet; the oldest goes for another one
PROVE_NS = 10 * NS  # for the first such check
MAX_SETTLED = 50  # a sweep, of 40 µs each: when all came at once, they must not all settle at once
MAX_CANDIDATES = 16
MAX_SOCKETS = 64
FREE_PORT_TRIES = 10
REFRESH_NS = 1 * NS


class TooManyViewers(Unavailable):
    """The bound on sessions of this process is reached; trying again later is safe."""


class PortUnavailable(Unavailable):
    """The UDP port for viewers cannot be opened."""


class WebRtcEndpoint:
    """The sockets and the sessions behind them.

    port: UDP port on every address, 0 for any free one.
    extra_addresses: offered besides this machine's own, for example a public one that is mapped to it.
    local_only: answer only viewers on this machine. All own addresses are offered even so, because
        browsers do not reach 127.0.0.1 from their usual interface; datagrams whose source is not one of
        this machine's addresses are dropped unread. Kernels drop forged ones (martians) themselves.
    profiles: SRTP profiles, the preferred one first. gso: False never uses UDP GSO.
    """

    def __init__(
        self,
        port: int,
        clock: Clock,
        *,
        extra_addresses: Sequence[str] = (),
        local_only: bool = True,
        profiles: Sequence[SrtpProfile] = tuple(SrtpProfile),
        gso: bool = True,
    ) -> None:
        self.port = port
        self.dtls = DtlsContext(profiles)
        self.peers: dict[str, Peer] = {}
        self.handshakes = Handshakes(self.dtls)
        self.datagrams_received = 0
        self.datagrams_ignored = 0
        self.ports: dict[Address, UdpPort] = {}
        self._clock = clock
        self._extra = tuple(ip_address(address) for address in extra_addresses)
        self._local_only = local_only
        self._gso = gso
        self._by_path: dict[Path, Peer] = {}
        self._restarting: dict[str, Peer] = {}  # by the ufrags that are offered and not used yet
        self.tcp_connections: set[TcpPort] = set()
        self.tcp_refused = 0  # connections that were not taken, or closed before they proved anything
        self.tcp_datagrams_sent = self.tcp_bytes_sent = self.tcp_sends_refused = 0  # by those that are over
        self._unproven: dict[TcpPort, int] = {}  # TCP connections, and until when they may stay so
        self._tcp: tuple[int, Collection[Address] | None] | None = None
        self._own_hosts: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refreshed_ns = 0

    def open(self) -> None:
        """Bind the port on every address of this machine. Raises PortUnavailable."""
        self._loop = asyncio.get_running_loop()
        for attempt in range(FREE_PORT_TRIES):
            try:
                self._bind(self.port)
                break
            except OSError as error:
                self._close_ports()
                if self.port != 0 or attempt == FREE_PORT_TRIES - 1:
                    raise PortUnavailable(
                        f"UDP port {self.port} for live viewers cannot be opened: {error.strerror}; "
                        "stop what uses it, or set webrtc.port to another one"
                    ) from None
        self._refreshed_ns = self._clock.monotonic_ns()

    def close(self) -> None:
        """End every session and close the sockets."""
        for peer in list(self.peers.values()):
            self.remove(peer)
        for unproven in list(self._unproven):
            unproven.abort()
        self._unproven.clear()
        self.handshakes.close()
        self._close_ports()
        self._loop = None

    @property
    def candidates(self) -> list[tuple[Address, int]]:
        """The addresses to offer, best first: configured ones, other interfaces, loopback."""
        own = [a for a in self.ports if not (a.version == 6 and a.is_link_local)]
        outside = [address for address in own if not address.is_loopback]
        loopback = [address for address in own if address.is_loopback]
        offered = [*self._extra, *outside]
        if self._local_only or not offered:
            offered += loopback
        port = next(iter(self.ports.values())).port if self.ports else self.port
        return [(address, port) for address in list(dict.fromkeys(offered))[:MAX_CANDIDATES]]

    def offer_tcp(self, port: int, addresses: Collection[Address] | None = None) -> None:
        """Offer ICE over TCP on `port` from now on: of `candidates`, all or those among `addresses`.

        Whoever listens there gives each connection of this protocol to a `tcp_connection` of its own.
        """
        self._tcp = port, addresses

    @property
    def tcp_candidates(self) -> list[tuple[Address, int]]:
        """The addresses to offer for TCP, best first; none before `offer_tcp`."""
        if self._tcp is None:
            return []
        port, addresses = self._tcp
        return [
            (address, port)
            for address, _ in self.candidates
            if addresses is None or address in addresses or address in self._extra
        ]

    def tcp_connection(self) -> TcpPort:
        """The protocol for a TCP connection that was accepted, one that speaks RFC 4571 frames."""
        return TcpPort(self)

    @property
    def gso(self) -> bool:
        """Whether every socket sends with GSO."""
        return all(port.gso for port in self.ports.values())

    def accept(self, offer: RemoteOffer) -> Peer:
        """A new session for an offer. Raises TooManyViewers."""
        self._refresh()
        if len(self.peers) >= MAX_PEERS:
            raise TooManyViewers(
                f"{len(self.peers)} viewers are connected or connecting; try again in a minute"
            )
        peer = Peer(self.handshakes, offer.ice_ufrag, offer.fingerprints, self, self._clock)
        self.peers[peer.ufrag] = peer
        return peer

    def restart(self, peer: Peer, remote_ufrag: str) -> IceCredentials:
        """Begin an ICE restart; see Peer.restart."""
        self._refresh()
        credentials = peer.restart(remote_ufrag)
        self._restarting[credentials.ufrag] = peer
        return credentials

    def remove(self, peer: Peer) -> None:
        """Close a session, if it still stands, and forget it."""
        peer.close()
        self.peers.pop(peer.ufrag, None)
        if peer.restarting is not None:
            self._restarting.pop(peer.restarting.ufrag, None)

    def sweep(self) -> None:
        """Once a second: end sessions whose consent or set-up time has run out."""
        now_ns = self._clock.monotonic_ns()
        settled = 0
        for peer in list(self.peers.values()):
            peer.sweep(now_ns)
            if peer.state is PeerState.CLOSED:
                self.remove(peer)  # it may have had no listener yet who does so
            elif settled < MAX_SETTLED:
                settled += peer.settle(now_ns)
        for port in [port for port, until_ns in self._unproven.items() if now_ns >= until_ns]:
            port.abort()

    # PeerPaths

    def learn(self, peer: Peer, path: Path) -> None:
        self._by_path[path] = peer

    def forget(self, peer: Peer, path: Path) -> None:
        if self._by_path.get(path) is peer:
            del self._by_path[path]
            if isinstance(path[0], TcpPort):
                path[0].close()

    def retire(self, peer: Peer, ufrag: str) -> None:
        self._restarting.pop(ufrag, None)
        if self.peers.get(ufrag) is peer and peer.restarting is not None:
            del self.peers[ufrag]
            self._restarting.pop(peer.restarting.ufrag, None)
            self.peers[peer.restarting.ufrag] = peer

    # TcpOwner

    def opened(self, port: TcpPort) -> bool:
        if self._loop is None or (self._local_only and not self._is_own(port.source)):
            self.tcp_refused += 1
            return False
        if len(self._unproven) >= MAX_UNPROVEN:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            oldest.abort()
        self._unproven[port] = self._clock.monotonic_ns() + PROVE_NS
        self.tcp_connections.add(port)
        return True

    def received(self, port: TcpPort, datagram: bytes) -> bool:
        handled = self._receive(port, datagram, port.source)
        if not port.proven and (port, port.source) in self._by_path:
            port.proven = True
            self._unproven.pop(port, None)
        return handled

    def lost(self, port: TcpPort) -> None:
        self._unproven.pop(port, None)
        if port in self.tcp_connections:
            self.tcp_connections.remove(port)
            self.tcp_refused += not port.proven
            self.tcp_datagrams_sent += port.datagrams_sent
            self.tcp_bytes_sent += port.bytes_sent
            self.tcp_sends_refused += port.refused
        path = port, port.source
        peer = self._by_path.pop(path, None)
        if peer is not None:
            peer.lost(path)

    def _is_own(self, source: SocketAddress) -> bool:
        return source[0].partition("%")[0] in self._own_hosts

    def _receive(self, port: DatagramPort, datagram: bytes, source: SocketAddress) -> bool:
        """Take a datagram; whether a session knew it."""
        self.datagrams_received += 1
        handled = False
        # UDP carries empty datagrams too; no protocol here has one of less than 2 bytes.
        if len(datagram) >= 2 and (not self._local_only or self._is_own(source)):
            if datagram[0] <= 3:
                handled = self._receive_stun(port, datagram, source)
            elif (peer := self._by_path.get((port, source))) is not None:
                handled = True
                peer.datagram(datagram, (port, source))
        if not handled:
            self.datagrams_ignored += 1
        return handled

    def _receive_stun(self, port: DatagramPort, datagram: bytes, source: SocketAddress) -> bool:
        named = stun.first_username(datagram)
        if named is not None and self._named(named) is None:
            return False  # a stranger's, most likely: not worth the parsing
        try:
            message = stun.parse(datagram)
        except stun.StunError:
            return False
        if message.type != stun.BINDING_REQUEST or not message.has_fingerprint:
            return False
        peer = self._named(message.attributes.get(stun.USERNAME, b""))
        return peer is not None and peer.check(message, (port, source))

    def _named(self, username: bytes) -> Peer | None:
        """The session whose ufrag a USERNAME begins with (RFC 8445 §7.2.2)."""
        ufrag = username.partition(b":")[0].decode("ascii", "replace")
        return self.peers.get(ufrag) or self._restarting.get(ufrag)

    def _bind(self, port_number: int) -> None:
        for address in self._usable()[:MAX_SOCKETS]:
            port = UdpPort(address, port_number, gso=self._gso)
            self.ports[address] = port
            port_number = port.port
            assert self._loop is not None
            port.open(self._loop, self._receive)
        self.port = port_number

    def _refresh(self) -> None:
        """Listen on addresses that came up since; those that went away cost nothing."""
        now_ns = self._clock.monotonic_ns()
        if self._loop is None or now_ns - self._refreshed_ns < REFRESH_NS:
            return
        self._refreshed_ns = now_ns
        for address in self._usable():
            if address in self.ports or len(self.ports) >= MAX_SOCKETS:
                continue
            try:
                port = UdpPort(address, self.port, gso=self._gso)
            except OSError:
                continue  # gone again, or its port is taken there
            self.ports[address] = port
            port.open(self._loop, self._receive)

    def _usable(self) -> list[Address]:
        own = interface_addresses()
        self._own_hosts = frozenset(str(found.address) for found in own)
        return [found.address for found in own if found.is_usable]

    def _close_ports(self) -> None:
        for port in self.ports.values():
            port.close()
        self.ports.clear()
