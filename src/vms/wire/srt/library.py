"""libsrt (1.4.4 and later) by ctypes: loaded once a process, when it is first needed.

Calls release the interpreter's lock, so that a thread of the library that holds one of its own and wants the
interpreter for a callback never waits for us.

Belongs here: prototypes, numbers of the C header (srt.h, access_control.h). Does not: what is done with them.
"""

import ctypes
import errno
from collections.abc import Sequence
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int, c_int64, c_uint64, c_void_p
from ctypes.util import find_library
from enum import IntEnum
from functools import cache
from typing import Any

from vms.wire.srt.errors import SrtUnavailable

INVALID = -1
"""What a call returns when it failed, and the number of no socket."""
EASYNCSND, EASYNCRCV = 6001, 6002  # nothing can be sent, or read, now
_NAMES = (
    "libsrt-gnutls.so.1.5",
    "libsrt-openssl.so.1.5",
    "libsrt.so.1.5",
    "libsrt-gnutls.so.1.4",
    "libsrt.so.1.4",
)
_SHORT_NAMES = ("srt-gnutls", "srt", "srt-openssl")
_MIN_VERSION = 0x010404  # of the listener's callback that may set a passphrase, and of reasons of one's own
_LOG_CRITICAL = 2  # syslog's numbers


class Option(IntEnum):
    """SRTO_ of srt.h, those that are used."""

    SNDSYN = 1
    RCVSYN = 2
    FC = 4
    SNDBUF = 5
    RCVBUF = 6
    LINGER = 7
    UDP_SNDBUF = 8
    UDP_RCVBUF = 9
    REUSEADDR = 15
    SNDDATA = 19
    PASSPHRASE = 26
    PBKEYLEN = 27
    TLPKTDROP = 31
    PEERVERSION = 35
    CONNTIMEO = 36
    RCVLATENCY = 43
    PEERLATENCY = 44
    STREAMID = 46
    PAYLOADSIZE = 49
    TRANSTYPE = 50
    ENFORCEDENCRYPTION = 53
    IPV6ONLY = 54
    PEERIDLETIMEO = 55


TRANSTYPE_LIVE = 0


class Ready(IntEnum):
    """SRT_EPOLL_ of srt.h. EDGE: told once for each change."""

    IN = 0x1
    OUT = 0x4
    ERR = 0x8
    EDGE = 1 << 31


class State(IntEnum):
    """SRTS_ of srt.h."""

    INIT = 1
    OPENED = 2
    LISTENING = 3
    CONNECTING = 4
    CONNECTED = 5
    BROKEN = 6
    CLOSING = 7
    CLOSED = 8
    NONEXIST = 9


class RejectReason(IntEnum):
    """Why a call is refused: SRT_REJ_ of srt.h, which the library gives, and SRT_REJX_ of access_control.h, which a
    listener gives."""

    UNKNOWN = 0
    SYSTEM = 1
    PEER = 2
    RESOURCE = 3
    ROGUE = 4
    BACKLOG = 5
    IPE = 6
    CLOSE = 7
    VERSION = 8
    RDV_COOKIE = 9
    BAD_SECRET = 10
    UNSECURE = 11
    MESSAGE_API = 12
    CONGESTION = 13
    FILTER = 14
    GROUP = 15
    TIMEOUT = 16
    BAD_REQUEST = 1400
    UNAUTHORIZED = 1401
    OVERLOAD = 1402
    FORBIDDEN = 1403
    NOT_FOUND = 1404
    BAD_MODE = 1405
    UNACCEPTABLE = 1406
    CONFLICT = 1409
    NOT_SUPPORTED_MEDIA = 1415
    LOCKED = 1423
    INTERNAL = 1500
    UNIMPLEMENTED = 1501
    DOWN = 1503


class EpollEvent(Structure):
    """SRT_EPOLL_EVENT."""

    _fields_ = (("fd", c_int), ("events", c_int))


ListenCallback = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_void_p, c_char_p)
"""srt_listen_callback_fn: opaque, new socket, handshake version, address, stream id."""

_TOTALS = """
time_ms:q sent:q received:q sent_lost:i received_lost:i retransmitted:i acks_sent:i acks_received:i naks_sent:i
naks_received:i busy_us:q sent_dropped:i received_dropped:i undecrypted:i sent_bytes:Q received_bytes:Q
received_lost_bytes:Q retransmitted_bytes:Q sent_dropped_bytes:Q received_dropped_bytes:Q undecrypted_bytes:Q
l_sent:q l_received:q l_sent_lost:i l_received_lost:i l_retransmitted:i l_received_again:i l_acks_sent:i
l_acks_received:i l_naks_sent:i l_naks_received:i sending_mbps:d receiving_mbps:d l_busy_us:q reorder_distance:i
belated_ms:d belated:q l_sent_dropped:i l_received_dropped:i l_undecrypted:i l_sent_bytes:Q l_received_bytes:Q
l_received_lost_bytes:Q l_retransmitted_bytes:Q l_sent_dropped_bytes:Q l_received_dropped_bytes:Q
l_undecrypted_bytes:Q send_period_us:d flow_window:i congestion_window:i in_flight:i rtt_ms:d bandwidth_mbps:d
send_room_bytes:i receive_room_bytes:i max_bandwidth_mbps:d mss_bytes:i send_buffer:i send_buffer_bytes:i
send_buffer_ms:i send_delay_ms:i receive_buffer:i receive_buffer_bytes:i receive_buffer_ms:i receive_delay_ms:i
"""
_TYPES = {"q": c_int64, "Q": c_uint64, "i": c_int, "d": c_double}


