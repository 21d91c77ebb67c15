"""Who may have a stream by SRT, and with which passphrase: a caller is asked for one before it gets anything.

There are two. The one of the configuration lets its holder watch every camera for as long as it is there. A URL that
the API gives is for one camera and for a minute: its stream id says until when, its passphrase is made of camera, time
and the installation's secret, so nothing of it has to be kept, and it never crosses the network.

Belongs here: the decision. Does not: the handshake (vms.wire.srt), publishers (whoever takes them).
"""

from collections.abc import Callable
from dataclasses import replace

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName
from vms.stream.http.token import LIFETIME_NS, mint
from vms.wire.srt import (
    Accept,
    Call,
    Mode,
    Refuse,
    RejectReason,
    StreamId,
    StreamIdInvalid,
    parse_stream_id,
    stream_id_text,
)

WATCH_BY_SRT = "srt"
Known = Callable[[CameraId, StreamName], bool]
"""Whether there is such a stream. Called in a thread of the library: it reads and does nothing else."""
DecidePublisher = Callable[[StreamId], Accept | Refuse]


class SrtAccess:
    """secret: that URLs are made with. passphrase: of the configuration; None lets everybody in without encryption,
    which is for callers on this machine. publisher: decides on callers who have media; None refuses them."""

    def __init__(self, secret: bytes, passphrase: str | None, known: Known, clock: Clock) -> None:
        self.publisher: DecidePublisher | None = None
        self._secret = secret
        self._passphrase = passphrase
        self._known = known
        self._clock = clock

    def __call__(self, call: Call) -> Accept | Refuse:
        """What becomes of a call; pure, and quick.

        Where a passphrase is asked for, who has none learns nothing of cameras: one that there is not is
        refused only after the handshake.
        """
        try:
            wanted = parse_stream_id(call.stream_id)
        except StreamIdInvalid:
            return Refuse(RejectReason.BAD_REQUEST)
        if wanted.mode is Mode.PUBLISH:
            verdict = self.publisher(wanted) if self.publisher is not None else Refuse(RejectReason.BAD_MODE)
            return replace(verdict, publishes=True) if isinstance(verdict, Accept) else verdict
        if wanted.until_ns is not None:
            if wanted.until_ns <= self._clock.wall_ns():
                return Refuse(RejectReason.UNAUTHORIZED)
            return Accept(passphrase_until(self._secret, wanted.camera_id, wanted.until_ns))
        if self._passphrase is None and not self._known(wanted.camera_id, wanted.stream):
            return Refuse(RejectReason.NOT_FOUND)
        return Accept(self._passphrase)


def passphrase_until(secret: bytes, camera_id: CameraId, until_ns: int) -> str:
    """The passphrase that lets its holder watch a camera before `until_ns` (Unix)."""
    return mint(secret, camera_id, WATCH_BY_SRT, until_ns)


def srt_url(secret: bytes, server: str, camera_id: CameraId, stream: StreamName, now_ns: int) -> str:
    """An address for players that works for LIFETIME_NS. server: ``host:port``, an IPv6 address in brackets."""
    until_ns = now_ns + LIFETIME_NS
    wanted = StreamId(camera_id, stream, until_ns=until_ns)
    passphrase = passphrase_until(secret, camera_id, until_ns)
    return f"srt://{server}?streamid={stream_id_text(wanted)}&passphrase={passphrase}"
