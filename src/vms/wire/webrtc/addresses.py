"""This machine's own IP addresses, asked of the kernel over netlink (RFC 3549, rtnetlink(7)).

Belongs here: the addresses that ICE may offer. Does not: sockets (vms.wire.webrtc.udp).
"""

import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

RTM_NEWADDR, RTM_GETADDR = 20, 22
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST_DUMP = 0x301
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
UNUSABLE = 0x08 | 0x20 | 0x40  # IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE
READ_BYTES = 1 << 16
MAX_MESSAGES = 4096

_MESSAGE = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBi")
_ATTRIBUTE = struct.Struct("=HH")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address of one interface."""

    address: Address

    @property
    def is_loopback(self) -> bool:
        return self.address.is_loopback

    @property
    def is_usable(self) -> bool:
        """Whether it can stand in an ICE candidate: link-local IPv6 needs a scope that SDP cannot say."""
        return not (self.address.version == 6 and self.address.is_link_local)


def interface_addresses() -> list[InterfaceAddress]:
    """All addresses of all interfaces that are up to be used, IPv4 and IPv6, in the kernel's order.

    Falls back to the loopback addresses where the kernel offers no netlink.
    """
    try:
        found = [found for family in (socket.AF_INET, socket.AF_INET6) for found in _dump(family)]
    except OSError:
        found = []
    return [InterfaceAddress(address) for address in found or [IPv4Address("127.0.0.1")]]


def _dump(family: int) -> list[Address]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.settimeout(1.0)
        request = _ADDRESS.pack(family, 0, 0, 0, 0)
        header = _MESSAGE.pack(_MESSAGE.size + len(request), RTM_GETADDR, NLM_F_REQUEST_DUMP, 1, 0)
        netlink.send(header + request)
        found: list[Address] = []
        for _ in range(MAX_MESSAGES):
            if _read(netlink.recv(READ_BYTES), family, found):
                break
        return found


def _read(data: bytes, family: int, found: list[Address]) -> bool:
    """Add the addresses in one datagram to `found`; whether the dump ends with it."""
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, *_ = _MESSAGE.unpack_from(data, at)
        if kind in (NLMSG_DONE, NLMSG_ERROR) or length < _MESSAGE.size:
            return True
        if kind == RTM_NEWADDR:
            address = _address(data[at + _MESSAGE.size : at + length], family)
            if address is not None:
                found.append(address)
        at += length + 3 & ~3
    return False


def _address(body: bytes, family: int) -> Address | None:
    its_family, _, flags, _, _ = _ADDRESS.unpack_from(body)
    if its_family != family:
        return None
    values: dict[int, bytes] = {}
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        values[kind] = body[at + _ATTRIBUTE.size : at + length]
        at += length + 3 & ~3
    if IFA_FLAGS in values:
        flags = int.from_bytes(values[IFA_FLAGS], "little")
    packed = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
    return ip_address(packed) if packed and not flags & UNUSABLE else None
