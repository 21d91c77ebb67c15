"""One UDP port for all viewers: sockets on this machine's addresses, and whose datagram is whose.

Belongs here: demultiplexing (RFC 7983), which addresses are listened on and offered. Does not: one
connection's state (vms.wire.webrtc.peer).

A session is found by the ufrag of a STUN check, all else by the address that such a check came from.
What fits neither gets no answer: nothing here can be made to send to a third party.
"""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

from vms.common.clock import NS, Clock
from vms.common.errors import Unavailable
from vms.wire.webrtc import stun
from vms.wire.webrtc.addresses import Address, interface_addresses
from vms.wire.webrtc.dtls import DtlsContext
from vms.wire.webrtc.negotiation import RemoteOffer
from vms.wire.webrtc.peer import Path, Peer
from vms.wire.webrtc.srtp import SrtpProfile
from vms.wire.webrtc.udp import SocketAddress, UdpPort

MAX_PEERS = 4000
MAX_WAITING = 1500  # sessions without DTLS yet; all viewers of a worker may come back at the same moment
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
        self.datagrams_received = 0
        self.datagrams_ignored = 0
        self.ports: dict[Address, UdpPort] = {}
        self._clock = clock
        self._extra = tuple(ip_address(address) for address in extra_addresses)
        self._local_only = local_only
        self._gso = gso
        self._by_path: dict[Path, Peer] = {}
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

    @property
    def gso(self) -> bool:
        """Whether every socket sends with GSO."""
        return all(port.gso for port in self.ports.values())

    def accept(self, offer: RemoteOffer) -> Peer:
        """A new session for an offer. Raises TooManyViewers."""
        self._refresh()
        waiting = sum(peer.srtp is None for peer in self.peers.values())
        if len(self.peers) >= MAX_PEERS or waiting >= MAX_WAITING:
            raise TooManyViewers(
                f"{len(self.peers)} viewers are connected or connecting; try again in a minute"
            )
        peer = Peer(self.dtls, offer.ice_ufrag, offer.fingerprints, self, self._clock)
        self.peers[peer.ufrag] = peer
        return peer

    def remove(self, peer: Peer) -> None:
        """Close a session, if it still stands, and forget it."""
        peer.close()
        self.peers.pop(peer.ufrag, None)

    def sweep(self) -> None:
        """Once a second: end sessions whose consent or set-up time has run out."""
        now_ns = self._clock.monotonic_ns()
        for peer in list(self.peers.values()):
            peer.sweep(now_ns)

    # PeerPaths

    def learn(self, peer: Peer, path: Path) -> None:
        self._by_path[path] = peer

    def forget(self, peer: Peer, path: Path) -> None:
        if self._by_path.get(path) is peer:
            del self._by_path[path]

    def _receive(self, port: UdpPort, datagram: bytes, source: SocketAddress) -> None:
        self.datagrams_received += 1
        if self._local_only and source[0].partition("%")[0] not in self._own_hosts:
            self.datagrams_ignored += 1
            return
        if len(datagram) < 2:  # UDP carries empty datagrams too; no protocol here has one so short
            self.datagrams_ignored += 1
            return
        if datagram[0] <= 3:
            handled = self._receive_stun(port, datagram, source)
        else:
            peer = self._by_path.get((port, source))
            handled = peer is not None
            if peer is not None:
                peer.datagram(datagram, (port, source))
        if not handled:
            self.datagrams_ignored += 1

    def _receive_stun(self, port: UdpPort, datagram: bytes, source: SocketAddress) -> bool:
        try:
            message = stun.parse(datagram)
        except stun.StunError:
            return False
        if message.type != stun.BINDING_REQUEST or not message.has_fingerprint:
            return False
        ufrag = message.attributes.get(stun.USERNAME, b"").partition(b":")[0]
        peer = self.peers.get(ufrag.decode("ascii", "replace"))
        return peer is not None and peer.check(message, (port, source))

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