_FIELDS: Any = (
    *((name, _TYPES[kind]) for name, _, kind in (each.partition(":") for each in _TOTALS.split())),
    ("_rest", c_int64 * 64),  # filters, and what later versions add
)


class Statistics(Structure):
    """SRT_TRACEBSTATS (CBytePerfMon); names of ours, ``l_`` since they were last cleared."""

    _fields_ = _FIELDS


@cache
def library() -> ctypes.CDLL:
    """The library, started. Raises SrtUnavailable."""
    lib = load()
    _declare(lib)
    if lib.srt_startup() == INVALID:
        raise SrtUnavailable(f"libsrt cannot start: {last_error(lib)[1]}")
    lib.srt_setloglevel(_LOG_CRITICAL)  # what it writes to stderr by itself is for its developers
    version = int(lib.srt_getversion())
    if version < _MIN_VERSION:
        raise SrtUnavailable(
            "libsrt is older than 1.4.4: install libsrt1.5-gnutls (Debian) or a newer libsrt"
        )
    return lib


def last_error(lib: ctypes.CDLL) -> tuple[int, str]:
    """The number and text of this thread's last failure."""
    number = c_int(0)
    code = int(lib.srt_getlasterror(ctypes.byref(number)))
    text = lib.srt_getlasterror_str().decode(errors="replace").rstrip(". ")
    if number.value:
        text = f"{text} ({errno.errorcode.get(number.value, number.value)})"
    return code, text


def load() -> ctypes.CDLL:
    """The library as it is found, not started. Raises SrtUnavailable."""
    for name in _NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    for short in _SHORT_NAMES:
        name = find_library(short) or ""
        try:
            if name:
                return ctypes.CDLL(name)
        except OSError:
            continue
    raise SrtUnavailable(
        "libsrt is not installed, so no SRT can be sent or received: install libsrt1.5-gnutls (Debian, Ubuntu) "
        "or srt-libs (Fedora), or remove srt.port and srt.push from the configuration"
    )


def _declare(lib: ctypes.CDLL) -> None:
    prototypes: Sequence[tuple[Any, ...]] = (
        ("srt_startup", c_int),
        ("srt_getversion", ctypes.c_uint32),
        ("srt_setloglevel", None, c_int),
        ("srt_create_socket", c_int),
        ("srt_bind", c_int, c_int, c_char_p, c_int),
        ("srt_listen", c_int, c_int, c_int),
        ("srt_listen_callback", c_int, c_int, ListenCallback, c_void_p),
        ("srt_accept", c_int, c_int, c_void_p, POINTER(c_int)),
        ("srt_connect", c_int, c_int, c_char_p, c_int),
        ("srt_close", c_int, c_int),
        ("srt_getpeername", c_int, c_int, c_void_p, POINTER(c_int)),
        ("srt_getsockname", c_int, c_int, c_void_p, POINTER(c_int)),
        ("srt_getsockflag", c_int, c_int, c_int, c_void_p, POINTER(c_int)),
        ("srt_setsockflag", c_int, c_int, c_int, c_void_p, c_int),
        ("srt_getsockstate", c_int, c_int),
        ("srt_sendmsg2", c_int, c_int, c_char_p, c_int, c_void_p),
        ("srt_recvmsg2", c_int, c_int, c_void_p, c_int, c_void_p),
        ("srt_getlasterror", c_int, POINTER(c_int)),
        ("srt_getlasterror_str", c_char_p),
        ("srt_getrejectreason", c_int, c_int),
        ("srt_setrejectreason", c_int, c_int, c_int),
        ("srt_bstats", c_int, c_int, POINTER(Statistics), c_int),
        ("srt_epoll_create", c_int),
        ("srt_epoll_add_usock", c_int, c_int, c_int, POINTER(c_int)),
        ("srt_epoll_update_usock", c_int, c_int, c_int, POINTER(c_int)),
        ("srt_epoll_remove_usock", c_int, c_int, c_int),
        ("srt_epoll_uwait", c_int, c_int, POINTER(EpollEvent), c_int, c_int64),
        ("srt_epoll_set", ctypes.c_int32, c_int, ctypes.c_int32),
        ("srt_epoll_release", c_int, c_int),
    )
    for name, result, *arguments in prototypes:
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
