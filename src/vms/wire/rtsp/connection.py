"""A client's RTSP connection: requests go out, their answers come back among the media.

Belongs here: CSeq, waiting for answers, the end of the connection. Does not: which requests to send
and how to authenticate them (client), framing (interleaved).
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

from vms.common import unix_socket
from vms.common.clock import Clock
from vms.common.errors import VmsError
from vms.wire.errors import PeerGone, PeerTimeout, PeerUnreachable, ProtocolError
from vms.wire.rtsp.interleaved import InterleavedReader
from vms.wire.rtsp.message import Headers, Message, Request, Response
from vms.wire.rtsp.stream import RtpStream

_WRITE_LIMIT_BYTES = 256 << 10  # a peer that takes nothing while we report is gone


class RtspConnection(InterleavedReader):
    """One TCP connection to a server.

    peer: its address for texts. on_stream_end: called when a stream's sender has said BYE.
    `closed` is done when the connection is over: with the error that ended it, or None after `abort`.
    """

    def __init__(
        self, clock: Clock, peer: str, on_stream_end: Callable[[RtpStream], None] = lambda stream: None
    ) -> None:
        super().__init__(clock)
        self.peer = peer
        self.on_stream_end = on_stream_end
        self.closed: asyncio.Future[VmsError | None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._cseq = 0
        self._waiting: dict[int, asyncio.Future[Response]] = {}

    @classmethod
    async def connect(cls, host: str, port: int, clock: Clock) -> "RtspConnection":
        """Raises PeerUnreachable."""
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: cls(clock, f"{host}:{port}"), host, port)
        except OSError as error:
            reason = error.strerror or str(error)
            raise PeerUnreachable(f"cannot connect to {host}:{port}: {reason}") from error
        return connection

    @classmethod
    async def connect_unix(cls, path: Path, clock: Clock) -> "RtspConnection":
        """Connect to a Unix socket; `peer` is then its file's name. Raises PeerUnreachable."""
        loop = asyncio.get_running_loop()
        try:
            sock = unix_socket.connect(path)
            _, connection = await loop.create_unix_connection(lambda: cls(clock, path.name), sock=sock)
        except OSError as error:
            reason = error.strerror or str(error)
            raise PeerUnreachable(f"cannot connect to {path.name}: {reason}") from error
        return connection

    @property
    def addresses(self) -> tuple[str, str]:
        """Our IP address and the peer's."""
        assert self._transport is not None
        return self._transport.get_extra_info("sockname")[0], self._transport.get_extra_info("peername")[0]

    async def request(self, method: str, uri: str, headers: Headers, timeout_s: float) -> Response:
        """Send a request and wait for its answer, whatever its status.

        Raises PeerGone, PeerTimeout, ProtocolError.
        """
        if self._transport is None or self.closed.done():
            raise self._reason_of_end()
        self._cseq += 1
        cseq = self._cseq
        message = Request(method, uri, Headers([("CSeq", str(cseq)), *headers]))
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[cseq] = answer
        try:
            self._transport.write(message.pack())
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise PeerTimeout(f"{self.peer}: no answer to {method} in {timeout_s:g} s") from error
        finally:
            self._waiting.pop(cseq, None)

    def send_interleaved(self, channel: int, data: bytes) -> None:
        """Send one RTCP packet on a channel; dropped when the peer does not read."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > _WRITE_LIMIT_BYTES:
            self._end(PeerTimeout(f"{self.peer}: takes nothing that is sent to it"))
            return
        transport.write(b"$" + bytes((channel,)) + len(data).to_bytes(2) + data)

    def abort(self) -> None:
        """Close the connection at once."""
        self._end(None)

    # What the event loop and the reader call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, VmsError):
            self._end(exc)
        elif exc is None or isinstance(exc, OSError):
            reason = f": {exc.strerror or exc}" if isinstance(exc, OSError) else ""
            self._end(PeerGone(f"{self.peer} closed the connection{reason}"))
        else:
            self._end(PeerGone(f"{self.peer}: receiving failed: {exc!r}"))

    def eof_received(self) -> bool:
        return False  # close our side too

    def failed(self, error: VmsError) -> None:
        self._end(ProtocolError(f"{self.peer}: {error}") if type(error) is ProtocolError else error)

    def stream_ended(self, stream: RtpStream) -> None:
        self.on_stream_end(stream)

    def message_received(self, message: Message) -> None:
        if isinstance(message, Request):
            self._answer(message)
            return
        cseq = message.cseq
        if cseq is None and self._waiting:  # some cameras leave it out; answers come in order
            cseq = next(iter(self._waiting))
        answer = self._waiting.pop(cseq, None) if cseq is not None else None
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _answer(self, request: Request) -> None:
        """Answer a server's own request: it may only ask whether we live."""
        known = request.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER")
        headers = Headers([("CSeq", request.headers.get("CSeq") or "0")])
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(Response(200 if known else 501, headers=headers).pack())

    def _end(self, error: VmsError | None) -> None:
        if not self.closed.done():
            self.closed.set_result(error)
        if self._transport is not None:
            self._transport.abort()
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(self._reason_of_end())

    def _reason_of_end(self) -> VmsError:
        error = self.closed.result() if self.closed.done() else None
        return error or PeerGone(f"{self.peer}: the connection is closed")
