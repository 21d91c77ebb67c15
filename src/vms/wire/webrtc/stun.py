"""STUN Binding messages as ICE uses them (RFC 8489, RFC 8445 §7).

Belongs here: parsing and building messages, MESSAGE-INTEGRITY and FINGERPRINT. Pure: no sockets, no
sessions. Does not: deciding who may be answered (vms.wire.webrtc.peer), demultiplexing
(vms.wire.webrtc.endpoint).
"""

import hashlib
import hmac
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from vms.wire.errors import ProtocolError

MAGIC_COOKIE = 0x2112A442
HEADER_BYTES = 20
MAX_MESSAGE_BYTES = 1280  # a check is some 100 bytes; RFC 8489 §6.1 keeps messages below the path MTU
MAX_ATTRIBUTES = 32

BINDING_REQUEST, BINDING_INDICATION = 0x0001, 0x0011
BINDING_SUCCESS, BINDING_ERROR = 0x0101, 0x0111

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A
UNDERSTOOD = frozenset(
    {USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES, XOR_MAPPED_ADDRESS, PRIORITY, USE_CANDIDATE}
)

FINGERPRINT_XOR = 0x5354554E
INTEGRITY_BYTES, FINGERPRINT_BYTES = 24, 8  # the attributes with their headers


class StunError(ProtocolError):
    """A datagram that looks like STUN and is not a valid message."""


@dataclass(frozen=True, slots=True)
class StunMessage:
    """A parsed message; its FINGERPRINT, when it has one, is already verified.

    attributes: type → value; of a repeated attribute the first counts (RFC 8489 §14). What follows
        MESSAGE-INTEGRITY, other than FINGERPRINT, is left out (§14.5).
    integrity_at: offset of MESSAGE-INTEGRITY in `raw`, None without one.
    """

    type: int
    transaction_id: bytes
    attributes: dict[int, bytes]
    raw: bytes
    integrity_at: int | None
    has_fingerprint: bool

    def is_authentic(self, password: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY is present and made with `password` (RFC 8489 §14.5)."""
        if self.integrity_at is None:
            return False
        expected = _integrity(self.raw, self.integrity_at, password)
        return hmac.compare_digest(expected, self.attributes[MESSAGE_INTEGRITY])

    def unknown_required(self) -> list[int]:
        """Comprehension-required attributes that this implementation does not know (RFC 8489 §14)."""
        return [kind for kind in self.attributes if kind < 0x8000 and kind not in UNDERSTOOD]


def parse(datagram: bytes) -> StunMessage:
    """The STUN message in one datagram; StunError unless it is whole and its FINGERPRINT matches."""
    size = len(datagram)
    if not HEADER_BYTES <= size <= MAX_MESSAGE_BYTES:
        raise StunError(f"a STUN message has {HEADER_BYTES} to {MAX_MESSAGE_BYTES} bytes, not {size}")
    kind = int.from_bytes(datagram[0:2], "big")
    length = int.from_bytes(datagram[2:4], "big")
    if kind >= 0x4000 or int.from_bytes(datagram[4:8], "big") != MAGIC_COOKIE:
        raise StunError("no STUN magic cookie")
    if length % 4 or length + HEADER_BYTES != size:
        raise StunError(f"the STUN header says {length} bytes of attributes, {size - HEADER_BYTES} are there")
    attributes: dict[int, bytes] = {}
    integrity_at: int | None = None
    has_fingerprint = False
    at = HEADER_BYTES
    for _ in range(MAX_ATTRIBUTES):
        if at == size:
            break
        attribute, value_bytes = _attribute_header(datagram, at)
        value = datagram[at + 4 : at + 4 + value_bytes]
        if has_fingerprint:
            raise StunError("FINGERPRINT is not the last STUN attribute")
        if attribute == FINGERPRINT:
            _verify_fingerprint(datagram, at, value)
            has_fingerprint = True
        elif integrity_at is None:
            if attribute == MESSAGE_INTEGRITY:
                if value_bytes != 20:
                    raise StunError(f"MESSAGE-INTEGRITY has 20 bytes, not {value_bytes}")
                integrity_at = at
            attributes.setdefault(attribute, value)
        at += 4 + (value_bytes + 3 & ~3)
    else:
        raise StunError(f"more than {MAX_ATTRIBUTES} STUN attributes")
    return StunMessage(kind, datagram[8:20], attributes, datagram, integrity_at, has_fingerprint)


def first_username(datagram: bytes) -> bytes | None:
    """USERNAME where it is the first attribute, as browsers write it, with nothing verified; None otherwise.

    For telling in a microsecond whom a check names, before the work of `parse` is spent on it.
    """
    if len(datagram) < HEADER_BYTES + 4 or datagram[20:22] != b"\0\6":
        return None
    return datagram[24 : 24 + int.from_bytes(datagram[22:24], "big")]


def build(
    kind: int, transaction_id: bytes, attributes: Sequence[tuple[int, bytes]], password: bytes | None = None
) -> bytes:
    """A message with `attributes`, MESSAGE-INTEGRITY when a password is given, and FINGERPRINT."""
    body = b"".join(_attribute(attribute, value) for attribute, value in attributes)
    protected = INTEGRITY_BYTES if password is not None else 0
    total = len(body) + protected + FINGERPRINT_BYTES
    message = (
        kind.to_bytes(2, "big")
        + total.to_bytes(2, "big")
        + MAGIC_COOKIE.to_bytes(4, "big")
        + transaction_id
        + body
    )
    if password is not None:
        message += _attribute(MESSAGE_INTEGRITY, _integrity(message, len(message), password))
    return message + _attribute(FINGERPRINT, _crc(message))


def xor_address(host: str, port: int, transaction_id: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS (RFC 8489 §14.2); an IPv6 scope (``%eth0``) is left out."""
    packed = ip_address(host.partition("%")[0]).packed
    family = 1 if len(packed) == 4 else 2
    mask = (MAGIC_COOKIE.to_bytes(4, "big") + transaction_id)[: len(packed)]
    xored = bytes(a ^ b for a, b in zip(packed, mask, strict=True))
    return bytes((0, family)) + (port ^ MAGIC_COOKIE >> 16).to_bytes(2, "big") + xored


def error_code(code: int, reason: str) -> bytes:
    """The value of ERROR-CODE (RFC 8489 §14.8)."""
    return bytes((0, 0, code // 100, code % 100)) + reason.encode()


def _attribute_header(datagram: bytes, at: int) -> tuple[int, int]:
    attribute = int.from_bytes(datagram[at : at + 2], "big")
    value_bytes = int.from_bytes(datagram[at + 2 : at + 4], "big")
    if at + 4 + (value_bytes + 3 & ~3) > len(datagram):
        raise StunError(f"STUN attribute 0x{attribute:04x} at byte {at} runs past the message")
    return attribute, value_bytes


def _attribute(attribute: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return attribute.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + padding


def _integrity(message: bytes, integrity_at: int, password: bytes) -> bytes:
    # The length counts up to and with MESSAGE-INTEGRITY, whatever follows it (RFC 8489 §14.5).
    length = integrity_at + INTEGRITY_BYTES - HEADER_BYTES
    covered = message[0:2] + length.to_bytes(2, "big") + message[4:integrity_at]
    return hmac.digest(password, covered, hashlib.sha1)


def _crc(covered: bytes) -> bytes:
    return (zlib.crc32(covered) ^ FINGERPRINT_XOR).to_bytes(4, "big")


def _verify_fingerprint(datagram: bytes, at: int, value: bytes) -> None:
    if value != _crc(datagram[:at]):
        raise StunError("the STUN FINGERPRINT does not match")
