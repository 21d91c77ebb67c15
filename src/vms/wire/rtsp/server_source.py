"""Where the server's streams come from, and how it behaves to its clients.

Belongs here: what the server is told by whoever runs it. Does not: what it does with that.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from vms.common.errors import NotFound
from vms.wire.rtsp.auth import ServerAuthenticator
from vms.wire.rtsp.server_stream import Stream


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server behaves to its clients.

    authenticator: who may watch; None lets everyone. login_timeout_s: a connection that has not shown
    credentials for so long is closed; None lets it be. session_timeout_s: a client that neither asks nor
    reports for so long is dropped. open_timeout_s: how long a request waits for a stream that has to be
    opened, at the most. limit_bytes: what may wait for one TCP client (see server_receiver).
    send_buffer_bytes: what the kernel may keep for one TCP client; None leaves it to the kernel.
    leave_out: asked before each RTP datagram, whether to lose it on purpose.
    """

    authenticator: ServerAuthenticator | None = None
    login_timeout_s: float | None = None
    session_timeout_s: float = 60.0
    open_timeout_s: float = 10.0
    max_connections: int = 1024
    limit_bytes: int = 1 << 20
    send_buffer_bytes: int | None = None
    leave_out: Callable[[], bool] | None = None


class StreamSource(Protocol):
    """What the server's paths lead to. All calls are made on the event loop."""

    def find(self, path: str) -> Stream | None:
        """The stream of a path (``/camera-1``) that is at hand."""

    async def open(self, path: str) -> Stream:
        """The stream of a path, once it can be played; `find` gives it from then on, while it has sessions.

        Raises NotFound for a path that leads nowhere, Unavailable with the reason when trying again may help.
        """

    def streams(self) -> Iterable[Stream]:
        """Every stream at hand."""

    def tidy(self) -> None:
        """Called about twice a second, to forget streams without sessions."""


class FixedStreams:
    """Streams that are all there from the beginning, a stream a path."""

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        self._streams = streams

    def find(self, path: str) -> Stream | None:
        return self._streams.get(path)

    async def open(self, path: str) -> Stream:
        raise NotFound(f"nothing is served at {path}")

    def streams(self) -> Iterable[Stream]:
        return self._streams.values()

    def tidy(self) -> None:
        """All stay."""
