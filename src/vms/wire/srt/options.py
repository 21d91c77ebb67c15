"""How a SRT connection is set up, and addresses as the library takes them."""

import ctypes
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from vms.common.errors import InvalidInput
from vms.wire.srt.errors import SrtUnavailable
from vms.wire.srt.library import INVALID, TRANSTYPE_LIVE, Option, last_error

MESSAGE_BYTES = 1316
"""Seven packets of a transport stream: what every receiver of live SRT takes, and fits into one datagram."""
PASSPHRASE_MIN, PASSPHRASE_MAX = 10, 79
STREAM_ID_MAX_BYTES = 512
_RECEIVED_BYTES_MS = 5_000
ADDRESS_BYTES = 28  # of struct sockaddr_in6

Address = tuple[str, int]
"""An IP address and a port."""


@dataclass(frozen=True, slots=True)
class SrtOptions:
    """Live mode (SRTT_LIVE): messages of at most MESSAGE_BYTES, delivered when they are due, left out when they come
    later than that.

    latency_ms: that this side asks for, both ways; the larger of both sides' holds. 120 is the protocol's own; four
        times the round trip lets lost packets be sent again.
    send_buffer_bytes, receive_buffer_bytes: at most, a connection; taken as they fill. What is received waits for
        the latency, so with a long one there is room for 40 Mb/s.
    key_bytes: of AES, 16 or 32.
    connect_timeout_s: of a call of ours. idle_s: of silence, after which the peer is gone.
    """

    latency_ms: int = 120
    send_buffer_bytes: int = 4 << 20
    receive_buffer_bytes: int = 8 << 20
    key_bytes: int = 16
    connect_timeout_s: float = 3.0
    idle_s: float = 5.0


def check_passphrase(passphrase: str) -> str:
    """Raises InvalidInput; the text does not hold it."""
    size = len(passphrase.encode())
    if not PASSPHRASE_MIN <= size <= PASSPHRASE_MAX or "\0" in passphrase:
        raise InvalidInput(
            f"a SRT passphrase has {PASSPHRASE_MIN} to {PASSPHRASE_MAX} characters, this one has {size}"
        )
    return passphrase


def set_int(lib: ctypes.CDLL, number: int, option: Option, value: int) -> None:
    """Raises SrtUnavailable."""
    held = ctypes.c_int(value)
    if lib.srt_setsockflag(number, option, ctypes.byref(held), ctypes.sizeof(held)) == INVALID:
        raise SrtUnavailable(f"SRT: {option.name} cannot be {value}: {last_error(lib)[1]}")


def set_flag(lib: ctypes.CDLL, number: int, option: Option, value: bool) -> None:
    """Raises SrtUnavailable."""
    held = ctypes.c_bool(value)
    if lib.srt_setsockflag(number, option, ctypes.byref(held), ctypes.sizeof(held)) == INVALID:
        raise SrtUnavailable(f"SRT: {option.name} cannot be {value}: {last_error(lib)[1]}")


def set_text(lib: ctypes.CDLL, number: int, option: Option, value: bytes) -> bool:
    """Whether it could be set; errors never say what was tried."""
    return bool(lib.srt_setsockflag(number, option, ctypes.c_char_p(value), len(value)) != INVALID)


def apply(lib: ctypes.CDLL, number: int, options: SrtOptions) -> None:
    """Set a socket up before it is bound or connects. Raises SrtUnavailable."""
    set_int(lib, number, Option.TRANSTYPE, TRANSTYPE_LIVE)  # first: it resets the others
    set_flag(lib, number, Option.SNDSYN, False)
    set_flag(lib, number, Option.RCVSYN, False)
    for option, value in _numbers(options):
        set_int(lib, number, option, value)


def _numbers(options: SrtOptions) -> Sequence[tuple[Option, int]]:
    received = max(options.receive_buffer_bytes, options.latency_ms * _RECEIVED_BYTES_MS)
    largest = max(options.send_buffer_bytes, received)
    return (
        (
            Option.FC,
            largest // MESSAGE_BYTES + 32,
        ),  # the library takes 40 bytes for each packet that may be under way
        (Option.SNDBUF, options.send_buffer_bytes),
        (Option.RCVBUF, received),
        (Option.RCVLATENCY, options.latency_ms),
        (Option.PEERLATENCY, options.latency_ms),
        (Option.PAYLOADSIZE, MESSAGE_BYTES),
        (Option.PBKEYLEN, options.key_bytes),
        (Option.CONNTIMEO, int(options.connect_timeout_s * 1000)),
        (Option.PEERIDLETIMEO, int(options.idle_s * 1000)),
    )


def packed(address: Address) -> bytes:
    """struct sockaddr_in or sockaddr_in6. Raises InvalidInput for what is no IP address."""
    host, port = address
    try:
        ip = ip_address(host)
    except ValueError:
        raise InvalidInput(f"{host!r} is no IP address") from None
    family = struct.pack("=H", socket.AF_INET if ip.version == 4 else socket.AF_INET6)
    if ip.version == 4:
        return family + port.to_bytes(2) + ip.packed + bytes(8)
    return family + port.to_bytes(2) + bytes(4) + ip.packed + bytes(4)


def unpacked(data: bytes) -> Address:
    """Of what `packed` makes; an IPv4 address within IPv6 as what it is."""
    (family,) = struct.unpack_from("=H", data)
    port = int.from_bytes(data[2:4])
    if family == socket.AF_INET:
        return str(ip_address(data[4:8])), port
    ip: Any = ip_address(data[8:24])
    return str(getattr(ip, "ipv4_mapped", None) or ip), port
