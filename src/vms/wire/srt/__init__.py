"""SRT (draft-sharabayko-srt) by libsrt, which does the protocol; we decide who may call and what is sent.

Needs the library (Debian: libsrt1.5-gnutls); without it nothing here works, and everything else does. A fault of
the library ends the process that uses it, so that should be one of its own.

Belongs here: listening, calling, messages, stream ids. Does not: what the messages are (vms.format.mpegts), who may
watch or send (vms.stream, vms.app).
"""

from vms.wire.srt.connection import SrtConnection, SrtStatistics, connect
from vms.wire.srt.errors import CallRefused, SrtGone, SrtUnavailable, StreamIdInvalid
from vms.wire.srt.library import RejectReason
from vms.wire.srt.listener import Accept, Call, Decide, Refuse, SrtListener
from vms.wire.srt.names import resolved
from vms.wire.srt.options import MESSAGE_BYTES, Address, SrtOptions, check_passphrase
from vms.wire.srt.poller import SrtPoller
from vms.wire.srt.stream_id import Mode, StreamId, parse_stream_id, stream_id_text

__all__ = [
    "MESSAGE_BYTES",
    "Accept",
    "Address",
    "Call",
    "CallRefused",
    "Decide",
    "Mode",
    "Refuse",
    "RejectReason",
    "SrtConnection",
    "SrtGone",
    "SrtListener",
    "SrtOptions",
    "SrtPoller",
    "SrtStatistics",
    "SrtUnavailable",
    "StreamId",
    "StreamIdInvalid",
    "check_passphrase",
    "connect",
    "parse_stream_id",
    "resolved",
    "stream_id_text",
]
